"""Sums of products over named axes."""

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import DataError
from causalplug.identification.contraction import contract
from causalplug.identification.tables import Table


def test_axes_are_named():
    draw = np.random.default_rng(0)
    a, b, c = draw.random((2, 3)), draw.random((3, 4)), draw.random((4, 2))
    found = contract([(a, "ij"), (b, "jk"), (c, "ki")], "k")
    np.testing.assert_allclose(found, np.einsum("ij,jk,ki->k", a, b, c))


def test_many_variables_are_summed_over_one_by_one():
    steps = [np.random.default_rng(i).dirichlet([1, 1], 2) for i in range(200)]
    parts = [(step, (i, i + 1)) for i, step in enumerate(steps)]
    found = contract(parts, (0, 200))
    np.testing.assert_allclose(found, np.linalg.multi_dot(steps))


def test_a_step_that_is_too_large_is_refused():
    star = [(np.ones((2, 2)), ("middle", i)) for i in range(30)]
    with pytest.raises(DataError, match="over 31 variables at once"):
        contract(star, tuple(range(30)))
    with pytest.raises(DataError, match="over 6 variables at once"):
        contract(star[:5], tuple(range(5)), most_cells=63)
    assert contract(star[:5], tuple(range(5)), most_cells=64).shape == (2,) * 5


def test_rows_that_need_no_recoding_keep_their_margins():
    table = Table.from_rows({"X": [0, 1, 1], "Y": [1, 0, 1]})
    assert table.recoded({"X": (0, 1)}) is table
    swapped = table.recoded({"X": (1, 0)})
    np.testing.assert_array_equal(swapped.margin(["X", "Y"]), [[1, 1], [0, 1]])


def test_models_of_more_variables_are_trained():
    """What cannot be tabulated says nothing of overlap, and stops nobody."""
    names = [f"X{i}" for i in range(60)]
    edges = [(a, b) for a, b in zip(names, names[1:])]  # noqa: B905, RUF007
    edges += [(names[0], name) for name in names[2:]]
    graph = cp.CausalGraph.from_edges(directed=edges)
    rows = {name: np.random.default_rng(i).integers(0, 2, 300) for i, name in enumerate(names)}
    dcm = cp.DCM(graph, dict.fromkeys(names, cp.Discrete(2)), seed=0)
    cp.fit(dcm, rows, steps=1, check_graph=False, tolerance=1.0, progress=False)
    assert dcm.sources
