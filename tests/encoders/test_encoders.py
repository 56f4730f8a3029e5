"""Encoders: what the projection keeps, independence of the batch, round trips."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from causalplug.encoders.encoders import (
    ConvEncoder,
    Encoder,
    PCAEncoder,
    RandomProjection,
    project,
)
from causalplug.encoders.fit import fit_encoder
from causalplug.errors import DataError, MechanismError
from causalplug.load import from_pretrained
from causalplug.networks import initialised
from causalplug.variables import Continuous, Discrete, Image

IMAGE = Image(3, 16, 16, low=-1.0)


def scene(n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Noisy uint8 images of a square: its column (discrete), its colour (discrete), its
    brightness (continuous)."""
    generator = torch.Generator().manual_seed(seed)
    column = torch.randint(0, 3, (n,), generator=generator)
    colour = torch.randint(0, 2, (n,), generator=generator)
    light = torch.rand(n, generator=generator)
    images = torch.rand(n, 3, 16, 16, generator=generator) * 60
    for row in range(n):
        x = 1 + 5 * int(column[row])
        images[row, int(colour[row]), 5:11, x : x + 4] += 60 + 120 * light[row]
    return images.to(torch.uint8), column, colour, light


def encoder(seed: int = 0) -> ConvEncoder:
    return initialised(lambda: ConvEncoder(IMAGE, 8), seed)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def trained() -> tuple[ConvEncoder, object]:
    images, column, colour, light = scene(1500)
    made = encoder()
    targets = {
        "x": (column, Discrete(3)),
        "c": (colour, Discrete(2)),
        "light": (light, Continuous()),
    }
    return made, fit_encoder(made, images, targets, steps=250)


def test_the_projection_keeps_what_the_image_knows(trained: tuple) -> None:
    made, report = trained
    assert report.accuracy["x, c"] > 0.97
    assert report.cross_entropy["light"] < 0.1 * report.baseline["light"]
    assert made.trained
    images, column, colour, light = scene(800, seed=1)
    rows = project(made, images).double()
    # read by least squares on new images, not by the heads that it was trained with
    features = torch.cat([rows, rows.square(), torch.ones(len(rows), 1)], 1)
    target = torch.nn.functional.one_hot(column * 2 + colour, 6).double()
    weights = torch.linalg.lstsq(features[:400], target[:400]).solution
    assert (
        float(((features[400:] @ weights).argmax(1) == target[400:].argmax(1)).double().mean())
        > 0.9
    )
    line = torch.linalg.lstsq(features[:400], light[:400, None].double()).solution
    left = (features[400:] @ line)[:, 0] - light[400:]
    assert float(left.var() / light.var()) < 0.25


def test_projections_are_standardised(trained: tuple) -> None:
    rows = project(trained[0], scene(1500)[0])
    assert torch.allclose(rows.mean(0), torch.zeros(8), atol=1e-3)
    assert torch.allclose(rows.std(0), torch.ones(8), atol=1e-3)


def make(kind: type[Encoder]) -> Encoder:
    images = scene(200)[0]
    if kind is ConvEncoder:
        made = encoder()
        made.whiten(images)
        return made
    return kind(IMAGE, 5).fit(images)  # type: ignore[attr-defined,call-arg]


@pytest.mark.parametrize("kind", [ConvEncoder, PCAEncoder, RandomProjection])
def test_a_row_s_projection_does_not_depend_on_its_batch(kind: type[Encoder]) -> None:
    made, images = make(kind), scene(9, seed=3)[0]
    together = project(made, images)
    alone = torch.cat([project(made, images[row : row + 1]) for row in range(9)])
    assert torch.allclose(together, alone, atol=1e-4)
    assert torch.allclose(together, project(made, IMAGE.scale(images), batch_size=4), atol=1e-4)


@pytest.mark.parametrize("kind", [ConvEncoder, PCAEncoder, RandomProjection])
def test_round_trip(kind: type[Encoder], tmp_path: Path) -> None:
    made, images = make(kind), scene(9, seed=3)[0]
    made.save_pretrained(tmp_path / "encoder")
    torch.manual_seed(5)
    loaded = from_pretrained(tmp_path / "encoder")
    assert loaded.trained
    assert not any(p.requires_grad for p in loaded.parameters())
    assert torch.equal(project(loaded, images), project(made, images))


def test_principal_components_are_those_of_the_covariance() -> None:
    images = scene(400)[0]
    made = PCAEncoder(IMAGE, 3).fit(images)
    pixels = IMAGE.scale(images).flatten(1).double()
    centred = pixels - pixels.mean(0)
    _, _, exact = torch.linalg.svd(centred, full_matrices=False)
    overlap = (made.basis.double().T @ exact[:3].T).abs()
    assert torch.allclose(overlap, torch.eye(3, dtype=torch.float64), atol=1e-3)


def test_training_is_repeatable_and_leaves_the_global_generator_alone() -> None:
    images, column, *_ = scene(200)
    state = torch.random.get_rng_state()
    first, second = encoder(), encoder()
    for made in (first, second):
        fit_encoder(made, images, {"x": (column, Discrete(3))}, steps=5, seed=7)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(project(first, images), project(second, images))


def test_without_targets_it_learns_the_components() -> None:
    images = scene(600)[0]
    report = fit_encoder(encoder(), images, {}, steps=150)
    assert report.cross_entropy["component 0"] < 0.5 * report.baseline["component 0"]


def test_wrong_input_is_refused() -> None:
    images, column, *_ = scene(50)
    with pytest.raises(DataError, match="x"):
        fit_encoder(encoder(), images, {"x": (column[:20], Discrete(3))})
    with pytest.raises(DataError, match="at least 8"):
        fit_encoder(encoder(), images[:3], {})
    with pytest.raises(MechanismError, match="smaller size"):
        PCAEncoder(Image(1, 2, 2), 5)
    with pytest.raises(MechanismError, match="more than"):
        PCAEncoder(IMAGE, 60).fit(images)


def test_few_rows_are_not_learned_by_heart():
    """Of what a bright or dark picture says of two noisy labels, an encoder keeps the brightness
    and not the labels: those would be taken for an effect of the picture."""
    rng = np.random.default_rng(0)
    bright = rng.random(1000) < 0.5
    pictures = 0.25 + 0.5 * bright[:, None, None, None] + 0.1 * (rng.random((1000, 1, 8, 8)) - 0.5)
    labels = {}
    for name in "AB":
        flipped = rng.random(1000) < 0.25
        labels[name] = torch.tensor((bright ^ flipped).astype(int))
    image = Image(1, 8, 8)
    encoder = ConvEncoder(image, 16)
    images = torch.tensor(pictures, dtype=torch.float32)
    targets = {name: (values, Discrete(2)) for name, values in labels.items()}
    fit_encoder(encoder, images, targets, seed=0)
    projections = project(encoder, images).numpy()
    told = np.c_[projections, np.ones(1000)]
    rest = bright - told @ np.linalg.lstsq(told, bright.astype(float), rcond=None)[0]
    assert rest.var() < 0.02 * bright.var()
    own = labels["A"].numpy() - np.where(bright, 0.75, 0.25)
    explained = own - told @ np.linalg.lstsq(told, own.astype(float), rcond=None)[0]
    assert explained.var() > 0.95 * own.var()
