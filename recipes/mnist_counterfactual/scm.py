"""The structural causal model behind the rows of this recipe, that of the paper's appendix F.4.1,
and its exact answers to questions of all three layers.

    X1 -> X2,  X1, X2 -> W,  W -> Y1, Y2, Thick,  X1 <- U1 -> X2,  X2 <- U2 -> Color

U1 and U2 are hidden. The functions are

    X1 = U1                                      0, 1
    X2 = U2 mod 3 + X1 * J + U1                  0 to 8; J is 3, 4 or 5, each as often
    W = X1 + X2                                  0 to 9
    Y1 = floor(W^2 / 10),  Y2 = W^2 mod 10       digits
    Thick = min(floor(W^2 / 20), 1),  Color = U2 mod 3

and every variable follows its function with probability 0.75 and is a uniform draw otherwise: this
noise of 25 % makes every combination of values possible. The paper draws the distributions of U1
and U2 at random; which ones came out is not known, and those here are ours. The images come after:
Image1 is any image of the digit Y1, in the colour Color and with strokes as thick as Thick says,
Image2 the same of Y2.

All noise is discrete, so each probability below is a sum over the states of the world, not an
estimate.
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
SIZES = {"X1": 2, "X2": 9, "W": 10, "Color": 3, "Y1": 10, "Y2": 10, "Thick": 2}
COLORS = np.array([[1.0, 0.25, 0.2], [0.2, 1.0, 0.3], [0.35, 0.45, 1.0]])  # red, green, blue

NOISE = 0.25
P_U1 = np.array([0.6, 0.4])
P_U2 = np.array([0.3, 0.2, 0.5])
JUMPS = np.arange(3, 6)
CORE = ("X1", "X2", "W")
LEAVES = ("Color", "Y1", "Y2", "Thick")  # each depends on the core and its own noise alone

Values = dict[str, np.ndarray]


class TwoImageSCM:
    """The model without its images.

    The state of the world is U1, U2, J and for each variable either -1, "follow the function", or
    the value drawn instead.
    """

    def draw(self, n: int, rng: np.random.Generator) -> Values:
        """``n`` independent states of the world."""
        world = {
            "U1": rng.choice(2, n, p=P_U1),
            "U2": rng.choice(3, n, p=P_U2),
            "J": rng.choice(JUMPS, n),
        }
        return world | {
            name: np.where(rng.random(n) < NOISE, rng.integers(k, size=n), -1)
            for name, k in SIZES.items()
        }

    def run(self, world: Values, do: Mapping[str, int] | None = None) -> Values:
        """The value of every variable in every state of the world, with the variables in ``do``
        set."""
        values = self._core(world, do)
        for name, function in self._leaves(world, values).items():
            values[name] = _settle(name, world, function, do)
        return values

    def _core(self, world: Values, do: Mapping[str, int] | None) -> Values:
        x1 = _settle("X1", world, world["U1"], do)
        x2 = _settle("X2", world, world["U2"] % 3 + x1 * world["J"] + world["U1"], do)
        return {"X1": x1, "X2": x2, "W": _settle("W", world, x1 + x2, do)}

    def _leaves(self, world: Values, core: Values) -> Values:
        """What each leaf is where it follows its function."""
        square = core["W"] ** 2
        return {
            "Color": world["U2"] % 3,
            "Y1": square // 10,
            "Y2": square % 10,
            "Thick": np.minimum(square // 20, 1),
        }

    def sample(self, n: int, *, seed: int, do: Mapping[str, int] | None = None) -> Values:
        """``n`` independent rows of every variable, ``(n,)`` integers each; the same seed gives
        the same rows."""
        return self.run(self.draw(n, np.random.default_rng(seed)), do)

    @cached_property
    def _worlds(self) -> tuple[Values, np.ndarray]:
        """Every state of U1, U2, J and the noise of the core, and its probability."""
        parts = {"U1": np.arange(2), "U2": np.arange(3), "J": JUMPS}
        chances = {"U1": P_U1, "U2": P_U2, "J": np.full(len(JUMPS), 1 / len(JUMPS))}
        for name in CORE:
            k = SIZES[name]
            parts[name], chances[name] = np.arange(-1, k), np.array([1 - NOISE, *[NOISE / k] * k])
        places = np.indices([len(part) for part in parts.values()]).reshape(len(parts), -1)
        weight = np.ones(places.shape[1])
        for name, place in zip(parts, places, strict=True):
            weight = weight * chances[name][place]
        return {name: parts[name][place] for name, place in zip(parts, places, strict=True)}, weight

    def probability(
        self,
        names: Sequence[str],
        do: Mapping[str, int] | None = None,
        evidence: Mapping[str, int] | None = None,
    ) -> np.ndarray:
        """P(names under do | evidence without it), one axis for each name: layer 3; layers 1 and
        2 without evidence."""
        world, weight = self._worlds
        seen = dict(evidence or {})
        factual, values = self._core(world, None), self._core(world, do)
        weight = weight * _agreeing(factual, seen)
        leaves = [name for name in LEAVES if name in names]
        hidden = [name for name in LEAVES if name in seen and name not in names]
        table = weight[:, None]
        before, after = self._leaves(world, factual), self._leaves(world, values)
        for name in (*leaves, *hidden):
            chance = _leaf(name, before[name], after[name], do, seen.get(name))
            if name in hidden:
                chance = chance.sum(1, keepdims=True)
            table = (table[:, :, None] * chance[:, None, :]).reshape(len(table), -1)
        core = [name for name in names if name in CORE]
        sums = _grouped(table, values, core)
        return _arranged(sums / sums.sum(), core + leaves, names)


def _agreeing(factual: Values, seen: Mapping[str, int]) -> np.ndarray:
    """Whether the core of every state is as it was seen, ``(states,)``."""
    agree = np.ones(len(factual["W"]), dtype=bool)
    for name in CORE:
        if name in seen:
            agree &= factual[name] == seen[name]
    return agree


def _arranged(joint: np.ndarray, order: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """A flat table with axes in one order, as an array with axes in another."""
    table = joint.reshape([SIZES[name] for name in order])
    return table.transpose([order.index(name) for name in names])


def _grouped(table: np.ndarray, values: Values, names: Sequence[str]) -> np.ndarray:
    """Rows of ``table`` summed by the joint value of some variables."""
    sizes = [SIZES[name] for name in names]
    cell = np.zeros(len(table), dtype=np.int64)
    for name, size in zip(names, sizes, strict=True):
        cell = cell * size + values[name]
    sums = np.zeros((int(np.prod(sizes)), table.shape[1]))
    np.add.at(sums, cell, table)
    return sums


def _settle(
    name: str, world: Values, function: np.ndarray, do: Mapping[str, int] | None
) -> np.ndarray:
    followed = np.where(world[name] < 0, function, world[name])
    if do and name in do:
        return np.full_like(followed, do[name])
    return followed


def _leaf(
    name: str,
    before: np.ndarray,
    after: np.ndarray,
    do: Mapping[str, int] | None,
    seen: int | None,
) -> np.ndarray:
    """P(the leaf is ``seen`` without do, and k under do), ``(states, k)``: its own noise summed
    out, which is the same in both."""
    size = SIZES[name]
    values = np.arange(size)
    if do and name in do:
        followed = drawn = values == do[name]
        followed = np.broadcast_to(followed, (len(after), size))
        drawn = np.broadcast_to(drawn, (size, size))
    else:
        followed, drawn = after[:, None] == values, np.eye(size, dtype=bool)
    if seen is None:
        return (1 - NOISE) * followed + NOISE / size * drawn.sum(0)
    return (1 - NOISE) * followed * (before == seen)[:, None] + NOISE / size * drawn[seen]


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
