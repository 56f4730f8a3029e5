"""Networks that cannot be wrapped as they are, and those that only look so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import causalplug as cp
from causalplug.errors import LabelMapError, MechanismError, RepositoryError

IMAGE = cp.Image(1, 4, 4)
NUMBER = cp.Continuous()


def condition(kind: cp.Variable = NUMBER) -> list[cp.Condition]:
    return [cp.Condition("x", kind)]


class Bright(nn.Module):
    """Pixels from a latent, with one statement put in before."""

    def __init__(self, first=None, last=None):
        super().__init__()
        self.layer = nn.Linear(4, 16)
        self.register_buffer("calls", torch.zeros(()))
        self.first, self.last = first, last

    def forward(self, z):
        if self.first is not None:
            self.first(self, z)
        made = torch.sigmoid(self.layer(z)).view(-1, 1, 4, 4)
        return made if self.last is None else self.last(made)


def doubled(network, z):
    z.mul_(2)


def counted(network, z):
    network.calls += 1


REFUSED = {
    "two outputs": (lambda: Bright(last=lambda made: (made, made)), "gives a tuple"),
    "a dictionary": (lambda: Bright(last=lambda made: {"image": made}), "gives a dict"),
    "one image for all": (lambda: Bright(last=lambda made: made.mean(0)), "shape|rows"),
    "the batch's mean": (lambda: Bright(last=lambda made: made - made.mean(0) / 9), "rows beside"),
    "its input changed": (lambda: Bright(first=doubled), "changes its input 'latent' in place"),
    "a state of its own": (lambda: Bright(first=counted), "changes its own state"),
    "noise of its own": (lambda: Bright(last=lambda m: m * torch.rand(())), "other values"),
    "complex numbers": (lambda: Bright(last=lambda made: made.to(torch.complex64)), "complex"),
    "a program": (lambda: torch.jit.script(nn.Linear(4, 16)), "TorchScript program"),
    "lazy layers": (lambda: nn.LazyLinear(16), "no weights yet"),
    "no values": (lambda: nn.Linear(4, 16, device="meta"), "no values"),
    "a batch alone": (
        lambda: nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16, track_running_stats=False)),
        "not on one alone",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_wrapped_is_refused_with_the_reason(what: str) -> None:
    make, said = REFUSED[what]
    variable = IMAGE
    if isinstance(make(), nn.Sequential | nn.Linear | torch.jit.ScriptModule):
        variable = cp.Vector(16)
    with pytest.raises(MechanismError, match=said):
        cp.wrap(make(), variable, latent=4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("variable", "image"),
        ("variable", cp.Discrete),
        ("latent", "4"),
        ("latent", 4.5),
        ("latent", True),
        ("latent", (2, 0)),
        ("conditions", cp.Condition("x", NUMBER)),
        ("conditions", ["x"]),
        ("conditions", {"x": NUMBER}),
        ("reads", ["x"]),
        ("license", 3),
        ("output", "prob"),
    ],
)
def test_a_wrong_argument_is_named(name: str, value: object) -> None:
    arguments = {"variable": cp.Vector(2), "latent": 4} | {name: value}
    with pytest.raises(MechanismError, match=f"{name}=.* cannot be used by wrap"):
        cp.wrap(nn.Linear(4, 2), **arguments)


def test_reads_must_name_a_condition() -> None:
    with pytest.raises(LabelMapError, match="has no condition 'y'"):
        cp.wrap(nn.Linear(1, 2), cp.Vector(2), conditions=condition(), reads={"y": "X"})


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_run_in_that_of_torch(kind: torch.dtype) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh()).to(kind)
    made = cp.wrap(network, cp.Vector(3), latent=4)
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    found = made({}, {"latent": z})
    assert found.dtype == torch.float32
    layer = network[0]
    truth = torch.tanh(z.double() @ layer.weight.double().T + layer.bias.double())
    assert torch.allclose(found.double(), truth, atol=1e-6)
    assert layer.weight.dtype == kind  # the network given stays as it is


def test_changes_in_place_of_its_own_values_are_written_without(tmp_path: Path) -> None:
    """The usual generator: ReLU(inplace=True) and normalisation."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(4, 32),
        nn.Unflatten(1, (8, 2, 2)),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(8, 1, 2, 2),
        nn.Dropout(0.5),
        nn.Sigmoid(),
    )
    made = cp.wrap(network, IMAGE, latent=4)
    z = torch.randn(6, 4)
    with torch.no_grad():
        assert torch.allclose(made({}, {"latent": z}), network.eval()(z), atol=1e-6)
    made.save_pretrained(tmp_path / "saved")
    assert torch.equal(
        cp.from_pretrained(tmp_path / "saved")({}, {"latent": z}), made({}, {"latent": z})
    )


def test_whole_numbers_become_floats() -> None:
    class Sign(nn.Module):
        def forward(self, x):
            return (x > 0).long()

    made = cp.wrap(Sign(), NUMBER, conditions=condition())
    assert made({"x": torch.tensor([-1.0, 2.0])}, {}).tolist() == [0.0, 1.0]
    assert made({"x": torch.tensor([-1.0, 2.0])}, {}).is_floating_point()


def test_a_sigmoid_is_neither_logits_nor_probabilities() -> None:
    shares = nn.Sequential(nn.Linear(1, 2), nn.Sigmoid())
    with pytest.raises(MechanismError, match="end in a sigmoid"):
        cp.wrap(shares, cp.Discrete(2), conditions=condition())
    made = cp.wrap(shares, cp.Discrete(2), conditions=condition(), output="logits")
    x = torch.tensor([0.3])
    truth = torch.log_softmax(shares(x.view(1, 1)), -1)
    assert torch.allclose(made.logits({"x": x}), truth, atol=1e-6)


