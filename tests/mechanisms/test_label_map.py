"""Label maps: constructions, noise, relaxed parents, refusals, JSON, estimation."""

import itertools
import json

import numpy as np
import pytest
import torch

from causalplug.errors import LabelMapError
from causalplug.mechanisms.frozen.label_estimation import mixture_proportions
from causalplug.mechanisms.frozen.label_map import Label, LabelMap
from causalplug.noise import Noise
from causalplug.variables import Continuous, Discrete

FINDING = Label("finding", ["COVID", "normal", "pneumonia"])
PARENTS = {"C": Discrete(["no", "yes"]), "S": Discrete(3)}
LABELS = [Label("a", 2), Label("b", ["x", "y", "z"])]


def stochastic(seed: int = 0) -> LabelMap:
    table = torch.rand(6, 6, generator=torch.Generator().manual_seed(seed)).double()
    table[2, :4] = 0
    return LabelMap(PARENTS, LABELS, table / table.sum(1, keepdim=True))


def test_a_table_names_values_and_labels() -> None:
    shown = LabelMap.from_table(
        {"yes": "COVID", "no": {"normal": 0.25, "pneumonia": 0.75}}, {"C": PARENTS["C"]}, [FINDING]
    )
    assert shown.probabilities.tolist() == [[0, 0.25, 0.75], [1, 0, 0]]
    assert shown.used.tolist() == [0, 1, 2]


def test_a_function_is_tabulated_over_every_combination() -> None:
    made = LabelMap.from_function(lambda c, s: (int(c == "yes"), "xyz"[s]), PARENTS, LABELS)
    assert not made.stochastic
    assert made.noise == {}
    codes = torch.tensor(list(itertools.product(range(2), range(3))))
    labels = made.split(made.draw({"C": codes[:, 0], "S": codes[:, 1]}))
    assert labels.tolist() == codes.tolist()
    assert made.join(labels).tolist() == list(range(6))


def test_draws_follow_the_probabilities() -> None:
    made, n = stochastic(), 60_000
    noise = Noise(n, 3).draw("label", made.noise["label"])
    for row, (c, s) in enumerate(itertools.product(range(2), range(3))):
        parents = {"C": torch.full((n,), c), "S": torch.full((n,), s)}
        drawn = made.draw(parents, noise)
        assert torch.equal(drawn, made.draw(parents, noise))
        shares = torch.bincount(drawn, minlength=6) / n
        # six categories: 5 standard deviations of the largest binomial share
        assert float((shares - made.probabilities[row]).abs().max()) < 5 * (0.25 / n) ** 0.5
        assert bool((shares[made.probabilities[row] == 0] == 0).all())


def test_relaxed_parents_give_the_table_s_mixture_and_its_gradient() -> None:
    made = stochastic()
    c = torch.tensor([[0.3, 0.7]], requires_grad=True)
    s = torch.tensor([[0.2, 0.5, 0.3]], requires_grad=True)
    found = made.probabilities_given({"C": c, "S": s})
    table = made.probabilities.view(2, 3, 6)
    assert torch.allclose(found, torch.einsum("nc,ns,csl->nl", c, s, table))
    found[0, 4].backward()
    assert torch.allclose(c.grad, torch.einsum("ns,cs->nc", s, table[:, :, 4]))


