"""Frozen mechanisms of every kind: conditions matched by name and value, networks wrapped, saved
without code, trained around."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import causalplug as cp
from causalplug.errors import LabelMapError, MechanismError
from causalplug.mechanisms.frozen.condition import Condition, match_conditions
from causalplug.mechanisms.frozen.exported import ExportedNetwork
from causalplug.noise import Noise
from tests.counting import calls

DIGIT = Condition("digit", cp.Discrete(10))


def seeded(build):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().eval()


class Painter(nn.Module):
    """A small conditional generator, with layers that real ones have."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.start = nn.Linear(12, 32)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1)

    def forward(self, z, digit):
        hidden = torch.relu(self.start(torch.cat([z, self.embed(digit)], -1)))
        return torch.sigmoid(self.up(self.norm(hidden.view(-1, 8, 2, 2))))


class Scores(nn.Module):
    """Linear scores of three categories, from an image."""

    def __init__(self):
        super().__init__()
        self.read = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))

    def forward(self, picture):
        return self.read(picture)


# -- conditions


def reading(condition, parent, variable, reads=None):
    return match_conditions("V", [condition], {parent: variable}, reads)[0]


@pytest.mark.parametrize(
    "labels", [[7, 2, 9, 0], list(range(9, -1, -1)), [np.int64(3).item(), 1]], ids=str
)
def test_values_are_matched_by_what_they_are(labels):
    variable = cp.Discrete(labels)
    found = reading(DIGIT, "D", variable)
    assert found(variable.encode(labels)).tolist() == labels
    hot = torch.nn.functional.one_hot(torch.arange(len(labels)), len(labels)).float()
    assert found(hot).argmax(-1).tolist() == labels


def test_truth_values_are_zero_and_one():
    binary = Condition("smiles", cp.Discrete([0, 1]))
    variable = cp.Discrete([True, False])
    assert reading(binary, "S", variable)(variable.encode([True, False])).tolist() == [1, 0]
    other = Condition("smiles", cp.Discrete([True, False]))
    assert reading(other, "S", cp.Discrete(2))(torch.tensor([0, 1])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("condition", "variable", "message"),
    [
        (DIGIT, cp.Discrete([7, 12]), "does not know 12 of 'D'"),
        (DIGIT, cp.Discrete(["7", "2"]), "does not know '7', '2'"),
        (DIGIT, cp.Continuous(), "reads 10 categories, 0 to 9, and 'D' is number"),
        (Condition("age", cp.Continuous()), cp.Discrete(["old", "young"]), "names as categories"),
        (Condition("v", cp.Vector(3)), cp.Vector(2), "vector of 3 numbers, and 'D' is vector of 2"),
        (Condition("i", cp.Image(1, 4, 4)), cp.Image(3, 4, 4), "image, 1 x 4 x 4"),
    ],
)
def test_values_that_do_not_agree_are_refused(condition, variable, message):
    with pytest.raises(LabelMapError, match=message):
        reading(condition, "D", variable)


def test_numbers_categories_and_ranges_are_read_by_value():
    age = Condition("age", cp.Continuous())
    dose = cp.Discrete([20, 5, 10])
    assert reading(age, "dose", dose)(dose.encode([5, 10, 20])).tolist() == [5.0, 10.0, 20.0]
    assert reading(age, "n", cp.Count())(torch.tensor([3.0])).tolist() == [3.0]
    image = Condition("i", cp.Image(1, 1, 1, low=-1.0))
    assert reading(image, "I", cp.Image(1, 1, 1))(torch.full((1, 1, 1, 1), 0.75)).item() == 0.5
    assert reading(image, "I", cp.Image(1, 1, 1))(
        torch.full((1, 1, 1, 1), 255, dtype=torch.uint8)
    ).item() == pytest.approx(1.0)


