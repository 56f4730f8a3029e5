"""Frozen regressors and embeddings of the transformers library, of images or texts, as mechanisms
of numbers and vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from causalplug.adapters.transformers_classifier import head_of_labels
from causalplug.adapters.transformers_files import OpenedModel
from causalplug.adapters.transformers_inputs import reader_of
from causalplug.adapters.transformers_mechanism import TransformersMechanism
from causalplug.errors import MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.conditional import ErrorSpec
from causalplug.variables import Variable

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TransformersEmbedding", "TransformersRegressor", "pooled_states"]


@register_mechanism("transformers-regressor")
class TransformersRegressor(TransformersMechanism):
    """A number, or a vector of several, read off an image or a text by a frozen regressor.

    Args:
        opened: The model and its files.
        variable: A number, or a vector of as many numbers as the model gives.
        reads: The images or texts that it reads; at binding those of its parent.
        error: Of a number, the standard deviation of a normal error about what the model says, or
            ``"estimate"``. With it the mechanism is explicit; without, the number is a function of
            what is read.

    Raises:
        MechanismError: The model is a classifier, gives another number of numbers, or lacks
            weights.
    """

    word = "regressor"

    def __init__(
        self,
        opened: OpenedModel,
        variable: Variable,
        reads: Variable | None = None,
        error: ErrorSpec = None,
    ):
        _check_regression(opened, variable)
        super().__init__(opened, variable, reads, error=error)

    @classmethod
    def head(cls, architecture: str, family: str) -> str:
        return head_of_labels(architecture, family)

    @classmethod
    def opened(
        cls, opened: OpenedModel, variable: Variable, reads: Variable | None, error: ErrorSpec
    ) -> Self:
        return cls(opened, variable, reads, error)

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        made = self.answer(conditions, lambda found: found.logits)
        return made.reshape(len(made), *self.generates.event_shape)


def _check_regression(opened: OpenedModel, variable: Variable) -> None:
    settings = opened.model.config
    size = int(settings.num_labels)
    if settings.problem_type not in (None, "regression") or (
        settings.problem_type is None and size > 1
    ):
        names = list(settings.id2label.values())
        raise MechanismError(
            f"The model in {opened.folder} is a classifier of {', '.join(map(str, names[:4]))}"
            f"{', …' if len(names) > 4 else ''}, no regressor. Declare its variable as "
            "cp.Discrete([…]) of these names."
        )
    wanted = 1
    if variable.event_shape:
        wanted = variable.event_shape[0]
    if wanted != size:
        raise MechanismError(
            f"The regressor in {opened.folder} cannot give {variable.describe()}: it gives {size} "
            f"number{'s' * (size > 1)}. Declare "
            f"{'cp.Continuous()' if size == 1 else f'cp.Vector({size})'}."
        )


@register_mechanism("transformers-embedding")
class TransformersEmbedding(TransformersMechanism):
    """The vector by which a frozen backbone knows an image or a text.

    Of an image it is the pooled output where the files hold its weights, else the mean of the last
    states; of a text the mean of the last states over its tokens. It is a function of what is
    read.

    Args:
        opened: The model and its files.
        variable: A vector as wide as the features of the model.
        reads: The images or texts that it reads; at binding those of its parent.

    Raises:
        MechanismError: The vector has another width, or weights are missing.
    """

    word = "backbone"

    def __init__(self, opened: OpenedModel, variable: Variable, reads: Variable | None = None):
        reader_of(opened)
        width = width_of(opened.model.config.to_dict())
        if not width:
            raise MechanismError(
                f"The backbone in {opened.folder} cannot give {variable.describe()}: its "
                "configuration does not say how wide its features are (hidden_size). Wrap its "
                "network with causalplug.wrap."
            )
        if variable.event_shape != (width,):
            raise MechanismError(
                f"The backbone in {opened.folder} cannot give {variable.describe()}: its features "
                f"have {width} numbers. Declare cp.Vector({width})."
            )
        self_pools = not opened.missing and not opened.reads_text
        super().__init__(opened, variable, reads)
        self.has_pooler = self_pools

    @classmethod
    def head(cls, architecture: str, family: str) -> str:
        return "AutoModel"

    @classmethod
    def optional_weights(cls) -> tuple[str, ...]:
        return ("pooler.",)

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        return self.answer(conditions, lambda found: pooled_states(found, self.has_pooler))


def pooled_states(found: Any, has_pooler: bool) -> Tensor:
    """One vector ``(n, width)`` for each row of a backbone's answer.

    Args:
        found: What the backbone returned.
        has_pooler: Whether its pooled output can be trusted.
    """
    pooled = found.get("pooler_output")
    if pooled is None or not has_pooler:
        states = found.get("last_hidden_state")
        if states is None:
            states = found.feature_maps[-1]
        places = tuple(range(2, states.ndim)) if states.ndim == 4 else (1,)
        pooled = states.mean(places)
    return pooled.flatten(1).float()


def width_of(settings: Mapping[str, Any]) -> int:
    """The width of a backbone's features; 0 where its configuration does not say."""
    several = settings.get("hidden_sizes") or [0]
    names = ("hidden_size", "d_model", "n_embd", "dim")
    found = next((settings[name] for name in names if settings.get(name)), several[-1])
    return int(found)
