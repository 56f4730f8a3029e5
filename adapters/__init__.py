"""Pretrained families as frozen mechanisms, one per file; each is imported when a repository names its kind."""

__all__ = ["ADAPTERS"]

ADAPTERS: dict[str, str] = {
    "conditional-gan": "causalplug.adapters.conditional_gan",
}
"""Kind of adapter to the module that registers it."""
