"""A confounded image whose noise is recovered, trained together with its confounder's other
child."""

import os
import warnings

import numpy as np
import pytest

import causalplug as cp

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"


def rows(n=400):
    """A bar lies or stands; something hidden sets its brightness and mostly how it lies."""
    rng = np.random.default_rng(0)
    hidden = rng.integers(0, 2, n)
    lying = np.where(rng.random(n) < 0.9, hidden, 1 - hidden)
    bright = 0.3 + 0.5 * hidden
    images = np.zeros((n, 1, 6, 6), np.float32)
    for picture, lies, level in zip(images, lying, bright, strict=True):
        if lies:
            picture[0, 2:4] = level
        else:
            picture[0, :, 2:4] = level
    return {"D": lying, "I": images}


def fitted(steps):
    graph = cp.CausalGraph.parse("D -> I; D <-> I")
    mechanism = cp.InvertibleImage(latent_size=2, width=4)
    variables = {"D": cp.Discrete(2), "I": cp.Image(1, 6, 6)}
    dcm = cp.DCM(graph, variables, mechanisms={"I": mechanism})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = cp.fit(
            dcm,
            rows(),
            steps=steps,
            draws=8,
            batch_size=64,
            learning_rate=5e-3,
            progress=False,
            check_graph=False,
        )
    return dcm, report


def test_it_trains_with_its_module_and_gives_the_image_back():
    dcm, report = fitted(4)
    assert [module.variables for module in report.modules] == [("D", "I")]
    seen = {name: column[:4] for name, column in rows().items()}
    found = dcm.counterfactual(seen, do={"D": 1}, allow_unidentified=True)
    assert found.attrs["reconstruction_error"]["I"] < 1e-5


@pytest.mark.skipif(not EXHAUSTIVE, reason="trains for some seconds")
def test_what_is_set_does_not_move_the_hidden_brightness():
    dcm, _ = fitted(300)
    drawn = dcm.sample(1000, do={"D": 1}, variables=["I"], allow_unidentified=True)
    bright = np.mean([image[0, 2:4].mean() for image in drawn["I"]])
    assert abs(bright - 0.55) < 0.1  # among the rows with D = 1 it is .75
