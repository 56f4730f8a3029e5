"""Rows asked of a model: samples, counterfactuals, and the noise behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from numbers import Number
from typing import TYPE_CHECKING

from causalplug.arguments import COUNT, FLAG, MAPPING, Rule, instance, takes
from causalplug.errors import SamplingError
from causalplug.identification.assumptions import RECOVERING, Assume, as_assumptions
from causalplug.model.model import Model
from causalplug.noise import Noise
from causalplug.sampling.options import DEFAULTS, SamplingOptions
from causalplug.sampling.rules import DO, GIVEN, VARIABLES
from causalplug.values import Named

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

__all__ = ["Samples"]

_NOISE = instance("a Noise", Noise)


def _count_or_rows(value: object) -> object:
    """A number of rows, checked; rows are checked where they are read."""
    if isinstance(value, Number):
        return COUNT.read(value)
    return value


_N = Rule(COUNT.wanted, _count_or_rows)


class Samples(Model):
    """A model that answers with rows; :class:`causalplug.DCM` is one."""

    @takes(SamplingError, noise=_NOISE, do=DO, variables=VARIABLES, allow_unidentified=FLAG)
    def forward(
        self,
        noise: Noise,
        do: Mapping[str, Tensor] | None = None,
        variables: Iterable[str] | None = None,
        *,
        allow_unidentified: bool = False,
    ) -> dict[str, Tensor]:
        """Values of ``variables`` from noise, under interventions; only their ancestors are run.

        Args:
            noise: Noise of n rows; the same noise under another ``do`` gives the counterfactual of
                the same rows.
            do: Encoded values ``(n, *event_shape)`` of the intervened variables; their mechanisms
                do not run.
            variables: What is asked for; all by default.
            allow_unidentified: Give the values also where the data do not determine their
                distribution.

        Returns:
            Encoded values ``(n, *event_shape)`` by variable, in the graph's order.

        Raises:
            NotIdentifiableError: The data that the model was trained on do not determine the
                distribution of these values, under ``do`` or given what the noise was chosen by.
            UnknownVariableError: A name that is not a variable.
            DataError: Another number of values than rows of noise.
        """
        from causalplug.sampling.sample import run

        return run(self, noise, do, variables, allow_unidentified)

    @takes(SamplingError, n=COUNT, do=DO, given=GIVEN, variables=VARIABLES)
    def sample(
        self,
        n: int,
        *,
        do: Named | None = None,
        given: Named | None = None,
        variables: str | Iterable[str] | None = None,
        seed: int = DEFAULTS.seed,
        images: str = DEFAULTS.images,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
        distributed: bool = DEFAULTS.distributed,
    ) -> pd.DataFrame:
        """``n`` rows of P(variables | do, given), as a table.

        Row i is the i-th candidate row of noise that meets ``given``. It depends on the seed alone,
        not on the batch size, the number of processes, or ``n``. Only ancestors of the requested
        and conditioned variables are run. Images are rendered for accepted rows only, unless the
        condition reads them.

        Args:
            n: Rows, at least 1.
            do: By variable a value, n values, a mapping from values to probabilities, a
                distribution of torch, a function whose parameters are names of variables (from n
                values of each to n values), a function from n uniform numbers to n values, or a
                :class:`causalplug.Policy`.
            given: By variable a category, a list of several (any of them), an interval ``(low,
                high)`` with None for no bound, or an array or column of one value per row. A single
                value of a continuous variable is met by weighting, if it can be.
            variables: Variables to return; all by default.
            seed: Seed of the noise.
            images: Type of returned images: ``"tensor"``, ``"array"`` or ``"pil"``.
            allow_unidentified: Return a marked answer instead of raising an error.
            interpolate: Names of variables whose effects are assumed to be smooth between the
                numbers that an experiment set them to; the answer is marked.
            batch_size: Rows per pass through the networks; by default 65,536, or 256 if an image is
                rendered.
            min_acceptance: Smallest share of candidates that must agree with ``given``, counted by
                weight; if fewer do, the search ends with an error.
            time_limit: Seconds after which the search for agreeing rows ends with an error.
            progress: Show a progress bar; by default for long calls in a terminal.
            distributed: Split the rows over the processes of ``accelerate launch``; every process
                must make this call.

        Returns:
            A DataFrame of category names, floats and images, float tensors ``(channels, height,
            width)`` in the range of the variable. Its ``attrs`` hold the query, its identification
            status and reason, the acceptance rate, the candidates tried, the seed and the seconds.

        Raises:
            NotIdentifiableError: The data that the model was trained on do not determine the
                answer.
            UnknownVariableError, QueryError, DataError: Wrong names, clashing conditions, values
                outside a declaration.
            SamplingError: ``given`` is too rare, n is below 1, or one row does not fit into memory.

        Example:
            >>> dcm.sample(1000, do={"D": 1}, variables=["A"], seed=0)  # doctest: +SKIP
        """
        from causalplug.sampling.sample import sample

        options = SamplingOptions(
            seed=seed,
            batch_size=batch_size,
            images=images,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
            distributed=distributed,
        )
        return sample(self, n, do=do, given=given, variables=variables, options=options)

    @takes(SamplingError, n=COUNT, do=DO, given=GIVEN, variables=VARIABLES)
    def sample_batches(
        self,
        n: int,
        *,
        do: Named | None = None,
        given: Named | None = None,
        variables: str | Iterable[str] | None = None,
        seed: int = DEFAULTS.seed,
        images: str = DEFAULTS.images,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
    ) -> Iterator[pd.DataFrame]:
        """The rows of :meth:`sample` in consecutive tables of a batch each, for samples that do
        not fit into memory; arguments as there."""
        from causalplug.sampling.sample import sample_batches

        options = SamplingOptions(
            seed=seed,
            batch_size=batch_size,
            images=images,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
        )
        return sample_batches(self, n, do=do, given=given, variables=variables, options=options)

    @takes(
        SamplingError,
        n=_N,
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
        assume: Assume | Iterable[Assume] = (),
        seed: int = DEFAULTS.seed,
        images: str = DEFAULTS.images,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
        progress: bool | None = DEFAULTS.progress,
        distributed: bool = DEFAULTS.distributed,
    ) -> pd.DataFrame:
        """Rows of what would have been under ``do``, given what was seen: abduction, action,
        prediction.

        Args:
            n: Number of rows; or rows of data, a mapping or a DataFrame, whose own counterfactuals
                are wanted. Images and continuous values in them need a mechanism that declares
                abduction, if they change under ``do``.
            evidence: What was seen: a mapping as for ``given`` in :meth:`sample`, a
                :class:`causalplug.Evidence` with its own ``do`` for what was seen in an intervened
                world, or a list of these.
            do: Interventions as for :meth:`sample`.
            worlds: Several interventions by name, in place of ``do``, for their joint
                distribution.
            variables: What is asked for; all by default.
            factual: Add the world as it was.
            draws: Rows per row of data.
            assume: Declared assumptions by which the model's own counterfactuals are right:
                ``causalplug.Assume("monotone noise", effect="Y")`` for a number that rises with its
                own noise, ``causalplug.Assume("invertible", effect="I")`` for an image whose
                trained mechanism is taken for the true one. ``attrs["assumptions"]`` says what the
                rows rest on.
            seed, images, allow_unidentified, interpolate, batch_size: As for :meth:`sample`.
            min_acceptance, time_limit, progress, distributed: As for :meth:`sample`.

        Returns:
            As :meth:`sample`; with several worlds the columns have two levels, world and variable.
            ``attrs`` also hold ``reconstruction_error``, the root mean square error of recovered
            values, and ``effective_pool``, out of how many of ``pool`` candidates a weighted row
            was effectively drawn.

        Raises:
            MechanismError: A value would have to be recovered, or weighed, that its mechanism
                cannot.
            NotIdentifiableError, UnknownVariableError, QueryError, DataError, SamplingError: As
                :meth:`sample`.
        """
        from causalplug.sampling.counterfactual import counterfactual

        options = SamplingOptions(
            seed=seed,
            batch_size=batch_size,
            images=images,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            assume=as_assumptions(self.graph, assume, kinds=RECOVERING),
            min_acceptance=min_acceptance,
            time_limit=time_limit,
            progress=progress,
            distributed=distributed,
        )
        return counterfactual(
            self,
            n,
            evidence=evidence,
            do=do,
            worlds=worlds,
            variables=variables,
            factual=factual,
            draws=draws,
            options=options,
        )

    @takes(SamplingError, n=_N, draws=COUNT)
    def abduct(
        self,
        n: object,
        *,
        evidence: object = None,
        draws: int = 1,
        seed: int = DEFAULTS.seed,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
        min_acceptance: float = DEFAULTS.min_acceptance,
        time_limit: float | None = DEFAULTS.time_limit,
    ) -> Noise:
        """The noise of ``n`` rows that agree with ``evidence``: to save, to pass on, or to run
        under any intervention.

        It is kept as row numbers and recovered latents, some bytes a row. Arguments as for
        :meth:`counterfactual`.
        """
        from causalplug.sampling.counterfactual import abduct

        options = SamplingOptions(
            seed=seed,
            batch_size=batch_size,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            min_acceptance=min_acceptance,
            time_limit=time_limit,
        )
        return abduct(self, n, evidence=evidence, draws=draws, options=options)

    @takes(SamplingError, noise=_NOISE, do=DO, variables=VARIABLES)
    def replay(
        self,
        noise: Noise,
        *,
        do: Named | None = None,
        variables: str | Iterable[str] | None = None,
        images: str = DEFAULTS.images,
        allow_unidentified: bool = DEFAULTS.allow_unidentified,
        interpolate: str | Iterable[str] = DEFAULTS.interpolate,
        batch_size: int | None = DEFAULTS.batch_size,
    ) -> pd.DataFrame:
        """The rows of ``noise`` under ``do`` as a table; options ``batch_size`` and ``images``
        as for :meth:`sample`."""
        from causalplug.sampling.sample import replay

        options = SamplingOptions(
            images=images,
            allow_unidentified=allow_unidentified,
            interpolate=interpolate,
            batch_size=batch_size,
        )
        return replay(self, noise, do=do, variables=variables, options=options)
