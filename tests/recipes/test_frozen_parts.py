"""The worlds of the recipes around several frozen models: exact answers against samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recipes.common import tvd
from recipes.mnist_diamond.scm import DiamondSCM, style_of_digits
from recipes.thickness_frontdoor.generators import ROUGH, Strokes
from recipes.thickness_frontdoor.scm import HIGH, LOW, ThicknessSCM

N = 60_000


@pytest.fixture(scope="module")
def diamond() -> DiamondSCM:
    rng = np.random.default_rng(0)
    digits = np.arange(90) % 3
    images = rng.integers(0, 120, size=(90, 8, 8)).astype(np.uint8)
    for digit in range(3):
        images[digits == digit, 2 * digit : 2 * digit + 3] += 120
    return DiamondSCM(images, digits)


def test_the_diamond_is_exact(diamond: DiamondSCM) -> None:
    rows, exact = diamond.sample(N, seed=1), diamond.answers()
    for digit in range(3):
        colour = np.bincount(rows["Colour"][rows["Digit"] == digit], minlength=3)
        assert tvd(colour / colour.sum(), exact.naive_digit[digit]) < 0.015
    for style in range(2):
        mine = rows["Style"] == style
        colour = np.bincount(rows["Colour"][mine], minlength=3) / mine.sum()
        assert tvd(colour, exact.naive_style[style]) < 0.015
        shown = np.bincount(rows["Digit"][mine], minlength=3) / mine.sum()
        assert tvd(shown, style_of_digits(3)[style]) < 0.015
    # the front door by hand: P(Colour | do(Style)) = sum over digits of P(digit | Style) times
    # the sum over styles of P(Style) P(Colour | Style, digit)
    table = np.zeros((2, 3, 3))
    np.add.at(table, (rows["Style"], rows["Digit"], rows["Colour"]), 1)
    given = table / table.sum(2, keepdims=True)
    p_style = table.sum((1, 2)) / N
    p_digit = table.sum(2) / table.sum((1, 2))[:, None]
    door = np.einsum("sd,t,tdc->sc", p_digit, p_style, given)
    assert np.abs(door - exact.do_style).max() < 0.02
    assert max(map(tvd, exact.naive_style, exact.do_style)) > 0.09


def test_strokes_are_as_thick_as_the_number_says() -> None:
    latent = torch.zeros(3, 3)
    ink = Strokes(24)(latent, torch.tensor([1.0, 2.0, 4.0])).mean((1, 2, 3))
    assert torch.allclose(ink[1:] / ink[0], torch.tensor([2.0, 4.0]), rtol=0.1)
    moved = latent.clone()
    moved[:, 2] = 1.0
    wider = Strokes(24)(moved, torch.tensor([1.0, 2.0, 4.0])).mean((1, 2, 3))
    assert torch.allclose((wider - ink)[:2], (ink[1] - ink[0]).expand(2) * ROUGH, rtol=0.15)


def test_the_number_s_front_door_is_exact() -> None:
    scm = ThicknessSCM(Strokes(), 3, latents=60)
    rows = scm.sample(N, seed=2)
    assert rows["D"].min() >= LOW
    assert rows["D"].max() <= HIGH
    for d in (2.0, 3.1, 4.2):
        near = np.abs(rows["D"] - d) < 0.1
        found = np.bincount(rows["A"][near], minlength=3) / near.sum()
        assert tvd(found, scm.naive(d)) < 0.04
    images = scm.paint(scm.latents, torch.full((60,), 2.5))
    weights = np.exp(scm.logits(images))
    assert weights.shape == (60, 3)
    assert scm.do(2.5).sum() == pytest.approx(1)
    assert tvd(scm.do(2.0), scm.naive(2.0)) > 0.15
