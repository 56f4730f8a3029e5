"""Which confounder noises a model has, and who reads them."""

import itertools

import pytest
import torch

import causalplug as cp
from causalplug.errors import ConfounderWarning, MechanismError
from causalplug.mechanisms.trainable.discrete import DiscreteMLP

TRIANGLE = cp.CausalGraph.parse("A -> M -> C; A <-> B; B <-> C; A <-> C; C <-> D")
VARIABLES = {name: cp.Discrete(2) for name in TRIANGLE.variables}
COIN = cp.Discrete(2)
COPY = [[0.98, 0.02], [0.02, 0.98]]


def test_variables_of_a_triangle_share_one_noise():
    dcm = cp.DCM(TRIANGLE, VARIABLES)
    assert {frozenset(group) for group in dcm.confounders.groups} == {
        frozenset("ABC"),
        frozenset("CD"),
    }
    assert dcm.confounder_keys("A") == dcm.confounder_keys("B") == ("A<->B<->C",)
    assert dcm.confounder_keys("C") == ("A<->B<->C", "C<->D")
    assert dcm.confounder("C", cp.Noise(4)).shape == (4, 4)
    assert dcm.confounder("M", cp.Noise(4)) is None


def test_noises_of_edges_on_demand():
    dcm = cp.DCM(TRIANGLE, VARIABLES, confounders="edges")
    assert dcm.confounder_keys("C") == ("A<->C", "B<->C", "C<->D")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("pairs", "'cliques' or 'edges'"),
        ([("A", "B", "C")], "no group holds C <-> D"),
        ([("A", "B", "C", "D")], "no edge A <-> D"),
        ([("A", "B", "C"), ("C", "E")], "'E' is no variable"),
        ([("A",)], "no group of two"),
        (["AB"], "no group of two"),
    ],
)
def test_groups_that_the_graph_does_not_allow_are_refused(groups, message):
    with pytest.raises(MechanismError, match=message):
        cp.DCM(TRIANGLE, VARIABLES, confounders=groups)


def test_too_many_cliques_are_said():
    names = [f"V{i}" for i in range(16)]
    edges = [
        (a, b) for a, b in itertools.combinations(names, 2) if int(a[1:]) // 2 != int(b[1:]) // 2
    ]
    graph = cp.CausalGraph.from_edges(directed=[], bidirected=edges, variables=names)
    with pytest.warns(ConfounderWarning, match="cannot be learned"):
        dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in names})
    assert len(dcm.confounders.groups) < 40


def test_a_mechanism_that_reads_another_number_is_refused():
    wrong = DiscreteMLP(COIN, {}, confounder_size=4)
    with pytest.raises(MechanismError, match=r"reads 4 numbers .* A<->B<->C"):
        cp.DCM(TRIANGLE, VARIABLES, mechanisms={"A": wrong})


def table(*groups):
    return cp.DiscreteTable(COIN, {}, COPY, confounders={key: [0.5, 0.5] for key in groups})


def test_tables_of_one_hidden_coin_agree():
    graph = cp.CausalGraph.parse("A <-> B; B <-> C; A <-> C")
    mechanisms = {name: table(("A", "B", "C")) for name in "ABC"}
    dcm = cp.DCM(graph, dict.fromkeys("ABC", COIN), mechanisms=mechanisms)
    drawn = dcm.sample(20_000, seed=0)
    same = ((drawn.A == drawn.B) & (drawn.B == drawn.C)).mean()
    assert same == pytest.approx(0.98**3 + 0.02**3, abs=0.01)


def test_tables_by_edges_lay_their_component_out_by_edges(tmp_path):
    graph = cp.CausalGraph.parse("A <-> B; B <-> C; A <-> C")
    by_edge = cp.DiscreteTable(COIN, {}, [COPY, COPY], confounders=[[0.5, 0.5], [0.5, 0.5]])
    dcm = cp.DCM(graph, dict.fromkeys("ABC", COIN), mechanisms={"A": by_edge})
    assert dcm.confounder_keys("B") == ("A<->B", "B<->C")
    loaded = cp.from_pretrained(dcm.save_pretrained(tmp_path / "dcm"))
    with torch.no_grad():
        assert torch.equal(dcm(cp.Noise(99))["B"], loaded(cp.Noise(99))["B"])


def test_two_ends_of_an_edge_read_a_noise_in_common():
    graph = cp.CausalGraph.parse("A <-> B; B <-> C; A <-> C")
    mechanisms = {"A": table(("A", "B", "C")), "B": table(("A", "B"))}
    with pytest.raises(MechanismError, match="'A' and 'B' cannot be used together"):
        cp.DCM(graph, dict.fromkeys("ABC", COIN), mechanisms=mechanisms)


def test_a_table_of_a_clique_is_saved_with_its_groups(tmp_path):
    graph = cp.CausalGraph.parse("A <-> B; B <-> C; A <-> C")
    mechanisms = {name: table(("A", "B", "C")) for name in "ABC"}
    dcm = cp.DCM(graph, dict.fromkeys("ABC", COIN), mechanisms=mechanisms)
    loaded = cp.from_pretrained(dcm.save_pretrained(tmp_path / "dcm"))
    with torch.no_grad():
        assert torch.equal(dcm(cp.Noise(99))["C"], loaded(cp.Noise(99))["C"])
