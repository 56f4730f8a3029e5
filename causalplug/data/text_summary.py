"""What a column of texts was seen to hold: numbers, words, marks of missing values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalplug.data.delimited import MISSING
from causalplug.selection import not_none, values_at, within
from causalplug.variables import Continuous, Discrete, Variable
from causalplug.variables.columns import TextColumn

__all__ = ["MANY", "TextSummary", "guessed_values", "numbers"]

MANY = 1000
"""Different values of a column that are kept, at most."""
_FEW = 20  # distinct numbers up to which a column of integers is taken for categories
_WORDS = 100  # distinct words up to which a column of words is
_OFTEN = 5  # rows per distinct value that categories must have on average
_DOUBTFUL = (
    "?",
    "??",
    "-",
    "--",
    "---",
    ".",
    "..",
    "*",
    "na",
    "n.a.",
    "n/a",
    "nan",
    "nil",
    "null",
    "missing",
    "(null)",
    "\\n",
    "#n/a",
    "#ref!",
    "#div/0!",
    "#value!",
    "#name?",
    "#num!",
)
_FORMS = (  # the first that fits says what a text is
    ("bool", r"(?i)^(true|false)$"),
    ("int", r"^[+-]?(0|[1-9]\d*)$"),
    ("zeroed", r"^[+-]?0\d+$"),
    ("float", r"(?i)^[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)$"),
    ("comma", r"(?i)^[+-]?\d+,\d+(e[+-]?\d+)?$"),
)


@dataclass
class TextSummary:
    """What was seen of a column of texts.

    Attributes:
        rows: Number of rows.
        typed: The texts are values of type text, so that ``"1"`` is a word.
        counts: Rows by form: bool, int, zeroed, float, comma, word, doubtful, missing.
        examples: Different texts by form, some of them.
        low, high: Range of the numbers.
    """

    rows: int = 0
    typed: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, None]] = field(default_factory=dict)
    low: float = np.inf
    high: float = -np.inf

    def add(self, column: TextColumn) -> None:
        """Look at some more rows."""
        self.rows += len(column)
        self.typed |= column.typed
        if missing := column.missing():
            self.counts["missing"] += missing
        seen = np.bincount(column.codes[column.codes >= 0], minlength=len(column.texts))
        if not column.typed:
            marks = set(within(column.texts, MISSING))
        else:
            marks = set()
        if marks and missing:
            self.examples.setdefault("missing", {}).update(dict.fromkeys(sorted(marks)))
        forms = _forms(column.texts)
        for form in set(forms.tolist()):
            at = np.flatnonzero((forms == form) & (seen > 0))
            self.counts[form] += int(seen[at].sum())
            kept = self.examples.setdefault(form, {})
            if len(kept) <= MANY:
                kept.update(dict.fromkeys(column.texts[place] for place in at[: MANY + 1]))
            if form in ("int", "float", "zeroed") and len(at):
                values = np.array(values_at(column.texts, at)).astype(float)
                self.low = min(self.low, float(values.min()))
                self.high = max(self.high, float(values.max()))

    def judge(self) -> tuple[Variable | None, str]:
        """The declaration and the reason for it, or None and the reason against any."""
        counts = {form: count for form, count in self.counts.items() if count}
        if missing := counts.pop("missing", 0):
            written = [repr(mark) for mark in self.examples.get("missing", {}) if mark]
            return None, (
                f"{missing} of {self.rows} values are missing"
                + (f" (written as {', '.join(written)})" if written else "")
                + ", and the model has no notion of that"
            )
        if not counts:
            return None, "it has no rows"
        if doubtful := counts.pop("doubtful", 0):
            return None, (
                f"{self._of(set(counts))}, and {self._shown('doubtful')} in {doubtful} rows, which "
                "may stand for a missing value: drop these rows, or declare it as a category"
            )
        if self.typed:
            return self._words(set(counts))
        return self._written(set(counts))

    def _written(self, forms: set[str]) -> tuple[Variable | None, str]:
        """The judgement of texts in a text file, where a number is a text as well."""
        if "comma" in forms and forms <= {"comma", "int", "zeroed"}:
            return None, (
                f"numbers with decimal commas ({self._shown('comma')})? Then say so, as in "
                "DataSource(…, decimal=',')"
            )
        if forms == {"bool"}:
            return Discrete([False, True]), "yes or no"
        if forms <= {"int", "float"}:
            values = set()
            for form in forms:
                for text in self.examples[form]:
                    values.add(_number(text))
            return numbers(values, self.rows, self.low, self.high)
        return self._words(forms)

    def _words(self, forms: set[str]) -> tuple[Variable | None, str]:
        numeric = forms & {"int", "float", "comma"}
        if "word" in forms and numeric:
            count = self.counts["word"]
            return None, f"{self._of(numeric)}, and words ({self._shown('word')}) in {count} rows"
        if not self.typed and len(forms) > 1 and not forms <= {"int", "zeroed"}:
            return None, f"it mixes {self._of(forms)}"
        found = sorted(text for form in forms for text in self.examples[form])
        if len(found) < 2:
            return None, _constant(found[0])
        if len(found) > _WORDS or self.rows < _OFTEN * len(found):
            return None, (
                f"{len(found)} different words in {self.rows} rows: an identifier, or too rare to "
                "be learned"
            )
        codes = ""
        if forms == {"int", "zeroed"}:
            codes = ", codes with leading zeros"
        return Discrete(found), f"{len(found)} different words{codes}"

    def _of(self, forms: set[str]) -> str:
        names = {"int": "numbers", "float": "numbers", "comma": "numbers", "bool": "yes or no"}
        names |= {"zeroed": "codes with leading zeros"}
        return " and ".join(sorted({names.get(form, "words") for form in forms})) or "nothing else"

    def _shown(self, form: str) -> str:
        return ", ".join(map(repr, list(self.examples[form])[:3]))


def _forms(texts: Collection[str]) -> np.ndarray:
    """The form of each text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pa.array(list(texts), pa.string())
    found = np.full(len(array), "word", dtype="U8")
    stripped = pc.utf8_trim_whitespace(array)
    for form, pattern in reversed(_FORMS):
        found[pc.match_substring_regex(stripped, pattern).to_numpy(zero_copy_only=False)] = form
    marks = pc.is_in(pc.utf8_lower(stripped), pa.array(_DOUBTFUL, pa.string()))
    found[marks.to_numpy(zero_copy_only=False)] = "doubtful"
    return found


