"""The deep causal generative model: the facade that is asked, saved, published and drawn."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from causalplug.arguments import (
    FLAG,
    NAME,
    PATH,
    TEXT,
    several,
    takes,
)
from causalplug.effects import Effects
from causalplug.errors import (
    RepositoryError,
    UnknownVariableError,
)
from causalplug.files.storage import Content
from causalplug.hub.loading import Loader
from causalplug.hub.shareable import Shareable
from causalplug.model.extract import extract_module
from causalplug.model.trained_module import TrainedModule
from causalplug.samples import Samples
from causalplug.sampling.rules import ROW_COUNT
from causalplug.values import Json, Named
from causalplug.wording import aligned

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

    from causalplug.hub.snapshot import Snapshot
    from causalplug.hub.space import Space

__all__ = ["DCM", "load_model"]


class DCM(Shareable, Samples, Effects):
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
        counterfactuals: Images whose counterfactuals are wanted; True for all of them. Such an
            image gets a mechanism that recovers its noise (:class:`InvertibleImage`) where none is
            given, and ``fit`` trains it by counterfactuals of rows, or by likelihood where it has
            hidden causes or no parents. Other kinds of variables recover their noise in any case.
        hidden: Widths of the hidden layers of trainable mechanisms.
        seed: Seed of the initial weights.

    Attributes:
        confounders: The confounder noises; ``confounders.groups`` are the variables of each.
        counterfactuals: The images whose counterfactuals are wanted.
        plan: The plan that the model was trained with, or None.
        sources: The data sources that it was trained on, or None. They decide which questions are
            identifiable.
        queries: The questions that it was saved with, as :func:`~causalplug.model.facts.identified`
            gives them.
        history: What training recorded, JSON values.
        origin: The snapshot that it was loaded from, or None.

    Raises:
        VariableError, UnknownVariableError: Declarations and graph name different variables, or
            ``counterfactuals`` names what is no image.
        FrozenConfounderError: A frozen mechanism for a variable with a bidirected edge.
        MechanismError: A mechanism does not fit its variable or its parents, or does not recover
            the noise of an image whose counterfactuals are wanted.

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

    def __str__(self) -> str:
        """A table of the variables and their mechanisms, and what the answers rest on."""
        rows = self.summary()
        title = f"DCM with {len(rows) - 1} variables. {self.basis}"
        return "\n".join([title, "", *aligned(rows)])

    def __repr__(self) -> str:
        return f"<DCM with {len(self.variables)} variables: {', '.join(self.variables)}>"

    def _repr_html_(self) -> str:
        from causalplug.notebook import html_paragraph, html_table

        head, *rows = self.summary()
        text = f" with {len(rows)} variables. {self.basis}"
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
