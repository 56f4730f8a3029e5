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

from causalplug.adapters.gan_program import Program, numbers_of, program_of
from causalplug.adapters.gan_weights import chosen, plain_weights
from causalplug.adapters.reasons import first_line
from causalplug.arguments import REQUIRED, choice, number, read_fields, setting, whole
from causalplug.errors import MechanismError
from causalplug.files.weights import load_tensors
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.abduction import search_latent
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.mechanisms.frozen.layers import LayerList, place
from causalplug.mechanisms.frozen.trial import try_generator
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import names_of, sizes_of, to_dicts
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

__all__ = ["ConditionalGAN", "Latent"]

_ENCODINGS = ("embedding", "one-hot", "code", "number")
_JOINS = ("concat", "multiply", "add")


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
        if join not in _JOINS:
            raise MechanismError(f"join={join!r} is not known: give one of {', '.join(_JOINS)}.")
        self.join = join
        self.inputs = list(
            map(dict, inputs or [{"input": name} for name in ("latent", *self._names())])
        )
        self.layers = list(map(dict, layers))
        self._check_inputs()
        self.program: Program | None = None
        self.network = nn.Module()
        if program is not None:
            self.program = _read_program(program, layers, inputs)
            self.network = self.program.built()
            self.differentiable = self.program.differentiable
        self._tables: list[nn.Embedding | None] = []
        self._branches: list[LayerList] = []
        for item in self.inputs:
            self._tables.append(self._embedding(item))
            self._branches.append(LayerList(item.get("layers", ()), self.network))
        self._trunk = LayerList(self.layers, self.network)
        if tensors is not None:
            given = plain_weights(chosen(tensors, only, ignore), self.network)
            load_tensors(self.network, given, source or "the given tensors")
        freeze(self)
        self._try()
        if tensors is not None:
            try_generator(self)

    def _names(self) -> list[str]:
        return names_of(self.labels)

    def _check_inputs(self) -> None:
        wanted, given = ["latent", *self._names()], [item.get("input") for item in self.inputs]
        if set(map(str, given)) != set(wanted):
            raise MechanismError(
                f"The inputs {given} of this generator cannot be read: they must be the latent and "
                f"every label, {wanted}."
            )
        for item in self.inputs:
            unknown = sorted(set(item) - {"input", "layers", "encoding", "size", "name"})
            encoding = item.get("encoding", "one-hot")
            if unknown or encoding not in _ENCODINGS:
                if unknown:
                    what = f"key {unknown[0]!r}"
                else:
                    what = f"encoding {encoding!r}"
                raise MechanismError(
                    f"Input {item['input']!r} has the unknown {what}: encodings are "
                    f"{', '.join(_ENCODINGS)}; keys are input, encoding, size, name and layers."
                )
            if encoding == "embedding" and not ("size" in item and "name" in item):
                raise MechanismError(
                    f"The embedding of {item['input']!r} needs its size and the name of its table "
                    "in the weights."
                )

    def _embedding(self, item: Named) -> nn.Embedding | None:
        """The table of an input that has one; inputs with a table of the same name share it."""
        if item.get("encoding") != "embedding":
            return None
        for other, table in zip(self.inputs, self._tables, strict=False):
            if other.get("name") == item["name"] and table is not None:
                return table
        label = next(label for label in self.labels if label.name == item["input"])
        table = nn.Embedding(label.size, item["size"])
        place(self.network, item["name"], table)
        return table

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

    def _encode(self, item: Named, table: nn.Embedding | None, codes: Tensor) -> Tensor:
        """A label's features from codes ``(n,)`` or relaxed one-hot rows ``(n, k)``."""
        encoding = item.get("encoding", "one-hot")
        relaxed = codes.is_floating_point()
        if table is not None:
            if relaxed:
                return codes.to(table.weight.dtype) @ table.weight
            return table(codes)
        label = next(label for label in self.labels if label.name == item["input"])
        if encoding == "code":
            return (
                codes @ torch.arange(label.size, dtype=codes.dtype) if relaxed else codes.float()
            ).unsqueeze(1)
        if encoding == "number":
            values = numbers_of(label).to(codes.device)
            if relaxed:
                return (codes @ values).unsqueeze(1)
            return values[codes].unsqueeze(1)
        if relaxed:
            return codes
        return nn.functional.one_hot(codes, label.size).float()

    def _paint(self, codes: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        """Images in the precision of the noise, whatever that of the weights."""
        if self.program is not None:
            latent = self.latent(noise["latent"])
            painted = self.program.run(self.network, latent, self.labels, codes)
            return painted.reshape(-1, *self.image.event_shape)
        dtype = next((p.dtype for p in self.network.parameters()), noise["latent"].dtype)
        parts = []
        for item, table, branch in zip(self.inputs, self._tables, self._branches, strict=True):
            name = item["input"]
            if name == "latent":
                read = self.latent(noise["latent"])
            else:
                read = self._encode(item, table, codes[name])
            parts.append(branch(read.to(dtype)))
        joined = parts[0]
        if self.join == "concat":
            joined = torch.cat(parts, 1)
        else:
            for part in parts[1:]:
                if self.join == "multiply":
                    joined = joined * part
                else:
                    joined = joined + part
        painted = self._trunk(joined).to(noise["latent"].dtype)
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
