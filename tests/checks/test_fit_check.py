"""The fit check flags a wrong generator and passes the right one; the projection check sees what
is lost."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from causalplug.adapters.callable import CallableGenerator
from causalplug.checks.fit import check_fit
from causalplug.checks.image_statistics import coverage, first_of_each, mmd_test, spread_ratio
from causalplug.checks.projection import check_projection
from causalplug.encoders.encoders import ConvEncoder, PCAEncoder
from causalplug.encoders.fit import fit_encoder
from causalplug.errors import DataError, MechanismError
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.variables import Discrete, Image

IMAGE = Image(1, 8, 8)
SEEDS = 20 if os.environ.get("CAUSALPLUG_EXHAUSTIVE") else 2


def pictures(kind: np.ndarray, latent: np.ndarray, wrong: str = "") -> np.ndarray:
    """Bars lying or standing, at a place and with a noise that the latent decides."""
    if wrong == "swapped":
        kind = 1 - kind
    if wrong == "collapsed":
        latent = np.concatenate([np.zeros_like(latent[:, :1]), 0.02 * latent[:, 1:]], 1)
    images = 0.25 + 0.1 * np.tanh(latent[:, 1:65]).reshape(-1, 1, 8, 8)
    place = (np.abs(latent[:, 0]) * 4).astype(int) % 8
    rows = np.arange(len(kind))
    lying = kind == 0
    images[rows[lying], 0, place[lying]] += 0.4
    images[rows[~lying], 0, :, place[~lying]] += 0.4
    return (images + (0.15 if wrong == "brighter" else 0)).astype(np.float32)


def case(seed: int, wrong: str = "") -> tuple[FrozenMechanism, dict[str, Tensor]]:
    def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        return pictures(labels[:, 0], latent, wrong)

    made = CallableGenerator(paint, IMAGE, [Label("kind", 2)], latent_shape=(65,))
    random = np.random.default_rng(seed + 1000)
    kind = random.integers(0, 2, 400)
    images = pictures(kind, random.standard_normal((400, 65)))
    return made.bind("I", IMAGE, {"D": Discrete(2)}), {
        "D": torch.from_numpy(kind),
        "I": torch.from_numpy(images),
    }


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", ""),
        ("swapped", "another value's class"),
        ("collapsed", "mode collapse"),
        ("brighter", "brighter"),
    ],
)
def test_the_verdict(wrong: str, reason: str, seed: int) -> None:
    report = check_fit(*case(seed, wrong), seed=seed)
    if not wrong:
        assert report.verdict != "unfit", str(report)
        assert not report.reasons
    else:
        assert report.verdict == "unfit", str(report)
        assert not report
        assert reason in " ".join(report.reasons)


def test_the_report_is_written_and_drawn(tmp_path: Path) -> None:
    report = check_fit(*case(0, "swapped"))
    assert json.loads(json.dumps(report.to_dict()))["verdict"] == "unfit"
    assert "D=0" in str(report)
    report.save_picture(tmp_path / "worst.png")
    from PIL import Image as PILImage

    with PILImage.open(tmp_path / "worst.png") as picture:
        assert picture.size == (64, 16)


def test_copies_of_the_data_are_found() -> None:
    made, rows = case(0)
    stored = rows["I"].numpy()
    kinds = rows["D"].numpy()

    def copy(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        pick = (np.abs(latent[:, 0]) * 1e4).astype(int)
        return np.stack(
            [
                stored[kinds == k][p % (kinds == k).sum()]
                for k, p in zip(labels[:, 0], pick, strict=True)
            ]
        )

    thief = CallableGenerator(copy, IMAGE, [Label("kind", 2)]).bind("I", IMAGE, {"D": Discrete(2)})
    report = check_fit(thief, rows)
    assert all(item.memorised == 1.0 for item in report.configurations)
    assert report.verdict == "unfit"
    assert all(item.memorised == 0.0 for item in check_fit(made, rows).configurations)


def test_the_discrepancy_test_holds_its_level_and_has_power() -> None:
    generator = torch.Generator().manual_seed(0)
    same, other = [], []
    for seed in range(100):
        x = torch.randn(60, 3, generator=generator)
        same.append(mmd_test(x, torch.randn(60, 3, generator=generator), seed=seed)[1])
        other.append(mmd_test(x, torch.randn(60, 3, generator=generator) + 1.0, seed=seed)[1])
    # 5 % level: a binomial count of 100 exceeds 13 with probability below 0.001
    assert sum(p <= 0.05 for p in same) <= 13
    assert sum(p <= 0.05 for p in other) >= 95


def test_repeated_images_are_counted_once() -> None:
    images = torch.tensor([1.0, 2.0, 1.0, 3.0, 2.0]).view(5, 1, 1, 1)
    assert first_of_each(images).tolist() == [0, 1, 3]


def test_what_cannot_be_checked_is_refused() -> None:
    made, rows = case(0)
    with pytest.raises(DataError, match="no column I"):
        check_fit(made, {"D": rows["D"]})
    with pytest.raises(DataError, match="minimum_rows"):
        check_fit(made, {name: value[:20] for name, value in rows.items()})
    with pytest.raises(MechanismError, match="bound"):
        check_fit(made.asked(), rows)


def test_a_projection_that_loses_what_the_image_knows_is_seen() -> None:
    random = np.random.default_rng(0)
    kind = torch.from_numpy(random.integers(0, 2, 900))
    images = torch.from_numpy(pictures(kind.numpy(), random.standard_normal((900, 65))))
    targets = {"D": (kind, Discrete(2))}
    encoder = ConvEncoder(IMAGE, 4)
    fit_encoder(encoder, images, targets, steps=150)
    kept = check_projection(encoder, images, targets)
    assert kept, str(kept)
    blind = PCAEncoder(IMAGE, 1).fit(images)
    with torch.no_grad():
        blind.basis.zero_()
    lost = check_projection(blind, images, targets)
    assert not lost
    assert lost.targets[0].lost > 0.9


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_spread_and_coverage_know_no_offset(offset):
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(100, 8, generator=generator) for _ in range(2))
    near, far = (0.1 * real + offset), (0.002 * fake + offset)
    assert spread_ratio(near, far) == pytest.approx(0.02, rel=0.1)
    assert coverage(near, far) < 0.5


@pytest.mark.parametrize("setting", ["minimum_rows", "per_configuration"])
def test_too_few_images_are_no_evidence_against_a_generator(setting: str) -> None:
    with pytest.raises(DataError, match=f"{setting}=3.*at least 8"):
        check_fit(*case(0, ""), **{setting: 3})
