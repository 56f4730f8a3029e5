"""Fitted estimators of scikit-learn as networks of arrays: linear models, trees and their
ensembles, multi-layer perceptrons, behind scalers.

Pickles run code when they are loaded, so an estimator is never saved as it is. What it has learned
is read into tensors, which are saved as any other network is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from causalplug.values import Json

__all__ = ["EXPORTED", "SMALLEST", "network_of"]

Estimator = Any
"""A fitted estimator of scikit-learn, or a part of one; its class decides its attributes."""

EXPORTED = (
    "linear and logistic regressions, trees, forests, (histogram) gradient boosting and "
    "multi-layer perceptrons of scikit-learn, behind StandardScaler or MinMaxScaler"
)
"""The estimators that can be saved, in words."""

SMALLEST = 1e-37
"""The probability that one of zero counts as, so that its logarithm is finite."""

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
}


def _floats(values: object) -> Tensor:
    return torch.as_tensor(np.asarray(values, np.float32))


def _not_above(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 that is not above each float64: a float32 is at most the one where it is
    at most the other."""
    near = thresholds.astype(np.float32)
    lower = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(float) > thresholds, lower, near)


class _Affine(nn.Module):
    """``x @ weight + bias``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: object, bias: object):
        super().__init__()
        self.register_buffer("weight", _floats(weight))
        self.register_buffer("bias", _floats(bias))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class _Scale(nn.Module):
    """``x * factor + shift``, column by column."""

    factor: Tensor
    shift: Tensor

    def __init__(self, factor: object, shift: object):
        super().__init__()
        self.register_buffer("factor", _floats(factor))
        self.register_buffer("shift", _floats(shift))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift


class _Trees(nn.Module):
    """The sum of what the leaves of several trees say, times ``weight``, plus ``start``.

    Nodes of all trees lie in one array; a leaf leads to itself.

    Args:
        trees: Of each tree its arrays, see :func:`_nodes`.
        weight: Factor of the sum.
        start: What is added.
    """

    left: Tensor
    right: Tensor
    feature: Tensor
    threshold: Tensor
    value: Tensor
    roots: Tensor
    start: Tensor

    def __init__(
        self, trees: Sequence[Mapping[str, np.ndarray]], weight: float, start: object = 0.0
    ):
        super().__init__()
        sizes = [len(tree["feature"]) for tree in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        for name in ("left", "right"):
            moved = [tree[name] + root for tree, root in zip(trees, roots, strict=True)]
            self.register_buffer(name, torch.as_tensor(np.concatenate(moved)))
        joined = {
            name: np.concatenate([tree[name] for tree in trees])
            for name in ("feature", "threshold", "value")
        }
        self.register_buffer("feature", torch.as_tensor(joined["feature"]))
        self.register_buffer("threshold", torch.as_tensor(_not_above(joined["threshold"])))
        self.register_buffer("value", _floats(joined["value"]))
        self.register_buffer("roots", torch.as_tensor(roots))
        self.register_buffer("start", _floats(start))
        self.depth = max(int(tree["depth"]) for tree in trees)
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        node = self.roots + torch.zeros_like(x[:, :1], dtype=torch.int64)
        for _ in range(self.depth):
            read = x.gather(1, self.feature[node])
            node = torch.where(read <= self.threshold[node], self.left[node], self.right[node])
        return self.weight * self.value[node].sum(1) + self.start


class _Scores(nn.Module):
    """Scores of categories from raw scores ``(n, 1)`` or ``(n, k)``: one raw score is that of the
    second of two categories."""

    def forward(self, raw: Tensor) -> Tensor:
        if raw.shape[1] > 1:
            return raw
        return torch.cat([torch.zeros_like(raw), raw], 1)


class _Log(nn.Module):
    """Logarithms of probabilities, those of zero at that of the smallest number."""

    def forward(self, shares: Tensor) -> Tensor:
        return shares.clamp_min(SMALLEST).log()


def network_of(estimator: object) -> nn.Module | None:
    """What an estimator has learned, as a network from columns ``(n, p)`` to scores
    ``(n, k)`` of its classes or numbers ``(n, d)``; None where it is of another kind."""
    names = _family(estimator)
    if "Pipeline" in names:
        return _pipeline(estimator)
    for known, make in _MAKERS.items():
        if known in names:
            return make(estimator)
    return None


def _family(estimator: object) -> list[str]:
    """Names of the classes of scikit-learn that an estimator is of, the nearest first."""
    family = type(estimator).__mro__
    return [one.__name__ for one in family if one.__module__.startswith("sklearn.")]


def _pipeline(estimator: Estimator) -> nn.Module | None:
    layers: list[nn.Module] = []
    steps = [step for _, step in estimator.steps]
    for step in steps[:-1]:
        made = _scaler(step)
        if made is None:
            return None
        layers.append(made)
    last = network_of(steps[-1])
    if last is None:
        return None
    return nn.Sequential(*layers, last)


def _scaler(step: Estimator) -> nn.Module | None:
    names = _family(step)
    if step == "passthrough":
        return nn.Identity()
    if "StandardScaler" in names:
        width = step.n_features_in_
        deviation = np.ones(width) if step.scale_ is None else step.scale_
        mean = np.zeros(width) if step.mean_ is None or not step.with_mean else step.mean_
        return _Scale(1 / deviation, -mean / deviation)
    if "MinMaxScaler" in names and not step.clip:
        return _Scale(step.scale_, step.min_)
    return None


def _linear(estimator: Estimator) -> nn.Module:
    weight = np.atleast_2d(estimator.coef_).T
    bias = np.broadcast_to(estimator.intercept_, weight.shape[1])
    if _classifies(estimator):
        return nn.Sequential(_Affine(weight, bias), _Scores())
    return _Affine(weight, bias)


def _classifies(estimator: object) -> bool:
    return "ClassifierMixin" in _family(estimator)


def _nodes(tree: Estimator) -> Json:
    """The arrays of a tree of scikit-learn."""
    count = tree.node_count
    own = np.arange(count)
    leaf = tree.children_left < 0
    value = tree.value[:, 0, :] if tree.n_outputs == 1 else tree.value[:, :, 0]
    return {
        "left": np.where(leaf, own, tree.children_left),
        "right": np.where(leaf, own, tree.children_right),
        "feature": np.where(leaf, 0, tree.feature),
        "threshold": tree.threshold.astype(float),
        "value": value.astype(float),
        "depth": tree.max_depth,
    }


def _tree(estimator: Estimator) -> nn.Module:
    return _shares(_Trees([_nodes(estimator.tree_)], 1.0), estimator)


def _forest(estimator: Estimator) -> nn.Module:
    trees = [_nodes(one.tree_) for one in estimator.estimators_]
    return _shares(_Trees(trees, 1 / len(trees)), estimator)


def _shares(trees: nn.Module, estimator: object) -> nn.Module:
    if _classifies(estimator):
        return nn.Sequential(trees, _Log())
    return trees


def _boosting(estimator: Estimator) -> nn.Module:
    """Gradient boosting: what it starts from is the same for every row."""
    width = estimator.estimators_.shape[1]
    trees = []
    for stage in estimator.estimators_:
        for place, one in enumerate(stage):
            trees.append(_in_column(_nodes(one.tree_), place, width))
    made = _Trees(trees, float(estimator.learning_rate))
    row = np.zeros((1, estimator.n_features_in_))
    raw = estimator.decision_function(row) if _classifies(estimator) else estimator.predict(row)
    found = made(_floats(row)).numpy()
    made.start = _floats(np.asarray(raw, float).reshape(1, -1) - found)[0]
    return nn.Sequential(made, _Scores()) if _classifies(estimator) else made


def _in_column(nodes: Json, place: int, width: int) -> Json:
    """A tree of one number that speaks of one of several columns."""
    value = np.zeros((len(nodes["feature"]), width))
    value[:, place] = nodes["value"][:, 0]
    return nodes | {"value": value}


def _histogram(estimator: Estimator) -> nn.Module | None:
    stages = estimator._predictors
    width = len(stages[0])
    trees = []
    for stage in stages:
        for place, one in enumerate(stage):
            if one.nodes["is_categorical"].any():
                return None
            trees.append(_in_column(_histogram_nodes(one.nodes), place, width))
    made = _Trees(trees, 1.0, np.ravel(estimator._baseline_prediction))
    return nn.Sequential(made, _Scores()) if _classifies(estimator) else made


def _histogram_nodes(nodes: np.ndarray) -> Json:
    own = np.arange(len(nodes))
    leaf = nodes["is_leaf"].astype(bool)
    return {
        "left": np.where(leaf, own, nodes["left"].astype(np.int64)),
        "right": np.where(leaf, own, nodes["right"].astype(np.int64)),
        "feature": np.where(leaf, 0, nodes["feature_idx"].astype(np.int64)),
        "threshold": nodes["num_threshold"].astype(float),
        "value": nodes["value"].astype(float)[:, None],
        "depth": int(nodes["depth"].max()),
    }


def _perceptron(estimator: Estimator) -> nn.Module | None:
    layers: list[nn.Module] = []
    pairs = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    for place, (weight, bias) in enumerate(pairs):
        layers.append(_Affine(weight, bias))
        if place < len(pairs) - 1:
            layers.append(_ACTIVATIONS[estimator.activation]())
    if not _classifies(estimator):
        return nn.Sequential(*layers)
    if estimator.out_activation_ not in ("logistic", "softmax"):
        return None
    return nn.Sequential(*layers, _Scores())


_MAKERS: Mapping[str, Callable[[Estimator], nn.Module | None]] = {
    "BaseDecisionTree": _tree,
    "BaseForest": _forest,
    "BaseGradientBoosting": _boosting,
    "BaseHistGradientBoosting": _histogram,
    "BaseMultilayerPerceptron": _perceptron,
    "LinearModel": _linear,
    "LinearClassifierMixin": _linear,
}
