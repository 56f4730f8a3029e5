"""A generator that is known only by its images: a folder or a dataset of samples with labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.adapters.labelled_images import LabelledImages
from causalplug.adapters.rules import CALLING, TERMS
from causalplug.arguments import NAME, instance, several, takes
from causalplug.data.tables import table_of
from causalplug.errors import DataError, MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.noise import Noise, NoiseSpec
from causalplug.selection import sizes_of, to_dicts
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.generator import FrozenMechanism as Generator

__all__ = ["ImageBank"]

_COLUMNS = several(instance("the name of a column or a cp.Label", str, Label))
_DECLARED = {"image": CALLING["image"], **TERMS}


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
    @takes(DataError, labels=_COLUMNS.or_none("all columns"), **_DECLARED)
    def from_folder(
        cls,
        folder: str | PathLike[str],
        *,
        image: Image | None = None,
        labels: Sequence[str | Label] | None = None,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
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
            license, source, label_map, transform: As for the class.

        Raises:
            DataError: No images; a column that is not there; a file that cannot be read as an
                image, of another size, or outside the folder.
        """
        root = Path(folder)
        if not root.is_dir():
            raise DataError(f"There is no folder {root} to read images from. Check the path.")
        return cls.from_dataset(
            root,
            labels=labels,
            image=image,
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )

    @classmethod
    @takes(DataError, image_column=NAME, labels=_COLUMNS.or_none("all columns"), **_DECLARED)
    def from_dataset(
        cls,
        dataset: object,
        *,
        image_column: str = "image",
        labels: Sequence[str | Label] | None = ("label",),
        image: Image | None = None,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ) -> ImageBank:
        """A ``datasets.Dataset`` (or another table that :class:`causalplug.DataSource` reads) with
        a column of images and columns of labels, all others where ``labels`` is None; the
        arguments and errors are those of :meth:`from_folder`.
        """
        read = LabelledImages.of(table_of(dataset), image_column, labels, image)
        return cls(
            read.pixels,
            read.labels,
            read.codes,
            image=read.image,
            license=license,
            source=source,
            label_map=label_map,
            transform=transform,
        )

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