def test_relaxed_labels_have_the_value_of_the_draw() -> None:
    made = stochastic()
    codes = {"C": torch.tensor([0, 1, 1]), "S": torch.tensor([2, 0, 1])}
    hot = {
        name: torch.nn.functional.one_hot(v, PARENTS[name].size).float().requires_grad_()
        for name, v in codes.items()
    }
    gumbel = Noise(3, 0).draw("label", made.noise["label"])
    relaxed = made.relaxed(hot, gumbel)
    assert torch.equal(relaxed.argmax(-1), made.draw(codes, gumbel))
    (relaxed * torch.randn(3, 6, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert all(float(v.grad.abs().max()) > 0 for v in hot.values())


def test_counting_rows() -> None:
    frame = {
        "C": np.array(["no", "no", "no", "yes"]),
        "y": np.array(["normal", "pneumonia", "normal", "COVID"]),
    }
    made = LabelMap.from_rows(frame, parents={"C": PARENTS["C"]}, labels=[FINDING], label="y")
    assert torch.allclose(made.probabilities, torch.tensor([[0, 2 / 3, 1 / 3], [1, 0, 0]]))
    smooth = LabelMap.from_rows(
        frame, parents={"C": PARENTS["C"]}, labels=[FINDING], label="y", smoothing=1.0
    )
    assert torch.allclose(smooth.probabilities[1], torch.tensor([0.5, 0.25, 0.25]))


def test_a_label_that_depends_on_a_further_column_is_counted_given_the_parents() -> None:
    """Two of three rows with C=0 have no pneumonia: so have two of three images."""
    frame = {"C": np.array([0, 0, 0, 1]), "N": np.array([0, 1, 0, 1])}
    frame["finding"] = np.where(frame["C"], "COVID", np.array(["normal", "pneumonia"])[frame["N"]])
    made = LabelMap.from_rows(frame, parents={"C": Discrete(2)}, labels=[FINDING], label="finding")
    assert torch.allclose(made.probabilities, torch.tensor([[0, 2 / 3, 1 / 3], [1, 0, 0]]))


def test_a_function_of_the_parents_is_counted_too() -> None:
    frame = {"C": np.array([0, 1, 1])}
    made = LabelMap.from_rows(
        frame,
        parents={"C": Discrete(2)},
        labels=[FINDING],
        label=lambda c: ("normal", "COVID")[c],
    )
    assert made.probabilities.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_json_round_trip_is_exact() -> None:
    made = stochastic(4)
    again = LabelMap.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    assert again != stochastic(5)


def test_a_map_that_was_saved_with_a_map_of_rows_loads() -> None:
    """Version 0.1 wrote a second map, of rows, which nothing ever read."""
    made = stochastic(4)
    assert LabelMap.from_dict(made.to_dict() | {"row_map": stochastic(5).to_dict()}) == made


def test_identity_takes_equal_names_and_a_single_renamed_pair() -> None:
    parents = {"a": Discrete(2), "b": Discrete(["x", "y", "z"])}
    assert torch.equal(LabelMap.identity(parents, LABELS).probabilities, torch.eye(6))
    assert torch.equal(
        LabelMap.identity({"D": Discrete(2)}, [Label("digit", 2)]).probabilities, torch.eye(2)
    )


@pytest.mark.parametrize(
    ("parents", "labels", "match"),
    [
        ({"b": Discrete(["x", "y", "z"]), "a": Discrete(2)}, LABELS, "another order"),
        ({"a": Discrete(2)}, LABELS, "1 against 2"),
        ({"a": Discrete(3), "b": Discrete(3)}, LABELS, "3 values, the label 2"),
        ({"D": Discrete(["no", "yes"])}, [Label("x", ["yes", "maybe"])], "are not the label's"),
        ({"D": Continuous()}, [Label("x", 2)], "discrete"),
    ],
)
def test_identity_refuses_and_shows_the_map_that_mends_it(
    parents: dict, labels: list, match: str
) -> None:
    with pytest.raises(LabelMapError, match=match):
        LabelMap.identity(parents, labels)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"yes": "COVID"}, "no label for no"),
        ({"yes": "COVD", "no": "normal"}, "Did you mean 'COVID'"),
        ({"yes": "COVID", "no": {"normal": 0.5, "pneumonia": 0.4}}, "sum to 0.9"),
        ({"yes": "COVID", "no": {"normal": 1.5, "pneumonia": -0.5}}, "smallest -0.5"),
        ({"yes": "COVID", "no": "normal", "nope": "normal"}, "'nope'"),
        ({"yes": ("COVID", "normal"), "no": "normal"}, "COVID"),
    ],
)
def test_wrong_tables_are_refused(table: dict, match: str) -> None:
    with pytest.raises(LabelMapError, match=match):
        LabelMap.from_table(table, {"C": PARENTS["C"]}, [FINDING])


def test_an_empty_combination_cannot_be_counted() -> None:
    frame = {"C": np.array(["no"]), "y": np.array(["normal"])}
    with pytest.raises(LabelMapError, match="C='yes'"):
        LabelMap.from_rows(frame, parents={"C": PARENTS["C"]}, labels=[FINDING], label="y")


@pytest.mark.parametrize("seed", range(10))
def test_mixture_proportions_undo_the_confusion(seed: int) -> None:
    """Decisions of a poor classifier, in expectation: the proportions come back exactly;
    counted, nearly."""
    generator = torch.Generator().manual_seed(seed)
    confusion = torch.rand(4, 4, generator=generator).double() + 3 * torch.eye(4)
    confusion /= confusion.sum(1, keepdim=True)
    shares = torch.rand(4, generator=generator).double()
    shares[seed % 4] = 0
    shares /= shares.sum()
    assert torch.allclose(
        mixture_proportions(confusion, shares @ confusion, rounds=20_000), shares, atol=2e-3
    )
    drawn = torch.multinomial(shares @ confusion, 20_000, replacement=True, generator=generator)
    counted = mixture_proportions(confusion, torch.bincount(drawn, minlength=4))
    naive = torch.bincount(drawn, minlength=4) / 20_000
    assert float((counted - shares).abs().sum()) < 0.06
    assert float((counted - shares).abs().sum()) < 0.5 * float((naive - shares).abs().sum())


@pytest.mark.parametrize(
    ("parent", "label"),
    [
        (list(range(10)), [7, 2, 9, 0, 1, 3, 4, 5, 6, 8]),
        ([True, False], [0, 1]),
        ([1.5, 0.5], [0.5, 1.5]),
        (["cat", "dog", "fox"], ["dog", "fox", "cat"]),
    ],
)
def test_values_stand_for_equal_labels_whatever_their_places(parent, label):
    variable = Discrete(parent)
    made = LabelMap.identity({"D": variable}, [Label("digit", label)])
    codes = made.draw({"D": torch.arange(len(parent))})
    assert [label[code] for code in codes.tolist()] == parent


def test_values_that_a_label_does_not_know_are_refused():
    with pytest.raises(LabelMapError, match="are not the label's"):
        LabelMap.identity({"D": Discrete([5, 6])}, [Label("digit", [1, 2])])
