"""The Hub's rooms are light: what they need is imported when it is needed."""

import subprocess
import sys
from pathlib import Path

import causalplug.hub


def test_every_public_name_is_there():
    for name in causalplug.hub.__all__:
        assert getattr(causalplug.hub, name) is not None
    assert set(causalplug.hub.__all__) <= set(dir(causalplug.hub))


def test_nothing_heavy_is_imported():
    code = (
        "import sys, causalplug.hub as h\n"
        "for name in h.__all__: getattr(h, name)\n"
        "heavy = {'torch', 'numpy', 'huggingface_hub', 'safetensors', 'yaml', 'httpx', 'httpx2', "
        "'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert found.stdout.strip() == "[]"
