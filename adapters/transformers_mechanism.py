"""What frozen models of transformers have in common as mechanisms: how they read, are loaded and
are saved."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from torch import Tensor

from causalplug.adapters.places import place_of, snapshot_of
from causalplug.adapters.rules import ERROR, FETCHING, READING
from causalplug.adapters.transformers_files import (
    OpenedModel,
    architecture_of,
    model_files,
    open_model,
)
from causalplug.adapters.transformers_inputs import Pick, reader_of
from causalplug.arguments import FLAG, takes
from causalplug.errors import MechanismError, RepositoryError
from causalplug.hub.part import Content
from causalplug.hub.snapshot import Snapshot
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism, ErrorSpec
from causalplug.mechanisms.frozen.trial import try_mechanism
from causalplug.networks import freeze
from causalplug.values import Json, Named
from causalplug.variables import Variable, variable_from_dict

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TransformersMechanism", "opened_from", "same_kind_bound"]


_M = TypeVar("_M", bound="TransformersMechanism")


class TransformersMechanism(ConditionalMechanism):
    """A frozen model of transformers that reads one image or one text.

    A subclass says which class of transformers opens it (:meth:`head`), and what it takes of the
    model's answer.

    Args:
        opened: The model and its files, as
            :func:`~causalplug.adapters.transformers_files.open_model` gives them.
        variable: The variable as the user declares it.
        reads: The images or texts that it reads; at binding those of its parent.
        generates: The variable as the model knows it; as declared by default.
        probabilities, error: As for
            :class:`~causalplug.mechanisms.frozen.conditional.ConditionalMechanism`.

    Raises:
        MechanismError: The model reads something else, or its files lack weights.
    """

    needs = ("transformers",)
    copied_with_model = True
    word: ClassVar[str] = "model"

    def __init__(
        self,
        opened: OpenedModel,
        variable: Variable,
        reads: Variable | None = None,
        *,
        generates: Variable | None = None,
        probabilities: bool = False,
        error: ErrorSpec = None,
    ):
        _refuse_missing(opened, self.word, self.optional_weights())
        self.reader = reader_of(opened)
        condition = Condition(self.reader.name, reads or self.reader.default())
        super().__init__(
            generates or variable, [condition], {}, probabilities=probabilities, error=error
        )
        self.declared = variable
        self.network = freeze(opened.model)
        self.differentiable = not opened.reads_text
        self.folder: Path | None = opened.folder
        self.location = opened.location

    @classmethod
    def head(cls, architecture: str, family: str) -> str:
        """The class of transformers that opens a model of this class and family."""
        raise NotImplementedError

    @classmethod
    def optional_weights(cls) -> tuple[str, ...]:
        """How the names of weights begin that are not used, so that files may lack them."""
        return ()

    def bind(
        self,
        name: str,
        variable: Variable,
        parents: Mapping[str, Variable],
        reads: ReadsSpec = None,
    ) -> Self:
        """A copy for one variable; it reads images of any size and texts of any length, as its
        parent declares them."""
        adapted: Self = same_kind_bound(self, parents)
        adapted.reader.check(adapted.read_conditions[0].kind, f"The parent of {name!r}")
        return super(TransformersMechanism, adapted).bind(name, variable, parents, reads)

    def answer(self, conditions: Mapping[str, Tensor], pick: Pick) -> Tensor:
        """What ``pick`` takes of the model's answer, ``(n, …)`` floats."""
        condition = self.read_conditions[0]
        return self.reader.run(self.network, conditions[condition.name], condition.kind, pick)

    # -- loading and saving

    @classmethod
    @takes(MechanismError, **FETCHING, **READING, error=ERROR, trial=FLAG)
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        variable: Variable,
        reads: Variable | None = None,
        *,
        error: ErrorSpec = None,
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
        trial: bool = True,
    ) -> Self:
        """A mechanism from a folder or the Hub, safetensors only and without code.

        Args:
            source: A folder or a Hub id.
            variable, reads: As for the class.
            error: Of a number, the standard deviation of its error, or ``"estimate"``.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.
            trial: Whether it runs on a few rows first, which checks what it gives.

        Raises:
            MissingDependencyError: transformers is not installed.
            RepositoryError: Files are missing or not safetensors.
            MechanismError: The model does not give the variable, or weights are missing.
        """
        snapshot = snapshot_of(
            source,
            revision=revision,
            subfolder=subfolder,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        made = cls.opened(opened_from(snapshot, cls), variable, reads, error)
        if snapshot.repo_id is not None:
            made.license = snapshot.license
        if trial:
            try_mechanism(made)
        return made

    @classmethod
    def opened(
        cls, opened: OpenedModel, variable: Variable, reads: Variable | None, error: ErrorSpec
    ) -> Self:
        """The mechanism of a model that has been opened."""
        if error is not None:
            raise MechanismError(
                f"error={error!r} cannot be used with {variable.describe()}: it is the standard "
                "deviation of the error of a number."
            )
        return cls(opened, variable, reads)

    def saved_tensors(self) -> dict[str, Tensor]:
        """Nothing: the model has its own files."""
        return {}

    def saved_files(self) -> dict[str, Content]:
        """The model's files under ``model/``; none where it is referred to on the Hub."""
        if self.location:
            return {}
        if self.folder is None:
            raise RepositoryError(
                f"cannot save a {self.word} that exists only in memory: load it with "
                "causalplug.from_pretrained"
            )
        return model_files(self.folder, "model")

    def config(self) -> Json:
        return {
            "variable": self.declared.to_dict(),
            self.read_conditions[0].name: self.read_conditions[0].kind.to_dict(),
            "model": self.location,
            **({} if self.requested_error is None else {"error": self.requested_error}),
        }

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> Self:
        """The mechanism that a repository describes."""
        variable = variable_from_dict(config["variable"], "variable")
        name = next(key for key in ("image", "text") if key in config)
        reads = variable_from_dict(config[name], name)
        place, location = place_of(config["model"], snapshot, "model")
        error = config.get("error")
        return cls.from_pretrained(place, variable, reads, error=error, **location)


def opened_from(snapshot: Snapshot, cls: type[TransformersMechanism]) -> OpenedModel:
    """The model of a repository, opened by the class of transformers that its architecture asks
    for."""
    return open_model(snapshot, cls.head(*architecture_of(snapshot)))


def same_kind_bound(mechanism: _M, parents: Mapping[str, Variable]) -> _M:
    """A copy whose condition is declared as the one parent of its kind is."""
    adapted = copy.copy(mechanism)
    (condition,) = mechanism.read_conditions
    fitting = [parent for parent in parents.values() if parent.kind == condition.kind.kind]
    if len(fitting) == 1:
        adapted.read_conditions = (Condition(condition.name, fitting[0]),)
    return adapted


def _refuse_missing(opened: OpenedModel, word: str, optional: tuple[str, ...]) -> None:
    random = [name for name in opened.missing if not name.startswith(optional or ("\0",))]
    if random:
        raise MechanismError(
            f"The {word} in {opened.folder} cannot be used: its files lack the weights "
            f"{', '.join(random[:3])}, so that its answers would be random. Load one that was "
            f"trained as a {word}."
        )
