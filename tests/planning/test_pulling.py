"""Pulling: what may be plugged in, what only renders, what is refused, and which label map mends
a mismatch."""

from __future__ import annotations

import re

import pytest

from causalplug.errors import FrozenConfounderError, PlanError, UnknownVariableError
from causalplug.graphs.graph import CausalGraph
from causalplug.planning.generator_facts import GeneratorFacts
from causalplug.planning.plan import check_pull, plan
from tests.graph_cases import NAMED

FRONT_DOOR = CausalGraph.parse(NAMED["front-door"])
SEVEN = CausalGraph.parse(NAMED["seven"])


def adapter(**facts: object) -> GeneratorFacts:
    return GeneratorFacts("someone/generator", **facts)


def test_without_generators_the_plan_says_what_could_be_pulled() -> None:
    made = plan(FRONT_DOOR)
    assert [(p.variables, p.verdict) for p in made.pullable] == [
        (("I",), "pull"),
        (("D", "A"), "pull"),
        (("D",), "renderer"),
        (("A",), "renderer"),
    ]
    assert [m.action for m in made.modules] == ["pull", "train"]
    assert all(m.targets for m in made.modules)
    assert [m.action for m in plan(FRONT_DOOR, available={}).modules] == ["train", "train"]


def test_each_generator_gets_a_verdict() -> None:
    made = plan(
        FRONT_DOOR,
        available={"I": "someone/mnist", "A": adapter(), "D": adapter()},
        kinds={"D": "discrete", "A": "image"},
    )
    verdicts = {p.variables: p for p in made.pulls}
    assert {key: p.verdict for key, p in verdicts.items()} == {
        ("I",): "pull",
        ("A",): "renderer",
        ("D",): "refused",
    }
    assert "A <-> D says that something unobserved affects both" in verdicts[("A",)].why
    assert verdicts[("I",)].generator == "someone/mnist"
    assert made.module("I").generator == "someone/mnist"
    assert made.module("A").renderers == ("A",)
    assert made.module("A").action == "train"
    assert "D from someone/generator: refused" in str(made)


def test_pulling_a_confounded_variable_is_an_error() -> None:
    graph = CausalGraph.parse("symptom -> xray -> diagnosis; xray <-> diagnosis")
    with pytest.raises(FrozenConfounderError) as raised:
        check_pull(graph, "xray")
    assert str(raised.value) == (
        '"xray" cannot be pulled: xray <-> diagnosis says that something unobserved affects both, '
        "and a frozen "
        "generator has no input for it. Train it with its module, use the generator as a "
        "renderer, or drop the edge."
    )
    check_pull(graph, "symptom")
    with pytest.raises(
        FrozenConfounderError, match="X2 <-> X1 and X2 <-> Y1 say that something unobserved"
    ):
        check_pull(SEVEN, "X2")
    with pytest.raises(UnknownVariableError):
        check_pull(graph, "x-ray")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"conditions_on": ("digit",)},
            "it conditions on (digit) and the parents of Y0 are (W0, W1), in this order",
        ),
        ({"conditions_on": ("w1", "W0")}, 'the label map {"w1": "W1", "W0": "W0"} mends it'),
        ({"conditions_on": ("W1", "W0")}, "in this order"),
        ({"conditions_on": ("label",)}, "LabelMap.from_table({(W0, W1): label, …})"),
        ({"conditions_on": ()}, "it conditions on (none)"),
        (
            {"conditions_on": ("a",), "mapped_from": ("W9",)},
            "its label map reads (W9) and the parents of Y0",
        ),
        ({"mapped_from": ("W0",)}, "its label map reads (W0)"),
        ({"parents": ("W0",)}, "it reads (W0) and the parents of Y0 are (W0, W1)"),
    ],
)
def test_other_labels_than_the_parents_are_an_error(facts: dict[str, object], message: str) -> None:
    graph = CausalGraph.parse("X0 -> W0, W1; W0, W1 -> Y0")
    with pytest.raises(PlanError, match=re.escape(message)):
        plan(graph, available={"Y0": adapter(**facts)})


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"conditions_on": None},
        {"conditions_on": ("W0", "W1")},
        {"conditions_on": ("a", "b"), "mapped_from": ("W1", "W0")},
        {"conditions_on": ("a",), "mapped_from": ("W1", "W0")},
        {"parents": ("W1", "W0")},
        {"conditions_on": ("a",), "unbound": True, "makes_map": True},
    ],
)
def test_labels_that_follow_from_the_parents_are_fine(facts: dict[str, object]) -> None:
    graph = CausalGraph.parse("X0 -> W0, W1; W0, W1 -> Y0")
    assert plan(graph, available={"Y0": adapter(**facts)}).module("Y0").action == "pull"


