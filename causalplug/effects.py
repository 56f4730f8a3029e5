"""Numbers asked of a model: answers, effects and curves, what drives and what refutes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from causalplug.arguments import COUNT, FLAG, ROWS, SEED, VALUES, takes, whole
from causalplug.errors import QueryError
from causalplug.identification.assumptions import BOUNDING, RECOVERING, Assume, as_assumptions
from causalplug.identification.query import Query
from causalplug.model.model import Model
from causalplug.sampling.options import DEFAULTS, INTERVAL_RULES, SamplingOptions
from causalplug.sampling.rules import DATA, EFFECT, QUERY, ROW_COUNT
from causalplug.values import Named

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.sampling.answers import Estimate
    from causalplug.uncertainty.drivers import Drivers
    from causalplug.uncertainty.refute import Refutation

__all__ = ["Effects"]


class Effects(Model):
    """A model that answers queries with numbers; :class:`causalplug.DCM` is one."""

    @takes(
        QueryError,
        query=QUERY,
        n=ROW_COUNT,
        data=DATA,
        pictures=whole(0, 100_000),
        bounds=FLAG,
        **INTERVAL_RULES,
    )
    def estimate(
        self,
        query: str | Query,
        n: int | None = None,
        *,
        level: float = 0.95,
        data: object = None,
        one_step: bool | None = None,
        interval: str = "auto",
        compare: str | None = None,
        pictures: int = 16,
        bounds: bool = False,
        assume: Assume | Iterable[Assume] = (),
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> Estimate:
        """The answer to a causal question, with an interval that holds all that is uncertain.

        The interval covers the chance in which rows the model was trained on, and in sampling from
        the model. A module that was trained by likelihood tells the former itself, also after it
        was pulled without its rows (influence functions); any other by replicates, see
        :func:`causalplug.fit`. Where neither is to be had ``low`` and ``high`` are NaN, and the
        answer says how to get them.

        Args:
            query: Text such as ``"P(A | do(D=1))"``, ``"E[N | do(C=1)] - E[N | do(C=0)]"`` or
                ``"PNS(Y, X)"``, or a Query.
            n: Rows that have to meet the evidence of every term; by default 100,000, and as many as
                training had, between 2,000 and 10,000, where an image is painted for each.
            level: Coverage of the intervals.
            data: The rows that the model was trained on, a table or data sources: the overlap that
                the answer rests on is checked, and the intervals are made from them.
            one_step: Add what the rows in ``data`` add to the answer to first order, which removes
                the bias of a model that smooths; by default where the treatment's causes are all
                recorded, which makes the estimate doubly robust.
            interval: Where the interval comes from: ``"influence"`` functions, the ``"replicates"``
                that the model was trained with, ``"auto"``, the first of the two that can be had,
                or ``"none"``.
            compare: ``"plug-in"`` adds the identified formula, evaluated on the rows in ``data``,
                as a column.
            pictures: How many images are rendered of an image that is asked for.
            bounds: Where the data do not determine the answer, give what they allow in place of an
                error: ``low`` and ``high`` are bounds (see :func:`causalplug.bounds`) and
                ``estimate`` is NaN. Where ``data`` show weak overlap, ``low`` and ``high`` bound
                the part without support.
            assume: Declared assumptions, see :class:`causalplug.Assume`; they are used where the
                data do not determine the answer without them, and the answer says which were.
            seed: Seed of the noise, which all terms share.
            allow_unidentified, interpolate, batch_size, min_acceptance, time_limit, progress: As
                for :meth:`sample`.

        Raises:
            QuerySyntaxError, QueryError, NotIdentifiableError, UnknownVariableError, DataError,
            SamplingError.
        """
        from causalplug.sampling.assumed import under_assumptions
        from causalplug.sampling.bounded import with_bounds
        from causalplug.sampling.estimate import estimate
        from causalplug.sampling.guard import known_sources
        from causalplug.uncertainty.completeness import completeness_caveats
        from causalplug.uncertainty.intervals import check_one_step, with_intervals

        check_one_step(one_step, interval, data)
        options = SamplingOptions(
            seed=seed,
            batch_size=batch_size,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
        )
        declared = as_assumptions(self.graph, assume)
        assumed = under_assumptions(self, query, declared, known_sources(self), bounds=bounds)
        noise = [a for a in declared if a.kind in RECOVERING]
        options = replace(options, assume=tuple(noise))

        def answered(question: str | Query) -> Estimate:
            answer = estimate(
                self, question, n, data=data, compare=compare, pictures=pictures, options=options
            )
            return with_intervals(
                self,
                answer,
                question,
                data=data,
                level=level,
                one_step=one_step,
                interval=interval,
                ask=lambda model, rows: estimate(model, question, rows, options=options),
            )

        def model_answer() -> Estimate:
            doubts = completeness_caveats(assumed.identification, answered)
            return assumed.told(answered(assumed.query), doubts)

        if not bounds:
            return model_answer()
        narrowing = [a for a in declared if a.kind in BOUNDING]
        return with_bounds(
            self, query, model_answer, data=data, level=level, seed=seed, assume=narrowing
        )

    @takes(QueryError, query=QUERY, n=ROW_COUNT, data=DATA, level=INTERVAL_RULES["level"])
    def drivers(
        self,
        query: str | Query,
        n: int | None = None,
        *,
        data: object = None,
        level: float = 0.95,
        assume: Assume | Iterable[Assume] = (),
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
    ) -> Drivers:
        """What drives the answer to a question: the modules and generators that it rests on, how
        well each of them fits the rows, and where the uncertainty comes from.

        Args:
            query: The question, as for :meth:`estimate`.
            n, data, level, assume, seed, allow_unidentified: As for :meth:`estimate`. With ``data``
                the overlap of this very question is checked.

        Returns:
            A :class:`Drivers`: it prints as a table, and ``.plot()`` draws it on one page.

        Raises:
            QuerySyntaxError, QueryError, NotIdentifiableError, UnknownVariableError, DataError,
            SamplingError: As for :meth:`estimate`.

        Example:
            >>> print(dcm.drivers("P(A | do(D=1))"))  # doctest: +SKIP
        """
        from causalplug.uncertainty.drivers import drivers_of

        answer = self.estimate(
            query,
            n,
            data=data,
            level=level,
            assume=assume,
            seed=seed,
            allow_unidentified=allow_unidentified,
        )
        return drivers_of(self, answer)

    @takes(QueryError, query=QUERY, data=ROWS, n=COUNT, seed=SEED, steps=COUNT.or_none())
    def refute(
        self,
        query: str | Query,
        data: object,
        *,
        n: int = 50_000,
        seed: int = 0,
        steps: int | None = None,
    ) -> Refutation:
        """What an effect becomes when it is estimated anew on changed rows.

        Copies of the model are trained further: with the treatment shuffled, when the effect has to
        be 0; on a part of the rows, and with another seed, when it has to stay. A new model of a
        graph with one more recorded common cause, random numbers, is trained as well, when it has
        to stay. The model itself is left alone.

        Args:
            query: A contrast that is 0 where there is no effect, such as ``"ATE(Y, X)"``.
            data: The rows, one observational table.
            n: Rows that are sampled for every answer.
            seed: Seed of the shuffling, and of the refits.
            steps: Steps of every refit; by default those of a fit.

        Returns:
            A :class:`Refutation`: one table, and true in a condition if nothing refutes the answer.

        Raises:
            QueryError: If the query is not such a contrast.
            NotIdentifiableError, DataError, TrainingError: As for :meth:`estimate` and
                :func:`causalplug.fit`.
        """
        from causalplug.uncertainty.refute import refute

        if steps is None:
            settings = {}
        else:
            settings = {"steps": steps}
        return refute(
            self,
            query,
            data,
            lambda model, asked: model.estimate(asked, n, seed=seed),
            seed=seed,
            settings=settings,
        )

    @takes(QueryError, **EFFECT, **INTERVAL_RULES)
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
        level: float = 0.95,
        data: object = None,
        one_step: bool | None = None,
        interval: str = "auto",
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> Estimate:
        """The average treatment effect ``E[outcome | do(treated)] - E[outcome | do(control)]``,
        within ``given``.

        Args:
            outcome: A variable of numbers; or of two names, the effect then being on the
                probability of the second.
            treatment: The variable that is set.
            value: Ask for the probability of this value of the outcome.
            treated, control: Values of the treatment; a binary one needs none.
            given: Categories that are conditioned on, under the intervention.
            n: Rows of every term.
            level, data, one_step, interval, seed, allow_unidentified: As for :meth:`estimate`.
            interpolate, batch_size, min_acceptance, time_limit, progress: As for :meth:`estimate`.
        """
        from causalplug.sampling.effects import ate_query

        levels = {"value": value, "treated": treated, "control": control, "given": given}
        return self.estimate(
            ate_query(self, outcome, treatment, **levels),
            n,
            level=level,
            data=data,
            one_step=one_step,
            interval=interval,
            seed=seed,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            batch_size=batch_size,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
        )

    @takes(QueryError, values=VALUES, **EFFECT, **INTERVAL_RULES)
    def curve(
        self,
        outcome: str,
        treatment: str,
        values: Iterable[object],
        *,
        given: Named | None = None,
        n: int | None = None,
        level: float = 0.95,
        data: object = None,
        one_step: bool | None = None,
        interval: str = "auto",
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> pd.DataFrame:
        """The outcome's mean (or its probabilities) under ``do(treatment=v)`` for every v in
        ``values``, on the same noise."""
        from causalplug.sampling.effects import curve

        return curve(
            partial(
                self.estimate,
                n=n,
                level=level,
                data=data,
                one_step=one_step,
                interval=interval,
                seed=seed,
                allow_unidentified=allow_unidentified,
                interpolate=interpolate,
                batch_size=batch_size,
                min_acceptance=min_acceptance,
                time_limit=time_limit,
                progress=progress,
            ),
            outcome,
            treatment,
            values,
            given,
            self.variables,
        )
