"""What a frozen model gives is checked each time: its trial sees three rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsRegressor
from torch import nn

import causalplug as cp
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.noise import NoiseSpec

IMAGE = cp.Image(1, 2, 2, low=-1, high=1)
LATENT = 4


class Rarely(nn.Module):
    """What a network gives, and something else on one row in a hundred or so."""

    def __init__(self, shape: tuple[int, ...], other: float):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(LATENT, int(np.prod(shape)))
        self.shape, self.other = shape, other

    def forward(self, z):
        made = torch.where(z[:, :1] > 2.5, self.other, torch.tanh(self.layer(z)))
        return made.reshape(-1, *self.shape)


@pytest.mark.parametrize(
    ("variable", "other", "message"),
    [
        (cp.Continuous(), torch.nan, "not finite"),
        (cp.Vector(2), torch.inf, "not finite"),
        (IMAGE, torch.nan, "not finite"),
        (IMAGE, 7.0, r"paints pixels from -\S+ to 7, outside of the declared range \[-1, 1\]"),
    ],
)
def test_values_that_the_trial_did_not_see_are_refused(variable, other, message):
    made = cp.wrap(Rarely(variable.event_shape or (1,), other), variable, latent=LATENT)
    graph = cp.CausalGraph.from_edges(directed=[("V", "A")])
    dcm = cp.DCM(graph, {"V": variable, "A": cp.Discrete(2)}, mechanisms={"V": made})
    with pytest.raises(MechanismError, match=message):
        dcm.sample(2000, seed=0, variables=["V"])


def test_scores_that_are_no_numbers_are_refused():
    kind = cp.Vector(LATENT)
    conditions = [cp.Condition("V", kind)]
    made = cp.wrap(Rarely((2,), torch.nan), cp.Discrete(2), conditions=conditions)
    variables = {"V": kind, "Y": cp.Discrete(2)}
    dcm = cp.DCM(cp.CausalGraph.parse("V -> Y"), variables, mechanisms={"Y": made})
    with pytest.raises(MechanismError, match="not finite"):
        dcm.sample(2000, seed=0, variables=["Y"])


class Painter(FrozenMechanism):
    """A generator that leaves its range on one row in a hundred or so."""

    def __init__(self):
        super().__init__(IMAGE, [cp.Label("D", 2)], {"latent": NoiseSpec((LATENT,))})

    def generate(self, labels, noise):
        rare = torch.where(noise["latent"][:, :1] > 2.5, 7.0, torch.tanh(noise["latent"]))
        return rare.reshape(-1, 1, 2, 2)


def test_a_generator_with_labels_is_checked_too():
    variables = {"D": cp.Discrete(2), "I": IMAGE}
    dcm = cp.DCM(cp.CausalGraph.parse("D -> I"), variables, mechanisms={"I": Painter()})
    with pytest.raises(MechanismError, match="to 7, outside of the declared range"):
        dcm.sample(2000, seed=0, variables=["I"])


class Embedded(nn.Module):
    def __init__(self, known: int):
        super().__init__()
        self.layer = nn.Embedding(known, 1)

    def forward(self, digit):
        return self.layer(digit)


def test_the_trial_reaches_the_last_category():
    digits = [cp.Condition("digit", cp.Discrete(10))]
    cp.wrap(Embedded(10), cp.Continuous(), conditions=digits)
    with pytest.raises(MechanismError, match="index out of range"):
        cp.wrap(Embedded(9), cp.Continuous(), conditions=digits)


class Alone(nn.Module):
    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self):
        return self.value


NUMBER = cp.Condition("x", cp.Continuous())
ROWS = np.random.default_rng(0).normal(size=(40, 2))
LABELS = (ROWS[:, 0] > 0).astype(int)
PAIR = [NUMBER, cp.Condition("y", cp.Continuous())]


class Shares:
    """A classifier of one's own, with ``predict_proba`` alone."""

    classes_ = np.array([0, 1])

    def __init__(self, total: float):
        self.total = total

    def predict_proba(self, rows):
        share = 1 / (1 + np.exp(-np.asarray(rows)[:, 0]))
        return self.total * np.stack([1 - share, share], 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cp.wrap(Alone(), cp.Continuous()), "neither a latent nor conditions"),
        (
            lambda: cp.wrap(nn.Bilinear(1, 1, 1), cp.Continuous(), conditions=[NUMBER, NUMBER]),
            "Two conditions are called 'x'",
        ),
        (
            lambda: cp.wrap(
                nn.Bilinear(1, 1, 1),
                cp.Continuous(),
                conditions=[cp.Condition("latent", cp.Continuous())],
                latent=1,
            ),
            "cannot be called 'latent' beside latent=",
        ),
        (
            lambda: cp.wrap(LinearRegression().fit(ROWS, ROWS), cp.Continuous(), conditions=PAIR),
            r"shape \[2\] per row",
        ),
        (
            lambda: cp.wrap(
                KNeighborsRegressor().fit(ROWS, ROWS), cp.Continuous(), conditions=PAIR
            ),
            "predicts 2 numbers for each row",
        ),
        (
            lambda: cp.wrap(
                LogisticRegression().fit(ROWS, LABELS), cp.Continuous(), conditions=PAIR
            ),
            "is a classifier. Declare cp.Discrete",
        ),
        (
            lambda: cp.wrap(
                MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.stack([LABELS] * 2, 1)),
                cp.Discrete(2),
                conditions=PAIR,
            ),
            "predicts 2 variables at once",
        ),
        (lambda: cp.wrap(Shares(2.0), cp.Discrete(2), conditions=PAIR), "a row sums to 2"),
    ],
)
def test_what_gives_something_else_is_refused_at_once(make, message):
    with pytest.raises(MechanismError, match=message):
        make()


def test_a_classifier_needs_no_predict():
    made = cp.wrap(Shares(1.0), cp.Discrete(2), conditions=PAIR)
    found = made.class_logits({"x": torch.tensor([0.0]), "y": torch.tensor([0.0])}).exp()
    assert torch.allclose(found, torch.tensor([[0.5, 0.5]]))


def test_a_mechanism_that_is_not_bound_yet_is_called_by_its_class():
    made = cp.wrap(Rarely((1,), torch.nan), cp.Continuous(), latent=LATENT)
    noise = {name: torch.full((1, *spec.shape), 3.0) for name, spec in made.noise.items()}
    with pytest.raises(MechanismError, match=f"^The {type(made).__name__} gives values"):
        made({}, noise)
