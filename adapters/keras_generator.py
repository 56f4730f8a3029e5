"""A generator of Keras, with its architecture, as a conditional GAN of ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike

import torch
from torch import Tensor, nn

from causalplug.adapters.conditional_gan import ConditionalGAN, Latent
from causalplug.adapters.keras_files import open_keras
from causalplug.adapters.keras_graph import KerasInput, KerasModel, keras_model
from causalplug.adapters.keras_layers import Layer
from causalplug.adapters.reasons import first_line
from causalplug.adapters.rules import LABELS, TERMS
from causalplug.arguments import NAME, instance, takes
from causalplug.errors import MechanismError, RepositoryError
from causalplug.mechanisms.frozen.generator import LabelMapSpec
from causalplug.mechanisms.frozen.label import Label
from causalplug.variables import Image

__all__ = ["read_keras_generator"]

_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


@takes(
    MechanismError,
    labels=LABELS,
    image=instance("a cp.Image", Image).or_none("what the model's output says"),
    latent_input=NAME.or_none("the input that is no label"),
    **TERMS,
)
def read_keras_generator(
    path: str | PathLike[str],
    labels: Sequence[Label] = (),
    *,
    image: Image | None = None,
    latent: Latent | None = None,
    latent_input: str | None = None,
    license: str | None = None,
    source: str | None = None,
    label_map: LabelMapSpec = None,
    transform: str | Sequence[str] = (),
) -> ConditionalGAN:
    """The generator in a Keras file, ``.keras`` or a full model in HDF5; Keras is not needed.

    Architecture and weights are read from the file, so that nothing has to be typed. What is made
    is a :class:`~causalplug.adapters.ConditionalGAN`, which saves, loads and trains as any other.

    Args:
        path: The file.
        labels: Its labels in the order of its inputs, or in any order where they have the names of
            the inputs. An input of one code that embeddings read, and an input of one-hot rows, are
            understood.
        image: What it paints; by default of the size of its output, in [-1, 1] where it ends in a
            tanh and in [0, 1] where it ends in a sigmoid.
        latent: Its random input; by default standard normal.
        latent_input: The name of the input that is random, where several could be.
        license, source, label_map, transform: As for
            :class:`~causalplug.adapters.ConditionalGAN`.

    Raises:
        MissingDependencyError: h5py is not installed.
        RepositoryError: The file holds no model, or layers that are not understood: by name.
        MechanismError: The labels do not fit the inputs, or the image does not fit the output.
    """
    with open_keras(path) as file:
        model = keras_model(file.config, file.weights)
    place, order = _matched(model.inputs, labels, latent_input)
    size = math.prod(model.inputs[place].shape)
    if latent is None:
        latent = Latent(size)
    if latent.size != size:
        raise MechanismError(
            f"The latent of {latent.size} numbers does not fit the input "
            f"{model.inputs[place].name!r} of {path}, which has {size}."
        )
    kind = _Labelled if labels else _Unconditional
    network = kind(model, place, order, [label.size for label in labels], image)
    shape = _painted_shape(network, latent.size, labels, path)
    if image is None:
        image = _image(shape, _last_activation(model), path)
    if shape != image.event_shape:
        raise MechanismError(
            f"The model in {path} paints images of shape {list(shape)} (channels, height, width), "
            f"and image= declares {list(image.event_shape)}. Declare its own shape; a transform "
            "such as 'resize' changes it."
        )
    return ConditionalGAN.from_module(
        network,
        image,
        labels,
        latent,
        license=license,
        source=source,
        label_map=label_map,
        transform=transform,
    )


class _Generator(nn.Module):
    """The model, called with a latent row and the labels as one-hot rows.

    Args:
        model: The model.
        place: Which input is the latent.
        order: For each label, which input it is.
        sizes: The number of categories of each label.
        image: What is painted, where the output is a row of numbers.
    """

    def __init__(
        self,
        model: KerasModel,
        place: int,
        order: Sequence[int],
        sizes: Sequence[int],
        image: Image | None,
    ):
        super().__init__()
        self.model, self.place, self.order = model, place, tuple(order)
        self.sizes, self.declared = tuple(sizes), image

    def paint(self, latent: Tensor, labels: Sequence[Tensor]) -> Tensor:
        """Images ``(n, channels, height, width)``, or rows of numbers that nothing declares."""
        inputs = self.model.inputs
        given: list[Tensor] = [latent] * len(inputs)
        given[self.place] = latent.reshape(latent.shape[0], *inputs[self.place].shape)
        for place, size, label in zip(self.order, self.sizes, labels, strict=True):
            if label.ndim != 2 or label.shape[1] != size:
                raise ValueError("a label comes as one-hot rows")
            shape = inputs[place].shape
            if inputs[place].embedded:
                shape = (*shape, size)
            given[place] = label.to(latent.dtype).reshape(label.shape[0], *shape)
        painted: Tensor = self.model(*given)
        if painted.ndim == 2 and self.declared is not None:
            image = self.declared
            painted = painted.reshape(latent.shape[0], image.height, image.width, image.channels)
        if painted.ndim != 4:
            return painted
        return painted.permute(0, 3, 1, 2)


class _Labelled(_Generator):
    def forward(self, latent: Tensor, *labels: Tensor) -> Tensor:
        return self.paint(latent, labels)


class _Unconditional(_Generator):
    def forward(self, latent: Tensor) -> Tensor:
        return self.paint(latent, ())


def _matched(
    inputs: Sequence[KerasInput], labels: Sequence[Label], latent_input: str | None
) -> tuple[int, list[int]]:
    """Which input is the latent, and which is each label.

    Raises:
        MechanismError: It cannot be told, or an input does not fit its label.
    """
    names = [one.name for one in inputs]
    described = ", ".join(f"{one.name} {list(one.shape)}" for one in inputs)
    if len(inputs) != len(labels) + 1:
        raise MechanismError(
            f"The model has {len(inputs)} input{'s' * (len(inputs) != 1)} ({described}), and "
            f"{len(labels)} label{'s' * (len(labels) != 1)} and a latent need {len(labels) + 1}. "
            'Declare its labels, as in labels=[cp.Label("digit", 10)].'
        )
    if latent_input is not None and latent_input not in names:
        raise MechanismError(
            f"latent_input={latent_input!r} is not an input of the model: these are {described}."
        )
    named = {label.name: names.index(label.name) for label in labels if label.name in names}
    possible = [place for place in range(len(inputs)) if place not in named.values()]
    if latent_input is not None:
        possible = [names.index(latent_input)]
    elif len(possible) > 1:
        others = [label for label in labels if label.name not in named]
        possible = [p for p in possible if not any(_fits(inputs[p], one) for one in others)]
    if len(possible) != 1:
        raise MechanismError(
            f"Which input of the model is the latent cannot be told: they are {described}. Name "
            "it, as in latent_input=…."
        )
    (place,) = possible
    rest = iter([p for p in range(len(inputs)) if p != place and p not in named.values()])
    order = [named[label.name] if label.name in named else next(rest) for label in labels]
    for label, where in zip(labels, order, strict=True):
        if not _fits(inputs[where], label):
            raise MechanismError(
                f"The label {label.name!r} with {label.size} categories does not fit the input "
                f"{inputs[where].name!r} of shape {list(inputs[where].shape)}: an input of codes "
                "must be read by embeddings alone, and another one must have a number for each "
                "category."
            )
    return place, order


def _fits(one: KerasInput, label: Label) -> bool:
    if one.embedded:
        return math.prod(one.shape) == 1
    return math.prod(one.shape) == label.size


def _painted_shape(
    network: _Generator, latent: int, labels: Sequence[Label], path: object
) -> tuple[int, ...]:
    """The shape of one image.

    Raises:
        RepositoryError: The model does not run.
    """
    codes = [torch.eye(label.size)[:1].expand(2, -1) for label in labels]
    try:
        with torch.no_grad():
            return tuple(network.paint(torch.zeros(2, latent), codes).shape[1:])
    except Exception as error:  # what a file describes fails in as many ways as torch does
        raise RepositoryError(
            f"cannot use {path}: its model does not run ({first_line(error)[:200]})"
        ) from None


def _image(shape: tuple[int, ...], ends: str, path: object) -> Image:
    if len(shape) != 3:
        raise MechanismError(
            f"The model in {path} gives {list(shape)} numbers a row. Declare what they are, as in "
            "image=cp.Image(1, 28, 28, low=-1.0)."
        )
    if ends not in _RANGES:
        raise MechanismError(
            f"The range of the images of {path} is not known: the model ends in {ends!r}. Declare "
            f"it, as in image=cp.Image{shape} with low= and high=."
        )
    low, high = _RANGES[ends]
    return Image(*shape, low=low, high=high)


def _last_activation(model: KerasModel) -> str:
    """The activation that the model ends in, by name; behind reshapes too."""
    key = model.output
    while key in model.nodes:
        layer = model.layers[model.places[model.nodes[key].layer]]
        if isinstance(layer, KerasModel):
            return _last_activation(layer)
        if isinstance(layer, Layer) and layer.ends != "linear":
            return layer.ends
        if isinstance(layer, Layer) and layer.moves_values:
            key = model.nodes[key].reads[0]
            continue
        break
    return "linear"
