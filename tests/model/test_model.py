"""The model's structure: who reads what, what runs, and what is refused before anything runs."""

import pytest
import torch

import causalplug as cp
from causalplug.adapters.callable import CallableGenerator
from causalplug.dcm import DCM
from causalplug.encoders.encoders import ConvEncoder
from causalplug.errors import (
    DataError,
    FrozenConfounderError,
    MechanismError,
    UnknownVariableError,
    VariableError,
)
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.trainable.discrete import DiscreteMLP
from causalplug.noise import Noise, NoiseSpec
from causalplug.variables import Continuous, Discrete, Image

IMAGE = Image(1, 8, 8)
FRONT_DOOR = CausalGraph.parse("D -> I -> A; D <-> A")
VARIABLES = {"D": Discrete(2), "I": IMAGE, "A": Discrete(["red", "green", "blue"])}


def painter(calls=None, labels=("digit",), sizes=(2,)):
    def paint(codes, latent):
        if calls is not None:
            calls.append(len(codes))
        shade = (codes.sum(1) if codes.shape[1] else 0 * latent[:, 0]) / 4 + 0.1
        return torch.as_tensor(shade, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)

    return CallableGenerator(
        paint, IMAGE, [Label(n, k) for n, k in zip(labels, sizes, strict=True)], latent_shape=(2,)
    )


def test_values_have_the_declared_shapes_and_the_same_noise_gives_the_same_values():
    graph = CausalGraph.parse("D -> I -> A; D -> X -> A; D <-> X")
    dcm = DCM(graph, VARIABLES | {"X": Continuous()})
    first, second = dcm(Noise(6, seed=4)), dcm(Noise(6, seed=4))
    assert list(first) == list(graph.variables)
    assert {n: tuple(v.shape) for n, v in first.items()} == {
        "D": (6,),
        "I": (6, 1, 8, 8),
        "A": (6,),
        "X": (6,),
    }
    assert all(torch.equal(first[n], second[n]) for n in first)
    assert first["I"].detach().min() >= IMAGE.low
    assert first["I"].detach().max() <= IMAGE.high


def test_rows_do_not_depend_on_the_rows_beside_them():
    dcm = DCM(CausalGraph.parse("D -> I -> A; D -> X; D <-> A"), VARIABLES | {"X": Continuous()})
    whole, part = dcm(Noise(64, seed=1)), dcm(Noise(torch.tensor([5, 63]), seed=1))
    for name, value in part.items():
        assert torch.allclose(value.float(), whole[name][[5, 63]].float(), atol=1e-5)


def test_only_the_ancestors_of_what_is_asked_for_run():
    calls = []
    dcm = DCM(FRONT_DOOR, VARIABLES, mechanisms={"I": painter(calls)})
    calls.clear()
    dcm(Noise(5), variables=["D"])
    dcm(Noise(5), {"I": torch.zeros(5, 1, 8, 8)}, variables=["A"])
    assert calls == []
    dcm(Noise(5), variables=["A"])
    assert calls == [5]


def test_an_intervention_changes_its_descendants_and_nothing_else():
    dcm = DCM(CausalGraph.parse("Z -> D -> A; D <-> A; Z -> W"), {n: Discrete(4) for n in "ZDAW"})
    noise = Noise(500, seed=0)
    before, after = dcm(noise), dcm(noise, {"D": torch.full((500,), 3)})
    assert (after["D"] == 3).all()
    assert torch.equal(before["Z"], after["Z"])
    assert torch.equal(before["W"], after["W"])
    unchanged = before["D"] == 3
    assert torch.equal(before["A"][unchanged], after["A"][unchanged])


def test_a_bidirected_edge_is_one_noise_at_both_its_ends():
    dcm = DCM(
        CausalGraph.parse("D -> A; D <-> A <-> B"),
        {n: Discrete(2) for n in "DAB"},
        confounder_size=3,
    )
    noise = Noise(4, seed=0)
    d, a, b = (dcm.confounder(name, noise) for name in "DAB")
    assert d.shape == b.shape == (4, 3)
    assert torch.equal(a, torch.cat([d, b], -1))


