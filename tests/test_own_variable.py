"""A kind of variable of one's own, in one file: its categories are read like those of Discrete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import causalplug as cp
from causalplug.errors import DataError
from causalplug.noise import NoiseSpec
from causalplug.variables.kinds import VARIABLES

LEVELS = ("low", "mid", "high")


@dataclass(frozen=True)
class Ordinal(cp.Variable):
    """Categories in order; a network reads which of them a value exceeds."""

    levels: tuple[str, ...]
    is_discrete: ClassVar[bool] = True
    is_countable: ClassVar[bool] = True
    default_mechanism: ClassVar[str | None] = "discrete-mlp"

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))

    @property
    def categories(self) -> tuple[str, ...]:
        return self.levels

    @property
    def plain(self) -> bool:
        return False

    @property
    def size(self) -> int:
        return len(self.levels)

    @property
    def cardinality(self) -> int:
        return self.size

    @property
    def feature_size(self) -> int:
        return self.size - 1

    def encode(
        self, values: object, name: str = "values", *, row: int | None = None
    ) -> torch.Tensor:
        column: Any = values
        codes = list(map(self.code_of_text, np.atleast_1d(np.asarray(column)).tolist()))
        if min(codes, default=0) < 0:
            raise DataError(f"{name!r} has a level that is not one of {self.levels}.")
        return torch.tensor(codes)

    def code(self, value: object, name: str = "value") -> int:
        return int(self.encode([value], name)[0])

    def code_of_text(self, text: str) -> int:
        return self.levels.index(text) if text in self.levels else -1

    def decode(self, codes: torch.Tensor) -> np.ndarray:
        return np.asarray(self.levels, object)[codes.numpy()]

    def features(self, codes: torch.Tensor) -> torch.Tensor:
        if codes.is_floating_point():  # one-hot rows
            return codes.flip(-1).cumsum(-1).flip(-1)[..., 1:]
        return (codes.unsqueeze(-1) > torch.arange(self.size - 1)).float()

    def to_dict(self) -> dict[str, object]:
        return {"kind": self.kind, "levels": list(self.levels)}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    cp.register_variable("test-ordinal")(Ordinal)
    yield
    VARIABLES._classes.pop("test-ordinal")


SCALE = Ordinal(LEVELS)
GRAPH = cp.CausalGraph.parse("X -> Y")


def test_it_is_trained_asked_and_saved(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(3, size=3000)
    y = (rng.random(3000) < 0.2 + 0.3 * x).astype(int)
    rows = pd.DataFrame({"X": np.asarray(LEVELS)[x], "Y": y})
    dcm = cp.DCM(GRAPH, {"X": SCALE, "Y": cp.Discrete(2)})
    cp.fit(dcm, rows, steps=100, progress=False, check_graph=False)
    for place, level in enumerate(LEVELS):
        answer = dcm.estimate(f"P(Y=1 | do(X={level}))", n=2000)
        spread = (0.25 / (x == place).sum()) ** 0.5
        assert answer.value == pytest.approx(0.2 + 0.3 * place, abs=4 * spread)
    assert set(dcm.sample(20, given={"X": ["low", "high"]}, seed=0)["X"]) == {"low", "high"}
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert again.variables["X"] == SCALE
    assert again.sample(20, seed=1).equals(dcm.sample(20, seed=1))


@pytest.mark.parametrize("estimator", [LogisticRegression(C=100), KNeighborsClassifier(3)])
def test_classes_of_an_estimator_are_matched_by_value(estimator: Any) -> None:
    numbers = np.arange(60)[:, None] / 10
    estimator.fit(numbers, np.asarray(LEVELS)[np.minimum(numbers[:, 0] // 2, 2).astype(int)])
    assert list(estimator.classes_) == ["high", "low", "mid"]
    made = cp.wrap(estimator, SCALE, conditions=[cp.Condition("X", cp.Continuous())])
    dcm = cp.DCM(GRAPH, {"X": cp.Continuous(), "Y": SCALE}, mechanisms={"Y": made})
    drawn = [dcm.sample(1, do={"X": number}, seed=0)["Y"][0] for number in (0.1, 3.0, 5.5)]
    assert drawn == list(LEVELS)


class Shade(cp.FrozenMechanism):
    """One grey for each digit."""

    def __init__(self, **options: Any):
        noise = {"latent": NoiseSpec((4,))}
        super().__init__(cp.Image(1, 2, 2), [cp.Label("digit", 3)], noise, **options)

    def generate(self, labels: torch.Tensor, noise: Any) -> torch.Tensor:
        grey = labels[:, 0].float().view(-1, 1, 1, 1) / 3
        return grey + torch.sigmoid(noise["latent"]).view(-1, 1, 2, 2) / 3

    def config(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize("label_map", [None, {"low": 0, "mid": 1, "high": 2}])
def test_a_label_map_reads_it(label_map: Any) -> None:
    painter = Shade(label_map=label_map)
    variables = {"X": SCALE, "Y": cp.Image(1, 2, 2)}
    dcm = cp.DCM(GRAPH, variables, mechanisms={"Y": painter})
    for place, level in enumerate(LEVELS):
        image = dcm.sample(1, do={"X": level}, seed=0)["Y"][0]
        assert (3 * image).floor().unique().tolist() == [place]
