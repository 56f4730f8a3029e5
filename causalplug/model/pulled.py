"""The frozen parts of a model: how its ``config.json`` says where they are, and how they are
opened when needed."""

from __future__ import annotations

__all__ = ["PulledParts", "describe_pulled"]

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalplug.encoders.encoders import load_encoder
from causalplug.errors import RepositoryError
from causalplug.files.facts import file_facts
from causalplug.files.storage import Content, write_folder
from causalplug.files.validation import configured, safe_relative
from causalplug.hub.reference import Reference, follow
from causalplug.hub.repository import resolve
from causalplug.mechanisms.base import Mechanism, load_mechanism
from causalplug.model.deferred import DeferredEncoder, DeferredMechanism
from causalplug.model.extract import extract_module
from causalplug.model.trained_module import TrainedModule
from causalplug.selection import map_values
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from torch import nn

    from causalplug.hub.part import Part
    from causalplug.hub.snapshot import Snapshot
    from causalplug.model.model import Model
    from causalplug.variables import Variable

_COPIES, _CONFIG = "frozen", "config.json"


def describe_pulled(
    part: Any, name: str, *, folder: Path, frozen: str, anywhere: bool, files: dict[str, Content]
) -> Json:
    """What ``config.json`` says of one frozen part.

    Args:
        part: A frozen mechanism or encoder, or one that was not needed yet.
        name: Its variable.
        folder: Where the model will be written.
        frozen: ``"reference"`` or ``"copy"``.
        anywhere: Whether it has to load on other computers.
        files: Copied files are added here.

    Raises:
        RepositoryError: It was made in memory and never saved, or lies in a folder of this computer
            and may not.
    """
    origin: Snapshot | None = part.origin
    if origin is None and part.copied_with_model:
        return _copied(part, folder, anywhere, files)
    if origin is None:
        raise RepositoryError(
            f"cannot save the model: the frozen part of {name!r} was made in memory and has no "
            "repository. Save or publish it first (save_pretrained, push_to_hub) and plug in what "
            "causalplug.from_pretrained gives"
        )
    found: Json = {}
    if part.part_of:
        found = {"part": part.part_of}
    needed = origin.used  # the files that loading it has read
    source = origin.reference or (
        Reference.to(origin, *needed) if origin.repo_id is not None else None
    )
    if source is not None:
        found["reference"] = source.to_dict()
    if frozen == "copy":
        inner = _free_place(files)
        files |= {f"{inner}/{file}": origin.file(file) for file in needed}
        found["copy"] = {
            "folder": inner,
            "files": {file: file_facts(origin.file(file)) for file in needed},
        }
    elif source is None and anywhere:
        raise RepositoryError(
            f"cannot publish the model: its frozen part of {name!r} came from the folder "
            f"{origin}, where nobody else can load it from. Publish it first "
            f"(dcm.mechanism({name!r}).push_to_hub(…), or "
            'dcm.encoders[…].push_to_hub(…)), or copy it into the repository with frozen="copy"'
        )
    elif source is None:
        place = os.path.relpath(origin.path, Path(os.path.realpath(folder)))
        found["local"] = {
            "folder": place,
            "files": {file: file_facts(origin.file(file)) for file in needed},
        }
    return found


def _copied(part: Part, folder: Path, anywhere: bool, files: dict[str, Content]) -> Json:
    """Put the repository that a part would have into that of the model."""
    own, config = part.repository_files(folder, anywhere=anywhere, options={})
    own[_CONFIG] = json.dumps(config, indent=2)
    inner = _free_place(files)
    files |= {f"{inner}/{file}": content for file, content in own.items()}
    facts = map_values(_content_facts, own)
    return {"copy": {"folder": inner, "files": facts}}


def _free_place(files: Named) -> str:
    return f"{_COPIES}/{len({key.split('/')[1] for key in files})}"


def _content_facts(content: Content) -> Named:
    """Size and hash of what a file will be written from."""
    if isinstance(content, os.PathLike):
        return file_facts(content)
    with tempfile.TemporaryDirectory(prefix="causalplug-") as home:
        written = write_folder(Path(home) / "part", {"file": content})
        return file_facts(written / "file")


