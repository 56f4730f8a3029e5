"""Training images by counterfactuals of rows."""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp

GRAPH = cp.CausalGraph.parse("D -> I; T -> I")
VARIABLES = {"D": cp.Discrete(2), "T": cp.Continuous(), "I": cp.Image(1, 8, 8)}


def rows(n=120, seed=0):
    """A bar that lies or stands, as thick as T says, at a place that nothing says."""
    rng = np.random.default_rng(seed)
    d, t, place = rng.integers(0, 2, n), rng.uniform(0, 1, n), rng.integers(2, 6, n)
    y, x = np.mgrid[:8, :8]
    across = np.where(d[:, None, None], x, y) - place[:, None, None]
    images = np.clip(1.2 + t[:, None, None] - np.abs(across), 0, 1)[:, None]
    return {"D": d, "T": t.astype(np.float32), "I": images.astype(np.float32)}


def model():
    return cp.DCM(GRAPH, VARIABLES, mechanisms={"I": cp.InvertibleImage(latent_size=3, width=4)})


def fitted(folder=None, steps=12, **options):
    dcm = model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cp.fit(
            dcm,
            rows(),
            objective={"I": "counterfactual"},
            steps=steps,
            batch_size=32,
            progress=False,
            output_dir=folder,
            check_graph=False,
            **options,
        )
    return dcm


def weights(dcm):
    return torch.cat([p.flatten() for p in dcm.mechanism("I").parameters()])


def test_a_resumed_training_ends_where_one_without_a_break_does(tmp_path):
    from causalplug.training import counterfactual_game

    whole = fitted(tmp_path / "whole", save_every=4)

    class Stop(Exception):
        pass

    step = counterfactual_game.CounterfactualLearner.step

    def stopping(self, index, generator):
        if index == 10:
            raise Stop
        return step(self, index, generator)

    counterfactual_game.CounterfactualLearner.step = stopping
    try:
        with pytest.raises(Stop):
            fitted(tmp_path / "cut", save_every=4)
    finally:
        counterfactual_game.CounterfactualLearner.step = step
    resumed = fitted(tmp_path / "cut", save_every=4, resume_from_checkpoint=True)
    assert torch.equal(weights(whole), weights(resumed))


def test_what_was_trained_recovers_its_noise():
    found = cp.metrics.composition(fitted(), rows(40, seed=1), (1, 5))
    assert max(item.value for item in found.items) < 1e-5


@pytest.mark.parametrize(
    ("graph", "mechanisms", "message"),
    [
        ("D -> I; T -> I; D <-> I", {"I": cp.InvertibleImage()}, "D <-> I|no single image"),
        ("D -> I; T -> I", {}, "no explicit density"),
    ],
)
def test_other_modules_are_refused_before_any_work(graph, mechanisms, message):
    dcm = cp.DCM(cp.CausalGraph.parse(graph), VARIABLES, mechanisms=mechanisms)
    with pytest.raises(cp.PlanError, match=message):
        cp.fit(dcm, rows(20), objective={"I": "counterfactual"}, progress=False)


def test_one_word_for_all_reaches_images_alone():
    sources = [cp.Source(recorded=["D", "T", "I"])]
    found = cp.plan(
        GRAPH,
        sources,
        kinds=VARIABLES,
        explicit={"I": True},
        objective="counterfactual",
        available={},
    )
    assert {"+".join(m.variables): str(m.objective) for m in found.modules} == {
        "D": "likelihood",
        "T": "likelihood",
        "I": "counterfactual",
    }
