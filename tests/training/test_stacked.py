"""Mechanisms without a confounder: trained side by side, or set to their counts."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import TrainingError
from causalplug.training.adam import Adam
from causalplug.training.counts import start_at_counts
from causalplug.training.progress import cycle_progress, gained, paired
from causalplug.training.stack import Member, Stack, StackRows

GRAPH = cp.CausalGraph.parse("A -> C; B -> C; C -> D; A -> D; K -> D")
KINDS = {"A": cp.Continuous(), "B": cp.Continuous(), "C": cp.Continuous(), "D": cp.Continuous()}


def table(n=500, seed=0):
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=n), draw.exponential(size=n)
    c = a - b + 0.3 * draw.normal(size=n)
    k = draw.integers(3, size=n)
    return {"A": a, "B": b, "C": c, "K": k, "D": c + a * k + 0.1 * draw.normal(size=n)}


@pytest.fixture
def members():
    dcm = cp.DCM(GRAPH, KINDS | {"K": cp.Discrete(3)}, hidden=(16, 8), seed=3)
    rows = cp.DataSource(table()).encode(dcm.variables).values
    found = []
    for name in "ABCD":
        mechanism = dcm.mechanism(name)
        mechanism.standardise_parents(rows)
        mechanism.standardise(rows[name])
        found.append(Member(name, mechanism, {k: rows[k] for k in (name, *mechanism.parents)}))
    return found


def test_a_stack_has_the_densities_of_its_members(members):
    stack, rows = Stack(members), StackRows(members)
    together = stack.log_prob(*rows.at(rows.first(len(rows))))
    for member, row in zip(members, together, strict=True):
        own = member.mechanism.log_prob(member.rows[member.name], member.rows)
        torch.testing.assert_close(row - member.mechanism.scale.log(), own, atol=1e-5, rtol=1e-5)


def test_gradients_of_a_stack_are_those_of_its_members(members):
    stack, rows = Stack(members), StackRows(members)
    stack.log_prob(*rows.at(rows.first(len(rows)))).mean(1).sum().backward()
    for place, member in enumerate(members):
        member.mechanism.log_prob(member.rows[member.name], member.rows).mean().backward()
        bias = member.mechanism.network.output_bias
        torch.testing.assert_close(
            stack.biases[-1].grad[place, 0, : len(bias)], bias.grad, atol=1e-5, rtol=1e-4
        )


def test_what_a_stack_learned_is_written_back(members):
    before = [p.clone() for m in members for p in m.mechanism.parameters()]
    stack, rows = Stack(members), StackRows(members)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.add_(0.01)
    stack.write_back()
    together = stack.log_prob(*rows.at(rows.first(9)))
    for member, row in zip(members[2:], together[2:], strict=True):
        few = {k: v[:9] for k, v in member.rows.items()}
        own = member.mechanism.log_prob(few[member.name], few) + member.mechanism.scale.log()
        torch.testing.assert_close(row, own, atol=1e-5, rtol=1e-5)
    after = [p for m in members for p in m.mechanism.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_discrete_mechanisms_start_at_their_counts():
    draw = np.random.default_rng(0)
    x, z = draw.integers(2, size=5000), draw.integers(3, size=5000)
    y = (draw.random(5000) < np.array([[0.01, 0.3, 0.5], [0.9, 0.5, 0.99]])[x, z]).astype(int)
    graph = cp.CausalGraph.parse("X -> Y; Z -> Y")
    dcm = cp.DCM(graph, {"X": cp.Discrete(2), "Z": cp.Discrete(3), "Y": cp.Discrete(2)})
    report = cp.fit(dcm, cp.DataSource({"X": x, "Y": y, "Z": z}), held_out=0, progress=False)
    assert [module.steps for module in report.modules] == [0, 0, 0]
    for a in range(2):
        for b in range(3):
            rows = y[(x == a) & (z == b)]
            parents = {"X": torch.tensor([a]), "Z": torch.tensor([b])}
            share = float(dcm.mechanism("Y").log_prob(torch.tensor([1]), parents).exp())
            assert share == pytest.approx(rows.mean(), abs=1 / len(rows))


def test_counts_are_left_alone_where_they_are_too_few():
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": cp.Discrete(50), "Y": cp.Discrete(2)})
    rows = {"X": torch.arange(100) % 50, "Y": torch.arange(100) % 2}
    assert not start_at_counts(dcm.mechanism("Y"), "Y", rows)


def test_training_ends_where_held_out_likelihood_stands_still():
    """An exponential and a line are learned in the first two cycles; a sine of high frequency is
    not, and goes on."""
    draw = np.random.default_rng(0)
    x = draw.uniform(-1, 1, size=3000)
    easy = 2 * x + draw.normal(size=3000)
    hard = np.sin(12 * x) + 0.1 * draw.normal(size=3000)
    dcm = cp.DCM(cp.CausalGraph.parse("X -> E; X -> H"), {v: cp.Continuous() for v in "XEH"})
    rows = cp.DataSource({"X": x, "E": easy, "H": hard})
    report = cp.fit(dcm, rows, progress=False)
    steps = {module.name: module.steps for module in report.modules}
    assert steps["E"] == 60 + 120 < steps["H"]


def test_a_loss_that_is_no_number_names_its_variable(monkeypatch):
    original = Stack.log_prob

    def broken(self, features, values):
        found = original(self, features, values)
        return torch.where(torch.tensor([[False], [True]]), torch.nan, found)

    monkeypatch.setattr(Stack, "log_prob", broken)
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {v: cp.Continuous() for v in "XY"})
    rows = cp.DataSource({v: np.random.default_rng(0).normal(size=100) for v in "XY"})
    with pytest.raises(TrainingError, match=r"Training of Y stopped at step 1: the loss is nan"):
        cp.fit(dcm, rows, progress=False)


def test_adam_makes_the_updates_of_torch():
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=draw)
    own, reference = (torch.nn.Parameter(start.clone()) for _ in range(2))
    one = Adam([own], lr=0.1, betas=(0.9, 0.99))
    other = torch.optim.Adam([reference], lr=0.1, betas=(0.9, 0.99), fused=True)
    for _ in range(5):
        gradient = torch.randn(5, 3, generator=draw)
        for parameter, optimizer in ((own, one), (reference, other)):
            parameter.grad = gradient.clone()
            optimizer.step()
    assert torch.equal(own, reference)
    assert one.state_dict()["state"].keys() == other.state_dict()["state"].keys()


_FIRST = """
import sys, numpy as np, causalplug as cp
draw = np.random.default_rng(0)
normal = {v: draw.normal(size=200) for v in "XY"}
binary = {v: draw.integers(2, size=200) for v in "XY"}
for graph in ("X -> Y", "X -> Y; X <-> Y"):
    for kind, rows in ((cp.Continuous(), normal), (cp.Discrete(2), binary)):
        dcm = cp.DCM(cp.CausalGraph.parse(graph), dict.fromkeys("XY", kind))
        cp.fit(dcm, rows, steps=2, progress=False)
