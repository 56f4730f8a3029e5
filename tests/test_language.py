"""The sources run on Python 3.10: their regular expressions have nothing that came later."""

import ast
import re
import sys
from pathlib import Path

import pytest

import causalplug

ROOT = Path(causalplug.__file__).parents[1]
FILES = sorted(
    path for folder in ("causalplug", "adapters") for path in (ROOT / folder).rglob("*.py")
)
PATTERNS = {"compile", "findall", "finditer", "fullmatch", "match", "search", "split", "sub"}
LATER = {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}


def patterns(tree):
    """Every constant that a function of ``re`` gets as its pattern."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        if not isinstance(owner, ast.Name) or owner.id != "re" or node.func.attr not in PATTERNS:
            continue
        if node.args and isinstance(node.args[0], ast.Constant):
            yield node.lineno, node.args[0].value


def operations(parsed):
    """The names of all operations of a parsed pattern."""
    for item in parsed:
        if isinstance(item, re._constants._NamedIntConstant):
            yield item.name
        elif not isinstance(item, str | int | None):
            yield from operations(item)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an older Python refuses them itself")
def test_no_pattern_needs_python_3_11():
    found, later = 0, []
    for path in FILES:
        for line, pattern in patterns(ast.parse(path.read_text(encoding="utf-8"))):
            found += 1
            if LATER & set(operations(re._parser.parse(pattern))):
                later.append(f"{path.name}:{line}")
    assert found > 30
    assert later == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an older Python refuses them itself")
@pytest.mark.parametrize("pattern", ["a++b", "(x(?:y|z*+))", "(?>ab)c"])
def test_later_patterns_are_noticed(pattern):
    assert LATER & set(operations(re._parser.parse(pattern)))
