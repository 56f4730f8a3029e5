"""Names with commas, signs of equality and quotes on the command line."""

import pytest

from causalplug.cli.given import assigned, names, pairs
from causalplug.cli.sources import read_given_sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A, B", ["A", "B"]),
        ('"a,b", C', ["a,b", "C"]),
        ("'a,b',C", ["a,b", "C"]),
        ("it's, X'", ["it's", "X'"]),
        ('"say \\"x\\"",', ['say "x"']),
        ("", []),
    ],
)
def test_names_between_commas(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X=1", ("X", "=", "1")),
        ('"a=b" = c=d', ("a=b", "=", "c=d")),
        ("'a,b'=1", ("a,b", "=", "1")),
        ("X", ("X", "", "")),
    ],
)
def test_assignments(text, expected):
    assert assigned(text) == expected
    if expected[1]:
        assert pairs([text], "--do") == {expected[0]: expected[2]}


def test_sources_with_quoted_names():
    (source,) = read_given_sources(['P("a,b", Y | do("a=b"=1, Z))'])
    assert set(source.recorded) == {"a,b", "Y", "a=b", "Z"}
    assert set(source.do) == {"a=b", "Z"}
