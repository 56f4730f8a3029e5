"""Import paths of version 0.1: they lead to where the module is now, with a DeprecationWarning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "redirect"]

_FOLDERS = ("causalplug.causal", "causalplug.causal.readers", "causalplug.reading")

MOVED = {
    "causalplug.causal.bits": "causalplug.graphs.bits",
    "causalplug.causal.c_factor": "causalplug.identification.c_factor",
    "causalplug.causal.certificate": "causalplug.identification.certificate",
    "causalplug.causal.closure": "causalplug.planning.closure",
    "causalplug.causal.ctf_graph": "causalplug.identification.ctf_graph",
    "causalplug.causal.decide": "causalplug.identification.decide",
    "causalplug.causal.determinism": "causalplug.checks.determinism",
    "causalplug.causal.estimand": "causalplug.identification.estimand",
    "causalplug.causal.evaluate": "causalplug.identification.evaluate",
    "causalplug.causal.events": "causalplug.identification.events",
    "causalplug.causal.explain": "causalplug.identification.explain",
    "causalplug.causal.formula": "causalplug.identification.formula",
    "causalplug.causal.graph": "causalplug.graphs.graph",
    "causalplug.causal.identification": "causalplug.identification.identification",
    "causalplug.causal.modules": "causalplug.planning.modules",
    "causalplug.causal.names": "causalplug.wording",
    "causalplug.causal.notation": "causalplug.identification.notation",
    "causalplug.causal.objectives": "causalplug.planning.objectives",
    "causalplug.causal.overlap": "causalplug.checks.overlap",
    "causalplug.causal.plan": "causalplug.planning.plan",
    "causalplug.causal.pulling": "causalplug.planning.pulling",
    "causalplug.causal.quantities": "causalplug.identification.quantities",
    "causalplug.causal.query": "causalplug.identification.query",
    "causalplug.causal.query_text": "causalplug.identification.query_text",
    "causalplug.causal.readers": "causalplug.graphs.readers",
    "causalplug.causal.readers.draft": "causalplug.graphs.readers.draft",
    "causalplug.causal.readers.graphviz": "causalplug.graphs.readers.graphviz",
    "causalplug.causal.readers.objects": "causalplug.graphs.readers.objects",
    "causalplug.causal.reasons": "causalplug.planning.reasons",
    "causalplug.causal.render": "causalplug.planning.render",
    "causalplug.causal.search": "causalplug.graphs.search",
    "causalplug.causal.solver": "causalplug.identification.solver",
    "causalplug.causal.source": "causalplug.graphs.source",
    "causalplug.causal.suggest": "causalplug.identification.suggest",
    "causalplug.causal.tables": "causalplug.identification.tables",
    "causalplug.causal.targets": "causalplug.planning.targets",
    "causalplug.causal.text": "causalplug.graphs.text",
    "causalplug.causal.unification": "causalplug.identification.unification",
    "causalplug.causal.writers": "causalplug.graphs.writers",
    "causalplug.hub.card_facts": "causalplug.model.facts",
    "causalplug.hub.dcm": "causalplug.model.files",
    "causalplug.hub.load": "causalplug.load",
    "causalplug.hub.pulled": "causalplug.model.pulled",
    "causalplug.mechanisms.abduction": "causalplug.mechanisms.frozen.abduction",
    "causalplug.mechanisms.bank": "causalplug.mechanisms.frozen.bank",
    "causalplug.mechanisms.bank_files": "causalplug.mechanisms.frozen.bank_files",
    "causalplug.mechanisms.conditioner": "causalplug.mechanisms.trainable.conditioner",
    "causalplug.mechanisms.continuous": "causalplug.mechanisms.trainable.continuous",
    "causalplug.mechanisms.convolution": "causalplug.encoders.convolution",
    "causalplug.mechanisms.deferred": "causalplug.model.deferred",
    "causalplug.mechanisms.discrete": "causalplug.mechanisms.trainable.discrete",
    "causalplug.mechanisms.encoder_fit": "causalplug.encoders.fit",
    "causalplug.mechanisms.encoders": "causalplug.encoders.encoders",
    "causalplug.mechanisms.fit_check": "causalplug.checks.fit",
    "causalplug.mechanisms.fit_statistics": "causalplug.checks.image_statistics",
    "causalplug.mechanisms.image": "causalplug.mechanisms.trainable.image",
    "causalplug.mechanisms.label": "causalplug.mechanisms.frozen.label",
    "causalplug.mechanisms.label_estimation": "causalplug.mechanisms.frozen.label_estimation",
    "causalplug.mechanisms.label_map": "causalplug.mechanisms.frozen.label_map",
    "causalplug.mechanisms.label_tables": "causalplug.mechanisms.frozen.label_tables",
    "causalplug.mechanisms.layers": "causalplug.mechanisms.frozen.layers",
    "causalplug.mechanisms.precision": "causalplug.files.precision",
    "causalplug.mechanisms.projection_check": "causalplug.checks.projection",
    "causalplug.mechanisms.registry": "causalplug.registry",
    "causalplug.mechanisms.renderer": "causalplug.mechanisms.frozen.renderer",
    "causalplug.mechanisms.table": "causalplug.mechanisms.trainable.table",
    "causalplug.mechanisms.trained_module": "causalplug.model.trained_module",
    "causalplug.mechanisms.transforms": "causalplug.mechanisms.frozen.transforms",
    "causalplug.reading.files": "causalplug.data.files",
    "causalplug.reading.images": "causalplug.data.images",
    "causalplug.reading.tables": "causalplug.data.tables",
    "causalplug.sampling.ensemble": "causalplug.ensemble",
    "causalplug.shareable": "causalplug.hub.shareable",
    "causalplug.training.data": "causalplug.data.source",
    "causalplug.training.infer": "causalplug.data.infer",
    "causalplug.training.joint": "causalplug.planning.joint",
    "causalplug.training.two_sample": "causalplug.checks.two_sample",
}
"""Every module of version 0.1 that has moved, and its present name."""


class _Redirect(Loader):
    """Finds a module under its former name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in MOVED or fullname in _FOLDERS:
            return ModuleSpec(fullname, self, is_package=fullname in _FOLDERS)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None  # the default: an empty module, which exec_module fills

    def exec_module(self, module: ModuleType) -> None:
        now = MOVED.get(module.__name__)
        if now is None:
            return
        warnings.warn(
            f"{module.__name__} has moved to {now}; the old name will be removed in 0.3.",
            DeprecationWarning,
            stacklevel=2,
        )
        found = importlib.import_module(now)
        module.__doc__ = found.__doc__
        module.__getattr__ = found.__getattribute__  # type: ignore[method-assign]


def redirect() -> None:
    """Let the former names be imported."""
    if not any(isinstance(finder, _Redirect) for finder in sys.meta_path):
        sys.meta_path.append(_Redirect())
