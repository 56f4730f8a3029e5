"""The measures of counterfactual images against mechanisms whose measures are known."""

import math

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.metrics.distances import frechet, latent_divergence
from tests.metrics.linear import GRAPH, SIZE, VARIABLES, Leaking, Linear, judges, model, rows

ROWS = rows()
LEVEL = 2.0 * ROWS["D"] + ROWS["T"]
NOISE = (ROWS["I"] - torch.tensor(LEVEL).view(-1, 1, 1, 1)).numpy()


def pixels(images):
    return images.flatten(1)


def test_composition_of_an_exact_mechanism_is_zero():
    found = cp.metrics.composition(model(Linear()), ROWS, (1, 10))
    assert [item.of for item in found.items] == ["1 cycles", "10 cycles"]
    assert max(item.value for item in found.items) < 1e-7


def test_composition_counts_what_every_cycle_loses():
    found = cp.metrics.composition(model(Linear(lost=0.1)), ROWS, (1, 3))
    for cycles, item in zip((1, 3), found.items, strict=True):
        truth = (1 - 0.9**cycles) * np.abs(NOISE).mean() / 16
        assert item.value == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("kept", [0.0, 0.25])
def test_effectiveness_is_what_the_parents_still_do(kept):
    dcm, do = model(Leaking(kept=kept)), {"T": 1.5}
    found = cp.metrics.effectiveness(dcm, ROWS, do, judges())
    noise = NOISE.reshape(len(NOISE), -1).mean(1)
    # what is kept of the old T, beside the noise that the judge takes for T
    error = np.abs(noise + kept * (ROWS["T"] - 1.5))
    assert found.value("effectiveness", of="T") == pytest.approx(error.mean(), rel=1e-3)
    level = noise + kept * (ROWS["T"] - 1.5) + 2 * ROWS["D"]
    right = (level > 1) == (ROWS["D"] == 1)
    assert found.value("effectiveness", of="D") == pytest.approx(right.mean())
    assert found.items[0].do == "do(T=1.5)"


def test_a_category_that_is_set_is_read_by_its_judge():
    found = cp.metrics.effectiveness(model(Linear()), ROWS, "D", judges())
    assert found.value("effectiveness", of="D") == 1.0
    still = cp.metrics.effectiveness(model(Leaking(kept=1.0)), ROWS, {"D": 1}, judges())
    assert still.value("effectiveness", of="D") == pytest.approx(np.mean(ROWS["D"] == 1))


def test_reversibility():
    exact = cp.metrics.reversibility(model(Linear()), ROWS, {"T": 2.0})
    assert exact.items[0].value < 1e-7
    lossy = cp.metrics.reversibility(model(Linear(lost=0.1)), ROWS, {"T": 2.0})
    truth = (1 - 0.9**2) * np.abs(NOISE).mean() / 16
    assert lossy.items[0].value == pytest.approx(truth, rel=1e-3)


def test_realism_of_a_shift_is_its_square():
    found = cp.metrics.realism(model(Linear()), ROWS, {"T": 0.5}, pixels, reference=ROWS)
    made = np.stack([ROWS["D"][:, None] * 2.0 + 0.5 + n for n in [NOISE.reshape(len(NOISE), -1)]])[
        0
    ]
    truth = frechet(torch.tensor(made), torch.as_tensor(ROWS["I"]).flatten(1))
    assert found.items[0].value == pytest.approx(truth, rel=1e-4)
    assert found.items[0].of == "pixels"


def test_frechet_of_normal_features():
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(400, 3, generator=generator).double()
    assert frechet(one, one) == pytest.approx(0.0, abs=1e-9)
    assert frechet(one, one + 2.0) == pytest.approx(12.0, rel=1e-9)
    spread = one - one.mean(0)
    # covariance times nine: tr(A + 9 A - 2 * 3 A) = 4 tr(A)
    assert frechet(spread, 3 * spread) == pytest.approx(4 * float(torch.cov(one.T).trace()))


def test_latent_divergence_by_counting():
    before = torch.tensor([[0.0], [1.0]])
    after = torch.tensor([[2.0], [1.0]])
    reference = torch.tensor([[0.5], [1.0], [3.0], [4.0]])
    same = torch.tensor([[True, True, False, False], [True, False, False, True]])
    aimed = torch.tensor([[False, False, True, True], [False, False, False, False]])
    found = latent_divergence(before, after, same, aimed, reference)
    # the first row moves by 2: none of 3, 4 is nearer; none of .5, 1 is as far
    assert float(found[0]) == pytest.approx(math.log(0.8 * math.exp(0) + 0.2 * math.exp(0)))
    assert math.isnan(float(found[1]))
    far = latent_divergence(before, after + 2.0, same, aimed, reference)
    assert float(far[0]) == pytest.approx(math.log(0.8 * math.exp(1) + 0.2 * math.exp(0)))


