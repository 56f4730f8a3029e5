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
from causalplug.selection import pick, values_at, without

__all__ = [
    "Cells",
    "ConfounderDraws",
    "as_made",
    "confounders_of",
    "distinct",
    "grouped",
    "log_mean_exp",
    "pixel_column",
    "ravel",
    "read_parents",
    "rows_log_prob",
    "served",
    "stacked",
    "tabular",
]

_AT_ONCE, _COUNTED = 2**20, 2**20  # rows, and joint values that are counted
_LARGEST = 2**62  # joint values that one integer tells apart
_PAIRS = 64  # pairs of halves per row, up to which all pairs are computed


def confounders_of(dcm: Model, variables: Iterable[str]) -> list[str]:
    """Names of all confounder noises that the mechanisms of ``variables`` read, each once."""
    return list(dict.fromkeys(key for name in variables for key in dcm.confounder_keys(name)))


class ConfounderDraws:
    """Quasi-random draws of several confounder noises: scrambled Sobol points, mapped to normals,
    afresh at every call.

    Args:
        keys: Names of the noises.
        size: Numbers of one noise.
        draws: Points per call.
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
    parts = values_at(noise, dcm.confounder_keys(name))
    if parts:
        return torch.cat(parts, -1)
    return None


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
        dcm: The model; all mechanisms of ``variables`` are explicit.
        variables: Whose values are explained.
        rows: Values ``(n, …)`` of the variables and their parents; images as projections ``(n,
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
        if term.ndim != 2:
            term = term.unsqueeze(0)
        if total is None:
            total = term
        else:
            total = total + term
    if total is None:
        raise ValueError("rows_log_prob needs at least one variable")
    return total


def ravel(columns: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """One integer per joint value of columns of codes ``(n,)``, the last column varying fastest."""
    joint = torch.zeros_like(columns[0])
    for column, size in zip(columns, sizes, strict=True):
        joint.mul_(size).add_(column)
    return joint


def distinct(
    columns: Mapping[str, Tensor], sizes: Sequence[int]
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Distinct rows of columns of codes, the number of each row among them, and how often each
    occurs."""
    names = list(columns)
    first, inverse, counts = grouped(values_at(columns, names), sizes)
    return {name: columns[name][first] for name in names}, inverse, counts


