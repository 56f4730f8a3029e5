"""What the code on a page of the documentation finds in place, where the page does not make it
itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import causalplug as cp
from causalplug.adapters.callable import CallableGenerator
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.files.facts import file_facts
from causalplug.files.storage import write_folder
from causalplug.files.weights import safetensors_writer

__all__ = ["SCOPES"]

LAYERS = [
    {"type": "linear", "in_features": 14, "out_features": 16, "name": "out"},
    {"type": "sigmoid"},
]


def adapters() -> dict[str, Any]:
    """A small GAN of ten labels in ``folder``, and a network to write an adapter for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ConditionalGAN(cp.Image(1, 4, 4), [cp.Label("digit", 10)], 4, LAYERS).save_pretrained(
            "folder"
        )

    class Network(nn.Module):
        def forward(self, latent: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
            return torch.tanh(latent[:, :1, None, None] + species[:, None, None, None]).expand(
                -1, 3, 32, 32
            )

    return {"cp": cp, "build_my_network": lambda width: Network()}


def publishing() -> dict[str, Any]:
    """A generator of two digits, and the graph that it is plugged into."""
    layers = [
        {"type": "linear", "in_features": 6, "out_features": 16, "name": "out"},
        {"type": "sigmoid"},
    ]
    image = cp.Image(1, 4, 4)
    generator = ConditionalGAN(image, [cp.Label("digit", 2)], 4, layers)
    variables = {"D": cp.Discrete(2), "I": image, "A": cp.Discrete(3)}
    return {
        "cp": cp,
        "generator": generator,
        "graph": cp.CausalGraph.parse("D -> I -> A; D <-> A"),
        "variables": variables,
    }


def demo() -> dict[str, Any]:
    """A front-door model of two digits, of which it is known what it was trained on."""
    made = publishing()
    made["generator"].save_pretrained("generator", license="mit")
    saved = cp.from_pretrained("generator")
    dcm = cp.DCM(made["graph"], made["variables"], mechanisms={"I": saved})
    dcm.sources = (cp.Source(["D", "I", "A"], name="rows"),)
    return {"cp": cp, "dcm": dcm}


def hub() -> dict[str, Any]:
    """Tensors to write into a folder, and a stand-in for the Hub's controls."""

    class Hub:
        def steer(self, what: str, **values: Any) -> None:
            assert what == "fault"

    names = {
        "write_folder": write_folder,
        "safetensors_writer": safetensors_writer,
        "file_facts": file_facts,
    }
    return {
        **names,
        "json": json,
        "tensors": {"a": torch.zeros(2)},
        "config": {"format": "x"},
        "hub": Hub(),
    }


def planning() -> dict[str, Any]:
    """A Bayesian network in a file."""
    lines = ["network asia { }"]
    edges = {"asia": (), "smoke": (), "tub": ("asia",), "lung": ("smoke",), "bronc": ("smoke",)}
    edges |= {"either": ("lung", "tub"), "xray": ("either",), "dysp": ("bronc", "either")}
    lines += [f"variable {name} {{ type discrete [ 2 ] {{ yes, no }}; }}" for name in edges]
    lines += [
        f"probability ( {name}{' | ' * bool(p)}{', '.join(p)} ) {{ }}" for name, p in edges.items()
    ]
    Path("asia.bif").write_text("\n".join(lines))
    return {}


def painter(parent: str, size: int) -> CallableGenerator:
    """A generator that costs nothing: images of one brightness."""

    def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        return np.broadcast_to(labels[:, :, None, None] / size, (len(labels), 1, 8, 8)).astype(
            np.float32
        )

    return CallableGenerator(paint, cp.Image(1, 8, 8), [cp.Label(parent, size)], latent_shape=(1,))


def sampling() -> dict[str, Any]:
    """An untrained model, of which nothing is known about what data determine."""
    text = "D -> I -> A; D <-> A; age; dose; X1 -> X2 -> Image1; X -> Y; Z -> Y"
    two = dict.fromkeys(("D", "X1", "X", "Y"), cp.Discrete(2))
    numbers = {"age": cp.Continuous(), "dose": cp.Continuous()}
    images = dict.fromkeys(("I", "Image1"), cp.Image(1, 8, 8))
    words = {"A": cp.Discrete(["red", "green", "blue"]), "X2": cp.Discrete(5), "Z": cp.Discrete(3)}
    painted = {"I": painter("D", 2), "Image1": painter("X2", 5)}
    dcm = cp.DCM(
        cp.CausalGraph.parse(text), {**two, **numbers, **images, **words}, mechanisms=painted
    )
    dcm.mechanism("age").standardise(torch.linspace(20, 80, 100))  # type: ignore[operator]
    return {"cp": cp, "dcm": dcm}


def estimating() -> dict[str, Any]:
    """Another one, with the names of the second half of that page."""
    text = "D -> I -> A; D <-> A; X -> Y; dose -> Y2; C -> N"
    two = dict.fromkeys(("D", "C", "N", "Y2"), cp.Discrete(2))
    graph = cp.CausalGraph.parse(text.replace("Y2", "Y"))
    two.pop("Y2")
    words = {"A": cp.Discrete(["red", "green", "blue"]), "X": cp.Discrete(["no", "yes"])}
    words |= {"Y": cp.Discrete(["low", "high"])}
    variables = {**two, **words, "dose": cp.Continuous(), "I": cp.Image(1, 8, 8)}
    return {"cp": cp, "dcm": cp.DCM(graph, variables, mechanisms={"I": painter("D", 2)})}


def ensembles() -> dict[str, Any]:
    """Three models that differ by their seed."""
    graph = cp.CausalGraph.parse("D -> A; D <-> A")
    made = [cp.DCM(graph, dict.fromkeys("DA", cp.Discrete(2)), seed=seed) for seed in range(3)]
    return {"cp": cp, "first": made[0], "second": made[1], "third": made[2]}


def pictures() -> dict[str, Any]:
    """Bars that lie or stand, as bright as T says."""
    rng = np.random.default_rng(0)
    lying, bright = rng.integers(0, 2, 60), rng.uniform(0.2, 1.0, 60).astype(np.float32)
    y, x = np.mgrid[:8, :8]
    bars = np.stack([np.where(one, y, x) // 3 == 1 for one in lying])[:, None]
    rows = {"D": lying, "T": bright, "I": (bars * bright[:, None, None, None]).astype(np.float32)}
    return {
        "graph": cp.CausalGraph.parse("T -> I; D -> I"),
        "variables": {"D": cp.Discrete(2), "T": cp.Continuous(), "I": cp.Image(1, 8, 8)},
        "rows": rows,
        "seen": {name: column[:12] for name, column in rows.items()},
        "classifier": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)),
        "regressor": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1)),
    }


SCOPES: dict[str, dict[int, Any]] = {
    "adapters.md": {0: adapters},
    "demo.md": {0: demo},
    "hub.md": {0: publishing},
    "hub_format.md": {0: hub},
    "image_counterfactuals.md": {0: pictures},
    "planning.md": {0: planning},
    "sampling.md": {0: sampling, 2: estimating, 3: ensembles, 4: estimating},
}
"""Page to the number of the block before which a function is called, whose result replaces all
names so far."""
