"""An exact model with an image of its own, in numbers and as mechanisms, and mechanisms that get it
wrong.

D is 1 in 40 % of the rows. The picture is the bright one, or a digit 1, where D says so: always, if
D is its parent; in 80 % of the rows, if D and the image have a hidden cause in common.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

import causalplug as cp
from causalplug.mechanisms.base import Mechanism
from causalplug.noise import NoiseSpec
from causalplug.training.config import TrainingConfig
from causalplug.training.prepare import prepare
from causalplug.training.validation import Distance

IMAGE = cp.Image(1, 8, 8)
PARENT, CONFOUNDED = "D -> I", "D <-> I"
FLIP, SHARE = 0.2, 0.4
WHAT = ("flat", "shades", "digits")
WRONG = ("ignores", "collapsed", "one picture", "brighter")


def pictures(what: str, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images ``(n, 1, 8, 8)`` of the first or second kind.

    Args:
        what: ``"flat"``: brightness .1 or .9; ``"shades"``: around .2 or .8, with a spread of .1;
            ``"digits"``: any of the zeros and ones of scikit-learn's handwritten digits. All with
            pixel noise of .05.
        second: which kind, ``(n,)`` of 0 and 1.
    """
    if what == "digits":
        images, labels = load_digits(return_X_y=True)
        kinds = [images[labels == k].reshape(-1, 1, 8, 8) / 16 for k in (0, 1)]
        clean = np.stack([kinds[k][rng.integers(len(kinds[k]))] for k in second])
    else:
        level = (
            0.1 + 0.8 * second
            if what == "flat"
            else 0.2 + 0.6 * second + 0.1 * rng.normal(size=len(second))
        )
        clean = np.broadcast_to(level[:, None, None, None], (len(second), 1, 8, 8))
    return clean + 0.05 * rng.normal(size=clean.shape)


def rows(what: str, edges: str, n: int, seed: int) -> dict[str, np.ndarray]:
    """Rows of the exact model."""
    rng = np.random.default_rng(seed)
    d = (rng.random(n) < SHARE).astype(int)
    second = d if edges == PARENT else np.where(rng.random(n) < FLIP, 1 - d, d)
    return {"D": d, "I": np.clip(pictures(what, second, rng), 0, 1).astype(np.float32)}


def _is_one(confounder: torch.Tensor) -> torch.Tensor:
    return (torch.special.ndtr(confounder[:, 0]) < SHARE).long()


class Cause(Mechanism):
    """D, from the hidden cause or from noise of its own."""

    def __init__(self):
        super().__init__()
        self.variable, self.parents, self.noise = cp.Discrete(2), (), {"own": NoiseSpec((1,))}

    def forward(self, parents, noise, confounder=None):
        return _is_one(
            noise["own"] if confounder is None or not confounder.shape[-1] else confounder
        )


class Painter(Mechanism):
    """The image, right or wrong.

    Args:
        what: see :func:`pictures`.
        edges: of the graph.
        wrong: ``"ignores"`` D, or the hidden cause; ``"collapsed"``: one image of each kind; ``"one
            picture"``: of one kind only; ``"brighter"``: by a tenth of the range.
    """

    def __init__(self, what: str, edges: str, wrong: str | None = None):
        super().__init__()
        self.what, self.wrong, self.variable = what, wrong, IMAGE
        self.parents = ("D",) if edges == PARENT else ()
        self.noise = {"own": NoiseSpec((2,))}

    def forward(self, parents, noise, confounder=None):
        told = parents["D"] if self.parents else _is_one(confounder)
        if self.wrong == "ignores":
            told = _is_one(noise["own"][:, 1:])
        flipped = torch.special.ndtr(noise["own"][:, 0]) < (0 if self.parents else FLIP)
        second = (told ^ flipped).numpy() * (self.wrong != "one picture")
        rng = np.random.default_rng(abs(int(1e6 * noise["own"].sum())))
        images = pictures(self.what, second, rng)
        if self.wrong == "collapsed":
            images = pictures(self.what, np.arange(2), rng)[second]
        if self.wrong == "brighter":
            images = images + 0.1
        return torch.from_numpy(np.clip(images, 0, 1).astype(np.float32))


def verdict(what: str, edges: str, wrong: str | None, n: int, seed: int = 0) -> Distance:
    """How the image's module is judged on a tenth of ``n`` rows if its mechanism is the exact
    one, or a wrong one."""
    graph = cp.CausalGraph.parse(edges)
    mechanisms = {"D": Cause(), "I": Painter(what, edges, wrong)}
    dcm = cp.DCM(graph, {"D": cp.Discrete(2), "I": IMAGE}, mechanisms=mechanisms)
    config = TrainingConfig(encoder_steps=1)
    tables = [cp.DataSource(rows(what, edges, n, seed), name="rows").encode(dcm.variables)]
    prepared = prepare(
        dcm,
        tables,
        config,
        banks_for={},
        device=torch.device("cpu"),
        seconds={},
        progress=False,
        ready=False,
    )
    plan = cp.plan(graph, [table.source for table in tables], kinds={"D": "discrete", "I": "image"})
    generator = torch.Generator().manual_seed(seed + 1)
    (found,) = prepared.distances(dcm, plan.module("I"), generator, final=True)
    return found
