"""Imports point one way: no circle and no upward arrow, also inside functions and for types."""

import ast
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

import causalplug

ROOT = Path(causalplug.__file__).parents[1]
ROOMS = [
    "moved",
    "errors",
    "installed",
    "selection",
    "signals",
    "tensors",
    "values",
    "wording",
    "arguments",
    "caveats",
    "notebook",
    "registry",
    "variables",
    "noise",
    "networks",
    "files",
    "plots",
    "graphs",
    "identification",
    "planning",
    "hub",
    "planner",
    "encoders",
    "data",
    "mechanisms",
    "adapters",
    "checks",
    "model",
    "training",
    "sampling",
    "uncertainty",
    "samples",
    "effects",
    "dcm",
    "ensemble",
    "load",
    "metrics",
    "testing",
    "demo",
    "cli",
    "__main__",
]
"""From the bottom: a room imports from itself and from the rooms above it in this list."""

LIGHT = """
import sys
import causalplug as cp
g = cp.CausalGraph.parse("D -> I -> A; D <-> A")
plan = cp.plan(g, sources=[cp.Source(recorded=["D", "I", "A"])])
str(plan), plan.to_dict()
cp.identify(g, "P(A | do(D=1))")
heavy = {"torch", "networkx", "pandas", "matplotlib", "sklearn", "scipy", "huggingface_hub"}
heavy &= set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def test_planning_and_identification_load_no_heavy_library():
    done = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr


def modules():
    """Every module of the package by its dotted name; ``adapters/`` is ``causalplug.adapters``."""
    found = {}
    for folder, package in ((ROOT / "causalplug", "causalplug"), (ROOT / "adapters", "adapters")):
        prefix = "causalplug." if package == "adapters" else ""
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if folder.name == "causalplug" and parts[0] in ("adapters", "model_cards"):
                continue
            names = [package, *parts]
            if names[-1] == "__init__":
                names.pop()
            found[prefix + ".".join(names)] = path
    return found


MODULES = modules()


def imports(tree: ast.Module):
    """Names of the modules that a file imports: at load, inside functions and for types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def arrows():
    return {
        (module, name)
        for module, path in MODULES.items()
        for name in imports(ast.parse(path.read_text(encoding="utf8")))
        if name in MODULES and name != module
    }


ARROWS = arrows()


def room(module):
    return module.split(".")[1] if "." in module else "the package itself"


def upward(edges):
    between = [(a, b) for a, b in edges if "." in a and "." in b]
    return sorted((a, b) for a, b in between if ROOMS.index(room(a)) < ROOMS.index(room(b)))


def circles(edges):
    parts = nx.strongly_connected_components(nx.DiGraph(sorted(edges)))
    return [sorted(part) for part in parts if len(part) > 1]


def test_every_room_has_its_place():
    assert {room(module) for module in MODULES if "." in module} <= set(ROOMS)


def test_no_arrow_points_to_a_higher_room():
    assert upward(ARROWS) == []


def test_there_is_no_circle():
    assert circles(ARROWS) == []


def test_a_circle_and_an_upward_arrow_would_be_seen():
    back = ("causalplug.graphs.graph", "causalplug.dcm")
    assert upward({*ARROWS, back}) == [back]
    assert any("causalplug.dcm" in circle for circle in circles({*ARROWS, back}))


def test_lazy_and_typed_imports_are_read():
    text = "def f():\n    import causalplug.dcm\nif TYPE_CHECKING:\n    import causalplug.load\n"
    assert set(imports(ast.parse(text))) == {"causalplug.dcm", "causalplug.load"}


@pytest.mark.parametrize("name", causalplug.__all__)
def test_every_public_name_is_there(name):
    assert getattr(causalplug, name) is not None
    assert name in dir(causalplug)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'DCN'"):
        causalplug.DCN  # noqa: B018
