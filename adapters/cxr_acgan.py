"""The AC-GAN generator of chest X-rays of Carbone et al. 2023, and the converter from its Keras
weights.

The generator (MIT licence,
https://github.com/giocoal/CXR-ACGAN-chest-xray-generator-covid19-pneumonia) is the one that Rahman
& Kocaoglu 2024 plug into their chest X-ray model. Its weights are the user's to bring.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from os import PathLike

import torch
from torch import Tensor

from causalplug.adapters.conditional_gan import ConditionalGAN, Latent
from causalplug.adapters.keras_weights import KerasLayer, kernel_from_keras, read_keras_layers
from causalplug.adapters.rules import TERMS
from causalplug.arguments import takes
from causalplug.errors import MechanismError, RepositoryError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.values import Json, Named
from causalplug.variables import Image

__all__ = ["CXRACGAN", "FINDINGS"]

FINDINGS = ("COVID", "normal", "pneumonia")
"""The generator's labels in its order, which is that of its class folders."""

_KINDS = ["dense", "embedding", "dense", *["conv", "norm"] * 3, "conv"]


@register_mechanism("cxr-acgan")
class CXRACGAN(ConditionalGAN):
    """Chest X-rays ``(3, 112, 112)`` in [-1, 1] for the label COVID, normal or pneumonia.

    The latent is uniform on [-1, 1), as in the generator's training.

    Args:
        channels: Widths of the four feature maps; the published weights have the default.
        embedding: Width of the label's embedding.
        tensors: The weights under this class's names; random weights without.

    Example:
        ``CXRACGAN.from_keras("params_generator_epoch_288.hdf5").save_pretrained("cxr-acgan")``
    """

    weights_license = "mit"

    def __init__(
        self,
        *,
        channels: Sequence[int] = (1024, 512, 256, 128),
        embedding: int = 100,
        latent: int = 100,
        tensors: Mapping[str, Tensor] | None = None,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        self.channels, self.embedding = tuple(channels), embedding
        super().__init__(
            Image(3, 112, 112, low=-1.0, high=1.0),
            [Label("finding", FINDINGS)],
            Latent(latent, "uniform", low=-1.0, high=1.0),
            _trunk(self.channels),
            inputs=_inputs(self.channels, embedding, latent),
            tensors=tensors,
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )

    def config(self) -> Json:
        return {
            "channels": list(self.channels),
            "embedding": self.embedding,
            "latent": self.latent.size,
        }

    @classmethod
    def from_config(cls, config: Named) -> CXRACGAN:
        return cls(**config)

    @classmethod
    @takes(MechanismError, **TERMS)
    def from_keras(
        cls,
        path: str | PathLike[str],
        *,
        license: str | None = "mit",
        source: str | None = "giocoal/CXR-ACGAN-chest-xray-generator-covid19-pneumonia",
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ) -> CXRACGAN:
        """Convert the generator's Keras HDF5 weights; Keras is not needed.

        Layers are told by their order and shapes, because their names depend on what was built
        before them.

        Args:
            path: A weights file, or a full model.
            license, source: Licence and origin of the weights; those of the published ones by
                default.
            label_map, transform: As for
                :class:`~causalplug.mechanisms.frozen.generator.FrozenMechanism`.

        Raises:
            MissingDependencyError: h5py is not installed.
            RepositoryError: The file holds another architecture.
        """
        layers = read_keras_layers(path)
        kinds = [layer.kind for layer in layers]
        if kinds != _KINDS:
            raise RepositoryError(
                f"cannot convert {path}: its layers with weights are {', '.join(kinds) or 'none'}, "
                f"those of the generator {', '.join(_KINDS)}. Give the generator's weights, not "
                "the discriminator's"
            )
        latent, embedding = layers[0].weights[0].shape[0], layers[1].weights[0].shape[1]
        convolutions = [layer.weight("kernel") for layer in layers if layer.kind == "conv"]
        first = convolutions[0].shape[3] - 1
        channels = (first, *(kernel.shape[2] for kernel in convolutions[:-1]))
        return cls(
            channels=channels,
            embedding=embedding,
            latent=latent,
            tensors=_converted(layers),
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )


def _inputs(channels: Sequence[int], embedding: int, latent: int) -> list[Json]:
    noise = [
        {
            "type": "linear",
            "name": "noise.dense",
            "in_features": latent,
            "out_features": 49 * channels[0],
        },
        {"type": "relu"},
        {"type": "view", "shape": [7, 7, channels[0]], "permute": [2, 0, 1]},
    ]
    label = [
        {"type": "linear", "name": "label.dense", "in_features": embedding, "out_features": 49},
        {"type": "view", "shape": [1, 7, 7]},
    ]
    return [
        {"input": "latent", "layers": noise},
        {
            "input": "finding",
            "encoding": "embedding",
            "size": embedding,
            "name": "label.embedding",
            "layers": label,
        },
    ]


def _trunk(channels: Sequence[int]) -> list[Json]:
    """Transposed convolutions with 'same' padding: padding=2, output_padding=1 would shift the
    kernel by one."""
    layers: list[Json] = []
    widths = [channels[0] + 1, *channels[1:], 3]
    for stage, (before, after) in enumerate(itertools.pairwise(widths)):
        layers += [
            {
                "type": "conv_transpose2d",
                "name": f"conv.{stage}",
                "in_channels": before,
                "out_channels": after,
                "kernel_size": 5,
                "stride": 2,
            },
            {"type": "crop", "edges": [1, 2, 1, 2]},
        ]
        if after != 3 or stage < len(widths) - 2:
            norm = {
                "type": "batch_norm2d",
                "name": f"norm.{stage}",
                "num_features": after,
                "eps": 1e-3,
            }
            layers += [norm, {"type": "relu"}]
    return [*layers, {"type": "tanh"}]


def _converted(layers: Sequence[KerasLayer]) -> dict[str, Tensor]:
    names = ["noise.dense", "label.embedding", "label.dense"]
    names += [name for stage in range(3) for name in (f"conv.{stage}", f"norm.{stage}")] + [
        "conv.3"
    ]
    found: dict[str, Tensor] = {}
    for name, layer in zip(names, layers, strict=True):
        if layer.kind == "norm":
            found[f"{name}.weight"], found[f"{name}.bias"] = (
                layer.weight("gamma"),
                layer.weight("beta"),
            )
            found[f"{name}.running_mean"] = layer.weight("moving_mean")
            found[f"{name}.running_var"] = layer.weight("moving_variance")
        elif layer.kind == "embedding":
            found[f"{name}.weight"] = layer.weight("embeddings")
        else:
            found[f"{name}.weight"], found[f"{name}.bias"] = (
                kernel_from_keras(layer.weight("kernel")),
                layer.weight("bias"),
            )
    return {key: value.to(torch.float32) for key, value in found.items()}
