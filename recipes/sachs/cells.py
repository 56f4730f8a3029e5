"""The two tables of the question: cells nobody touched, and `Mek` in cells whose PKA was set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

import causalplug as cp
from causalplug.errors import DataError
from recipes.networks import Network

__all__ = [
    "GRAPH",
    "LEVELS",
    "PKA_EXPERIMENT",
    "PROTEINS",
    "READINGS",
    "Cells",
    "chance",
    "fitted_world",
    "made_up_world",
    "read_cells",
    "read_table",
    "shares",
    "simulate_cells",
]

GRAPH = "PKA -> Mek -> Erk -> Akt; PKA -> Erk, Akt; Mek -> Akt; PKA <-> Mek"
PROTEINS = ("PKA", "Mek", "Erk", "Akt")
LEVELS = ("low", "average", "high")
READINGS = {
    "untouched": "cells that nobody touched",
    "others": "all cells but those of the experiment on PKA",
    "pooled": "all cells of the file",
}
PKA_EXPERIMENT = 8  # column INT: 1-based position of the protein that was acted on, 0 for none


@dataclass(frozen=True)
class Cells:
    """One reading of the question "what if PKA were at this level".

    Attributes:
        level: What PKA is set to.
        untouched: Rows of all four proteins, as if nobody had touched these cells.
        treated: All rows of the experiment at this level, with all four proteins: of these the
            model sees Mek alone.
        exact: P(Erk | do) and P(Akt | do) where the world is known.
        reading: Which cells ``untouched`` holds, of :data:`READINGS`.
    """

    level: str
    untouched: pd.DataFrame
    treated: pd.DataFrame
    exact: dict[str, np.ndarray] | None = None
    reading: str = "untouched"

    @property
    def contradiction(self) -> float:
        """By how much both tables together are beyond any model of the graph; up to chance if it is
        not positive.

        P(PKA=x, Mek=m) <= P(Mek=m | do(PKA=x)) in every causal model: a cell that has x anyway
        keeps its Mek.
        """
        at_level = self.untouched["PKA"] == self.level
        return max(
            float(
                (at_level & (self.untouched["Mek"] == mek)).mean()
                - (self.treated["Mek"] == mek).mean()
            )
            for mek in LEVELS
        )

    def sources(self) -> list[cp.DataSource]:
        """What the model is given."""
        return [
            cp.DataSource(self.untouched, name=self.reading),
            cp.DataSource(self.treated[["PKA", "Mek"]], do=["PKA"], name="PKA set"),
        ]


def read_table(path: str) -> pd.DataFrame:
    """The flow-cytometry cells of Sachs et al. 2005 in three levels, as ``sachs.interventional`` of
    bnlearn has them: four proteins in words, and ``INT``.

    Raises:
        DataError: The file is missing, lacks a column, or has other levels than 1, 2, 3.
    """
    try:
        table = pd.read_csv(path, sep=None, engine="python")
    except (OSError, ValueError) as error:
        raise DataError(
            f"The cells cannot be read from {path!r}: {error} Get the discretised interventional "
            "data of Sachs et al. (sachs.interventional.txt of the bnlearn site), or run with "
            "--quick, which simulates cells."
        ) from None
    names = list(PROTEINS)
    missing = [name for name in (*names, "INT") if name not in table]
    if missing or not table[names].isin([1, 2, 3]).all(axis=None):
        what = "levels other than 1, 2, 3 occur"
        if missing:
            what = f"column {', '.join(missing)} is missing"
        raise DataError(
            f"{path!r} cannot be used: {what}. It must have {', '.join(PROTEINS)} in levels and "
            "INT."
        )
    words = dict(enumerate(LEVELS, start=1))
    return table[names].replace(words).assign(INT=table["INT"])


def read_cells(path: str, level: str, reading: str = "untouched") -> Cells:
    """Cells that are taken for observational, and those in which PKA was set to a level.

    Args:
        path: The file of cells.
        level: What PKA is set to.
        reading: Which cells are taken for observational, of :data:`READINGS`. In ``"pooled"`` the
            cells that the answer is held against are among the rows.

    Raises:
        DataError: As :func:`read_table` does.
    """
    table = read_table(path)
    treated = (table["INT"] == PKA_EXPERIMENT) & (table["PKA"] == level)
    observational = {
        "untouched": table["INT"] == 0,
        "others": table["INT"] != PKA_EXPERIMENT,
        "pooled": table["INT"] >= 0,
    }[reading]
    rows = [table.loc[chosen, list(PROTEINS)] for chosen in (observational, treated)]
    return Cells(level, *(part.reset_index(drop=True) for part in rows), reading=reading)


def made_up_world() -> Network:
    """A random world of the four proteins with the graph of the question; hidden causes of PKA
    and Mek included."""
    return Network.random(cp.CausalGraph.parse(GRAPH), seed=20, values=LEVELS)


def fitted_world(path: str) -> Network:
    """The network of eleven proteins that was fitted to all cells (``sachs.bif`` of bnlearn), seven
    of them hidden.

    Raises:
        DataError: The file cannot be read, or is another network.
    """
    whole = Network.read_bif(path)
    missing = [name for name in PROTEINS if name not in whole.tables]
    if missing:
        raise DataError(
            f"{path!r} is another network: it has no {', '.join(missing)}. Give sachs.bif of "
            "bnlearn."
        )
    return Network(
        whole.tables,
        dict.fromkeys(whole.tables, LEVELS),
        hidden=[name for name in whole.tables if name not in PROTEINS],
    )


def simulate_cells(world: Network, level: str, *, rows: int, treated: int, seed: int) -> Cells:
    """Cells of a world in which every probability is known."""
    do = {"PKA": level}
    return Cells(
        level,
        pd.DataFrame(world.sample(rows, seed=2 * seed)),
        pd.DataFrame(world.sample(treated, seed=2 * seed + 1, do=do)),
        {name: world.joint([name], do) for name in ("Erk", "Akt")},
    )


def shares(column: pd.Series) -> np.ndarray:
    """Share of every level."""
    return column.value_counts(normalize=True).reindex(LEVELS, fill_value=0.0).to_numpy()


def chance(p: np.ndarray, n: int, seed: int) -> float:
    """The TVD that n cells drawn from ``p`` stay below in 95 % of all cases."""
    drawn = np.random.default_rng(seed).multinomial(n, p, size=4000) / n
    return float(np.quantile(0.5 * np.abs(drawn - p).sum(1), 0.95))
