"""Pixels as image processors make them: the truth is the processors of transformers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.places import snapshot_of
from causalplug.adapters.transformers_pixels import pixel_statistics
from causalplug.errors import MechanismError, RepositoryError

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN = {
    "do_resize": True,
    "size": {"height": 16, "width": 16},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
CROPPED = {"size": {"shortest_edge": 20}, "do_center_crop": True}
CASES = {
    "as usual": ("ViTImageProcessor", {}, (16, 16)),
    "not normalised": ("ViTImageProcessor", {"do_normalize": False}, (16, 16)),
    "not rescaled": ("ViTImageProcessor", {"do_rescale": False}, (16, 16)),
    "to [0, 2]": ("ViTImageProcessor", {"rescale_factor": 1 / 127.5}, (16, 16)),
    "resized": ("ViTImageProcessor", {"resample": 3}, (40, 28)),
    "cut": ("CLIPImageProcessor", CROPPED | {"crop_size": {"height": 16, "width": 16}}, (40, 30)),
    "cut by a share": ("ConvNextImageProcessor", {"size": {"shortest_edge": 16}}, (32, 40)),
    "moved": (
        "EfficientNetImageProcessor",
        {"rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": True},
        (16, 16),
    ),
}


def described(folder: Path, processor: dict, **config: object) -> object:
    folder.mkdir(exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / "config.json").write_text(json.dumps(config))
    return snapshot_of(folder)


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_those_of_the_processor(tmp_path, case):
    name, settings, shape = CASES[case]
    processor = getattr(transformers, name)(**(PLAIN | settings))
    processor.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    ramp = np.linspace(0, 250, shape[0] * shape[1]).reshape(*shape, 1)
    bytes_ = (ramp + np.arange(3)).astype(np.uint8)  # smooth: rounding to bytes hardly matters
    wanted = processor(bytes_, return_tensors="pt")["pixel_values"].float()
    images = torch.from_numpy(bytes_.transpose(2, 0, 1).copy())[None] / 255
    found = pixel_statistics(snapshot_of(tmp_path), {}).pixels(images, 0.0, 1.0)
    assert found.shape == wanted.shape
    step = float((wanted.max() - wanted.min()) / 255)
    assert float((found - wanted).abs().max()) < 2 * step


def test_a_range_of_the_variable_changes_nothing(tmp_path):
    statistics = pixel_statistics(described(tmp_path, PLAIN), {"image_size": 16})
    images = torch.rand(2, 3, 16, 16)
    assert torch.allclose(
        statistics.pixels(images, 0, 1), statistics.pixels(2 * images - 1, -1, 1), atol=1e-5
    )


def test_encoders_see_the_whole_image(tmp_path):
    settings = PLAIN | CROPPED | {"crop_size": {"height": 16, "width": 16}}
    whole = pixel_statistics(described(tmp_path, settings), {"image_size": 16}).whole()
    images = torch.zeros(1, 3, 32, 32)
    images[:, :, :3] = 1.0  # a bar that the cut would take off
    assert float(whole.pixels(images, 0, 1)[0, 0, 0].mean()) > 0


def test_a_model_of_timm_says_it_in_its_configuration(tmp_path):
    mean = [0.485, 0.456, 0.406]
    config = {
        "pretrained_cfg": {
            "input_size": [3, 16, 16],
            "mean": mean,
            "std": mean,
            "interpolation": "bicubic",
            "crop_pct": 0.8,
        }
    }
    (tmp_path / "config.json").write_text("{}")
    found = pixel_statistics(snapshot_of(tmp_path), config)
    assert (found.size, found.edge, found.filter) == ((16, 16), 20, "bicubic")
    assert found.mean == found.std == tuple(mean)


def test_a_processor_beside_a_tokenizer_is_read(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    both = {"image_processor": PLAIN, "processor_class": "CLIPProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(both))
    assert pixel_statistics(snapshot_of(tmp_path), {}).mean == (0.485, 0.456, 0.406)


def test_contradictions_are_refused(tmp_path):
    with pytest.raises(RepositoryError, match="means of 3 channels, and the model reads 1"):
        pixel_statistics(described(tmp_path, PLAIN), {"num_channels": 1})
    small = PLAIN | CROPPED | {"crop_size": {"height": 24, "width": 24}}
    with pytest.raises(RepositoryError, match="cuts 24 x 24 pixels out of images"):
        pixel_statistics(described(tmp_path, small), {})


@pytest.mark.parametrize(("own", "given", "fits"), [(1, 1, True), (1, 3, False), (3, 4, False)])
def test_channels_are_those_of_the_model(tmp_path, own, given, fits):
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        num_channels=own,
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    labels = cp.Discrete(["LABEL_0", "LABEL_1"])
    made = cp.from_pretrained(tmp_path, variable=labels)
    parent = {"I": cp.Image(given, 16, 16)}
    if fits:
        made.bind("Y", labels, parent)
        return
    with pytest.raises(MechanismError, match=f"has {given} channels, and the model reads {own}"):
        made.bind("Y", labels, parent)
