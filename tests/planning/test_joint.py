"""The strategy ``joint``: one module of everything, matched to what each source records."""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import ConvergenceWarning, PlanError, TrainingError
from causalplug.mechanisms.frozen.label import Label
from causalplug.planning.plan import Plan
from tests.scm import random_scm

IMAGE = cp.Image(1, 8, 8)
FRONT_DOOR = cp.CausalGraph.parse("D -> I -> A; D <-> A")
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
    {"type": "sigmoid"},
]


def test_the_whole_model_is_matched_to_every_source_as_it_stands():
    """X -> W -> Y, X <-> Y: rows of everything, and an experiment on X that records Y alone."""
    graph = cp.CausalGraph.parse("X -> W -> Y; X <-> Y")
    scm = random_scm(graph, 2, seed=3)
    experiment = scm.sample(8000, do={"X": 1}, seed=1)
    sources = [
        cp.DataSource(scm.sample(20_000, seed=0), name="seen"),
        cp.DataSource({"X": experiment["X"], "Y": experiment["Y"]}, do=["X"], name="set"),
    ]
    dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in graph.variables})
    report = cp.fit(dcm, sources, strategy="joint", steps=400, progress=False)
    assert [module.name for module in report.modules] == ["X+W+Y"]
    assert [d.target for d in report.modules[0].distances] == ["P(X, W, Y)", "P(Y | X, do(X))"]
    assert report.converged
    for x in (0, 1):
        answer = (
            dcm.sample(100_000, do={"X": x}, variables=["Y"])["Y"]
            .value_counts(normalize=True)
            .sort_index()
        )
        assert 0.5 * np.abs(answer.to_numpy() - scm.joint(do={"X": x}, keep=["Y"])).sum() < 0.03
    assert Plan.from_dict(dcm.plan.to_dict()) == dcm.plan
    assert "the whole model at once" in dcm.plan.explain("W")


@pytest.mark.parametrize("projections", [True, False])
@pytest.mark.parametrize("pulled", [True, False])
def test_images_are_read_as_projections_or_as_pixels(tmp_path, monkeypatch, projections, pulled):
    """Every mechanism that is not pulled moves, and the critic reads what was asked for."""
    from causalplug.training import adversarial

    given = {}
    if pulled:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            given["I"] = ConditionalGAN(IMAGE, [Label("D", 2)], 4, LAYERS)
    games = []
    build = adversarial.RowGame.__init__

    def recorded(self, *args, **options):
        build(self, *args, **options)
        games.append(self)

    monkeypatch.setattr(adversarial.RowGame, "__init__", recorded)
    dcm = cp.DCM(
        FRONT_DOOR, {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(2)}, mechanisms=given
    )
    rng = np.random.default_rng(0)
    d = rng.integers(2, size=300)
    rows = {"D": d, "I": rng.random((300, 1, 8, 8), np.float32), "A": rng.integers(2, size=300)}
    before = {
        key: value.detach().clone() for key, value in dcm.named_parameters() if "_mechanisms" in key
    }
    settings = {"image_steps": 3, "steps": 3, "encoder_steps": 3, "bank_rows": 16, "batch_size": 16}
    settings["check_fit"] = False  # the rows are noise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(
            dcm,
            cp.DataSource(rows),
            strategy="joint",
            projections=projections,
            progress=False,
            **settings,
        )
    moved = {
        key
        for key, value in dcm.named_parameters()
        if key in before and not torch.equal(value, before[key])
    }
    assert moved == {key for key in before if not (pulled and key.startswith("_mechanisms.I."))}
    assert [game.reads.pixels for game in games] == [[] if projections else ["I"]]
    assert dcm.plan.module("D").variables == (("D", "A") if pulled else ("D", "I", "A"))


def test_what_joint_training_cannot_do_is_refused():
    with pytest.raises(TrainingError, match="cannot be used with strategy='joint'"):
        cp.TrainingConfig(strategy="joint", objective="likelihood")
    with pytest.raises(TrainingError, match="strategy='both'"):
        cp.TrainingConfig(strategy="both")
    graph = cp.CausalGraph.parse("X -> Y")
    dcm = cp.DCM(graph, {name: cp.Discrete(2) for name in "XY"})
    with pytest.raises(PlanError, match="no source records X"):
        cp.fit(
            dcm,
            cp.DataSource({"X": [0, 1], "Y": [0, 1]}, do=["X"]),
            strategy="joint",
            progress=False,
        )
