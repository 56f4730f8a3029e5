"""What tells generated rows from real ones: the categories and components of their images, a
kernel, a classifier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from causalplug.variables import Variable

__all__ = ["SCALES", "Shown", "classifier_distance", "mmd"]

_ROWS = 4000  # real rows that a classifier learns from
_WAVES, _LENGTHS = 100, (0.3, 1.0, 3.0)  # random features, and their lengths in deviations
_RIDGE = 3e-3  # of the mean square of a feature
_KERNEL_ROWS = 1000  # rows of a kernel test
_SIDE = 8  # pixels are averaged over blocks, down to this many a side
_COMPONENTS = 16  # of the averaged pixels
SCALES = (1.0, 1 / 8, 1 / 64)
"""Bandwidths that see how images differ at large, within a category, and by their finest
variation."""


class Shown:
    """What images show: the other variables' categories, and where they lie among real images.

    What real images show of a variable is a variable itself; a module that does not learn what its
    image owes to its parents misses the joint distribution with it, whatever its pixels look like.
    Linear classifiers read it, fitted on real rows. Principal components of real images, in their
    natural proportions, say the rest: a projection that was trained to tell the other variables
    knows nothing of brightness, and its numbers, each scaled to deviation 1, make much of what
    hardly varies.

    Args:
        variables: Variables of the target: the images, and the discrete variables that are read off
            them.
        images: Names of the images.
        rows: Real rows, images as pixels.
    """

    def __init__(
        self, variables: Mapping[str, Variable], images: Sequence[str], rows: Mapping[str, Tensor]
    ):
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.variables = dict(variables)
        self.readers, self.bases = {}, {}
        n = len(next(iter(rows.values())))
        index = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:_ROWS]
        for image in images:
            features = self._features(image, rows[image][index.to(rows[image].device)])
            self.bases[image] = PCA(min(_COMPONENTS, *features.shape), random_state=0).fit(features)
            for name, variable in variables.items():
                if not variable.is_discrete:
                    continue
                codes = rows[name][index.to(rows[name].device)].cpu().numpy()
                if len(np.unique(codes)) > 1:
                    reader = make_pipeline(
                        StandardScaler(), LogisticRegression(max_iter=200, C=0.1)
                    )
                    self.readers[image, name] = reader.fit(features, codes)

    @property
    def sizes(self) -> list[int]:
        """Values of each column of :meth:`__call__`."""
        return [self.variables[name].size for _, name in self.readers]

    def __call__(self, rows: Mapping[str, Tensor]) -> list[Tensor]:
        """Codes ``(n,)`` of what each image shows of each variable."""
        found = []
        for (image, _), reader in self.readers.items():
            codes = reader.predict(self._features(image, rows[image]))
            found.append(torch.as_tensor(codes, dtype=torch.int64, device=rows[image].device))
        return found

    def components(self, name: str, images: Tensor) -> Tensor:
        """Principal components ``(n, k)`` of images, as far from each other as the images are."""
        found = self.bases[name].transform(self._features(name, images))
        return torch.as_tensor(found, dtype=torch.float32, device=images.device)

    def _features(self, name: str, images: Tensor) -> np.ndarray:
        variable = self.variables[name]
        side = (min(_SIDE, variable.height), min(_SIDE, variable.width))
        pixels = torch.nn.functional.adaptive_avg_pool2d(variable.scale(images), side).flatten(1)
        return pixels.float().cpu().numpy()


def mmd(
    real: Tensor,
    fake: Tensor,
    generator: torch.Generator,
    *,
    scales: Sequence[float] = (1.0,),
    permutations: int = 100,
) -> tuple[float, float]:
    """Squared MMD (Gretton et al. 2012, unbiased) and its 0.95 quantile under permutation.

    The kernel is the mean of Gaussians whose bandwidths are multiples of the mean squared distance
    of two real rows. The median is the usual choice; where rows lie in two heaps of nearly one size
    it is either the heaps' width or their distance, and a few rows more or less decide which.

    Args:
        real, fake: Features ``(n, f)``; the first 1,000 rows are compared.
        generator: Generator of the permutations.
        scales: The multiples.
        permutations: How many.
    """
    n = min(_KERNEL_ROWS, len(real), len(fake))
    rows = torch.cat([real[:n], fake[:n]]).float()
    square = torch.cdist(rows, rows).square()
    width = square[:n, :n].mean().clamp_min(1e-12)
    kernel = torch.stack([torch.exp(-square / (scale * width)) for scale in scales]).mean(0)
    kernel.fill_diagonal_(0.0)

    def statistic(sign: Tensor) -> Tensor:  # sign (m, 2n): +1 real, -1 fake
        same = torch.einsum("mi,ij,mj->m", sign, kernel, sign)
        cross = (kernel.sum() - same) / 2  # sum over unlike pairs, both orders
        within = (kernel.sum() + same) / 2
        return within / (n * (n - 1)) - cross / n**2

    sign = torch.ones(2 * n, device=rows.device)
    sign[n:] = -1
    signs = []
    for _ in range(permutations):
        signs.append(sign[torch.randperm(2 * n, generator=generator, device=rows.device)])
    shuffled = torch.stack(signs)
    return float(statistic(sign[None])[0]), float(statistic(shuffled).quantile(0.95))


def classifier_distance(real: Tensor, fake: Tensor, *, rows: int = _ROWS) -> tuple[float, float]:
    """A lower bound of the TVD of two samples, and what chance alone explains of it.

    A classifier that tells real from generated rows right with probability a shows a TVD of at
    least ``2 a - 1`` (Lopez-Paz & Oquab 2017). Each half is judged by a ridge regression on random
    Fourier features (Rahimi & Recht 2007) of the other; the second number is the 0.99 quantile
    under equal distributions.

    Args:
        real, fake: Features ``(n, f)``.
        rows: Rows of each that are used, at most.
    """
    n = min(len(real), len(fake), rows)
    values = torch.cat([real[:n], fake[:n]]).double()
    draw = torch.Generator().manual_seed(0)
    half = (torch.randperm(2 * n, generator=draw) % 2).bool().to(values.device)
    label = torch.ones_like(values[:, 0])
    label[n:] = -1
    features = _fourier(_ranked(values, n), draw)
    right = 0
    for part in (half, ~half):
        learned, judged = features[~part], features[part]
        gram = learned.T @ learned
        gram.diagonal().add_(_RIDGE * len(learned))
        weight = torch.linalg.solve(gram, learned.T @ label[~part])
        right += int(((judged @ weight > 0) == (label[part] > 0)).sum())
    return max(0.0, 2 * right / (2 * n) - 1), 2.326 / math.sqrt(2 * n)


def _ranked(values: Tensor, n: int) -> Tensor:
    """Every column as normal scores of its ranks, so that tails and atoms count as bulk does; a
    column of few values keeps them."""
    columns = []
    for column in values.T:
        levels, place, counts = torch.unique(column, return_inverse=True, return_counts=True)
        middle = (counts.cumsum(0) - counts / 2) / counts.sum()
        scores = column
        if len(levels) > 8:
            scores = torch.special.ndtri(middle.double())[place]
        scale = scores[:n].std()
        if not scale > 1e-6:  # a constant among the real rows says nothing of the scale
            scale = scores.std().clamp_min(1e-6)
        columns.append((scores - scores[:n].mean()) / scale)
    return torch.stack(columns, -1)


def _fourier(values: Tensor, draw: torch.Generator) -> Tensor:
    """Waves of several lengths, the values and their products."""
    parts = [torch.ones_like(values[:, :1]), values, values.square()]
    for length in _LENGTHS:
        shape = (values.shape[1], _WAVES)
        direction = torch.randn(shape, generator=draw, dtype=values.dtype).to(values.device)
        phase = 2 * math.pi * torch.rand(_WAVES, generator=draw, dtype=values.dtype)
        parts.append(torch.cos(values @ direction / length + phase.to(values.device)))
    return torch.cat(parts, -1)
