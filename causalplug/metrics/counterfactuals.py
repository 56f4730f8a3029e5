"""The measures of counterfactual images (Monteiro et al. 2023, Melistas et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalplug.dcm import DCM
from causalplug.errors import QueryError
from causalplug.metrics.distances import frechet, latent_divergence
from causalplug.metrics.judges import (
    Features,
    Judge,
    bound_judges,
    features_of,
    judged,
    name_of,
)
from causalplug.metrics.measures import Measure, Measures, mean_of
from causalplug.metrics.rows import Asking, Intervention, encoded, image_of
from causalplug.selection import without

__all__ = [
    "composition",
    "effectiveness",
    "identity",
    "measure",
    "minimality",
    "realism",
    "reversibility",
]

_SHOWN = 12  # images of a line of the picture
_BINS = 10  # equal shares of the reference rows, within which a number counts as the same


@dataclass(frozen=True, eq=False)
class _Pair:
    """Rows as they were, and as they would have been."""

    asking: Asking
    image: str
    label: str
    before: Mapping[str, Tensor]
    do: Mapping[str, Tensor]
    after: Mapping[str, Tensor]

    @property
    def pictures(self) -> dict[str, list[Any]]:
        shown = {"as it was": self.before, self.label: self.after}
        found = {}
        for label, of in shown.items():
            found[label] = _pictures(self.asking.dcm, self.image, of)
        return found


def composition(
    dcm: DCM,
    rows: object,
    cycles: int | Sequence[int] = (1, 10),
    *,
    image: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Measures:
    """How far an image is from itself after its noise was recovered and nothing set.

    The mean absolute difference of the pixels, as a share of the image's range: 0 is perfect. In
    every further cycle the noise is recovered from the image of the one before.

    Args:
        dcm: The model.
        rows: Rows of data, as :class:`causalplug.DataSource` takes them, with the image and all its
            parents.
        cycles: After how many cycles to measure.
        image: The image variable, where there are several.
        seed: Seed of the noise that the rows leave open.
        batch_size: Rows that go through the networks at once.

    Raises:
        MechanismError: The noise of the image cannot be recovered.
        DataError, QueryError: Rows or names that do not fit.
    """
    asking, name = Asking(dcm, seed, batch_size), image_of(dcm, image)
    before = encoded(dcm, rows, name)
    numbers = np.atleast_1d(np.asarray(cycles))
    if not numbers.size or numbers.dtype.kind not in "iu" or numbers.min() < 1:
        raise QueryError(f"cycles={cycles!r} cannot be measured: they are counted from 1")
    wanted = sorted(set(numbers.ravel().tolist()))
    now, items = before, []
    pictures = {"as it was": _pictures(dcm, name, before)}
    for cycle in range(1, wanted[-1] + 1):
        now = {**before, name: asking.again(now)[name]}
        if cycle in wanted:
            items.append(_apart("composition", "", f"{cycle} cycles", dcm, name, before, now))
            pictures[f"{cycle} cycles"] = _pictures(dcm, name, now)
    return Measures(tuple(items), pictures)


def effectiveness(
    dcm: DCM,
    rows: object,
    do: Intervention,
    judges: Mapping[str, Judge],
    *,
    image: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Measures:
    """Whether counterfactual images show what was set, and what follows from it, read by judges.

    Of a category the share that the judge reads as it should be, of a number the mean absolute
    difference between what the judge reads and what the counterfactual row says.

    Args:
        dcm, rows, image, seed, batch_size: As for :func:`composition`.
        do: Values by variable, one or one for each row; or names of variables, of which every row
            gets the values of another row.
        judges: A frozen mechanism by variable that reads it off the image.

    Raises:
        MechanismError: The noise of the image cannot be recovered.
        DataError, QueryError, UnknownVariableError: Rows, judges or names that do not fit.
    """
    bound = bound_judges(dcm, judges)
    pair = _pair(dcm, rows, do, image, seed, batch_size)
    return Measures(_effective(pair, bound), pair.pictures)


def reversibility(
    dcm: DCM,
    rows: object,
    do: Intervention,
    *,
    image: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Measures:
    """How far an image is from itself after something was set and set back.

    The mean absolute difference of the pixels, as a share of the image's range: 0 is perfect.
    Arguments and errors as of :func:`effectiveness`.
    """
    pair = _pair(dcm, rows, do, image, seed, batch_size)
    return Measures((_reversed(pair),), pair.pictures)


def minimality(
    dcm: DCM,
    rows: object,
    do: Intervention,
    encoder: Features,
    *,
    reference: object = None,
    image: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Measures:
    """Whether an image changes no more than it has to: the counterfactual latent divergence
    (Sanchez & Tsaftaris 2022; Melistas et al. 2024), between log(1) = 0 and 1.

    A row's change, in features of ``encoder``, is compared with how far it is from reference rows
    that have the values aimed at (as few as possible of them should be nearer) and from those that
    have its own (as few as possible should be farther).

    Args:
        dcm, rows, do, image, seed, batch_size: As for :func:`effectiveness`.
        encoder: An encoder, or a function from images to features ``(n, d)``.
        reference: Rows to compare with; the rows themselves by default. Numbers count as the same
            within tenths of the reference rows.

    Raises:
        QueryError: What is set is no column of the rows, or has more than one number a row.
    """
    pair = _pair(dcm, rows, do, image, seed, batch_size, grouped=True)
    found = _minimal(pair, encoder, _reference(dcm, reference, pair))
    return Measures((found,), pair.pictures)


def realism(
    dcm: DCM,
    rows: object,
    do: Intervention,
    encoder: Features,
    *,
    reference: object = None,
    image: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Measures:
    """Whether counterfactual images look like real ones: the Fréchet distance (Heusel et al. 2017)
    of their features from those of ``reference``, in the named encoder; lower is better.

    Arguments and errors as of :func:`minimality`.
    """
    pair = _pair(dcm, rows, do, image, seed, batch_size)
    found = _real(pair, encoder, _reference(dcm, reference, pair))
    return Measures((found,), pair.pictures)


def identity(
    dcm: DCM,
    rows: object,
    do: Intervention,
    encoder: Features,
    *,
    image: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Measures:
    """Whether an image still shows the same individual: the mean cosine similarity of the features
    before and after, in an encoder that tells individuals apart; 1 is perfect.

    It applies where what is set does not change who is shown, as a smile does not change a face.
    Arguments and errors as of :func:`minimality`.
    """
    pair = _pair(dcm, rows, do, image, seed, batch_size)
    return Measures((_same(pair, encoder),), pair.pictures)


def measure(
    dcm: DCM,
    rows: object,
    interventions: Sequence[Intervention],
    *,
    judges: Mapping[str, Judge] | None = None,
    encoder: Features | None = None,
    reference: object = None,
    cycles: int | Sequence[int] = (1, 10),
    image: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> Measures:
    """All measures of counterfactual images in one table and one picture.

    Composition, and for every intervention effectiveness by the judges, reversibility, and with an
    encoder minimality and realism; every counterfactual is computed once.

    Args:
        dcm, rows, judges, encoder, reference, cycles, image, seed, batch_size: As for the single
            measures.
        interventions: What is set, as ``do`` of :func:`effectiveness`, one after another.

    Example:
        >>> cp.metrics.measure(dcm, rows, ["digit"], judges=judges).table  # doctest: +SKIP
    """
    if isinstance(interventions, str | Mapping):
        raise QueryError(
            f"interventions={interventions!r} cannot be measured: give a list of interventions, "
            "such as [{'X': 1}] or ['X']"
        )
    bound = bound_judges(dcm, judges or {})
    found = composition(dcm, rows, cycles, image=image, seed=seed, batch_size=batch_size)
    for do in interventions:
        pair = _pair(dcm, rows, do, image, seed, batch_size, grouped=encoder is not None)
        items = [*_effective(pair, bound), _reversed(pair)]
        if encoder is not None:
            compared = _reference(dcm, reference, pair)
            items += [_minimal(pair, encoder, compared), _real(pair, encoder, compared)]
        found += Measures(tuple(items), pair.pictures)
    return found


def _pair(
    dcm: DCM,
    rows: object,
    do: Intervention,
    image: str | None,
    seed: int,
    batch_size: int | None,
    *,
    grouped: bool = False,
) -> _Pair:
    """The rows of one intervention; ``grouped`` where rows of alike values are to be found."""
    asking, name = Asking(dcm, seed, batch_size), image_of(dcm, image)
    before = encoded(dcm, rows, name)
    values = asking.values(before, do)
    if grouped:
        _check_groups(dcm, values, before)
    return _Pair(asking, name, _label(do), before, values, asking.after(before, values))


def _check_groups(dcm: DCM, names: Iterable[str], rows: Mapping[str, Tensor]) -> None:
    """Raise unless rows can be sorted by the values of some variables.

    Raises:
        QueryError: A variable that the rows do not have, or one of more than one number.
    """
    absent = without(names, rows)
    if absent:
        raise QueryError(
            f"minimality cannot be measured: the rows have no column for {', '.join(absent)}, by "
            "whose values they are compared; add it"
        )
    wide = [name for name in names if dcm.variables[name].event_shape]
    if wide:
        raise QueryError(
            f"minimality cannot be measured: rows are compared by the values of what is set, and "
            f"those of {', '.join(wide)} are not single ones; set categories or numbers, or leave "
            "the encoder out"
        )


def _label(do: Intervention) -> str:
    if isinstance(do, str):
        return f"do({do})"
    if not isinstance(do, Mapping):
        return f"do({', '.join(do)})"
    parts = []
    for name, value in do.items():
        parts.append(f"{name}={value}" if np.ndim(value) == 0 else name)
    return f"do({', '.join(parts)})"


def _effective(pair: _Pair, judges: Mapping[str, Any]) -> tuple[Measure, ...]:
    measured = []
    for name, judge in judges.items():
        read, meant = judged(judge, pair.after), pair.after.get(name)
        if meant is None:
            raise QueryError(f"the judge of {name!r} cannot be asked: the rows have no {name!r}")
        if judge.variable.is_discrete:
            value, error = mean_of((read == meant).double().numpy())
            better, unit = "higher", "share right"
        else:
            value, error = mean_of((read - meant).abs().double().numpy())
            better, unit = "lower", f"mean absolute error of {name}"
        measured.append(
            Measure("effectiveness", pair.label, name, value, error, better, unit, len(read))
        )
    return tuple(measured)


def _reversed(pair: _Pair) -> Measure:
    own = {name: pair.before[name] for name in pair.do if name in pair.before}
    if len(own) < len(pair.do):
        raise QueryError("what was set cannot be set back: the rows do not have its own values")
    back = pair.asking.after(pair.after, own)
    dcm, image = pair.asking.dcm, pair.image
    return _apart("reversibility", pair.label, image, dcm, image, pair.before, back)


def _minimal(pair: _Pair, encoder: Features, reference: Mapping[str, Tensor]) -> Measure:
    variables = pair.asking.dcm.variables
    _check_groups(pair.asking.dcm, pair.do, reference)
    aimed = same = torch.ones(len(pair.before[pair.image]), len(reference[pair.image])).bool()
    for name, values in pair.do.items():
        groups = _Groups(reference[name], discrete=variables[name].is_discrete)
        aimed = aimed & groups.alike(values, reference[name])
        same = same & groups.alike(pair.before[name], reference[name])
    before, after, others = (
        features_of(encoder, rows[pair.image]) for rows in (pair.before, pair.after, reference)
    )
    found = latent_divergence(before, after, same, aimed, others)
    known = found[~found.isnan()]
    value, error = mean_of(known.numpy())
    of, unit = name_of(encoder), "counterfactual latent divergence"
    return Measure("minimality", pair.label, of, value, error, "lower", unit, len(known))


def _real(pair: _Pair, encoder: Features, reference: Mapping[str, Tensor]) -> Measure:
    made = features_of(encoder, pair.after[pair.image])
    real = features_of(encoder, reference[pair.image])
    of, unit = name_of(encoder), "Fréchet distance"
    value = frechet(made, real)
    return Measure("realism", pair.label, of, value, float("nan"), "lower", unit, len(made))


def _same(pair: _Pair, encoder: Features) -> Measure:
    before, after = (features_of(encoder, rows[pair.image]) for rows in (pair.before, pair.after))
    value, error = mean_of(torch.cosine_similarity(before, after).numpy())
    of, unit = name_of(encoder), "cosine similarity"
    return Measure("identity", pair.label, of, value, error, "higher", unit, len(before))


class _Groups:
    """When two values of a variable count as the same."""

    def __init__(self, reference: Tensor, *, discrete: bool):
        self.ends: Tensor | None = None
        if not discrete:
            shares = torch.linspace(0, 1, _BINS + 1, dtype=torch.float64)[1:-1]
            self.ends = torch.quantile(reference.double(), shares)

    def alike(self, values: Tensor, others: Tensor) -> Tensor:
        """Mask ``(n, m)`` of which others are the same as which values."""
        if self.ends is not None:
            values, others = (torch.bucketize(v.double(), self.ends) for v in (values, others))
        return values[:, None] == others[None]


def _reference(dcm: DCM, reference: object, pair: _Pair) -> Mapping[str, Tensor]:
    if reference is None:
        return pair.before
    return encoded(dcm, reference, pair.image)


def _apart(
    name: str,
    do: str,
    of: str,
    dcm: DCM,
    image: str,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
) -> Measure:
    variable: Any = dcm.variables[image]
    apart = (after[image].double() - before[image].double()).abs().flatten(1).mean(1)
    value, error = mean_of((apart / (variable.high - variable.low)).numpy())
    return Measure(name, do, of, value, error, "lower", "share of the pixels' range", len(apart))


def _pictures(dcm: DCM, image: str, rows: Mapping[str, Tensor]) -> list[object]:
    variable: Any = dcm.variables[image]
    return variable.to_pil(variable.decode(rows[image][:_SHOWN]))
