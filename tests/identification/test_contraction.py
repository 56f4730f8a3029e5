"""Sums of products over named axes."""

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import DataError
from causalplug.identification.contraction import contract


def test_axes_are_named():
    draw = np.random.default_rng(0)
    a, b, c = draw.random((2, 3)), draw.random((3, 4)), draw.random((4, 2))
    found = contract([(a, "ij"), (b, "jk"), (c, "ki")], "k")
    np.testing.assert_allclose(found, np.einsum("ij,jk,ki->k", a, b, c))


def test_as_many_variables_as_numpy_takes():
    steps = [np.random.default_rng(i).dirichlet([1, 1], 2) for i in range(52)]
    parts = [(step, (i, i + 1)) for i, step in enumerate(steps)]
    found = contract(parts[:51], (0, 51))
    np.testing.assert_allclose(found, np.linalg.multi_dot(steps[:51]))
    with pytest.raises(DataError, match="over 53 variables at once"):
        contract(parts, (0, 52))


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
