"""The deep causal generative model: what it can be asked, and how it is saved and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from numbers import Number
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from causalplug.arguments import (
    COUNT,
    FLAG,
    MAPPING,
    NAME,
    PATH,
    TEXT,
    Rule,
    instance,
    several,
    takes,
)
from causalplug.effects import Effects
from causalplug.errors import (
    RepositoryError,
    SamplingError,
    UnknownVariableError,
)
from causalplug.files.storage import Content
from causalplug.hub.loading import Loader
from causalplug.hub.shareable import Shareable
from causalplug.identification.assumptions import RECOVERING, Assume, as_assumptions
from causalplug.model.extract import extract_module
from causalplug.model.trained_module import TrainedModule
from causalplug.noise import Noise
from causalplug.sampling.options import DEFAULTS, SamplingOptions
from causalplug.sampling.rules import DO, GIVEN, ROW_COUNT, VARIABLES
from causalplug.values import Json, Named
from causalplug.wording import aligned

if TYPE_CHECKING:
    import pandas as pd
    from huggingface_hub import CommitInfo
    from torch import Tensor

    from causalplug.hub.snapshot import Snapshot
    from causalplug.hub.space import Space

__all__ = ["DCM", "load_model"]

_NOISE = instance("a Noise", Noise)


def _count_or_rows(value: object) -> object:
    """A number of rows, checked; rows are checked where they are read."""
    if isinstance(value, Number):
        return COUNT.read(value)
    return value


_N = Rule(COUNT.wanted, _count_or_rows)


class DCM(Shareable, Effects):
    """A deep causal generative model (Rahman & Kocaoglu 2024, Def. 4.1).

    Every variable is ``V = f_V(parents, own noise, confounder noise)``. Each maximal clique of
    bidirected edges has one confounder noise, which the mechanisms of all its variables read. A
    hidden cause of three variables is therefore one noise, not three. A variable without a given
    mechanism gets a trainable one of its kind.

    Args:
        graph: The causal graph.
        variables: The declaration of every variable of the graph.
        mechanisms: Mechanisms by variable: a frozen generator, a ``Renderer(generator)`` if the
            variable is confounded, or a trainable mechanism of your own. A key may also be a module
            (``"C+N"``); its value is then what :meth:`module` of another model returned.
        encoders: Encoders by image variable. An image that is read by a trainable mechanism or a
            critic needs one; by default it gets an untrained :class:`ConvEncoder`.
        confounder_size: Length of each confounder noise vector.
        confounders: ``"cliques"``, one noise for every maximal clique of bidirected edges (where
            there are very many, few cliques that cover all edges, with a warning); ``"edges"``,
            one for every edge, which cannot express a hidden cause of three variables; or the
            groups of variables that share one each.
        hidden: Widths of the hidden layers of trainable mechanisms.
        seed: Seed of the initial weights.

    Attributes:
        confounders: The confounder noises; ``confounders.groups`` are the variables of each.
        plan: The plan that the model was trained with, or None.
        sources: The data sources that it was trained on, or None. They decide which questions are
            identifiable.
        queries: The questions that it was saved with, as :func:`~causalplug.model.facts.identified`
            gives them.
        history: What training recorded, JSON values.
        origin: The snapshot that it was loaded from, or None.

    Raises:
        VariableError, UnknownVariableError: Declarations and graph name different variables.
        FrozenConfounderError: A frozen mechanism for a variable with a bidirected edge.
        MechanismError: A mechanism does not fit its variable or its parents.

    Example:
        >>> import causalplug as cp
        >>> graph = cp.CausalGraph.parse("X -> Y; X <-> Y")
        >>> dcm = cp.DCM(graph, {"X": cp.Discrete(2), "Y": cp.Discrete(["no", "yes"])})
        >>> sorted(dcm(cp.Noise(5, seed=0)))
        ['X', 'Y']
    """

    card_kind = "dcm"

    @classmethod
    def loaders(cls) -> dict[str, Loader]:
        return {"model": MODEL_LOADER}

    def repository_files(
        self, folder: Path, *, anywhere: bool, options: Named
    ) -> tuple[dict[str, Content], Json]:
        from causalplug.model.files import dcm_files

        chosen = {key: options[key] for key in ("frozen", "queries") if key in options}
        return dcm_files(self, folder, anywhere=anywhere, **chosen)

    def card_facts(self, *, title: str, options: Named) -> Json:
        from causalplug.model.facts import dcm_facts

        return dcm_facts(self, title=title, **options)

    @takes(RepositoryError, folder=PATH, title=NAME.or_none("its name"), n=ROW_COUNT)
    def save_space(
        self, folder: str | PathLike[str], *, title: str | None = None, n: int | None = None
    ) -> Path:
        """Write the files of a Space that pulls this model and lets visitors ask it.

        Args:
            folder: Where to.
            title: Heading of the page; the name of the model by default.
            n: Rows that are sampled for an answer; by default as many as :meth:`estimate` takes.

        Returns:
            The folder: ``app.py``, ``requirements.txt`` and ``README.md``.

        Raises:
            RepositoryError: The model is not on the Hub, so that no Space could pull it.
        """
        from causalplug.hub.space import save_space

        return save_space(self._space(title, n), folder)

    @takes(
        RepositoryError,
        repo_id=NAME,
        title=NAME.or_none("its name"),
        n=ROW_COUNT,
        private=FLAG.or_none("the owner's default"),
        commit_message=NAME,
        token=FLAG.or_else(NAME).or_none("that of the client"),
    )
    def push_space(
        self,
        repo_id: str,
        *,
        title: str | None = None,
        n: int | None = None,
        private: bool | None = None,
        commit_message: str = "Upload with causalplug",
        token: bool | str | None = None,
    ) -> CommitInfo:
        """Publish a page on which this model can be asked, as a Space of the Hub.

        The Space pulls the commit that the model was published as, or loaded from.

        Args:
            repo_id: The Space: "owner/name", or "name" for the logged-in user.
            title, n: As for :meth:`save_space`.
            private: For a Space that is created now; None is the owner's default.
            commit_message: One line.
            token: A token, True for the logged-in one, None for the client's default.

        Returns:
            The commit.

        Raises:
            RepositoryError: The model is not on the Hub; access is refused; the Hub cannot be
                reached.
        """
        from causalplug.hub.space import push_space

        return push_space(
            self._space(title, n),
            repo_id,
            private=private,
            commit_message=commit_message,
            token=token,
        )

    def _space(self, title: str | None, n: int | None) -> Space:
        from causalplug.hub.space import space_of

        parts = [*self.mechanisms.values(), *self.encoders.values()]
        needed = {name for part in parts for name in part.needs}
        return space_of(self.origin, title, packages=tuple(sorted(needed)), n=n)

    @takes(UnknownVariableError, name=TEXT.or_else(several(TEXT, least=1)))
    def module(self, name: str | Iterable[str]) -> TrainedModule:
        """Trained mechanisms, to be plugged into another model with the same edges among them and
        the same parents.

        Args:
            name: Their variables, as ``"C+N"`` or ``("C", "N")``; together with each all that share
                a confounder.

        Returns:
            The module, as it is now: Later training of this model does not change it.

        Raises:
            UnknownVariableError: A name that is not a variable.
            PlanError: A bidirected edge leaves the module, or a mechanism of it was not trained
                here.
        """
        return extract_module(self, name)

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

    def __str__(self) -> str:
        """A table of the variables and their mechanisms, and what the answers rest on."""
        rows = self.summary()
        title = f"DCM of {len(rows) - 1} variables. {self.basis}"
        return "\n".join([title, "", *aligned(rows)])

    def __repr__(self) -> str:
        return f"<DCM of {len(self.variables)} variables: {', '.join(self.variables)}>"

    def _repr_html_(self) -> str:
        from causalplug.notebook import html_paragraph, html_table

        head, *rows = self.summary()
        text = f" of {len(rows)} variables. {self.basis}"
        return html_paragraph("DCM", text) + html_table(head, rows)


def load_model(
    snapshot: Snapshot,
    *,
    device: object = None,
    dtype: object = None,
    module: str | None = None,
    cache_dir: str | PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> object:
    """Load a model, or one trained module of it, from a repository.

    Args:
        snapshot: The repository.
        device, dtype, module: As for :func:`causalplug.from_pretrained`.
        cache_dir, token, local_files_only, force_download: How repositories that it refers to are
            fetched.

    Raises:
        RepositoryError: The repository is incomplete or malformed, or the weights do not fit.
        UnknownVariableError, PlanError: There is no such module.
    """
    from causalplug.model.files import load_dcm

    return load_dcm(
        snapshot,
        DCM,
        device=device,
        dtype=dtype,
        module=module,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
        force_download=force_download,
    )


MODEL_LOADER = Loader(load_model, ("device", "dtype", "module"), "a model")
"""How :func:`causalplug.from_pretrained` loads a model."""
