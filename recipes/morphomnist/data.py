"""Morpho-MNIST with thickness and intensity, and the judges of the counterfactual benchmark."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import causalplug as cp

__all__ = ["IMAGE", "judges", "lenet_features", "load"]

IMAGE = cp.Image(1, 28, 28)
_RANGES = {"thickness": (0.87598526, 6.255515), "intensity": (66.601204, 254.90317)}
"""By which the judges scale numbers to [-1, 1]."""


def load(folder: str | Path) -> dict[str, Any]:
    """Columns digit, thickness, intensity and image of the files in ``folder``."""
    home = Path(folder)
    with gzip.open(home / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(home / "t10k-labels-idx1-ubyte.gz") as file:
        digits = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    table = pd.read_csv(home / "t10k-morpho.csv.gz")
    numbers = {name: table[name].to_numpy(np.float32) for name in _RANGES}
    return {"digit": digits, **numbers, "image": images}


class _Judge(nn.Module):
    """One judge; ``reads`` the intensity beside the image where its first layer is wider."""

    layers = ((1, 8, 7, 1, 3), (8, 16, 3, 2, 1), (16, 16, 3, 1, 1))
    more = ((16, 32, 3, 2, 1), (32, 32, 3, 1, 1), (32, 64, 3, 2, 1))

    def __init__(self, weights: dict[str, Tensor], scale: tuple[float, float] | None):
        super().__init__()
        places = (0, 4, 7, 10, 13, 16)
        self.cnn = nn.ModuleDict()
        for place, (inner, outer, size, stride, pad) in zip(
            places, (*self.layers, *self.more), strict=True
        ):
            self.cnn[str(place)] = nn.Conv2d(inner, outer, size, stride, pad, bias=False)
            self.cnn[str(place + 1)] = nn.BatchNorm2d(outer)
        wide, outputs = weights["fc.0.weight"].shape[1], len(weights["fc.3.bias"])
        self.fc = nn.ModuleDict({"0": nn.Linear(wide, 64, bias=False), "1": nn.BatchNorm1d(64)})
        self.fc["3"] = nn.Linear(64, outputs)
        self.load_state_dict(weights)
        self.scale = scale

    def read(self, image: Tensor, more: Tensor | None) -> Tensor:
        maps = nn.functional.pad(image, (2, 2, 2, 2)) * 2 - 1
        blocks = list(self.cnn.values())
        for convolution, norm in zip(blocks[::2], blocks[1::2], strict=True):
            maps = nn.functional.leaky_relu(norm(convolution(maps)), 0.01)
        found = maps.mean((2, 3))
        if more is not None:
            low, high = _RANGES["intensity"]
            found = torch.cat([found, (2 * (more - low) / (high - low) - 1).unsqueeze(1)], 1)
        found = nn.functional.leaky_relu(self.fc["1"](self.fc["0"](found)), 0.01)
        out = self.fc["3"](found)
        if self.scale is None:
            return out
        low, high = self.scale
        return ((out + 1) / 2 * (high - low) + low).squeeze(1)

    def forward(self, image: Tensor) -> Tensor:
        return self.read(image, None)


class _Both(_Judge):
    def forward(self, image: Tensor, intensity: Tensor) -> Tensor:  # type: ignore[override]
        return self.read(image, intensity)


def judges(folder: str | Path) -> dict[str, cp.Mechanism]:
    """The three judges as frozen mechanisms."""
    image, numbers = cp.Condition("image", IMAGE), cp.Condition("intensity", cp.Continuous())
    kinds = {"digit": cp.Discrete(10), "thickness": cp.Continuous(), "intensity": cp.Continuous()}
    found: dict[str, cp.Mechanism] = {}
    for name, kind in kinds.items():
        weights = load_file(Path(folder) / f"judge-{name}.safetensors")
        made, reads = _Judge, [image]
        if name == "thickness":
            made, reads = _Both, [image, numbers]
        network = made(weights, _RANGES.get(name)).eval()
        output = "logits" if name == "digit" else None
        found[name] = cp.wrap(network, kind, conditions=reads, output=output)
    return found


class _LeNet(nn.Module):
    """The convolutional part of a LeNet-5 that tells digits apart."""

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5), nn.Linear(120, 84)]
        )
        for layer, place in zip(self.layers, ("c1", "c3", "c5", "f6"), strict=True):
            own = {k: v for k, v in weights.items() if f".{place}." in k}
            layer.load_state_dict({k.rpartition(".")[2]: v for k, v in own.items()})

    def forward(self, image: Tensor) -> Tensor:
        maps = nn.functional.interpolate(image, (32, 32), mode="bilinear", antialias=True)
        for layer in list(self.layers)[:2]:
            maps = nn.functional.max_pool2d(layer(maps).relu(), 2)
        return self.layers[3](self.layers[2](maps).relu().flatten(1)).relu()


def lenet_features(folder: str | Path) -> Any:
    """The 84 features of a LeNet-5, a function from images ``(n, 1, 28, 28)``, for realism and
    minimality."""
    network = _LeNet(load_file(Path(folder) / "model.safetensors")).eval()

    def lenet(images: Tensor) -> Tensor:
        return network(images)

    return lenet
