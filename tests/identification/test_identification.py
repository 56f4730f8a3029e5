"""Identification: published cases, statuses, reasons and certificates, limited values, partial
sources, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from causalplug.errors import NotIdentifiableError, QueryError, SourceError, UnknownVariableError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.identification.certificate import Hedge
from causalplug.identification.identification import Identification, identify, require_identifiable
from causalplug.identification.query import Bound, Event, Query
from tests.counting import calls
from tests.graph_cases import shared
from tests.oracle import identifiable_by_jacobian
from tests.random_cases import random_case


def _source(recorded: str, do: Any = ()) -> Source:
    return Source(recorded.split(), do)


# --- cases from the literature ---


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return _event(value)
    if value == "*":
        return None
    return Bound(value[1:]) if isinstance(value, str) and value.startswith("$") else value


def _event(data: dict[str, Any]) -> Event:
    do = {name: _value(value) for name, value in data["do"].items()}
    return Event(data["var"], _value(data.get("value", "*")), do)


def _query(data: dict[str, Any]) -> Query:
    if data["type"] == "interventional":
        values = data.get("do_values", {})
        return Query(
            data["outcome"], do={x: values.get(x) for x in data["do"]}, given=data["given"]
        )
    return Query([_event(e) for e in data["events"]], given=[_event(e) for e in data["given"]])


def test_published_cases() -> None:
    cases = json.loads(shared("cases", "identification.json").read_text())
    assert len(cases) > 100
    wrong = []
    for case in cases:
        edges = [[tuple(edge) for edge in case[kind]] for kind in ("directed", "bidirected")]
        graph = CausalGraph.from_edges(*edges, case["nodes"])
        sources = [
            Source(a["observed"], {x: a.get("do_values", {}).get(x) for x in a["do"]})
            for a in case["available"]
        ]
        result = identify(graph, _query(case["query"]), sources)
        expected = "zero" if case.get("note") == "identically zero" else "identifiable"
        if (result.status == expected) != case["identifiable"]:
            wrong.append((case["name"], result.status))
    assert wrong == []


@pytest.mark.parametrize(
    ("graph", "query", "sources", "status"),
    [
        ("D -> I -> A; D <-> A", "P(A | do(D))", None, "identifiable"),
        ("W -> Z -> X -> Y; W <-> X; W <-> Y", "P(Y | do(X))", None, "identifiable"),
        ("W -> X -> Y; W <-> X; W <-> Y", "P(Y | do(X))", None, "not identifiable"),
        ("X -> Y; X <-> Y", "P(Y | do(X))", None, "not identifiable"),
        ("Z -> X -> Y; X <-> Y", "P(Y | do(X))", None, "not identifiable"),
        ("X -> Y; X <-> Z <-> Y", "P(Y | do(X))", None, "identifiable"),
        ("A -> B -> C -> D; B <-> D", "P(D | do(C))", None, "identifiable"),
        ("A -> B -> C -> D; B <-> D", "P(D | do(B))", None, "identifiable"),
        ("A -> B -> C -> D; B <-> D; A <-> B", "P(D | do(A))", None, "not identifiable"),
        (
            "Z -> X -> Y; Z <-> X; Z <-> Y",
            "P(Y | do(X))",
            ["Z X Y", ("X Y", ["Z"])],
            "identifiable",
        ),
        ("Z -> X -> Y; Z <-> X; Z <-> Y", "P(Y | do(X))", ["Z X Y"], "not identifiable"),
        (
            "PKA -> Mek -> Erk -> Akt; PKA -> Erk, Akt; Mek -> Akt; PKA <-> Mek",
            "P(Akt | do(PKA))",
            ["PKA Mek Erk Akt", ("Mek", ["PKA"])],
            "identifiable",
        ),
        (
            "X1 -> X2; X1, X2 -> W -> Y; C -> Y; X1 <-> X2 <-> C",
            "P(Y_{X1=1, X2=4} | X1=0, X2=1)",
            None,
            "identifiable",
        ),
        (
            "X1 -> X2; X1, X2 -> W -> Y; C -> Y; X1 <-> X2 <-> C",
            "P(Y_{X1=1} | X1=0)",
            None,
            "not identifiable",
        ),
        ("X -> Y", "PNS(Y, X)", None, "not identifiable"),
        ("X -> Y; X <-> Y", "PNS(Y, X)", ["X Y", ("Y", ["X"]), ("X", ["Y"])], "not identifiable"),
        ("X -> Y; X <-> Y", "ETT(Y, X)", None, "not identifiable"),
        ("X -> Y; X <-> Y", "ATE(Y, X)", ["X Y", ("Y", ["X"])], "identifiable"),
        ("X -> M -> Y; X -> Y", "NDE(Y, X, M)", None, "identifiable"),
        ("X -> M -> Y; X -> Y; M <-> Y", "NDE(Y, X, M)", None, "not identifiable"),
        ("X -> Y; X <-> Y", "P(Y_{X=0} | X=0)", None, "identifiable"),
        ("X -> Z -> Y; X <-> Z", "P(Y | do(X), Z)", None, "identifiable"),
        ("X -> Y", "P(Y_{X=1}=1, Y_{X=1}=0)", None, "zero"),
        ("X -> Y; Z", "P(Y_{Z=1}=1 | Y=0)", None, "zero"),
        ("X -> Y", "P(X_{Y=1}=1 | X=0)", None, "zero"),
        ("X -> Y", "P(Y=1, X=1, Y_{X=1}=0)", None, "zero"),
        ("X -> Y", "P(Y | X=0, X=1)", None, "undefined"),
        ("X -> Y", "P(Y_{X=1} | Y_{X=0}=1, X=0, Y=0)", None, "undefined"),
        ("X -> Y; X <-> Y", "P(X_{X=1}=1)", None, "identifiable"),
        ("X -> Y; X <-> Y", "P(X_{X=1}=0)", None, "zero"),
        ("X -> Y; X <-> Y", "P(Y | do(X=1)) - P(Y | do(X=1))", None, "zero"),
        ("X -> Y; X <-> Y; Z -> Y", "P(Y | do(X=1)) - P(Z)", None, "not identifiable"),
    ],
)
def test_textbook(graph: str, query: str, sources: list[Any] | None, status: str) -> None:
    g = CausalGraph.parse(graph)
    listed = (
        [_source(*s) if isinstance(s, tuple) else _source(s) for s in sources] if sources else None
    )
    result = identify(g, query, listed)
    assert result.status == status
    assert bool(result) == (status == "identifiable")
    assert result.answerable == (status in ("identifiable", "zero"))
    assert (result.estimand is not None) == result.answerable
    assert result.reason
    assert (result.certificate is None) == (status == "identifiable" or not result.query.terms)
    json.dumps(result.to_dict())
    if result.answerable:
        assert require_identifiable(g, query, listed).status == status
    else:
        with pytest.raises(NotIdentifiableError) as caught:
            require_identifiable(g, query, listed)
        assert caught.value.identification.reason in str(caught.value)


# --- reasons, certificates, suggestions ---


def test_the_bow_is_explained() -> None:
    result = identify(CausalGraph.parse("X -> Y; X <-> Y"), "P(Y | do(X))")
    assert str(result.certificate) == (
        "X <-> Y and X -> Y: no data of these kinds can tell the confounder's effect on Y from X's"
    )
    assert result.reason.endswith("; an experiment on X would")
    assert result.certificate.kind == "hedge"
    assert result.certificate.hedges == (Hedge("observational", frozenset("XY"), frozenset("Y")),)
    assert result.suggest() == [("X",)]


def test_other_reasons() -> None:
    graph = CausalGraph.parse("X1 -> W -> Y; X2 -> Y; X1 <-> W; X1 <-> X2 <-> Y; W <-> Y")
    result = identify(
        graph, "P(Y | do(X1, X2))", [_source("W X2 Y", ["X1"]), _source("W X1 Y", ["X2"])]
    )
    assert result.certificate.kind == "thicket"
    assert len(result.certificate.hedges) == 2
    assert result.suggest() == []
    assert "no experiments on one or two single variables" in result.reason

    clash = identify(CausalGraph.parse("X -> Y; X <-> Y"), "P(Y_{X=0} | X=1)")
    assert clash.certificate.kind == "inconsistent"
    assert "X is needed at 1 and at 0 at once" in clash.reason
    assert clash.suggest() == []

    values = identify(
        CausalGraph.parse("X -> Y; X <-> Y"),
        "P(Y | do(X))",
        [_source("X Y"), _source("Y", {"X": 2})],
    )
    assert values.certificate.kind == "values"
    assert values.reason == (
        "Y is needed under every value of X, and the experiments have only X=2; ask about those "
        "values, or set the others as well"
    )
    unseen = identify(CausalGraph.parse("X -> Y; Z -> Y"), "P(Y | do(Z))", [_source("X Y")])
    assert unseen.certificate.kind == "unrecorded"
    assert "Z is recorded in no source" in unseen.reason

    parts = identify(
        CausalGraph.parse("X -> M -> Y; M <-> Y; X <-> M"),
        "P(Y | do(X=1))",
        [_source("M", {"X": 1}), _source("Y", ["M"])],
    )
    assert parts.status == "not shown"
    assert "completeness is not claimed" in parts.reason

    zero = identify(CausalGraph.parse("X -> Y"), "P(Y=1 | Y=0)")
    assert zero.reason == "Y=1 and Y=0 exclude each other, so the probability is 0"
    pooled = identify(
        CausalGraph.parse("X -> Y; X <-> Y"), "P(Y | do(X=1))", [_source("Y", {"X": 1})]
    )
    assert "only for the values of X that were set" in pooled.reason


def _is_hedge(graph: CausalGraph, hedge: Hedge, do: frozenset[str]) -> bool:
    """The definition, checked without any of the code under test but the graph's own methods."""
    inside = graph.subgraph(hedge.forest)
    root = graph.subgraph(hedge.root)
    return (
        hedge.root < hedge.forest
        and not hedge.forest & do
        and len(inside.c_components()) == 1
        and len(root.c_components()) == 1
        and inside.ancestors(hedge.root) == hedge.forest
    )


