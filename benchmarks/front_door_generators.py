"""Tiny generators of every family whose images carry their label visibly, made on the spot."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import causalplug as cp
from causalplug.mechanisms.frozen.generator import FrozenMechanism

__all__ = ["FAMILIES", "Made"]

SIDE = cp.Label("side", 2)
PROMPTS = {0: "red", 1: "blue thing"}
Bare = Callable[[Tensor, Mapping[str, Tensor]], Callable[[], Tensor]]


@dataclass(frozen=True)
class Made:
    """One generator.

    Attributes:
        name: Its family.
        generator: It as a mechanism.
        bare: From codes ``(n,)`` and noise, the call without causalplug that paints the same.
    """

    name: str
    generator: FrozenMechanism
    bare: Bare


def gan(folder: Path) -> Made:
    """A convolutional GAN by configuration: an embedded label and a latent, upsampled twice.

    One channel of the first map is bright on the side that the label names.
    """
    seeds = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.ConvTranspose2d(10, 32, 4),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Tanh(),
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=seeds))
        first = network[0].weight
        first[8:] = 0
        first[8, :16, :, :2] = 1.5  # the left half for label 0
        first[9, :16, :, 2:] = 1.5
    layers = [
        {"type": "view", "shape": [10, 1, 1]},
        _layer("net.0", 10, 32, kernel_size=4),
        {"type": "relu"},
        _layer("net.2", 32, 16, kernel_size=4, stride=2, padding=1),
        {"type": "relu"},
        _layer("net.4", 16, 1, kernel_size=4, stride=2, padding=1),
        {"type": "tanh"},
    ]
    generator = cp.adapters.ConditionalGAN(
        cp.Image(1, 16, 16, low=-1.0),
        [SIDE],
        8,
        layers,
        tensors={f"net.{name}": value for name, value in network.state_dict().items()},
    )

    def bare(codes: Tensor, noise: Mapping[str, Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            label = nn.functional.one_hot(codes, 2).float()
            return network(torch.cat([noise["latent"], label], 1)[:, :, None, None])

        return run

    return Made("GAN by configuration", generator, bare)


def _layer(name: str, before: int, after: int, **more: int) -> dict[str, Any]:
    sizes = {"in_channels": before, "out_channels": after}
    return {"type": "conv_transpose2d", "name": name, **sizes, **more}


def diffusion(folder: Path) -> Made:
    """A class-conditional diffusion transformer with an autoencoder, by our own sampling loop."""
    pipeline = _written("DiTPipeline", folder, {"class_embedder": 20.0})
    generator = cp.from_pretrained(folder, labels=[SIDE], steps=2)

    def bare(codes: Tensor, noise: Mapping[str, Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            scheduler = copy.deepcopy(pipeline.scheduler)
            scheduler.set_timesteps(2)
            sample = noise["latent"]
            for t in scheduler.timesteps:
                times = t.expand(len(sample))
                found = pipeline.transformer(sample, times, class_labels=codes).sample
                sample = scheduler.step(found[:, :4], t, sample, return_dict=False)[0]
            decoded = pipeline.vae.decode(sample / pipeline.vae.config.scaling_factor).sample
            return decoded.clamp(-1, 1)

        return run

    return Made("diffusion transformer, by classes", generator, bare)


def flux(folder: Path) -> Made:
    """A flow-matching text-to-image pipeline by its own call, conditional on prompts."""
    scales = {"text_embedder.linear_2.weight": 40.0, "norm_out.linear.weight": 40.0}
    pipeline = _written("FluxPipeline", folder, scales)
    size = {"height": 16, "width": 16, "max_sequence_length": 16}
    generator = cp.from_pretrained(folder, prompts=PROMPTS, steps=2, call=size)

    def bare(codes: Tensor, noise: Mapping[str, Tensor]) -> Callable[[], Tensor]:
        from causalplug.adapters.row_seeds import seed_of

        seeds = [seed_of(pair) for pair in noise["seed"].tolist()]
        prompts = [PROMPTS[code] for code in codes.tolist()]

        def run() -> Tensor:
            generators = [torch.Generator().manual_seed(seed) for seed in seeds]
            found = pipeline(
                prompts, generator=generators, num_inference_steps=2, output_type="np", **size
            )
            return torch.from_numpy(found.images).permute(0, 3, 1, 2)

        return run

    return Made("Flux, by prompts", generator, bare)


def consistency(folder: Path) -> Made:
    """A class-conditional consistency model, which paints in one or two steps."""
    pipeline = _written("ConsistencyModelPipeline", folder, {"class_embedding": 3.0})
    generator = cp.from_pretrained(folder, labels=[SIDE], steps=1)

    def bare(codes: Tensor, noise: Mapping[str, Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            scheduler = copy.deepcopy(pipeline.scheduler)
            scheduler.set_timesteps(1)
            sample = noise["latent"] * scheduler.init_noise_sigma
            (t,) = scheduler.timesteps
            scaled = scheduler.scale_model_input(sample, t)
            found = pipeline.unet(scaled, t.expand(len(scaled)), class_labels=codes).sample
            return scheduler.step(found, t, sample, return_dict=False)[0].clamp(-1, 1)

        return run

    return Made("consistency model, by classes", generator, bare)


def decoder(folder: Path) -> Made:
    """The decoder of a conditional VAE in a full model of Keras, written without Keras."""
    import h5py

    rng = np.random.default_rng(3)
    first = 0.2 * rng.normal(size=(8, 64))
    side = np.zeros((4, 4, 4))
    side[:, :2, :2] = 1.5  # two channels are bright on the left for label 0
    first[6] = side.ravel()
    first[7] = side[:, ::-1].ravel()
    weights = {
        "dense": {"kernel": first, "bias": np.zeros(64)},
        "up": {"kernel": 0.3 * rng.normal(size=(4, 4, 8, 4)), "bias": np.zeros(8)},
        "paint": {"kernel": 0.3 * rng.normal(size=(3, 3, 8, 1)), "bias": np.zeros(1)},
    }
    with h5py.File(folder / "decoder.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(_decoder_config())
        for layer, arrays in weights.items():
            owner = file.create_group(f"model_weights/{layer}")
            owner.attrs["weight_names"] = [f"{layer}/{key}:0" for key in arrays]
            for key, array in arrays.items():
                owner.create_dataset(f"{layer}/{key}:0", data=array.astype(np.float32))
    generator = cp.from_pretrained(folder / "decoder.h5", labels=[SIDE])
    tensors = {}
    for layer, arrays in weights.items():
        for key, array in arrays.items():
            tensors[f"{layer}.{key}"] = torch.from_numpy(array).float()

    def bare(codes: Tensor, noise: Mapping[str, Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            label = nn.functional.one_hot(codes, 2).float()
            h = torch.cat([noise["latent"], label], 1) @ tensors["dense.kernel"]
            h = torch.relu(h + tensors["dense.bias"]).view(-1, 4, 4, 4).permute(0, 3, 1, 2)
            kernel, bias = tensors["up.kernel"].permute(3, 2, 0, 1), tensors["up.bias"]
            h = torch.relu(nn.functional.conv_transpose2d(h, kernel, bias, 2, 1))
            kernel, bias = tensors["paint.kernel"].permute(3, 2, 0, 1), tensors["paint.bias"]
            return torch.sigmoid(nn.functional.conv2d(h, kernel, bias, padding=1))

        return run

    return Made("VAE decoder of Keras", generator, bare)


def _decoder_config() -> dict[str, Any]:
    """A Functional model as Keras 2 writes it."""

    def layer(kind: str, name: str, reads: Sequence[str], **config: Any) -> dict[str, Any]:
        nodes = [[[one, 0, 0, {}] for one in reads]]
        return {
            "class_name": kind,
            "config": {"name": name, **config},
            "inbound_nodes": nodes if reads else [],
        }

    square = {"padding": "same", "strides": [1, 1]}
    layers = [
        layer("InputLayer", "latent", [], batch_input_shape=[None, 6]),
        layer("InputLayer", "side", [], batch_input_shape=[None, 2]),
        layer("Concatenate", "joined", ["latent", "side"], axis=-1),
        layer("Dense", "dense", ["joined"], units=64, activation="relu"),
        layer("Reshape", "reshape", ["dense"], target_shape=[4, 4, 4]),
        layer(
            "Conv2DTranspose",
            "up",
            ["reshape"],
            **(square | {"strides": [2, 2]}),
            activation="relu",
        ),
        layer("Conv2D", "paint", ["up"], **square, activation="sigmoid"),
    ]
    ends = {
        "input_layers": [["latent", 0, 0], ["side", 0, 0]],
        "output_layers": [["paint", 0, 0]],
    }
    return {"class_name": "Functional", "config": {"name": "decoder", "layers": layers, **ends}}


def _written(name: str, folder: Path, scales: Mapping[str, float]) -> Any:
    """A tiny pipeline written into a folder, whose parameters with these names are scaled."""
    from benchmarks.tiny_pipelines import build, kinds

    family, kind = next(pair for pair in kinds() if pair[1].name == name)
    pipeline = build(family, kind)
    network = pipeline.components.get("transformer") or pipeline.components["unet"]
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            for part, factor in scales.items():
                if part in key:
                    parameter.mul_(factor)
    pipeline.save_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    network.eval()
    return pipeline


FAMILIES: dict[str, Callable[[Path], Made]] = {
    "gan": gan,
    "diffusion": diffusion,
    "flux": flux,
    "consistency": consistency,
    "keras": decoder,
}
