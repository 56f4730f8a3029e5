"""A hidden cause of three variables is learned as one noise."""

import numpy as np
import pandas as pd
import pytest

import causalplug as cp
from tests.training.truth import joint, tvd

FLIP = 0.02


def test_three_copies_of_one_hidden_coin():
    """Two of the three noises of the edges cannot make three variables agree."""
    draw = np.random.default_rng(0)
    coin = draw.integers(0, 2, 4000)
    names = ["A", "B", "C"]
    rows = {name: np.where(draw.random(4000) < FLIP, 1 - coin, coin) for name in names}
    graph = cp.CausalGraph.parse("A <-> B; B <-> C; A <-> C")
    dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in names})
    cp.fit(dcm, cp.DataSource(pd.DataFrame(rows)), steps=300, progress=False)
    bit = np.array([[1 - FLIP, FLIP], [FLIP, 1 - FLIP]])
    true = 0.5 * np.einsum("ua,ub,uc->abc", bit, bit, bit)
    assert tvd(joint(dcm, keep=names), true) == pytest.approx(0, abs=0.03)
