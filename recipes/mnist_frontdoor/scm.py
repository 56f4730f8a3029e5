"""The structural causal model behind the rows of this recipe, and its exact answers.

    D -> I -> A   and   D <- U -> A, with U hidden

    U   uniform on {0, 1, 2, 3}                                the hidden confounder
    D   1 with probability P_D1[U]                             a digit class
    S   D with probability ``fidelity``, otherwise 1 - D       the digit that the image shows
    I   any image of the digit S in the set, in any of 12 hues
    A   a draw from softmax(logits(I) + SHIFT[U])              an attribute in {0, 1, 2}

Everything is discrete and the image set is finite, so that each probability below is a sum, not an
estimate.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalplug.errors import DataError

__all__ = ["Answers", "FrontDoorSCM", "Hidden", "tvd"]

SIDE, CELL, BORDER = 28, 4, 2
GREY, COLOUR, SMALL = (1, SIDE, SIDE), (3, SIDE + 2 * BORDER, SIDE + 2 * BORDER), (1, 8, 8)

P_D1 = np.array([0.1, 0.3, 0.7, 0.9])
SHIFT = np.array([[1.8, 0.0, -1.8], [0.9, -0.2, -0.7], [-0.7, -0.2, 0.9], [-1.8, 0.0, 1.8]])
BIAS = np.array([0.1, 0.4, -0.4])
HUES = np.array([colorsys.hsv_to_rgb(k / 12, 0.75, 1.0) for k in range(12)])


def _weights(cells: int, deviation: float, seed: int) -> np.ndarray:
    """The fixed random projection: one weight for each category, channel and cell of pixels.

    Uniform, less their mean over the cells so that a veil over the whole image changes nothing. The
    bit stream of PCG64 is the same in every version of numpy, a Generator's draws need not be.
    """
    bits = np.random.PCG64(seed).random_raw(9 * cells).reshape(3, 3, -1)
    uniform = 2.0 * (bits >> np.uint64(11)) * 2.0**-53 - 1.0
    return deviation * np.sqrt(3.0) * (uniform - uniform.mean(-1, keepdims=True))


WEIGHTS = _weights((SIDE // CELL) ** 2, 0.5, 912)
SMALL_WEIGHTS = _weights(
    16, 1.0, 918
)  # cells of 2 x 2 pixels, each weighs more; of 18 seeds a large effect


def tvd(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Total variation distance along the last axis: half the sum of the absolute differences."""
    return 0.5 * np.abs(np.asarray(p) - np.asarray(q)).sum(-1)


@dataclass(frozen=True)
class Answers:
    """Exact probabilities; row d of each table belongs to D = d.

    Attributes:
        joint: ``(2, 3)``, P(D=d, A=a).
        naive: ``(2, 3)``, P(A=a | D=d), what the rows show.
        do: ``(2, 3)``, P(A=a | do(D=d)), what the question asks for.
        shown: ``(2, 3)``, P(A=a | do(the image shows digit d)).
    """

    joint: np.ndarray
    naive: np.ndarray
    do: np.ndarray
    shown: np.ndarray

    @property
    def confounding(self) -> np.ndarray:
        """``(2,)``, TVD between P(A | D=d) and P(A | do(D=d)): the error of reading the rows as
        they stand."""
        return tvd(self.naive, self.do)

    @property
    def effect(self) -> float:
        """TVD between P(A | do(D=0)) and P(A | do(D=1)): twice the error of a model that ignores
        the image."""
        return float(tvd(self.do[0], self.do[1]))


@dataclass(frozen=True)
class Hidden:
    """What the rows do not say: ``(n,)`` integers for U, the digit shown, the index of the image,
    and the hue.

    Grey images have the hue -1.
    """

    U: np.ndarray
    shown: np.ndarray
    index: np.ndarray
    hue: np.ndarray


