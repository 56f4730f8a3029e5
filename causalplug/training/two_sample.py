"""What classifiers tell of generated rows: which categories their images show, and whether they pass for real."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from causalplug.variables import Discrete, Image, Variable

__all__ = ["Shown", "classifier_distance"]

_ROWS = 4000  # real rows that a classifier learns from
_SIDE = 8  # pixels are averaged over blocks, down to this many a side


class Shown:
    """Reads the other variables' categories off images: linear classifiers, fitted on real rows.

    What real images show of a variable is a variable itself; a module that does not learn what its image owes to its
    parents misses the joint distribution with it, whatever its pixels look like.

    Args:
        variables: of the target: the images, and the discrete variables that are read off them.
        images: names of the images.
        rows: real rows, images as pixels or projections.
    """

    def __init__(self, variables: Mapping[str, Variable], images: Sequence[str], rows: Mapping[str, Tensor]):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.variables = dict(variables)
        self.readers = {}
        n = len(next(iter(rows.values())))
        index = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:_ROWS]
        for image in images:
            features = self._features(image, rows[image][index.to(rows[image].device)])
            for name, variable in variables.items():
                if not isinstance(variable, Discrete):
                    continue
                codes = rows[name][index.to(rows[name].device)].cpu().numpy()
                if len(np.unique(codes)) > 1:
                    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, C=0.1))
                    self.readers[image, name] = reader.fit(features, codes)

    @property
    def sizes(self) -> list[int]:
        """Values of each column of :meth:`__call__`."""
        return [self.variables[name].size for _, name in self.readers]  # type: ignore[attr-defined]

    def __call__(self, rows: Mapping[str, Tensor]) -> list[Tensor]:
        """Codes ``(n,)`` of what each image shows of each variable."""
        found = []
        for (image, _), reader in self.readers.items():
            codes = reader.predict(self._features(image, rows[image]))
            found.append(torch.as_tensor(codes, dtype=torch.int64, device=rows[image].device))
        return found

    def _features(self, name: str, value: Tensor) -> np.ndarray:
        if value.ndim > 2:
            variable: Image = self.variables[name]  # type: ignore[assignment]
            side = (min(_SIDE, variable.height), min(_SIDE, variable.width))
            value = torch.nn.functional.adaptive_avg_pool2d(variable.scale(value), side).flatten(1)
        return value.float().cpu().numpy()


def classifier_distance(real: Tensor, fake: Tensor, *, rows: int = _ROWS) -> tuple[float, float]:
    """A lower bound of the TVD of two samples, and what chance alone explains of it.

    A classifier that tells real from generated rows right with probability a shows a TVD of at least ``2 a - 1``
    (Lopez-Paz & Oquab 2017). Each half is judged by trees that were grown on the other; the second number
    is the 0.99 quantile under equal distributions.

    Args:
        real, fake: features ``(n, f)``.
        rows: of each that are used, at most.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    n = min(len(real), len(fake), rows)
    features = torch.cat([real[:n], fake[:n]]).float().cpu().numpy()
    label = np.repeat([1, 0], n)
    half = np.random.default_rng(0).permutation(2 * n) % 2
    right = 0
    for part in (0, 1):
        trees = ExtraTreesClassifier(50, min_samples_leaf=20, max_features=None, random_state=0)
        trees.fit(features[half != part], label[half != part])
        right += int((trees.predict(features[half == part]) == label[half == part]).sum())
    return max(0.0, 2 * right / (2 * n) - 1), 2.326 / math.sqrt(2 * n)