def test_own_weights_follow_the_seed_alone():
    torch.manual_seed(11)
    first = DCM(FRONT_DOOR, VARIABLES, seed=1).trained_tensors()
    torch.manual_seed(12)
    second = DCM(FRONT_DOOR, VARIABLES, seed=1).trained_tensors()
    other = DCM(FRONT_DOOR, VARIABLES, seed=2).trained_tensors()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_names_with_dots_and_spaces_are_names():
    graph = CausalGraph.from_edges([("lung cancer", "x.1")], [("lung cancer", "x.1")])
    dcm = DCM(graph, {"lung cancer": Discrete(2), "x.1": Continuous()})
    assert set(dcm(Noise(2))) == {"lung cancer", "x.1"}


def test_frozen_weights_need_no_gradient_and_are_not_counted_as_trained():
    dcm = DCM(
        FRONT_DOOR, VARIABLES, mechanisms={"I": painter()}, encoders={"I": ConvEncoder(IMAGE, 4)}
    )
    assert dcm.mechanism("A").network.parents == {"I": 4}
    assert not any("_mechanisms.I" in key for key in dcm.trained_tensors())


CONFOUNDED = CausalGraph.parse("D -> I; D <-> I")


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: DCM(CONFOUNDED, {"D": Discrete(2), "I": IMAGE}, mechanisms={"I": painter()}),
            FrozenConfounderError,
            "D <-> I|I <-> D",
        ),
        (lambda: DCM(FRONT_DOOR, {"D": Discrete(2)}), VariableError, "no declaration for I, A"),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES | {"Q": Discrete(2)}),
            VariableError,
            "Q not in the graph",
        ),
        (lambda: DCM(FRONT_DOOR, VARIABLES | {"D": 2}), VariableError, "D must be declared"),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES, mechanisms={"J": painter()}),
            UnknownVariableError,
            "'J'",
        ),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES, mechanisms={"I": 3}),
            MechanismError,
            "not a causalplug.Mechanism",
        ),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES, mechanisms={"I": painter(sizes=(10,))}),
            MechanismError,
            "label",
        ),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES, mechanisms={"I": painter(None, ("a", "b"), (2, 2))}),
            MechanismError,
            "label",
        ),
        (
            lambda: DCM(
                CausalGraph.parse("S, D -> I"),
                {"S": Discrete(2), "D": Discrete(2), "I": IMAGE},
                mechanisms={"I": painter(None, ("D", "S"), (2, 2))},
            ),
            MechanismError,
            "another order",
        ),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES | {"I": Image(3, 8, 8)}, mechanisms={"I": painter()}),
            MechanismError,
            "shape|transform",
        ),
        (
            lambda: DCM(
                FRONT_DOOR,
                VARIABLES,
                mechanisms={"D": DiscreteMLP(Discrete(2), {"A": Discrete(3)})},
            ),
            MechanismError,
            "from \\['A'\\]",
        ),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES, encoders={"D": ConvEncoder(IMAGE)}),
            MechanismError,
            "encoder of 'D'",
        ),
        (
            lambda: DCM(FRONT_DOOR, VARIABLES)(Noise(2), {"X": torch.zeros(2)}),
            UnknownVariableError,
            "'X'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_a_noise_spec_is_declared_for_all_that_a_mechanism_reads():
    dcm = DCM(FRONT_DOOR, VARIABLES)
    assert dcm.mechanism("D").noise == {"gumbel": NoiseSpec((2,), "gumbel")}
    assert set(dcm.own_noise("I", Noise(3))) == {"latent"}


def test_an_intervention_of_another_number_of_rows_is_refused():
    dcm = DCM(CausalGraph.parse("X -> Y"), {"X": Discrete(2), "Y": Discrete(2)})
    with pytest.raises(DataError, match=r"do\(X\) has 1 values for 3 rows"):
        dcm(Noise(3), {"X": torch.tensor([0])})


def test_a_model_is_printed_as_a_table_and_fetches_nothing():
    graph = cp.CausalGraph.parse("X -> Y; X <-> Y")
    dcm = cp.DCM(graph, {"X": cp.Discrete(2), "Y": cp.Continuous()})
    title, _, head, *rows = str(dcm).splitlines()
    assert title.startswith("DCM with 2 variables. Not trained")
    assert head.split()[:3] == ["variable", "kind", "parents"]
    assert [row.split()[0] for row in rows] == ["X", "Y"]
    assert repr(dcm) == "<DCM with 2 variables: X, Y>"
