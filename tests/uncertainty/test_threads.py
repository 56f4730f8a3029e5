"""A model that several threads ask at once, as a server does."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch

import causalplug as cp
from causalplug.model.replicates import refitted_models


def test_threads_get_the_answers_of_one_and_leave_the_model_as_it_was():
    random = np.random.default_rng(0)
    x = random.integers(0, 2, 200)
    rows = pd.DataFrame({"X": x, "Y": (random.random(200) < 0.3 + 0.4 * x).astype(int)})
    graph, coin = cp.CausalGraph.parse("X -> Y"), cp.Discrete(2)
    dcm = cp.DCM(graph, {"X": coin, "Y": coin})
    cp.fit(dcm, rows, steps=20, progress=False, replicates=5)

    def answer(kind: str) -> object:
        if kind == "sample":
            return tuple(dcm.sample(500, seed=1)["Y"])
        found = dcm.estimate("P(Y=1 | do(X=1))", 2000, interval=kind)
        return found.value, found.standard_error

    kinds = ["influence", "replicates", "sample"]
    alone = {kind: answer(kind) for kind in kinds}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(answer, kinds * 8))
    assert Counter(a == alone[k] for a, k in zip(found, kinds * 8, strict=True)) == {True: 24}
    assert {kind: answer(kind) for kind in kinds} == alone


class _Ramp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor([2.0]))

    def forward(self, x):
        return self.slope * x


def test_a_refitted_model_shares_what_is_frozen():
    number = cp.Continuous()
    ramp = cp.wrap(_Ramp(), number, conditions=[cp.Condition("X", number)], error=0.1)
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": number, "Y": number}, mechanisms={"Y": ramp})
    own = dcm.trained_tensors()
    refit = {name: value + 1 for name, value in own.items() if ".network.bias" in name}
    dcm.replicates = (refit,)
    (twin,) = refitted_models(dcm)
    assert twin.mechanism("Y") is dcm.mechanism("Y")
    assert twin.mechanism("X") is not dcm.mechanism("X")
    assert refit
    assert all(torch.equal(twin.trained_tensors()[name], refit[name]) for name in refit)
    assert all(torch.equal(dcm.trained_tensors()[name], own[name]) for name in own)
