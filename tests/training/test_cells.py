"""Probabilities of discrete rows: halves of the variables, and any number of them."""

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.training.factors import (
    Cells,
    ConfounderDraws,
    confounders_of,
    distinct,
    grouped,
    log_mean_exp,
)


def rows_of(names, n, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randint(2, (n,), generator=draw) for name in names}


@pytest.mark.parametrize(
    ("graph", "n"),
    [
        ("X -> Y; X <-> Y", 40),
        ("A -> B -> C -> D; A <-> B; B <-> C; C <-> D", 60),
        ("A; A <-> B; B <-> C", 8),
        ("X -> Y", 20),
        ("; ".join(f"V{i} <-> V{i + 1}" for i in range(24)), 30),  # more pairs than are computed
    ],
)
def test_the_mean_by_halves_is_the_mean_over_the_draws(graph, n):
    dcm = cp.DCM(
        cp.CausalGraph.parse(graph),
        dict.fromkeys(cp.CausalGraph.parse(graph).variables, cp.Discrete(2)),
    )
    names = list(dcm.graph.topological_order())
    cells = Cells(dcm, names, rows_of(names, n))
    noise = ConfounderDraws(confounders_of(dcm, names), 2, 64)(torch.Generator().manual_seed(0))
    expected = log_mean_exp(cells.log_prob(noise))
    found = cells.log_mean(noise)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients = []
    for value in (found, expected):
        dcm.zero_grad()
        value.sum().backward()
        gradients.append([p.grad.clone() for p in dcm.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_distinct_rows_of_more_columns_than_one_integer_holds():
    names = [f"V{i}" for i in range(90)]
    rows = {name: value.repeat(2) for name, value in rows_of(names, 50).items()}
    found, which, counts = distinct(rows, [2] * 90)
    assert counts.tolist() == [2] * 50
    for name in names:
        assert torch.equal(found[name][which], rows[name])


@pytest.mark.parametrize("sizes", [(2, 3, 4), (2**21, 2**21, 2**21)])
def test_equal_rows_are_found_by_counting_and_by_sorting_alike(sizes):
    draw = np.random.default_rng(0)
    columns = np.stack([draw.integers(min(size, 5), size=400) for size in (2, 3, 4)], 1)
    first, group, counts = grouped([torch.as_tensor(c) for c in columns.T], sizes)
    right = np.unique(columns, axis=0, return_index=True, return_inverse=True, return_counts=True)
    assert first.tolist() == right[1].tolist()
    assert group.tolist() == right[2].ravel().tolist()
    assert counts.tolist() == right[3].tolist()
