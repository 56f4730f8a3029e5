"""Tabular predictors as frozen mechanisms: anything with ``predict`` and perhaps
``predict_proba``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism, ErrorSpec
from causalplug.mechanisms.frozen.estimators import EXPORTED, SMALLEST, network_of
from causalplug.selection import all_of_kind, values_at, without
from causalplug.values import Json, Named
from causalplug.variables import Discrete, Variable

__all__ = [
    "Classifier",
    "Predictor",
    "TabularNetwork",
    "TabularPredictor",
    "columns_of",
    "gives_probabilities",
    "own_classes",
    "tabular_network",
]

_ROWS, _TOLERANCE = 200, 1e-3


@runtime_checkable
class Predictor(Protocol):
    """A fitted estimator in the style of scikit-learn."""

    def predict(self, X: object, /) -> object:
        """A value for each row of a table."""
        ...


class Classifier(Protocol):
    """A fitted classifier in the style of scikit-learn, see :func:`gives_probabilities`."""

    def predict_proba(self, X: object, /) -> object:
        """A probability of each class for each row of a table."""
        ...


def gives_probabilities(estimator: object) -> bool:
    """Whether an estimator has ``predict_proba`` now; some of scikit-learn's have it only where
    the estimator behind them has."""
    return callable(getattr(estimator, "predict_proba", None))


def columns_of(estimator: object, conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions in the order of an estimator's columns.

    Raises:
        MechanismError: It has other columns than the conditions say, or one is neither numbers nor
            categories.
    """
    name = type(estimator).__name__
    for condition in conditions:
        if condition.kind.needs_encoder:
            raise MechanismError(
                f"{name} cannot read {condition.name!r} ({condition.kind.describe()}): it reads "
                "columns of a table. Put an embedding (cp.Vector) or a classifier between."
            )
    known = list(getattr(estimator, "feature_names_in_", []))
    if known:
        by_name = {condition.name: condition for condition in conditions}
        if set(by_name) != set(known):
            raise MechanismError(
                f"{name} cannot be wrapped: it was fitted on the columns "
                f"{', '.join(map(str, known))}, and the conditions are {', '.join(by_name)}. Name "
                "them as the columns are."
            )
        conditions = values_at(by_name, known)
    width = sum((condition.kind.event_shape or (1,))[0] for condition in conditions)
    wanted = getattr(estimator, "n_features_in_", width)
    if width != wanted:
        raise MechanismError(
            f"{name} cannot be wrapped: it was fitted on {wanted} columns, and the conditions have "
            f"{width}. Give one condition for each column, in their order."
        )
    return tuple(conditions)


def own_classes(estimator: object, variable: Variable) -> Discrete:
    """The categories of a variable in the order of an estimator's classes.

    Raises:
        MechanismError: They are others.
    """
    name = type(estimator).__name__
    classes = getattr(estimator, "classes_", None)
    if classes is None or not gives_probabilities(estimator):
        raise MechanismError(
            f"{name} cannot be the mechanism of {variable.describe()}: it gives no probabilities "
            "of classes. Give a classifier with predict_proba and classes_, or declare a number."
        )
    if any(map(np.ndim, classes)):
        raise MechanismError(
            f"{name} cannot be the mechanism of {variable.describe()}: it predicts "
            f"{len(classes)} variables at once. Wrap one of its estimators_ for each of them."
        )
    values = np.asarray(classes).tolist()
    known = {category: category for category in variable.categories}
    unknown = without(values, known)
    missing = without(known, values)
    if unknown or missing:
        raise MechanismError(
            f"{name} cannot be the mechanism of {variable.describe()}: its classes are "
            f"{', '.join(map(repr, values[:8]))}. Declare cp.Discrete({values[:8]})."
        )
    return Discrete(values_at(known, values))


class TabularNetwork(nn.Module):
    """An estimator's network behind the columns that conditions make.

    Discrete conditions come as one-hot rows and are read as the numbers that their categories are.
    """

    def __init__(self, head: nn.Module, conditions: Sequence[Condition], *, flat: bool):
        super().__init__()
        self.head, self.flat = head, flat
        self.discrete = [condition.kind.is_discrete for condition in conditions]
        for place, condition in enumerate(conditions):
            if condition.kind.is_discrete:
                numbers = list(map(float, condition.kind.categories))  # type: ignore[arg-type]
                self.register_buffer(f"values{place}", torch.tensor(numbers)[:, None])

    def forward(self, *given: Tensor) -> Tensor:
        """Scores or numbers of each row."""
        columns = []
        for place, (value, discrete) in enumerate(zip(given, self.discrete, strict=True)):
            if discrete and value.dim() != 2:
                raise ValueError("discrete conditions are read as one-hot rows")
            if discrete:
                columns.append(value.float() @ self.get_buffer(f"values{place}"))
            elif value.dim() == 1:
                columns.append(value.float()[:, None])
            else:
                columns.append(value.float())
        made = self.head(torch.cat(columns, 1))
        return made[:, 0] if self.flat and made.shape[1] == 1 else made


def tabular_network(
    estimator: object, conditions: Sequence[Condition], variable: Variable
) -> TabularNetwork | None:
    """An estimator as a network on conditions; None where it cannot be written so.

    Its numbers are compared with those of the estimator on random rows.
    """
    for condition in conditions:
        kind = condition.kind
        if kind.is_discrete and not all_of_kind(kind.categories, int | float):
            return None
    head = network_of(estimator)
    if head is None or not _agrees(estimator, head, variable):
        return None
    return TabularNetwork(head, conditions, flat=not variable.event_shape and variable.is_number)


