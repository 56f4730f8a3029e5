"""Causal graphs: declaration, adjacency, derived graphs, m-separation and latent projection."""

from __future__ import annotations

import copy
import pickle
import random
import re

import networkx as nx
import pytest

from causalplug.errors import CycleError, GraphError, UnknownVariableError
from causalplug.graphs.graph import CausalGraph
from tests.graph_cases import D_SEPARATED, NAMED, random_admg


def with_latents(graph: CausalGraph) -> nx.DiGraph:
    """The DAG with one explicit latent parent per bidirected edge."""
    dag = nx.DiGraph(graph.directed)
    dag.add_nodes_from(graph.variables)
    for a, b in graph.bidirected:
        dag.add_edges_from([(("latent", a, b), a), (("latent", a, b), b)])
    return dag


def test_adjacency_follows_the_declared_order() -> None:
    graph = CausalGraph.from_edges(
        directed=[("D", "I"), ("I", "A"), ("C", "A")],
        bidirected=[("A", "D")],
        variables=["A", "C", "D", "I", "Z"],
    )
    assert graph.variables == ("A", "C", "D", "I", "Z")
    assert graph.parents("A") == ("C", "I")
    assert graph.children("D") == ("I",)
    assert graph.siblings("A") == ("D",)
    assert graph.bidirected == (("A", "D"),)
    assert graph.parents_of(["A", "I"]) == ("C", "D")
    assert graph.ancestors("A") == {"A", "C", "D", "I"}
    assert graph.descendants(["D", "Z"]) == {"D", "I", "A", "Z"}
    assert graph.topological_order() == ("C", "D", "I", "A", "Z")
    assert graph.c_components() == ({"A", "D"}, {"C"}, {"I"}, {"Z"})
    assert "A" in graph
    assert "B" not in graph


def test_masks_are_the_lists_as_bit_sets() -> None:
    graph = random_admg(3, 12, 0.4, 0.3)
    for v, name in enumerate(graph.variables):
        for masks, names in (
            (graph.parent_masks, graph.parents(name)),
            (graph.child_masks, graph.children(name)),
            (graph.sibling_masks, graph.siblings(name)),
        ):
            assert masks[v] == sum(1 << graph.index[other] for other in names)


def test_equal_graphs_are_equal_whatever_the_order() -> None:
    one = CausalGraph.parse("A -> B; B <-> C; D")
    other = CausalGraph.from_edges([("A", "B")], [("C", "B")], ["D", "C", "B", "A"])
    assert one == other
    assert len({one, other}) == 1
    assert one != CausalGraph.parse("A -> B; B <-> C")
    assert one != CausalGraph.parse("A -> B; B -> C; D")
    assert one != "A -> B"


def test_repeated_edges_count_once() -> None:
    graph = CausalGraph.from_edges([("X", "Y"), ("X", "Y")], [("X", "Y"), ("Y", "X")])
    assert (graph.directed, graph.bidirected) == ((("X", "Y"),), (("X", "Y"),))


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))]
)
def test_copies_are_equal(copied: object) -> None:
    graph = random_admg(5, 8)
    assert graph.index["V0"] == 0
    assert copied(graph) == graph  # type: ignore[operator]


def test_it_cannot_be_changed() -> None:
    graph = CausalGraph.parse("A -> B")
    with pytest.raises(AttributeError):
        graph.variables = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        graph.index["C"] = 3  # type: ignore[index]


@pytest.mark.parametrize(
    ("directed", "bidirected", "variables", "error", "message"),
    [
        ([("A", "B"), ("B", "C"), ("C", "A")], [], [], CycleError, "A -> B -> C -> A"),
        ([("Z", "A"), ("A", "B"), ("B", "A"), ("B", "Y")], [], [], CycleError, "A -> B -> A"),
        ([("A", "A")], [], [], CycleError, "A -> A"),
        ([], [("A", "A")], [], GraphError, "A <-> A joins a variable to itself"),
        ([], [], ["A", "B", "A"], GraphError, "'A' is declared twice"),
        ([], [], ["A", ""], GraphError, "'' is not a name"),
        ([], [], ["A", 3], GraphError, "several names"),
        (
            [("dose", "effect")],
            [],
            ["dose", "effort"],
            UnknownVariableError,
            'did you mean "effort"',
        ),
        ([], [("A", "Q")], ["A", "B"], UnknownVariableError, "A <-> Q cannot be drawn: 'Q' is not"),
        (["AB"], [], [], GraphError, "'AB' is not a pair"),
        ([("A", "B", "C")], [], [], GraphError, "not a pair"),
    ],
)
def test_bad_edges_are_named(directed, bidirected, variables, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=re.escape(message)):
        CausalGraph.from_edges(directed, bidirected, variables)


def test_a_list_of_isolated_variables_only_may_be_given() -> None:
    assert CausalGraph.from_edges([("A", "B")], variables=["Z"]).variables == ("A", "B", "Z")


