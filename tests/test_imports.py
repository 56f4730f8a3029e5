"""Imports point one way, and what needs no torch loads none."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import causalplug

PACKAGE = Path(causalplug.__file__).parent
ROOMS = [
    "errors",
    "wording",
    "notebook",
    "networks",
    "registry",
    "variables",
    "noise",
    "files",
    "plots",
    "graphs",
    "planning",
    "identification",
    "hub",
    "encoders",
    "data",
    "mechanisms",
    "checks",
    "adapters",
    "model",
    "training",
    "sampling",
    "uncertainty",
    "dcm",
    "load",
    "ensemble",
    "cli",
]
LIGHT = """
import sys
import causalplug as cp
g = cp.CausalGraph.parse("D -> I -> A; D <-> A")
plan = cp.plan(g, sources=[cp.Source(recorded=["D", "I", "A"])])
str(plan), plan.to_dict()
cp.identify(g, "P(A | do(D=1))")
heavy = {"torch", "networkx", "pandas", "matplotlib", "sklearn", "huggingface_hub"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def test_planning_and_identification_load_no_heavy_library():
    done = subprocess.run(
        [sys.executable, "-c", LIGHT],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_at_load(tree: ast.Module):
    """Names of modules imported when the file is loaded: not inside functions, not for type
    checking."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.If | ast.Try) and "TYPE_CHECKING" not in ast.dump(
            getattr(node, "test", node)
        ):
            pending += node.body + node.orelse


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) in ROOMS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_above_it(path):
    own = room_of(path)
    for name in imports_at_load(ast.parse(path.read_text())):
        parts = name.split(".")
        if (
            parts[0] == "causalplug"
            and len(parts) > 1
            and parts[1] in ROOMS
            and parts[1:] != ["adapters"]
        ):
            assert ROOMS.index(parts[1]) <= ROOMS.index(own), f"{path} imports {name}"


@pytest.mark.parametrize("name", causalplug.__all__)
def test_every_public_name_is_there(name):
    assert getattr(causalplug, name) is not None
    assert name in dir(causalplug)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'DCN'"):
        causalplug.DCN  # noqa: B018
