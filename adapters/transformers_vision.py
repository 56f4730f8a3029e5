"""A frozen vision backbone of the transformers library (ViT, DINO, CLIP's image tower, …) as an
encoder."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from causalplug.adapters.transformers_files import OpenedModel, model_files, open_model
from causalplug.encoders.encoders import Encoder, register_encoder
from causalplug.errors import MechanismError
from causalplug.hub.part import Content
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot
from causalplug.networks import freeze
from causalplug.values import Json, Named
from causalplug.variables import Image, variable_from_dict

__all__ = ["TransformersEncoder"]

_POOLERS = ("pooler.", "vision_model.pooler.")


@register_encoder("transformers-vision")
class TransformersEncoder(Encoder):
    """Features of a frozen backbone, reduced to a projection by principal components and whitened.

    Args:
        variable: the image variable; images are resized to what the backbone reads, grey ones
            repeated.
        opened: A vision model of transformers and its files; a model with text and image towers
            gives its image tower.
        size: Numbers of one projection.

    Raises:
        MechanismError: The backbone does not say the width of its features, or its files lack
            weights other than the pooler's.
    """

    needs = ("transformers",)
    basis: Tensor
    centre: Tensor

    def __init__(self, variable: Image, opened: OpenedModel, size: int = 16):
        super().__init__(variable, size)
        backbone = opened.model
        towers = dict(backbone.named_children())
        self.backbone = towers.get("vision_model", backbone)
        random = [name for name in opened.missing if not name.startswith(_POOLERS)]
        if random:
            raise MechanismError(
                f"The backbone in {opened.folder} cannot be used: its files lack the weights "
                f"{', '.join(random[:3])}, so that its features would be random."
            )
        self.has_pooler = not opened.missing
        width = _width(self.backbone.config.to_dict())
        if not width:
            raise MechanismError(
                f"{type(backbone).__name__} does not say the width of its features (hidden_size)."
            )
        self.statistics = opened.statistics
        self.register_buffer("basis", torch.eye(width, size))
        self.register_buffer("centre", torch.zeros(width))
        self.folder: Path | None = opened.folder
        self.location: Json = opened.location
        freeze(self)

    def pooled(self, images: Tensor) -> Tensor:
        """The backbone's features ``(n, width)``: its pooled output where its weights hold one,
        else the mean over its last states."""
        pixels = self.statistics.pixels(images, self.variable.low, self.variable.high)
        found = self.backbone(pixel_values=pixels.to(next(self.backbone.parameters()).dtype))
        pooled = found.get("pooler_output")
        if pooled is None or not self.has_pooler:
            states = found.last_hidden_state
            places = tuple(range(2, states.ndim)) if states.ndim == 4 else (1,)
            pooled = states.mean(places)
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
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
    ) -> TransformersEncoder:
        """A backbone from a folder or the Hub, safetensors only and without code of the repository.

        Args:
            source: A folder or a Hub id.
            variable: The image variable.
            size: Numbers of one projection.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.

        Raises:
            MissingDependencyError: transformers is not installed.
            RepositoryError: Files are missing or not safetensors.
            MechanismError: Weights of the backbone are missing.
        """
        snapshot = source
        if not isinstance(snapshot, Snapshot):
            snapshot = resolve(
                snapshot,
                revision=revision,
                subfolder=subfolder,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only,
            )
        return cls(variable, open_model(snapshot, "AutoModel"), size)

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
        return model_files(self.folder, "backbone")

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


def _width(config: Named) -> int:
    """The width of a backbone's features; 0 where its configuration does not say."""
    several = config.get("hidden_sizes") or [0]
    return int(config.get("hidden_size") or several[-1])