def test_scores_that_are_called_probabilities_have_to_be() -> None:
    with pytest.raises(MechanismError, match="do not sum to 1"):
        cp.wrap(nn.Linear(1, 2), cp.Discrete(2), conditions=condition(), output="probabilities")


def test_counts_are_read_as_numbers() -> None:
    bound = cp.wrap(nn.Linear(1, 1), NUMBER, conditions=condition()).bind(
        "Y", NUMBER, {"N": cp.Count()}
    )
    layer = bound.network
    one, two = bound({"N": torch.tensor([1, 3])}, {}).tolist()
    middle = bound({"N": torch.tensor([2])}, {}).item()
    assert layer is not None
    assert np.isclose(middle, (one + two) / 2, atol=1e-6)


class Shown(nn.Module):
    """The one-hot row of a digit."""

    def forward(self, digit):
        return nn.functional.one_hot(digit, 10).float()


@pytest.mark.parametrize(
    ("through", "said"),
    [
        ({"a": 3, "b": 4, "c": 5}, "entry for 'c', which is not a category"),
        ({"a": 3}, "no entry for 'b'"),
        (lambda value: value / 2, "fails on 'a' .TypeError"),
        (lambda value: [1], "does not know"),
        (5, "mapped to its condition 'digit' by 5"),
    ],
)
def test_a_map_of_values_that_does_not_fit_is_refused(through: object, said: str) -> None:
    shown = cp.wrap(Shown(), cp.Vector(10), conditions=[cp.Condition("digit", cp.Discrete(10))])
    parents = {"D": cp.Discrete(["a", "b"])}
    with pytest.raises(LabelMapError, match=said):
        shown.bind("V", cp.Vector(10), parents, {"digit": ("D", through)})


@pytest.mark.parametrize(
    ("categories", "read"),
    [([7, 2, 9, 0], [7, 2, 9, 0]), ([True, False], [1, 0]), ([1.0, 2.0], [1, 2])],
)
def test_values_are_matched_by_what_they_are(categories: list, read: list) -> None:
    shown = cp.wrap(Shown(), cp.Vector(10), conditions=[cp.Condition("digit", cp.Discrete(10))])
    bound = shown.bind("V", cp.Vector(10), {"D": cp.Discrete(categories)})
    assert bound({"D": torch.arange(len(categories))}, {}).argmax(-1).tolist() == read


def test_numbers_outside_of_the_declared_interval_are_an_error() -> None:
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(0.0)
        network.bias.fill_(5.0)
    made = cp.wrap(network, NUMBER, conditions=condition())
    graph = cp.CausalGraph.parse("x -> Y")
    wide = cp.DCM(graph, {"x": NUMBER, "Y": cp.Continuous(low=0, high=5)}, mechanisms={"Y": made})
    assert (wide.sample(3, seed=0)["Y"] == 5.0).all()
    dcm = cp.DCM(graph, {"x": NUMBER, "Y": cp.Continuous(low=0, high=1)}, mechanisms={"Y": made})
    with pytest.raises(MechanismError, match=r"'Y' gives numbers from 5 to 5, .* in \[0, 1\]"):
        dcm.sample(3, seed=0)


def test_a_network_may_take_any_number_of_arguments_and_be_given_one() -> None:
    class Any(nn.Module):
        def forward(self, x, *others):
            return x + sum(others)

    made = cp.wrap(Any(), NUMBER, conditions=condition())
    assert made({"x": torch.tensor([2.0])}, {}).tolist() == [2.0]


def test_arguments_may_be_called_as_they_like() -> None:
    """Capitals, other letters and names that differ by case alone."""

    class Named(nn.Module):
        def forward(self, *, D, d, größe, latent):
            return latent[:, 0] + 10 * D + 100 * d + 1000 * größe

    names = ["größe", "d", "D"]
    made = cp.wrap(
        Named(), NUMBER, conditions=[cp.Condition(name, NUMBER) for name in names], latent=1
    )
    given = {name: torch.tensor([float(place)]) for place, name in enumerate(names, start=1)}
    assert made(given, {"latent": torch.tensor([[0.5]])}).tolist() == [1230.5]


@pytest.mark.parametrize("what", ["step", "output"])
def test_steps_that_read_what_is_not_there_are_refused_when_they_are_loaded(
    what: str, tmp_path: Path
) -> None:
    cp.wrap(nn.Linear(2, 2), cp.Vector(2), latent=2).save_pretrained(tmp_path / "saved")
    place = tmp_path / "saved" / "config.json"
    text = json.loads(place.read_text())
    network = text["config"]["network"]
    if what == "step":
        network["steps"][0]["args"][0] = {"step": "elsewhere"}
    else:
        network["output"] = "elsewhere"
    place.write_text(json.dumps(text))
    with pytest.raises(RepositoryError, match="'elsewhere'"):
        cp.from_pretrained(tmp_path / "saved")


def test_a_wrapped_network_is_not_printed_as_one_without_weights():
    made = cp.wrap(nn.Linear(1, 1), NUMBER, conditions=condition())
    dcm = cp.DCM(cp.CausalGraph.parse("x -> y"), {"x": NUMBER, "y": NUMBER}, mechanisms={"y": made})
    assert "WrappedModule" in str(dcm)
    assert " 0 weights" not in str(dcm)
