"""The options of saving and publishing, by name and type."""

from __future__ import annotations

__all__ = ["FetchingOptions", "PublishingOptions", "PushingOptions", "SavingOptions"]

import os
from collections.abc import Iterable
from typing import Literal, TypedDict

from causalplug.values import Json, Named


class _Facts(TypedDict, total=False):
    """What is said of a repository, wherever it will be."""

    frozen: str
    queries: object
    fits: Iterable[object]
    assumptions: list[str]
    example: Named
    code: str | os.PathLike[str] | None
    metrics: list[Json]
    trained_on: str | None
    paper: str | None
    source: str | None
    base_model: str | None
    title: str
    summary: str
    license: str | None
    tags: list[str]
    datasets: list[str]
    pipeline_tag: str | None
    uses: list[str]
    limits: list[str]
    pictures: Named
    revision: str | None
    variable: str


class SavingOptions(_Facts, total=False):
    """What :meth:`~causalplug.hub.shareable.Shareable.save_pretrained` takes beside the folder.

    Attributes:
        frozen: Of a model: ``"reference"`` refers to pulled generators and encoders, ``"copy"``
            puts them into the repository.
        queries: Of a model: questions whose identification is noted.
        fits: Of a model: what was found about its generators; by default what training found.
        assumptions: Of a model: what its answers rest on, in sentences.
        example: Of a model: an intervention and the variables to show for it.
        code: Of a mechanism or an encoder: a Python file that registers its kind.
        metrics: Of a mechanism or an encoder: figures with their names.
        trained_on, paper, source, base_model: Of a mechanism or an encoder: where its weights come
            from.
        title, summary, license, tags, datasets, pipeline_tag, uses, limits: What the card says.
        pictures: Caption to file.
        repo_id, revision: Where the repository will be.
        variable: Of a mechanism or an encoder: the variable that it was made for, in words.
    """

    repo_id: str | None


class FetchingOptions(TypedDict, total=False):
    """How repositories are fetched, as :func:`causalplug.from_pretrained` takes it."""

    cache_dir: str | os.PathLike[str] | None
    token: bool | str | None
    local_files_only: bool
    force_download: bool


class PushingOptions(TypedDict, total=False):
    """How a folder is pushed, see :func:`~causalplug.hub.push.push_folder`."""

    private: bool | None
    gated: Literal["auto", "manual", False] | None
    create_pr: bool
    commit_message: str
    commit_description: str | None
    parent_commit: str | None
    token: bool | str | None


class PublishingOptions(_Facts, total=False):
    """The same for :meth:`~causalplug.hub.shareable.Shareable.push_to_hub`.

    Attributes:
        card: The text of a card of one's own, published as it is.
    """

    card: str
