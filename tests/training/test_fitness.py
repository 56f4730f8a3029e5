"""The fit check before training: asked by default, left out by name, said by plan, report and
card."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.callable import CallableGenerator
from causalplug.errors import ConvergenceWarning, FitWarning
from causalplug.model.facts import dcm_facts
from causalplug.planning.plan import Plan
from causalplug.training.fitness import check_generators

IMAGE = cp.Image(1, 8, 8)
TINY = {"steps": 2, "encoder_steps": 30, "bank_rows": 20, "progress": False}


def paint(kind: np.ndarray, latent: np.ndarray) -> np.ndarray:
    """A bar that lies or stands, at a place and with a noise that the latent decides."""
    images = 0.25 + 0.1 * np.tanh(latent[:, 1:65]).reshape(-1, 1, 8, 8)
    place, rows = (np.abs(latent[:, 0]) * 4).astype(int) % 8, np.arange(len(kind))
    lying = kind == 0
    images[rows[lying], 0, place[lying]] += 0.4
    images[rows[~lying], 0, :, place[~lying]] += 0.4
    return images.astype(np.float32)


GRAPH = cp.CausalGraph.parse("D -> I -> A; D <-> A")
VARIABLES = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(2)}


def model(swapped: bool = False) -> tuple[cp.DCM, dict[str, np.ndarray]]:
    def generate(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        return paint(1 - labels[:, 0] if swapped else labels[:, 0], latent)

    generator = CallableGenerator(generate, IMAGE, [cp.Label("kind", 2)], latent_shape=(65,))
    dcm = cp.DCM(GRAPH, VARIABLES, mechanisms={"I": generator})
    rng = np.random.default_rng(0)
    d = rng.integers(2, size=400)
    return dcm, {
        "D": d,
        "I": paint(d, rng.standard_normal((400, 65))),
        "A": rng.integers(2, size=400),
    }


def fitted(swapped: bool, **settings: object) -> tuple[cp.DCM, object]:
    dcm, rows = model(swapped)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return dcm, cp.fit(dcm, cp.DataSource(rows), **TINY, **settings)  # type: ignore[arg-type]


def test_a_right_generator_passes_and_plan_report_and_card_say_so() -> None:
    dcm, report = fitted(swapped=False)
    (fit,) = report.fits
    assert fit.verdict != "unfit", str(fit)
    assert f"{fit.verdict} for the rows" in str(report)
    assert f"The generator of I is {fit.verdict} for the rows" in str(dcm.plan)
    assert Plan.from_dict(json.loads(json.dumps(dcm.plan.to_dict()))) == dcm.plan
    assert json.loads(json.dumps(dcm.history))["fits"][0]["verdict"] == fit.verdict
    assert dcm_facts(dcm, title="t")["fits"][0]["verdict"] == fit.verdict
    assert "fit checks" in report.seconds


def test_a_wrong_generator_is_warned_about_with_the_reason() -> None:
    with pytest.warns(FitWarning, match=r"'I' is unfit.*another value's class.*check_fit=False"):
        dcm, report = fitted(swapped=True)
    assert report.fits[0].verdict == "unfit"
    assert "another value's class" in str(dcm.plan)
    assert dcm_facts(dcm, title="t")["fits"][0]["reasons"]


def test_it_is_left_out_by_name() -> None:
    dcm, report = fitted(swapped=True, check_fit=False)
    assert report.fits == []
    assert not dcm.plan.fits
    assert dcm_facts(dcm, title="t")["fits"] == []


def test_what_the_rows_cannot_judge_is_unknown() -> None:
    dcm, rows = model()
    tables = [cp.DataSource({"D": rows["D"], "A": rows["A"]}).encode(dcm.variables)]
    (report,) = check_generators(dcm, tables)
    assert (report.verdict, report.reasons) == ("unknown", ("no source records I together with D",))
    few = [
        cp.DataSource({name: column[:30] for name, column in rows.items()}).encode(dcm.variables)
    ]
    (report,) = check_generators(dcm, few)
    assert report.verdict == "unknown"
    assert "no value of its parents has 40" in report.reasons[0]
    assert bool(report)


def test_large_images_are_looked_at_reduced() -> None:
    from causalplug.checks.fit import _reduced

    small, reduce = _reduced(cp.Image(3, 112, 96, low=-1.0), 48)
    assert (small.height, small.width, small.low) == (37, 32, -1.0)
    assert reduce(torch.zeros(2, 3, 112, 96)).shape == (2, 3, 37, 32)
    same, keep = _reduced(cp.Image(1, 28, 28), 48)
    assert same == cp.Image(1, 28, 28)
    assert keep(torch.ones(1, 1, 28, 28)).shape == (1, 1, 28, 28)


def test_an_interrupted_bank_is_filled_from_where_it_stopped(tmp_path: Path) -> None:
    """The first fill of a bank, broken off in a run without any checkpoint yet."""
    drawn = {"rows": 0, "limit": 70}

    def generate(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        if drawn["rows"] + len(labels) > drawn["limit"]:
            raise KeyboardInterrupt
        drawn["rows"] += len(labels)
        return paint(labels[:, 0], latent)

    def run(limit: int) -> int:
        drawn.update(rows=0, limit=limit)
        generator = CallableGenerator(
            generate, IMAGE, [cp.Label("kind", 2)], latent_shape=(65,), revision="1"
        )
        _, rows = model()
        dcm = cp.DCM(GRAPH, VARIABLES, mechanisms={"I": generator})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            settings = {**TINY, "check_fit": False, "bank_rows": 1200, "objective": "adversarial"}
            cp.fit(
                dcm,
                cp.DataSource(rows),
                output_dir=tmp_path / "run",
                resume_from_checkpoint=True,
                **settings,
            )
        return drawn["rows"]

    with pytest.raises(KeyboardInterrupt):
        run(limit=1600)  # of 2400, in parts of 500 and 200
    first = drawn["rows"]
    assert first == 1200
    assert run(limit=10_000) == 2400 - first
    assert run(limit=10_000) == 0
