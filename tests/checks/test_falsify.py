"""Graphs beside graphs with permuted variables."""

from __future__ import annotations

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import DataError
from tests.scm import random_scm

GRAPH = cp.CausalGraph.parse("A -> C; B -> C; C -> D -> E; B -> F")


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    return random_scm(GRAPH, 2, seed=4, floor=0.1).sample(4000, seed=1)


def test_the_true_graph_fits_better_than_permuted_ones(rows: dict[str, np.ndarray]) -> None:
    found = cp.falsify(GRAPH, rows, permutations=60)
    assert found
    assert found.falsifiable
    assert found.violations <= 2
    assert found.p_value <= 0.05
    assert len(found.permuted) == 60
    assert "better than chance" in str(found)
    assert found.to_dict()["falsified"] is False


def test_a_permuted_graph_is_falsified(rows: dict[str, np.ndarray]) -> None:
    wrong = cp.CausalGraph.parse("D -> A; F -> A; A -> B -> C; F -> E")
    found = cp.falsify(wrong, rows, permutations=60)
    assert not found
    assert found.falsified
    assert found.p_value > 0.05
    assert "no better than chance" in str(found)


def test_small_and_complete_graphs_say_that_they_cannot_be_compared() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 500)
    y = (rng.random(500) < 0.2 + 0.6 * x).astype(int)
    z = (rng.random(500) < 0.2 + 0.6 * y).astype(int)
    rows = {"X": x, "Y": y, "Z": z}
    chain = cp.falsify(cp.CausalGraph.parse("X -> Y -> Z"), rows)
    assert len(chain.permuted) == 5
    assert chain.equivalent == pytest.approx(1 / 5)
    assert not chain.falsifiable
    assert "says little" in str(chain)
    complete = cp.falsify(cp.CausalGraph.parse("X -> Y -> Z; X -> Z"), rows)
    assert complete
    assert "implies no independence" in str(complete)


def test_one_table_of_observations_is_needed(rows: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match="several tables"):
        cp.falsify(GRAPH, [rows, rows])
    with pytest.raises(DataError, match="experiment"):
        cp.falsify(GRAPH, cp.DataSource(rows, do=["A"]))
