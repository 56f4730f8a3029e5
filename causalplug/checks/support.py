"""Support of what a formula is conditioned on: each conditional probability, value by value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalplug.checks.cell_support import CellSupport, cell_support, expected_counts
from causalplug.checks.density_ratio import Ratios, representatives
from causalplug.checks.source_rows import SourceRows
from causalplug.checks.splits import Split, leaves_in_context, splits_of
from causalplug.identification.estimand import Atom, Constant, Estimand, Probability, Symbol, apart
from causalplug.identification.evaluate import Evaluator
from causalplug.identification.expressions import Expression
from causalplug.identification.notation import walk
from causalplug.identification.tables import MAX_CELLS, common_categories
from causalplug.selection import all_of_kind, variables_of, within
from causalplug.values import Json
from causalplug.wording import listed

__all__ = ["Finding", "Rule", "SupportCheck"]

_CELLS = 4096  # cells beyond which trees are used
_EVENTS = 32  # values of what varies that are looked at, the most frequent ones
_RARE = 0.01  # share of the rows below which a value that is summed over does not count
_SPARSE = 0.05  # share lacking by chance beyond which cells are too thin, and trees are used
_WHOLE = 0.98  # share beyond which chance makes no difference
_SHUFFLES = 3  # of an event, to see what chance gives
_FITS = 20  # classifiers for the values of what varies together, about
_FITS_BY_CHANCE = 2  # for each shuffle
_QUANTILES = (0.1, 0.5, 0.9)  # of a number that is summed over


@dataclass(frozen=True)
class Finding:
    """One place where the formula needs what the rows do not show.

    Attributes:
        variables: The variables whose combinations are missing; an image first.
        share: Share of the rows (or of the formula's weight, for discrete cells) without support,
            0 to 1, less what chance would give.
        text: The same in a sentence.
        examples: Some of the combinations.
        standard_error: Standard error of the share.
        rows: Effective number of rows that the value in question stands on.
        of: The variables whose conditional distributions it is about.
    """

    variables: tuple[str, ...]
    share: float
    text: str
    examples: tuple[str, ...] = ()
    standard_error: float = 0.0
    rows: float | None = None
    of: tuple[str, ...] = ()

    def to_dict(self) -> Json:
        """The finding as JSON values."""
        return {
            "variables": list(self.variables),
            "share": self.share,
            "standard_error": self.standard_error,
            "rows": self.rows,
            "text": self.text,
            "examples": list(self.examples),
        }


@dataclass(frozen=True)
class Rule:
    """When a value is without support: arguments of
    :func:`~causalplug.checks.overlap.check_overlap`, and the most combinations of values that are
    looked at in one step."""

    threshold: float
    tolerance: float
    fewest: int
    most_rows: int
    seed: int
    most_cells: int = MAX_CELLS


@dataclass(frozen=True, eq=False)
class _Event:
    """One value of what varies: its name, and how far each row has it."""

    text: str
    shares: np.ndarray

    @property
    def rows(self) -> float:
        """Effective number of rows that have the value."""
        shares = self.shares[self.shares > 1e-3]
        if len(shares):
            return float(shares.sum() ** 2 / (shares**2).sum())
        return 0.0


class SupportCheck:
    """Goes through the conditional probabilities of a formula.

    Args:
        estimand: The formula.
        rows: Rows by source.
        rule: When a value is without support.
        ratios: Density ratios that are known from other formulas on the same rows.

    Attributes:
        notes: What could not be checked, and why.
    """

    def __init__(
        self,
        estimand: Estimand,
        rows: Sequence[SourceRows],
        rule: Rule,
        ratios: Ratios | None = None,
    ):
        self.ratios = ratios or Ratios(rule.most_rows, rule.seed)
        self.estimand = estimand
        self.rows = rows
        self.rule = rule
        self.notes: dict[str, None] = {}
        tables = [source.discrete for source in rows]
        self.domains = common_categories(tables)
        for atom in self._constants():
            if atom.variable in self.domains:
                self.domains = common_categories(
                    tables, {**self.domains, atom.variable: self._with(atom)}
                )
        self.tables = [table.recoded(self.domains) for table in tables]
        self.evaluator = Evaluator(self.tables, self.domains, rule.most_cells)
        self._judged: dict[Any, Finding | None] = {}

    def _constants(self) -> Iterator[Constant]:
        nodes: list[Expression] = []
        for _, term in self.estimand.terms:
            nodes.extend(walk(term.formula))
        for leaf in nodes:
            if isinstance(leaf, Probability):
                yield from (a for a in leaf.of + leaf.given + leaf.do if isinstance(a, Constant))

    def _with(self, atom: Constant) -> tuple[object, ...]:
        return tuple(dict.fromkeys([*self.domains[atom.variable], atom.value]))

    def findings(self) -> list[Finding]:
        """All places without support, each set of variables once."""
        found: dict[tuple[str, ...], Finding] = {}
        for _, term in self.estimand.terms:
            for leaf, others in leaves_in_context(apart(term.formula, everywhere=True)):
                for split in splits_of(leaf, others):
                    finding = self._check(leaf, split, others)
                    if finding is None:
                        continue
                    old = found.get(finding.variables)
                    of = (*(old.of if old else ()), *(atom.variable for atom in leaf.of))
                    worse = finding
                    if old is not None and old.share >= finding.share:
                        worse = old
                    unique = tuple(dict.fromkeys(of))
                    found[finding.variables] = replace(worse, of=unique)
        return list(found.values())

    def _check(
        self, leaf: Probability, split: Split, others: Sequence[Probability]
    ) -> Finding | None:
        atoms = split.varied + split.context
        if all(atom.variable in self.domains for atom in atoms):
            sizes = [len(self.domains[atom.variable]) for atom in atoms]
            if math.prod(sizes) <= _CELLS:
                known, finding = self._check_cells(leaf, split, others)
                if known:
                    return finding
        return self._check_events(leaf, split)

    # --- discrete cells ---

    def _check_cells(
        self, leaf: Probability, split: Split, others: Sequence[Probability]
    ) -> tuple[bool, Finding | None]:
        """Whether there are rows enough to count cells, and what was found."""
        atoms = within(leaf.given + leaf.do, split.varied + split.context)
        names = variables_of(atoms)
        counts = np.sum([self.tables[i].margin(names) for i in leaf.sources], axis=0)
        expected = expected_counts(counts, tuple(map(atoms.index, split.varied)))
        items = []
        for a in atoms:
            items.append(
                self.domains[a.variable].index(a.value) if isinstance(a, Constant) else slice(None)
            )
        index = tuple(items)
        discrete = [o for o in others if self._is_discrete(o)]
        symbols, weights = self.evaluator.weights(discrete, atoms)
        here, there = np.asarray(counts[index]), np.asarray(expected[index])
        rule = self.rule
        support = cell_support(here, there, weights, threshold=rule.threshold, fewest=rule.fewest)
        if support.rows < rule.fewest:
            support = _nothing(support, weights)
        elif support.chance > _SPARSE:
            return False, None
        if not support.share or support.share <= support.standard_error:
            return True, None
        values = [a.value if isinstance(a, Constant) else None for a in atoms]
        places = [symbols.index(a) if a in symbols else None for a in atoms]
        return True, self._cells_found(names, values, places, here, support)

    def _is_discrete(self, leaf: Probability) -> bool:
        return all(a.variable in self.domains for a in leaf.of + leaf.given + leaf.do)

    def _cells_found(
        self,
        names: list[str],
        values: list[object],
        places: list[int | None],
        counts: np.ndarray,
        support: CellSupport,
    ) -> Finding:
        missing = support.missing
        cells = sorted(np.argwhere(missing > 0).tolist(), key=lambda cell: -missing[tuple(cell)])
        examples = []
        for cell in cells[:20]:
            count = int(np.broadcast_to(counts, missing.shape)[tuple(cell)])
            shown = []
            for name, value, place in zip(names, values, places, strict=True):
                shown.append(
                    f"{name}={value if place is None else self.domains[name][cell[place]]}"
                )
            examples.append(f"{count or 'no'} row{'s' * (count != 1)} with {', '.join(shown)}")
        most = max((int(e.split()[0]) for e in examples if not e.startswith("no ")), default=0)
        where = "hardly any rows"
        if most == 0:
            where = "no row"
        if 0 < most < self.rule.fewest:
            where = f"fewer than {self.rule.fewest} rows"
        plural = len(cells) != 1
        text = (
            f"{listed(names)}: {len(cells)} combination{'s' * plural} that the formula needs "
            f"{'are' if plural else 'is'} in {where} ({support.share:.1%} of its weight)"
        )
        error = support.standard_error
        return Finding(tuple(names), support.share, text, tuple(examples), error, support.rows)

    # --- numbers, images and many cells ---

    def _check_events(self, leaf: Probability, split: Split) -> Finding | None:
        """How far the context gives away what varies apart from it."""
        names = variables_of(split.varied + split.context)
        holders = []
        for i in leaf.sources:
            if all(self.rows[i].knows(n) for n in names):
                holders.append(i)
        if not holders:
            unknown = []
            for n in names:
                if not any(self.rows[i].knows(n) for i in leaf.sources):
                    unknown.append(n)
            self.notes[f"{listed(unknown or names)}: no projections; pass encoders={{...}}"] = None
            return None
        varied, context = split.varied, split.context
        if any(self._is_wide(a, holders) for a in varied):
            varied, context = context, varied
        if any(self._is_wide(a, holders) for a in varied) or not varied:
            self.notes[f"{listed(names)}: images or vectors that vary apart from each other"] = None
            return None
        key = tuple(holders), varied, context, split.under
        if key not in self._judged:
            weights = self._weights(holders, split.under)
            self._judged[key] = self._judge(holders, varied, context, weights)
        return self._judged[key]

    def _weights(self, holders: Sequence[int], under: Sequence[Constant]) -> np.ndarray | None:
        """How near each row is to the numbers under which the context is drawn.

        None for categories, whose images are judged on all rows, as every value may be asked for;
        and where hardly a row is near.
        """
        if not all(self._is_number(atom, holders) for atom in under):
            return None
        shares = [self._values(holders, atom)[0].shares for atom in under]
        event = None
        if shares:
            event = _Event("", np.prod(shares, axis=0))
        if event is not None and event.rows >= self.rule.fewest:
            return event.shares
        return None

    def _is_number(self, atom: Atom, holders: Sequence[int]) -> bool:
        return all(atom.variable in self.rows[i].numbers for i in holders)

    def _is_wide(self, atom: Atom, holders: Sequence[int]) -> bool:
        return any(atom.variable in self.rows[i].projections for i in holders)

    def _judge(
        self,
        holders: Sequence[int],
        varied: Sequence[Atom],
        context: Sequence[Atom],
        weights: np.ndarray | None,
    ) -> Finding | None:
        events = self._events(holders, varied)
        what, where = listed(variables_of(varied)), listed(variables_of(context))
        names = tuple(variables_of((*context, *varied)))
        constant = all_of_kind(varied, Constant)
        rare = [event for event in events if event.rows < self.rule.fewest]
        if constant and rare:
            text = f"hardly any rows have {rare[0].text}: effectively {rare[0].rows:.1f}"
            return Finding(names, 1.0, text, (), 0.0, rare[0].rows)
        if not context or not events:
            return None
        columns = variables_of(context)
        features = np.concatenate([self.rows[i].features(columns, self.domains) for i in holders])
        numbers = []
        for a in varied:
            if isinstance(a, Symbol) and a.variable not in self.domains:
                numbers.append(a)
        share, error = self._without_support(features, events, weights, averaged=bool(numbers))
        if share <= error or share == 0:
            return None
        text = (
            f"on {share:.1%} of the rows {where} give{'s' * (len(context) == 1)} {what} away: some "
            f"value that the formula needs there ({listed(e.text for e in events)}) is less than "
            f"{self.rule.threshold:g} times as likely as overall"
        )
        return Finding(names, share, text, (), error, min(event.rows for event in events))

    def _without_support(
        self,
        features: np.ndarray,
        events: Sequence[_Event],
        weights: np.ndarray | None,
        *,
        averaged: bool,
    ) -> tuple[float, float]:
        """Share of the (weighted) rows on which some event lacks support, less that by chance,
        and its standard error; ``averaged`` over the events where they stand for a number's
        values."""
        parts = max(1, _FITS // len(events))
        lacking = [self._lacking(features, event.shares, parts) for event in events]
        kept = representatives(len(features), self.rule.most_rows, self.rule.seed)
        kept = kept[: len(lacking[0])]
        if weights is None:
            chosen = np.ones(len(kept))
        else:
            chosen = np.maximum(weights[kept], 1e-12)
        if averaged:
            found = np.mean(lacking, axis=0)
        else:
            found = np.any(lacking, axis=0)
        raw = float(np.average(found, weights=chosen))
        if raw <= self.rule.tolerance / 2 or raw > _WHOLE:
            return raw, math.sqrt(max(raw * (1 - raw), 0.0) / len(found))
        chances, spread = self._chances(features, events, lacking)
        chance = float(np.mean(chances) if averaged else 1 - np.prod(1 - chances))
        variance = float(np.mean(spread) if averaged else np.sum(spread))
        supported = max(1 - chance, 1e-9)
        share = min(max((raw - chance) / supported, 0.0), 1.0)
        rows = min(len(found), min(event.rows for event in events))
        return share, math.sqrt(variance / supported**2 + share * (1 - share) / rows)

    def _chances(
        self, features: np.ndarray, events: Sequence[_Event], lacking: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Share that lacks each event by chance, and its variance; events of about as many rows
        share one, those of other formulas on the same features included."""
        known = self.ratios.by_chance
        found = []
        for event, rows in zip(events, lacking, strict=True):
            size = self.ratios.of_size(features, event.rows)
            if size not in known and rows.any():
                shares = list(self._by_chance(features, event.shares))
                known[size] = float(np.mean(shares)), float(np.var(shares, ddof=1))
            found.append(known[size] if rows.any() else (0.0, 0.0))
        chances, variances = np.transpose(found)
        return chances, variances * (1 + 1 / _SHUFFLES)

    def _lacking(self, features: np.ndarray, shares: np.ndarray, parts: int) -> np.ndarray:
        """Which rows lack an event: of all rows, or of some parts where events are many."""
        found: np.ndarray = self.ratios.of(features, shares, parts) < self.rule.threshold
        return found

    def _by_chance(self, features: np.ndarray, shares: np.ndarray) -> Iterator[float]:
        for shuffle in range(_SHUFFLES):
            random = np.random.default_rng((self.rule.seed, shuffle))
            shuffled = random.permutation(shares)
            yield float(self._lacking(features, shuffled, _FITS_BY_CHANCE).mean())

    def _events(self, holders: Sequence[int], varied: Sequence[Atom]) -> list[_Event]:
        """The values of what varies: constants as they are, symbols at what the rows have."""
        options = [self._values(holders, atom) for atom in varied]
        combined = []
        for chosen in itertools.islice(itertools.product(*options), 16 * _EVENTS):
            shares = np.prod([event.shares for event in chosen], axis=0)
            combined.append(_Event(", ".join(event.text for event in chosen), shares))
        if not all_of_kind(varied, Constant):
            combined = [e for e in combined if e.shares.mean() >= _RARE]
        return sorted(combined, key=lambda event: -event.rows)[:_EVENTS]

    def _values(self, holders: Sequence[int], atom: Atom) -> list[_Event]:
        name = atom.variable
        if name in self.domains:
            codes = np.concatenate([self.rows[i].codes(name, self.domains) for i in holders])
            if isinstance(atom, Constant):
                wanted: Sequence[Hashable] = [atom.value]
            else:
                wanted = self.domains[name]
            places = [self.domains[name].index(value) for value in wanted]
            found = []
            for value, place in zip(wanted, places, strict=True):
                found.append(_Event(f"{name} = {value}", (codes == place).astype(float)))
            return found
        column = np.concatenate([self.rows[i].numbers[name] for i in holders])
        if isinstance(atom, Constant):
            points: Any = [atom.value]
        else:
            points = np.quantile(column, _QUANTILES)
        return [_near(name, column, float(point)) for point in points]


def _near(name: str, column: np.ndarray, point: float) -> _Event:
    """The rows with a number: exactly, where many have it, otherwise by a normal kernel."""
    exactly = column == point
    if exactly.sum() >= max(20, 0.01 * len(column)):
        return _Event(f"{name} = {point:g}", exactly.astype(float))
    low, high = np.quantile(column, [0.25, 0.75])
    spread = min(float(column.std()), float(high - low) / 1.349 or math.inf)
    width = max(1.06 * spread * len(column) ** -0.2, 1e-12)
    return _Event(f"{name} near {point:g}", np.exp(-0.5 * ((column - point) / width) ** 2))


def _nothing(support: CellSupport, weights: np.ndarray) -> CellSupport:
    """No support at all: the rows are too few for any cell."""
    share = weights / max(float(weights.sum()), 1e-300)
    return CellSupport(1.0, 0.0, support.chance, support.rows, share)
