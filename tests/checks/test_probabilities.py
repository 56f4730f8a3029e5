"""Probabilities taken from scipy.special, against the slower scipy.stats."""

import numpy as np
import pytest
from scipy import stats

from causalplug.checks.cell_support import _below
from causalplug.checks.independence import _shared
from causalplug.uncertainty.intervals import _quantile


def test_poisson_counts_below_a_limit():
    means = np.array([[0.0, 0.3], [4.0, 60.0]])
    for limits in (np.zeros((2, 2)), np.array([[0.5, 1.0], [2.0, 55.5]]), np.full((2, 2), 3.0)):
        expected = stats.poisson.cdf(np.ceil(limits) - 1, means)
        np.testing.assert_allclose(_below(means, limits), expected, rtol=1e-12)


@pytest.mark.parametrize(("statistic", "freedom"), [(0.0, 1), (3.84, 1), (15.0, 4), (900.0, 8)])
def test_two_chi_square_tests_share_the_level(statistic, freedom):
    alone = stats.chi2.sf(statistic, freedom)
    assert _shared((statistic, freedom), (0.0, 0)) == pytest.approx(alone)
    both = _shared((statistic, freedom), (0.0, 2))
    assert both == pytest.approx(min(1.0, alone / 0.9))


def test_quantiles_of_student_and_of_the_normal():
    assert _quantile(0.95, 4) == pytest.approx(stats.t.ppf(0.975, 4))
    assert _quantile(0.9, None) == pytest.approx(stats.norm.ppf(0.95))
