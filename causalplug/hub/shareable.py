"""What can be saved as a repository, published on the Hub and loaded again: models, generators,
encoders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from causalplug.arguments import FLAG, NAME, PATH, TEXT, takes
from causalplug.errors import RepositoryError
from causalplug.files.storage import Content
from causalplug.hub.loading import FETCHING, Access, Loader, load_as
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, ModelCard
    from typing_extensions import Self, Unpack

    from causalplug.hub.saving import PublishingOptions, SavingOptions
    from causalplug.hub.snapshot import Snapshot

__all__ = ["Shareable"]


class Shareable:
    """The methods of :class:`huggingface_hub.ModelHubMixin`, with folders that are written whole or
    not at all.

    They are called as the mixin's are. It is no child of the mixin: every one of its ways would be
    replaced (saving removes the old configuration first, loading takes any JSON, publishing may
    take several commits), and importing it costs a fifth of importing torch, which loading a model
    does not need (``benchmarks/hub.py``).

    Attributes:
        card_kind: Which template of ``model_cards/`` its card fills.
        origin: The snapshot that it was loaded from, or published as; None before.
        brought_code: Name and text of the Python file that its repository brought to register its
            kind; it is saved again with it.
    """

    card_kind: ClassVar[Literal["dcm", "adapter", "encoder"]]
    origin: Snapshot | None = None
    brought_code: tuple[str, bytes] | None = None

    @takes(RepositoryError, folder=PATH)
    def save_pretrained(
        self, folder: str | os.PathLike[str], **options: Unpack[SavingOptions]
    ) -> Path:
        """Write a repository with its card: the folder is replaced whole, or stays as it was.

        A ``README.md`` that was edited by hand is kept; one that was written here before is written
        anew.

        Args:
            folder: Where to.
            **options: What the card says and how parts are saved; see
                :class:`causalplug.hub.saving.SavingOptions`.

        Returns:
            The folder.

        Raises:
            RepositoryError: Something cannot be described or referred to, a fact is unknown, or the
                disk refuses.
        """
        from causalplug.hub.publish import save

        return save(self, folder, options)

    @classmethod
    def loaders(cls) -> dict[str, Loader]:
        """By what a repository holds the loader that makes one of this kind."""
        raise NotImplementedError

    @classmethod
    @takes(RepositoryError, **FETCHING)
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | os.PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        device: object = None,
        dtype: object = None,
        trust_remote_code: bool = False,
        use: str | None = None,
    ) -> Self:
        """Load one of this kind; the arguments are those of :func:`causalplug.from_pretrained`.

        Raises:
            RepositoryError: The repository holds something else.
        """
        access = Access(cache_dir, token, local_files_only, force_download)
        loaded = load_as(
            source,
            cls.loaders(),
            access,
            options={
                "device": device,
                "dtype": dtype,
                "trust_remote_code": trust_remote_code or None,
            },
            wanted=cls.__name__,
            revision=revision,
            subfolder=subfolder,
            use=use,
        )
        if not isinstance(loaded, cls):
            raise RepositoryError(
                f"cannot load {source} as {cls.__name__}: it holds a {type(loaded).__name__}. Use "
                "causalplug.from_pretrained, which tells them apart"
            )
        return loaded

    def repository_files(
        self, folder: Path, *, anywhere: bool, options: Named
    ) -> tuple[dict[str, Content], Json]:
        """The files of its repository by name, and its configuration.

        Args:
            folder: Where the files will be written.
            anywhere: Whether it has to load on other computers.
            options: What was given to :meth:`save_pretrained`.
        """
        raise NotImplementedError

    def card_facts(self, *, title: str, options: Named) -> Json:
        """What :func:`~causalplug.hub.card.render_card` writes about it."""
        raise NotImplementedError

    @takes(
        RepositoryError,
        repo_id=NAME,
        branch=NAME.or_none("main"),
        private=FLAG.or_none("the owner's default"),
        create_pr=FLAG,
        commit_message=NAME,
        commit_description=TEXT.or_none("none"),
        parent_commit=NAME.or_none("any"),
        token=FETCHING["token"],
    )
    def push_to_hub(
        self,
        repo_id: str,
        *,
        branch: str | None = None,
        private: bool | None = None,
        gated: Literal["auto", "manual", False] | None = None,
        create_pr: bool = False,
        commit_message: str = "Upload with causalplug",
        commit_description: str | None = None,
        parent_commit: str | None = None,
        token: bool | str | None = None,
        **options: Unpack[PublishingOptions],
    ) -> CommitInfo:
        """Publish as one commit, with its card; create repository and branch if need be.

        Afterwards ``origin`` is that commit (unless it is a pull request), so that a model refers
        to it.

        Args:
            repo_id: "owner/name", or "name" for the logged-in user.
            branch: "main" if None.
            private: For a repository that is created now; None is the owner's default.
            gated: Whether readers must ask ("manual") or agree ("auto") first; None leaves it as it
                is.
            create_pr: Propose the commit as a pull request instead.
            commit_message: One line.
            commit_description: More, as Markdown.
            parent_commit: Refuse if the branch has moved on from this commit.
            token: A token, True for the logged-in one, None for the client's default.
            **options: As for :meth:`save_pretrained`, and ``card``: the text of a card of one's
                own, published as it is.

        Returns:
            The commit: ``oid``, ``commit_url``, ``pr_url``.

        Raises:
            RepositoryError: As :meth:`save_pretrained` and :func:`causalplug.hub.push.push_folder`;
                nothing was published then.
        """
        from causalplug.hub.publish import publish

        return publish(
            self,
            repo_id,
            options,
            branch=branch,
            private=private,
            gated=gated,
            create_pr=create_pr,
            commit_message=commit_message,
            commit_description=commit_description,
            parent_commit=parent_commit,
            token=token,
        )

    def generate_model_card(self, **facts: Unpack[SavingOptions]) -> ModelCard:
        """The card that saving would write; see :func:`causalplug.hub.publish.card_of`."""
        from huggingface_hub import ModelCard

        from causalplug.hub.publish import card_of

        return cast("ModelCard", ModelCard(card_of(self, facts)))
