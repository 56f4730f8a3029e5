"""Which of the validated states of a training by likelihood is left in the model."""

import math
import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning
from causalplug.training import phase, run
from causalplug.training.likelihood import Scores, advantage
from causalplug.training.stack import Member, Stack


def test_an_advantage_counts_equal_rows_as_often_as_they_occur():
    one, other, counts = (
        torch.tensor([1.0, 2.0, 4.0]),
        torch.tensor([1.0, 1.0, 4.5]),
        torch.tensor([5, 3, 2]),
    )
    rows = np.repeat((one - other).numpy(), counts.numpy())
    expected = rows.mean() / (rows.std() / math.sqrt(10))
    assert advantage([Scores(one, counts, 1.0)], [Scores(other, counts, 1.0)]) == pytest.approx(
        expected
    )
    assert advantage([Scores(one, counts, 1.0)], [Scores(one, counts, 1.0)]) == 0.0
    two = [Scores(one, counts, 0.3), Scores(other, counts, 0.7)]
    none = [Scores(other, counts, 0.3), Scores(other, counts, 0.7)]
    assert advantage(two, none) == pytest.approx(
        expected
    )  # the second source does not tell them apart


@pytest.mark.parametrize(
    ("surplus", "kept"), [(0.0, 3), (5.0, 1)], ids=["by chance", "significantly"]
)
def test_the_last_state_stays_unless_an_earlier_one_is_significantly_better(
    monkeypatch, surplus, kept
):
    scores, states = iter([0.3, 0.1, 0.2, 0.2]), []

    def validate(self, module, learner, seed):
        states.append([p.detach().clone() for p in learner.parameters])
        return next(scores), 0.0, {}

    monkeypatch.setattr(run.Run, "_validate", validate)
    monkeypatch.setattr(phase, "advantage", lambda best, last: surplus)
    graph = cp.CausalGraph.parse("X <-> Y")
    dcm = cp.DCM(graph, {name: cp.Discrete(3) for name in "XY"})
    draw = np.random.default_rng(0)
    rows = cp.DataSource({name: draw.integers(3, size=200) for name in "XY"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        report = cp.fit(
            dcm, rows, objective="likelihood", steps=40, validate_every=10, progress=False
        )
    assert report.modules[0].best_step == 10 * (kept + 1)
    left = list(dcm.mechanism("X").parameters())
    assert [all(map(torch.equal, left, state)) for state in states] == [i == kept for i in range(4)]


def _of_noise() -> tuple[list[dict[str, float]], int, float]:
    """Curve, kept step and kept loss of Y, trained on 150 rows in which eight parents of two
    values say nothing about it."""
    rng = np.random.default_rng(0)
    names = [f"A{i}" for i in range(8)]
    rows = cp.DataSource({name: rng.integers(2, size=300) for name in [*names, "Y"]})
    dcm = cp.DCM(
        cp.CausalGraph.parse(f"{', '.join(names)} -> Y"),
        dict.fromkeys([*names, "Y"], cp.Discrete(2)),
    )
    settings = {"held_out": 0.5, "validate_every": 20, "steps": 200, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        report = cp.fit(dcm, rows, objective="likelihood", **settings)
    module = next(module for module in report.modules if module.variables == ("Y",))
    return module.curve, module.best_step, module.negative_log_likelihood


def test_rows_that_were_learned_by_heart_are_told(monkeypatch):
    """Without a prior an early state is better, and it is kept."""
    monkeypatch.setattr(Stack, "add_prior", lambda self, share: None)
    curve, kept, loss = _of_noise()
    losses = {entry["step"]: entry["nll"] for entry in curve}
    assert kept == min(losses, key=losses.get) < 100
    assert loss == losses[kept] < losses[200] - 0.2


def test_noise_is_not_learned_by_heart():
    curve, _, loss = _of_noise()
    assert max(entry["nll"] for entry in curve) < math.log(2) + 0.05
    assert loss < math.log(2) + 0.02


def test_the_prior_of_weights_is_normal_over_the_inputs_of_a_layer():
    """The gradients that are added are those of torch's normal density, times the share."""
    variables = dict.fromkeys("ABCYZ", cp.Continuous())
    dcm = cp.DCM(cp.CausalGraph.parse("A, B, C -> Y; A -> Z"), variables)
    draw = np.random.default_rng(0)
    rows = {name: torch.tensor(draw.normal(size=50)) for name in variables}
    stack = Stack([Member(name, dcm.mechanism(name), rows) for name in "YZ"])
    share, room = torch.tensor([1.0, 0.25]), 8.0
    for member, inputs in enumerate([(3, 64, 64), (1, 64, 64)]):
        for weight, size in zip(stack.weights, inputs, strict=True):
            prior = torch.distributions.Normal(0.0, (room / size) ** 0.5)
            of_rows = weight[member].sum()
            (of_rows - share[member] * prior.log_prob(weight[member]).sum()).backward()
    wanted = [weight.grad.clone() for weight in stack.weights]
    for weight in stack.weights:
        weight.grad = torch.ones_like(weight)
    stack.add_prior(share / room)
    for weight, gradient in zip(stack.weights, wanted, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-6, atol=1e-6)
    assert all(bias.grad is None for bias in stack.biases)


@pytest.mark.parametrize("seed", [2, 5])
def test_chances_of_few_rows_are_not_learned_by_heart(seed):
    """450 rows of a treatment that five numbers say little about: fresh rows are as probable as by
    a logistic regression, which is the truth here."""
    rng = np.random.default_rng(seed)

    def drawn(rows):
        numbers = rng.normal(size=(5, rows))
        chance = 1 / (1 + np.exp(-0.5 * numbers[0] + 0.5 * numbers[1]))
        return {**dict(zip("ABCDE", numbers, strict=True)), "X": (rng.random(rows) < chance) * 1}

    dcm = cp.DCM(
        cp.CausalGraph.parse("A, B, C, D, E -> X"),
        {**dict.fromkeys("ABCDE", cp.Continuous()), "X": cp.Discrete(2)},
    )
    train, fresh = drawn(450), drawn(20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(dcm, train, progress=False, check_fit=False, check_graph=False, seed=seed)
    mechanism = dcm.mechanism("X")
    values = {name: dcm.variables[name].encode(column) for name, column in fresh.items()}
    with torch.no_grad():
        found = mechanism.log_prob(values["X"], {p: values[p] for p in mechanism.parents})
    logit = 0.5 * fresh["A"] - 0.5 * fresh["B"]
    best = -np.mean(np.log1p(np.exp(np.where(fresh["X"] == 1, -logit, logit))))
    assert best - float(found.mean()) < 0.05  # nats a row
