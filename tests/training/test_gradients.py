"""The generator loss's gradient where values are discrete: by enumeration, by the score function,
and through what is frozen.
"""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import MechanismError, PlanError
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism
from causalplug.mechanisms.frozen.smoothness import smooth_inputs
from causalplug.mechanisms.frozen.wrapped import WrappedModule
from causalplug.planning.joint import joint_plan
from causalplug.training.adversarial import RowGame
from causalplug.training.config import TrainingConfig
from causalplug.training.links import with_ways

GRAPH = cp.CausalGraph.parse(
    "X -> Y -> Z; X <-> Z"
)  # X and Z are trained through Y, which is frozen
VARIABLES = {"X": cp.Continuous(), "Y": cp.Discrete(3), "Z": cp.Discrete(2)}


def game_of(dcm, **settings):
    rng = torch.Generator().manual_seed(0)
    rows = {"X": torch.randn(128, generator=rng)}
    rows |= {name: torch.randint(VARIABLES[name].size, (128,), generator=rng) for name in "YZ"}
    encoded = cp.DataSource({name: value.numpy() for name, value in rows.items()}).encode(
        dcm.variables
    )
    target = cp.plan(GRAPH, [encoded.source], available={}).module("X").targets[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        game = RowGame(dcm, target, encoded, TrainingConfig(batch_size=128, **settings), banks={})
    with torch.no_grad():  # what X itself looks like is nothing to this critic
        game.critic.score[0].weight *= 3
        game.critic.score[0].weight[:, 0] = 0
    game.critic.requires_grad_(False)
    return game


def gradients(dcm, game, times):
    """``(times, parameters)`` of X and Z, projected on one direction each to be few."""
    parameters = [p for name in "XZ" for p in dcm.mechanism(name).parameters()]
    generator = torch.Generator().manual_seed(2)
    found = []
    for _ in range(times):
        dcm.zero_grad()
        game.generator_loss(generator, 1.0).backward()
        found.append(
            torch.stack(
                [p.grad.sum() if p.grad is not None else torch.zeros(()) for p in parameters]
            )
        )
    return torch.stack(found)


@pytest.fixture(scope="module")
def model():
    dcm = cp.DCM(GRAPH, VARIABLES, seed=3)
    for parameter in dcm.mechanism("Y").parameters():
        parameter.requires_grad_(False)
    return dcm


def test_a_frozen_discrete_variable_passes_the_gradient_of_what_it_reads(model):
    """Critic -> Y (frozen, discrete) -> X (trained, continuous): without Y's probabilities
    nothing would arrive."""
    game = game_of(model, gradient="enumerate")
    assert game.roller.weighed == ["Y", "Z"]
    x = len(list(model.mechanism("X").parameters()))
    found = gradients(model, game, 30)[:, :x]
    assert (found.mean(0).abs() > 4 * found.std(0) / 30**0.5).any()


@pytest.mark.parametrize(("budget", "spread"), [(8, set()), (16, {"Z"})])
def test_the_score_function_estimates_the_enumerated_gradient(model, budget, spread):
    enumerated = gradients(model, game_of(model, gradient="enumerate"), 60)
    scored = game_of(model, gradient="rloo", max_enumeration=budget)
    assert scored.spread == spread
    drawn = gradients(model, scored, 150)
    error = (enumerated.var(0) / 60 + drawn.var(0) / 150).sqrt()
    assert ((enumerated.mean(0) - drawn.mean(0)).abs() <= 4 * error + 1e-6).all()


def test_what_reads_a_number_and_tells_no_probabilities_is_passed_by_the_score_function(
    model, monkeypatch
):
    """Y is a black box to training then; the truth is the gradient with its probabilities."""
    enumerated = gradients(model, game_of(model, gradient="enumerate"), 60)
    monkeypatch.setattr(model.mechanism("Y"), "explicit", False)
    black_box = game_of(model)
    assert (black_box.mode, black_box.roller.scored) == ("score", ["X"])
    drawn = gradients(model, black_box, 150)
    error = (enumerated.var(0) / 60 + drawn.var(0) / 150).sqrt()
    assert ((enumerated.mean(0) - drawn.mean(0)).abs() <= 4 * error + 1e-6).all()
    x = len(list(model.mechanism("X").parameters()))
    assert (enumerated.mean(0)[:x].abs() > 4 * enumerated.std(0)[:x] / 60**0.5).any()


@pytest.mark.parametrize("setting", ["enumerate", "straight-through"])
def test_numbers_before_a_black_box_are_neither_enumerated_nor_relaxed(model, monkeypatch, setting):
    monkeypatch.setattr(model.mechanism("Y"), "explicit", False)
    with pytest.raises(
        PlanError,
        match=f"gradient='{setting}' cannot be used: no gradient passes what reads the values of X",
    ):
        game_of(model, gradient=setting)


def test_a_gradient_that_would_be_lost_is_refused(model, monkeypatch):
    monkeypatch.setattr(model.mechanism("Y"), "explicit", False)
    monkeypatch.setattr(model.mechanism("X"), "explicit", False)
    with pytest.raises(PlanError, match="X cannot be trained through Y: no gradient passes"):
        game_of(model)


class Levels(torch.nn.Module):
    """A network that no gradient passes: one of three levels."""

    def forward(self, x):
        return (x > -0.5).float() + (x > 0.5).float()


class Curve(torch.nn.Module):
    """A network that gradients pass."""

    def forward(self, x):
        return torch.tanh(2 * x) + 0.3 * x


def model_around(network):
    """X, trained and not recorded, is read by a wrapped network, and Y reads that."""
    graph = cp.CausalGraph.parse("X -> G -> Y")
    variables = {"X": cp.Continuous(), "G": cp.Continuous(), "Y": cp.Discrete(2)}
    reads = [cp.Condition("X", cp.Continuous())]
    wrapped = cp.wrap(network, cp.Continuous(), conditions=reads)
    return cp.DCM(graph, variables, mechanisms={"G": wrapped}, seed=0)


def levels(count):
    """Rows of G and Y from an exact model: P(G) = .1, .2, .7."""
    rng = np.random.default_rng(0)
    level = rng.choice(3, p=[0.1, 0.2, 0.7], size=count)
    y = (rng.random(count) < np.array([0.2, 0.5, 0.9])[level]).astype(int)
    return {"G": level.astype(float), "Y": y}


def test_training_through_a_wrapped_black_box_recovers_the_truth():
    """Only the score function tells X, which no row records, what G has to look like."""
    dcm = model_around(Levels())
    trainer = cp.Trainer(
        dcm,
        [cp.DataSource(levels(2000))],
        config=cp.TrainingConfig(
            strategy="joint", steps=150, check_graph=False, check_overlap=False
        ),
        progress=False,
    )
    assert trainer.plan.module("X").gradients == {"G": "the score function of X"}
    said = "Gradients reach X+Y through G by the score function of X."
    assert said in str(trainer.plan)
    report = trainer.train()
    assert said in str(report)
    assert report.to_dict()["modules"][0]["gradients"] == {"G": "the score function of X"}
    drawn = dcm.sample(8000, variables=["G"], seed=1)["G"]
    shares = [float((drawn == level).mean()) for level in (0.0, 1.0, 2.0)]
    assert np.abs(np.array(shares) - [0.1, 0.2, 0.7]).sum() / 2 < 0.05


def around(network, **settings):
    """The game of (G, Y) with X above it, and its model."""
    dcm = model_around(network)
    rows = cp.DataSource(levels(128)).encode(dcm.variables)
    made = joint_plan(dcm.graph, [rows.source], frozen=dcm.pulled, kinds={})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = TrainingConfig(batch_size=128, **settings)
        game = RowGame(dcm, made.module("X").targets[0], rows, config, banks={})
    game.critic.requires_grad_(False)
    return dcm, game


def of_x(dcm, game, times):
    parameters = list(dcm.mechanism("X").parameters())
    generator = torch.Generator().manual_seed(2)
    found = []
    for _ in range(times):
        dcm.zero_grad()
        game.generator_loss(generator, 1.0).backward()
        found.append(torch.stack([p.grad.sum() for p in parameters]))
    return torch.stack(found)


def test_the_score_function_of_a_number_estimates_the_gradient_through_the_network(monkeypatch):
    dcm, game = around(Curve())
    assert game.roller.scored == []
    assert with_ways_of(dcm) == {"G": "the network from X"}
    through = of_x(dcm, game, 60)
    monkeypatch.setattr(WrappedModule, "passes_gradient", lambda self, parent: False)
    scored_dcm, scored_game = around(Curve())
    assert scored_game.roller.scored == ["X"]
    drawn = of_x(scored_dcm, scored_game, 300)
    error = (through.var(0) / 60 + drawn.var(0) / 300).sqrt()
    assert ((through.mean(0) - drawn.mean(0)).abs() <= 4 * error + 1e-6).all()
    assert (through.mean(0).abs() > 4 * through.std(0) / 60**0.5).any()


def with_ways_of(dcm):
    rows = cp.DataSource(levels(128)).encode(dcm.variables)
    made = joint_plan(dcm.graph, [rows.source], frozen=dcm.pulled, kinds={})
    modules = with_ways(dcm, made.modules, TrainingConfig())
    return next(module.gradients for module in modules if module.action == "train")


class Numpy(ConditionalMechanism):
    """A mechanism of somebody's own that leaves torch, and does not say so."""

    def generate(self, conditions, noise):
        return torch.from_numpy(np.tanh(conditions["X"].detach().numpy()))


def test_a_mechanism_that_loses_gradients_without_saying_so_is_an_error():
    graph = cp.CausalGraph.parse("X -> G -> Y")
    variables = {"X": cp.Continuous(), "G": cp.Continuous(), "Y": cp.Discrete(2)}
    own = Numpy(cp.Continuous(), [cp.Condition("X", cp.Continuous())], {})
    dcm = cp.DCM(graph, variables, mechanisms={"G": own}, seed=0)
    settings = {"strategy": "joint", "steps": 2, "check_graph": False, "progress": False}
    with pytest.raises(MechanismError, match=r"lose the gradient of 'X'.*differentiable = False"):
        cp.fit(dcm, [cp.DataSource(levels(100))], **settings)
    own.differentiable = False
    dcm = cp.DCM(graph, variables, mechanisms={"G": own}, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = cp.fit(dcm, [cp.DataSource(levels(100))], **settings)
    assert report.modules[0].gradients == {"G": "the score function of X"}


def test_a_keyword_is_not_taken_for_what_it_is_given():
    """Older releases of torch write a change of type as ``_to_copy(x, dtype=…)``."""
    copied = {"op": "aten:_to_copy.default", "args": [{"step": "x"}], "name": "y"}
    steps = {"inputs": ["x"], "output": "y", "tensors": {}}
    for dtype, smooth in (("torch.float32", {"x"}), ("torch.int64", set())):
        step = {**copied, "kwargs": {"dtype": {"dtype": dtype}}}
        assert smooth_inputs({**steps, "steps": [step]}) == smooth


def test_smooth_inputs_are_those_without_jumps():
    class Mixed(torch.nn.Module):
        def forward(self, a, b, c, d):
            ordered, _ = torch.stack([a, b], 1).sort(1)
            return torch.relu(a) + b.round() + ordered[:, 0] + torch.where(c > 0, c, 2 * c)

    reads = [cp.Condition(name, cp.Continuous()) for name in "abcd"]
    made = cp.wrap(Mixed(), cp.Continuous(), conditions=reads)
    assert {name: made.passes_gradient(name) for name in "abcd"} == {
        "a": True,
        "b": False,
        "c": False,
        "d": False,
    }


def test_an_argument_that_is_called_as_a_type_is_read():
    """A cast of truth values has one argument by name, and its name is ``dtype``."""

    class Cast(torch.nn.Module):
        def forward(self, a, b):
            made = torch.zeros_like(a)
            made[:] = 1.0  # changes in place are written anew, with all casts
            return a + made * (b > 0).float()

    reads = [cp.Condition(name, cp.Continuous()) for name in "ab"]
    made = cp.wrap(Cast(), cp.Continuous(), conditions=reads)
    assert (made.passes_gradient("a"), made.passes_gradient("b")) == (True, False)
