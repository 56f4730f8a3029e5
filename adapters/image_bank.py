"""A generator that is known only by its images: a folder or a dataset of samples with labels."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from causalplug.errors import DataError, MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen import FrozenMechanism, LabelMapSpec
from causalplug.mechanisms.label_map import Label
from causalplug.noise import Noise, NoiseSpec
from causalplug.variables import Discrete, Image, variable_from_dict

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen import FrozenMechanism as Generator

__all__ = ["ImageBank"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


@register_mechanism("image-bank")
class ImageBank(FrozenMechanism):
    """Stored samples as a frozen mechanism: noise picks one of the images that carry the label asked for.

    ``P(image | labels)`` is the uniform distribution over the stored images of these labels, so it repeats itself: a
    few hundred for each combination of labels are enough for training, and questions about rare images need more.

    Args:
        images: ``(n, channels, height, width)`` uint8, or float in the range of ``image``.
        labels: what the images are labelled with, in order.
        codes: ``(n, number of labels)`` int64.
        image: shape and range of the images.

    Raises:
        MechanismError: a combination of labels without any image: it is named.
    """

    images: Tensor
    codes: Tensor
    order: Tensor

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
        image = Image(*images.shape[1:]) if image is None else image
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
                f"A bank cannot be made of {len(images)} images and codes of shape {tuple(codes.shape)}: give "
                "one row of "
                f"{len(self.labels)} labels for each image."
            )
        joint = self._map.join(codes)
        order = torch.argsort(joint, stable=True)
        counts = torch.bincount(joint, minlength=self._map.size)
        self._refuse_empty(counts)
        self.register_buffer("images", image.encode(images.numpy(), "images")[order])
        self.register_buffer("codes", codes[order])
        self.counts, self.starts = counts, counts.cumsum(0) - counts

    def _refuse_empty(self, counts: Tensor) -> None:
        empty = (counts == 0).nonzero().squeeze(1)
        if len(empty):
            row = self._map.split(empty[:1])[0].tolist()
            pairs = zip(self.labels, row, strict=True)
            shown = ", ".join(f"{label.name}={label.categories[code]!r}" for label, code in pairs)
            raise MechanismError(
                f"The bank has no image with {shown or 'any label'} ({len(empty)} of {len(counts)} combinations "
                "are empty): "
                "it could not answer for it. Add such images, or leave the category out of the labels."
            )

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        joint = self._map.join(labels).cpu()
        count = self.counts[joint]
        pick = (noise["pick"].cpu().double() * count).long().clamp_(max=count - 1)
        return self.image.scale(self.images[(self.starts[joint] + pick).to(self.images.device)])

    # -- where the images come from ----------------------------------------------------------------------------------

    @classmethod
    def from_mechanism(cls, generator: Generator, rows_per_label: int = 500, *, seed: int = 0) -> ImageBank:
        """Samples of another frozen generator: also the way to save one that is only a Python function.

        Args:
            generator: unbound; sampled for every combination of its labels.
            rows_per_label: images of each combination.
            seed: of the samples.
        """
        generator = generator.asked()
        size = generator._map.size
        noise = Noise(rows_per_label * size, seed)
        joint = torch.arange(rows_per_label * size) % size
        parts = []
        for part in noise.chunks(500):
            own = {key: part.draw(f"bank/{key}", spec) for key, spec in generator.generator_noise.items()}
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
        """A folder by the Hub's ``imagefolder`` convention.

        Either one subfolder per label value, or a ``metadata.csv`` / ``metadata.jsonl`` with a column ``file_name`` and
        one column for each label.

        Args:
            folder: where the images are.
            image: shape and range; by default that of the first image, in [0, 1].
            labels: names of the metadata's columns, or labels with their categories; all columns by default.

        Raises:
            DataError: no images; a file that cannot be read as an image, of another size, or that the metadata do
                not know; all are named, up to five.
        """
        root = Path(folder)
        if not root.is_dir():
            raise DataError(f"There is no folder {root} to read images from.")
        entries = list(_entries(root))
        if not entries:
            raise DataError(
                f"{root} holds no images: expected {', '.join(sorted(_SUFFIXES))} in subfolders, or metadata.csv."
            )
        names = [label if isinstance(label, str) else label.name for label in labels or list(entries[0][1])]
        lacking = sorted({name for name in names for _, row in entries if name not in row})
        if lacking:
            raise DataError(
                f"{root} has no label {', '.join(lacking)} for some images. Known: {', '.join(entries[0][1])}."
            )
        declared = {label.name: label for label in labels or () if isinstance(label, Label)}
        columns = [declared.get(name) or Label(name, _categories(row[name] for _, row in entries)) for name in names]
        codes = torch.tensor(
            [[label.code(_like(row[label.name], label.values)) for label in columns] for _, row in entries]
        )
        image, pixels = _read(root, [path for path, _ in entries], image)
        return cls(pixels, columns, codes.view(len(entries), len(columns)), image=image, **options)

    @classmethod
    def from_dataset(
        cls, dataset: Any, *, image_column: str = "image", labels: Sequence[str] = ("label",), **options: Any
    ) -> ImageBank:
        """A ``datasets.Dataset`` with a column of images and columns of labels."""
        columns = []
        for name in labels:
            feature = dataset.features[name]
            known = getattr(feature, "names", None)
            columns.append(Label(name, known or _categories(dataset[name])))
        rows = [
            [int(v) if hasattr(dataset.features[c.name], "names") else c.code(v) for v in dataset[c.name]]
            for c in columns
        ]
        first = dataset[0][image_column]
        mode = 1 if first.mode in ("L", "1", "I") else 3
        image = options.pop("image", None) or Image(mode, first.height, first.width)
        pixels = image.encode(list(dataset[image_column]), image_column)
        return cls(pixels, columns, torch.tensor(rows).T.contiguous(), image=image, **options)

    # -- saving ------------------------------------------------------------------------------------------------------

    @property
    def revision(self) -> str:
        """A hash of images and labels."""
        digest = hashlib.sha256(self.images.cpu().numpy().tobytes())
        digest.update(self.codes.cpu().numpy().tobytes())
        return digest.hexdigest()

    def config(self) -> dict[str, Any]:
        labels = [label.to_dict() for label in self.labels]
        return {"image": self.image.to_dict(), "labels": labels, "rows": len(self.images)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ImageBank:
        """A bank of black images, to be filled by :meth:`load_weights`."""
        image = variable_from_dict(config["image"], "image")
        assert isinstance(image, Image)
        bank = cls.__new__(cls)
        labels = [Label.from_dict(item) for item in config["labels"]]
        FrozenMechanism.__init__(bank, image, labels, {"pick": NoiseSpec((), "uniform")})
        bank.register_buffer("images", torch.zeros(int(config["rows"]), *image.event_shape, dtype=torch.uint8))
        bank.register_buffer("codes", torch.zeros(int(config["rows"]), len(labels), dtype=torch.int64))
        bank.counts = bank.starts = torch.zeros(0, dtype=torch.int64)
        return bank

    def load_weights(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Take images and labels from a file.

        Raises:
            MechanismError: tensors are missing or have another shape.
        """
        wanted = {"images": tuple(self.images.shape), "codes": tuple(self.codes.shape)}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if found != wanted:
            raise MechanismError(f"{where} holds {found} instead of {wanted}. Save the bank again.")
        sizes = torch.tensor([label.size for label in self.labels])
        codes: Tensor = tensors["codes"].long()
        if bool((codes < 0).any()) or bool((codes >= sizes).any()):
            raise MechanismError(f"{where} holds labels outside their categories. Save the bank again.")
        other = ImageBank(tensors["images"], self.labels, codes, image=self.image)
        self.images, self.codes = other.images, other.codes
        self.counts, self.starts = other.counts, other.starts