class PulledParts:
    """Opens the frozen parts of one model.

    Args:
        snapshot: The model's repository.
        where: Its configuration, for messages.
        chain: The keys of the snapshots whose references led here, this one at the end.
        options: How referenced repositories are fetched: ``cache_dir``, ``token``,
            ``local_files_only``, ``force_download``.
        load_other: Loads another model, whose module is a part of this one.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        where: str,
        chain: tuple[str, ...],
        options: Named,
        load_other: Callable[[Snapshot], Model],
    ):
        self.snapshot, self.where, self.chain, self.options = snapshot, where, chain, options
        self.load_other = load_other
        self._modules: dict[tuple[str, str], TrainedModule] = {}

    def mechanism(
        self, name: str, entry: Named, variable: Variable, parents: tuple[str, ...]
    ) -> DeferredMechanism:
        """A frozen generator, or a mechanism of another model's module; nothing is fetched
        before it is needed."""
        files, part = self._files(name, entry["pulled"]), entry["pulled"].get("part")

        def opened() -> nn.Module:
            if part is not None:
                return self._module(files, part, name).mechanisms[name]
            mechanism = load_mechanism(files)
            with configured(f"{self.where}: {name}"):
                return mechanism.bind_as(name, entry["binding"])

        return DeferredMechanism(
            opened, entry, files, variable=variable, parents=parents, confounded=part is not None
        )

    def encoder(self, name: str, entry: Named, variable: Variable) -> nn.Module:
        """A frozen encoder; nothing is fetched before it is needed, unless its size was not
        recorded."""
        files, part = self._files(name, entry["pulled"]), entry["pulled"].get("part")

        def opened() -> nn.Module:
            if part is None:
                return load_encoder(files)
            return self._module(files, part, name).encoders[name]

        if "size" not in entry:
            return opened()
        return DeferredEncoder(opened, entry, files, variable=variable, size=entry["size"])

    def generator(self, name: str, pulled: Named) -> Mechanism:
        """The frozen generator inside a trained mechanism of this variable."""
        return load_mechanism(self._files(name, pulled))

    def _files(self, name: str, pulled: Named) -> Snapshot:
        """The snapshot that a frozen part is read from; its files are checked against the hashes
        that were recorded."""
        where = f"{self.where}: {name}"
        reference = None
        if "reference" in pulled:
            reference = Reference.from_dict(pulled["reference"], where=where)
        if "copy" in pulled:
            inner, files = (
                safe_relative(pulled["copy"]["folder"], where=f"cannot use {where}"),
                pulled["copy"]["files"],
            )
            folder = f"{self.snapshot.subfolder}/{inner}".strip("/")
            found = replace(
                self.snapshot,
                path=self.snapshot.path / inner,
                subfolder=folder,
                recorded=files or None,
                reference=reference,
            )
        elif reference is not None:
            return reference.open(**self.options, chain=self.chain)
        elif "local" not in pulled:
            raise RepositoryError(
                f"cannot use {where}: it does not say where the frozen part is. Save the model "
                "again"
            )
        elif self.snapshot.repo_id is not None:
            raise RepositoryError(
                f"cannot use {where}: it refers to a folder of the computer that it was saved on. "
                'Its author has to publish the generator and save again, or save with frozen="copy"'
            )
        else:
            local = pulled["local"]
            found = replace(
                resolve(os.path.normpath(self.snapshot.path / local["folder"])),
                recorded=local["files"],
            )
        follow(self.chain, found.key)
        return found

    def _module(self, files: Snapshot, part: str, name: str) -> TrainedModule:
        """A module of another model, loaded once for all its variables."""
        if (files.key, part) not in self._modules:
            self._modules[files.key, part] = extract_module(self.load_other(files), part)
        found = self._modules[files.key, part]
        if name not in (*found.mechanisms, *found.encoders):
            raise RepositoryError(
                f"cannot use {self.where}: the module {part} of {files} has no part of {name}. "
                "Save the model again"
            )
        return found
