"""The answer to a causal question: a table that prints well, with all that one has to know to
trust it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.caveats import Caveat
from causalplug.errors import QueryError
from causalplug.sampling.moments import Moments
from causalplug.selection import to_dicts, without
from causalplug.values import Json

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.identification.identification import Identification

__all__ = [
    "DESCRIBED",
    "ESTIMATED",
    "QUANTILES",
    "SHARES",
    "Estimate",
    "Summary",
    "VariancePart",
    "answer_table",
]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SHARES = np.linspace(0, 1, 1001)
DESCRIBED = ("mean", "sd", *(f"q{round(100 * q):02d}" for q in QUANTILES))
"""What is told of a number."""
_ENDS = ("", "_low", "_high", "_se", "_mc")
ESTIMATED = ("estimate", "low", "high", "standard_error", "monte_carlo_error")
"""Columns of an answer that has numbers."""


@dataclass(frozen=True, eq=False)
class VariancePart:
    """One source of the uncertainty of an answer.

    Attributes:
        kind: ``"rows"``, the chance in which rows were recorded; ``"replicates"``, that chance and
            training together, as refits show it; ``"sampling"``, the finite sample from the model.
        variables: The trained variables whose mechanisms carry it; empty for all together.
        source: The data source whose rows it is about; empty for all together.
        variance: Variance of every number of the answer's table.
    """

    kind: str
    variables: tuple[str, ...]
    source: str
    variance: np.ndarray


@dataclass(frozen=True, eq=False)
class Estimate:
    """The estimated answer to a query.

    Attributes:
        query: As text.
        table: One row per value of the open variables. ``estimate`` is NaN if no row met the
            evidence. ``low``, ``high`` and ``standard_error`` cover all uncertainty, above all that
            of the training rows; they are NaN if the model cannot compute them.
            ``monte_carlo_error`` is the error of sampling from the model alone. The last column is
            ``effective_sample_size``.
        summaries: For every continuous outcome its mean, standard deviation and quantiles (``q05``,
            …), each with its interval (``mean_low``, ``mean_high``), its standard error
            (``mean_se``), which hold all that is uncertain as in ``table``, and its Monte-Carlo
            error (``mean_mc``).
        quantile_functions: For every continuous outcome its quantiles at 1,001 shares from 0 to 1,
            ``(cells, 1001)``, in the rows of its summary.
        pictures: For every image outcome a few images, ``(m, channels, height, width)`` floats.
        n: Rows that met the evidence.
        candidates: Rows that were tried.
        seconds: Wall time.
        seed: Seed of the noise.
        status: Status of the identification, or ``"not checked"``.
        identification: The decision, or None where the model does not know what it was trained on.
        overlap: The overlap report, or None where no data was given.
        warnings: What is known to be doubtful about the answer; empty for a good one.
        members: For an ensemble the estimates of its members, one column each, or None.
        level: Coverage of the intervals.
        interval: What the intervals hold, or why there are none and how to get them, as a sentence.
        images_painted: How many images pulled generators painted for the estimates; intervals may
            take some more.
        assumptions: What the answer rests on beside the graph, in sentences.
        variance_parts: What the square of ``standard_error`` is made of; empty where there is no
            interval, or where its parts are not known.
    """

    query: str
    table: pd.DataFrame
    summaries: dict[str, pd.DataFrame]
    pictures: dict[str, np.ndarray]
    n: int
    candidates: int
    seconds: float
    seed: int
    status: str
    identification: Identification | None = None
    overlap: Any = None
    warnings: tuple[Caveat, ...] = ()
    members: pd.DataFrame | None = field(default=None, repr=False)
    level: float = 0.95
    interval: str = ""
    assumptions: tuple[str, ...] = ()
    images_painted: int = 0
    images_reused: int = 0
    variance_parts: tuple[VariancePart, ...] = field(default=(), repr=False)
    quantile_functions: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def acceptance_rate(self) -> float:
        """Share of the candidates that met the evidence."""
        return self.n / self.candidates

    @property
    def marked(self) -> bool:
        """Whether the answer must not be read as a fact about the world: the data do not
        determine it, as far as is known."""
        return self.status not in ("identifiable", "zero")

    @property
    def value(self) -> float:
        """The one number that was asked for.

        Raises:
            QueryError: The answer has several; read ``table`` or use :meth:`at`.
        """
        return float(self._single()["estimate"])

    @property
    def standard_error(self) -> float:
        """Standard error of :attr:`value`, all that is uncertain; NaN where the model cannot
        tell."""
        return float(self._single()["standard_error"])

    @property
    def monte_carlo_error(self) -> float:
        """Standard error of :attr:`value` from sampling the model alone."""
        return float(self._single()["monte_carlo_error"])

    def __float__(self) -> float:
        return self.value

    def _single(self) -> Any:
        if len(self.table) != 1 or "estimate" not in self.table:
            raise QueryError(
                f"{self.query} has {len(self.table)} numbers as its answer: read .table, or choose "
                "with .at()."
            )
        return self.table.iloc[0]

    def at(self, **values: Any) -> float:
        """The estimate in the row with these values of the open variables, as in
        ``answer.at(A="red")``.

        Raises:
            QueryError: A name that is not open, or values that are not those of one row.
        """
        rows = self.table
        for name, value in values.items():
            if name not in rows:
                open_variables = without(rows.columns, _NUMBERS)
                raise QueryError(
                    f"{name!r} is not open in {self.query}; open are {open_variables}."
                )
            rows = rows[rows[name] == value]
        if len(rows) != 1:
            raise QueryError(
                f"{len(rows)} rows of the answer to {self.query} have {values}: name one value of "
                "every variable."
            )
        return float(rows.iloc[0]["estimate"])

    def grid(self, outcome: str | None = None, columns: int = 8) -> Any:
        """The images of an image outcome as one PIL image.

        Raises:
            QueryError: The query asks for no such image.
        """
        from PIL import Image as PILImage

        if not self.pictures:
            raise QueryError(f"{self.query} asks for no image.")
        name = outcome
        if outcome is None:
            name = next(iter(self.pictures))
        if name not in self.pictures:
            raise QueryError(
                f"{name!r} is no image outcome of {self.query}; there are {list(self.pictures)}."
            )
        images = self.pictures[name]
        low, high = float(images.min(initial=0.0)), float(images.max(initial=1.0))
        m, channels, height, width = images.shape
        rows = -(-m // columns)
        sheet = np.full(
            (channels, rows * (height + 1), min(m, columns) * (width + 1)), 255, np.uint8
        )
        for i, image in enumerate(images):
            y, x = i // columns * (height + 1), i % columns * (width + 1)
            sheet[:, y : y + height, x : x + width] = np.clip(
                (image - low) / (high - low) * 255 + 0.5, 0, 255
            )
        return PILImage.fromarray(sheet[0] if channels == 1 else sheet[:3].transpose(1, 2, 0))

    def to_dict(self) -> Json:
        """What JSON can hold; images are left out."""
        return {
            "query": self.query,
            "table": self.table.to_dict("records"),
            "summaries": {name: table.to_dict("records") for name, table in self.summaries.items()},
            "n": self.n,
            "candidates": self.candidates,
            "seconds": self.seconds,
            "images_painted": self.images_painted,
            "images_reused": self.images_reused,
            "seed": self.seed,
            "level": self.level,
            "interval": self.interval,
            "assumptions": list(self.assumptions),
            "status": self.status,
            "reason": self.identification.reason if self.identification is not None else None,
            "overlap": None if self.overlap is None else str(self.overlap),
            "warnings": to_dicts(self.warnings),
        }

    def _images(self) -> list[str]:
        """How many images the answer rests on, where there are any."""
        counted = []
        if self.images_painted:
            counted.append(f"{self.images_painted:,} images painted")
        if self.images_reused:
            counted.append(f"{self.images_reused:,} images of earlier answers read again")
        if not counted:
            return []
        return [f"{', '.join(counted)}; the errors count images"]

    def _notes(self) -> list[str]:
        notes = [self._effort()]
        notes += self._images()
        if self.interval:
            notes.append(self.interval)
        if self.marked and self.identification is not None:
            notes.append(f"NOT DETERMINED BY THE DATA: {self.identification.reason}")
        notes += [f"assumed: {sentence}" for sentence in self.assumptions]
        notes += [f"warning: {caveat}" for caveat in self.warnings if caveat.name not in _TOLD]
        if self.marked and self.identification is None:
            notes.append(
                "whether data determine this was not checked: the model does not know what it was "
                "trained on"
            )
        if self.overlap is not None:
            notes.append(f"overlap of {self.overlap}")
        for name, images in self.pictures.items():
            notes.append(f"{name}: {len(images)} images in .pictures, see .grid()")
        return notes

    def _effort(self) -> str:
        """Rows, rate, time, seed and status on a line."""
        rate = ""
        if self.candidates != self.n:
            rate = f", {self.acceptance_rate:.2%} of {self.candidates:,} tried"
        return f"{self.n:,} rows{rate}, {self.seconds:.2f} s, seed {self.seed}; {self.status}"

    def __str__(self) -> str:
        lines = [self.query]
        if len(self.table.columns):
            lines.append(
                _shown(self.table).to_string(index=False, float_format=_digits, max_rows=40)
            )
        for name, table in self.summaries.items():
            if table is not self.table:
                lines += [
                    name,
                    _shown(table).to_string(index=False, float_format=_digits, max_rows=40),
                ]
        return "\n".join([*lines, *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        tables = []
        if len(self.table.columns):
            tables = [self.table]
        tables += [table for table in self.summaries.values() if table is not self.table]
        parts = [f"<p><code>{escape(self.query)}</code></p>"]
        parts += [
            _shown(t).to_html(index=False, float_format=_digits, max_rows=40, border=0)
            for t in tables
        ]
        return "".join([*parts, *(f"<p>{escape(note)}</p>" for note in self._notes())])


def _digits(number: float) -> str:
    """Four digits; large numbers in full, without an exponent."""
    if 1e4 <= abs(number) < 1e9:
        return f"{number:.0f}"
    return f"{number:.4g}"


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """A summary with one line for each of its numbers; any other table as it is."""
    import pandas as pd

    if "mean_mc" not in table:
        return table
    told = {f"{name}{end}" for name in DESCRIBED for end in _ENDS}
    keys = [c for c in table.columns if c not in told and c != "effective_sample_size"]
    lines = []
    for _, row in table.iterrows():
        for name in DESCRIBED:
            numbers = {c: row[f"{name}{e}"] for c, e in zip(ESTIMATED, _ENDS, strict=True)}
            lines.append({**dict(row[keys]), "of": name, **numbers})
    return pd.DataFrame(lines)


_TOLD = ("unidentified", "assumption")  # caveats that the notes tell in sentences of their own

_NUMBERS = (
    "estimate",
    "standard_error",
    "low",
    "high",
    "monte_carlo_error",
    "effective_sample_size",
    "disagreement",
    "plug_in",
)


@dataclass(frozen=True, eq=False)
class Summary:
    """A number in every cell.

    Attributes:
        columns: Mean, standard deviation and quantiles with their standard errors, ``(cells,)``.
        steps: The quantiles at the shares of ``SHARES``, ``(cells, 1001)``.
    """

    columns: dict[str, np.ndarray]
    steps: np.ndarray

    @classmethod
    def of(
        cls, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | None]], cells: int
    ) -> Summary:
        """From parts of cell codes, values and weights."""
        codes = np.concatenate([part[0] for part in parts])
        values = np.concatenate([part[1] for part in parts]).astype(float)
        weights = None if parts[0][2] is None else np.concatenate([part[2] for part in parts])
        names = [f"{name}{end}" for name in DESCRIBED for end in _ENDS]
        table = {name: np.full(cells, np.nan) for name in [*names, "effective_sample_size"]}
        steps = np.full((cells, len(SHARES)), np.nan)
        order = np.argsort(codes, kind="stable")
        for cell, index in zip(*_groups(codes[order]), strict=True):
            chosen = order[index]
            own = None if weights is None else weights[chosen]
            described, steps[cell] = _described(values[chosen], own)
            for name, number in described.items():
                table[name][cell] = number
        return cls(table, steps)


def _groups(sorted_codes: np.ndarray) -> tuple[list[int], list[slice]]:
    found, starts = np.unique(sorted_codes, return_index=True)
    ends = [*starts[1:].tolist(), len(sorted_codes)]
    return found.tolist(), [slice(a, b) for a, b in zip(starts.tolist(), ends, strict=True)]


def _described(
    values: np.ndarray, weights: np.ndarray | None
) -> tuple[dict[str, float], np.ndarray]:
    """Moments and quantiles of weighted values, a quantile's error from the order statistics
    around it; and the quantiles at all shares."""
    if weights is None:
        weights = np.ones(len(values))
    share = weights / weights.sum()
    effective = float(1 / (share**2).sum())
    mean = float(share @ values)
    found = {
        "mean": mean,
        "mean_mc": float(np.sqrt((share**2) @ (values - mean) ** 2)),
        "effective_sample_size": effective,
    }
    squares = (values - mean) ** 2
    found["sd"] = float(np.sqrt(share @ squares))
    noise = float(np.sqrt((share**2) @ (squares - share @ squares) ** 2))
    found["sd_mc"] = noise / max(2 * found["sd"], 1e-300)
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(share[order])

    def quantiles(shares: np.ndarray) -> np.ndarray:
        places = np.searchsorted(cumulative, shares).clip(max=len(values) - 1)
        return values[order[places]]

    for q in QUANTILES:
        half = np.sqrt(q * (1 - q) / effective)
        name = f"q{round(100 * q):02d}"
        low, found[name], high = quantiles(np.array([max(q - half, 0.0), q, min(q + half, 1.0)]))
        found[f"{name}_mc"] = (high - low) / 2
    return found, quantiles(SHARES)


def answer_table(
    axes: Sequence[Sequence[tuple[str, Any]]],
    blocks: Sequence[tuple[Json, Moments, Mapping[str, Summary]]],
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Tables from what was counted, and the quantile functions of continuous outcomes.

    Args:
        axes: Label and variable of the symbols, of the evidence axes and of the discrete outcome
            axes.
        blocks: Values of the symbols, sums, and summaries of continuous outcomes.
    """
    import pandas as pd

    _, evidence, outcomes = axes
    labels = [label for axis in axes for label, _ in axis]
    cells = list(itertools.product(*(v.categories for _, v in [*evidence, *outcomes])))
    rows = []
    for symbols, _, _ in blocks:
        rows += [[*symbols.values(), *cell] for cell in cells]
    keys = pd.DataFrame(rows, columns=labels) if labels else pd.DataFrame(index=range(len(rows)))
    errors = np.concatenate([moments.standard_error.ravel() for _, moments, _ in blocks])
    values = np.concatenate([moments.estimate.ravel() for _, moments, _ in blocks])
    effective = np.concatenate([np.repeat(m.effective, m.shape[1]) for _, m, _ in blocks])
    counted = pd.DataFrame(
        {
            "estimate": values,
            "low": np.nan,
            "high": np.nan,
            "standard_error": np.nan,
            "monte_carlo_error": errors,
            "effective_sample_size": effective,
        }
    )
    summaries, steps = {}, {}
    for name in blocks[0][2]:
        parts = [summary[name].columns for _, _, summary in blocks]
        joined = {}
        for c in parts[0]:
            joined[c] = np.concatenate([part[c] for part in parts])
        summaries[name] = pd.concat([keys, pd.DataFrame(joined)], axis=1)
        steps[name] = np.concatenate([summary[name].steps for _, _, summary in blocks])
    return pd.concat([keys, counted], axis=1), summaries, steps
