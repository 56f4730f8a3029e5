"""The training of a small diffusers pipeline: what it refuses, and that its images show their
labels."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from causalplug.adapters.diffusers import DiffusersGenerator
from causalplug.errors import DataError
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.noise import Noise
from recipes.diffusion_mediator.pipeline import train_pipeline

pytest.importorskip("diffusers")


@pytest.mark.filterwarnings("ignore")  # of diffusers' own making
def test_images_show_their_labels(tmp_path):
    bundled = load_digits()
    chosen = bundled.target < 2
    images = np.round(bundled.images[chosen] * (255 / 16)).astype(np.uint8)
    digits, held_out = bundled.target[chosen], np.arange(chosen.sum()) % 3 == 2
    with_channel = images[~held_out][:, None]
    train_pipeline(with_channel, digits[~held_out], tmp_path, steps=150, progress=False)
    assert not list(tmp_path.rglob("*.bin"))
    generator = DiffusersGenerator.from_pretrained(tmp_path, [Label("digit", 2)], steps=4)
    labels, noise = torch.arange(100) % 2, Noise(torch.arange(100), 0)
    own = {name: noise.draw(name, spec) for name, spec in generator.generator_noise.items()}
    with torch.no_grad():
        made = generator.generate(labels[:, None], own)
    judge = SVC(C=10.0).fit(images[held_out].reshape(-1, 64) / 255, digits[held_out])
    assert (judge.predict(made.flatten(1).numpy() / 2 + 0.5) == labels.numpy()).mean() > 0.9


def test_refusals(tmp_path):
    images = np.zeros((4, 1, 8, 8), np.uint8)
    with pytest.raises(DataError, match="one label for each"):
        train_pipeline(images, np.zeros(3, int), tmp_path)
    with pytest.raises(DataError, match="no image has the label 1"):
        train_pipeline(images, np.array([0, 2, 2, 0]), tmp_path)
    assert not list(tmp_path.iterdir())
