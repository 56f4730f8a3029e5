"""Whether a module with an image of its own is told right from wrong: exact mechanisms, and each
wrong in one way."""

import pytest

from causalplug.training.config import TrainingConfig
from tests.training.image_scm import CONFOUNDED, PARENT, WHAT, WRONG, verdict

TOLERANCE = TrainingConfig().tolerance


@pytest.mark.parametrize("edges", [PARENT, CONFOUNDED])
@pytest.mark.parametrize("what", WHAT)
def test_the_exact_mechanism_has_converged_and_wrong_ones_have_not(what, edges):
    for n in (3000, 10_000):
        right = verdict(what, edges, None, n)
        assert right.converged(TOLERANCE), right.describe()
    for wrong in WRONG:
        found = verdict(what, edges, wrong, 10_000)
        assert not found.converged(TOLERANCE), (wrong, found.describe())
