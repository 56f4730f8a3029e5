"""A frozen image classifier of the transformers library as the mechanism of a discrete variable."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from causalplug.adapters.transformers_files import OpenedModel, model_files, open_model
from causalplug.errors import MechanismError, RepositoryError
from causalplug.hub.part import Content
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism
from causalplug.networks import freeze
from causalplug.values import Json, Named
from causalplug.variables import Discrete, Image, Variable, variable_from_dict

if TYPE_CHECKING:
    from typing import Self

__all__ = ["TransformersClassifier"]

_HEAD = "AutoModelForImageClassification"


@register_mechanism("transformers-classifier")
class TransformersClassifier(ConditionalMechanism):
    """P(label | image) by a frozen classifier of transformers.

    It is explicit: its probabilities enter likelihoods and enumerations. The classes of the model
    (``id2label``) are matched to the categories of the variable by name, never by position.

    Args:
        opened: The model and its files, as
            :func:`~causalplug.adapters.transformers_files.open_model` gives them.
        variable: The variable; its categories are the names of all classes of the model, in any
            order.
        image: The images that it reads; at binding those of its parent.

    Raises:
        MechanismError: A category that the model does not know, a class that is not declared, or
            weights that its files do not hold.
    """

    needs = ("transformers",)
    differentiable = True

    def __init__(self, opened: OpenedModel, variable: Discrete, image: Image | None = None):
        if opened.missing:
            raise MechanismError(
                f"The classifier in {opened.folder} cannot be used: its files lack the weights "
                f"{', '.join(opened.missing[:3])}, so that its answers would be random. Load one "
                "that was trained as a classifier."
            )
        names = _class_names(opened.model)
        _check_classes(variable, names)
        side = opened.statistics.side or 32
        channels = len(opened.statistics.mean)
        read = image or Image(channels, side, side)
        named = {str(category): category for category in variable.categories}
        own = Discrete([named[name] for name in names])
        super().__init__(own, [Condition("image", read)], {}, probabilities=True)
        self.declared = variable
        self.classifier = freeze(opened.model)
        self.statistics = opened.statistics
        self.folder: Path | None = opened.folder
        self.location = opened.location

    def bind(
        self,
        name: str,
        variable: Variable,
        parents: Mapping[str, Variable],
        reads: ReadsSpec = None,
    ) -> Self:
        """A copy for one variable; it reads images of any size, as its parent declares them."""
        adapted = copy.copy(self)
        images = [parent for parent in parents.values() if isinstance(parent, Image)]
        if len(images) == 1:
            adapted.read_conditions = (Condition("image", images[0]),)
        return super(TransformersClassifier, adapted).bind(name, variable, parents, reads)

    def class_logits(self, conditions: Mapping[str, Tensor]) -> Tensor:
        image: Any = self.read_conditions[0].kind
        pixels = self.statistics.pixels(conditions["image"], image.low, image.high)
        weights = next(self.classifier.parameters())
        found: Tensor = self.classifier(pixel_values=pixels.to(weights.dtype)).logits
        return found.float()

    # -- loading and saving

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        variable: Discrete,
        image: Image | None = None,
        *,
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
    ) -> TransformersClassifier:
        """A classifier from a folder or the Hub, safetensors only and without code.

        Args:
            source: A folder or a Hub id.
            variable, image: As for the class.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.

        Raises:
            MissingDependencyError: transformers is not installed.
            RepositoryError: Files are missing or not safetensors.
            MechanismError: Classes and categories differ, or weights are missing.
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
        made = cls(open_model(snapshot, _HEAD), variable, image)
        if snapshot.repo_id is not None:
            made.license = snapshot.license
        return made

    def saved_tensors(self) -> dict[str, Tensor]:
        """Nothing: the model has its own files."""
        return {}

    def saved_files(self) -> dict[str, Content]:
        """The model's files under ``model/``; none where it is referred to on the Hub."""
        if self.location:
            return {}
        if self.folder is None:
            raise RepositoryError(
                "cannot save a classifier that exists only in memory: load it with "
                "causalplug.from_pretrained"
            )
        return model_files(self.folder, "model")

    def config(self) -> Json:
        return {
            "variable": self.declared.to_dict(),
            "image": self.read_conditions[0].kind.to_dict(),
            "model": self.location,
        }

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> TransformersClassifier:
        """The classifier that a repository describes."""
        variable: Any = variable_from_dict(config["variable"], "variable")
        image: Any = variable_from_dict(config["image"], "image")
        location = dict(config["model"])
        if location:
            place = str(location.pop("repo_id"))
            location |= snapshot.access_to(place, location["revision"])
            return cls.from_pretrained(place, variable, image, **location)
        snapshot.fetch("model/*")
        return cls.from_pretrained(snapshot.path / "model", variable, image)


def _class_names(model: Any) -> list[str]:
    """The names of the model's classes, in its order."""
    names = model.config.id2label
    return [str(names[code]) for code in sorted(names, key=int)]


def _check_classes(variable: Discrete, names: list[str]) -> None:
    """Refuse a variable whose categories are not the model's classes.

    Raises:
        MechanismError: With the names on either side.
    """
    categories = [str(category) for category in variable.categories]
    unknown = [category for category in categories if category not in names]
    undeclared = [name for name in names if name not in categories]
    if unknown:
        raise MechanismError(
            f"The classifier cannot give {unknown[0]!r}: its classes are "
            f"{', '.join(names[:8])}{', …' if len(names) > 8 else ''}. Name the categories as the "
            "model does."
        )
    if undeclared:
        raise MechanismError(
            f"The classifier gives {undeclared[0]!r}{_more(undeclared)}, which the variable does "
            "not declare. Declare all its classes; their order does not matter."
        )


def _more(names: list[str]) -> str:
    if len(names) == 1:
        return ""
    return f" and {len(names) - 1:,} other classes"
