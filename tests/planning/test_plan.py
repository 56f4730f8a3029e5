"""Plans: the known cases, targets by source, coverage, objectives, and everything that a plan
says of itself."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from causalplug.dcm import DCM
from causalplug.errors import GraphError, PlanError, SourceError, UnknownVariableError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.identification import identify
from causalplug.planning.plan import Plan, plan
from tests.graph_cases import NAMED, shared

FRONT_DOOR = CausalGraph.parse(NAMED["front-door"])
SACHS = CausalGraph.parse(NAMED["sachs"])


def test_the_known_cases() -> None:
    cases = json.loads(shared("cases", "planner.json").read_text())
    compared = 0
    for case in cases:
        graph = CausalGraph.from_edges(case["directed"], case["bidirected"])
        for expected in case["expected"]:
            made = plan(graph, do=expected["do"])
            assert made == plan(graph.do(expected["do"]))
            found = [
                {
                    "variables": sorted(m.variables),
                    "ancestors": sorted(m.ancestors),
                    "parents": sorted(m.parents),
                }
                for m in made.modules
            ]
            key = "variables"
            assert sorted(found, key=lambda m: m[key]) == sorted(
                expected["modules"], key=lambda m: m[key]
            ), case["name"]
            edges = sorted([sorted(before), sorted(after)] for before, after in made.edges)
            assert edges == sorted(expected["edges"]), case["name"]
            compared += 1
    assert compared >= 15


def test_the_front_door() -> None:
    made = plan(FRONT_DOOR)
    image, rest = made.modules
    assert (image.variables, image.ancestors, image.parents, image.action) == (
        ("I",),
        (),
        ("D",),
        "pull",
    )
    assert (rest.variables, rest.ancestors, rest.parents, rest.action) == (
        ("D", "A"),
        ("I",),
        (),
        "train",
    )
    assert made.edges == ((("I",), ("D", "A")),)
    assert made.generations == ((image,), (rest,))
    assert made.requires("A") == (image,)
    assert made.requires("I") == ()
    (target,) = rest.targets
    assert target.variables == ("D", "I", "A")
    assert (target.given, target.parents, target.do) == ((), (), ())
    assert (target.frozen, target.updated, target.role) == (("I",), ("D", "A"), "own")
    assert (target.source, target.describe()) == ("observational", "P(D, I, A)")


def test_both_mediators_come_first() -> None:
    made = plan(CausalGraph.parse(NAMED["two mediators"]))
    assert [m.variables for m in made.modules] == [("I1",), ("I2",), ("D", "A")]
    assert set(made.edges) == {(("I1",), ("D", "A")), (("I2",), ("D", "A"))}
    assert [len(generation) for generation in made.generations] == [2, 1]


def test_an_experiment_shrinks_what_is_frozen() -> None:
    observed, experiment = (
        Source(list("DIA"), name="obs"),
        Source(list("DIA"), do=["I"], name="do(I)"),
    )
    (target,) = plan(FRONT_DOOR, [observed, experiment]).module("A").targets
    assert (target.source, target.variables, target.given, target.frozen) == (
        "do(I)",
        ("D", "A"),
        ("I",),
        (),
    )
    assert [t.source for t in plan(FRONT_DOOR, [observed, experiment]).module("I").targets] == [
        "obs"
    ]
    assert plan(FRONT_DOOR, [observed]).module("A").targets[0].frozen == ("I",)


def test_interventions_below_change_nothing() -> None:
    above = plan(
        FRONT_DOOR, [Source(list("DIA"), name="obs"), Source(list("DIA"), do=["A"], name="below")]
    ).module("I")
    assert [(t.source, t.variables, t.parents) for t in above.targets] == [
        ("obs", ("I",), ("D",)),
        ("below", ("I",), ("D",)),
    ]
    assert above.targets[1].given == ("D", "A")
    assert above.targets[1].columns == ("I", "D")


def test_a_source_may_record_only_a_part_of_an_intervened_module() -> None:
    made = plan(
        SACHS,
        [Source(SACHS.variables, name="obs"), Source(["Mek"], do={"PKA": 2}, name="experiment")],
    )
    own, further = made.module("Mek").targets
    assert (own.source, own.role, own.updated) == ("obs", "own", ("PKA", "Mek"))
    assert (further.source, further.role) == ("experiment", "further")
    assert (further.variables, further.given, further.updated) == (("Mek",), ("PKA",), ("Mek",))
    assert [t.source for t in made.module("Erk").targets] == ["obs"]


def test_experiments_alone_can_be_enough() -> None:
    graph = CausalGraph.parse("X -> Y -> Z; X <-> Z")
    made = plan(
        graph, [Source(list("XYZ"), do=["X"], name="a"), Source(list("XYZ"), do=["Y"], name="b")]
    )
    assert [t.source for t in made.module("Y").targets] == ["a"]
    own, further = sorted(made.module("X").targets, key=lambda t: t.role, reverse=True)
    assert (own.source, own.variables, own.given, own.frozen) == ("b", ("X", "Z"), ("Y",), ())
    assert (further.source, further.variables, further.frozen) == ("a", ("Z",), ())


def test_values_set_in_an_experiment_limit_what_it_gives() -> None:
    graph = CausalGraph.parse("X -> Y")
    obs = Source(list("XY"), name="obs")
    zero, one = (Source(list("XY"), do={"X": value}, name=str(value)) for value in (0, 1))
    any_value = Source(list("XY"), do=["X"], name="any")
    assert [t.source for t in plan(graph, [zero, obs, any_value]).module("Y").targets] == [
        "obs",
        "any",
    ]
    x_only = Source("X", name="x")
    assert [t.source for t in plan(graph, [zero, one, x_only]).module("Y").targets] == ["0", "1"]


@pytest.mark.parametrize(
    ("graph", "sources", "message"),
    [
        (
            FRONT_DOOR,
            [Source(list("DI"), name="images"), Source(list("DA"), name="labels")],
            "module D+A cannot be trained: no source gives its own c-factor, for which one source "
            "has to record D, I, A together (I because of the paths that leave the module and "
            "return); source images: P(D, I) comes closest and lacks A; record A there as well",
        ),
        (
            FRONT_DOOR,
            [Source(list("DIA"), do=["D"], name="a"), Source(list("DI"), do=["A"], name="b")],
            "module D+A cannot be trained",
        ),
        (
            FRONT_DOOR,
            [Source(list("DIA"), do=["D"], name="a")],
            "source a: P(A, I | do(D)) comes closest and sets D itself; add a source that does "
            "not intervene on D, A",
        ),
        (CausalGraph.parse("X -> Y -> Z"), [Source("X")], "Nor can Z"),
    ],
)
def test_missing_data_is_named(graph: CausalGraph, sources: list[Source], message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(message)):
        plan(graph, sources)


def test_a_pulled_module_needs_no_data() -> None:
    graph = CausalGraph.parse("X -> Y")
    made = plan(graph, Source("X"), available={"Y": "someone/generator"})
    assert made.module("Y").targets == ()
    assert made.module("Y").objective is None
    with pytest.raises(PlanError, match="module Y cannot be checked"):
        made.fit_target("Y")
    fit = plan(graph, available={"Y": "someone/generator"}).fit_target("Y")
    assert (fit.variables, fit.given) == (("Y",), ("X",))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plan("D -> I"), GraphError, "str is no CausalGraph"),
        (
            lambda: identify("D -> I", "P(I | do(D))"),
            GraphError,
            "the query cannot be decided: str is no CausalGraph",
        ),
        (lambda: DCM("D -> I", {}), GraphError, "the model cannot be built: str is no CausalGraph"),
        (lambda: plan(CausalGraph()), GraphError, "it has no variables"),
        (lambda: plan(FRONT_DOOR, []), SourceError, "the list of sources is empty"),
        (lambda: plan(FRONT_DOOR, do="B"), UnknownVariableError, "'B' is not a variable"),
        (
            lambda: plan(FRONT_DOOR, objective="adverserial"),
            PlanError,
            'did you mean "adversarial"',
        ),
        (
            lambda: plan(FRONT_DOOR, objective={"d": "warm"}),
            UnknownVariableError,
            'did you mean "D"',
        ),
        (
            lambda: plan(FRONT_DOOR, objective={"A": "warm", "D": "likelihood"}),
            PlanError,
            "with two objectives",
        ),
        (
            lambda: plan(FRONT_DOOR, kinds={"Q": "image"}),
            UnknownVariableError,
            "kinds= cannot be used",
        ),
        (lambda: plan(FRONT_DOOR).module("Q"), UnknownVariableError, "'Q' is not a variable"),
        (lambda: plan(FRONT_DOOR).module(["I", "A"]), PlanError, "no module holds I, A"),
        (lambda: plan(FRONT_DOOR).source("x"), UnknownVariableError, "'x'"),
    ],
)
def test_bad_arguments_are_named(call, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        call()


def test_the_default_objective_depends_on_what_is_generated() -> None:
    kinds = {"D": "discrete", "I": "image", "A": "continuous"}
    objectives = {m.name: m.objective for m in plan(FRONT_DOOR, kinds=kinds).modules}
    assert objectives == {"I": "adversarial", "D+A": "warm"}
    assert {m.objective for m in plan(FRONT_DOOR, kinds=kinds | {"I": "discrete"}).modules} == {
        "likelihood"
    }
    unsure = plan(FRONT_DOOR, kinds={"D": "discrete", "A": "discrete"})
    assert {m.objective for m in unsure.modules} == {"adversarial"}
    asked = plan(FRONT_DOOR, kinds=kinds, objective={"I": "adversarial"})
    assert asked.module("D").objective == "warm"


@pytest.mark.parametrize("asked", [None, "likelihood", "adversarial", {"B": "warm"}])
def test_what_the_kinds_leave_open_is_what_all_kinds_together_lead_to(asked: object) -> None:
    graph = CausalGraph.parse("A -> B -> C -> D; B <-> D; E -> D")
    for known in ({}, {"C": "image"}, {"B": "discrete", "D": "continuous"}, {"E": "text"}):
        reached: dict[str, set[str | None]] = {}
        rest = sorted(set(graph.variables) - set(known))
        for drawn in itertools.product(["discrete", "image"], repeat=len(rest)):
            try:
                made = plan(
                    graph, kinds=known | dict(zip(rest, drawn, strict=True)), objective=asked
                )
            except PlanError:  # asked for where an image has no density
                continue
            for module in made.modules:
                reached.setdefault(module.name, set()).add(module.objective)
        for module in plan(graph, kinds=known, objective=asked).modules:
            assert set(module.objectives or [module.objective]) == reached[module.name]


def test_a_plan_says_that_its_objectives_depend_on_the_kinds() -> None:
    unsure = plan(FRONT_DOOR, kinds={"D": "discrete", "A": "discrete"})
    assert unsure.module("D").objectives == ("likelihood", "warm")
    assert unsure.module("I").to_dict()["objectives"] == ["likelihood", "adversarial"]
    assert Plan.from_dict(json.loads(json.dumps(unsure.to_dict()))) == unsure
    assert "likelihood or warm\n" in str(unsure)
    assert "| likelihood or adversarial |" in unsure.to_markdown()
    assert "The objective depends on the kinds of variables: likelihood for" in str(unsure)
    sure = plan(FRONT_DOOR, kinds={"D": "discrete", "I": "image", "A": "discrete"})
    assert "depends on the kinds" not in str(sure)
    assert "objectives" not in sure.module("D").to_dict()
    asked = plan(FRONT_DOOR, objective="adversarial", available={"I": "someone/mnist"})
    assert [m.objectives for m in asked.modules] == [(), ()]
    images = plan(FRONT_DOOR, kinds={"D": "discrete"}, objective="counterfactual")
    assert images.module("I").objectives[0] == "counterfactual"
    assert "counterfactual" not in images.module("D").objectives


def test_objectives_by_module() -> None:
    assert {m.objective for m in plan(SACHS).modules} == {"adversarial"}
    assert {m.objective for m in plan(SACHS, objective="likelihood").modules} == {"likelihood"}
    mixed = plan(SACHS, objective={"PKA+Mek": "warm", "Akt": "likelihood"})
    assert {m.name: m.objective for m in mixed.modules} == {
        "PKA+Mek": "warm",
        "Erk": "adversarial",
        "Akt": "likelihood",
    }


def test_an_image_without_density_is_refused_for_likelihood() -> None:
    graph = CausalGraph.parse("S -> X -> D; X <-> D")
    kinds = {"X": "image", "D": "discrete"}
    with pytest.raises(
        PlanError,
        match=r"X <-> D: a confounded image has no explicit density.*can be asked for \"S\"",
    ):
        plan(graph, objective="likelihood", kinds=kinds)
    with pytest.raises(PlanError, match="an image has no explicit density"):
        plan(FRONT_DOOR, objective={"I": "warm"}, kinds={"I": "image"}, available={})
    behind_code = plan(
        graph, objective="likelihood", kinds=kinds, available={"X": "someone/renderer"}
    )
    assert behind_code.module("X").label == "TRAIN code, PULL renderer"
    pulled = plan(
        FRONT_DOOR, objective="likelihood", kinds={"I": "image"}, available={"I": "someone/mnist"}
    )
    assert [m.objective for m in pulled.modules] == [None, "likelihood"]


@pytest.mark.parametrize("name", NAMED)
def test_plans_round_trip_through_json(name: str) -> None:
    graph = CausalGraph.parse(NAMED[name])
    first = graph.variables[0]
    made = plan(
        graph,
        [Source(graph.variables), Source(graph.variables, do={first: [0, 1]})],
        objective="warm",
    )
    text = json.dumps(made.to_dict(), sort_keys=True)
    assert Plan.from_dict(json.loads(text)) == made
    assert json.dumps(plan(graph, made.sources, objective="warm").to_dict(), sort_keys=True) == text
    assert hash(Plan.from_dict(json.loads(text))) == hash(made)


def test_other_dictionaries_are_refused() -> None:
    data = plan(FRONT_DOOR).to_dict()
    with pytest.raises(PlanError, match="version 7"):
        Plan.from_dict(data | {"version": 7})
    with pytest.raises(PlanError, match="colour is missing or unknown"):
        Plan.from_dict(data | {"colour": "blue"})


def test_a_plan_prints_as_a_table() -> None:
    kinds = {"D": "discrete", "I": "image", "A": "discrete"}
    made = plan(FRONT_DOOR, kinds=kinds, available={"I": "someone/mnist"})
    lines = str(made).splitlines()
    assert lines[0] == "Plan: 2 modules, 3 variables, from observational"
    assert [line.split() for line in lines[2:5]] == [
        ["action", "module", "trained", "through", "matches", "objective"],
        ["1", "PULL", "I", "from", "someone/mnist"],
        ["2", "TRAIN", "D,", "A", "I", "P(D,", "I,", "A)", "warm"],
    ]


def test_the_documentation_shows_what_is_printed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "planning.md").read_text()
    made = plan(FRONT_DOOR, available={"I": "someone/mnist-cgan"})
    assert f"```\n{made}\n```" in page
    assert f"```\n{made.explain('A')}\n```" in page


def test_a_plan_in_markdown_html_and_dot() -> None:
    made = plan(CausalGraph.parse('D -> I -> A; D <-> A; "a|b <c>" -> I'))
    rows = [line for line in made.to_markdown().splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert len(rows) == 2 + len(made.modules)
    assert "a&#124;b" in made._repr_html_() or "a|b &lt;c&gt;" in made._repr_html_()
    assert "<c>" not in made._repr_html_()
    dot = made.to_dot()
    assert dot.count("subgraph cluster_") == len(made.modules)
    assert dot.count("style=dashed") == 1
    assert dot.count("ltail=") == len(made.edges) == 1
