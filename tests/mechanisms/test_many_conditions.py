"""Many binary labels: memory and time of binding and of one training step grow with their number,
not with the number of their combinations."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import causalplug as cp
from tests.counting import calls

pytestmark = pytest.mark.filterwarnings("ignore")  # a few steps do not converge


class Painter(nn.Module):
    """Pixels from many labels and a latent."""

    def __init__(self, count: int):
        super().__init__()
        self.read = nn.Linear(count + 2, 16)

    def forward(self, latent: Tensor, *labels: Tensor) -> Tensor:
        """Images ``(n, 1, 4, 4)`` in [0, 1]."""
        given = torch.stack([label.float() for label in labels], 1)
        return torch.sigmoid(self.read(torch.cat([latent, given], 1))).view(-1, 1, 4, 4)


def model(count: int) -> cp.DCM:
    """x01, …, x40 -> I -> A, with a hidden cause of x01 and A."""
    names = [f"x{place:02}" for place in range(count)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Painter(count)
    conditions = [cp.Condition(name, cp.Discrete([0, 1])) for name in names]
    painter = cp.wrap(network, cp.Image(1, 4, 4), conditions=conditions, latent=2)
    graph = cp.CausalGraph.from_edges(
        directed=[*((name, "I") for name in names), ("I", "A")], bidirected=[(names[0], "A")]
    )
    variables: dict[str, cp.Variable] = dict.fromkeys(names, cp.Discrete([1, 0]))
    variables |= {"I": cp.Image(1, 4, 4), "A": cp.Discrete(2)}
    return cp.DCM(graph, variables, mechanisms={"I": painter})


def trained(count: int, objective: str) -> int:
    """Calls of 3 steps of the module {x01, A}, through an image of ``count`` labels."""
    dcm = model(count)
    bound = dcm.mechanism("I")
    assert sum(reading.table.numel() for reading in bound.readings) == 2 * count
    rng = np.random.default_rng(0)
    rows = {name: rng.integers(2, size=60) for name in dcm.graph.variables if name != "I"}
    rows["I"] = rng.random((60, 1, 4, 4)).astype(np.float32)
    return calls(
        lambda: cp.fit(
            dcm,
            cp.DataSource(rows),
            objective={"x00+A": objective},
            steps=3,
            encoder_steps=2,
            check_fit=False,
            check_graph=False,
            progress=False,
        )
    )


EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"


@pytest.mark.parametrize("objective", ["adversarial", *(["likelihood"] if EXHAUSTIVE else [])])
def test_forty_labels_cost_about_as_much_as_forty_labels_should(objective: str) -> None:
    trained(3, objective)  # what the first fit imports
    few, many = trained(12, objective), trained(40, objective)
    assert many < 6 * few  # 2 ** 28 times as many combinations
