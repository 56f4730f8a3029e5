"""Conditional GANs described by data alone: inputs, how labels are encoded, layers, latent, output
range.

No code belongs to any one generator. A configuration names what each input goes through, how the
inputs are joined and the layers after that, with the names that the tensors have in the source's
file; ``docs/adapters.md`` has examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from causalplug.adapters.gan_inputs import JoinedInputs, read_inputs
from causalplug.adapters.gan_program import Program, program_of
from causalplug.adapters.gan_weights import chosen, plain_weights
from causalplug.adapters.reasons import first_line
from causalplug.arguments import REQUIRED, choice, number, read_fields, setting, whole
from causalplug.errors import MechanismError
from causalplug.files.weights import load_tensors
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.abduction import search_latent
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.mechanisms.frozen.trial import try_generator
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import names_of, sizes_of, to_dicts
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

__all__ = ["ConditionalGAN", "Latent"]


@dataclass(frozen=True)
class Latent:
    """The random input of a generator.

    Args:
        size: Numbers of one row.
        distribution: ``"normal"`` or ``"uniform"``.
        low, high: Bounds of the uniform distribution, ``[low, high)``.
        mean, std: Mean and standard deviation of the normal distribution.
    """

    size: int = setting(REQUIRED, whole(1, 2**24))
    distribution: str = setting("normal", choice("normal", "uniform"))
    low: float = setting(0.0, number())
    high: float = setting(1.0, number())
    mean: float = setting(0.0, number())
    std: float = setting(1.0, number(above=0))

    def __post_init__(self) -> None:
        read_fields(self, MechanismError)
        if not self.low < self.high:
            raise MechanismError(
                f"A latent between low={self.low} and high={self.high} cannot be drawn: low must "
                "be smaller than high."
            )

    @property
    def spec(self) -> NoiseSpec:
        """The noise that it is made from."""
        return NoiseSpec((self.size,), self.distribution)

    def __call__(self, noise: Tensor) -> Tensor:
        """The latent ``(n, size)`` from standard noise: normal, or uniform on [0, 1)."""
        if self.distribution == "normal":
            if (self.mean, self.std) == (0.0, 1.0):
                return noise
            return self.mean + self.std * noise
        if (self.low, self.high) == (0.0, 1.0):
            return noise
        return self.low + (self.high - self.low) * noise


@register_mechanism("conditional-gan")
class ConditionalGAN(FrozenMechanism):
    """A conditional (or unconditional) GAN generator, built from a configuration.

    Args:
        image: What it paints, in its own range.
        labels: Its labels in order; none for an unconditional generator.
        latent: Its random input.
        inputs: In the order in which they are joined, ``{"input": "latent" or a label's name}`` and
            optionally ``"layers"`` that it goes through first. A label also says ``"encoding"``:
            ``"one-hot"`` (default), ``"code"`` (the place of the category), ``"number"`` (the
            category, which is a number) or ``"embedding"`` with ``"size"`` and the ``"name"`` of
            its table. An input may be used several times. By default the latent, then the
            labels.
        layers: What follows; see :class:`~causalplug.mechanisms.frozen.layers.LayerList`. They end
            in one image, or a row that has as many numbers.
        program: In place of inputs and layers, what :meth:`from_module` wrote.
        join: ``"concat"`` along the channels, ``"multiply"`` or ``"add"``.
        styles: What layers of the type ``"conditional_norm"`` read, by name: ``{"inputs": […]}`` as
            above, and optionally ``"join"`` and ``"layers"``.
        tensors: The weights under their names in the source, copied; random weights without.
            Spectral and weight normalisation are folded into the weights.
        only: Patterns of the names that belong to the generator, such as ``"generator.*"``, whose
            prefix is taken off.
        ignore: Patterns of names to be left out, such as ``"*.noise"``.

    Raises:
        MechanismError: The parts do not fit each other, or the weights do not fit them; tensors are
            named.
    """

    differentiable = True
    abduction = "approximate"

    def __init__(
        self,
        image: Image,
        labels: Sequence[Label],
        latent: Latent | int,
        layers: Sequence[Named] = (),
        *,
        program: Named | None = None,
        inputs: Sequence[Named] | None = None,
        join: str = "concat",
        styles: Mapping[str, Named] | None = None,
        tensors: Mapping[str, Tensor] | None = None,
        only: str | Sequence[str] = (),
        ignore: str | Sequence[str] = (),
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        if isinstance(latent, int):
            self.latent = Latent(latent)
        else:
            self.latent = latent
        noise = {"latent": self.latent.spec}
        super().__init__(
            image,
            labels,
            noise,
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )
        self.join, self.styles = join, {name: dict(item) for name, item in (styles or {}).items()}
        self.inputs = read_inputs(
            inputs or [{"input": name} for name in ("latent", *self._names())], self.labels
        )
        self.layers = list(map(dict, layers))
        self.program: Program | None = None
        self.network = nn.Module()
        if program is not None:
            self.program = _read_program(program, layers, inputs)
            self.network = self.program.built()
            self.differentiable = self.program.differentiable
        tables: dict[str, nn.Embedding] = {}
        self._trunk = JoinedInputs(
            self.inputs, join, self.layers, self.labels, self.network, tables
        )
        self._styles: dict[str, JoinedInputs] = {}
        for name, item in self.styles.items():
            self._styles[name] = self._style(name, item, tables)
        self._check_inputs()
        if tensors is not None:
            given = plain_weights(chosen(tensors, only, ignore), self.network)
            load_tensors(self.network, given, source or "the given tensors")
        freeze(self)
        self._try()
        if tensors is not None:
            try_generator(self)

    def _names(self) -> list[str]:
        return names_of(self.labels)

    def _style(self, name: str, item: Named, tables: dict[str, nn.Embedding]) -> JoinedInputs:
        """What conditional normalisations read under a name."""
        unknown = sorted(set(item) - {"inputs", "join", "layers"})
        if unknown or not item.get("inputs"):
            raise MechanismError(
                f"The style {name!r} cannot be read: it has the keys inputs, join and layers, and "
                "inputs are those of the generator."
            )
        items = read_inputs(item["inputs"], self.labels)
        join, layers = item.get("join", "concat"), item.get("layers", ())
        return JoinedInputs(items, join, layers, self.labels, self.network, tables)

    def _check_inputs(self) -> None:
        """Refuse a generator that leaves the latent or a label unread."""
        wanted, given = ["latent", *self._names()], [item["input"] for item in self.inputs]
        for style in self._styles.values():
            given += [item["input"] for item in style.items]
        if set(map(str, given)) != set(wanted):
            raise MechanismError(
                f"The inputs {given} of this generator cannot be read: they must be the latent and "
                f"every label, {wanted}."
            )

    def _try(self) -> None:
        """Run two rows, so that a configuration that does not fit is refused here."""
        noise = {"latent": torch.zeros(2, self.latent.size)}
        try:
            with torch.no_grad():
                painted = self.generate(torch.zeros(2, len(self.labels), dtype=torch.int64), noise)
        except RuntimeError as error:
            raise MechanismError(
                "The layers of this generator do not fit each other: "
                f"{first_line(error)}. Correct the sizes."
            ) from None
        if painted.shape[1:] != self.image.event_shape:
            raise MechanismError(
                f"The layers of this generator give {tuple(painted.shape[1:])} for one row, but "
                f"image declares {self.image.event_shape} (channels, height, width). Correct the "
                "last layers or the declaration."
            )

    def _paint(self, codes: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        """Images in the precision of the noise, whatever that of the weights."""
        if self.program is not None:
            latent = self.latent(noise["latent"])
            painted = self.program.run(self.network, latent, self.labels, codes)
            return painted.reshape(-1, *self.image.event_shape)
        dtype = next((p.dtype for p in self.network.parameters()), noise["latent"].dtype)
        latent = self.latent(noise["latent"])
        styles: dict[str, Tensor] = {}
        for name, style in self._styles.items():
            styles[name] = style(latent, codes, dtype, {})
        painted = self._trunk(latent, codes, dtype, styles).to(noise["latent"].dtype)
        if painted.ndim == 2:
            return painted.view(-1, *self.image.event_shape)
        return painted

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        return self._paint(dict(zip(self._names(), labels.unbind(-1), strict=True)), noise)

    def generate_relaxed(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Images from relaxed joint labels ``(n, joint values)``; every label enters by its
        margin."""
        sizes = sizes_of(self.labels)
        joint = labels.view(len(labels), *sizes)
        codes = {}
        for axis, label in enumerate(self.labels):
            others = [other + 1 for other in range(len(sizes)) if other != axis]
            if others:
                codes[label.name] = joint.sum(others)
            else:
                codes[label.name] = joint
        return self._paint(codes, noise)

    def invert(self, images: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The most probable latent by gradient descent from several starts."""
        unit = self.image.high - self.image.low

        def paint(latent: Tensor) -> Tensor:
            copies = len(latent) // max(1, len(labels))
            return self.generate(labels.repeat(copies, 1), {"latent": latent}) / unit

        uniform = self.latent.distribution == "uniform"
        latent, explained = search_latent(paint, images / unit, self.latent.size, uniform=uniform)
        return {"latent": latent}, explained

    def weights(self) -> dict[str, Tensor]:
        return dict(self.network.state_dict())

    def load_weights(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Copy the tensors of a weights file into the network.

        Raises:
            MechanismError: Tensors are missing, unexpected or of another shape; all are named.
        """
        load_tensors(self.network, tensors, where)

    def config(self) -> Json:
        latent = {"size": self.latent.size, "distribution": self.latent.distribution}
        if self.latent.distribution == "uniform":
            keys = ("low", "high")
        else:
            keys = ("mean", "std")
        fields = {
            "image": self.image.to_dict(),
            "labels": to_dicts(self.labels),
            "latent": latent | {key: getattr(self.latent, key) for key in keys},
        }
        if self.program is not None:
            return fields | {"program": self.program.to_dict()}
        return fields | {
            "inputs": self.inputs,
            "join": self.join,
            "layers": self.layers,
            **({"styles": self.styles} if self.styles else {}),
        }

    @classmethod
    def from_module(
        cls,
        network: nn.Module,
        image: Image,
        labels: Sequence[Label] = (),
        latent: Latent | int = 128,
        *,
        numbers: Sequence[str] = (),
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ) -> ConditionalGAN:
        """A generator whose configuration is written from the network itself.

        What ``torch.export`` traces is kept as a list of ATen operators, so that loading runs no
        code. Residual connections, attention, modulated convolutions and whatever else computes
        tensors from tensors are understood; spectral and weight normalisation are folded into the
        weights.

        Args:
            network: Called with the latent and each label, by name where an argument of its
                ``forward`` has the name and in this order otherwise. Labels come as codes ``(n,)``
                of int64 or as one-hot rows, whichever it takes.
            image: What it paints, in its own range.
            labels: Its labels in order; none for an unconditional generator.
            latent: Its random input.
            numbers: Names of labels that the network reads as numbers, the label's own values.
            license, source, label_map, transform: As for the class.

        Raises:
            MechanismError: The network does not run on these inputs, mixes the rows of a batch,
                draws noise of its own or cannot be traced.
        """
        if isinstance(latent, int):
            latent = Latent(latent)
        program, tensors = program_of(network, image, labels, latent.size, numbers)
        return cls(
            image,
            labels,
            latent,
            program=program.to_dict(),
            tensors=tensors,
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )

    @classmethod
    def from_config(cls, config: Named) -> ConditionalGAN:
        fields = dict(config)
        image = variable_from_dict(fields.pop("image"), "image")
        if not isinstance(image, Image):
            raise MechanismError("The configuration's image must be of kind 'image'.")
        labels = list(map(Label.from_dict, fields.pop("labels", [])))
        latent = fields.pop("latent")
        return cls(
            image,
            labels,
            latent if isinstance(latent, int) else Latent(**latent),
            fields.pop("layers", ()),
            **fields,
        )


def _read_program(program: Named, layers: Sequence[Named], inputs: object) -> Program:
    """The program that a configuration holds.

    Raises:
        MechanismError: It is given beside layers, or is none.
    """
    if layers or inputs:
        raise MechanismError(
            "A generator cannot have a program beside inputs or layers: give one of them."
        )
    try:
        return Program(**program)
    except TypeError as error:
        raise MechanismError(
            f"The program of this generator cannot be read: {error}. Write it with from_module."
        ) from None
