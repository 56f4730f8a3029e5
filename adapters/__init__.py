"""Pretrained families as frozen mechanisms, one per file.

Each file is imported when a repository names its kind, or when one of the names below is first
used; :data:`causalplug.registry.SHIPPED_ADAPTERS` lists the kinds.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "callable": ["CallableGenerator"],
    "conditional_gan": ["ConditionalGAN", "Latent"],
    "cxr_acgan": ["CXRACGAN"],
    "diffusers": ["DiffusersGenerator"],
    "image_bank": ["ImageBank"],
    "pipeline_images": ["ImagePipeline"],
    "pipelines": ["PipelineGenerator"],
    "keras_generator": ["read_keras_generator"],
    "keras_weights": ["read_keras_layers"],
    "torch_weights": ["read_torch_weights"],
    "trained": ["TrainedGenerator"],
    "transformers_classifier": ["TransformersClassifier"],
    "transformers_numbers": ["TransformersEmbedding", "TransformersRegressor"],
    "transformers_text": ["TransformersText"],
    "transformers_text_encoder": ["TransformersTextEncoder"],
    "transformers_vision": ["TransformersEncoder"],
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted([*_EXPORTS, *_HOME])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _EXPORTS:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
