"""Columns of numbers that a plain density does not fit: with atoms, or with heavy tails."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from causalplug.caveats import Caveat
from causalplug.data.source import Rows
from causalplug.errors import MarginalWarning, warn_caller
from causalplug.mechanisms.trainable.continuous import ContinuousSpline
from causalplug.mechanisms.trainable.mixed import MixedSpline
from causalplug.model.model import Model
from causalplug.networks import initialised

__all__ = ["atoms_of", "heavy_tailed", "suit_columns"]

_ROWS, _SHARE = 8, 0.002  # of one value, from which on it is an atom
# Atoms. A column with more is rounded so finely that a density does; caps and zeros of it remain.
_MOST = 100
_KNOTS = 64
_FAR, _FARTHEST = 12.0, 40.0  # quartile distances of the .999 quantile and of the largest value


def atoms_of(values: Tensor) -> Tensor:
    """Values that occur again and again, ascending: zeros in excess, whole numbers, caps.

    Args:
        values: ``(n,)``.
    """
    found, counts = torch.unique(values, return_counts=True)
    atoms = found[counts >= max(_ROWS, _SHARE * len(values))]
    if len(atoms) <= _MOST:
        return atoms
    return found[counts > len(values) / _MOST]


def heavy_tailed(values: Tensor) -> bool:
    """Whether some values lie so far out that mean and deviation are no units for the others."""
    if len(values) < 2:
        return False
    ordered = values.double().sort().values
    last = len(ordered) - 1
    low, middle, high = (ordered[round(last * q)] for q in (0.25, 0.5, 0.75))
    quartile = torch.maximum(middle - low, high - middle)
    if not quartile > 0:
        return False
    far = max(ordered[round(last * 0.999)] - middle, middle - ordered[round(last * 0.001)])
    farthest = max(ordered[-1] - middle, middle - ordered[0])
    return bool(far > _FAR * quartile) or bool(farthest > _FARTHEST * quartile)


def suit_columns(model: Model, tables: Sequence[Rows], seed: int) -> list[Caveat]:
    """Give continuous variables with atoms or heavy tails a mechanism that has them.

    A mechanism that was trained before stays, with a warning that names what it cannot show.

    Returns:
        What stays doubtful.
    """
    doubts: list[Caveat] = []
    for place, (name, mechanism) in enumerate(model.mechanisms.unopened().items()):
        if type(mechanism) is not ContinuousSpline or mechanism.frozen:
            continue
        having = []
        for rows in tables:
            if name in rows.values and name not in rows.source.do:
                having.append(rows)
        if not having:
            continue
        values = max(having, key=len).values[name]
        atoms = atoms_of(values)
        heavy = heavy_tailed(values[~torch.isin(values, atoms)])
        if not len(atoms) and not heavy:
            continue
        if model.sources is not None or values.dtype == torch.float64:
            _tell(name, atoms, heavy)
            doubts += _caveats(name, values, atoms, heavy)
            continue
        ends = _ends(atoms, [rows.values[name] for rows in having])
        made = _mixed(mechanism, atoms, ends, heavy, seed * 100_003 + place)
        model.replace_mechanism(name, made)
    return doubts


def _ends(atoms: Tensor, columns: Sequence[Tensor]) -> tuple[bool, bool]:
    """Whether the first atom is the smallest value of all columns, and the last the largest."""
    if not len(atoms):
        return False, False
    low = min(float(column.min()) for column in columns)
    high = max(float(column.max()) for column in columns)
    return low == float(atoms[0]), high == float(atoms[-1])


def _mixed(
    mechanism: ContinuousSpline, atoms: Tensor, ends: tuple[bool, bool], heavy: bool, seed: int
) -> MixedSpline:
    network = mechanism.network
    return initialised(
        lambda: MixedSpline(
            mechanism.variable,
            network.parents,
            atoms=atoms.tolist(),
            ends=ends,
            knots=_KNOTS if heavy else 0,
            confounder_size=network.confounder_size,
            hidden=mechanism.hidden,
            bins=mechanism.bins,
        ),
        seed,
    )


def _tell(name: str, atoms: Tensor, heavy: bool) -> None:
    seen = []
    if len(atoms):
        seen = [f"atoms (repeated values such as {float(atoms[0]):g})"]
    if heavy:
        seen += ["heavy tails"]
    warn_caller(
        f"{name!r} has {' and '.join(seen)} in these rows, and its mechanism is a plain density: "
        "it was trained before, or its values need float64. Train a new model, which gets a "
        "mechanism that has them, on values less their mean, or declare the variable as Count() "
        "or Discrete().",
        MarginalWarning,
    )


def _caveats(name: str, values: Tensor, atoms: Tensor, heavy: bool) -> list[Caveat]:
    found = []
    if len(atoms):
        share = float(torch.isin(values, atoms).double().mean())
        text = (
            f"{share:.0%} of the rows repeat a value of {name}, such as {float(atoms[0]):g}, and "
            "its mechanism is a plain density."
        )
        found.append(Caveat("atoms", name, text, {"share": share}, (name,)))
    if heavy:
        text = f"{name} has heavy tails, and its mechanism is a plain density."
        found.append(Caveat("heavy tails", name, text, {}, (name,)))
    return found