def test_one_label_of_an_unbound_adapter_stands_for_one_parent() -> None:
    unbound = adapter(conditions_on=("digit",), parents=("digit",), unbound=True)
    assert plan(FRONT_DOOR, available={"I": unbound}).module("I").action == "pull"
    graph = CausalGraph.parse("D, C -> I")
    with pytest.raises(
        PlanError, match=r"it conditions on \(digit\) and the parents of I are \(D, C\)"
    ):
        plan(graph, available={"I": unbound})


@pytest.mark.parametrize(
    "key", ["X1+X2+Y1", ("Y1", "X1", "X2"), frozenset({"X1", "X2", "Y1"}), "X1 + X2 + Y1"]
)
def test_a_whole_module_may_come_from_another_model(key: object) -> None:
    other = adapter(graph=SEVEN.subgraph([v for v in SEVEN.variables if v != "Y0"]))
    made = plan(SEVEN, available={key: other})
    module = made.module("X2")
    assert (module.action, module.targets, module.generator) == ("pull", (), "someone/generator")
    assert module.ancestors == ("W1",)
    assert made.requires("X2") == ()
    assert not any(after == module.variables for _, after in made.edges)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("X1 -> X2", "X2 has the parents X1 there and none here"),
        ("X1 <-> Y1", "X1 has the confounders shared with X2, Y1 there and X2 here"),
        ("X2 <-> W1", "X2 has the confounders shared with W1, X1, Y1 there"),
        ("X0 -> Y1", "Y1 has the parents X0, W1 there and W1 here"),
    ],
)
def test_a_module_with_other_edges_is_an_error(change: str, message: str) -> None:
    other = CausalGraph.parse(f"{SEVEN}; {change}")
    with pytest.raises(PlanError) as raised:
        plan(SEVEN, available={"X1+X2+Y1": adapter(graph=other)})
    assert message in str(raised.value)


def test_a_part_of_a_component_is_refused_with_the_edge() -> None:
    made = plan(SEVEN, available={"X1+Y1": adapter(graph=SEVEN), ("X2",): adapter(graph=SEVEN)})
    assert [p.verdict for p in made.pulls] == ["refused", "refused"]
    assert "X1 <-> X2 leaves the module" in made.pulls[0].why
    assert made.module("X1").action == "train"


def test_a_pulled_component_breaks_a_circle() -> None:
    graph = CausalGraph.parse(NAMED["two that need each other"])
    assert len(plan(graph).modules) == 1
    made = plan(graph, available={"X1+X2": adapter(graph=graph)})
    assert [m.variables for m in made.modules] == [("X1", "X2"), ("Z1", "Z2")]
    assert made.edges == ((("X1", "X2"), ("Z1", "Z2")),)
    assert made.module("Z1").targets[0].frozen == ("X1", "X2")
    two = plan(graph, available={"X1+X2": adapter(graph=graph), "Z1+Z2": "someone/model"})
    assert two.edges == ()
    assert {m.action for m in two.modules} == {"pull"}


@pytest.mark.parametrize(
    ("available", "error", "message"),
    [
        ({"Q": "a/b"}, UnknownVariableError, "available= cannot be used: 'Q'"),
        ({"D+Q": "a/b"}, UnknownVariableError, "'Q'"),
        (
            {"I": "a/b", ("I", "D"): "c/d"},
            PlanError,
            '"I" cannot be pulled twice|"D" cannot be pulled twice',
        ),
        ({"D+A": adapter()}, PlanError, "it has no graph"),
        ({"D+A": adapter(graph=CausalGraph.parse("D <-> B"))}, PlanError, "it has no variable 'A'"),
    ],
)
def test_bad_entries_are_named(available, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=message):
        plan(FRONT_DOOR, available=available)


def test_independent_variables_may_come_together() -> None:
    graph = CausalGraph.parse("A -> B -> C")
    made = plan(graph, available={"A+B": adapter(graph=graph)})
    assert [(m.variables, m.action) for m in made.modules] == [
        (("A", "B"), "pull"),
        (("C",), "train"),
    ]
    assert made.fit_target("A").variables == ("A", "B")