def test_unknown_names_are_named_with_the_closest_one() -> None:
    graph = CausalGraph.parse("Smoke -> Cancer")
    for ask in (
        lambda: graph.parents("smoke"),
        lambda: graph.ancestors(["Smok"]),
        lambda: graph.do("smoke"),
        lambda: graph.closure("Cancer", do=["smoke"]),
        lambda: graph.m_separated("smoke", "Cancer"),
        lambda: graph.latent_projection(["Smoke", "smoke"]),
    ):
        with pytest.raises(UnknownVariableError, match="Smoke"):
            ask()


def test_do_removes_the_edges_into_what_is_set() -> None:
    graph = CausalGraph.parse("W -> Z -> X -> Y; W <-> X; W <-> Y")
    assert graph.do("X") == CausalGraph.parse("W -> Z; X -> Y; W <-> Y")
    assert graph.do(["W", "Y"]) == CausalGraph.parse("W -> Z -> X; Y")
    assert graph.do(()) == graph
    assert graph.do("X").variables == graph.variables


def test_subgraph_keeps_the_edges_inside() -> None:
    graph = CausalGraph.parse("W -> Z -> X -> Y; W <-> X; W <-> Y")
    assert graph.subgraph(["Y", "W", "X"]) == CausalGraph.parse("W; X -> Y; W <-> X; W <-> Y")


@pytest.mark.parametrize("name", NAMED)
def test_dictionaries_and_texts_round_trip(name: str) -> None:
    graph = CausalGraph.parse(NAMED[name])
    assert CausalGraph.from_dict(graph.to_dict()) == graph
    assert CausalGraph.from_dict(graph.to_dict()).variables == graph.variables
    assert CausalGraph.parse(str(graph)) == graph


def test_dictionaries_with_other_keys_are_refused() -> None:
    with pytest.raises(GraphError, match="unknown keys nodes"):
        CausalGraph.from_dict({"variables": [], "nodes": []})
    with pytest.raises(GraphError, match="no key 'variables'"):
        CausalGraph.from_dict({"directed": []})


def test_m_separation_agrees_with_d_separation_on_explicit_latents() -> None:
    open_pairs = blocked = 0
    for seed in range(800):
        rng = random.Random(seed)
        graph = random_admg(seed, rng.randint(2, 8), rng.uniform(0.1, 0.5), rng.uniform(0, 0.4))
        dag = with_latents(graph)
        for _ in range(5):
            role = {v: rng.choice("xyzz--") for v in graph.variables}
            x, y, z = ([v for v in graph.variables if role[v] == kind] for kind in "xyz")
            if x and y:
                expected = D_SEPARATED(dag, set(x), set(y), set(z))
                assert graph.m_separated(x, y, z) == expected
                open_pairs, blocked = open_pairs + (not expected), blocked + expected
    assert min(open_pairs, blocked) > 200


def test_m_separation_wants_disjoint_sets() -> None:
    graph = CausalGraph.parse("A -> B -> C")
    assert graph.m_separated("A", "C", "B")
    assert not graph.m_separated("A", ["B", "C"])
    with pytest.raises(GraphError, match="B is in two of the three sets"):
        graph.m_separated("A", ["B", "C"], given="B")


@pytest.mark.parametrize(
    ("whole", "keep", "projected"),
    [
        ("U -> X, Y; X -> Y", "XY", "X -> Y; X <-> Y"),
        ("U -> A, B, C, D", "ABCD", "A <-> B; A <-> C; A <-> D; B <-> C; B <-> D; C <-> D"),
        ("U1 -> U2 -> X; U1 -> Y", "XY", "X <-> Y"),
        ("X -> H1 -> H2 -> Y", "XY", "X -> Y"),
        ("X -> H -> Y, Z", "XYZ", "X -> Y; X -> Z; Y <-> Z"),
        ("X <-> H -> Y", "XY", "X <-> Y"),
        ("X -> H <-> Y", "XY", "X; Y"),
        ("X -> H <-> Y; H -> Z", "XYZ", "X -> Z; Y <-> Z"),
        ("H -> Y; H <-> Y; X -> Y", "XY", "X -> Y"),
    ],
)
def test_hidden_variables_are_projected(whole: str, keep: str, projected: str) -> None:
    assert CausalGraph.parse(whole).latent_projection(list(keep)) == CausalGraph.parse(projected)


def test_projection_keeps_ancestry_and_separation_among_what_is_kept() -> None:
    decided = 0
    for seed in range(150):
        rng = random.Random(seed)
        graph = random_admg(seed, rng.randint(4, 9), 0.35, 0.15)
        keep = rng.sample(graph.variables, rng.randint(2, 4))
        small = graph.latent_projection(keep)
        assert small.variables == tuple(v for v in graph.variables if v in keep)
        for v in keep:
            assert small.ancestors(v) == graph.ancestors(v) & set(keep)
        for a in keep:
            for b in keep:
                if a < b:
                    given = [v for v in keep if v not in (a, b) and rng.random() < 0.5]
                    assert small.m_separated(a, b, given) == graph.m_separated(a, b, given)
                    decided += 1
    assert decided > 300
