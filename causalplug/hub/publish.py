"""Saving and publishing: the files of a model, generator or encoder, and the card that tells
what it is."""

from __future__ import annotations

__all__ = ["card_of", "is_edited", "publish", "save"]

import json
import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from causalplug.errors import RepositoryError
from causalplug.files.facts import agrees, file_facts
from causalplug.files.storage import Content, recover, write_folder
from causalplug.files.validation import read_json
from causalplug.hub.card import render_card
from causalplug.hub.card_check import card_problems
from causalplug.hub.client import hub_api, hub_errors, refuse_tokens
from causalplug.hub.push import push_folder
from causalplug.hub.repository import resolve_id
from causalplug.selection import drop
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo
    from typing_extensions import Unpack

    from causalplug.hub.saving import PushingOptions
    from causalplug.hub.snapshot import Snapshot

logger = logging.getLogger(__name__)

_CONFIG, _CARD, _PICTURES = "config.json", "README.md", "pictures"
_OWNED = (_CONFIG, "model.safetensors", "replicates.safetensors", "frozen/*")
_HASHED = (
    ("weights", "model.safetensors"),
    ("replicates", "replicates.safetensors"),
    ("card", _CARD),
)
_NO_LICENSE = "license is missing"


class Publishable(Protocol):
    """What can be saved and published; :class:`causalplug.hub.shareable.Shareable` is it."""

    card_kind: ClassVar[Literal["dcm", "adapter", "encoder"]]
    origin: Snapshot | None

    def repository_files(
        self, folder: Path, *, anywhere: bool, options: Named
    ) -> tuple[dict[str, Content], Json]: ...

    def card_facts(self, *, title: str, options: Named) -> Json: ...


def card_of(part: Publishable, options: Named) -> str:
    """The card of a model, generator or encoder, from what it knows of itself and what is added
    here.

    Args:
        part: What is described.
        options: The facts of :class:`~causalplug.hub.saving.SavingOptions`.

    Raises:
        RepositoryError: A fact is unknown or of a wrong type.
    """
    facts = drop(options, ("title", "pictures"))
    title = options.get("title") or type(part).__name__
    found = part.card_facts(title=title, options=facts)
    placed = _placed(options.get("pictures") or {})
    if placed:
        found["pictures"] = {caption: name for caption, name, _ in placed}
    return render_card(part.card_kind, found)


def save(part: Publishable, folder: str | os.PathLike[str], options: Named) -> Path:
    """Write a repository with its card, see
    :meth:`causalplug.hub.shareable.Shareable.save_pretrained`."""
    refuse_tokens(options, "save the model")
    place = Path(os.path.realpath(folder))
    recover(place)
    return _write(part, place, {"title": place.name, **options}, keep_card=is_edited(place))


def publish(
    part: Publishable,
    repo_id: str,
    options: Named,
    *,
    branch: str | None,
    **how: Unpack[PushingOptions],
) -> CommitInfo:
    """Publish as one commit, see :meth:`causalplug.hub.shareable.Shareable.push_to_hub`.

    Args:
        part: What is published.
        repo_id: Where.
        options: As for :func:`save`, and ``card``: the text of a card of one's own, published as it
            is.
        branch: "main" if None.
        **how: As for :func:`~causalplug.hub.push.push_folder`.
    """
    token = how.get("token")
    refuse_tokens(
        {"repo_id": repo_id, "branch": branch, **options, **_texts(how)}, "publish the model"
    )
    if "/" not in repo_id:
        with hub_errors(f"push to {repo_id}", repo_id, token=token):
            repo_id = f"{hub_api(token).whoami()['name']}/{repo_id}"
    with tempfile.TemporaryDirectory(prefix="causalplug-") as home:
        facts = {"title": repo_id.partition("/")[2], "repo_id": repo_id, **options}
        own = facts.pop("card", None)
        folder = _write(
            part, Path(home) / "model", facts, keep_card=False, own_card=own, anywhere=True
        )
        _check_card((folder / _CARD).read_text(encoding="utf-8"), repo_id)
        info = push_folder(folder, repo_id, revision=branch, replaces=_OWNED, **how)
        if not how.get("create_pr"):
            snapshot = resolve_id(repo_id, revision=info.oid, token=token)
            part.origin = replace(snapshot, requested_revision=branch, recorded=_loaded(folder))
    return info


def _texts(how: Named) -> Json:
    """What is published beside the files."""
    return drop(how, ("token",))


def _write(
    part: Publishable,
    place: Path,
    options: Named,
    *,
    keep_card: bool,
    own_card: str | None = None,
    anywhere: bool = False,
) -> Path:
    files, config = part.repository_files(place, anywhere=anywhere, options=options)
    options = drop(options, ("code",))
    if name := config.get("code"):
        limit = (
            f"It needs code of its own, {name}: read it, and load it with trust_remote_code=True "
            "and a commit."
        )
        options["limits"] = [*options.get("limits", []), limit]
    files |= {name: path for _, name, path in _placed(options.get("pictures") or {})}
    if not keep_card:
        if own_card is None:
            files[_CARD] = card_of(part, options)
        else:
            files[_CARD] = own_card
    hashed = {key: name for key, name in _HASHED if name in files}

    def write_config(path: Path) -> None:
        facts = {key: file_facts(path.parent / name) for key, name in hashed.items()}
        text = json.dumps({**config, **facts}, indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    files[_CONFIG] = write_config
    return write_folder(place, files, replaces=_OWNED)


def _placed(pictures: Named) -> list[tuple[str, str, Path]]:
    """Caption, name in the repository and file of each picture.

    Raises:
        RepositoryError: Two pictures of one name, or one that is not there.
    """
    found = [
        (caption, f"{_PICTURES}/{Path(path).name}", Path(path))
        for caption, path in pictures.items()
    ]
    names = [name for _, name, _ in found]
    for _, name, path in found:
        if not path.is_file() or names.count(name) > 1:
            why = "there is no such file"
            if path.is_file():
                why = "two have this name"
            raise RepositoryError(
                f"cannot put the picture {path} into the repository: {why}. Check pictures=…"
            )
    return found


def is_edited(place: Path) -> bool:
    """Whether the folder has a card that is not as it was written here: somebody's work, which
    must not be lost."""
    if not (place / _CARD).is_file():
        return False
    try:
        return not agrees(place / _CARD, read_json(place / _CONFIG)["card"])
    except (RepositoryError, KeyError, TypeError):
        return True


def _loaded(folder: Path) -> Json:
    """Facts of the files that loading reads: all but the card and its pictures."""
    names = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            names.append(path.relative_to(folder).as_posix())
    kept = []
    for name in names:
        if name != _CARD and not name.startswith(f"{_PICTURES}/"):
            kept.append(name)
    return {name: file_facts(folder / name) for name in kept}


def _check_card(card: str, repo_id: str) -> None:
    problems = card_problems(card)
    if _NO_LICENSE in problems:
        logger.warning(
            "the card of %s declares no licence, so nothing allows others to use it; name one with "
            "license= (--license)",
            repo_id,
        )
        problems.remove(_NO_LICENSE)
    if problems:
        raise RepositoryError(
            f"cannot push to {repo_id}: its card would be wrong: {'; '.join(problems)}. Change the "
            "facts that it was written from"
        )