def test_conditions_find_their_parents_by_name_and_in_no_order():
    conditions = [Condition("b", cp.Discrete(2)), Condition("a", cp.Discrete(3))]
    found = match_conditions("V", conditions, {"a": cp.Discrete(3), "b": cp.Discrete(2)})
    assert [(r.condition.name, r.parent) for r in found] == [("b", "b"), ("a", "a")]
    table = {"x": 1, "y": 0}
    found = match_conditions(
        "V", conditions, {"a": cp.Discrete(3), "Z": cp.Discrete(["x", "y"])}, {"b": ("Z", table)}
    )
    assert found[0](torch.tensor([0, 1])).tolist() == [1, 0]
    for reads, message in (
        ({"c": "a"}, "no condition 'c'"),
        ({"b": "Q"}, "'Q', from which"),
        ({"b": 3}, "is read from 3"),
        ({"b": ("Z", {"x": 1})}, "no entry for 'y'"),
        ({"b": ("Z", 3)}, "Give a table or a function"),
    ):
        with pytest.raises(LabelMapError, match=message):
            match_conditions(
                "V", conditions, {"a": cp.Discrete(3), "Z": cp.Discrete(["x", "y"])}, reads
            )
    with pytest.raises(LabelMapError, match="nothing reads the parent c"):
        match_conditions(
            "V", conditions, {"a": cp.Discrete(3), "b": cp.Discrete(2), "c": cp.Discrete(2)}
        )
    with pytest.raises(LabelMapError, match="no parent is read as b"):
        match_conditions("V", conditions, {"a": cp.Discrete(3)})


class Sum(nn.Module):
    """One number from many conditions."""

    def forward(self, *given):
        return torch.stack([value.float() for value in given]).sum(0)


def test_forty_binary_conditions_cost_forty_conditions():
    cost = {}
    for count in (10, 40):
        names = [f"x{i:02}" for i in range(count)]
        made = cp.wrap(
            Sum(), cp.Continuous(), conditions=[Condition(n, cp.Discrete(2)) for n in names]
        )
        declared = {n: cp.Discrete([1, 0]) for n in reversed(names)}
        parents = {name: torch.zeros(1000, dtype=torch.int64) for name in names}
        bound = made.bind("V", cp.Continuous(), declared)
        assert bound(parents, {}).unique().tolist() == [count]
        assert sum(r.table.numel() for r in bound.readings) == 2 * count
        cost[count] = calls(
            lambda m=made, d=declared, p=parents: m.bind("V", cp.Continuous(), d)(p, {})
        )
    assert cost[40] < 5 * cost[10]  # 2 ** 30 times as many combinations


# -- networks of one's own


def test_a_generator_is_wrapped_bound_by_value_and_saved_without_code(tmp_path):
    network = seeded(Painter)
    made = cp.wrap(network, cp.Image(1, 4, 4), conditions=[DIGIT], latent=8)
    graph = cp.CausalGraph.parse("D -> I")
    variables = {"D": cp.Discrete([7, 2]), "I": cp.Image(1, 4, 4, low=-1.0, high=1.0)}
    dcm = cp.DCM(graph, variables, mechanisms={"I": made})
    noise = Noise(6, seed=1)
    values = dcm(noise)
    latent = noise.draw("I/latent", made.noise["latent"])
    digits = torch.tensor([7, 2])[values["D"]]
    with torch.no_grad():
        assert torch.allclose(values["I"], 2 * network(latent, digits) - 1, atol=1e-5)
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert torch.equal(again(noise)["I"], values["I"])
    assert again.mechanism("I").frozen
    assert not any(p.requires_grad for p in again.mechanism("I").parameters())
    assert {f.suffix for f in (tmp_path / "model").iterdir()} == {".json", ".safetensors", ".md"}
    made.save_pretrained(tmp_path / "alone")
    alone = cp.from_pretrained(tmp_path / "alone")
    other = cp.DCM(graph, variables, mechanisms={"I": alone})
    other.save_pretrained(tmp_path / "refers")
    third = cp.from_pretrained(tmp_path / "refers")
    third.load_trained(dcm.trained_tensors() if False else other.trained_tensors())
    assert torch.equal(third(noise)["I"], other(noise)["I"])


def test_a_classifier_is_explicit_and_its_categories_are_matched():
    network = seeded(Scores)
    kinds = cp.Discrete(["cat", "dog", "fox"])
    picture = Condition("picture", cp.Image(1, 4, 4))
    made = cp.wrap(network, kinds, conditions=[picture])
    bound = made.bind("Y", cp.Discrete(["fox", "cow", "cat", "dog"]), {"I": cp.Image(1, 4, 4)})
    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    own = torch.log_softmax(network(images), -1)
    found = bound.logits({"I": images})
    assert torch.allclose(found[:, [2, 3, 0]], own, atol=1e-6)
    assert bool((found[:, 1] == -torch.inf).all())
    gumbel = Noise(5, 0).draw("g", bound.noise["gumbel"])
    drawn = bound({"I": images}, {"gumbel": gumbel})
    assert torch.equal(drawn, (found + gumbel).argmax(-1))
    assert torch.allclose(
        bound.log_prob(drawn, {"I": images}), found.gather(-1, drawn[:, None])[:, 0]
    )
    with pytest.raises(MechanismError, match="it gives 'cat'"):
        made.bind("Y", cp.Discrete(["dog", "fox"]), {"I": cp.Image(1, 4, 4)})
    soft = cp.wrap(nn.Sequential(network, nn.Softmax(-1)), kinds, conditions=[picture])
    assert soft.output == "probabilities"
    assert torch.allclose(soft.logits({"picture": images}), own, atol=1e-4)


