"""Deterministic relations among discrete variables: values that are never observed together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from causalplug.graphs.graph import CausalGraph
from causalplug.identification.tables import Table
from causalplug.selection import within
from causalplug.wording import listed

__all__ = ["Relation", "find_relations"]


@dataclass(frozen=True)
class Relation:
    """``variable`` is the same in all rows that agree on ``by``.

    Attributes:
        variable: What is determined.
        by: The smallest set found that determines it; empty if the variable never varies.
        never: Some combinations of values that therefore never occur.
        text: The same in a sentence.
    """

    variable: str
    by: tuple[str, ...]
    never: tuple[str, ...]
    text: str


def find_relations(
    graph: CausalGraph, table: Table, *, most: int = 3, evidence: float = 5.0
) -> list[Relation]:
    """Every variable that its parents, or some of them, determine in the rows of ``table``.

    Args:
        graph: Says which variables are tried as causes.
        table: The rows.
        most: The largest number of parents that are tried together.
        evidence: How many rows one would expect to break the relation, were the variable
            independent of those parents; with fewer than this the rows are not called
            deterministic.
    """
    found = []
    for name in table.categories:
        share = table.margin([name]) / max(table.weights.sum(), 1e-300)
        values = np.asarray(table.categories[name], object)[share > 0]
        if len(values) < 2:
            if len(values):
                found.append(Relation(name, (), (), f"{name} is {values[0]} in every row"))
            continue
        parents = within(graph.parents(name), table.categories)
        for size in range(1, min(most, len(parents)) + 1):
            chosen = []
            for c in combinations(parents, size):
                if _determines(table, c, name, evidence):
                    chosen.append(c)
            if chosen:
                found += [_relation(table, c, name) for c in chosen]
                break
    return found


def _determines(table: Table, by: tuple[str, ...], name: str, evidence: float) -> bool:
    counts = table.margin([*by, name]).reshape(-1, len(table.categories[name]))
    if ((counts > 0).sum(1) > 1).any():
        return False
    # Under independence a cell would be pure only if all its rows agreed: count on the rows after
    # the first.
    share = counts.sum(0) / counts.sum()
    sizes = counts.sum(1)
    largest = counts.max(1)
    impure = np.where(largest > 0, np.maximum(sizes - 1, 0), 0) * (1 - share[counts.argmax(1)])
    varied = (np.unique(counts.argmax(1)[sizes > 1]).size > 1) or share.max() < 1
    return bool(varied and impure.sum() >= evidence)


def _relation(table: Table, by: tuple[str, ...], name: str) -> Relation:
    counts = table.margin([*by, name])
    sizes = counts.sum(-1, keepdims=True)
    cells = np.argwhere((counts == 0) & (sizes > 0))
    names = [*by, name]
    shown = []
    for cell in cells[:20]:
        shown.append(
            ", ".join(f"{v}={table.categories[v][c]}" for v, c in zip(names, cell, strict=True))
        )
    never = tuple(shown)
    text = f"{name} is determined by {listed(by)}: never observed are {'; '.join(never[:3])}"
    return Relation(name, by, never, text + (" and others" if len(never) > 3 else ""))
