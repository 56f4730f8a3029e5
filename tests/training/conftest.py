"""Children for the tests of faults and processes."""

import pytest

from tests.training.forks import Forks


@pytest.fixture(scope="session")
def forks():
    """One process that forks for all tests of a session."""
    served = Forks()
    yield served
    served.stop()
