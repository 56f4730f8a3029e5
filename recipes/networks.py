"""Discrete causal models in which every probability is a sum: the worlds behind the rows of several
recipes.

A network has one table per variable, hidden ones included. A hidden common cause of two variables
is what a bidirected edge of a causal graph stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import causalplug as cp
from causalplug.errors import DataError

__all__ = ["Network"]


class Network:
    """Tables P(variable | parents), in an order in which parents come first.

    Args:
        tables: Per variable its parents and its probabilities ``(*parents, k)``.
        categories: Per variable its k values.
        hidden: The variables that nobody records.

    Raises:
        DataError: A parent that does not come first, or rows that are no distributions.
    """

    def __init__(
        self,
        tables: Mapping[str, tuple[Sequence[str], Any]],
        categories: Mapping[str, Sequence[Any]],
        hidden: Sequence[str] = (),
    ):
        self.tables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
        self.categories = {name: list(categories[name]) for name in tables}
        self.hidden = tuple(hidden)
        for name, (parents, probabilities) in tables.items():
            table = np.asarray(probabilities, float)
            unknown = [parent for parent in parents if parent not in self.tables]
            if unknown:
                raise DataError(
                    f"The table of {name!r} cannot be used: its parent {unknown[0]!r} has none "
                    "before it."
                )
            shape = tuple(len(self.categories[other]) for other in (*parents, name))
            if (
                table.shape != shape
                or (table < 0).any()
                or not np.allclose(table.sum(-1), 1, atol=1e-6)
            ):
                raise DataError(
                    f"The table of {name!r} must hold distributions over its last axis, of shape "
                    f"{shape}."
                )
            self.tables[name] = (tuple(parents), table / table.sum(-1, keepdims=True))

    @property
    def recorded(self) -> tuple[str, ...]:
        """The variables that are not hidden."""
        return tuple(name for name in self.tables if name not in self.hidden)

    def graph(self) -> cp.CausalGraph:
        """The causal graph of what is recorded, by latent projection."""
        edges = [(parent, name) for name, (parents, _) in self.tables.items() for parent in parents]
        return cp.CausalGraph.from_edges(
            directed=edges, variables=tuple(self.tables)
        ).latent_projection(self.recorded)

    def joint(self, keep: Sequence[str], do: Mapping[str, Any] | None = None) -> np.ndarray:
        """P(``keep`` | do(``do``)) exactly, one axis per variable."""
        setting = {name: self.categories[name].index(value) for name, value in (do or {}).items()}
        label = {name: position for position, name in enumerate(self.tables)}
        operands: list[Any] = []
        for name in self._needed(keep, setting):
            parents, table = (
                ((), np.eye(len(self.categories[name]))[setting[name]])
                if name in setting
                else self.tables[name]
            )
            operands += [table, [label[other] for other in (*parents, name)]]
        return np.einsum(*operands, [label[name] for name in keep], optimize="greedy")

    def _needed(self, keep: Sequence[str], setting: Mapping[str, int]) -> list[str]:
        """``keep`` and its ancestors once the edges into what is set are cut."""
        needed, pending = set(), list(keep)
        while pending:
            name = pending.pop()
            if name not in needed:
                needed.add(name)
                pending += [] if name in setting else self.tables[name][0]
        return [name for name in self.tables if name in needed]

    def sample(
        self, n: int, *, seed: int, do: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """``n`` rows of the recorded variables under do(``do``), as categories."""
        rng = np.random.default_rng(seed)
        codes: dict[str, np.ndarray] = {}
        for name, (parents, table) in self.tables.items():
            uniform = rng.random(
                n
            )  # drawn even where it is not needed, so that other variables stay as they were
            rows = table[tuple(codes[parent] for parent in parents)].cumsum(-1)
            codes[name] = (uniform[:, None] >= rows[..., :-1]).sum(-1)
            if do and name in do:
                codes[name] = np.full(n, self.categories[name].index(do[name]))
        return {name: np.asarray(self.categories[name])[codes[name]] for name in self.recorded}

    def shares(self, rows: Any, keep: Sequence[str]) -> np.ndarray:
        """How often each joint value of ``keep`` occurs in a table of rows, with the axes of
        :meth:`joint`."""
        sizes = [len(self.categories[name]) for name in keep]
        where = [{value: code for code, value in enumerate(self.categories[name])} for name in keep]
        codes = [
            np.fromiter((known[value] for value in unique.tolist()), int)[inverse]
            for known, (unique, inverse) in zip(
                where,
                (np.unique(np.asarray(rows[name]), return_inverse=True) for name in keep),
                strict=True,
            )
        ]
        index = np.ravel_multi_index(codes, sizes)
        return np.bincount(index, minlength=int(np.prod(sizes))).reshape(sizes) / len(index)

    @classmethod
    def random(
        cls,
        graph: cp.CausalGraph,
        *,
        seed: int,
        values: Sequence[Any] = (0, 1),
        strength: float = 1.5,
    ) -> Network:
        """A random network of ``graph``: every bidirected edge becomes a hidden variable with two
        values.

        The log odds of a variable are a sum of normal draws, one for each value of each of its
        parents and hidden causes, and one for each combination; no probability is below 0.05 over
        the number of values.

        Args:
            graph: The causal graph.
            seed: Seed of numpy's generator.
            values: Values of every recorded variable.
            strength: Standard deviation of what a parent or a hidden cause adds; a combination adds
                a third of it.
        """
        rng = np.random.default_rng(seed)
        causes = {f"{a}<->{b}": (a, b) for a, b in graph.bidirected}
        tables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
            name: ((), np.full(2, 0.5)) for name in causes
        }
        k = len(values)
        for name in graph.topological_order():
            parents = (
                *graph.parents(name),
                *(cause for cause, ends in causes.items() if name in ends),
            )
            sizes = [2 if parent in causes else k for parent in parents]
            odds = rng.normal(0, strength / 3, (*sizes, k))
            for axis, size in enumerate(sizes):
                shape = [1] * len(sizes)
                shape[axis] = size
                odds = odds + rng.normal(0, strength, (size, k)).reshape(*shape, k)
            odds = np.exp(odds - odds.max(-1, keepdims=True))
            tables[name] = (parents, 0.05 / k + 0.95 * odds / odds.sum(-1, keepdims=True))
        categories = {name: (0, 1) if name in causes else values for name in tables}
        return cls(tables, categories, hidden=tuple(causes))

    @classmethod
    def read_bif(cls, path: str | Path, *, hidden: Sequence[str] = ()) -> Network:
        """A discrete network in the Bayesian Interchange Format, as the bnlearn repository has it.

        Raises:
            DataError: The file is missing, or a table is incomplete or does not fit its parents.
        """
        try:
            text = Path(path).expanduser().read_text()
        except OSError as error:
            raise DataError(
                f"{str(path)!r} cannot be read: {error}. Name a BIF file of the network."
            ) from None
        categories = dict(_variables(text))
        return cls(dict(_sorted(dict(_probabilities(text, categories)))), categories, hidden)


def _variables(text: str) -> Iterator[tuple[str, list[str]]]:
    for name, values in re.findall(r"variable\s+(\S+)\s*\{[^{}]*\{([^{}]*)\}", text):
        yield name, [value.strip() for value in values.split(",")]


def _probabilities(
    text: str, categories: Mapping[str, list[str]]
) -> Iterator[tuple[str, tuple[tuple[str, ...], np.ndarray]]]:
    for head, body in re.findall(r"probability\s*\(([^)]*)\)\s*\{([^{}]*)\}", text):
        name, *rest = (part.strip() for part in head.split("|"))
        parents = tuple(parent.strip() for parent in rest[0].split(",")) if rest else ()
        try:
            yield name, (parents, _table(body, name, parents, categories))
        except (KeyError, ValueError) as error:
            raise DataError(
                f"The table of {name!r} cannot be read: {error} does not fit its parents "
                f"{list(parents)}. Fetch the file again."
            ) from None


def _table(
    body: str, name: str, parents: tuple[str, ...], categories: Mapping[str, list[str]]
) -> np.ndarray:
    """The rows of one block; what the block leaves out is NaN."""
    table = np.full([len(categories[other]) for other in (*parents, name)], np.nan)
    for at, numbers in re.findall(r"(?:\(([^)]*)\)|table)\s*([^;()]*);", body):
        values = [value.strip() for value in at.split(",")] if at else []
        index = tuple(
            categories[parent].index(value) for parent, value in zip(parents, values, strict=True)
        )
        row = [float(number) for number in numbers.split(",")]
        table[index] = np.reshape(row, table[index].shape)
    return table


def _sorted(
    tables: dict[str, tuple[tuple[str, ...], np.ndarray]],
) -> Iterator[tuple[str, tuple[tuple[str, ...], np.ndarray]]]:
    """The tables with parents first."""
    done: set[str] = set()
    while len(done) < len(tables):
        ready = [
            name
            for name, (parents, _) in tables.items()
            if name not in done and done.issuperset(parents)
        ]
        if not ready:
            raise DataError(
                "The network cannot be used: its variables are in a cycle, or a parent has no "
                "table."
            )
        yield from ((name, tables[name]) for name in ready)
        done.update(ready)
