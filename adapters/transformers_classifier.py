"""A frozen classifier of the transformers library, of images or texts, as the mechanism of a
discrete variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from causalplug.adapters.transformers_files import OpenedModel
from causalplug.adapters.transformers_mechanism import TransformersMechanism
from causalplug.errors import MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.selection import values_at, without
from causalplug.variables import Discrete, Variable

__all__ = ["TransformersClassifier", "head_of_labels"]

_PLACEHOLDER = re.compile(r"LABEL_\d+")
_IMAGES = "AutoModelForImageClassification"
_TEXTS = "AutoModelForSequenceClassification"


def head_of_labels(architecture: str, family: str) -> str:
    """The class of transformers for a model with labels: of images or of texts."""
    from transformers.models.auto import modeling_auto

    images = dict(modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)
    texts = dict(modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
    if architecture.endswith("ForSequenceClassification"):
        return _TEXTS
    if family in texts and family not in images:
        return _TEXTS
    return _IMAGES


@register_mechanism("transformers-classifier")
class TransformersClassifier(TransformersMechanism):
    """P(label | image) or P(label | text) by a frozen classifier of transformers.

    It is explicit: its probabilities enter likelihoods and enumerations. The classes of the model
    (``id2label``) are matched to the categories of the variable by name, never by position.

    Classes of one name are one category, whose probability is the sum of theirs.

    Args:
        opened: The model and its files, as
            :func:`~causalplug.adapters.transformers_files.open_model` gives them.
        variable: The variable; its categories are the names of all classes of the model, in any
            order.
        reads: The images or texts that it reads; at binding those of its parent.

    Raises:
        MechanismError: A category that the model does not know, a class that is not declared, a
            model whose labels do not exclude each other, or weights that its files do not hold.
    """

    word = "classifier"

    def __init__(self, opened: OpenedModel, variable: Variable, reads: Variable | None = None):
        if not variable.is_discrete:
            raise MechanismError(
                f"A classifier cannot give {variable.describe()}. Declare cp.Discrete([…])."
            )
        names = _class_names(opened.model)
        _check_problem(opened, names)
        named = {_name_of(category, names): category for category in variable.categories}
        _check_classes(list(named), names)
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(name, []).append(place)
        own = Discrete(values_at(named, places))
        super().__init__(opened, variable, reads, generates=own, probabilities=True)
        self.class_places = tuple(places.values())

    @classmethod
    def head(cls, architecture: str, family: str) -> str:
        return head_of_labels(architecture, family)

    def class_logits(self, conditions: Mapping[str, Tensor]) -> Tensor:
        own = self.answer(conditions, lambda found: found.logits)
        if len(self.class_places) == own.shape[-1]:
            return own
        shares = own.log_softmax(-1)
        joined = shares[:, [places[0] for places in self.class_places]]
        for category, places in enumerate(self.class_places):
            if len(places) > 1:
                joined[:, category] = shares[:, places].logsumexp(-1)
        return joined


def _name_of(category: object, names: list[str]) -> str:
    """The name by which a model may know a category: ``3.0`` is the class ``"3"``, too."""
    name = str(category)
    if name not in names and isinstance(category, float) and category.is_integer():
        return str(int(category))
    return name


def _class_names(model: Any) -> list[str]:
    """The names of the model's classes, in its order."""
    names = model.config.id2label
    return [str(names[code]) for code in sorted(names, key=int)]


def _check_problem(opened: OpenedModel, names: list[str]) -> None:
    """Refuse a model with labels that is no classifier into one class.

    Raises:
        MechanismError: It is a regressor, or its labels do not exclude each other.
    """
    problem = opened.model.config.problem_type
    if problem == "regression" or len(names) == 1:
        raise MechanismError(
            f"The model in {opened.folder} is no classifier: it was trained for regression. "
            "Declare its variable as cp.Continuous()."
        )
    if problem == "multi_label_classification":
        raise MechanismError(
            f"The classifier in {opened.folder} cannot be used: its labels do not exclude each "
            "other, so that they are not the values of one variable. Wrap its network with "
            "causalplug.wrap once for each label, as the mechanism of a cp.Discrete(2)."
        )


def _check_classes(categories: list[str], names: list[str]) -> None:
    """Refuse categories that are not the model's classes.

    Raises:
        MechanismError: With the names on either side.
    """
    unknown = without(categories, names)
    undeclared = without(names, categories)
    if unknown:
        way = "Name the categories as the model does."
        if all(map(_PLACEHOLDER.fullmatch, names)):
            way = (
                "These are placeholders, which only those who trained it can read: write the names "
                "of its classes into id2label of its config.json."
            )
        raise MechanismError(
            f"The classifier cannot give {unknown[0]!r}: its classes are "
            f"{', '.join(names[:8])}{', …' if len(names) > 8 else ''}. {way}"
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