def test_certificates_are_hedges_and_suggestions_are_the_smallest() -> None:
    seen = suggested = 0
    for i in range(700):
        case = random_case(np.random.default_rng([31, i]), layers=(1, 2), n=(3, 5))
        result = identify(case.graph, case.query, case.sources)
        if result.status != "not identifiable":
            continue
        sets = {s.name: s.do for s in result.sources}
        for hedge in result.certificate.hedges:
            seen += 1
            do = frozenset().union(*(sets[name] for name in hedge.source.split(" and ")))
            assert _is_hedge(result.certificate.graph, hedge, do), (str(case), hedge)
        if i % 3 == 0:
            found = result.suggest(most=2)
            suggested += bool(found)
            _check_suggestions(case.graph, case.query, case.sources, found)
    assert seen > 50
    assert suggested > 30


def _check_suggestions(
    graph: CausalGraph, query: Query, sources: list[Source], found: list[tuple[str, ...]]
) -> None:
    size = len(found[0]) if found else 3
    for k in range(1, min(size, 2) + 1):
        for chosen in combinations(graph.variables, k):
            more = [Source(graph.variables, [v], name=f"do {v}") for v in chosen]
            assert (identify(graph, query, [*sources, *more]).status == "identifiable") == (
                chosen in found
            )


