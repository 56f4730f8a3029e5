"""What the rows make uncertain about numbers, by influence functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from causalplug.data.source import DataSource, as_data_sources
from causalplug.identification.query import Query, as_query
from causalplug.model.model import Model
from causalplug.sampling.answers import VariancePart
from causalplug.sampling.terms import CompiledTerm, compile_query, normalised
from causalplug.selection import any_of_kind
from causalplug.training.learner import trainable
from causalplug.uncertainty.gradient import NoGradient
from causalplug.uncertainty.influence import Influence, influence_of
from causalplug.uncertainty.numbers import AnswerNumbers
from causalplug.uncertainty.samples import Sample, counts_fit, from_model, from_rows

__all__ = ["REPLICATES", "Spread", "Unknown", "spread_by_influence"]

REPLICATES = "train with cp.fit(…, replicates=20) to have one"
_MOST = 1024  # numbers of one answer that get intervals
_CLOSE = 3.0  # standard errors of a one-step correction that first order does for


@dataclass(frozen=True)
class Spread:
    """What is uncertain about numbers beside the Monte-Carlo error.

    Attributes:
        variance: Variance of every number.
        words: Where it comes from.
        correction: What is added to the numbers, or None.
        instead: The numbers that take the place of the model's, or None.
        freedom: Degrees of freedom of Student's t; None for the normal.
        parts: What the variance is made of; empty where that is not known.
    """

    variance: np.ndarray
    words: str
    correction: np.ndarray | None = None
    instead: np.ndarray | None = None
    freedom: int | None = None
    parts: tuple[VariancePart, ...] = ()


class Unknown(Exception):
    """Why there is no interval, and how to get one."""


def spread_by_influence(
    dcm: Model,
    query: str | Query,
    size: int,
    data: object,
    one_step: bool | None,
    seed: int,
    numbers_of: Callable[[Sequence[CompiledTerm]], AnswerNumbers] | None = None,
) -> Spread:
    """The spread of an answer's numbers, by influence functions.

    Args:
        dcm: The model.
        query: What was asked.
        size: How many numbers there are.
        data: The rows that the model was trained on, or None to go by the model alone.
        one_step: Add the influence of the rows.
        seed: Seed of the noise.
        numbers_of: The numbers, from the compiled terms; by default those of the answer's table.

    Raises:
        Unknown: Why there is none.
    """
    trained = {name for name in dcm.graph.variables if trainable(dcm.mechanism(name))}
    if not trained and dcm.sources is None:
        words = "the Monte-Carlo error alone, since no part of the model was estimated"
        return Spread(np.zeros(size), words)
    asked = normalised(dcm, as_query(query))
    terms = compile_query(dcm, asked)
    if numbers_of is None:
        numbers = AnswerNumbers(dcm, terms, asked.formula)
    else:
        numbers = numbers_of(terms)
    if numbers.size > _MOST:
        raise Unknown(f"the answer has {numbers.size:,} numbers", f"ask for at most {_MOST:,}")
    other = _not_by_likelihood(dcm, numbers, trained)
    corrected = bool(other) and data is not None and one_step is not False
    if other and not corrected:
        _refuse(dcm, other)
    samples = _samples(dcm, data)
    try:
        found = influence_of(dcm, numbers, samples, trained, seed=seed)
    except NoGradient as why:
        raise Unknown(str(why), REPLICATES) from None
    if corrected:
        return _corrected(found, samples, other, _names(dcm, samples))
    return _told(found, samples, one_step, _names(dcm, samples))


def _not_by_likelihood(dcm: Model, numbers: AnswerNumbers, trained: set[str]) -> list[str]:
    """What the answer reads and was trained in another way; it has a density.

    Raises:
        Unknown: Some of it has none, or was not trained by :func:`causalplug.fit`.
    """
    read: set[str] = set()
    for world, target in numbers.targets:
        read.update(name for name, _ in world.run([target]))
    objectives = _objectives(dcm.history)
    other = sorted(n for n in trained & read if objectives.get(n) != "likelihood")
    unknown = [name for name in other if name not in objectives]
    if unknown:
        raise Unknown(
            f"the model does not know how {', '.join(unknown)} was trained, or on how many rows",
            "train it with cp.fit to have one",
        )
    without = [name for name in other if not dcm.mechanism(name).explicit]
    if without:
        raise Unknown(_without_influence(objectives, without), REPLICATES)
    return other


def _refuse(dcm: Model, other: Sequence[str]) -> None:
    raise Unknown(
        _without_influence(_objectives(dcm.history), other),
        "give data= the rows that it was trained on for the one-step estimate, or " + REPLICATES,
    )


def _without_influence(objectives: Mapping[str, str], names: Sequence[str]) -> str:
    were = "were" if len(names) > 1 else "was"
    return (
        f"{', '.join(names)} {were} trained with objective={objectives[names[0]]!r}, which has no "
        "influence function"
    )


def _corrected(
    found: Influence, samples: Sequence[Sample], other: Sequence[str], names: Sequence[str]
) -> Spread:
    """The spread of the one-step estimate, which to first order does not depend on how the model
    was trained, if it is close (Bickel, Klaassen, Ritov & Wellner 1993, section 2.5).

    Raises:
        Unknown: The correction is so large that first order does not do.
    """
    spread = _told(found, samples, True, names)
    error = np.sqrt(spread.variance)
    if spread.correction is not None and (np.abs(spread.correction) > _CLOSE * error).any():
        worst = float(np.max(np.abs(spread.correction) / np.maximum(error, 1e-300)))
        raise Unknown(
            f"{', '.join(other)} {'are' if len(other) > 1 else 'is'} so far from the rows that the "
            f"one-step correction is {worst:.1f} times its standard error",
            "train longer, or " + REPLICATES,
        )
    return spread


def _objectives(history: Mapping[str, object]) -> dict[str, str]:
    """By variable, how it was trained; a history may come from anywhere and say nothing of it."""
    found = {}
    modules = history.get("modules")
    for module in modules if isinstance(modules, list) else []:
        objective, names = _told_of(module, "objective"), _told_of(module, "variables")
        if isinstance(objective, str) and isinstance(names, list):
            found.update({name: objective for name in names if isinstance(name, str)})
    return found


def _told_of(module: object, key: str) -> object:
    return module.get(key) if isinstance(module, Mapping) else None


def _samples(dcm: Model, data: object) -> list[Sample]:
    if data is not None:
        given = _data_sources(dcm, data)
        if dcm.sources is not None and len(given) != len(dcm.sources):
            raise Unknown(
                f"data= has {len(given)} tables, and the model was trained on {len(dcm.sources)}",
                "give all of them, or leave data= out",
            )
        return from_rows(dcm, [one.encode(dcm.variables) for one in given])
    counts = dcm.history.get("sources") or []
    if dcm.sources is None or not counts_fit(dcm, dcm.sources, counts):
        raise Unknown(
            "the model was saved before numbers of rows were kept with it",
            "give data= the rows that it was trained on to have one",
        )
    if any("clusters" in count for count in counts):
        raise Unknown(
            "the rows came in clusters, and the model does not know how alike those of one are",
            "give data= with their clusters to have one, or " + REPLICATES,
        )
    found = from_model(dcm, dcm.sources, counts)
    if found is None:
        raise Unknown(
            "its generators are too slow to draw pictures in place of the data",
            "give data= the rows that it was trained on to have one",
        )
    return found


def _data_sources(dcm: Model, data: object) -> list[DataSource]:
    """The data as they came about; bare tables are those of the model's sources, in their order."""
    several = isinstance(data, list | tuple)
    items: Sequence[object] = data if several else [data]  # type: ignore[assignment]
    alone = not several and (dcm.sources is None or len(dcm.sources) != 1)
    if alone or any_of_kind(items, DataSource):
        return as_data_sources(data)
    if dcm.sources is None or len(items) != len(dcm.sources):
        raise Unknown(
            f"nothing says how the {len(items)} tables came about",
            "give each as cp.DataSource(table, do=…)",
        )
    found = []
    for table, source in zip(items, dcm.sources, strict=True):
        found.append(DataSource(table, do=sorted(source.do)))
    return found


