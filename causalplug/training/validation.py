"""How far a module's distribution is from the held-out rows of the very distribution that it is
matched to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Protocol

import torch
from torch import Tensor

from causalplug.checks.two_sample import SCALES, Shown, classifier_distance, mmd
from causalplug.model.model import Model
from causalplug.networks import location_and_scale
from causalplug.selection import drop, pick, values_at, without_none
from causalplug.training.factors import ravel
from causalplug.training.rollout import Roller
from causalplug.values import Json, Named
from causalplug.variables import Variable

__all__ = ["Distance", "distance", "sampling_floor", "tvd"]

_ROWS = 20_000  # generated rows of one validation
_MOST = 50_000  # held-out rows that are compared
_CODES = 1 << 21  # of pairs of columns that are counted at once
_PAIRS = 400  # of columns that are compared
_KERNEL_TOLERANCE = 0.01  # of the squared MMD, as ``TrainingConfig.tolerance`` is of the others


class Compared(Protocol):
    """What is compared: variables given others."""

    @property
    def variables(self) -> Sequence[str]: ...

    @property
    def parents(self) -> Sequence[str]: ...

    def describe(self) -> str:
        """As text."""
        ...


@dataclass(frozen=True)
class Distance:
    """Distances between generated and held-out rows of one target.

    Attributes:
        target: The matched distribution, as text.
        tvd: Total variation distance of the discrete variables and of what trained images show of
            them (their joint distribution, or the worst pair where it has more values than the rows
            can show); None without any.
        floor: The expected TVD of two samples of these sizes from one distribution.
        ceiling: The 0.99 quantile of it: what chance alone explains.
        kl: Kullback-Leibler divergence of the held-out rows from the generated ones, with half a
            count added to every cell.
        mmd: Squared maximum mean discrepancy of all variables (images as projections, those that
            the module trains as principal components); None where all are discrete.
        mmd_floor: The 0.95 quantile of it under permutation of the rows.
        c2st: What a classifier can tell: a lower bound of the TVD of all variables; None where all
            are discrete, with images, and before training ends.
        c2st_ceiling: The 0.99 quantile of it under equal distributions.
        rows: Held-out rows.
        off: Means, standard deviations and extreme quantiles of numbers that are not those of the
            rows, in words; empty before training ends.
    """

    target: str
    rows: int
    tvd: float | None = None
    floor: float | None = None
    ceiling: float | None = None
    kl: float | None = None
    mmd: float | None = None
    mmd_floor: float | None = None
    c2st: float | None = None
    c2st_ceiling: float | None = None
    off: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """One number to select by; lower is better."""
        return (self.tvd or 0.0) + math.sqrt(max(0.0, self.mmd or 0.0))

    @property
    def by_chance(self) -> float:
        """How far the score of a good model may lie from its mean by the choice of rows: that of
        its TVD alone."""
        return (self.ceiling or 0.0) - (self.floor or 0.0)

    def converged(self, tolerance: float) -> bool:
        """Whether TVD and classifier exceed what chance explains by at most ``tolerance``, and MMD²
        by at most .01, and no moment is off.

        The held-out rows are a sample themselves: a perfect model is at ``floor`` from them, and
        rarely at ``ceiling``.
        """
        tvd_ok = self.tvd is None or self.tvd <= tolerance + (self.ceiling or 0.0)
        mmd_ok = self.mmd is None or self.mmd <= _KERNEL_TOLERANCE + max(0.0, self.mmd_floor or 0.0)
        c2st_ok = self.c2st is None or self.c2st <= tolerance + (self.c2st_ceiling or 0.0)
        return tvd_ok and mmd_ok and c2st_ok and not self.off

    def describe(self) -> str:
        """The distances in words."""
        parts = (
            ("TVD", self.tvd, self.floor),
            ("MMD²", self.mmd, self.mmd_floor),
            ("C2ST", self.c2st, self.c2st_ceiling),
        )
        told = []
        for word, value, chance in parts:
            if value is not None:
                told.append(f"{word} {value:.4f} (by chance {chance:.4f})")
        return "; ".join([f"{self.target} is at {', '.join(told)}", *self.off])

    @property
    def figures(self) -> dict[str, float]:
        """The distances and what chance explains of them, by name."""
        names = ("tvd", "floor", "mmd", "mmd_floor", "c2st", "c2st_ceiling")
        values = asdict(self)
        return {name: float(values[name]) for name in names if values[name] is not None}

    def to_dict(self) -> Json:
        """JSON values."""
        record = without_none(asdict(self))
        if self.off:
            return record | {"off": list(self.off)}
        return drop(record, ("off",))

    @classmethod
    def from_dict(cls, record: Named) -> Distance:
        """Inverse of :meth:`to_dict`."""
        return cls(**{**record, "off": tuple(record.get("off", ()))})


def _counts(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Counts of every joint value that occurs, in both tables of codes ``(n, d)``."""
    codes = torch.cat([real, fake])
    columns = list(codes.unbind(-1))
    which = ravel(columns, [int(column.max()) + 1 for column in columns])
    _, which = torch.unique(which, return_inverse=True)
    size = int(which.max()) + 1
    return torch.bincount(which[: len(real)], minlength=size), torch.bincount(
        which[len(real) :], minlength=size
    )


