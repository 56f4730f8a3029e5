"""The generator loss's gradient where values are discrete: by enumeration, by the score function,
and through what is frozen.
"""

import pytest
import torch

import causalplug as cp
from causalplug.errors import PlanError
from causalplug.training.adversarial import RowGame
from causalplug.training.config import TrainingConfig

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


def test_a_frozen_variable_that_tells_no_probabilities_is_refused(model, monkeypatch):
    monkeypatch.setattr(model.mechanism("Y"), "explicit", False)
    with pytest.raises(PlanError, match="X, Z cannot be trained through Y"):
        game_of(model)