def test_a_module_is_trained_around_a_frozen_classifier_of_numbers():
    """X -> V -> Y with V read off X by a frozen network: the effect is that of the closed form."""

    class Logit(nn.Module):
        def forward(self, x):
            return torch.stack([0 * x, 2 * x - 1], -1)

    frozen = cp.wrap(Logit(), cp.Discrete(2), conditions=[Condition("x", cp.Continuous())])
    rng = np.random.default_rng(0)
    n = 6000
    u = rng.normal(size=n)
    x = u + rng.normal(size=n)
    v = (rng.random(n) < 1 / (1 + np.exp(1 - 2 * x))).astype(int)
    y = (rng.random(n) < 1 / (1 + np.exp(-(2 * v + u - 1)))).astype(int)
    graph = cp.CausalGraph.parse("x -> V -> Y; x <-> Y")
    variables = {"x": cp.Continuous(), "V": cp.Discrete(2), "Y": cp.Discrete(2)}
    dcm = cp.DCM(graph, variables, mechanisms={"V": frozen})
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    source = cp.DataSource({"x": x, "V": v, "Y": y})
    cp.fit(dcm, source, objective="likelihood", steps=250, progress=False)
    assert dcm.plan.module("V").action == "pull"
    assert all(torch.equal(before[k], t) for k, t in dcm.mechanism("V").state_dict().items())
    big = np.random.default_rng(1).normal(size=400_000)
    for value in (0, 1):
        right = (1 / (1 + np.exp(-(2 * value + big - 1)))).mean()
        found = dcm.sample(40_000, do={"V": value}, variables=["Y"], seed=0)["Y"].mean()
        assert abs(found - right) < 0.04


def test_a_regressor_with_an_error_has_a_density():
    network = seeded(lambda: nn.Linear(2, 1))
    conditions = [Condition("v", cp.Vector(2))]
    made = cp.wrap(network, cp.Continuous(), conditions=conditions, error=0.5)
    rows = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    mean = network(rows).detach().squeeze(-1)
    value = torch.linspace(-1, 1, 4)
    expected = torch.distributions.Normal(mean, 0.5).log_prob(value)
    assert torch.allclose(made.log_prob(value, {"v": rows}), expected, atol=1e-6)
    noise = torch.tensor([1.0, -1.0, 0.0, 2.0])
    assert torch.allclose(made({"v": rows}, {"error": noise}), mean + 0.5 * noise, atol=1e-6)
    plain = cp.wrap(network, cp.Continuous(), conditions=conditions)
    assert not plain.explicit


def test_gradients_reach_a_number_through_a_wrapped_network():
    made = cp.wrap(nn.Linear(1, 1), cp.Continuous(), conditions=[Condition("x", cp.Continuous())])
    assert made.forms == {"x": "column"}
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    made({"x": x}, {}).sum().backward()
    weight = made({"x": torch.tensor([1.0])}, {}) - made({"x": torch.tensor([0.0])}, {})
    assert torch.allclose(x.grad, weight.detach().flatten().expand(2), atol=1e-6)


class Dropped(nn.Module):
    def forward(self, z):
        return z + torch.rand_like(z)


class Batch(nn.Module):
    def forward(self, z):
        return z - z.mean(0)


class Branch(nn.Module):
    def forward(self, z):
        return z if bool(z.sum() > 0) else -z


class Two(nn.Module):
    def forward(self, z):
        return z, z