def tvd(real: Tensor, fake: Tensor) -> float:
    """Total variation distance of the empirical joint distributions of two tables of codes ``(n,
    d)``."""
    p, q = _counts(real, fake)
    return 0.5 * float((p / p.sum() - q / q.sum()).abs().sum())


def _kl(real: Tensor, fake: Tensor) -> float:
    p, q = _counts(real, fake)
    p, q = (p + 0.5) / (p + 0.5).sum(), (q + 0.5) / (q + 0.5).sum()
    return float((p * (p / q).log()).sum())


def sampling_floor(real: Tensor, fake_rows: int) -> tuple[float, float]:
    """Mean and 0.99 quantile of the TVD of two samples of one distribution, of ``len(real)`` and
    ``fake_rows`` rows.

    The distribution is that of ``real``; differences of shares have the normal limit of the
    multinomial, ``(diag(p) - p p') (1 / n + 1 / m)``.
    """
    p = _counts(real, real[:1])[0] / len(real)
    generator = torch.Generator(p.device).manual_seed(0)
    normal = torch.randn(400, len(p), generator=generator, device=p.device)
    differences = p.sqrt() * normal - p * (normal @ p.sqrt())[:, None]
    distances = 0.5 * differences.abs().sum(-1) * math.sqrt(1 / len(real) + 1 / fake_rows)
    return float(distances.mean()), float(distances.quantile(0.99))


