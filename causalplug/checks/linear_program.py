"""Linear programs over probabilities, by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog, nnls
from scipy.sparse import csr_matrix, eye, hstack

__all__ = ["Constraints", "Infeasible", "Optimum", "nearest", "optimum", "ratio"]

_FEW = 256  # unknowns
_EXACT = 1e-12  # distance from the right sides
_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Infeasible(Exception):
    """No distribution meets the equations."""


@dataclass(frozen=True, eq=False)
class Constraints:
    """Equations ``matrix @ q = values`` and inequalities ``upper @ q <= limits``, with q >= 0."""

    matrix: np.ndarray
    values: np.ndarray
    upper: np.ndarray | None = None
    limits: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Optimum:
    """The end of a linear program.

    Attributes:
        value: The extreme value.
        point: Where it is.
        prices: The dual solution: ``prices @ values`` bounds the objective for any right sides, and
            is the extreme value for those given.
    """

    value: float
    point: np.ndarray
    prices: np.ndarray


def optimum(objective: np.ndarray, given: Constraints, sign: int) -> Optimum:
    """The smallest (``sign`` 1) or largest (-1) value of a linear objective.

    Raises:
        Infeasible: If nothing meets the constraints.
    """
    if given.upper is None:
        upper = None
    else:
        upper = csr_matrix(given.upper)
    found = _solve(sign * objective, csr_matrix(given.matrix), given.values, upper, given.limits)
    return Optimum(sign * float(found.fun), found.x, sign * found.eqlin.marginals)


def ratio(
    above: tuple[float, np.ndarray], below: tuple[float, np.ndarray], given: Constraints, sign: int
) -> float:
    """The smallest or largest ratio of two affine functions, the lower one being positive.

    Each is a constant and its coefficients. The substitution z = q t, t = 1 / below makes it a
    linear program (Charnes & Cooper 1962).

    Raises:
        Infeasible: If nothing meets the constraints, or the lower function is always zero.
    """
    (constant, coefficients), (base, weights) = above, below
    homogeneous = np.column_stack([given.matrix, -given.values])
    matrix = np.vstack([homogeneous, np.append(weights, base)])
    values = np.append(np.zeros(len(given.values)), 1.0)
    objective = np.append(coefficients, constant)
    return optimum(objective, Constraints(matrix, values), sign).value


def nearest(given: Constraints, weights: np.ndarray) -> np.ndarray:
    """The values closest to ``given.values`` that some distribution has: weighted least absolute
    differences; an infinite weight keeps a value."""
    if _feasible(given):
        return given.values
    fixed = np.isinf(weights)
    rows, unknowns = given.matrix.shape
    cost = np.where(fixed, 0.0, weights / np.max(weights[~fixed], initial=1.0))
    objective = np.concatenate([np.zeros(unknowns), cost, cost])
    slack = eye(rows, format="csr")
    matrix = hstack([csr_matrix(given.matrix), slack, -slack], format="csr")
    most = np.where(fixed, 0.0, np.inf)
    limits = np.column_stack(
        [np.zeros(unknowns + 2 * rows), np.concatenate([np.full(unknowns, np.inf), most, most])]
    )
    found = _solve(objective, matrix, given.values, None, None, limits)
    return np.asarray(given.matrix @ found.x[:unknowns])


def _feasible(given: Constraints) -> bool:
    """Whether a small program is seen to have a solution, at a tenth of the cost of solving it."""
    if given.matrix.shape[1] > _FEW:
        return False
    try:
        _, apart = nnls(given.matrix, given.values)
    except RuntimeError:  # too many steps
        return False
    return bool(apart <= _EXACT)


def _solve(
    objective: np.ndarray,
    matrix: object,
    values: np.ndarray,
    upper: object,
    limits: object,
    box: object = None,
) -> Any:
    found = linprog(
        objective,
        A_ub=upper,
        b_ub=limits,
        A_eq=matrix,
        b_eq=values,
        bounds=(0, None) if box is None else box,
        method="highs",
        options=_OPTIONS,
    )
    if found.status != 0:
        raise Infeasible(found.message)
    return found