def test_certificate_is_drawn() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    result = identify(CausalGraph.parse("W -> X -> Y; X <-> Y"), "P(Y | do(X))")
    (axes,) = result.plot().axes
    written = [text.get_text() for text in axes.texts]
    assert {"W", "X", "Y"} <= set(written)
    assert result.certificate is not None
    assert " ".join(reversed(written[3:])) == result.certificate.sentence
    plates = {patch.get_facecolor() for patch in axes.patches if patch.get_zorder() == 6}
    assert len(plates) == 3
    figure = figures.Figure()
    assert identify(CausalGraph.parse("X -> Y"), "P(Y | do(X))").plot(figure.subplots()) is figure


# --- values and partial recordings ---


def test_limited_values() -> None:
    graph = CausalGraph.parse("X -> Y; X <-> Y")
    two = [_source("Y", {"X": [0, 2]}), _source("X Y")]
    assert identify(graph, "P(Y | do(X=2))", two)
    assert not identify(graph, "P(Y | do(X=1))", two)
    assert identify(graph, "ATE(Y, X=2 vs 0)", two)
    assert not identify(graph, "P(Y | do(X))", two)
    # Together the sources cover a variable whose values are known.
    family = [_source("Y", {"X": 0}), _source("Y", {"X": 1})]
    assert not identify(graph, "P(Y | do(X))", family)
    assert identify(graph, "P(Y | do(X))", family, domains={"X": (0, 1)})
    assert not identify(graph, "P(Y | do(X))", family, domains={"X": (0, 1, 2)})
    # So do sources of different kinds, each for the values that it has.
    mixed = CausalGraph.parse("X -> Y; X <-> Y; Z -> Y")
    kinds = [_source("Y Z", {"X": 0}), _source("Y", {"X": 1, "Z": None}), _source("X Y Z")]
    result = identify(mixed, "P(Y | do(X))", kinds, domains={"X": (0, 1)})
    assert result
    assert " if x is 0" in str(result.estimand)
    # Any one value of a variable that only has to be cut off will do.
    cut = CausalGraph.parse("Z -> X -> Y; Z <-> X; Z <-> Y")
    assert identify(cut, "P(Y | do(X))", [_source("X Y", {"Z": 5})])


def test_partial_recordings() -> None:
    chain = CausalGraph.parse("A -> B -> C -> D")
    parts = [_source("A B"), _source("B C"), _source("C D")]
    assert identify(chain, "P(D | do(A))", parts)
    assert identify(chain, "P(A, D)", parts)
    assert identify(chain, "P(D_{B=1} | A=0)", parts)
    assert identify(chain, "P(A | D=1)", parts)
    unseen = CausalGraph.parse("X -> M -> Y; X <-> Y")
    assert identify(unseen, "P(Y | do(X))", [_source("X Y")]).status == "not identifiable"
    assert identify(unseen, "P(Y | do(X))", [_source("X M"), _source("X Y")]).status == "not shown"
    assert (
        identify(unseen, "P(Y | do(X))", [_source("X M"), _source("X Y", ["M"])]).status
        == "identifiable"
    )
    # What is not an ancestor of the question need not be recorded.
    wide = CausalGraph.parse("X -> Y -> Z; X <-> Z")
    assert identify(wide, "P(Y | do(X))", [_source("X Y")])
    assert identify(
        CausalGraph.parse("X -> Y; X <-> Y; Y -> Z"), "P(Y | do(X))", [_source("X Y")]
    ).status == ("not identifiable")


