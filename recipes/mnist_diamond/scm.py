"""The structural causal model behind the rows of this recipe, and its exact answers.

    Style -> I1 -> Digit -> I2 -> Colour   and   Style <- U -> Colour, with U hidden

    U       uniform on {0, 1, 2, 3}                                       the hidden confounder
    Style   1 with probability P_STYLE[U]                                 how I1 is written
    S       a digit: each of the lower half is four times as likely as each of the upper half where
            Style is 0, and the other way round where it is 1             what I1 shows
    I1      any image of S in a set; half as bright where Style is 1      the first image
    Digit   S                                                             what is read off I1
    I2      any image of Digit in another set                             the second image
    Colour  a draw from softmax(logits(I2) + SHIFT[U])                    in {0, 1, 2}

Everything is discrete and the sets of images are finite, so that each probability below is a sum,
not an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["PALE", "Answers", "DiamondSCM", "style_of_digits"]

PALE = 0.5
P_STYLE = np.array([0.1, 0.3, 0.7, 0.9])
SHIFT = np.array([[1.8, 0.0, -1.8], [0.9, -0.2, -0.7], [-0.7, -0.2, 0.9], [-1.8, 0.0, 1.8]])
BIAS = np.array([0.1, 0.4, -0.4])
SLOPE = 1.5
_FOLD = 4.0  # how much more often one half of the digits is written


def style_of_digits(count: int) -> np.ndarray:
    """P(digit shown | Style), ``(2, count)``."""
    low = np.where(np.arange(count) < (count + 1) // 2, _FOLD, 1.0)
    table = np.stack([low, low[::-1]])
    found: np.ndarray = table / table.sum(1, keepdims=True)
    return found


@dataclass(frozen=True)
class Answers:
    """Exact probabilities of Colour.

    Attributes:
        do_digit, naive_digit: ``(digits, 3)``, P(Colour | do(Digit)) and P(Colour | Digit).
        do_style, naive_style: ``(2, 3)``, P(Colour | do(Style)) and P(Colour | Style).
    """

    do_digit: np.ndarray
    naive_digit: np.ndarray
    do_style: np.ndarray
    naive_style: np.ndarray


class DiamondSCM:
    """The model over two sets of images, one for I1 and one for I2.

    Args:
        images: ``(m, side, side)`` uint8, white on black; the side is a multiple of 4.
        digits: ``(m,)`` integers 0 to k - 1, every one of which occurs.
        second: Images and digits of I2; those of I1 where it is None.
    """

    def __init__(
        self,
        images: np.ndarray,
        digits: np.ndarray,
        second: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self.count = int(digits.max()) + 1
        self.first = [images[digits == digit] for digit in range(self.count)]
        self.second = self.first
        if second is not None:
            self.second = [second[0][second[1] == digit] for digit in range(self.count)]
        cells = self._cells(np.concatenate(self.second))
        weights = self._prototypes(cells)
        scores = cells @ weights.T
        self._loc, self._scale, self._weights = scores.mean(0), scores.std(0), weights

    def _prototypes(self, cells: np.ndarray) -> np.ndarray:
        """For each category, what the digits 0, 3, … (1, 4, …; 2, 5, …) have more of than the
        others, cell by cell: ``(3, 16)``."""
        ends = np.cumsum([len(images) for images in self.second])[:-1]
        means = np.stack([part.mean(0) for part in np.split(cells, ends)])
        mine = np.arange(self.count)[None] % 3 == np.arange(3)[:, None]
        found: np.ndarray = np.where(mine, 1.0, -0.5) @ (means - means.mean(0))
        return found

    def _cells(self, images: np.ndarray) -> np.ndarray:
        """Mean ink of each cell of an image, 4 by 4 cells."""
        size = images.shape[-1] // 4
        parts = images.reshape(len(images), 4, size, 4, size)
        found: np.ndarray = parts.mean((2, 4), dtype=np.float64).reshape(len(images), -1) / 255
        return found

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What Colour reads off images ``(n, side, side)`` uint8: ``(n, 3)``, how much the ink in
        each cell is like that of a third of the digits, standardised over the set."""
        scores = (self._cells(images) @ self._weights.T - self._loc) / self._scale
        found: np.ndarray = SLOPE * scores + BIAS
        return found

    def sample(self, n: int, *, seed: int) -> dict[str, np.ndarray]:
        """``n`` independent rows of Style, I1, Digit, I2 and Colour; images ``(n, 1, side, side)``
        uint8."""
        rng = np.random.default_rng(seed)
        u = rng.integers(4, size=n)
        style = (rng.random(n) < P_STYLE[u]).astype(np.int64)
        first, digit = self.first_images(style, rng)
        second = _drawn(self.second, digit, rng)
        p = _softmax(self.logits(second) + SHIFT[u])
        colour = (rng.random(n)[:, None] > p.cumsum(1)[:, :2]).sum(1)
        columns = {"Style": style, "I1": first[:, None], "Digit": digit}
        return columns | {"I2": second[:, None], "Colour": colour}

    def first_images(
        self, style: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images ``(n, side, side)`` in these styles, and the digits that they show."""
        shares = style_of_digits(self.count)[style].cumsum(1)[:, :-1]
        shown = (rng.random(len(style))[:, None] > shares).sum(1)
        images = _drawn(self.first, shown, rng)
        pale = (style == 1)[:, None, None]
        return np.where(pale, (images * PALE).astype(np.uint8), images), shown

    def answers(self) -> Answers:
        """Every exact probability that the recipe compares with."""
        given = np.stack([self.colour(images) for images in self.second], 1)
        p_style = np.stack([1 - P_STYLE, P_STYLE], 1) / 4  # u, style
        p_digit = style_of_digits(self.count)
        joint = np.einsum("us,sd,udc->sdc", p_style, p_digit, given)
        do_digit = given.mean(0)
        return Answers(
            do_digit=do_digit,
            naive_digit=_shares(joint.sum(0)),
            do_style=p_digit @ do_digit,
            naive_style=_shares(joint.sum(1)),
        )

    def colour(self, images: np.ndarray) -> np.ndarray:
        """P(Colour | U, any of these images ``(n, side, side)``), ``(4, 3)``."""
        found: np.ndarray = _softmax(self.logits(images) + SHIFT[:, None]).mean(1)
        return found


def _drawn(sets: Sequence[np.ndarray], digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Any image of each digit."""
    place = rng.random(len(digits))
    found = np.empty((len(digits), *sets[0].shape[1:]), np.uint8)
    for digit, images in enumerate(sets):
        rows = digits == digit
        found[rows] = images[(place[rows] * len(images)).astype(int)]
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    found: np.ndarray = weights / weights.sum(-1, keepdims=True)
    return found


def _shares(table: np.ndarray) -> np.ndarray:
    found: np.ndarray = table / table.sum(-1, keepdims=True)
    return found
