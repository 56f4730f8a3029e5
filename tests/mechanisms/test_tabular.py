"""Tabular predictors as frozen mechanisms: scikit-learn's own numbers, saved without pickles,
anything else run as it is."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import causalplug as cp
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.tabular import TabularPredictor
from causalplug.mechanisms.frozen.wrapped import WrappedModule
from causalplug.testing import MechanismTester

pytestmark = pytest.mark.filterwarnings("ignore")  # small fits do not converge
RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.normal(size=300), RNG.choice([5, 10, 20], 300), RNG.normal(size=300)])
NUMBER = ROWS[:, 0] + 0.1 * ROWS[:, 1] + 0.3 * RNG.normal(size=300)
CLASS = np.digitize(NUMBER, [1.0, 2.0])
READS = [
    cp.Condition("age", cp.Continuous()),
    cp.Condition("dose", cp.Discrete([20, 5, 10])),
    cp.Condition("score", cp.Continuous()),
]
PARENTS = {"age": cp.Continuous(), "dose": cp.Discrete([5, 10, 20]), "score": cp.Continuous()}
CLASSIFIERS = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    DecisionTreeClassifier(max_depth=4),
    RandomForestClassifier(5),
    GradientBoostingClassifier(n_estimators=4),
    HistGradientBoostingClassifier(max_iter=4),
    MLPClassifier((6,), max_iter=30),
    KNeighborsClassifier(),
]
REGRESSORS = [
    LinearRegression(),
    make_pipeline(MinMaxScaler(), Ridge()),
    ExtraTreesRegressor(5),
    GradientBoostingRegressor(n_estimators=4),
    HistGradientBoostingRegressor(max_iter=4),
    MLPRegressor(hidden_layer_sizes=(6,), max_iter=30),
    KNeighborsRegressor(),
]


def values(n: int = 12) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "age": torch.randn(n, generator=generator),
        "dose": torch.arange(n) % 3,
        "score": torch.randn(n, generator=generator),
    }


def table(given: dict[str, torch.Tensor]) -> np.ndarray:
    doses = np.array([5, 10, 20])[given["dose"].numpy()]
    return np.column_stack([given["age"].numpy(), doses, given["score"].numpy()])


def own(estimator: object) -> bool:
    return not type(estimator).__name__.startswith("KNeighbors")


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("classes", [["low", "middle", "high"], [0, 1]], ids=str)
def test_probabilities_are_those_of_the_estimator(estimator, classes):
    labels = np.array(classes)[np.minimum(CLASS, len(classes) - 1)]
    estimator.fit(ROWS, labels)
    variable = cp.Discrete(classes[::-1])
    bound = cp.wrap(estimator, variable, conditions=READS).bind("Y", variable, PARENTS)
    assert isinstance(bound, WrappedModule if own(estimator) else TabularPredictor)
    given = values()
    right = estimator.predict_proba(table(given))
    order = [list(estimator.classes_).index(category) for category in variable.categories]
    assert np.allclose(bound.logits(given).exp().numpy(), right[:, order], atol=1e-4)


@pytest.mark.parametrize("estimator", REGRESSORS, ids=lambda e: type(e).__name__)
def test_numbers_are_those_of_the_estimator(estimator):
    estimator.fit(ROWS, NUMBER)
    bound = cp.wrap(estimator, cp.Continuous(), conditions=READS, error=0.5)
    bound = bound.bind("Y", cp.Continuous(), PARENTS)
    assert isinstance(bound, WrappedModule if own(estimator) else TabularPredictor)
    given = values()
    right = estimator.predict(table(given))
    assert np.allclose(bound(given, {"error": torch.zeros(12)}).numpy(), right, atol=1e-4)
    assert bound.explicit


def test_columns_are_found_by_name_and_vectors_are_columns():
    frame = pd.DataFrame({"score": ROWS[:, 2], "dose": ROWS[:, 1], "age": ROWS[:, 0]})
    named = LinearRegression().fit(frame, NUMBER)
    given = values()
    right = named.predict(
        pd.DataFrame(table(given), columns=["age", "dose", "score"])[frame.columns]
    )
    bound = cp.wrap(named, cp.Continuous(), conditions=READS).bind("Y", cp.Continuous(), PARENTS)
    assert np.allclose(bound(given, {}).numpy(), right, atol=1e-4)
    with pytest.raises(MechanismError, match="fitted on the columns score, dose, age"):
        cp.wrap(named, cp.Continuous(), conditions=READS[:2])
    two = LinearRegression().fit(ROWS, np.column_stack([NUMBER, CLASS]))
    reads = [cp.Condition("v", cp.Vector(3))]
    for made in (two, KNeighborsRegressor().fit(ROWS, np.column_stack([NUMBER, CLASS]))):
        bound = cp.wrap(made, cp.Vector(2), conditions=reads)
        rows = torch.as_tensor(ROWS[:5]).float()
        assert np.allclose(bound({"v": rows}, {}).numpy(), made.predict(ROWS[:5]), atol=1e-4)


def test_gradients_pass_a_linear_model():
    made = cp.wrap(LinearRegression().fit(ROWS, NUMBER), cp.Continuous(), conditions=READS)
    given = values() | {"dose": torch.full((12, 3), 1 / 3, requires_grad=True)}
    made(given, {}).sum().backward()
    slope = LinearRegression().fit(ROWS, NUMBER).coef_[1]
    assert np.allclose(given["dose"].grad.numpy()[0], slope * np.array([20, 5, 10]), atol=1e-4)


class FromAnotherLibrary:
    """A classifier by the protocol alone, as TabPFN's is."""

    classes_ = np.array(["no", "yes"])

    def predict_proba(self, rows):
        share = 1 / (1 + np.exp(-np.asarray(rows, float)[:, 0]))
        return np.column_stack([1 - share, share])

    def predict(self, rows):
        return self.classes_[self.predict_proba(rows).argmax(1)]