def _agrees(estimator: Any, head: nn.Module, variable: Variable) -> bool:
    """Whether a network gives what the estimator gives, on rows of very different sizes."""
    rng = np.random.default_rng(0)
    width = int(estimator.n_features_in_)
    rows = rng.normal(size=(_ROWS, width)) * 10.0 ** rng.integers(-1, 3, size=(_ROWS, 1))
    rows = rows.astype(np.float32)
    with torch.no_grad():
        found = head(torch.from_numpy(rows))
    table = _named(estimator, rows)
    if variable.is_discrete:
        right = np.asarray(estimator.predict_proba(table))
        found = found.softmax(-1)
    else:
        right = np.asarray(estimator.predict(table), float).reshape(_ROWS, -1)
    scale = max(1.0, float(np.abs(right).max()))
    return found.shape == right.shape and bool(
        np.abs(found.numpy() - right).max() < _TOLERANCE * scale
    )


def _named(estimator: object, rows: np.ndarray) -> object:
    """Rows as the table that an estimator was fitted on."""
    known = getattr(estimator, "feature_names_in_", None)
    if known is None:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=list(known))


@register_mechanism("tabular-predictor")
class TabularPredictor(ConditionalMechanism):
    """Any object with ``predict_proba`` or ``predict`` as a frozen mechanism, run as it is.

    It is a black box: no gradients pass it. A probability of zero counts as 1e-37. It
    cannot be saved, since only pickles hold an
    estimator of any kind. :func:`causalplug.wrap` makes it where an estimator cannot be written as
    a network.

    Args:
        estimator: The fitted estimator; its columns are the conditions, by name where it was fitted
            on named columns and in their order otherwise.
        variable: What it predicts.
        conditions: What it reads.
        error: Of a number, as for :func:`causalplug.wrap`.
        reads, license, source: As for :func:`causalplug.wrap`.

    Raises:
        MechanismError: Its columns, classes or numbers are others than declared.
    """

    differentiable = False

    def __init__(
        self,
        estimator: Predictor | Classifier,
        variable: Variable,
        conditions: Sequence[Condition],
        *,
        error: ErrorSpec = None,
        reads: ReadsSpec = None,
        license: str | None = None,
        source: str | None = None,
    ):
        ordered = columns_of(estimator, conditions)
        super().__init__(
            variable,
            ordered,
            {},
            probabilities=variable.is_discrete,
            error=error,
            license=license,
            source=source,
            reads=reads,
        )
        self.estimator = estimator

    def _table(self, conditions: Mapping[str, Tensor]) -> object:
        import pandas as pd

        columns: Json = {}
        for condition in self.read_conditions:
            columns |= _columns(condition, conditions[condition.name])
        frame = pd.DataFrame(columns)
        if getattr(self.estimator, "feature_names_in_", None) is None:
            return frame.to_numpy()
        return frame

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        estimator: Any = self.estimator
        found = estimator.predict(self._table(conditions))
        made = torch.as_tensor(np.asarray(found, np.float32))
        size = math.prod(self.generates.event_shape)
        if made.numel() != len(made) * size:
            raise MechanismError(
                f"{type(estimator).__name__} cannot be the mechanism of "
                f"{self.generates.describe()}: it predicts {made.numel() // len(made)} numbers for "
                "each row. Declare the variable so."
            )
        return made.reshape(len(made), *self.generates.event_shape)

    def class_logits(self, conditions: Mapping[str, Tensor]) -> Tensor:
        estimator: Any = self.estimator
        shares = np.asarray(estimator.predict_proba(self._table(conditions)), np.float64)
        sums = shares.sum(-1)
        if np.abs(sums - 1).max(initial=0) > _TOLERANCE or shares.min(initial=0) < 0:
            raise MechanismError(
                f"{type(estimator).__name__} cannot be used: what its predict_proba gives are no "
                f"probabilities (a row sums to {float(sums.max(initial=0)):.3g}). Divide each row "
                "by its sum."
            )
        return torch.as_tensor(shares).clamp_min(SMALLEST).log().float()

    def config(self) -> Json:
        raise MechanismError(
            f"A {type(self.estimator).__name__} cannot be saved: only pickles hold an estimator of "
            f"any kind, and pickles run code when they are loaded. What can be saved are "
            f"{EXPORTED}. Fit one of these to what this one predicts, or load your estimator "
            "yourself and plug it in after loading the model."
        )

    @classmethod
    def from_config(cls, config: Named) -> TabularPredictor:
        raise MechanismError(
            "A repository cannot hold an estimator. Load it yourself, and give it to "
            "causalplug.wrap."
        )


def _columns(condition: Condition, value: Tensor) -> dict[Any, object]:
    """The columns that one condition makes, in users' values."""
    kind = condition.kind
    if kind.is_discrete and value.is_floating_point():
        if value.requires_grad:
            raise MechanismError(
                f"No gradient passes the condition {condition.name!r}: a tabular predictor is a "
                "black box. Train with the enumerated objective, or detach the parents."
            )
        value = value.argmax(-1)
    values = kind.decode(value.detach())
    if not kind.event_shape:
        return {condition.name: values}
    return {(condition.name, place): values[:, place] for place in range(values.shape[1])}
