"""Models from folders and from the Hub, for the commands that ask them something."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from causalplug.errors import RepositoryError

if TYPE_CHECKING:
    from causalplug.dcm import DCM

__all__ = ["load_model", "load_part", "revision_option"]

revision_option = click.option("--revision", help="Branch, tag or commit on the Hub.")


def load_part(source: str, revision: str | None) -> Any:
    """What the repository holds: a model, a generator, an encoder.

    Raises:
        RepositoryError: Nothing is there, or it is malformed.
    """
    from causalplug.load import from_pretrained

    if not sys.stderr.isatty():
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
    return from_pretrained(source, revision=revision)


def load_model(source: str, revision: str | None = None) -> DCM:
    """The model in a folder or a repository.

    Raises:
        RepositoryError: Nothing is there, or it holds something else.
    """
    loaded = load_part(source, revision)
    from causalplug.dcm import DCM

    if not isinstance(loaded, DCM):
        raise RepositoryError(
            f"{source} cannot be asked: it holds a {type(loaded).__name__}, no model; see what is "
            f"in it with causalplug info {source}"
        )
    return loaded
