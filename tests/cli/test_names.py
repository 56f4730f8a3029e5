"""Names with commas, signs of equality and quotes on the command line."""

import click
import pytest

import causalplug as cp
from causalplug.cli.given import assigned, names, pairs, settings
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


VARIABLES = {"age": cp.Continuous(), "A": cp.Discrete(["red", "blue"]), "a<b": cp.Discrete(3)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age<50", {"age": cp.Interval(high=50, includes_high=False)}),
        ("18<=age<65", {"age": cp.Interval(18, 65, includes_high=False)}),
        ("age>=-0.5", {"age": cp.Interval(low=-0.5)}),
        ("A!=red", {"A": cp.Except("red")}),
        ('"a<b">=1', {"a<b": cp.Interval(low=1)}),
        ('"a<b"=1', {"a<b": 1}),
        ("age=0.5..1", {"age": (0.5, 1.0)}),
        ("A=red,blue", {"A": ["red", "blue"]}),
    ],
)
def test_ranges_as_conditions(text, expected):
    assert settings([text], VARIABLES, "--given", condition=True) == expected


@pytest.mark.parametrize("text", ["age<", "height<3", "A<x", "age<3, A=red"])
def test_ranges_that_are_refused(text):
    with pytest.raises((click.BadParameter, cp.QueryError)):
        settings([text], VARIABLES, "--given", condition=True)
