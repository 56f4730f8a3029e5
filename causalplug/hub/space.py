"""A Space of the Hub: a page that pulls a published model and lets visitors ask it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from causalplug.errors import RepositoryError
from causalplug.files.storage import write_folder
from causalplug.hub.push import push_folder

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

    from causalplug.hub.snapshot import Snapshot

__all__ = ["Space", "push_space", "save_space", "space_of"]

_OWNED = ("app.py", "requirements.txt", "README.md")
_APP = '''"""A page on which the model {repo_id} can be asked."""

import causalplug as cp
from causalplug.demo import app

model = cp.from_pretrained({repo}, revision={revision})
page = app(model, title={title}, n={rows})

if __name__ == "__main__":
    page.launch()
'''
_README = """---
title: {title}
emoji: 🔌
colorFrom: blue
colorTo: green
sdk: gradio
app_file: app.py
models:
- {repo_id}
tags:
- causalplug
- causal-inference
pinned: false
---

# {heading}

A page on which the causal model [{repo_id}](https://huggingface.co/{repo_id}) can be asked: what is
set, what was seen, and what would be. What its data do not determine is refused, with its bounds.
"""


@dataclass(frozen=True)
class Space:
    """The files of a Space.

    Attributes:
        repo_id: The model that it pulls.
        revision: The commit of the model.
        title: Heading of the page.
        packages: Further packages that the parts of the model need.
        n: Rows that are sampled for an answer; None for the default.
    """

    repo_id: str
    revision: str
    title: str
    packages: tuple[str, ...] = ()
    n: int | None = None

    def files(self) -> dict[str, str]:
        """Every file by name."""
        from causalplug import __version__

        title = json.dumps(self.title, ensure_ascii=False)
        needed = [f"causalplug[demo]>={__version__}", *self.packages]
        return {
            "app.py": _APP.format(
                repo_id=self.repo_id,
                repo=json.dumps(self.repo_id),
                revision=json.dumps(self.revision),
                title=title,
                rows=self.n,
            ),
            "requirements.txt": "".join(f"{line}\n" for line in needed),
            "README.md": _README.format(title=title, repo_id=self.repo_id, heading=self.title),
        }


def space_of(
    origin: Snapshot | None, title: str | None, *, packages: tuple[str, ...] = (), n: int | None
) -> Space:
    """The Space of a model that is on the Hub.

    Args:
        origin: Where the model was loaded from, or published as.
        title: Heading of the page; the name of the model if None.
        packages: Further packages that the parts of the model need.
        n: Rows that are sampled for an answer.

    Raises:
        RepositoryError: The model is not on the Hub, or the title has more than one line.
    """
    if origin is None or origin.repo_id is None or origin.revision is None:
        raise RepositoryError(
            "a Space cannot be made: it pulls the model from the Hub, and this one is not there. "
            "Publish it first with push_to_hub, or load it from the Hub"
        )
    title = title or origin.repo_id.partition("/")[2]
    if not title.strip() or len(title.splitlines()) != 1:
        raise RepositoryError(
            f"a Space cannot be called {title!r}: its title is one line of text. Give another title"
        )
    return Space(origin.repo_id, origin.revision, title, packages, n)


def save_space(space: Space, folder: str | os.PathLike[str]) -> Path:
    """Write the files of a Space into a folder, whole or not at all."""
    return write_folder(Path(folder), dict(space.files()), replaces=_OWNED)


def push_space(
    space: Space,
    repo_id: str,
    *,
    private: bool | None = None,
    commit_message: str = "Upload with causalplug",
    token: bool | str | None = None,
) -> CommitInfo:
    """Publish a Space as one commit; create it if need be.

    Raises:
        RepositoryError: As for :func:`causalplug.hub.push.push_folder`.
    """
    with tempfile.TemporaryDirectory(prefix="causalplug-") as home:
        folder = save_space(space, Path(home) / "space")
        return push_folder(
            folder,
            repo_id,
            kind="space",
            private=private,
            commit_message=commit_message,
            token=token,
            replaces=_OWNED,
        )