def grouped(columns: Sequence[Tensor], sizes: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Equal rows of columns of codes ``(n,)``: the first of each group, the group of each row, and
    the number of rows of each group.

    Groups are in the order of their values. Any number of columns will do: where their joint values
    are too many for one integer, the groups found so far are numbered anew.
    """
    joint, bound = torch.zeros_like(columns[0]), 1
    for column, size in zip(columns, sizes, strict=True):
        if bound * size >= _LARGEST:
            joint = torch.unique(joint, return_inverse=True)[1]
            bound = int(joint.max()) + 1
        joint.mul_(size).add_(column)
        bound *= size
    group, counts = _numbered(joint, bound)
    first = torch.full_like(counts, len(group))
    for start in range(0, len(group), _AT_ONCE):
        part = group[start : start + _AT_ONCE]
        places = torch.arange(start, start + len(part), device=group.device)
        first.scatter_reduce_(0, part, places, "amin")
    return first, group, counts


def _numbered(joint: Tensor, bound: int) -> tuple[Tensor, Tensor]:
    """The place of every value among the different ones, and how often each of these occurs; by
    counting where the values are few, which takes less memory than sorting."""
    if bound > min(len(joint), _COUNTED):
        _, group, counts = torch.unique(joint, return_inverse=True, return_counts=True)
        return group, counts
    counts = torch.bincount(joint, minlength=bound)
    present = counts > 0
    places = present.cumsum(0) - 1
    return places[joint], counts[present]


class Cells:
    """Discrete rows, each evaluated by looking its parents' configuration up.

    Args:
        dcm: The model.
        variables: Discrete variables with discrete parents and explicit mechanisms.
        rows: Codes ``(r,)`` of the variables and their parents.
    """

    def __init__(self, dcm: Model, variables: Sequence[str], rows: Mapping[str, Tensor]):
        self.dcm, self.variables = dcm, tuple(variables)
        self.parents: dict[str, dict[str, Tensor]] = {}
        self.read: dict[str, Mapping[str, Tensor] | Tensor] = {}
        self.index: dict[str, Tensor] = {}
        for name in self.variables:
            mechanism = dcm.mechanism(name)
            size = dcm.variables[name].size
            if mechanism.parents:
                sizes = [dcm.variables[parent].size for parent in mechanism.parents]
                columns = pick(rows, mechanism.parents)
                self.parents[name], which, _ = distinct(columns, sizes)
            else:
                which = torch.zeros_like(rows[name])
                self.parents[name] = {}
            self.read[name] = mechanism.parent_features(self.parents[name])
            self.index[name] = which * size + rows[name]
        self._split: list[_Half] = []

    def log_prob(self, noise: Mapping[str, Tensor]) -> Tensor:
        """``(s, r)``: log of the product of the mechanisms, for confounder noise ``(s, 1,
        size)`` by name."""
        total: Tensor | None = None
        for name in self.variables:
            mechanism = self.dcm.mechanism(name)
            logits = mechanism.logits(self.read[name], stacked(self.dcm, name, noise))
            table = torch.log_softmax(logits, -1)
            if table.ndim > 1:
                table = table.flatten(-2)
            if table.ndim != 2:
                table = table.unsqueeze(0)
            term = table[:, self.index[name]]
            if total is None:
                total = term
            else:
                total = total + term
        if total is None:
            raise ValueError("Cells needs at least one variable")
        return total

    def log_mean(self, noise: Mapping[str, Tensor]) -> Tensor:
        """``(r,)``: log of the mean over the draws of the product of the mechanisms.

        The variables are split into two halves. Rows that agree in a half have one product of its
        mechanisms, so that as many products are computed as a half has different rows, and the
        mean over the draws of all pairs is one product of two matrices.
        """
        if not noise:
            return self.log_prob(noise).squeeze(0)
        halves = self._halves()
        tables = {name: self._by_cell(name, noise) for name in self.variables}
        sums = [half.sum_of(tables) for half in halves]
        if len(halves) == 1:
            return log_mean_exp(sums[0].T)[halves[0].group]
        (one, other), draws = sums, max(map(len, noise.values()))
        if len(one) * len(other) > _PAIRS * len(halves[0].group):
            both = one[halves[0].group] + other[halves[1].group]
            return torch.logsumexp(both, -1) - math.log(draws)
        (one, top), (other, most) = (_scaled(s.expand(-1, draws)) for s in (one, other))
        pairs = (one @ other.T).clamp_min(torch.finfo(one.dtype).tiny).log()
        found = pairs[halves[0].group, halves[1].group] - math.log(draws)
        return found + top[halves[0].group] + most[halves[1].group]

    @property
    def work(self) -> int:
        """Numbers for each draw that :meth:`log_mean` computes: of networks and of products."""
        halves = self._halves()
        configurations = sum(
            len(next(iter(parents.values()))) if parents else 1 for parents in self.parents.values()
        )
        products = sum(len(half.names) * len(half.first) for half in halves)
        rows, pairs = len(halves[0].group), math.prod(len(half.first) for half in halves)
        direct = 0
        if len(halves) > 1 and pairs > _PAIRS * rows:
            direct = rows
        return configurations + products + direct

    def _halves(self) -> list[_Half]:
        if not self._split:
            middle = (len(self.variables) + 1) // 2
            parts = [self.variables[:middle], self.variables[middle:]]
            self._split = [_Half(part, self.index) for part in parts if part]
        return self._split

    def _by_cell(self, name: str, noise: Mapping[str, Tensor]) -> Tensor:
        """Log probabilities ``(configurations * k, s)`` of one mechanism."""
        mechanism = self.dcm.mechanism(name)
        logits = mechanism.logits(self.read[name], stacked(self.dcm, name, noise))
        table = torch.log_softmax(logits, -1)
        if table.ndim != 3:
            table = table.view(1, -1, table.shape[-1])
        return table.flatten(1).T.contiguous()


class _Half:
    """Some of the variables of cells, and the rows that differ in them.

    Args:
        names: The variables.
        index: By variable, which cell of its table each row is.
    """

    def __init__(self, names: Sequence[str], index: Mapping[str, Tensor]):
        self.names = tuple(names)
        columns = values_at(index, names)
        sizes = [int(column.max()) + 1 for column in columns]
        self.first, self.group, _ = grouped(columns, sizes)
        self.index = {name: index[name][self.first] for name in names}

    def sum_of(self, tables: Mapping[str, Tensor]) -> Tensor:
        """Log products ``(rows, s)`` of the mechanisms."""
        terms = [tables[name].index_select(0, self.index[name]) for name in self.names]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


def _scaled(logs: Tensor) -> tuple[Tensor, Tensor]:
    """Exponentials of rows, each divided by its largest, and the logs of those."""
    top = logs.detach().amax(-1)
    return (logs - top[:, None]).exp(), top


def tabular(dcm: Model, variables: Iterable[str]) -> bool:
    """Whether all variables and their parents are discrete, with explicit mechanisms."""
    return all(
        dcm.variables[name].is_discrete
        and dcm.mechanism(name).explicit
        and all(dcm.variables[parent].is_discrete for parent in dcm.graph.parents(name))
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
    order = without(seen.topological_order(), do)
    whole = {name for name in order if known.issuperset(graph.parents(name))}
    groups: list[tuple[str, ...]] = []
    for component in seen.c_components():
        broken = component - whole - do
        if not broken:
            parts = [component]
        else:
            below = seen.descendants(broken)
            rest = seen.subgraph(set(seen.variables) - below)
            parts = [part for part in rest.c_components() if part <= component - below]
        groups += [seen.in_order(part) for part in parts if not part & do]
    return groups
