"""Several models of one question, trained from different seeds: what they disagree on is not
known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.arguments import (
    COUNT,
    FLAG,
    MAPPING,
    PATH,
    SHARE,
    TEXT,
    VALUES,
    instance,
    takes,
)
from causalplug.caveats import unique_caveats
from causalplug.errors import MechanismError, QueryError, SamplingError
from causalplug.identification.query import Query
from causalplug.model.model import Model
from causalplug.sampling.answers import Estimate
from causalplug.sampling.effects import ate_query, curve
from causalplug.sampling.estimate import estimate
from causalplug.sampling.options import DEFAULTS, INTERVAL_RULES, SamplingOptions
from causalplug.sampling.rules import DATA, DO, EFFECT, GIVEN, ROW_COUNT, VARIABLES
from causalplug.uncertainty.intervals import check_one_step, with_intervals
from causalplug.values import Named
from causalplug.wording import shortened

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack

    from causalplug.data.source import DataSource
    from causalplug.dcm import DCM
    from causalplug.training.config import TrainingSettings

__all__ = ["Ensemble"]

_ASKED = {
    "n": ROW_COUNT,
    "data": DATA,
    "one_step": INTERVAL_RULES["one_step"],
    "level": SHARE.or_none("the ensemble's"),
}
_EFFECT = EFFECT | _ASKED


class Ensemble:
    """DCMs over the same graph and variables, trained from different seeds.

    Args:
        members: At least two models.
        level: Coverage of the intervals.

    Raises:
        MechanismError: Fewer than two members, or members over different graphs or variables.

    Estimates are means over the members, and ``disagreement`` is the standard deviation between
    them. The interval ``low`` to ``high`` holds the chance of the rows, as every member tells it,
    beside that of training and sampling: the interval in which the answer of one further training
    would lie (Student's t with as many degrees of freedom as there are members less one). It is NaN
    where the members cannot tell what their rows make uncertain: the disagreement of trainings on
    the same rows says nothing about it.
    """

    @takes(MechanismError, members=VALUES, level=SHARE)
    def __init__(self, members: Iterable[DCM], *, level: float = 0.95):
        self.members = tuple(members)
        if len(self.members) < 2:
            raise MechanismError(
                f"An ensemble cannot be made of {len(self.members)} model: give at least two."
            )
        first = self.members[0]
        strange = next((item for item in self.members if not isinstance(item, Model)), None)
        if strange is not None:
            raise MechanismError(
                f"members= cannot be used: {shortened(repr(strange))} is no model (DCM)."
            )
        for i, member in enumerate(self.members[1:], 1):
            if member.graph != first.graph or member.variables != first.variables:
                raise MechanismError(
                    f"Members 0 and {i} cannot be in one ensemble: their graphs or variables "
                    "differ. Train them on the same ones."
                )
        self.level = level

    @classmethod
    @takes(MechanismError, seeds=VALUES, level=SHARE, output_dir=PATH.or_none("none"))
    def fit(
        cls,
        build: Callable[[int], DCM],
        sources: DataSource | Sequence[DataSource],
        *,
        seeds: Iterable[int] = range(3),
        level: float = 0.95,
        output_dir: str | Path | None = None,
        **settings: Unpack[TrainingSettings],
    ) -> Ensemble:
        """Train one model per seed on the same rows.

        Args:
            build: From a seed to an untrained model, such as ``lambda seed: DCM(graph, variables,
                seed=seed)``.
            sources: The tables.
            seeds: Seeds of the models and their training.
            level: Coverage of the intervals.
            output_dir: Each member's checkpoints go to ``<output_dir>/seed-<seed>``.
            settings: Those of :func:`causalplug.fit`.

        Raises:
            MechanismError: Fewer than two seeds; before anything is trained.
        """
        from causalplug.training.fit import fit

        chosen = list(seeds)
        if len(set(chosen)) < len(chosen):
            raise MechanismError(
                f"seeds={chosen} cannot be used: models of one seed are one model, which has "
                "nothing to disagree on. Give different seeds."
            )
        members = cls(list(map(build, chosen)), level=level)
        for seed, member in zip(chosen, members, strict=True):
            if output_dir is None:
                folder = None
            else:
                folder = Path(output_dir) / f"seed-{seed}"
            fit(member, sources, seed=seed, output_dir=folder, **settings)
        return members

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[DCM]:
        return iter(self.members)

    def __getitem__(self, index: int) -> DCM:
        return self.members[index]

    def __repr__(self) -> str:
        return f"Ensemble({len(self)} members over {', '.join(self.members[0].graph.variables)})"

    @takes(QueryError, query=TEXT.or_else(instance("a Query", Query)), **_ASKED)
    def estimate(
        self,
        query: str | Query,
        n: int | None = None,
        *,
        level: float | None = None,
        data: Any = None,
        one_step: bool | None = None,
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> Estimate:
        """The answer to ``query`` of all members together; ``n`` rows each, arguments as for
        :meth:`DCM.estimate`; ``level`` is the ensemble's by default."""
        started = time.perf_counter()
        if level is None:
            level = self.level
        check_one_step(one_step, "auto", data)
        options = SamplingOptions(
            seed=seed,
            batch_size=batch_size,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
        )
        answers = []
        for k, member in enumerate(self.members):
            own = replace(options, seed=(options.seed + k) % 2**63)
            answer = estimate(member, query, n, data=data, options=own)
            known = {"data": data, "level": level, "one_step": one_step}
            answers.append(with_intervals(member, answer, query, **known))
        return self._joined(answers, level, started)

    @takes(QueryError, **_EFFECT)
    def ate(
        self,
        outcome: str,
        treatment: str,
        *,
        value: object = None,
        treated: object = None,
        control: Any = None,
        given: Named | None = None,
        n: int | None = None,
        level: float | None = None,
        data: object = None,
        one_step: bool | None = None,
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> Estimate:
        """The average treatment effect; arguments as for :meth:`DCM.ate`."""
        levels = {"value": value, "treated": treated, "control": control, "given": given}
        return self.estimate(
            ate_query(self.members[0], outcome, treatment, **levels),
            n,
            level=level,
            data=data,
            one_step=one_step,
            seed=seed,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            batch_size=batch_size,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
        )

    @takes(QueryError, values=VALUES, **_EFFECT)
    def curve(
        self,
        outcome: str,
        treatment: str,
        values: Iterable[object],
        *,
        given: Named | None = None,
        n: int | None = None,
        level: float | None = None,
        data: object = None,
        one_step: bool | None = None,
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> pd.DataFrame:
        """The outcome at several values of do(treatment); arguments as for :meth:`DCM.curve`."""
        ask = partial(
            self.estimate,
            n=n,
            level=level,
            data=data,
            one_step=one_step,
            seed=seed,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            batch_size=batch_size,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
        )
        return curve(ask, outcome, treatment, values, given, self.members[0].variables)

    @takes(SamplingError, n=COUNT, do=DO, given=GIVEN, variables=VARIABLES)
    def sample(
        self,
        n: int,
        *,
        do: Named | None = None,
        given: Named | None = None,
        variables: str | Iterable[str] | None = None,
        images: str = DEFAULTS.images,
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> pd.DataFrame:
        """``n`` rows of every member, with the member as the first level of the index; arguments
        as for :meth:`DCM.sample`."""
        frames = []
        for k, member in enumerate(self.members):
            frames.append(
                member.sample(
                    n,
                    do=do,
                    given=given,
                    variables=variables,
                    images=images,
                    seed=(seed + k) % 2**63,
                    allow_unidentified=allow_unidentified,
                    interpolate=interpolate,
                    batch_size=batch_size,
                    min_acceptance=min_acceptance,
                    time_limit=time_limit,
                    progress=progress,
                )
            )
        return self._stacked(frames)

    @takes(
        SamplingError,
        do=DO,
        worlds=MAPPING.or_none("one world"),
        variables=VARIABLES,
        factual=FLAG,
        draws=COUNT,
    )
    def counterfactual(
        self,
        n: object,
        *,
        evidence: object = None,
        do: Named | None = None,
        worlds: Mapping[str, Named] | None = None,
        variables: str | Iterable[str] | None = None,
        factual: bool = False,
        draws: int = 1,
        images: str = DEFAULTS.images,
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> pd.DataFrame:
        """Rows of what would have been by every member, with the member as the first level of
        the index; arguments as for :meth:`DCM.counterfactual`."""
        frames = []
        for k, member in enumerate(self.members):
            frames.append(
                member.counterfactual(
                    n,
                    evidence=evidence,
                    do=do,
                    worlds=worlds,
                    variables=variables,
                    factual=factual,
                    draws=draws,
                    images=images,
                    seed=(seed + k) % 2**63,
                    allow_unidentified=allow_unidentified,
                    interpolate=interpolate,
                    batch_size=batch_size,
                    min_acceptance=min_acceptance,
                    time_limit=time_limit,
                    progress=progress,
                )
            )
        return self._stacked(frames)

    @staticmethod
    def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        attributes = [frame.attrs for frame in frames]
        for frame in frames:
            frame.attrs = {}
        joined = pd.concat(frames, keys=range(len(frames)), names=["member", "row"])
        warnings = {}
        for a in attributes:
            for w in a.get("warnings", []):
                warnings[str(w)] = w
        joined.attrs = attributes[0] | {
            "seconds": sum(a["seconds"] for a in attributes),
            "warnings": list(warnings.values()),
        }
        return joined

    def _joined(self, answers: Sequence[Estimate], level: float, started: float) -> Estimate:
        import pandas as pd

        first = answers[0]
        if "estimate" not in first.table:
            raise QueryError(
                f"{first.query} has no numbers to average over an ensemble: use .sample(), or ask "
                "for E[…]."
            )
        m = len(answers)
        values = _column(answers, "estimate")
        spread = values.std(0, ddof=1)
        mean = values.mean(0)
        sampling = self._variance_of_rows(answers)
        trained = _student(level, m - 1) * spread * math.sqrt(1 + 1 / m)
        normal = NormalDist().inv_cdf((1 + level) / 2)
        half = np.sqrt(normal**2 * sampling + trained**2)
        errors = _column(answers, "monte_carlo_error")
        table = first.table.assign(
            estimate=mean,
            low=mean - half,
            high=mean + half,
            standard_error=np.sqrt(sampling + spread**2 / m),
            monte_carlo_error=np.sqrt((errors**2).mean(0) / m),
            effective_sample_size=_column(answers, "effective_sample_size").sum(0),
            disagreement=spread,
        )
        words = f"{level:.0%} intervals cover the sampling of the rows, training and the Monte-"
        words += "Carlo error."
        without = [answer for answer in answers if answer.table["low"].isna().all()]
        if np.isnan(sampling).all():
            words = (without or [first])[0].interval
        marked = [answer for answer in answers if answer.marked]
        worst = (marked or [first])[0]
        return replace(
            first,
            table=table,
            summaries={},
            n=sum(answer.n for answer in answers),
            candidates=sum(answer.candidates for answer in answers),
            seconds=time.perf_counter() - started,
            status=worst.status,
            identification=worst.identification,
            warnings=unique_caveats(c for answer in answers for c in answer.warnings),
            members=pd.DataFrame({f"member {k}": row for k, row in enumerate(values)}),
            level=level,
            interval=words,
            images_painted=sum(answer.images_painted for answer in answers),
            images_reused=sum(answer.images_reused for answer in answers),
            variance_parts=(),
        )

    @staticmethod
    def _variance_of_rows(answers: Sequence[Estimate]) -> np.ndarray:
        """Mean over the members of what the rows alone make uncertain."""
        tables = [answer.table for answer in answers]
        parts = [t["standard_error"] ** 2 - t["monte_carlo_error"] ** 2 for t in tables]
        return np.maximum(np.mean(parts, axis=0), 0.0)


def _student(level: float, freedom: int) -> float:
    """Two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _column(answers: Sequence[Estimate], name: str) -> np.ndarray:
    """A column of the members' answers, ``(members, rows)``."""
    return np.stack([answer.table[name].to_numpy() for answer in answers])
