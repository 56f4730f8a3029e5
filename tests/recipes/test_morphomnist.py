"""The strokes of the recipe morphomnist, its judges, and its confounded rows."""

import os

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.training.image_readers import Support
from recipes.morphomnist import confounded, strokes

IMAGE = cp.Image(1, strokes.SIZE, strokes.SIZE)


def test_judges_read_what_was_drawn():
    rows, places = strokes.strokes(200, 0)
    again = strokes.draw(rows["digit"], rows["thickness"], rows["intensity"], places)
    assert np.array_equal(rows["image"], again)
    judges = strokes.judges(IMAGE)
    read = {
        name: judge.bind(name, judge.generates, {"image": IMAGE}) for name, judge in judges.items()
    }
    images = torch.from_numpy(rows["image"])
    logits = read["digit"].logits({"image": images}).argmax(-1)
    assert np.array_equal(np.array(strokes.SHAPES)[logits.numpy()], rows["digit"])
    for name in ("thickness", "intensity"):
        found = read[name]({"image": images}, {}).numpy()
        assert np.abs(found - rows[name]).max() < 0.02


def test_support_tells_what_does_not_occur():
    """Against the ratio of two known densities."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(4000, 1, generator=generator)
    made = torch.randn(4000, 1, generator=generator) + 2.0
    support = Support(1)
    optimizer = torch.optim.Adam(support.parameters(), lr=1e-2)
    for _ in range(150):
        loss = torch.nn.functional.softplus(-support(real)).mean()
        loss = loss + torch.nn.functional.softplus(support(made)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    places = torch.tensor([[1.0], [1.5], [2.0]])
    truth = (2.0 - 2.0 * places[:, 0]).exp()  # of N(0, 1) to N(2, 1)
    assert torch.allclose(support.weights(places), truth.clamp(max=2.0), rtol=0.35)
    assert float(support.weights(torch.tensor([[4.0]]))) < 0.05


@pytest.mark.skipif(
    os.environ.get("CAUSALPLUG_EXHAUSTIVE") != "1", reason="trains two models: some seconds"
)
def test_a_hidden_cause_of_thickness_and_digit():
    found = confounded.main(["--rows", "3000"])
    assert max(found["hidden cause"].values()) < 0.03
    assert min(found["no hidden cause"].values()) > 0.1
