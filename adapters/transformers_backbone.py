"""What frozen backbones of the transformers library have in common as encoders: principal
components of their features, loading and saving."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.adapters.places import place_of, snapshot_of
from causalplug.adapters.rules import FETCHING, READING
from causalplug.adapters.transformers_files import OpenedModel, model_files, open_model
from causalplug.adapters.transformers_numbers import width_of
from causalplug.arguments import COUNT, takes
from causalplug.encoders.encoders import Encoder
from causalplug.errors import MechanismError
from causalplug.hub.part import Content
from causalplug.hub.snapshot import Snapshot
from causalplug.values import Json, Named
from causalplug.variables import Variable, variable_from_dict

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BackboneEncoder"]


_NONE = ("\0",)  # which no name begins with


class BackboneEncoder(Encoder):
    """Features of a frozen backbone, reduced to a projection by principal components and whitened.

    A subclass implements :meth:`pooled` and :meth:`check_variable`.

    Args:
        variable: The variable that it reads.
        opened: A model of transformers and its files.
        size: Numbers of one projection.
        optional: How the names of weights begin that are not used, so that files may lack them.
        width: Numbers of its features; by default what its configuration says.

    Raises:
        MechanismError: The backbone does not say the width of its features, its files lack weights,
            or it cannot read the variable.
    """

    needs = ("transformers",)
    copied_with_model = True
    basis: Tensor
    centre: Tensor

    def __init__(
        self,
        variable: Variable,
        opened: OpenedModel,
        size: int = 16,
        *,
        optional: tuple[str, ...] = (),
        width: int | None = None,
    ):
        super().__init__(variable, size)
        self.check_variable(variable)
        random = []
        for name in opened.missing:
            if not name.startswith(optional or _NONE):
                random.append(name)
        if random:
            raise MechanismError(
                f"The backbone in {opened.folder} cannot be used: its files lack the weights "
                f"{', '.join(random[:3])}, so that its features would be random."
            )
        settings = opened.model.config.to_dict()
        width = width or width_of(settings) or width_of(settings.get("vision_config", {}))
        if not width:
            raise MechanismError(
                f"{type(opened.model).__name__} does not say the width of its features "
                "(hidden_size)."
            )
        self.register_buffer("basis", torch.eye(width, size))
        self.register_buffer("centre", torch.zeros(width))
        self.folder: Path | None = opened.folder
        self.location: Json = opened.location

    def pooled(self, images: Tensor) -> Tensor:
        """The backbone's features ``(n, width)`` of encoded values."""
        raise NotImplementedError

    @staticmethod
    def check_variable(variable: Variable) -> None:
        """Refuse a variable that it cannot read."""
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensor:
        return (self.pooled(images).to(self.basis.dtype) - self.centre) @ self.basis

    def fit(self, images: Tensor, *, max_rows: int = 2000, batch_size: int = 64) -> Self:
        """Find the principal components of the features of at most ``max_rows`` images, and the
        scaling."""
        with torch.no_grad():
            parts = []
            for part in images[:max_rows].split(batch_size):
                parts.append(self.pooled(self.variable.scale(part)))
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
    @takes(MechanismError, **FETCHING, variable=READING["variable"], size=COUNT)
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        variable: Variable,
        size: int = 16,
        *,
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """A backbone from a folder or the Hub, safetensors only and without code of the repository.

        Args:
            source: A folder or a Hub id.
            variable: The variable that it reads.
            size: Numbers of one projection.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.

        Raises:
            MissingDependencyError: transformers is not installed.
            RepositoryError: Files are missing or not safetensors.
            MechanismError: Weights of the backbone are missing.
        """
        snapshot = snapshot_of(
            source,
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
        if _shapes(tensors) != _shapes(own):
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
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> Self:
        """The encoder that a repository describes."""
        variable = variable_from_dict(config["variable"], "variable")
        cls.check_variable(variable)
        place, location = place_of(config["backbone"], snapshot, "backbone")
        return cls.from_pretrained(place, variable, config["size"], **location)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
