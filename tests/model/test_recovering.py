"""Models for counterfactuals of rows: trained images recover their noise."""

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.mechanisms.trainable.residual_vae import ResidualVAE

KINDS = {"T": cp.Continuous(), "D": cp.Discrete(2), "I": cp.Image(1, 8, 8), "Y": cp.Discrete(2)}
GRAPH = "T -> I; D -> I; I -> Y"


def built(graph=GRAPH, **options):
    return cp.DCM(cp.CausalGraph.parse(graph), KINDS, seed=0, **options)


def test_an_image_gets_a_mechanism_that_recovers_its_noise():
    plain, made = built(), built(counterfactuals=True)
    assert plain.mechanism("I").abduction is None
    assert isinstance(made.mechanism("I"), ResidualVAE)
    for name in "TDY":
        assert type(made.mechanism(name)) is type(plain.mechanism(name))
    given = built(counterfactuals=True, mechanisms={"I": cp.InvertibleImage(width=4)})
    assert given.mechanism("I").width == 4


def test_confounded_images_read_the_confounder_noise():
    made = built("T -> I; D -> I; D <-> I; I -> Y", counterfactuals=True)
    assert made.mechanism("I").confounder_numbers == made.confounder_size


@pytest.mark.filterwarnings("ignore::causalplug.errors.ConvergenceWarning")
def test_rows_come_back_under_their_own_parents(tmp_path):
    draw = np.random.default_rng(0)
    images = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    d = draw.integers(0, 2, 64)
    rows = {"T": draw.normal(size=64), "D": d, "I": images, "Y": d}
    made = built(counterfactuals=True)
    cp.fit(made, rows, steps=5, progress=False, tolerance=1.0, objective="counterfactual")
    made.save_pretrained(tmp_path / "model")
    invertible = cp.Assume("invertible", effect="I")
    for dcm in (made, cp.from_pretrained(tmp_path / "model")):
        seen = {name: value[:4] for name, value in rows.items()}
        world = {"T": seen["T"], "D": seen["D"]}
        same = dcm.counterfactual(seen, do=world, assume=invertible, variables=["I"])
        back = torch.stack([torch.as_tensor(image) for image in same["I"]])
        torch.testing.assert_close(back.float(), images[:4], atol=1e-4, rtol=0)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_anything_but_a_flag_is_refused(value):
    with pytest.raises(cp.MechanismError, match="counterfactuals="):
        built(counterfactuals=value)
