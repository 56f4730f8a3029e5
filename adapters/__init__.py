"""Pretrained families as frozen mechanisms, one per file.

Each file is imported when a repository names its kind;
:data:`causalplug.registry.SHIPPED_ADAPTERS` lists them.
"""