def guessed_values(texts: Sequence[str | None]) -> list[object]:
    """The values that texts of a text file stand for: numbers where all are, without leading
    zeros; truth values where all are; else the texts."""
    known = not_none(texts)
    forms = set(_forms(list(dict.fromkeys(known))).tolist())
    if forms == {"bool"}:
        return [None if text is None else text.strip().casefold() == "true" for text in texts]
    if not known or not forms <= {"int", "float"}:
        return list(texts)
    return [None if text is None else _number(text) for text in texts]


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _constant(value: object) -> str:
    return f"it is constant ({value!r}): which other values could there be?"


def numbers(
    values: Collection[Any], rows: int, low: float, high: float
) -> tuple[Variable | None, str]:
    """The declaration of a column of numbers.

    Args:
        values: The different ones, up to :data:`MANY`.
        rows: Number of rows.
        low, high: Range of all of them.
    """
    count = len(values)
    if count < 2:
        return None, _constant(next(iter(values)))
    if not all(float(value).is_integer() for value in values):
        return Continuous(), f"numbers with fractions, from {low:g} to {high:g}"
    if count > _FEW or rows < _OFTEN * count:
        return None, (
            f"whole numbers with {'more than ' * (count > MANY)}{count} different values in {rows} "
            f"rows, from {low:g} to {high:g}: a quantity (Continuous) or codes (Discrete)?"
        )
    categories = sorted(map(int, values))
    plain = categories == list(range(count))
    return Discrete(count if plain else categories), f"{count} different whole numbers" + (
        "" if plain else f" from {low:g} to {high:g}"
    )