class FrontDoorSCM:
    """The model over one image set.

    Args:
        images: ``(m, 28, 28)`` uint8, grey, white on black; or ``(m, 8, 8)``.
        digits: ``(m,)``, the digit 0 or 1 that each shows; both must occur.
        image_shape: ``(3, 32, 32)``, tinted in 12 hues inside a black border, or ``(1, 28, 28)``,
            grey as they are; for small images ``(1, 8, 8)`` alone.
        fidelity: Probability that the image shows D's digit. With 1 there is no overlap, and the
            question has no answer in the rows.

    Raises:
        DataError: Arrays of other shapes, types or digits, an unknown image shape, or a fidelity
            outside [0, 1].
    """

    def __init__(
        self,
        images: np.ndarray,
        digits: np.ndarray,
        *,
        image_shape: tuple[int, int, int] = COLOUR,
        fidelity: float = 0.75,
    ) -> None:
        offered = {(SIDE, SIDE): (COLOUR, GREY), SMALL[1:]: (SMALL,)}.get(images.shape[1:])
        if offered is None or images.dtype != np.uint8:
            raise DataError(
                f"The image set must be (m, {SIDE}, {SIDE}) or (m, 8, 8) of uint8, not "
                f"{images.shape} of {images.dtype}."
            )
        if len(images) != len(digits) or set(np.unique(digits)) != {0, 1}:
            raise DataError(
                f"The image set has {len(images)} images and {len(digits)} digits out of "
                f"{np.unique(digits).tolist()}: it needs one digit for each image, and both 0 and "
                "1."
            )
        if tuple(image_shape) not in offered:
            shapes = " or ".join(map(str, offered))
            raise DataError(
                f"Images of shape {tuple(image_shape)} are not offered: choose {shapes}."
            )
        if not 0 <= fidelity <= 1:
            raise DataError(f"fidelity={fidelity} is not a probability: choose a number in [0, 1].")
        self.image_shape = tuple(image_shape)
        self.fidelity = float(fidelity)
        self._cell, self._weights = (2, SMALL_WEIGHTS) if offered == (SMALL,) else (CELL, WEIGHTS)
        self._grey = images
        self._members = [np.flatnonzero(np.asarray(digits) == digit) for digit in (0, 1)]

    @property
    def coloured(self) -> bool:
        """Whether the images are tinted."""
        return self.image_shape == COLOUR

    def render(self, index: np.ndarray, hue: np.ndarray) -> np.ndarray:
        """Images ``(n, *image_shape)`` uint8: those at ``index`` of the set, tinted in ``hue``
        unless they are grey."""
        grey = self._grey[index]
        if not self.coloured:
            return grey[:, None]
        images = np.zeros((len(grey), *COLOUR), dtype=np.uint8)
        inner = images[:, :, BORDER:-BORDER, BORDER:-BORDER]
        np.rint(
            grey[:, None] * HUES[hue].astype(np.float32)[:, :, None, None],
            out=inner,
            casting="unsafe",
        )
        return images

    def sample(
        self, n: int, *, seed: int, do: Mapping[str, int] | None = None
    ) -> tuple[dict[str, np.ndarray], Hidden]:
        """``n`` independent rows, and apart from them what stays hidden.

        Args:
            n: Number of rows.
            seed: The same seed gives the same rows.
            do: ``{"D": 0}`` or ``{"D": 1}`` to set D against its cause.

        Returns:
            Rows ``{"D": (n,), "I": (n, *image_shape), "A": (n,)}``, integers and uint8, and the
            hidden values.
        """
        if do and (set(do) != {"D"} or do["D"] not in (0, 1)):
            raise DataError(
                f"do={dict(do)} cannot be sampled: this model intervenes on D alone. Set 'D' to 0 "
                "or 1."
            )
        rng = np.random.default_rng(seed)
        u = rng.integers(4, size=n)
        d = (rng.random(n) < P_D1[u]).astype(np.int64)
        if do:
            d = np.full(n, do["D"], dtype=np.int64)
        shown = np.where(rng.random(n) < self.fidelity, d, 1 - d)
        place = rng.random(n)
        index = np.choose(
            shown, [members[(place * len(members)).astype(int)] for members in self._members]
        )
        hue = rng.integers(len(HUES), size=n) if self.coloured else np.full(n, -1)
        images = self.render(index, hue)
        p = _softmax(self.logits(images) + SHIFT[u])
        a = (rng.random(n)[:, None] > p.cumsum(1)[:, :2]).sum(1)
        return {"D": d, "I": images, "A": a}, Hidden(u, shown, index, hue)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What A reads off an image: ``(n, 3)``, the fixed random projection of the mean ink in
        each cell.

        Grey images are read as the mean over all hues of their tinted versions.

        Args:
            images: ``(n, *image_shape)`` uint8, or floats in [0, 1]: the set's own or any
                generator's.

        Raises:
            DataError: Images of another shape or type.
        """
        if (
            images.ndim != 4
            or images.shape[1:] != self.image_shape
            or images.dtype.kind not in "uf"
        ):
            raise DataError(
                f"A cannot be read off images of shape {images.shape} and type {images.dtype}: "
                f"they must be (n, {', '.join(map(str, self.image_shape))}) of uint8 or of floats "
                "in [0, 1]."
            )
        scale = 255.0 if images.dtype == np.uint8 else 1.0
        out = np.empty((len(images), 3))
        for start in range(0, len(images), 1024):
            block = images[start : start + 1024]
            if self.coloured:
                block = block[:, :, BORDER:-BORDER, BORDER:-BORDER]
            (n, channels), cell = block.shape[:2], self._cell
            across = block.shape[2] // cell
            cells = block.reshape(n, channels, across, cell, across, cell)
            ink = cells.mean((3, 5), dtype=np.float64).reshape(n, channels, -1) / scale
            if not self.coloured:
                ink = ink * HUES.mean(0)[:, None]
            out[start : start + 1024] = np.einsum("ncf,kcf->nk", ink, self._weights)
        return out + BIAS

    def attribute(self, images: np.ndarray) -> np.ndarray:
        """P(A | do(I=image)) for each image, ``(n, 3)``: the sum over U."""
        return _softmax(self.logits(images)[:, None] + SHIFT).mean(1)

    @cached_property
    def _given_u(self) -> np.ndarray:
        """P(A | U, shown digit), ``(4, 2, 3)``: the sum over all images of the digit and all
        hues."""
        table = np.zeros((4, 2, 3))
        for shown, members in enumerate(self._members):
            for images in self._all_images(members):
                table[:, shown] += _softmax(self.logits(images)[:, None] + SHIFT).sum(0)
            table[:, shown] /= len(members) * (len(HUES) if self.coloured else 1)
        return table

    def _all_images(self, members: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(members), 1024):
            block = members[start : start + 1024]
            for hue in range(len(HUES) if self.coloured else 1):
                yield self.render(block, np.full(len(block), hue))

    def answers(self) -> Answers:
        """Every exact probability that the recipe compares with."""
        noise = np.array(
            [[self.fidelity, 1 - self.fidelity], [1 - self.fidelity, self.fidelity]]
        )  # D, shown
        given_ud = np.einsum("ds,usa->uda", noise, self._given_u)
        p_ud = np.stack([1 - P_D1, P_D1], axis=1) / 4
        joint = np.einsum("ud,uda->da", p_ud, given_ud)
        return Answers(
            joint=joint,
            naive=joint / joint.sum(1, keepdims=True),
            do=given_ud.mean(0),
            shown=self._given_u.mean(0),
        )


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
