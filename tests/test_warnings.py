"""Warnings point at the user's line, however deep in the package they arise."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

import causalplug as cp


def test_a_warning_of_training_points_at_the_call_of_fit():
    dcm = cp.DCM(cp.CausalGraph.parse("A -> B"), {"A": cp.Discrete(2), "B": cp.Discrete(2)})
    values = np.random.default_rng(0).integers(0, 2, 300)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        cp.fit(dcm, {"A": values, "B": values}, steps=1, objective="adversarial", progress=False)
    kinds = {one.category for one in seen}
    assert cp.errors.ConvergenceWarning in kinds
    for one in seen:
        if issubclass(one.category, cp.errors.ConvergenceWarning):
            assert Path(one.filename) == Path(__file__)


def test_a_warning_points_at_the_line_outside_the_package():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        cp.errors.warn_caller("A word.", UserWarning)
    assert Path(seen[0].filename) == Path(__file__)