def _told(
    found: Influence, samples: Sequence[Sample], one_step: bool | None, names: Sequence[str]
) -> Spread:
    real = all(sample.real for sample in samples)
    variance = _variance(found, samples).numpy()
    rows = sum(sample.stands_for for sample in samples)
    sampled = f"the sampling of {rows:,} rows"
    method = "by influence functions"
    if not real:
        method += " of the model alone"
    words = f"{sampled} ({method}) and the Monte-Carlo error"
    if found.estimate is not None and real and one_step is not False:
        return Spread(
            variance,
            f"{sampled} (doubly robust)",
            instead=found.estimate.numpy(),
            parts=_parts(found, samples, names),
        )
    parts = _parts(found, samples, names)
    if one_step and real:
        correction = found.correction.numpy()
        words = f"{sampled} ({method}, one-step) and the Monte-Carlo error"
        return Spread(variance, words, correction=correction, parts=parts)
    return Spread(variance, words, parts=parts)


def _names(dcm: Model, samples: Sequence[Sample]) -> list[str]:
    """What the sources of the samples are called: as when the model was trained on them."""
    sources = [sample.source for sample in samples]
    if dcm.sources is not None and len(dcm.sources) == len(sources):
        sources = list(dcm.sources)
    return [source.name or source.describe() for source in sources]


def _parts(
    found: Influence, samples: Sequence[Sample], names: Sequence[str]
) -> tuple[VariancePart, ...]:
    """What the variance is made of; unknown where rows come in clusters, which join components."""
    if any(sample.clusters is not None for sample in samples):
        return ()
    parts = []
    for (variables, place), variance in found.parts.items():
        parts.append(VariancePart("rows", variables, names[place], variance.numpy()))
    return tuple(parts)


def _variance(found: Influence, samples: Sequence[Sample]) -> Tensor:
    clusters = [sample.clusters for sample in samples]
    if all(cluster is None for cluster in clusters):
        return found.variance
    clustered = found.clustered(clusters)
    if clustered is None:
        raise Unknown("its rows come in clusters, and not all of them could be read", REPLICATES)
    return clustered
