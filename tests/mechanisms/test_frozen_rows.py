"""What frozen mechanisms and generators estimate from rows: from all of the table, and from rows
that fit."""

import pytest
import torch

import causalplug as cp
from causalplug.mechanisms.frozen.label_estimation import estimate_label_map
from causalplug.mechanisms.trainable.discrete import DiscreteMLP
from causalplug.training.generators import fit_generator


class _Zero(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.none = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.none * x


def test_the_error_is_that_of_rows_all_over_a_sorted_table():
    """Half of 20,000 rows are off by 2, all of them at the end: the root of the mean square is
    the root of 2."""
    number = cp.Continuous()
    made = cp.wrap(_Zero(), number, conditions=[cp.Condition("X", number)], error="estimate")
    bound = made.bind("Y", number, {"X": number})
    off = torch.cat([torch.zeros(10_000), torch.full((10_000,), 2.0)])
    bound.take_rows({"X": torch.ones(20_000), "Y": off})
    assert bound.error == pytest.approx(2**0.5, rel=1e-3)


class _Bound:
    """A bound generator of two labels, as the estimation reads one."""

    name = "I"
    labels = (cp.Label("shape", 2), cp.Label("side", 2))
    bound_parents = {"C": cp.Discrete(2)}  # noqa: RUF012


def test_labels_in_several_columns_are_counted_together():
    asked = cp.LabelMap.estimate(column=("a", "b"))
    rows = {"C": torch.tensor([0, 0, 1, 1]), "a": [0, 0, 1, 1], "b": [0, 1, 1, 1]}
    found = estimate_label_map(asked, _Bound(), rows)
    assert found.probabilities.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0, 1]]
    with pytest.raises(cp.errors.LabelMapError, match="no column b"):
        estimate_label_map(asked, _Bound(), {"C": rows["C"], "a": rows["a"]})


@pytest.mark.parametrize(
    ("codes", "message"), [([0, 1, 5], "from 0 to 5"), ([0, 1], "2 codes for 3 images")]
)
def test_codes_that_no_label_has_are_refused(codes, message):
    labels = {"D": (torch.tensor(codes), cp.Discrete(2))}
    with pytest.raises(cp.errors.DataError, match=message):
        fit_generator(cp.Image(1, 4, 4), torch.zeros(3, 1, 4, 4), labels, steps=1, progress=False)


def test_a_mechanism_that_is_replaced_reads_the_noise_that_its_sibling_reads():
    graph, coin = cp.CausalGraph.parse("X <-> Y"), cp.Discrete(2)
    dcm = cp.DCM(graph, {"X": coin, "Y": coin})
    other = DiscreteMLP(coin, {}, confounder_size=2)
    other.reads_confounders = ("another",)
    before = dcm.mechanism("X")
    with pytest.raises(cp.errors.MechanismError, match="cannot be used together"):
        dcm.replace_mechanism("X", other)
    assert dcm.mechanism("X") is before


def test_an_ensemble_of_one_seed_is_refused():
    coin = cp.Discrete(2)
    with pytest.raises(cp.errors.MechanismError, match="Give different seeds"):
        cp.Ensemble.fit(
            lambda seed: cp.DCM(cp.CausalGraph.parse("X"), {"X": coin}, seed=seed),
            {"X": [0, 1]},
            seeds=[0, 0],
        )