def test_minimality_prefers_the_smaller_change():
    exact = cp.metrics.minimality(model(Linear()), ROWS, {"D": 1}, pixels)

    class Far(Linear):
        def forward(self, parents, noise, confounder=None):
            return super().forward(parents, noise) + 4.0 * (parents["D"] - 0.5).view(-1, 1, 1, 1)

    far = cp.metrics.minimality(model(Far()), ROWS, {"D": 1}, pixels)
    assert exact.items[0].value < far.items[0].value


def test_identity_is_one_where_the_features_only_grow():
    found = cp.metrics.identity(model(Linear()), ROWS, {"T": 1.0}, lambda i: torch.ones(len(i), 2))
    assert found.items[0].value == pytest.approx(1.0)


def test_one_table_and_one_picture():
    found = cp.metrics.measure(
        model(Linear()), ROWS, ["D", {"T": 1.0}], judges=judges(), encoder=pixels, cycles=2
    )
    assert set(found.table["measure"]) == {
        "composition",
        "effectiveness",
        "reversibility",
        "minimality",
        "realism",
    }
    assert list(found.table.columns)[:4] == ["measure", "do", "of", "value"]
    assert "do(T=1.0)" in str(found)
    assert len(found.plot().axes) == 4 * 12
    assert found.to_dict()["items"][0]["unit"] == "share of the pixels' range"


def test_rows_may_be_a_file(tmp_path):
    from PIL import Image

    lines = ["file_name,D,T"]
    for place in range(4):
        Image.fromarray(np.full((SIZE, SIZE), 40 * place, np.uint8)).save(tmp_path / f"{place}.png")
        lines.append(f"{place}.png,{place % 2},{place / 10}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    source = cp.DataSource(tmp_path, columns={"image": "I", "D": "D", "T": "T"})
    assert cp.metrics.composition(model(Linear()), source).items[0].value < 1e-7


def test_what_cannot_be_measured_is_refused():
    dcm = model(Linear())
    with pytest.raises(cp.DataError, match="no column for T"):
        cp.metrics.composition(dcm, {"D": ROWS["D"], "I": ROWS["I"]})
    with pytest.raises(cp.UnknownVariableError):
        cp.metrics.effectiveness(dcm, ROWS, "Q", {})
    with pytest.raises(cp.QueryError, match="has to be a frozen mechanism"):
        cp.metrics.effectiveness(dcm, ROWS, "D", {"D": lambda image: image})
    with pytest.raises(cp.QueryError, match="it is no image"):
        cp.metrics.composition(dcm, ROWS, image="T")
    with pytest.raises(cp.QueryError, match="counted from 1"):
        cp.metrics.composition(dcm, ROWS, 0)
    with pytest.raises(cp.MechanismError, match="declares no abduction"):
        cp.metrics.composition(cp.DCM(GRAPH, VARIABLES), ROWS)


def test_interventions_are_a_list():
    for one in ("D", {"T": 1.0}):
        with pytest.raises(cp.QueryError, match="give a list of interventions"):
            cp.metrics.measure(model(Linear()), ROWS, one)


@pytest.mark.parametrize("cycles", ["3", 1.5, [], (1, 0)])
def test_cycles_are_whole_numbers(cycles):
    with pytest.raises(cp.QueryError, match="counted from 1"):
        cp.metrics.composition(model(Linear()), ROWS, cycles)


def test_a_number_of_numpy_is_named_as_what_was_set():
    found = cp.metrics.effectiveness(model(Linear()), ROWS, {"D": np.int64(1)}, judges())
    assert found.items[0].do == "do(D=1)"


def test_rows_are_grouped_by_single_values_alone():
    class Shifted(Linear):
        def __init__(self):
            super().__init__()
            self.parents = ("D", "V")

        def _level(self, parents):
            return (2.0 * parents["D"] + parents["V"].sum(1)).view(-1, 1, 1, 1)

    variables = {"D": VARIABLES["D"], "V": cp.Vector(2), "I": VARIABLES["I"]}
    graph = cp.CausalGraph.parse("D -> I; V -> I")
    dcm = cp.DCM(graph, variables, mechanisms={"I": Shifted()})
    table = {"D": ROWS["D"], "V": np.stack([ROWS["T"], ROWS["T"]], 1), "I": ROWS["I"]}
    with pytest.raises(cp.QueryError, match="those of V are not single ones"):
        cp.metrics.minimality(dcm, table, ["V"], pixels)
    with pytest.raises(cp.QueryError, match="those of V are not single ones"):
        cp.metrics.measure(dcm, table, [["V"]], encoder=pixels)
    assert cp.metrics.reversibility(dcm, table, ["V"]).items[0].value < 1e-6