@pytest.fixture(scope="module")
def forest():
    estimator = RandomForestClassifier(3, max_depth=3, random_state=0).fit(ROWS, CLASS)
    return cp.wrap(estimator, cp.Discrete(3), conditions=READS)


class TestSaved(MechanismTester):
    @pytest.fixture(autouse=True)
    def _forest(self, forest):
        self.forest = forest

    def make(self):
        return copy.copy(self.forest)


class TestLive(MechanismTester):
    rows = 30
    saves = False

    def make(self):
        reads = [cp.Condition("age", cp.Continuous())]
        return cp.wrap(FromAnotherLibrary(), cp.Discrete(["yes", "no"]), conditions=reads)


def test_an_effect_through_a_predictor_saved_with_the_model(tmp_path):
    """age -> V -> Y, V a logistic regression: the effect is that of the closed form."""
    rng = np.random.default_rng(1)
    age = rng.normal(size=4000)
    v = (rng.random(4000) < 1 / (1 + np.exp(-2 * age))).astype(int)
    estimator = LogisticRegression(C=1e6).fit(age[:, None], v)
    made = cp.wrap(estimator, cp.Discrete(2), conditions=[cp.Condition("age", cp.Continuous())])
    y = (rng.random(4000) < np.where(v == 1, 0.8, 0.3)).astype(int)
    graph = cp.CausalGraph.parse("age -> V -> Y")
    variables = {"age": cp.Continuous(), "V": cp.Discrete(2), "Y": cp.Discrete(2)}
    dcm = cp.DCM(graph, variables, mechanisms={"V": made})
    cp.fit(dcm, cp.DataSource({"age": age, "V": v, "Y": y}), steps=60, progress=False)
    share = 1 / (1 + np.exp(-(estimator.coef_[0, 0] * 1.0 + estimator.intercept_[0])))
    found = dcm.sample(20_000, do={"age": 1.0}, variables=["Y"], seed=0)["Y"].mean()
    assert abs(found - (share * 0.8 + (1 - share) * 0.3)) < 0.03
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert again.sample(50, seed=2).equals(dcm.sample(50, seed=2))
    live = cp.wrap(
        KNeighborsClassifier().fit(age[:, None], v),
        cp.Discrete(2),
        conditions=[cp.Condition("age", cp.Continuous())],
    )
    other = cp.DCM(graph, variables, mechanisms={"V": live})
    with pytest.raises(cp.CausalPlugError, match=r"KNeighborsClassifier|made in memory"):
        other.save_pretrained(tmp_path / "other")


@pytest.mark.parametrize(
    ("estimator", "variable", "options", "message"),
    [
        (LogisticRegression().fit(ROWS, CLASS), cp.Discrete(2), {}, "its classes are 0, 1, 2"),
        (LinearRegression().fit(ROWS, CLASS), cp.Discrete(3), {}, "no probabilities of classes"),
        (LinearRegression().fit(ROWS[:, :2], CLASS), cp.Continuous(), {}, "fitted on 2 columns"),
        (LinearRegression().fit(ROWS, CLASS), cp.Continuous(), {"latent": 2}, "for networks"),
        (LinearRegression().fit(ROWS, CLASS), cp.Image(1, 2, 2), {}, "classes, numbers or vectors"),
        (LinearRegression, cp.Continuous(), {}, "cannot be wrapped"),
        (object(), cp.Continuous(), {}, "give a torch.nn.Module"),
    ],
)
def test_what_does_not_fit_is_refused(estimator, variable, options, message):
    with pytest.raises(MechanismError, match=message):
        cp.wrap(estimator, variable, conditions=READS, **options)


def test_an_estimator_whose_numbers_would_differ_is_run_as_it_is():
    counts = PoissonRegressor().fit(ROWS, CLASS)
    made = cp.wrap(counts, cp.Continuous(), conditions=READS)
    assert isinstance(made, TabularPredictor)
    bound = made.bind("Y", cp.Continuous(), PARENTS)
    assert np.allclose(bound(values(), {}).numpy(), counts.predict(table(values())), atol=1e-4)
    with pytest.raises(MechanismError, match="PoissonRegressor cannot be saved"):
        made.save_pretrained("nowhere")
