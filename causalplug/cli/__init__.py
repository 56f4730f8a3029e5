"""The command ``causalplug``: what the Python interface does, from a shell.

Nothing heavy is imported before a command needs it: planning, identification and help load no
    torch.
"""

from __future__ import annotations

from causalplug.cli.app import main

__all__ = ["main"]
