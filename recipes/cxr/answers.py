"""What the model says beside what the labels say, and the effect with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

import causalplug as cp
from recipes.common import tvd
from recipes.cxr.data import XRays

__all__ = ["PAPER", "effect", "observed"]

PAPER = (0.05, 0.08)  # the average treatment effect that the paper reports


def observed(dcm: cp.DCM, xrays: XRays, n: int) -> dict[str, Any]:
    """The model's P(C), P(N), P(N | C) and P(N, C) beside those of the labels."""
    frame = dcm.sample(n, variables=["C", "N"], seed=1)
    model = np.bincount(frame["C"] * 2 + frame["N"], minlength=4).reshape(2, 2) / n
    truth = xrays.probabilities
    tables = {
        "P(C)": (model.sum(1), truth.sum(1)),
        "P(N)": (model.sum(0), truth.sum(0)),
        "P(N | C=0)": (model[0] / model[0].sum(), truth[0] / truth[0].sum()),
        "P(N | C=1)": (model[1] / model[1].sum(), truth[1] / truth[1].sum()),
        "P(C, N)": (model.ravel(), truth.ravel()),
    }
    return {
        name: {"model": m.tolist(), "truth": t.tolist(), "tvd": tvd(m, t)}
        for name, (m, t) in tables.items()
    }


def effect(ensemble: cp.Ensemble, xrays: XRays, n: int) -> dict[str, Any]:
    """E[N | do(C=1)] - E[N | do(C=0)] of every member, with the interval for one further training.

    Beside it what the rows say without any model if the image gives C away: the terms that are then
    never observed, P(N | image, the other C), may be anything from 0 to 1.
    """
    answer = ensemble.ate("N", "C", n=n)
    row = answer.table.iloc[0]
    p_c, given = xrays.probabilities.sum(1), xrays.probabilities[:, 1] / xrays.probabilities.sum(1)
    known = given[1] * p_c[1] - given[0] * p_c[0]
    return {
        "estimate": float(row["estimate"]),
        "low": float(row["low"]),
        "high": float(row["high"]),
        "members": answer.members.iloc[0].tolist() if answer.members is not None else [],
        "rows as they stand": float(given[1] - given[0]),
        "without overlap": [float(known - p_c[1]), float(known + p_c[0])],
        "paper": list(PAPER),
        "status": answer.status,
    }
