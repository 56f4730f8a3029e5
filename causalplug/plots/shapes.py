"""What the pictures draw, as protocols: anything with these attributes can be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from causalplug.values import Named

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CertificateShape",
    "DriverShape",
    "DriversShape",
    "FitShape",
    "GraphShape",
    "HedgeShape",
    "ModelShape",
    "ModuleShape",
    "PlanShape",
    "TrainedModuleShape",
    "TrainingShape",
]


class GraphShape(Protocol):
    """A causal graph: names, edges and searches in it."""

    @property
    def variables(self) -> Sequence[str]: ...
    @property
    def directed(self) -> Sequence[tuple[str, str]]: ...
    @property
    def bidirected(self) -> Sequence[tuple[str, str]]: ...
    def latent_projection(self, keep: Iterable[str]) -> GraphShape: ...
    def topological_order(self) -> Sequence[str]: ...
    def parents(self, of: str) -> Sequence[str]: ...
    def children(self, of: str) -> Sequence[str]: ...
    def siblings(self, of: str) -> Sequence[str]: ...


class HedgeShape(Protocol):
    """A hedge of a certificate."""

    @property
    def forest(self) -> frozenset[str]: ...


class CertificateShape(Protocol):
    """What stands in the way of identification."""

    @property
    def graph(self) -> GraphShape | None: ...
    @property
    def hedges(self) -> Sequence[HedgeShape]: ...
    @property
    def variables(self) -> frozenset[str]: ...
    @property
    def sentence(self) -> str: ...


class ModuleShape(Protocol):
    """A module of a plan."""

    @property
    def name(self) -> str: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def renderers(self) -> Sequence[str]: ...
    @property
    def label(self) -> str: ...
    @property
    def action(self) -> str: ...


class PlanShape(Protocol):
    """A plan: a graph, and modules in training order."""

    @property
    def graph(self) -> GraphShape: ...
    @property
    def modules(self) -> Sequence[ModuleShape]: ...
    @property
    def generations(self) -> Sequence[Sequence[ModuleShape]]: ...
    @property
    def edges(self) -> Any: ...
    @property
    def asked(self) -> object: ...


class FitShape(Protocol):
    """The report of a fit check, by value of the parents."""

    @property
    def configurations(self) -> Sequence[Any]: ...
    @property
    def name(self) -> str: ...
    @property
    def verdict(self) -> str: ...
    @property
    def worst(self) -> Any: ...


class DriverShape(Protocol):
    """A module that an answer rests on."""

    @property
    def name(self) -> str: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def is_pulled(self) -> bool: ...
    @property
    def made_by(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def fit(self) -> str: ...
    @property
    def overlap(self) -> str: ...
    @property
    def share_in_words(self) -> str: ...
    @property
    def caveats(self) -> Sequence[object]: ...


class DriversShape(Protocol):
    """What an answer rests on."""

    @property
    def answer(self) -> Any: ...
    @property
    def graph(self) -> GraphShape: ...
    @property
    def modules(self) -> Sequence[DriverShape]: ...
    @property
    def held(self) -> Sequence[str]: ...
    @property
    def unused(self) -> Sequence[str]: ...
    @property
    def uncertainty(self) -> Sequence[tuple[str, float]]: ...
    @property
    def numbers(self) -> Sequence[tuple[str, float, float, float]]: ...
    @property
    def warnings(self) -> Sequence[object]: ...


class TrainedModuleShape(Protocol):
    """What training recorded of one module."""

    @property
    def name(self) -> str: ...
    @property
    def curve(self) -> Sequence[Any]: ...
    @property
    def distances(self) -> Sequence[Any]: ...
    @property
    def best_step(self) -> int | None: ...


class TrainingShape(Protocol):
    """The report of a training run."""

    @property
    def modules(self) -> Sequence[TrainedModuleShape]: ...


class ModelShape(Protocol):
    """A model that can be sampled."""

    @property
    def variables(self) -> Named: ...
    def sample(
        self,
        n: int,
        *,
        do: Named | None,
        variables: list[str],
        seed: int,
        images: str,
        allow_unidentified: bool,
        progress: bool,
    ) -> pd.DataFrame: ...
    def counterfactual(
        self,
        n: int,
        *,
        evidence: object,
        do: Named,
        variables: list[str],
        factual: bool,
        seed: int,
        images: str,
        allow_unidentified: bool,
        progress: bool,
    ) -> pd.DataFrame: ...
