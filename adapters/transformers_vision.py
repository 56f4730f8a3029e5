"""A frozen vision backbone of the transformers library (ViT, DINO, CLIP's image tower, …) as an
encoder."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalplug.encoders.encoders import Encoder, register_encoder
from causalplug.errors import MechanismError, MissingDependencyError, RepositoryError
from causalplug.hub.part import Content
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot
from causalplug.networks import freeze
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

__all__ = ["TransformersEncoder"]

_PATTERNS = ("config.json", "preprocessor_config.json", "*.safetensors")


@register_encoder("transformers-vision")
class TransformersEncoder(Encoder):
    """Features of a frozen backbone, reduced to a projection by principal components and whitened.

    Args:
        variable: the image variable; images are resized to what the backbone reads, grey ones
            repeated.
        backbone: a vision model of transformers; a model with text and image towers gives its image
            tower.
        size: numbers of one projection.
        mean, std: of the pixels in [0, 1] that the backbone was trained on, by channel.

    Raises:
        MechanismError: the backbone does not say which images it reads.
    """

    needs = ("transformers",)
    basis: Tensor
    centre: Tensor

    def __init__(
        self,
        variable: Image,
        backbone: Any,
        size: int = 16,
        *,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
    ):
        super().__init__(variable, size)
        self.backbone = getattr(backbone, "vision_model", backbone)
        config = self.backbone.config
        side = getattr(config, "image_size", None)
        if isinstance(side, int) or side is None:
            self.side: int | None = side
        else:
            self.side = int(side[0])
        width = getattr(config, "hidden_size", None) or getattr(config, "hidden_sizes", [0])[-1]
        if not width:
            raise MechanismError(
                f"{type(backbone).__name__} does not say the width of its features (hidden_size)."
            )
        self.register_buffer("pixel_mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(std).view(1, -1, 1, 1))
        self.register_buffer("basis", torch.eye(width, size))
        self.register_buffer("centre", torch.zeros(width))
        self.folder: Path | None = None
        self.location: Json = {}
        freeze(self)

    pixel_mean: Tensor
    pixel_std: Tensor

    def pooled(self, images: Tensor) -> Tensor:
        """The backbone's features ``(n, width)``: its pooled output, else the mean over its last
        states."""
        unit = (images.float() - self.variable.low) / (self.variable.high - self.variable.low)
        if unit.shape[1] == 1:
            unit = unit.expand(-1, self.pixel_mean.shape[1], -1, -1)
        if self.side is not None and unit.shape[2:] != (self.side, self.side):
            size = (self.side, self.side)
            unit = torch.nn.functional.interpolate(unit, size=size, mode="bilinear", antialias=True)
        pixels = (unit - self.pixel_mean) / self.pixel_std
        found = self.backbone(pixel_values=pixels.to(next(self.backbone.parameters()).dtype))
        pooled = getattr(found, "pooler_output", None)
        if pooled is None:
            states = found.last_hidden_state
            if states.ndim == 3:
                pooled = states.mean(1)
            else:
                pooled = states.mean((2, 3))
        return pooled.flatten(1).float()

    def features(self, images: Tensor) -> Tensor:
        return (self.pooled(images).to(self.basis.dtype) - self.centre) @ self.basis

    def fit(
        self, images: Tensor, *, max_rows: int = 2000, batch_size: int = 64
    ) -> TransformersEncoder:
        """Find the principal components of the features of at most ``max_rows`` images, and the
        scaling."""
        with torch.no_grad():
            parts = [
                self.pooled(self.variable.scale(part))
                for part in images[:max_rows].split(batch_size)
            ]
            rows = torch.cat(parts)
            self.centre.copy_(rows.mean(0))
            _, _, basis = torch.linalg.svd(rows - self.centre, full_matrices=False)
            self.basis.zero_()
            kept = min(self.size, len(basis))
            self.basis[:, :kept] = basis[:kept].T
        self.whiten(images[:max_rows])
        self.trained = True
        return self

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        variable: Image,
        size: int = 16,
        *,
        revision: str | None = None,
        **hub: Any,
    ) -> TransformersEncoder:
        """A backbone from a folder or the Hub, safetensors only and without code of the repository.

        Args:
            source: a folder or a Hub id.
            variable: the image variable.
            size: numbers of one projection.
            revision: branch, tag or commit.
            hub: ``cache_dir``, ``token``, ``local_files_only``, ``subfolder``.

        Raises:
            MissingDependencyError: transformers is not installed.
            RepositoryError: files are missing or not safetensors.
        """
        try:
            from transformers import AutoModel
        except ImportError:
            raise MissingDependencyError(
                "A vision backbone cannot be loaded: transformers is not installed. Run: pip "
                "install 'causalplug[transformers]'"
            ) from None
        snapshot = source
        if not isinstance(snapshot, Snapshot):
            snapshot = resolve(snapshot, revision=revision, **hub)
        snapshot.fetch(*_PATTERNS[:1], *_PATTERNS[2:])
        try:
            backbone = AutoModel.from_pretrained(
                snapshot.path,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
            )
        except ImportError as error:
            if "timm" in str(error):
                name: str | None = "timm"
            else:
                name = getattr(error, "name", None)
            raise MissingDependencyError(
                f"The backbone in {snapshot} cannot be loaded: it needs {name or 'a library'}, "
                f"which is not installed. Run: pip install {name or 'what its page names'}"
            ) from None
        except (OSError, ValueError) as error:
            raise RepositoryError(
                f"cannot load {snapshot}: {str(error).splitlines()[0]}"
            ) from error
        statistics: Json = {}
        if snapshot.has("preprocessor_config.json"):
            from causalplug.files.validation import read_json

            found = read_json(snapshot.file("preprocessor_config.json"), within=snapshot.boundary)
            pairs = (("mean", "image_mean"), ("std", "image_std"))
            statistics = {key: tuple(found[name]) for key, name in pairs if name in found}
        made = cls(variable, backbone, size, **statistics)
        made.folder = snapshot.path
        if snapshot.repo_id is not None:
            made.location = {
                "repo_id": snapshot.repo_id,
                "revision": snapshot.revision,
                "subfolder": snapshot.subfolder,
            }
        return made

    def saved_tensors(self) -> dict[str, Tensor]:
        """What was fitted here; the backbone has its own files."""
        return {name: getattr(self, name) for name in ("basis", "centre", "loc", "scale")}

    def load_saved(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Take what :meth:`saved_tensors` gave."""
        own = self.saved_tensors()
        if {name: t.shape for name, t in tensors.items()} != {
            name: t.shape for name, t in own.items()
        }:
            raise MechanismError(
                f"The tensors in {where} are not those of this encoder: "
                f"{', '.join(sorted(tensors))}."
            )
        for name, tensor in own.items():
            tensor.copy_(tensors[name])

    def saved_files(self) -> dict[str, Content]:
        """The backbone's files under ``backbone/``; none where it is referred to on the Hub."""
        if self.location:
            return {}
        if self.folder is None:
            raise MechanismError(
                "A backbone that exists only in memory cannot be saved: load it with "
                "from_pretrained."
            )
        names = [
            path
            for path in sorted(self.folder.iterdir())
            if path.suffix in (".json", ".safetensors")
        ]
        return {f"backbone/{path.name}": path for path in names}

    def config(self) -> Json:
        return super().config() | {"backbone": self.location}

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> TransformersEncoder:
        """The encoder that a repository describes."""
        variable = variable_from_dict(config["variable"], "variable")
        if not isinstance(variable, Image):
            raise MechanismError(
                "An encoder reads images: its configuration's variable must be of kind 'image'."
            )
        location = dict(config["backbone"])
        if location:
            place = str(location.pop("repo_id"))
            location |= snapshot.access_to(place, location["revision"])
            return cls.from_pretrained(place, variable, config["size"], **location)
        snapshot.fetch("backbone/*")
        return cls.from_pretrained(snapshot.path / "backbone", variable, config["size"])