def test_irrelevant_evidence_and_interventions() -> None:
    graph = CausalGraph.parse("W -> Z -> Y; X -> Y; A -> B")
    # Given Z, neither W nor anything unconnected changes the answer, so they need not be recorded.
    result = identify(graph, "P(Y | do(X=1), Z=0, W=1, B=0)", [_source("X Y Z")])
    assert result
    assert str(result.estimand) == "P(y | Z=0, X=1)"
    assert identify(graph, "P(Y_{X=1, B=0})", [_source("X Y")])


def test_a_contrast_is_answered_term_by_term() -> None:
    graph = CausalGraph.parse("X -> Y; X <-> Y")
    result = identify(graph, "ETT(Y, X)")
    assert [verdict.status for verdict in result.verdicts] == ["identifiable", "not identifiable"]
    assert identify(graph, "P(Y=1 | do(X=1)) - P(Y=1 | do(X=1)) + P(Y=0)")


# --- bad input, and what is not loaded ---


def test_bad_input() -> None:
    graph = CausalGraph.parse("Smoker -> Cancer")
    with pytest.raises(UnknownVariableError, match='did you mean "Smoker"'):
        identify(graph, "P(Cancer | do(Smokr=1))")
    with pytest.raises(UnknownVariableError):
        identify(graph, "P(Cancer_{Smoker_{Tar=1}})")
    with pytest.raises(QueryError, match="cannot be conditioned on"):
        identify(graph, "P(Cancer | do(Smoker=1), Smoker=0)")
    with pytest.raises(QueryError, match="a Query"):
        identify(graph, 7)  # type: ignore[arg-type]
    with pytest.raises(SourceError):
        identify(graph, "P(Cancer)", [])
    with pytest.raises(SourceError, match="Tar"):
        identify(graph, "P(Cancer)", [Source(["Tar"])])
    with pytest.raises(QueryError, match="Smoker=2 is no value of Smoker"):
        identify(graph, "P(Cancer | do(Smoker=2))", domains={"Smoker": (0, 1)})
    with pytest.raises(UnknownVariableError):
        identify(graph, "P(Cancer)", domains={"Tar": (0, 1)})


def test_results_print_and_do_not_need_heavy_libraries() -> None:
    code = (
        "import sys; from causalplug.identification.identification import identify;from "
        "causalplug.graphs.graph import CausalGraph;r = identify(CausalGraph.parse('D -> I -> A; "
        "D <-> A'), 'P(A | do(D))'); print(r, "
        "r.estimand.to_latex());print(identify(CausalGraph.parse('X -> Y; X <-> Y'), 'P(Y | "
        "do(X))'));print(sorted({'torch', 'networkx', 'pandas', 'matplotlib', 'sklearn', 'numpy'} "
        "& set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "[]"
    assert "P(A | do(D)): identifiable" in out


def test_large_graphs_are_decided_in_proportion_to_their_edges() -> None:
    rng = np.random.default_rng(0)
    names = [f"V{i}" for i in range(200)]
    pairs = [(names[i], names[j]) for i in range(200) for j in range(i + 1, 200)]
    for density, confounded in ((0.02, 0.005), (0.4, 0.02)):
        graph = CausalGraph.from_edges(
            [p for p in pairs if rng.random() < density],
            [p for p in pairs if rng.random() < confounded],
            names,
        )
        size = len(names) + len(graph.directed) + len(graph.bidirected)
        for query in ("P(V199 | do(V50))", "P(V199 | do(V50), V100=1)", "P(V199_{V50=1} | V50=0)"):
            made: list[object] = []
            assert calls(lambda g=graph, q=query, m=made: m.append(identify(g, q))) < 300 * size
            assert isinstance(made[0], Identification)


def test_a_projection_keeps_what_the_query_sets() -> None:
    """A is not recorded, yet do(A) matters: a projection without it would take B's confounding
    for none."""
    graph = CausalGraph.parse("A -> B -> D; A -> C; A <-> B; A <-> D")
    source = Source(["B", "C", "D"])
    query = Query.parse("P(D | do(A, C=0), B)")
    assert not identify(graph, query, [source])
    assert not identifiable_by_jacobian(graph, query, [source], cardinality=2)
