"""The public names: each is documented, says what it raises, and stands in the reference."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import causalplug as cp

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
MODULES = {"adapters", "errors", "metrics", "plots", "testing"}
NAMES = [
    name
    for name in cp.__all__
    if name not in MODULES | {"__version__"} and not hasattr(cp.errors, name)
]
RAISE_NOTHING = {"list_adapters"}


def raises(function) -> bool:
    """Whether the function itself raises an error, other than that a subclass has to implement
    it."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return False
    return bool(re.search(r"^\s*raise (?!NotImplementedError)\w", source, re.MULTILINE))


def methods(cls):
    """Public methods and properties that the class itself defines: name, function,
    documentation."""
    for name, member in vars(cls).items():
        function = (
            getattr(member, "__func__", None)
            or getattr(member, "fget", None)
            or getattr(member, "func", member)
        )
        if not name.startswith("_") and inspect.isfunction(function):
            yield (
                name,
                function,
                inspect.getdoc(getattr(cls, name)) or inspect.getdoc(function) or "",
            )


@pytest.mark.parametrize("name", NAMES)
def test_it_is_documented_and_says_what_it_raises(name):
    value = getattr(cp, name)
    told = inspect.getdoc(value) or ""
    assert told, f"{name} has no docstring"
    if not inspect.isclass(value):
        assert "Raises:" in told or name in RAISE_NOTHING, f"{name} does not say what it raises"
        return
    own = [vars(value)[key] for key in ("__init__", "__post_init__") if key in vars(value)]
    assert "Raises:" in told or not any(map(raises, own)), f"{name} does not say what it raises"
    missing = [method for method, _, text in methods(value) if not text]
    assert not missing, f"methods of {name} without a docstring: {missing}"
    silent = [
        method
        for method, function, text in methods(value)
        if raises(function) and "aises" not in text
    ]
    assert not silent, f"methods of {name} that do not say what they raise: {silent}"


@pytest.mark.skipif(not REFERENCE.exists(), reason="the sources of the documentation are not here")
@pytest.mark.parametrize("name", NAMES)
def test_it_stands_in_the_reference(name):
    pages = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    assert re.search(
        rf"auto(?:class|function|exception):: (?:causalplug\.)?{name}$", pages, re.MULTILINE
    )


@pytest.mark.skipif(not REFERENCE.exists(), reason="the sources of the documentation are not here")
def test_the_reference_names_nothing_that_is_not_there():
    import importlib

    for page in REFERENCE.glob("*.md"):
        for kind, path in re.findall(
            r"auto(class|function|module):: ([\w.]+)", page.read_text(encoding="utf-8")
        ):
            if kind == "module":
                assert importlib.import_module(path)
                continue
            module, _, name = path.rpartition(".")
            assert hasattr(importlib.import_module(module or "causalplug"), name), (
                f"{page.name} names {path}"
            )


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_is_there_whatever_ran_before(name):
    script = f"import causalplug as cp; print(cp.{name}.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == f"causalplug.{name}", done.stderr


def test_every_exception_is_public():
    own = {name for name, value in vars(cp.errors).items() if isinstance(value, type)}
    assert own == {name for name in cp.__all__ if hasattr(cp.errors, name)}


@pytest.mark.parametrize("name", [n for n in cp.adapters.__all__ if n[0].isupper()])
def test_every_adapter_is_there_by_name(name):
    if name == "DiffusersGenerator":
        pytest.importorskip("diffusers")
    assert getattr(cp.adapters, name).__name__ == name