@pytest.mark.parametrize(
    ("network", "variable", "options", "message"),
    [
        (nn.Linear(3, 2), cp.Vector(4), {"latent": 3}, r"values of shape \[2\] per row"),
        (nn.Linear(3, 2), cp.Vector(2), {"latent": 4}, "does not run on latent"),
        (nn.Linear(3, 2), cp.Vector(2), {}, "does not run on no inputs"),
        (nn.Linear(3, 2), cp.Discrete(2), {"latent": 3}, "must not depend on a latent"),
        (nn.Linear(3, 16), cp.Image(1, 4, 4), {"latent": 3}, r"values of shape \[16\]"),
        (Dropped(), cp.Vector(3), {"latent": 3}, "other values for the same inputs"),
        (Batch(), cp.Vector(3), {"latent": 3}, "rows beside it"),
        (Branch(), cp.Vector(3), {"latent": 3}, "cannot be saved without its code|rows beside"),
        (Two(), cp.Vector(3), {"latent": 3}, "gives a tuple"),
        (nn.Linear(3, 1), cp.Count(), {"latent": 3}, "as the mechanism of count"),
        (nn.Linear(3, 2), cp.Vector(2), {"latent": 0}, "give a size, such as 100"),
        (nn.Linear(3, 1), cp.Continuous(), {"latent": 3, "error": -1.0}, "standard deviation"),
    ],
)
def test_networks_that_cannot_be_wrapped_are_refused_at_once(network, variable, options, message):
    with pytest.raises(MechanismError, match=message):
        cp.wrap(network, variable, **options)


def test_pixels_outside_the_range_are_refused_with_the_range():
    network = nn.Sequential(nn.Linear(3, 16), nn.Unflatten(1, (1, 4, 4)))
    nn.init.constant_(network[0].bias, -3.0)
    with pytest.raises(MechanismError, match="Declare the range"):
        cp.wrap(network, cp.Image(1, 4, 4), latent=3)


@pytest.mark.parametrize(
    "name",
    [
        "aten:from_file.default",
        "aten:add_.Tensor",
        "prims:add.default",
        "number:eval",
        "aten:nothing.default",
        "os:system.default",
        "aten:__class__.default",
    ],
)
def test_a_file_can_name_nothing_that_does_more_than_compute(name):
    steps = {
        "inputs": ["z"],
        "tensors": [],
        "steps": [{"name": "a", "op": name, "args": [{"step": "z"}], "kwargs": {}}],
        "output": "a",
    }
    with pytest.raises(MechanismError, match="not an operator that only computes"):
        ExportedNetwork(json.loads(json.dumps(steps)), {})


# -- vectors


def test_a_flow_learns_vectors_and_recovers_their_noise(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(2, size=3000)
    mixing = np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 1]])
    vectors = rng.normal(size=(3000, 3)) @ mixing + 2 * x[:, None]
    y = (vectors[:, 0] > 1).astype(int)
    graph = cp.CausalGraph.parse("X -> V -> Y")
    variables = {"X": cp.Discrete(2), "V": cp.Vector(3), "Y": cp.Discrete(2)}
    dcm = cp.DCM(graph, variables)
    report = cp.fit(
        dcm, cp.DataSource({"X": x, "V": list(vectors), "Y": y}), steps=150, progress=False
    )
    assert {m.objective for m in report.modules} == {"likelihood"}
    drawn = np.stack(list(dcm.sample(6000, do={"X": 1}, variables=["V"], seed=0)["V"]))
    assert np.allclose(drawn.mean(0), 2, atol=0.15)
    assert np.allclose(np.cov(drawn.T), mixing.T @ mixing, atol=0.2)
    mechanism = dcm.mechanism("V")
    noise = {"normal": Noise(50, 0).draw("a", mechanism.noise["normal"])}
    parents = {"X": torch.arange(50) % 2}
    found = mechanism.abduct(mechanism(parents, noise), parents)
    assert torch.allclose(found["normal"], noise["normal"], atol=1e-3)
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    one, other = again.sample(5, seed=1), dcm.sample(5, seed=1)
    assert np.array_equal(np.stack(list(one["V"])), np.stack(list(other["V"])))
    done = dcm.sample(4, do={"V": [3.0, 0.0, 0.0]}, variables=["V", "Y"], seed=0)
    assert np.allclose(np.stack(list(done["V"])), [3.0, 0.0, 0.0])
    with pytest.raises(cp.errors.QueryError, match="vector"):
        dcm.estimate("E[V | do(X=1)]")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 3)), "one vector of 2 numbers per row"),
        ([[1.0, np.nan]], "missing"),
        ([[1.0, np.inf]], "not finite"),
        (np.array([[1.0, 2.0], None], dtype=object), "no value"),
        (np.array([["a", "b"]], dtype=object), "vectors of numbers"),
    ],
)
def test_what_is_no_vector_is_refused(values, message):
    with pytest.raises(cp.errors.DataError, match=message):
        cp.Vector(2).encode(values, "V")


def test_a_vector_needs_a_size():
    for size in (0, -1, 1.5, True, "3"):
        with pytest.raises(cp.errors.VariableError, match=r"size=.* cannot be used by Vector"):
            cp.Vector(size)
