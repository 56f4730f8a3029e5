"""Layers 1 and 2: what may be set and given, what runs, and that a row depends on the seed
alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causalplug.dcm import DCM
from causalplug.errors import (
    CycleError,
    DataError,
    QueryError,
    SamplingError,
    UnknownVariableError,
)
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.trainable.table import DiscreteTable
from causalplug.sampling.interventions import Policy
from causalplug.variables import Continuous, Discrete, Image
from tests.sampling.exact import as_dcm, random_model
from tests.sampling.toys import Coin, Greedy, Linear, Stamp
from tests.scm import random_scm

N = 20_000


def _front_door(**options: object) -> DCM:
    graph = CausalGraph.parse("D -> I -> A; D <-> A; D -> B")
    variables = {
        "D": Discrete(2),
        "I": Image(1, 4, 4, low=-8, high=8),
        "A": Discrete(3),
        "B": Discrete(["no", "yes"]),
    }
    return DCM(graph, variables, mechanisms={"I": Stamp("D", **options)}, seed=1)  # type: ignore[arg-type]


def _close(found: float, truth: float, n: int) -> bool:
    return abs(found - truth) <= 4 * np.sqrt(truth * (1 - truth) / n) + 1e-9


# -- the same rows whatever the batches


@pytest.mark.parametrize(
    "options", [{}, {"do": {"D": 1}}, {"given": {"B": "yes"}}, {"given": {"A": 1}, "do": {"D": 0}}]
)
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_rows_do_not_depend_on_the_batch_size(options: dict, batch_size: int) -> None:
    dcm = _front_door()
    n = 40 if batch_size == 1 else 150
    expected = dcm.sample(n, seed=3, **options)
    found = dcm.sample(n, seed=3, batch_size=batch_size, **options)
    for name in "DAB":
        assert found[name].tolist() == expected[name].tolist()
    assert np.array_equal(np.stack(found["I"].tolist()), np.stack(expected["I"].tolist()))
    assert found.attrs["acceptance_rate"] == expected.attrs["acceptance_rate"]


@pytest.mark.parametrize("given", [None, {"V2": 0}])
def test_a_row_does_not_depend_on_how_many_are_drawn(given: dict | None) -> None:
    _, dcm = random_model(3, 4)
    short, long = dcm.sample(100, given=given, seed=5), dcm.sample(3000, given=given, seed=5)
    assert short.equals(long.head(100))
    assert not short.equals(dcm.sample(100, given=given, seed=6))


def test_batches_add_up_to_the_sample() -> None:
    dcm = _front_door()
    whole = dcm.sample(500, given={"B": "yes"}, variables=["A", "B"], seed=2)
    parts = list(
        dcm.sample_batches(500, given={"B": "yes"}, variables=["A", "B"], seed=2, batch_size=64)
    )
    assert len(parts) > 1
    assert [row for part in parts for row in part["A"]] == whole["A"].tolist()
    assert [i for part in parts for i in part.index] == list(range(500))


# -- what runs


def test_an_image_is_rendered_for_the_kept_rows_only_and_once() -> None:
    dcm = _front_door()
    stamp = dcm.mechanism("I")
    dcm.sample(1000, do={"D": 1}, variables=["B", "D"])
    dcm.sample(1000, given={"B": "no"}, variables=["D"])
    assert stamp.rows == 0
    frame = dcm.sample(300, given={"B": "no"}, variables=["I"])
    assert frame.attrs["candidates"] > 300
    assert stamp.rows == 300
    stamp.rows = 0
    frame = dcm.sample(300, given={"A": 1}, variables=["I", "A"], batch_size=100)
    assert (frame["A"] == 1).all()
    assert (
        frame.attrs["candidates"] <= stamp.rows <= frame.attrs["candidates"] + 600
    )  # the condition itself reads it


def test_variables_that_are_set_do_not_run() -> None:
    linear = Linear({})
    dcm = DCM(
        CausalGraph.parse("X -> Y"),
        {"X": Continuous(), "Y": Continuous()},
        mechanisms={"X": linear},
    )
    dcm.sample(10, do={"X": 0.5}, variables=["Y"])
    assert linear.calls == 0
    assert dcm.sample(10, do={"X": 0.5})["X"].tolist() == [0.5] * 10


def test_modes_are_put_back_and_no_gradients_are_kept() -> None:
    dcm = _front_door()
    dcm.train()
    frozen = {name: module.training for name, module in dcm.named_modules()}
    dcm.sample(10)
    assert {name: module.training for name, module in dcm.named_modules()} == frozen
    assert all(p.grad is None for p in dcm.parameters())


# -- what may be set


def test_interventions_of_every_kind() -> None:
    graph = CausalGraph.parse("Z -> X -> Y; Z -> Y; X <-> Y")
    scm = random_scm(graph, cardinalities=3, seed=4)
    dcm = as_dcm(scm)
    rows = np.arange(N) % 3
    frame = dcm.sample(N, do={"X": rows})
    assert frame["X"].tolist() == rows.tolist()
    for x in range(3):
        truth = scm.joint(do={"X": x}, keep=["Y"])
        share = np.bincount(frame["Y"][frame["X"] == x], minlength=3) / (rows == x).sum()
        assert all(_close(share[y], truth[y], N // 3) for y in range(3))
    shares = np.array([0.2, 0.0, 0.8])
    mixture = sum(p * scm.joint(do={"X": x}, keep=["Z", "Y"]) for x, p in enumerate(shares))
    kinds = {
        "mapping": {0: 0.2, 2: 0.8},
        "torch": torch.distributions.Categorical(torch.tensor(shares)),
        "function": lambda u: np.where(u < 0.2, 0, 2),
        "random policy": Policy(lambda values, u: np.where(u < 0.2, 0, 2), random=True),
    }
    for label, kind in kinds.items():
        frame = dcm.sample(N, do={"X": kind}, variables=["Z", "X", "Y"], seed=7)
        assert _close((frame["X"] == 2).mean(), 0.8, N), label
        found = np.bincount(frame["Z"] * 3 + frame["Y"], minlength=9).reshape(3, 3) / N
        assert np.all(np.abs(found - mixture) <= 4 * np.sqrt(mixture * (1 - mixture) / N)), label


def test_a_policy_equals_its_truncated_factorization() -> None:
    """Z -> X -> Y, Z -> Y, X <-> Y: under X := 2 - Z, P(y) = sum_z P(z, y | do(X = 2 - z))."""
    scm = random_scm(CausalGraph.parse("Z -> X -> Y; Z -> Y; X <-> Y"), cardinalities=3, seed=9)
    dcm = as_dcm(scm)
    truth = sum(scm.joint(do={"X": 2 - z}, keep=["Z", "Y"])[z] for z in range(3))
    frame = dcm.sample(N, do={"X": Policy(lambda v: 2 - v["Z"], reads="Z")}, batch_size=997)
    assert (frame["X"] == 2 - frame["Z"]).all()
    found = np.bincount(frame["Y"], minlength=3) / N
    assert np.all(np.abs(found - truth) <= 4 * np.sqrt(truth * (1 - truth) / N))
    assert dcm.sample(N, do={"X": lambda Z: 2 - Z}, batch_size=997).equals(frame)


def test_a_policy_may_not_read_what_it_changes() -> None:
    _, dcm = random_model(0, 4)
    graph = CausalGraph.parse("X -> Y -> W")
    dcm = as_dcm(random_scm(graph, seed=0))
    with pytest.raises(CycleError, match="policy may not read"):
        dcm.sample(10, do={"X": Policy(lambda v: v["W"], reads="W")})
    with pytest.raises(UnknownVariableError, match="policy"):
        dcm.sample(10, do={"X": Policy(lambda v: v["Q"], reads="Q")})
    with pytest.raises(UnknownVariableError, match="'Q' is not"):
        dcm.sample(10, do={"W": lambda X, Q: X})
    with pytest.raises(DataError, match="one per row"):
        dcm.sample(10, do={"W": Policy(lambda v: v["X"][:3], reads="X")})


def test_continuous_interventions_and_intervals() -> None:
    graph = CausalGraph.parse("X -> Y")
    dcm = DCM(
        graph,
        {"X": Continuous(), "Y": Continuous()},
        mechanisms={"X": Linear({}), "Y": Linear({"X": 2.0})},
    )
    frame = dcm.sample(N, do={"X": torch.distributions.Normal(3.0, 0.5)})
    assert frame["X"].mean() == pytest.approx(3, abs=4 * 0.5 / np.sqrt(N))
    assert frame["Y"].std() == pytest.approx(np.sqrt(2), rel=0.03)
    frame = dcm.sample(N, do={"X": np.linspace(-1, 1, N)})
    assert frame["X"].to_numpy() == pytest.approx(np.linspace(-1, 1, N), abs=1e-6)
    frame = dcm.sample(5000, given={"X": (0.0, None), "Y": (None, 1.0)})
    assert (frame["X"] >= 0).all()
    assert (frame["Y"] <= 1).all()
    rate = frame.attrs["acceptance_rate"]
    x = np.random.default_rng(0).normal(size=(2, 400_000))
    truth = ((x[0] >= 0) & (2 * x[0] + x[1] <= 1)).mean()
    assert rate == pytest.approx(truth, rel=0.05)


def test_a_number_is_conditioned_on_by_its_density() -> None:
    """X ~ N(0,1), Y = X + N(0,1): X | Y=1 is N(1/2, 1/2)."""
    graph = CausalGraph.parse("X -> Y")
    dcm = DCM(
        graph,
        {"X": Continuous(), "Y": Continuous()},
        mechanisms={"X": Linear({}), "Y": Linear({"X": 1.0})},
    )
    frame = dcm.sample(4000, given={"Y": 1.0})
    assert (frame["Y"] == 1).all()
    assert frame["X"].mean() == pytest.approx(0.5, abs=0.05)
    assert frame["X"].var() == pytest.approx(0.5, abs=0.05)
    assert 1000 < frame.attrs["effective_pool"] < frame.attrs["pool"]
    assert frame.attrs["pool_bias"] == 1 / frame.attrs["effective_pool"]
    again = dcm.sample(100, given={"Y": 1.0}, batch_size=130)
    assert again.equals(frame.head(100))


def test_conditions_and_interventions_row_by_row() -> None:
    scm = random_scm(CausalGraph.parse("Z -> X -> Y; X <-> Y"), cardinalities=2, seed=2)
    dcm = as_dcm(scm)
    x, y = np.arange(N) % 2, np.arange(N) // 2 % 2
    frame = dcm.sample(N, do={"X": x}, given={"Y": y}, seed=1)
    assert frame["X"].tolist() == x.tolist()
    assert frame["Y"].tolist() == y.tolist()
    for a in range(2):
        for b in range(2):
            chosen = frame["Z"][(x == a) & (y == b)]
            truth = scm.probability(f"P(Z | do(X={a}), Y={b})")[1]
            assert _close(chosen.mean(), truth, len(chosen))
    assert dcm.sample(500, do={"X": x[:500]}, given={"Y": y[:500]}, seed=1, batch_size=33).equals(
        frame.head(500)
    )


# -- tables


def test_tables_hold_names_numbers_and_images() -> None:
    dcm = _front_door()
    frame = dcm.sample(12, seed=0)
    assert list(frame.columns) == ["D", "I", "A", "B"]
    assert set(frame["B"]) <= {"no", "yes"}
    assert frame["I"][0].shape == (1, 4, 4)
    assert frame["I"][0].dtype == torch.float32
    assert (
        frame["I"][0].untyped_storage().nbytes() == 16 * 4
    )  # its own memory, not that of the batch
    arrays = dcm.sample(12, seed=0, images="array")
    assert arrays.equals(dcm.sample(12, seed=0, images="array"))
    assert arrays["I"][0].dtype == np.float32
    assert np.array_equal(np.stack(list(frame["I"])), np.stack(list(arrays["I"])))
    assert {
        "query",
        "identification",
        "reason",
        "acceptance_rate",
        "seconds",
        "seed",
    } <= frame.attrs.keys()
    assert frame.attrs["identification"] == "not checked"
    assert dcm.sample(3, variables=["I"], images="pil")["I"][0].size == (4, 4)


@pytest.mark.parametrize("images", ["tensor", "array", "pil"])
def test_images_that_come_out_go_in_row_by_row(images: str) -> None:
    """A column of images is one image per row, whatever holds it; one image is the same for
    every row."""
    variables = {"D": Discrete(2), "I": Image(1, 4, 4)}
    dcm = DCM(CausalGraph.parse("D -> I"), variables, seed=1)
    column = dcm.sample(12, seed=0, images=images)["I"]
    stacked = variables["I"].scale(variables["I"].encode(list(column)))
    for held in (column, column.to_numpy(), list(column), stacked):
        again = dcm.sample(12, do={"I": held}, variables=["I"])["I"]
        assert torch.equal(torch.stack(list(again)), stacked)
    same = dcm.sample(3, do={"I": column[5]}, variables=["I"])["I"]
    assert all(torch.equal(image, stacked[5]) for image in same)
    with pytest.raises(DataError, match="12 values for 5 rows"):
        dcm.sample(5, do={"I": column})


# -- bad input

BAD = [
    ({"n": 0}, SamplingError, "at least 1"),
    ({"n": 2.5}, SamplingError, "whole number"),
    ({"n": True}, SamplingError, "whole number"),
    ({"do": {"Q": 1}}, UnknownVariableError, "'Q'"),
    ({"given": {"b": "yes"}}, UnknownVariableError, 'did you mean "B"'),
    ({"variables": ["Q"]}, UnknownVariableError, "'Q'"),
    ({"variables": []}, SamplingError, "empty"),
    ({"do": {"B": "yes"}, "given": {"B": "yes"}}, QueryError, "same world"),
    ({"do": {"D": 2}}, DataError, "outside its categories"),
    ({"do": {"B": "yess"}}, DataError, "Did you mean 'yes'"),
    ({"given": {"B": "maybe"}}, DataError, "outside its categories"),
    ({"given": {"B": []}}, QueryError, "no value"),
    ({"do": {"D": [0, 1, 1]}}, DataError, "3 values for 10 rows"),
    ({"given": {"D": np.zeros(4, int)}}, DataError, "4 values"),
    ({"do": {"D": {0: 0.5, 1: 0.6}}}, QueryError, "sum to one"),
    ({"do": {"D": torch.distributions.Poisson(2.0)}}, QueryError, "finitely many"),
    ({"do": {"I": {0: 1.0}}}, QueryError, "images"),
    ({"do": {"I": np.zeros((1, 5, 5), np.float32)}}, DataError, "shape"),
    ({"do": [("D", 1)]}, QueryError, "a mapping from names"),
    ({"given": [("D", 1)]}, QueryError, "a mapping from names"),
    ({"images": "gif"}, SamplingError, "'pil'"),
    ({"batch_size": 0}, SamplingError, "batch_size=0"),
    ({"min_acceptance": 0}, SamplingError, "share"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_input_is_refused_before_any_work(
    arguments: dict, error: type[Exception], message: str
) -> None:
    dcm = _front_door()
    arguments = {"n": 10, **arguments}
    with pytest.raises(error, match=message):
        dcm.sample(**arguments)
    assert dcm.mechanism("I").calls == 0


def test_intervals_that_nothing_meets_are_refused() -> None:
    dcm = DCM(CausalGraph.parse("X"), {"X": Continuous(low=0, high=1)})
    for interval, message in [((2, 3), "no value"), ((1, 0), "no value"), ((0, 1, 2), "interval")]:
        with pytest.raises(QueryError, match=message):
            dcm.sample(5, given={"X": interval})
    with pytest.raises(QueryError, match="inverse distribution"):
        dcm.sample(5, do={"X": torch.distributions.Beta(2.0, 2.0)})


def test_a_condition_that_is_too_rare_ends_in_an_error_with_the_rate() -> None:
    graph = CausalGraph.parse("X")
    rare = DCM(graph, {"X": Discrete(2)}, mechanisms={"X": Coin(1e-3)})
    with pytest.raises(
        SamplingError, match=r"too rare: \d of 2,000 candidate rows agree.*min_acceptance"
    ):
        rare.sample(100, given={"X": 1}, min_acceptance=0.01)
    assert (rare.sample(20, given={"X": 1})["X"] == 1).all()
    never = DCM(graph, {"X": Discrete(2)}, mechanisms={"X": Coin(0.0)})
    with pytest.raises(SamplingError, match="0 of 20,000"):
        never.sample(1, given={"X": 1}, min_acceptance=0.001)
    with pytest.raises(SamplingError, match="for 3 of 3 rows"):
        never.sample(3, given={"X": np.ones(3, int)}, min_acceptance=0.01)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_a_batch_that_does_not_fit_is_halved_and_said_once(error: type[Exception]) -> None:
    graph = CausalGraph.parse("X -> Y")
    table = DiscreteTable(Discrete(2), {"X": Discrete(2)}, [[0.5, 0.5], [0.1, 0.9]])
    variables = {"X": Discrete(2), "Y": Discrete(2)}
    dcm = DCM(graph, variables, mechanisms={"X": Greedy(100, error), "Y": table})
    roomy = DCM(graph, variables, mechanisms={"X": Greedy(10**9), "Y": table})
    for options in ({}, {"given": {"Y": 1}}, {"given": {"Y": np.ones(1000, int)}}):
        with pytest.warns(RuntimeWarning, match="does not fit into memory") as said:
            found = dcm.sample(1000, **options)
        assert len(said) == 1
        assert found.equals(roomy.sample(1000, **options))
    with pytest.warns(RuntimeWarning, match="does not fit"):
        answer = dcm.estimate("P(X | Y=1)", n=2000)
    assert answer.table.equals(roomy.estimate("P(X | Y=1)", n=2000).table)
    hopeless = DCM(graph, variables, mechanisms={"X": Greedy(0, error), "Y": table})
    with pytest.warns(RuntimeWarning), pytest.raises(SamplingError, match="one row alone"):
        hopeless.sample(40)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    class Broken(Greedy):
        def forward(self, *_: object) -> torch.Tensor:
            raise RuntimeError("shapes do not match")

    dcm = DCM(CausalGraph.parse("X"), {"X": Discrete(2)}, mechanisms={"X": Broken(1)})
    with pytest.raises(RuntimeError, match="shapes do not match"):
        dcm.sample(10)


def test_seeds_and_counts_that_cannot_be_are_refused_before_any_work() -> None:
    dcm = DCM(CausalGraph.parse("Z -> X"), {"Z": Discrete(2), "X": Discrete(2)})
    for seed in (None, 1.5, "a"):
        with pytest.raises(SamplingError, match=r"seed=.*whole number"):
            dcm.sample(3, seed=seed)  # type: ignore[arg-type]
        with pytest.raises(SamplingError, match=r"seed=.*whole number"):
            DCM(dcm.graph, dcm.variables, seed=seed)  # type: ignore[arg-type]
    assert dcm.sample(3, seed=np.int32(2)).equals(dcm.sample(3, seed=2))
    with pytest.raises(SamplingError, match=r"16,000.0 GB, and this computer has .*sample_batches"):
        dcm.sample(10**12)
    assert len(next(iter(dcm.sample_batches(10**12, batch_size=3)))) == 3


def test_a_misspelt_variable_is_no_uniform_number() -> None:
    """A function of one parameter that is no variable takes uniform numbers; not if it nearly
    names a variable."""
    dcm = DCM(CausalGraph.parse("Zone -> X"), {"Zone": Discrete(2), "X": Continuous()})
    for policy in (lambda zone: zone, lambda Zon: Zon):
        with pytest.raises(UnknownVariableError, match='did you mean "Zone"'):
            dcm.sample(3, do={"X": policy})
    assert dcm.sample(3, do={"X": lambda u: u})["X"].between(0, 1).all()


def test_a_list_means_any_of_its_categories_and_a_column_one_per_row() -> None:
    dcm = DCM(
        CausalGraph.parse("X; Y"), {"X": Discrete(["a", "b", "c"]), "Y": Continuous()}, seed=1
    )
    wanted = np.array(["a", "b", "a", "c"])
    assert dcm.sample(4, given={"X": wanted})["X"].tolist() == wanted.tolist()
    assert set(dcm.sample(50, given={"X": ["a", "b"]})["X"]) == {"a", "b"}
    with pytest.raises(QueryError, match="one is there twice"):
        dcm.sample(4, given={"X": wanted.tolist()})
    assert dcm.sample(3, given={"Y": [0.5, 1.0, 0.25]})["Y"].tolist() == [0.5, 1.0, 0.25]
