"""Numbers in other units: what a mechanism learns does not depend on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import DataError
from causalplug.mechanisms.trainable.marginal import Marginal
from causalplug.mechanisms.trainable.vector import VectorFlow
from causalplug.variables.continuous import Continuous

DRAW = np.random.default_rng(0)
ROWS = torch.as_tensor(DRAW.standard_t(2, 3000), dtype=torch.float32)
UNITS = [1e-18, 1e-9, 1.0, 1e15]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("knots", [0, 32])
def test_scores_do_not_depend_on_the_unit(unit: float, knots: int) -> None:
    plain, other = Marginal(knots), Marginal(knots)
    plain.fit(ROWS)
    other.fit(ROWS * unit)
    torch.testing.assert_close(other(ROWS * unit)[0], plain(ROWS)[0], atol=1e-4, rtol=1e-3)
    units = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(
        other.inverse(units) / unit, plain.inverse(units), atol=1e-4, rtol=1e-3
    )


@pytest.mark.parametrize("unit", UNITS)
def test_the_density_of_vectors_does_not_depend_on_the_unit(unit: float) -> None:
    rows = torch.stack([ROWS[:1500], ROWS[1500:]], 1)
    torch.manual_seed(0)
    plain = VectorFlow(cp.Vector(2), {})
    torch.manual_seed(0)
    other = VectorFlow(cp.Vector(2), {})
    plain.standardise(rows)
    other.standardise(rows * unit)
    with torch.no_grad():
        here = plain.log_prob(rows[:50], {})
        there = other.log_prob(rows[:50] * unit, {})
    expected = here - 2 * np.log(unit)
    torch.testing.assert_close(there, expected.float(), atol=2e-3, rtol=1e-4)


def test_vectors_that_float32_would_blur_are_refused() -> None:
    numbers = 1e9 + DRAW.normal(size=(100, 2))
    with pytest.raises(DataError, match="would blur"):
        cp.Vector(2).encode(numbers)
    kept = cp.Vector(2).encode(np.column_stack([DRAW.normal(size=100), np.full(100, 0.1)]))
    assert kept.shape == (100, 2)
    assert cp.Vector(2).encode(1e9 * DRAW.normal(size=(100, 2))).shape == (100, 2)


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_numbers_without_a_variance_are_refused(unit: float) -> None:
    rows = cp.DataSource({"X": DRAW.uniform(1, 2, 100) * unit})
    with pytest.raises(DataError, match="too large or too small to have a variance"):
        rows.encode({"X": Continuous()})
    assert cp.DataSource({"X": np.full(100, unit)}).encode({"X": Continuous()})
