"""The declared contract: names that are free, names that are refused, and what hooks are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import causalplug as cp
from causalplug.errors import ConvergenceWarning, MechanismError, PlanError
from causalplug.hub.part import Part
from causalplug.mechanisms.base import Mechanism
from causalplug.noise import NoiseSpec

IMAGE = cp.Image(1, 4, 4, low=-1.0, high=3.0)


class Line(cp.Mechanism):
    """A straight line with normal noise."""

    kind = "hooks-line"
    explicit = True

    def __init__(self):
        super().__init__()
        self.variable, self.parents = cp.Continuous(), ("X",)
        self.noise = {"n": NoiseSpec()}
        self.slope = nn.Parameter(torch.zeros(()))

    def forward(self, parents, noise, confounder=None):
        return self.slope * parents["X"] + noise["n"]

    def log_prob(self, value, parents, confounder=None):
        return torch.distributions.Normal(self.slope * parents["X"], 1.0).log_prob(value)


FREE = {
    "weights": lambda: nn.Parameter(torch.zeros(2)),
    "files": list,
    "pending": list,
    "complete": lambda: False,
    "network": lambda: nn.Linear(1, 1),
    "conditions": list,
    "label_map": dict,
    "name": lambda: "somebody",
    "bind": lambda: nn.Linear(1, 1),
    "repo_id": lambda: 3,
    "load_weights": lambda: None,
    "conditions_on": lambda: nn.Parameter(torch.zeros(())),
    "generator": lambda: nn.Linear(1, 1),
}


@pytest.mark.parametrize("name", FREE)
def test_names_that_are_not_declared_are_free(name, tmp_path):
    @cp.register_mechanism(f"hooks-free-{name}")
    class Own(Line):
        def __init__(self):
            super().__init__()
            setattr(self, name, FREE[name]())

        def config(self):
            return {}

    x = np.random.default_rng(0).normal(size=40)
    graph = cp.CausalGraph.parse("X -> Y")
    variables = {"X": cp.Continuous(), "Y": cp.Continuous()}
    dcm = cp.DCM(graph, variables, mechanisms={"Y": Own()})
    cp.fit(dcm, cp.DataSource({"X": x, "Y": 2 * x}), steps=3, progress=False, output_dir=tmp_path)
    assert float(dcm.mechanism("Y").slope.detach()) > 0
    dcm.mechanism("Y").save_pretrained(tmp_path / "saved")
    again = cp.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.slope, dcm.mechanism("Y").slope)


HOOKS = [
    name for name in vars(Mechanism) if not name.startswith("_") and callable(vars(Mechanism)[name])
] + ["saved_tensors", "saved_files", "load_saved"]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_cannot_be_set_to_something_else(name):
    made = Line()
    for value in (nn.Parameter(torch.zeros(2)), nn.Linear(1, 1), [1], torch.zeros(1), 3):
        with pytest.raises(
            MechanismError, match=f"reserved by causalplug.Mechanism.*{name}|{name}"
        ):
            setattr(made, name, value)
    with pytest.raises(MechanismError, match="reserved"):
        made.register_buffer(name, torch.zeros(1))
    with pytest.raises(MechanismError, match="reserved"):
        type("Wrong", (Line,), {name: 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("variable", nn.Linear(1, 1)),
        ("parents", "X"),
        ("noise", [NoiseSpec()]),
        ("explicit", nn.Parameter(torch.zeros(()))),
        ("frozen", "no"),
        ("license", 3),
        ("source", nn.Parameter(torch.zeros(()))),
        ("batch_cost", "cheap"),
    ],
)
def test_a_declared_attribute_has_its_type(name, value):
    with pytest.raises(MechanismError, match=f"{name} cannot be set to"):
        setattr(Line(), name, value)


def test_a_hook_that_takes_other_arguments_is_refused_when_the_class_is_made():
    with pytest.raises(MechanismError, match=r"log_prob\(value\) cannot be used.*Give|Take these"):
        type("Wrong", (Line,), {"log_prob": lambda self, value: value})
    with pytest.raises(MechanismError, match="standardise"):
        type("Wrong", (Line,), {"standardise": lambda self: None})


def test_a_method_may_be_replaced_by_a_function():
    made = Line()
    made.log_prob = lambda value, parents, confounder=None: value
    assert made.log_prob(3, {}) == 3


def test_encoders_have_the_same_contract():
    with pytest.raises(MechanismError, match=r"reserved by causalplug.Encoder"):
        cp.ConvEncoder(IMAGE).fit = nn.Linear(1, 1)
    assert issubclass(cp.Encoder, Part)


def test_logits_of_a_discrete_mechanism_follow_from_its_log_probabilities():
    class Coin(Line):
        def __init__(self):
            super().__init__()
            self.variable, self.noise = cp.Discrete(3), {"u": NoiseSpec((), "uniform")}

        def log_prob(self, value, parents, confounder=None):
            odds = torch.stack([0 * parents["X"], parents["X"], -parents["X"]], -1)
            return odds.log_softmax(-1).gather(-1, value.unsqueeze(-1)).squeeze(-1)

    x = torch.tensor([0.0, 1.0, 2.0])
    expected = torch.stack([0 * x, x, -x], -1).log_softmax(-1)
    assert torch.allclose(Coin().logits({"X": x}), expected)


@cp.register_mechanism("hooks-pixels")
class Pixels(cp.Mechanism):
    """Pixels about a level that depends on D; it keeps what it was shown."""

    explicit = True

    def __init__(self, parents=("D",), projections=True):
        super().__init__()
        self.variable, self.parents = IMAGE, tuple(parents)
        self.noise = {"n": NoiseSpec(IMAGE.event_shape)}
        self.level = nn.Parameter(torch.ones(2))
        self.seen, self.read, self.scaled_by = [], [], []
        self.reads_projections = projections

    def standardise(self, values):
        self.scaled_by.append(values)

    def forward(self, parents, noise, confounder=None):
        return (self.level[parents["D"]][:, None, None, None] + 0.3 * noise["n"]).clamp(-1, 3)

    def log_prob(self, value, parents, confounder=None):
        self.seen.append(value)
        self.read.append(parents)
        mean = self.level[parents["D"]][:, None, None, None]
        return torch.distributions.Normal(mean, 0.3).log_prob(value).sum((1, 2, 3))


def pictures(kind):
    rng = np.random.default_rng(0)
    d = rng.integers(2, size=400)
    level = np.where(d == 1, 2.0, 0.0)[:, None, None, None]
    values = np.clip(level + 0.3 * rng.normal(size=(400, 1, 4, 4)), -1, 3)
    if kind == "bytes":
        values = ((values + 1) / 4 * 255).round().astype(np.uint8)
    return d, values if kind == "bytes" else values.astype(np.float32)


@pytest.mark.parametrize("kind", ["bytes", "floats"])
@pytest.mark.parametrize("edges", ["D -> I", "D -> I; I -> A"])
def test_an_explicit_image_mechanism_sees_pixels_in_the_range(kind, edges):
    d, images = pictures(kind)
    graph = cp.CausalGraph.parse(edges)
    variables = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(2)}
    dcm = cp.DCM(
        graph, {name: variables[name] for name in graph.variables}, mechanisms={"I": Pixels()}
    )
    columns = {"D": d, "I": images, "A": d}
    source = cp.DataSource({name: columns[name] for name in graph.variables})
    cp.fit(dcm, source, objective="likelihood", steps=300, encoder_steps=5, progress=False)
    assert dcm.plan.module("I").objective == "likelihood"
    made = dcm.mechanism("I")
    for value in (*made.seen, *made.scaled_by):
        assert value.shape[1:] == (1, 4, 4)
        assert value.is_floating_point()
        assert -1 <= float(value.min()) < 0.2
        assert 1.8 < float(value.max()) <= 3
    assert np.allclose(made.level.detach(), [0.0, 2.0], atol=0.15)


def test_an_explicit_child_that_reads_pixels_gets_them():
    d, images = pictures("bytes")

    class Bright(Line):
        reads_projections = False

        def __init__(self):
            super().__init__()
            self.parents = ("I",)
            self.seen = []

        def log_prob(self, value, parents, confounder=None):
            self.seen.append(parents["I"])
            mean = self.slope * parents["I"].mean((1, 2, 3))
            return torch.distributions.Normal(mean, 1.0).log_prob(value)

        def forward(self, parents, noise, confounder=None):
            self.seen.append(parents["I"])
            return self.slope * parents["I"].mean((1, 2, 3)) + noise["n"]

    graph = cp.CausalGraph.parse("D -> I; I -> A, Y")
    variables = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(2), "Y": cp.Continuous()}
    dcm = cp.DCM(graph, variables, mechanisms={"I": Pixels(), "Y": Bright()})
    source = cp.DataSource({"D": d, "I": images, "A": d, "Y": 2.0 * d})
    with pytest.warns(ConvergenceWarning):
        cp.fit(dcm, source, objective="likelihood", steps=5, encoder_steps=5, progress=False)
    dcm.sample(5, do={"I": images[0]}, variables=["Y"], seed=0)
    for value in dcm.mechanism("Y").seen:
        assert value.shape[1:] == (1, 4, 4)
        assert value.is_floating_point()
        assert float(value.max()) <= 3


def test_planner_and_trainer_agree_on_the_likelihood():
    graph = cp.CausalGraph.parse("X <-> I; X -> A")
    kinds = {"X": "discrete", "I": "image", "A": "discrete"}
    with pytest.raises(PlanError, match="confounded image has no explicit density"):
        cp.plan(graph, objective="likelihood", kinds=kinds)
    variables = {"X": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(2)}
    d, images = pictures("floats")
    source = cp.DataSource({"X": d, "I": images, "A": d})
    with pytest.raises(PlanError, match="confounded image has no explicit density"):
        cp.fit(cp.DCM(graph, variables), source, objective="likelihood", progress=False)
    made = cp.plan(graph, objective="likelihood", kinds=kinds, explicit={"I": True})
    assert {m.objective for m in made.modules} == {"likelihood"}
    plain = cp.CausalGraph.parse("X -> I")
    alone = cp.plan(plain, objective="likelihood", kinds={"X": "discrete", "I": "image"})
    assert [m.objective for m in alone.modules] == ["likelihood", "adversarial"]
