"""What a check of a graph found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalplug.graphs.graph import CausalGraph
from causalplug.identification.implied import Constraint
from causalplug.values import Json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["GraphCheck", "TestedConstraint"]


@dataclass(frozen=True)
class TestedConstraint:
    """One implication of the graph, and what the rows say about it.

    Attributes:
        constraint: What the graph implies.
        kind: ``"independence"``, ``"Verma"``, or ``"experiment"`` (two sources have to agree).
        source: The rows that it was tested on.
        p_value: The p-value of the test by itself.
        adjusted: The p-value after Holm's adjustment for all tests.
        association: The strength of the dependence, on the scale of a correlation.
        method: The test.
        rejected: Whether the rows contradict it.
    """

    __test__ = False  # not a class of tests

    constraint: Constraint
    kind: str
    source: str
    p_value: float
    adjusted: float
    association: float
    method: str
    rejected: bool

    def __str__(self) -> str:
        numbers = f"association {self.association:.2f}, adjusted p = {self.adjusted:.2g}"
        return f"{self.constraint} in {self.source} ({numbers})"


@dataclass(frozen=True, eq=False)
class GraphCheck:
    """Whether the rows contradict a graph; true in a condition if they do not.

    Attributes:
        graph: The graph.
        results: Every tested constraint, those most at odds with the rows first.
        level: The chance, at most, that any constraint of a true graph is rejected.
        untested: Pairs without an edge about which the graph implies nothing.
        notes: What could not be tested, and why.
    """

    graph: CausalGraph
    results: tuple[TestedConstraint, ...]
    level: float
    untested: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> tuple[TestedConstraint, ...]:
        """The constraints that the rows contradict."""
        return tuple(result for result in self.results if result.rejected)

    @property
    def table(self) -> pd.DataFrame:
        """One row per constraint: what was tested, how, and the result."""
        import pandas as pd

        rows = list(map(_record, self.results))
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def to_dict(self) -> Json:
        """What JSON can hold."""
        return {
            "graph": str(self.graph),
            "passed": bool(self),
            "level": self.level,
            "constraints": list(map(_record, self.results)),
            "untested": list(map(list, self.untested)),
            "notes": list(self.notes),
        }

    def plot(self, *, ax: object = None) -> Figure:
        """A matplotlib figure of the graph; pairs that the rows join and the graph does not are
        drawn as dashed lines in the colour of warnings."""
        from causalplug.plots.graph import plot_graph

        known = set(self.graph.variables)
        pairs = [(r.constraint.x, r.constraint.y) for r in self.failed]
        return plot_graph(self.graph, ax=ax, missing=[p for p in pairs if known.issuperset(p)])

    def __str__(self) -> str:
        count = len(self.results)
        if not count:
            lines = ["nothing about the graph can be tested on these rows"]
        elif self:
            lines = [f"the rows do not contradict the graph: {_constraints(count)} tested"]
        else:
            lines = [
                f"the rows contradict the graph: {len(self.failed)} of {_constraints(count)} "
                f"rejected at level {self.level:g}"
            ]
        lines += [f"- {result}" for result in self.failed]
        if self.failed:
            lines.append(_ADVICE)
        lines += [f"- not tested: {note}" for note in self.notes]
        return "\n".join(lines)


_ADVICE = (
    "  an arrow or a hidden cause between such a pair may be missing, or an arrow on the way "
    "between them may point the other way"
)
_COLUMNS = (
    "constraint",
    "kind",
    "x",
    "y",
    "given",
    "source",
    "method",
    "association",
    "p_value",
    "adjusted",
    "rejected",
)


def _constraints(count: int) -> str:
    if count == 1:
        return "1 constraint"
    return f"{count} constraints"


def _record(result: TestedConstraint) -> Json:
    constraint = result.constraint
    values: Sequence[object] = (
        str(constraint),
        result.kind,
        constraint.x,
        constraint.y,
        ", ".join(constraint.given),
        result.source,
        result.method,
        result.association,
        result.p_value,
        result.adjusted,
        result.rejected,
    )
    return dict(zip(_COLUMNS, values, strict=True))
