"""Probabilities of rows under a model: products of explicit mechanisms, averaged over the
confounder noise.

``Q[C](c | pa(c)) = E_u prod_V P(V = v | pa(v), u_V)`` is the c-factor of Tian & Pearl (2002). Where
everything is discrete, equal rows are evaluated once and every mechanism once per distinct
configuration of its parents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from causalplug.graphs.graph import CausalGraph
from causalplug.model.model import Model
from causalplug.variables import Discrete

__all__ = [
    "Cells",
    "ConfounderDraws",
    "as_made",
    "confounders_of",
    "distinct",
    "log_mean_exp",
    "pixel_column",
    "ravel",
    "read_parents",
    "rows_log_prob",
    "served",
    "stacked",
    "tabular",
]


def confounders_of(dcm: Model, variables: Iterable[str]) -> list[str]:
    """Names of all confounder noises that the mechanisms of ``variables`` read, each once."""
    return list(dict.fromkeys(key for name in variables for key in dcm.confounder_keys(name)))


class ConfounderDraws:
    """Quasi-random draws of several confounder noises: scrambled Sobol points, mapped to normals,
    afresh at every call.

    Args:
        keys: names of the noises.
        size: numbers of one noise.
        draws: points per call.
    """

    def __init__(self, keys: Sequence[str], size: int, draws: int):
        self.keys, self.size, self.draws = list(keys), size, draws
        dimension = max(1, len(self.keys) * size)
        points = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=0).draw(draws)
        self.points = points.clamp(1e-6, 1 - 1e-6)

    def __call__(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Noise ``(draws, 1, size)`` by name: the Sobol points under a fresh random shift (Cranley
        & Patterson 1976).
        """
        if not self.keys:
            return {}
        normal = self.points_of(1, generator)
        return dict(zip(self.keys, normal.split(self.size, dim=-1), strict=True))

    def points_of(self, rows: int, generator: torch.Generator) -> Tensor:
        """Normal points ``(draws, rows, keys * size)``, shifted for every row by itself."""
        shift = torch.rand(rows, self.points.shape[1], generator=generator, device=generator.device)
        points = (self.points.to(shift.device).unsqueeze(1) + shift).remainder(1.0)
        return torch.special.ndtri(points.clamp(1e-6, 1 - 1e-6))


def stacked(dcm: Model, name: str, noise: Mapping[str, Tensor]) -> Tensor | None:
    """The confounder noise that the mechanism of ``name`` reads, in its order."""
    parts = [noise[key] for key in dcm.confounder_keys(name)]
    return torch.cat(parts, -1) if parts else None


def pixel_column(name: str) -> str:
    """The column of an image's pixels, where another one holds its projection."""
    return f"{name}\0pixels"


def as_made(dcm: Model, name: str, rows: Mapping[str, Tensor]) -> Tensor:
    """Values as mechanisms make them: pixels in the range of an image variable."""
    column = rows.get(pixel_column(name))
    return dcm.variables[name].scale(rows[name] if column is None else column)


