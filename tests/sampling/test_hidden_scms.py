"""No wrong number without a word: models that are made from a seed, trained as a user would, and
asked what their data determine."""

from __future__ import annotations

import math
import os
import warnings

import numpy as np
import pytest

import causalplug as cp
from tests.sampling.hidden_scms import KINDS, Made, make

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"
CASES = [(kind, 0) for kind in ("clique", "counts", "rare")]
ALL = [(kind, seed) for seed in range(4) for kind in KINDS][:20]
DOUBTS = {"weak overlap", "not converged", "extrapolation", "unfit generator", "atoms"}


def _trained(made: Made, seed: int) -> cp.DCM:
    dcm = cp.DCM(made.graph, made.variables, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(dcm, made.sources(seed), seed=seed, progress=False)
    return dcm


def _rows_behind(made: Made, do: dict[str, float], seed: int) -> float:
    """Rows that have the value that is set, half the table's where it is a number without atoms."""
    rows, _ = made.experiments[-1]
    if not do:
        return float(rows)
    ((name, value),) = do.items()
    columns = made.sources(seed)[-1]
    column = np.concatenate([np.asarray(chunk[name], float) for chunk in columns.chunks()])
    equal = float((column == value).sum())
    return equal if equal else rows / 2


def _errors(made: Made, seed: int) -> list[tuple[str, float, float, set[str]]]:
    """Question, error and bound, and what was said: probabilities as they are, means of numbers
    in standard deviations of the outcome."""
    dcm = _trained(made, seed)
    found = []
    for do, outcome in made.questions:
        frame = dcm.sample(40_000, do=do, variables=[outcome], seed=seed)
        truth, scale = made.truth(do, outcome, seed)
        # Two samples of so many rows differ by this much, on average.
        floor = 2 / math.sqrt(math.pi * _rows_behind(made, do, seed))
        unit = scale if made.variables[outcome].is_number else 1.0
        error = abs(float(frame[outcome].mean()) - truth) / unit
        floor *= scale / unit
        said = {item["name"] for item in frame.attrs["warnings"]}
        found.append((f"{outcome} do {do}", error, max(0.03, 1.5 * floor), said))
    return found


@pytest.mark.parametrize(("kind", "seed"), ALL if EXHAUSTIVE else CASES)
def test_an_answer_is_right_or_warned_about(kind: str, seed: int) -> None:
    for question, error, bound, said in _errors(make(kind, seed), seed):
        assert error <= bound or said & DOUBTS, f"{question}: off by {error:.3f}, bound {bound:.3f}"


def test_a_value_that_nobody_could_have_is_warned_about_and_others_are_not() -> None:
    made = make("rare", 1)
    said = {question: names for question, _, _, names in _errors(made, 1)}
    assert "weak overlap" in said["Y do {'T': 1}"]
    assert not said["Y do {'T': 0}"]
