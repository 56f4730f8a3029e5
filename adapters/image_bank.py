"""A generator that is known only by its images: a folder or a dataset of samples with labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from causalplug.data.images import decode_pictures, picture_size
from causalplug.data.table import ClassCodes, Table
from causalplug.data.tables import table_of
from causalplug.data.text_summary import guessed_values
from causalplug.errors import DataError, MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.noise import Noise, NoiseSpec
from causalplug.selection import sizes_of, to_dicts
from causalplug.values import Json, Named
from causalplug.variables import Discrete, Image, variable_from_dict
from causalplug.variables.columns import TextColumn

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.generator import FrozenMechanism as Generator

__all__ = ["ImageBank"]


@register_mechanism("image-bank")
class ImageBank(FrozenMechanism):
    """Stored samples as a frozen mechanism: noise picks one of the images that carry the label
    asked for.

    ``P(image | labels)`` is the uniform distribution over the stored images of these labels, so it
    repeats itself: a few hundred for each combination of labels are enough for training, and
    questions about rare images need more.

    Args:
        images: ``(n, channels, height, width)`` uint8, or float in the range of ``image``.
        labels: What the images are labelled with, in order.
        codes: ``(n, number of labels)`` int64.
        image: Shape and range of the images.

    Raises:
        MechanismError: A combination of labels without any image: it is named.
    """

    images: Tensor
    codes: Tensor

    def __init__(
        self,
        images: Tensor,
        labels: Sequence[Label],
        codes: Tensor,
        *,
        image: Image | None = None,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        if image is None:
            image = Image(*images.shape[1:])
        super().__init__(
            image,
            labels,
            {"pick": NoiseSpec((), "uniform")},
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )
        if len(images) != len(codes) or codes.ndim != 2 or codes.shape[1] != len(self.labels):
            raise MechanismError(
                f"A bank cannot be made of {len(images)} images and codes of shape "
                f"{tuple(codes.shape)}: give one row of {len(self.labels)} labels for each image."
            )
        joint = self._map.join(codes)
        order = torch.argsort(joint, stable=True)
        counts = torch.bincount(joint, minlength=self._map.size)
        self._refuse_empty(counts)
        given = images
        if images.is_floating_point():
            given = images.float()
        self.register_buffer("images", image.encode(given.numpy(), "images")[order])
        self.register_buffer("codes", codes[order])
        self.counts, self.starts = counts, counts.cumsum(0) - counts

    def _refuse_empty(self, counts: Tensor) -> None:
        empty = (counts == 0).nonzero().squeeze(1)
        if len(empty):
            row = self._map.split(empty[:1])[0].tolist()
            pairs = zip(self.labels, row, strict=True)
            shown = ", ".join(f"{label.name}={label.categories[code]!r}" for label, code in pairs)
            raise MechanismError(
                f"The bank has no image with {shown or 'any label'} ({len(empty)} of {len(counts)} "
                "combinations are empty): it could not answer for it. Add such images, or leave "
                "the category out of the labels."
            )

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        joint = self._map.join(labels).cpu()
        count = self.counts[joint]
        pick = (noise["pick"].cpu().double() * count).long().clamp_(max=count - 1)
        return self.image.scale(
            self.images[(self.starts[joint] + pick).to(self.images.device)]
        ).float()

    # -- where the images come from

    @classmethod
    def from_mechanism(
        cls, generator: Generator, rows_per_label: int = 500, *, seed: int = 0
    ) -> ImageBank:
        """Samples of another frozen generator: also the way to save one that is only a Python
        function.

        Args:
            generator: Unbound; sampled for every combination of its labels.
            rows_per_label: Images of each combination.
            seed: Seed of the samples.
        """
        generator = generator.asked()
        size = generator._map.size
        noise = Noise(rows_per_label * size, seed)
        joint = torch.arange(rows_per_label * size) % size
        parts = []
        for part in noise.chunks(500):
            own = {}
            for key, spec in generator.generator_noise.items():
                own[key] = part.draw(f"bank/{key}", spec)
            unit = generator.paint(joint[part.rows], own) - generator.image.low
            unit = unit / (generator.image.high - generator.image.low)
            parts.append((unit * 255).round().clamp(0, 255).to(torch.uint8))
        return cls(
            torch.cat(parts),
            generator.labels,
            generator._map.split(joint),
            image=generator.image,
            license=generator.license,
            source=generator.source,
        )

    @classmethod
    def from_folder(
        cls,
        folder: str | PathLike[str],
        *,
        image: Image | None = None,
        labels: Sequence[str | Label] | None = None,
        **options: Any,
    ) -> ImageBank:
        """A folder by the Hub's ``imagefolder`` convention, read as :class:`causalplug.DataSource`
        reads it.

        Either one subfolder per label value, or a ``metadata.csv`` / ``.jsonl`` / ``.parquet`` with
        a column ``file_name`` and one column for each label.

        Args:
            folder: Where the images are.
            image: Shape and range; by default that of the first image, in [0, 1].
            labels: Names of the metadata's columns, or labels with their categories; all columns by
                default.

        Raises:
            DataError: No images; a column that is not there; a file that cannot be read as an
                image, of another size, or outside the folder.
        """
        root = Path(folder)
        if not root.is_dir():
            raise DataError(f"There is no folder {root} to read images from. Check the path.")
        return cls._from_table(table_of(root), "image", labels, image, options)

    @classmethod
    def from_dataset(
        cls,
        dataset: object,
        *,
        image_column: str = "image",
        labels: Sequence[str | Label] = ("label",),
        image: Image | None = None,
        **options: Any,
    ) -> ImageBank:
        """A ``datasets.Dataset`` (or another table that :class:`causalplug.DataSource` reads) with
        a column of images and columns of labels; the arguments and errors are those of
        :meth:`from_folder`.
        """
        return cls._from_table(table_of(dataset), image_column, labels, image, options)

    @classmethod
    def _from_table(
        cls,
        table: Table,
        pictures: str,
        labels: Sequence[str | Label] | None,
        image: Image | None,
        options: Named,
    ) -> ImageBank:
        asked: Sequence[str | Label] = [name for name in table.names if name != pictures]
        if labels is not None:
            asked = labels
        names = [label if isinstance(label, str) else label.name for label in asked]
        table = table.renamed(list(dict.fromkeys([pictures, *names])))
        declared = {label.name: label.values for label in asked if isinstance(label, Label)}
        pixels: list[Tensor] = []
        columns: dict[str, list[Any]] = {name: [] for name in names}
        written: set[str] = set()  # columns of a text file that nothing declares
        for chunk in table.read({**declared, **({} if image is None else {pictures: image})}):
            items = list(chunk[pictures])
            image = image or Image(*picture_size(items[0]))
            pixels.append(decode_pictures(items, image, pictures, sum(map(len, pixels))))
            for name, values in columns.items():
                column = chunk[name]
                if isinstance(column, ClassCodes):
                    declared.setdefault(name, Discrete(column.names))
                    column = column.values(plain=not isinstance(declared[name].categories[0], str))
                if isinstance(column, TextColumn) and name in declared:
                    column = declared[name].decode(declared[name].encode(column, name))
                elif isinstance(column, TextColumn) and not (column.typed or table.whole):
                    written.add(name)
                values += list(column)
        columns |= {name: guessed_values(columns[name]) for name in written}
        known = [
            Label(name, declared.get(name) or _categories(columns[name], name)) for name in names
        ]
        codes = [label.values.encode(columns[label.name], label.name) for label in known]
        if codes:
            stacked = torch.stack(codes, 1)
        else:
            stacked = torch.zeros(sum(map(len, pixels)), 0, dtype=torch.int64)
        return cls(torch.cat(pixels), known, stacked, image=image, **options)

    # -- saving

    @property
    def revision(self) -> str:
        """A hash of images and labels."""
        digest = hashlib.sha256(self.images.cpu().numpy().tobytes())
        digest.update(self.codes.cpu().numpy().tobytes())
        return digest.hexdigest()

    def config(self) -> Json:
        labels = to_dicts(self.labels)
        return {"image": self.image.to_dict(), "labels": labels, "rows": len(self.images)}

    @classmethod
    def from_config(cls, config: Named) -> ImageBank:
        """A bank of black images, to be filled by :meth:`load_weights`."""
        image = variable_from_dict(config["image"], "image")
        assert isinstance(image, Image)
        bank = cls.__new__(cls)
        labels = list(map(Label.from_dict, config["labels"]))
        FrozenMechanism.__init__(bank, image, labels, {"pick": NoiseSpec((), "uniform")})
        bank.register_buffer(
            "images", torch.zeros(int(config["rows"]), *image.event_shape, dtype=torch.uint8)
        )
        bank.register_buffer(
            "codes", torch.zeros(int(config["rows"]), len(labels), dtype=torch.int64)
        )
        bank.counts = bank.starts = torch.zeros(0, dtype=torch.int64)
        return bank

    def load_weights(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Take images and labels from a file.

        Raises:
            MechanismError: Tensors are missing or have another shape.
        """
        wanted = {"images": tuple(self.images.shape), "codes": tuple(self.codes.shape)}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if found != wanted:
            raise MechanismError(f"{where} holds {found} instead of {wanted}. Save the bank again.")
        sizes = torch.tensor(sizes_of(self.labels))
        codes: Tensor = tensors["codes"].long()
        if bool((codes < 0).any()) or bool((codes >= sizes).any()):
            raise MechanismError(
                f"{where} holds labels outside their categories. Save the bank again."
            )
        other = ImageBank(tensors["images"], self.labels, codes, image=self.image)
        self.images, self.codes = other.images, other.codes
        self.counts, self.starts = other.counts, other.starts


def _categories(values: Sequence[Any], name: str) -> Discrete:
    """The values that occur, in order."""
    found = {value.item() if isinstance(value, np.generic) else value for value in values}
    if any(value is None or value != value for value in found):
        raise DataError(f"{name!r} has rows without a label. Drop them, or label them.")
    try:
        return Discrete(sorted(found))
    except TypeError:
        return Discrete(sorted(found, key=str))
