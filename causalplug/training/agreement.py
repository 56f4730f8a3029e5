"""What runs have to agree on: a run and the one that resumes it, and the processes of one run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from causalplug.data.source import Rows
from causalplug.errors import MechanismError, TrainingError
from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.generator import state_hash
from causalplug.model.model import Model
from causalplug.selection import dicts_by_name
from causalplug.training.checkpoint import differences
from causalplug.training.config import TrainingConfig
from causalplug.values import Json, Named

__all__ = ["check_agreement", "run_facts"]

_HASHED = 65_536  # rows that are hashed together


def run_facts(dcm: Model, tables: Sequence[Rows], config: TrainingConfig, processes: int) -> Json:
    """What has to agree between a run and the one that resumes it, by kind and name."""
    data = {}
    for rows in tables:
        for name in sorted(rows.values):
            value = rows.values[name]
            digest = hashlib.sha256(f"{tuple(value.shape)}{value.dtype}".encode())
            for part in value.split(_HASHED):
                digest.update(part.contiguous().numpy().data)
            data[f"column {name!r} of source {rows.source.name!r}"] = digest.hexdigest()
    facts = {
        "settings": config.to_dict(),
        "variables": dicts_by_name(dcm.variables),
        "graph": str(dcm.graph),
        "counterfactuals": list(dcm.counterfactuals),
        "data": data,
        "weights": {key: list(value.shape) for key, value in dcm.trained_tensors().items()},
        "generators": {name: _version(m) for name, m in dcm.mechanisms.items() if m.frozen},
        "judges": {
            name: state_hash(judge.state_dict()) for name, judge in (config.judges or {}).items()
        },
        "processes": processes,
    }
    return json.loads(json.dumps(facts))  # as a checkpoint gives them back


def check_agreement(told: Sequence[Named]) -> None:
    """Refuse processes that were given different things: their gradients would be of different
    losses."""
    for index, other in enumerate(told):
        if found := differences(told[0], other):
            raise TrainingError(
                f"Training cannot start: processes 0 and {index} were given other "
                f"{', '.join(found[:3])}. Give every process the same model, sources and settings; "
                "each draws batches of its own."
            )


def _version(mechanism: Mechanism) -> str:
    """What says which frozen generator it is, where it knows."""
    try:
        facts: object = mechanism.fingerprint()
    except MechanismError:
        facts = mechanism.kind
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
