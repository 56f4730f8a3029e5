"""Pretrained families as frozen mechanisms, one per file; each is imported when a repository
names its kind."""

__all__ = ["ADAPTERS"]

ADAPTERS: dict[str, str] = {
    "callable": "causalplug.adapters.callable",
    "conditional-gan": "causalplug.adapters.conditional_gan",
    "cxr-acgan": "causalplug.adapters.cxr_acgan",
    "diffusers": "causalplug.adapters.diffusers",
    "image-bank": "causalplug.adapters.image_bank",
    "trained-generator": "causalplug.adapters.trained",
}
"""Kind of adapter to the module that registers it."""
