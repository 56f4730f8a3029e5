"""The structural causal model behind the rows of this recipe, and its exact answers to questions of
all three layers.

    X1 -> X2,  X1, X2 -> W,  W -> Y1, Y2, Thick,  X1 <- U1 -> X2,  X2 <- U2 -> Color

U1 and U2 are hidden.

Every variable is a function of its parents and hidden causes with probability 0.75, and a uniform
draw otherwise: this noise of 25 % makes every combination of values possible. The images come
after: Image1 is any image of the digit Y1, in the colour Color and with strokes as thick as Thick
says, Image2 the same of Y2.

All noise is discrete, so each probability below is a sum over the 103,680 states of the world, not
an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

__all__ = ["COLORS", "GRAPH", "SIZES", "TwoImageSCM", "render"]

GRAPH = (
    "X1 -> X2; X1, X2 -> W; W -> Y1, Y2, Thick; Y1, Color, Thick -> Image1; Y2, Color, Thick -> "
    "Image2; X1 <-> X2; X2 <-> Color"
)
SIZES = {"X1": 2, "X2": 5, "W": 4, "Color": 3, "Y1": 3, "Y2": 3, "Thick": 2}
COLORS = np.array([[1.0, 0.25, 0.2], [0.2, 1.0, 0.3], [0.35, 0.45, 1.0]])  # red, green, blue

NOISE = 0.25
P_U1 = np.array([0.6, 0.4])
P_U2 = np.array([0.6, 0.25, 0.15])
Y1_OF_W, Y2_OF_W, THICK_OF_W = (
    np.array([0, 1, 2, 1]),
    np.array([2, 0, 1, 0]),
    np.array([0, 1, 0, 1]),
)

Values = dict[str, np.ndarray]


class TwoImageSCM:
    """The model without its images.

    The state of the world is U1, U2 and for each variable either -1, "follow the function", or the
    value drawn instead.
    """

    def worlds(self) -> tuple[Values, np.ndarray]:
        """Every state of the world, ``(103680,)`` for each part of it, and its probability."""
        parts = {"U1": np.arange(2), "U2": np.arange(3)} | {
            name: np.arange(-1, k) for name, k in SIZES.items()
        }
        chances = {"U1": P_U1, "U2": P_U2} | {
            name: np.array([1 - NOISE, *[NOISE / k] * k]) for name, k in SIZES.items()
        }
        places = np.indices([len(part) for part in parts.values()]).reshape(len(parts), -1)
        weight = np.prod(
            [chances[name][place] for name, place in zip(parts, places, strict=True)], axis=0
        )
        return {name: parts[name][place] for name, place in zip(parts, places, strict=True)}, weight

    def draw(self, n: int, rng: np.random.Generator) -> Values:
        """``n`` independent states of the world."""
        world = {"U1": rng.choice(2, n, p=P_U1), "U2": rng.choice(3, n, p=P_U2)}
        return world | {
            name: np.where(rng.random(n) < NOISE, rng.integers(k, size=n), -1)
            for name, k in SIZES.items()
        }

    def run(self, world: Values, do: Mapping[str, int] | None = None) -> Values:
        """The value of every variable in every state of the world, with the variables in ``do``
        set."""
        values: Values = {}

        def settle(name: str, function: np.ndarray) -> None:
            followed = np.where(world[name] < 0, function, world[name])
            values[name] = np.full_like(followed, do[name]) if do and name in do else followed

        settle("X1", world["U1"])
        settle("X2", (2 * values["X1"] + world["U1"] + world["U2"]) % 5)
        settle("W", (values["X1"] + values["X2"]) % 4)
        settle("Color", world["U2"])
        settle("Y1", Y1_OF_W[values["W"]])
        settle("Y2", Y2_OF_W[values["W"]])
        settle("Thick", THICK_OF_W[values["W"]])
        return values

    def sample(self, n: int, *, seed: int, do: Mapping[str, int] | None = None) -> Values:
        """``n`` independent rows of every variable, ``(n,)`` integers each; the same seed gives
        the same rows."""
        return self.run(self.draw(n, np.random.default_rng(seed)), do)

    @cached_property
    def _worlds(self) -> tuple[Values, np.ndarray]:
        return self.worlds()

    def probability(
        self,
        names: Sequence[str],
        do: Mapping[str, int] | None = None,
        evidence: Mapping[str, int] | None = None,
    ) -> np.ndarray:
        """P(names under do | evidence without it), one axis for each name: layer 3; layers 1 and
        2 without evidence."""
        world, weight = self._worlds
        if evidence:
            factual = self.run(world)
            weight = weight * np.all(
                [factual[name] == value for name, value in evidence.items()], axis=0
            )
        values = self.run(world, do)
        sizes = [SIZES[name] for name in names]
        cell = np.ravel_multi_index([values[name] for name in names], sizes)
        counts = np.bincount(cell, weight, minlength=int(np.prod(sizes)))
        return (counts / counts.sum()).reshape(sizes)


def render(digits: np.ndarray, colors: np.ndarray, thick: np.ndarray) -> np.ndarray:
    """Images ``(n, 3, 28, 28)`` uint8 of grey digits ``(n, 28, 28)`` in colours ``(n,)``, thin (0)
    or thick (1).

    Thin is the digit as it was written; thick is the largest ink within one pixel.
    """
    padded = np.pad(digits, ((0, 0), (1, 1), (1, 1)))
    height, width = digits.shape[1:]
    strokes = np.max(
        [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0
    )
    grey = np.where(thick[:, None, None] == 1, strokes, digits)
    return np.rint(grey[:, None] * COLORS[colors].astype(np.float32)[:, :, None, None]).astype(
        np.uint8
    )
