"""Checkpoints: everything that decides the rest of a run, written whole or not at all, without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalplug.errors import TrainingError
from causalplug.files.storage import read_folder, write_folder
from causalplug.files.validation import read_json
from causalplug.files.weights import read_safetensors, safetensors_writer

__all__ = ["Checkpoints", "optimizer_tensors", "restore_optimizer"]

_SCHEMA = 1


class Checkpoints:
    """The last checkpoint of a run, in ``<output_dir>/checkpoint``: ``state.json`` and ``state.safetensors``.

    Args:
        output_dir: of the run.
    """

    def __init__(self, output_dir: str | Path):
        self.folder = Path(output_dir) / "checkpoint"

    def save(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Replace the last checkpoint; until the new one is whole on the disk the old one stays."""
        text = json.dumps({"schema": _SCHEMA, **state}, indent=1, allow_nan=False)
        write_folder(self.folder, {"state.safetensors": safetensors_writer(tensors), "state.json": text})

    def load(self, fingerprint: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The last checkpoint, None if there is none.

        Raises:
            TrainingError: it belongs to a run with other settings, another graph or other data.
        """
        if not self.folder.exists():
            return None
        with read_folder(self.folder) as folder:
            state = read_json(folder / "state.json", max_bytes=64 << 20)
            tensors = read_safetensors(folder / "state.safetensors")
        if state.get("schema") != _SCHEMA or state.get("fingerprint") != fingerprint:
            raise TrainingError(
                f"The run cannot be resumed from {self.folder}: it was written by a run with other settings, "
                "another graph or other data. Give the same ones, or choose another output_dir."
            )
        return state, tensors


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The state of an Adam-like optimizer as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}{index}.{key}": torch.as_tensor(value)
        for index, entry in state.items()
        for key, value in entry.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Inverse of :func:`optimizer_tensors`; rates and other settings stay those of the optimizer."""
    full = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, _, name = key.removeprefix(prefix).partition(".")
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": full["param_groups"]})
