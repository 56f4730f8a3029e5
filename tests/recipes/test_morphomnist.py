"""The strokes of the recipe morphomnist, its judges, and its confounded rows."""

import os

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.training.image_readers import Support
from recipes.morphomnist import confounded, strokes
from recipes.morphomnist.own_judges import own_judges, shifted

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


def test_own_judges_learn_to_read_and_pass_gradients():
    columns, _ = strokes.strokes(300, 0)
    variables = {
        "digit": cp.Discrete(strokes.SHAPES),
        "thickness": cp.Continuous(),
        "intensity": cp.Continuous(),
        "image": IMAGE,
    }
    rows = shifted(columns, 1, 0)
    assert len(rows["image"]) == len(rows["digit"]) == 600
    assert np.array_equal(rows["digit"][300:], rows["digit"][:300])
    judges = own_judges(variables, rows, steps=60, brightest=1.0, batch_size=64)
    seen, _ = strokes.strokes(100, 1)
    images = torch.from_numpy(seen["image"]).requires_grad_()
    read = {
        name: judge.bind(name, judge.generates, {"image": IMAGE}) for name, judge in judges.items()
    }
    logits = read["digit"].logits({"image": images})
    right = np.array(strokes.SHAPES)[logits.argmax(-1).numpy()] == seen["digit"]
    assert right.mean() > 0.9
    thickness = read["thickness"]({"image": images}, {})
    spread = np.abs(seen["thickness"] - seen["thickness"].mean()).mean()
    assert np.abs(thickness.detach().numpy() - seen["thickness"]).mean() < 0.8 * spread
    (logits.sum() + thickness.sum()).backward()
    assert float(images.grad.abs().sum()) > 0


def test_shifts_move_images_by_at_most_a_pixel():
    image = np.zeros((20, 1, 5, 5), np.uint8)
    image[:, :, 2, 2] = 7
    moved = shifted({"image": image}, 1, 0)["image"][20:]
    assert (moved.sum((1, 2, 3)) == 7).all()
    assert (moved[:, 0, 1:4, 1:4].sum((1, 2)) == 7).all()
    assert len(np.unique(moved.reshape(20, -1), axis=0)) > 3