slow = {"torch._dynamo", "sklearn.ensemble", "zuko", "sympy", "scipy.stats", "pandas"}
print(slow & set(sys.modules) or "nothing")
"""


def test_a_fit_of_arrays_imports_no_compiler_forest_algebra_or_frames():
    done = subprocess.run(
        [sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("nothing")


def test_paired_differences():
    one = torch.tensor([1.0, 2.0, 4.0])
    mean, error = paired(one, one - torch.tensor([0.5, 0.5, 0.5]))
    assert (mean, error) == (pytest.approx(0.5), pytest.approx(0.0))
    mean, error = paired(one, torch.zeros(3), torch.tensor([1, 1, 2]))
    assert mean == pytest.approx(11 / 4)
    assert error == pytest.approx(np.std([1, 2, 4, 4]) / 2)
    assert gained(0.1, 0.04)
    assert not gained(0.1, 0.06)
    assert not gained(0.001, 0.0)


def test_the_rate_falls_anew_in_every_cycle():
    assert [cycle_progress(s, (2, 4)) for s in range(1, 8)] == [0.5, 1, 0.25, 0.5, 0.75, 1, 1]


def test_a_large_batch_holds_all_rows_about_equally_often(members):
    """So that the last steps of a cycle, at the smallest rates, see the rows as they are."""
    rows = StackRows(members[:1])
    _, drawn = rows.drawn(4100, torch.Generator().manual_seed(0))
    values, times = drawn.flatten().unique(return_counts=True)
    assert len(values) == len(rows)
    assert 6 <= times.min() <= times.max() <= 11  # 8.2 on average; independent draws: 1 to 17