def _entries(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Path and labels of every image, in a fixed order."""
    table = next((root / name for name in ("metadata.csv", "metadata.jsonl") if (root / name).is_file()), None)
    if table is not None:
        text = table.read_text(encoding="utf-8")
        rows = csv.DictReader(io.StringIO(text)) if table.suffix == ".csv" else map(json.loads, text.splitlines())
        for row in rows:
            fields = dict(row)
            if "file_name" not in fields:
                raise DataError(f"{table} has no column 'file_name'. Add it: the path of each image inside {root}.")
            path = (root / fields.pop("file_name")).resolve()
            if not path.is_relative_to(root.resolve()):
                raise DataError(f"{table} names {path}, which lies outside {root}. Copy the image into the folder.")
            yield path, fields
        return
    for path in sorted(root.glob("*/**/*")):
        if path.suffix.lower() in _SUFFIXES:
            yield path, {"label": path.relative_to(root).parts[0]}


def _categories(values: Any) -> list[Hashable]:
    found = set(values)
    try:
        return sorted(found)
    except TypeError:
        return sorted(found, key=str)


def _like(value: Any, label: Discrete) -> Any:
    """A value of a text file as the category that it names."""
    if value in label.categories:
        return value
    texts = {str(category): category for category in label.categories}
    return texts.get(str(value), value)


def _read(root: Path, paths: Sequence[Path], image: Image | None) -> tuple[Image, Tensor]:
    from PIL import Image as PILImage
    from PIL import UnidentifiedImageError

    arrays, problems = [], []
    for path in paths:
        try:
            with PILImage.open(path) as opened:
                channels = (1 if opened.mode in ("L", "1", "I", "I;16") else 3) if image is None else image.channels
                array = np.asarray(opened.convert("L" if channels == 1 else "RGB"), np.uint8)
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
            problems.append(f"{path.name} cannot be read as an image")
            continue
        array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
        image = Image(*array.shape) if image is None else image
        if array.shape != image.event_shape:
            problems.append(f"{path.name} has shape {array.shape} instead of {image.event_shape}")
            continue
        arrays.append(array)
    if problems or image is None:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DataError(
            f"A bank cannot be made of {root}: {'; '.join(problems[:5])}{more}. Repair, resize or remove these files."
        )
    return image, torch.from_numpy(np.stack(arrays))