def read_parents(dcm: Model, name: str, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parents of a variable as its mechanism reads them: images as projections, or as pixels
    in their range."""
    mechanism = dcm.mechanism(name)
    if mechanism.reads_projections:
        return {p: dcm.variables[p].scale(rows[p]) for p in mechanism.parents}
    return {p: as_made(dcm, p, rows) for p in mechanism.parents}


def log_mean_exp(log_probs: Tensor) -> Tensor:
    """Mean over the draws of the confounder noise, ``(s, n)`` to ``(n,)``."""
    return torch.logsumexp(log_probs, 0) - math.log(log_probs.shape[0])


def rows_log_prob(
    dcm: Model, variables: Sequence[str], rows: Mapping[str, Tensor], noise: Mapping[str, Tensor]
) -> Tensor:
    """Log of the product of the mechanisms of ``variables`` at every row and draw.

    Args:
        dcm: the model; all mechanisms of ``variables`` are explicit.
        variables: whose values are explained.
        rows: values ``(n, …)`` of the variables and their parents; images as projections ``(n,
            size)``, and under :func:`pixel_column` their pixels where a mechanism makes or reads
            them.
        noise: ``(s, 1, size)`` by name.

    Returns:
        ``(s, n)``, or ``(1, n)`` where no variable has a confounder.
    """
    total: Tensor | None = None
    for name in variables:
        mechanism = dcm.mechanism(name)
        parents = read_parents(dcm, name, rows)
        value = as_made(dcm, name, rows)
        term = mechanism.log_prob(value, parents, stacked(dcm, name, noise))
        term = term if term.ndim == 2 else term.unsqueeze(0)
        total = term if total is None else total + term
    if total is None:
        raise ValueError("rows_log_prob needs at least one variable")
    return total


def ravel(columns: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """One integer per joint value of columns of codes ``(n,)``, the last column varying fastest."""
    joint = torch.zeros_like(columns[0])
    for column, size in zip(columns, sizes, strict=True):
        joint = joint * size + column
    return joint


def distinct(
    columns: Mapping[str, Tensor], sizes: Sequence[int]
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Distinct rows of columns of codes, the number of each row among them, and how often each
    occurs."""
    names = list(columns)
    joint, inverse, counts = torch.unique(
        ravel([columns[name] for name in names], sizes), return_inverse=True, return_counts=True
    )
    rows: dict[str, Tensor] = {}
    for name, size in reversed(list(zip(names, sizes, strict=True))):
        rows[name] = joint % size
        joint = torch.div(joint, size, rounding_mode="floor")
    return {name: rows[name] for name in names}, inverse, counts


class Cells:
    """Discrete rows, each evaluated by looking its parents' configuration up.

    Args:
        dcm: the model.
        variables: discrete variables with discrete parents and explicit mechanisms.
        rows: codes ``(r,)`` of the variables and their parents.
    """

    def __init__(self, dcm: Model, variables: Sequence[str], rows: Mapping[str, Tensor]):
        self.dcm, self.variables = dcm, tuple(variables)
        self.parents: dict[str, dict[str, Tensor]] = {}
        self.read: dict[str, Mapping[str, Tensor] | Tensor] = {}
        self.index: dict[str, Tensor] = {}
        for name in self.variables:
            mechanism = dcm.mechanism(name)
            size = dcm.variables[name].size  # type: ignore[attr-defined]
            if mechanism.parents:
                sizes = [dcm.variables[parent].size for parent in mechanism.parents]  # type: ignore[attr-defined]
                columns = {parent: rows[parent] for parent in mechanism.parents}
                self.parents[name], which, _ = distinct(columns, sizes)
            else:
                which = torch.zeros_like(rows[name])
                self.parents[name] = {}
            self.read[name] = mechanism.parent_features(self.parents[name])
            self.index[name] = which * size + rows[name]

    def log_prob(self, noise: Mapping[str, Tensor]) -> Tensor:
        """``(s, r)``: log of the product of the mechanisms, for confounder noise ``(s, 1,
        size)`` by name."""
        total: Tensor | None = None
        for name in self.variables:
            mechanism = self.dcm.mechanism(name)
            logits = mechanism.logits(self.read[name], stacked(self.dcm, name, noise))
            table = torch.log_softmax(logits, -1)
            table = table.flatten(-2) if table.ndim > 1 else table
            table = table if table.ndim == 2 else table.unsqueeze(0)
            term = table[:, self.index[name]]
            total = term if total is None else total + term
        if total is None:
            raise ValueError("Cells needs at least one variable")
        return total


def tabular(dcm: Model, variables: Iterable[str]) -> bool:
    """Whether all variables and their parents are discrete, with explicit mechanisms."""
    return all(
        isinstance(dcm.variables[name], Discrete)
        and dcm.mechanism(name).explicit
        and all(isinstance(dcm.variables[parent], Discrete) for parent in dcm.graph.parents(name))
        for name in variables
    )


def served(graph: CausalGraph, recorded: Iterable[str], do: Iterable[str]) -> list[tuple[str, ...]]:
    """The groups of variables whose c-factors a source's rows determine and a likelihood can use,
    in topological order.

    The rows are a sample from the mutilated graph, projected on what is recorded; their
    distribution is the product of the c-factors of *that* graph (Tian & Pearl 2002). A c-factor is
    the product of the model's own mechanisms where all parents of its variables are recorded. Where
    some are not, those variables are left out together with everything that descends from them;
    what is left is an ancestral part of the rows' distribution, and factors in the same way.
    """
    do = frozenset(do)
    known = frozenset(recorded) | do
    seen = graph.do(do).latent_projection(known)
    order = [name for name in seen.topological_order() if name not in do]
    whole = {name for name in order if known.issuperset(graph.parents(name))}
    groups: list[tuple[str, ...]] = []
    for component in seen.c_components():
        broken = component - whole - do
        kept = component - seen.descendants(broken) if broken else component
        rest = seen.subgraph(
            seen.variables if not broken else set(seen.variables) - seen.descendants(broken)
        )
        groups += [
            tuple(name for name in order if name in part)
            for part in rest.c_components()
            if part <= kept and not part & do
        ]
    return groups
