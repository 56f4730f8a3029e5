"""One table over the kinds of frozen mechanisms: each is plugged, planned, trained around, sampled,
asked for counterfactuals, saved, loaded and published, and passes the tester."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import causalplug as cp
from causalplug.mechanisms.base import Mechanism
from causalplug.testing import MechanismTester

IMAGE, NUMBER, COIN = cp.Image(1, 4, 4), cp.Continuous(), cp.Discrete(2)
FINDING, VECTOR = cp.Discrete(["ill", "unclear", "well"]), cp.Vector(3)


class Painter(nn.Module):
    """Pixels from a latent and what is read, a coin, a number or an image."""

    def __init__(self, size: int):
        super().__init__()
        self.layer = nn.Linear(4 + size, 16)

    def forward(self, latent: Tensor, x: Tensor) -> Tensor:
        read = torch.cat([latent, x.reshape(len(latent), -1).float()], 1)
        return torch.sigmoid(self.layer(read)).view(-1, 1, 4, 4)


class Reader(nn.Module):
    """Numbers read off an image."""

    def __init__(self, size: int):
        super().__init__()
        self.layer = nn.Linear(16, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def _wrapped(make: Callable[[], nn.Module], gives: cp.Variable, read: cp.Variable, **more: object):
    return cp.wrap(_seeded(make), gives, conditions=[cp.Condition("x", read)], **more)


def _tabular():
    table = pd.DataFrame({"x": np.linspace(-2, 2, 60)})
    chosen = np.where(table["x"] > 0.5, "well", np.where(table["x"] < -0.5, "ill", "unclear"))
    return cp.wrap(
        LogisticRegression().fit(table, chosen), FINDING, conditions=[cp.Condition("x", NUMBER)]
    )


KINDS = {
    "generator by a label": (
        lambda: _wrapped(lambda: Painter(1), IMAGE, COIN, latent=4),
        IMAGE,
        COIN,
    ),
    "generator by a number": (
        lambda: _wrapped(lambda: Painter(1), IMAGE, NUMBER, latent=4),
        IMAGE,
        NUMBER,
    ),
    "image to image": (
        lambda: _wrapped(lambda: Painter(16), IMAGE, IMAGE, latent=4),
        IMAGE,
        IMAGE,
    ),
    "classifier": (
        lambda: _wrapped(lambda: Reader(3), FINDING, IMAGE, output="logits"),
        FINDING,
        IMAGE,
    ),
    "regressor": (lambda: _wrapped(lambda: Reader(1), NUMBER, IMAGE, error=0.3), NUMBER, IMAGE),
    "embedding": (lambda: _wrapped(lambda: Reader(3), VECTOR, IMAGE), VECTOR, IMAGE),
    "tabular": (_tabular, FINDING, NUMBER),
}


def _model(kind: str) -> cp.DCM:
    """D -> (I ->) M -> Y and D -> Y, where M is the kind, and reads an image that a painter makes
    where it reads one."""
    make, gives, read = KINDS[kind]
    painters = {}
    if read is IMAGE:
        graph = "D -> I; I -> M; M -> Y; D -> Y"
        variables = {"D": COIN, "I": IMAGE, "M": gives, "Y": COIN}
        painters = {"I": _wrapped(lambda: Painter(1), IMAGE, COIN, latent=4)}
    else:
        graph = "D -> M; M -> Y; D -> Y"
        variables = {"D": read, "M": gives, "Y": COIN}
    mechanisms = {**painters, "M": make()}
    return cp.DCM(cp.CausalGraph.parse(graph), variables, mechanisms=mechanisms, seed=1)


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return all(
        np.array_equal(np.stack(one[name].to_list()), np.stack(other[name].to_list()))
        for name in one.columns
    )


@pytest.mark.filterwarnings("ignore::causalplug.errors.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_goes_the_whole_way(kind: str, repo: str, hub, tmp_path: Path) -> None:
    dcm = _model(kind)
    rows = dcm.sample(150, seed=0)
    rows["Y"] = np.arange(150) % 2
    report = cp.fit(
        dcm, cp.DataSource(rows), steps=5, progress=False, check_fit=False, check_graph=False
    )
    assert dcm.plan.module("M").action == "pull"
    assert "M" not in {name for module in report.modules for name in module.variables}
    value = rows["D"].iloc[0]
    drawn = dcm.sample(20, do={"D": value}, seed=3)
    other = dcm.counterfactual(6, evidence={"D": rows["D"].iloc[1]}, do={"D": value}, seed=0)
    assert len(drawn) == 20
    assert len(other) == 6
    dcm.save_pretrained(tmp_path / "model")
    assert _same(cp.from_pretrained(tmp_path / "model").sample(20, do={"D": value}, seed=3), drawn)
    dcm.push_to_hub(repo, license="mit")
    again = cp.from_pretrained(repo, cache_dir=tmp_path / "cache")
    assert _same(again.sample(20, do={"D": value}, seed=3), drawn)


class TestEveryKind(MechanismTester):
    """The suite that third parties run."""

    @pytest.fixture(autouse=True, params=KINDS)
    def _of_a_kind(self, request: pytest.FixtureRequest) -> None:
        self.kind = request.param

    def make(self) -> Mechanism:
        return KINDS[self.kind][0]()


@pytest.mark.parametrize("kind", KINDS)
def test_a_parent_of_another_kind_is_refused(kind: str) -> None:
    make, gives, read = KINDS[kind]
    wrong = cp.Text() if read is not IMAGE else NUMBER
    with pytest.raises(cp.errors.CausalPlugError):
        make().bind("M", gives, {"D": wrong})
