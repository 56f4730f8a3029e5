"""The table mechanism: its probabilities, its states, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causalplug.dcm import DCM
from causalplug.errors import MechanismError
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.base import MECHANISMS
from causalplug.mechanisms.trainable.table import DiscreteTable
from causalplug.noise import Noise
from causalplug.variables import Discrete

N = 40_000
PARENTS = {"P": Discrete(2), "Q": Discrete(3)}


def _table(**options: object) -> tuple[np.ndarray, DiscreteTable]:
    """P(V | P, Q, two confounder states, three own states), four categories."""
    table = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 3, 2, 3))
    own = [0.2, 0.5, 0.3]
    return table, DiscreteTable(
        Discrete(4), PARENTS, table, confounders=[[0.3, 0.7]], own=own, **options
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("responses", ["shared", "independent"])
def test_samples_have_the_tables_probabilities(responses: str) -> None:
    table, mechanism = _table(responses=responses)
    noise = Noise(N, seed=3)
    own = {key: noise.draw(key, spec) for key, spec in mechanism.noise.items()}
    normal = noise.draw("u", mechanism.noise["state"].__class__((2,)))
    values = mechanism({"P": torch.full((N,), 1), "Q": torch.full((N,), 2)}, own, normal)
    state = mechanism.states(normal)[0]
    assert state.float().mean().item() == pytest.approx(0.7, abs=0.01)
    for u in range(2):
        truth = np.tensordot([0.2, 0.5, 0.3], table[1, 2, u], 1)
        chosen = values[state == u]
        found = torch.bincount(chosen, minlength=4).numpy() / len(chosen)
        assert np.all(np.abs(found - truth) <= 4 * np.sqrt(truth * (1 - truth) / len(chosen)))


def test_log_prob_sums_the_own_states_out_and_broadcasts() -> None:
    table, mechanism = _table()
    parents = {"P": torch.tensor([0, 1]), "Q": torch.tensor([2, 0])}
    draws = torch.tensor([[-3.0, 9.0], [3.0, 9.0], [0.0, 9.0]])[:, None]
    found = mechanism.log_prob(torch.tensor([3, 1]), parents, draws).exp()
    own = np.array([0.2, 0.5, 0.3])
    for row, u in enumerate([0, 1, 1]):  # 0.0 lies above the 30 % quantile
        assert found[row].tolist() == pytest.approx(
            [own @ table[0, 2, u, :, 3], own @ table[1, 0, u, :, 1]], rel=1e-5
        )
    hot = {"P": torch.eye(2)[[0, 1]], "Q": torch.eye(3)[[2, 0]]}
    assert torch.equal(mechanism.logits(hot, draws), mechanism.logits(parents, draws))


def test_both_ends_of_an_edge_read_the_same_state() -> None:
    graph = CausalGraph.parse("X <-> Y; Y <-> Z")
    one_hot = np.eye(2)
    mechanisms = {
        "X": DiscreteTable(Discrete(2), {}, one_hot, confounders=[[0.4, 0.6]]),
        "Y": DiscreteTable(
            Discrete(4), {}, np.eye(4).reshape(2, 2, 4), confounders=[[0.4, 0.6], [0.5, 0.5]]
        ),
        "Z": DiscreteTable(Discrete(2), {}, one_hot, confounders=[[0.5, 0.5]]),
    }
    dcm = DCM(graph, {"X": Discrete(2), "Y": Discrete(4), "Z": Discrete(2)}, mechanisms=mechanisms)
    frame = dcm.sample(1000)
    assert (frame["Y"] == 2 * frame["X"] + frame["Z"]).all()


def test_it_is_rebuilt_from_its_config_and_weights() -> None:
    _, mechanism = _table(responses="independent")
    again = MECHANISMS.resolve("discrete-table").from_config(mechanism.config())
    again.load_state_dict(mechanism.state_dict())
    parents, draws = {"P": torch.tensor([1]), "Q": torch.tensor([1])}, torch.zeros(1, 2)
    assert torch.equal(again.logits(parents, draws), mechanism.logits(parents, draws))
    assert again.noise == mechanism.noise


BAD = [
    ({"table": np.ones((2, 2, 3)) / 3}, "shape"),
    ({"table": np.ones((2, 3, 4)) / 3}, "sum to one"),
    ({"table": np.tile([1.5, -0.5, 0.0, 0.0], (2, 3, 1))}, "sum to one"),
    ({"confounders": [[0.5, 0.6]]}, "confounder"),
    ({"own": []}, "own states"),
    ({"responses": "none"}, "'shared' or 'independent'"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_wrong_tables_are_refused(options: dict, message: str) -> None:
    table = options.pop("table", np.ones((2, 3, 4)) / 4)
    with pytest.raises(MechanismError, match=message):
        DiscreteTable(Discrete(4), PARENTS, table, **options)


def test_confounder_noise_of_another_size_is_refused() -> None:
    _, mechanism = _table(confounder_size=3)
    with pytest.raises(MechanismError, match="1 confounders of 3 numbers"):
        mechanism.states(torch.zeros(5, 2))
