"""What would not fit into memory is refused with the number of bytes, before they are asked for."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import causalplug as cp
from causalplug.errors import SamplingError

GIGABYTE = 1 << 30


@pytest.fixture
def six_gigabytes() -> Iterator[None]:
    """A limit of the process, as a container sets one."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (6 * GIGABYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def star(count: int) -> cp.DCM:
    names = [f"V{i}" for i in range(count)]
    graph = cp.CausalGraph.from_edges([(names[0], name) for name in names[1:]])
    return cp.DCM(graph, {name: cp.Discrete(2) for name in names})


def open_answer(dcm: cp.DCM) -> Any:
    return dcm.estimate(f"P({', '.join(dcm.graph.variables)})", n=100)


@pytest.mark.parametrize(
    "ask",
    [
        lambda dcm: dcm.sample(10**12),
        lambda dcm: dcm.abduct(10**12, evidence={"V0": 1}),
        lambda dcm: dcm.counterfactual(10**12, evidence={"V0": 1}, do={"V1": 0}),
        open_answer,
    ],
    ids=["sample", "abduct", "counterfactual", "estimate"],
)
def test_doors_name_the_bytes_that_they_would_take(ask: Callable[[cp.DCM], Any]) -> None:
    with pytest.raises(SamplingError, match=r"GB"):
        ask(star(40))


def test_the_limit_of_the_process_counts(six_gigabytes: None) -> None:
    """8 million cells of 23 variables take 8 GB, as measured."""
    with pytest.raises(SamplingError, match=r"8,438,939,648 bytes .* 6\.4 GB"):
        open_answer(star(23))
