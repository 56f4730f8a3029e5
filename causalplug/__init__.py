"""causalplug: plug pretrained generators into causal models.

The public names are loaded when they are first used, so that ``import causalplug`` and planning
need no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

from causalplug.moved import redirect

_EXPORTS = {
    "causalplug.caveats": ["Caveat"],
    "causalplug.errors": [
        "CausalPlugError",
        "ConfounderWarning",
        "ConvergenceWarning",
        "MarginalWarning",
        "CycleError",
        "DataError",
        "FitWarning",
        "FrozenConfounderError",
        "GraphError",
        "GraphFileError",
        "GraphWarning",
        "LabelMapError",
        "LicenseWarning",
        "MechanismError",
        "MissingDependencyError",
        "NotIdentifiableError",
        "PlanError",
        "QueryError",
        "QuerySyntaxError",
        "RepositoryError",
        "SamplingError",
        "SourceError",
        "TrainingError",
        "UnknownVariableError",
        "VariableError",
    ],
    "causalplug.graphs.graph": ["CausalGraph"],
    "causalplug.identification.assumptions": ["Assume"],
    "causalplug.identification.identification": ["Identification", "identify"],
    "causalplug.checks.overlap": ["Overlap", "check_overlap"],
    "causalplug.checks.bounding": ["bounds"],
    "causalplug.checks.bounds": ["Bounds"],
    "causalplug.checks.falsify": ["Falsification", "falsify"],
    "causalplug.checks.graph_check": ["check_graph"],
    "causalplug.checks.graph_report": ["GraphCheck"],
    "causalplug.uncertainty.drivers": ["Driver", "Drivers"],
    "causalplug.uncertainty.refute": ["Refutation"],
    "causalplug.planner": ["plan"],
    "causalplug.planning.candidates": ["CandidateFit"],
    "causalplug.planning.plan": ["Plan", "check_pull"],
    "causalplug.identification.query": ["Query"],
    "causalplug.identification.regions": ["Except", "Interval"],
    "causalplug.graphs.source": ["Source"],
    "causalplug.load": ["from_pretrained"],
    "causalplug.mechanisms.base": ["Mechanism", "register_mechanism"],
    "causalplug.mechanisms.catalogue": ["list_adapters"],
    "causalplug.encoders.fit": ["fit_encoder"],
    "causalplug.encoders.encoders": ["ConvEncoder", "Encoder", "register_encoder"],
    "causalplug.checks.fit": ["FitReport", "check_fit"],
    "causalplug.mechanisms.frozen.generator": ["FrozenMechanism"],
    "causalplug.mechanisms.frozen.condition": ["Condition"],
    "causalplug.mechanisms.frozen.conditional": ["ConditionalMechanism"],
    "causalplug.mechanisms.frozen.wrap": ["wrap"],
    "causalplug.mechanisms.frozen.label_map": ["Label", "LabelMap"],
    "causalplug.checks.projection": ["check_projection"],
    "causalplug.mechanisms.frozen.renderer": ["Renderer"],
    "causalplug.mechanisms.trainable.table": ["DiscreteTable"],
    "causalplug.mechanisms.trainable.residual_vae": ["InvertibleImage"],
    "causalplug.dcm": ["DCM"],
    "causalplug.noise": ["Noise"],
    "causalplug.sampling.answers": ["Estimate"],
    "causalplug.sampling.condition": ["Evidence"],
    "causalplug.ensemble": ["Ensemble"],
    "causalplug.sampling.interventions": ["Policy"],
    "causalplug.training.config": ["TrainingConfig"],
    "causalplug.data.source": ["DataSource", "infer_variables"],
    "causalplug.training.generators": ["fit_generator"],
    "causalplug.data.infer": ["InferredVariables"],
    "causalplug.training.report": ["TrainingReport"],
    "causalplug.training.fit": ["fit"],
    "causalplug.training.trainer": ["Trainer"],
    "causalplug.variables": [
        "Continuous",
        "Count",
        "Discrete",
        "Image",
        "Text",
        "Variable",
        "Vector",
        "register_variable",
    ],
}
_MODULES = ("adapters", "errors", "metrics", "plots", "testing")
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = ["__version__", *_MODULES, *sorted(_HOME)]
__version__ = "0.2.0"
redirect()


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"causalplug.{name}")
    else:
        raise AttributeError(f"module 'causalplug' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
