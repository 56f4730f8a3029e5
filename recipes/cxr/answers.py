"""What the model says beside what the labels say, and the effect with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

import causalplug as cp
from recipes.common import tvd
from recipes.cxr.data import XRays

__all__ = ["PAPER", "bounds", "effect", "label_map", "observed"]

PAPER = (0.05, 0.08)  # the average treatment effect that the paper reports


def label_map(xrays: XRays, *, row: bool = False) -> dict[int, Any]:
    """P(finding | C): of C=1 always COVID, of C=0 normal or pneumonia.

    Args:
        xrays: Have the frequencies of the labels.
        row: Take the label of C=0 from the row's own N, as the paper does in training: the model's
            C is not the row's, so that its share of pneumonia is P(N=1), whatever C.
    """
    pneumonia = xrays.probabilities[0, 1] / xrays.probabilities[0].sum()
    if row:
        pneumonia = xrays.probabilities[:, 1].sum()
    return {0: {"normal": 1 - pneumonia, "pneumonia": pneumonia}, 1: "COVID"}


def bounds(xrays: XRays) -> list[float]:
    """The smallest and the largest effect that P(C, N) and the graph without the image allow."""
    bow = cp.CausalGraph.parse("C -> N; C <-> N")
    answer = cp.bounds(bow, "E[N | do(C=1)] - E[N | do(C=0)]", xrays.probabilities)
    return [answer.low, answer.high]


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

    Beside it the bounds that hold if the image gives C away: what is then never observed, P(N |
    image, the other C), may be anything from 0 to 1.
    """
    answer = ensemble.ate("N", "C", n=n)
    row = answer.table.iloc[0]
    given = xrays.probabilities[:, 1] / xrays.probabilities.sum(1)
    return {
        "estimate": float(row["estimate"]),
        "low": float(row["low"]),
        "high": float(row["high"]),
        "members": answer.members.iloc[0].tolist() if answer.members is not None else [],
        "conditioning only": float(given[1] - given[0]),
        "bounds": bounds(xrays),
        "paper": list(PAPER),
        "status": answer.status,
    }
