"""causalplug: plug pretrained generators into causal models.

The public names are loaded when they are first used, so that ``import causalplug`` and planning need no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "causalplug.causal.graph": ["CausalGraph"],
    "causalplug.causal.identification": ["Identification", "identify"],
    "causalplug.causal.overlap": ["check_overlap"],
    "causalplug.causal.plan": ["Plan", "check_pull", "plan"],
    "causalplug.causal.query": ["Query"],
    "causalplug.causal.source": ["Source"],
    "causalplug.hub.load": ["from_pretrained"],
    "causalplug.mechanisms.base": ["Mechanism", "register_mechanism"],
    "causalplug.mechanisms.catalogue": ["list_adapters"],
    "causalplug.mechanisms.encoder_fit": ["fit_encoder"],
    "causalplug.mechanisms.encoders": ["ConvEncoder", "Encoder"],
    "causalplug.mechanisms.fit_check": ["check_fit"],
    "causalplug.mechanisms.frozen": ["FrozenMechanism"],
    "causalplug.mechanisms.label_map": ["Label", "LabelMap"],
    "causalplug.mechanisms.projection_check": ["check_projection"],
    "causalplug.mechanisms.renderer": ["Renderer"],
    "causalplug.mechanisms.table": ["DiscreteTable"],
    "causalplug.model": ["DCM"],
    "causalplug.noise": ["Noise"],
    "causalplug.sampling.answers": ["Estimate"],
    "causalplug.sampling.condition": ["Evidence"],
    "causalplug.sampling.ensemble": ["Ensemble"],
    "causalplug.sampling.interventions": ["Policy"],
    "causalplug.training.config": ["TrainingConfig"],
    "causalplug.training.data": ["DataSource"],
    "causalplug.training.generators": ["fit_generator"],
    "causalplug.training.infer": ["InferredVariables", "infer_variables"],
    "causalplug.training.trainer": ["Trainer", "fit"],
    "causalplug.variables": ["Continuous", "Discrete", "Image"],
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = ["__version__", *sorted(_HOME)]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'causalplug' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