def _worst(real: Tensor, fake: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor, int]:
    """The columns to compare, and among how many sets they were chosen: all columns, or the worst
    pair where the joint has more values than rows can show.

    Of very many pairs, those of columns beside each other and others at random are looked at.
    """
    if math.prod(sizes) <= max(16, len(real) // 5) or real.shape[1] <= 2:
        return real, fake, 1
    count = real.shape[1]
    if count**2 < 2 * _PAIRS:
        pairs = list(combinations(range(count), 2))
    else:
        pairs = _some_pairs(count)
    at_once = max(1, _CODES // (len(real) + len(fake)))
    distances = []
    for start in range(0, len(pairs), at_once):
        distances.append(_pair_distances(real, fake, sizes, pairs[start : start + at_once]))
    worst = pairs[int(torch.cat(distances).argmax())]
    return real[:, worst], fake[:, worst], len(pairs)


def _pair_distances(
    real: Tensor, fake: Tensor, sizes: Sequence[int], pairs: Sequence[tuple[int, int]]
) -> Tensor:
    """Total variation distance ``(pairs,)`` of the joint distributions of pairs of columns, from
    one count of the codes of all of them."""
    size = torch.tensor(sizes, device=real.device)
    one, other = torch.tensor(pairs, device=real.device).T
    cells = size[one] * size[other]
    start = cells.cumsum(0) - cells
    shares = []
    for codes in (real, fake):
        joint = codes[:, one] * size[other] + codes[:, other] + start
        counts = torch.bincount(joint.flatten(), minlength=int(cells.sum()))
        shares.append(counts.double() / len(codes))
    pair = torch.arange(len(pairs), device=real.device).repeat_interleave(cells)
    distances = torch.zeros(len(pairs), dtype=torch.float64, device=real.device)
    return 0.5 * distances.index_add_(0, pair, (shares[0] - shares[1]).abs())


def _some_pairs(count: int) -> list[tuple[int, int]]:
    draw = torch.Generator().manual_seed(0)
    ends = torch.randint(count, (_PAIRS, 2), generator=draw).sort(1).values.tolist()
    beside = [(i, i + 1) for i in range(min(count - 1, _PAIRS))]
    return list(dict.fromkeys([*beside, *((a, b) for a, b in ends if a < b)]))


def _features(
    values: Mapping[str, Tensor], variables: Mapping[str, Variable], shown: Shown | None
) -> list[Tensor]:
    """What a kernel reads of every variable, each ``(n, …)``."""
    parts = []
    for name, variable in variables.items():
        value = values[name]
        if shown and name in shown.bases:
            value = shown.components(name, value)
        elif not variable.needs_encoder or value.ndim > 2:
            value = variable.features(value)
        parts.append(value if value.dtype == torch.float64 else value.float())
    return parts


def _balanced(real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Features of all variables beside each other, those of each with a total variance of 1 over
    the real rows."""
    centre = [part.mean(0) for part in real]
    spread = [location_and_scale(part)[1].square().sum().sqrt() for part in real]
    one, other = (
        torch.cat([(p - c) / s for p, c, s in zip(parts, centre, spread, strict=True)], -1).float()
        for parts in (real, fake)
    )
    return one, other


@torch.no_grad()
def distance(
    dcm: Model,
    target: Compared,
    roller: Roller,
    rows: Mapping[str, Tensor],
    generator: torch.Generator,
    *,
    shown: Shown | None = None,
    final: bool = False,
) -> Distance:
    """Distances of generated rows of a target from held-out rows.

    Args:
        dcm: The model.
        target: What is matched.
        roller: Draws the target.
        rows: Held-out values ``(n, …)``; images as the roller gives them.
        generator: Generator of the validation alone, so that validating changes nothing in
            training.
        shown: Reads the images that are trained.
        final: Classify, too: it takes longer.
    """
    names = [*target.parents, *target.variables]
    n = min(len(rows[names[0]]), _MOST)
    rows = {name: rows[name][:n] for name in names}
    repeats = _repeats(dcm, target, n)
    given = {}
    for name in target.parents:
        given[name] = rows[name].repeat(repeats, *[1] * (rows[name].ndim - 1))
    fake = roller(given, n * repeats, generator).values
    discrete = [name for name in names if dcm.variables[name].is_discrete]
    found: Json = {}
    if discrete:
        sizes = [dcm.variables[name].size for name in discrete]
        columns = [values_at(values, discrete) for values in (rows, fake)]
        if shown:
            sizes += shown.sizes
            columns[0] += shown(rows)
            columns[1] += shown(fake)
        found |= _of_categories(columns[0], columns[1], sizes)
    if len(discrete) < len(names):
        variables = pick(dcm.variables, names)
        real, fake_parts = (_features(values, variables, shown) for values in (rows, fake))
        device = fake_parts[0].device
        order = torch.randperm(len(fake_parts[0]), generator=generator, device=device)
        fake_parts = [part[order] for part in fake_parts]
        scales = SCALES if shown else (1.0,)
        found["mmd"], found["mmd_floor"] = mmd(
            *_balanced(real, fake_parts), generator, scales=scales
        )
        if final and not any(variable.needs_encoder for variable in variables.values()):
            found["c2st"], found["c2st_ceiling"] = classifier_distance(
                torch.cat(real, -1), torch.cat(fake_parts, -1)
            )
    return Distance(target=target.describe(), rows=n, **found)


def _repeats(dcm: Model, target: Compared, n: int) -> int:
    """How often each held-out row is generated: once where images are painted."""
    if any(dcm.variables[name].needs_encoder for name in target.variables):
        return 1
    return max(1, min(200, _ROWS // n))


def _of_categories(real: Sequence[Tensor], fake: Sequence[Tensor], sizes: Sequence[int]) -> Json:
    """The distances of discrete columns."""
    p, q, sets = _worst(torch.stack(list(real), -1), torch.stack(list(fake), -1), sizes)
    floor, ceiling = sampling_floor(p, len(q))
    ceiling = floor + (ceiling - floor) * math.sqrt(1 + math.log(sets) / math.log(100))
    return {"tvd": tvd(p, q), "floor": floor, "ceiling": ceiling, "kl": _kl(p, q)}
