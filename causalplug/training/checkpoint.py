"""Checkpoints: everything that decides the rest of a run, written whole or not at all, without
pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from causalplug.errors import RepositoryError, TrainingError
from causalplug.files.facts import file_facts
from causalplug.files.storage import read_folder, write_folder
from causalplug.files.validation import check_keys, read_json
from causalplug.files.weights import read_safetensors, safetensors_writer
from causalplug.selection import drop
from causalplug.values import Json, Named

__all__ = [
    "Checkpoints",
    "differences",
    "optimizer_tensors",
    "restore_optimizer",
    "starting_with",
]

_SCHEMA = 3
_FREE = {
    "save_every",
    "threads",
    "check_graph",
}  # settings that a resumed run may change: they decide no weight
_RECORD = {
    "schema": int,
    "sha256": str,
    "tensors": {"size": int, "sha256": str},
    "facts": {str: object},
    "reports": {str: {str: object}},
    "bindings": {str: object},
    "scaler": object,
    "step": int | None,
    "position?": int,
    "phase?": int,
    "report?": {str: object},
    "best_score?": float | None,
    "since?": int,
}
_SHOWN = 6  # differences in a message


class Checkpoints:
    """The last checkpoint of a run, in ``<output_dir>/checkpoint``: ``state.json`` and
    ``state.safetensors``.

    Args:
        output_dir: Output dir of the run.
        name: Name of the folder in it.
    """

    def __init__(self, output_dir: str | Path, name: str = "checkpoint"):
        self.folder = Path(output_dir) / name

    @classmethod
    def at(cls, place: str | Path) -> Checkpoints:
        """Those of another run: its ``output_dir``, or the folder of the checkpoint itself.

        Raises:
            TrainingError: There is none.
        """
        place = Path(place)
        found = []
        for folder in (place / "checkpoint", place):
            if (folder / "state.json").is_file():
                found.append(folder)
        if not found:
            raise TrainingError(
                f"The run cannot be resumed from {place}: there is no checkpoint. Give the "
                "output_dir of a run, or True to go on from this run's own if it has one."
            )
        return cls(found[0].parent, found[0].name)

    def save(self, state: Named, tensors: Mapping[str, Tensor]) -> None:
        """Replace the last checkpoint; until the new one is whole on the disk the old one stays.

        Raises:
            TrainingError: The disk refuses, full perhaps; the old checkpoint is as it was.
        """

        def describe(path: Path) -> None:
            facts = file_facts(path.parent / "state.safetensors")
            record = {"schema": _SCHEMA, "tensors": facts, **state}
            record["sha256"] = _digest(record)
            path.write_text(json.dumps(record, indent=1, allow_nan=False))

        try:
            write_folder(
                self.folder,
                {"state.safetensors": safetensors_writer(tensors), "state.json": describe},
            )
        except RepositoryError as error:
            kept = "There was none before"
            if self.folder.exists():
                kept = "The last one stays"
            raise TrainingError(
                f"Training stopped because its checkpoint could not be written: {error}. {kept} in "
                f"{self.folder}; make room and continue with resume_from_checkpoint=True."
            ) from error

    def _check_record(self, state: Named) -> None:
        """Raise where the record is not as it was written, or not what a run writes; one of
        another version is told apart later."""
        if state.get("schema") != _SCHEMA:
            return
        if state.get("sha256") != _digest(state):
            raise RepositoryError("state.json is not as it was written: its hash differs")
        check_keys(state, _RECORD, where="state.json")

    def load(self, facts: Named) -> tuple[Json, dict[str, Tensor]] | None:
        """The last checkpoint, None if there is none.

        Args:
            facts: What has to agree with the run that wrote it, by kind and name.

        Raises:
            TrainingError: It is damaged, or belongs to a run with other settings, another graph or
                other data; what differs is named.
        """
        if not self.folder.exists():
            return None
        try:
            with read_folder(self.folder) as folder:
                state = read_json(folder / "state.json", max_bytes=64 << 20)
                self._check_record(state)
                tensors = read_safetensors(folder / "state.safetensors", facts=state.get("tensors"))
        except RepositoryError as error:
            raise TrainingError(
                f"The run cannot be resumed from {self.folder}: the checkpoint is damaged "
                f"({error}). Put a good copy there, or delete the folder to start anew."
            ) from error
        found = None
        if state.get("schema") == _SCHEMA:
            found = state.get("facts")
        if found is None:
            differing = ["the version of causalplug's checkpoints"]
        else:
            differing = differences(found, facts)
        if differing:
            more = ""
            if len(differing) > _SHOWN:
                more = f" and {len(differing) - _SHOWN} more"
            raise TrainingError(
                f"The run cannot be resumed from {self.folder}: it was written by a run with other "
                f"{', '.join(differing[:_SHOWN])}{more}. Give the same ones, or choose another "
                "output_dir."
            )
        return state, tensors


def _digest(record: Named) -> str:
    """Hash of everything in a record but its own hash."""
    rest = drop(record, ("sha256",))
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(there: Named, here: Named) -> list[str]:
    """What differs between two runs, as text: settings with both values, data by source and
    column."""
    found = []
    for kind in here:
        one, other = there.get(kind), here[kind]
        if not isinstance(other, dict) or not isinstance(one, dict):
            if one != other:
                found.append(f"{kind} ({_shown(one)} there, {_shown(other)} here)")
            continue
        names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        for name in names:
            if kind == "settings" and name not in _FREE:
                found.append(
                    f"settings: {name} ({_shown(one.get(name))} there, {_shown(other.get(name))} "
                    "here)"
                )
            elif kind != "settings":
                found.append(f"{kind}: {name}")
    return found


def _shown(value: object) -> str:
    text = json.dumps(value)
    if len(text) <= 60:
        return text
    return text[:57] + "…"


def starting_with(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, named without it."""
    found = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            found[name.removeprefix(prefix)] = value
    return found


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The state of an Adam-like optimizer as named tensors."""
    state = optimizer.state_dict()["state"]
    found = {}
    for index, entry in state.items():
        for key, value in entry.items():
            found[f"{prefix}{index}.{key}"] = torch.as_tensor(value)
    return found


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str
) -> None:
    """Inverse of :func:`optimizer_tensors`; rates and other settings stay those of the
    optimizer."""
    full = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, _, name = key.removeprefix(prefix).partition(".")
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": full["param_groups"]})
