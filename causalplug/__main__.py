"""``python -m causalplug`` is the command ``causalplug``, also under ``accelerate launch -m``."""

from __future__ import annotations

import sys

from causalplug.cli import main

sys.exit(main())
