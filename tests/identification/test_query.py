"""The query language: what it accepts, what it means, and where it points when it does not
understand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from causalplug.errors import QueryError, QuerySyntaxError, UnknownVariableError
from causalplug.identification.query import Bound, Event, Query, Term, World

TEXTS = {
    "P(Y)": 1,
    "P(Y | Z=1)": 1,
    "P(Y=1, W | Z)": 1,
    "P(Y, W | do(X=1, Z=0), V=2)": 2,
    "P(Y | do(X))": 2,
    "P(Y_{X=1})": 2,
    "P(Y_{X=1} | X=0, E=2)": 3,
    "P(Y_{X=1}=1, Y_{X=0}=0)": 3,
    "P(Y_{M_{X=0}, X=1})": 3,
    "P(Y_{M=$m} | M_{X=0}=$m)": 3,
    "E[N | do(C=1)] - E[N | do(C=0)]": 2,
    "0.5 * P(Y=1) + 2 * P(Y=2 | X=-1)": 1,
    'P(Y="dark red", "blood pressure"=1.5 | do(X-1=a, X.2=b))': 2,
    "P(X_1_{A_b=1}=2)": 2,
    "-P(Y=1) + P(Y=2)": 1,
    "E[Y_{X=1} | X=0]": 3,
}


@pytest.mark.parametrize("text", TEXTS)
def test_text_round_trip_and_layer(text: str) -> None:
    query = Query.parse(text)
    assert Query.parse(str(query)) == query
    assert hash(Query.parse(str(query))) == hash(query)
    assert query.layer == TEXTS[text]


def test_objects_and_text_are_the_same() -> None:
    assert Query("Y", do={"X": 1}, given=["Z"]) == Query.parse("P(Y | do(X=1), Z)")
    assert Query({"Y": 1, "W": None}, do=["X"]) == Query.parse("P(Y=1, W | do(X))")
    assert Query(Event("Y", 1, {"X": "a b"}), given={"X": 0}) == Query.parse(
        'P(Y_{X="a b"}=1 | X=0)'
    )
    nested = Event("Y", None, {"X": 1, "M": Event("M", do={"X": 0})})
    assert Query(nested) == Query.parse("P(Y_{X=1, M_{X=0}})")
    assert Query("Y", do={"X": 1}, expectation=True) == Query.parse("E[Y | do(X=1)]")
    assert (
        Query({"Y": "*"}, do={"X": "*"})
        == Query.parse("P(Y=* | do(X=*))")
        == Query.parse("P(Y | do(X))")
    )
    assert str(Query({"Y": np.int64(1)}, do={"X": np.float32(0.5)})) == "P(Y=1 | do(X=0.5))"
    # do() adds to the world of every event.
    assert Query.parse("P(Y_{X=1}, Z | do(W=0))") == Query(
        [Event("Y", do={"X": 1, "W": 0}), Event("Z", do={"W": 0})]
    )


def test_a_bound_value_between_outcomes_is_summed_over() -> None:
    shared = Query([Event("Y", None, {"X": 1, "M": Bound("m")}), Event("M", Bound("m"), {"X": 0})])
    assert shared == Query.parse("P(Y_{X=1, M_{X=0}})")
    assert Query.parse("P(Y_{X=1, M=$m}, M_{X=0}=$m)") == shared
    chain = Query.parse("P(Y_{M=$m, W=$w}, M_{W=$w}=$m, W_{X=0}=$w)")
    assert chain == Query.parse("P(Y_{M_{W_{X=0}}, W_{X=0}})")
    # Bound by evidence it stays open, once for both events; read nowhere it stands for every value.
    assert [axis.label for axis in Query.parse("P(Y_{M=$m} | M_{X=0}=$m)").term.axes] == [
        "Y_{M=$m}",
        "$m",
    ]
    assert Query.parse("P(Y=$y | do(X=1))") == Query.parse("P(Y | do(X=1))")


def test_worlds_come_before_those_that_read_them() -> None:
    worlds = Query.parse("P(Y_{X=1, M_{X=0}}=1 | X=1)").worlds
    assert worlds[0] == {"X": 0}
    assert worlds[1] == {"X": 1, "M": Event("M", do={"X": 0})}
    assert worlds[2] == {}
    assert len({World({"X": 0}), World({"X": 0}), World()}) == 2


def test_axes_are_what_was_left_open() -> None:
    labels = [axis.label for axis in Query.parse("P(Y, W=1 | do(X, Z=0), V)").term.axes]
    assert labels == ["Y", "V", "do(X)"]
    labels = [axis.label for axis in Query.parse("P(Y_{X=1} | X)").term.axes]
    assert labels == ["Y_{X=1}", "X"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("ATE(Y, X)", "E[Y | do(X=1)] - E[Y | do(X=0)]"),
        ("ATE(Y, X=b vs a | do(W=0), Z=1)", "E[Y | do(X=b, W=0), Z=1] - E[Y | do(X=a, W=0), Z=1]"),
        ("ATE(Y=yes, X=b vs a)", "P(Y=yes | do(X=b)) - P(Y=yes | do(X=a))"),
        ("ETT(Y, X)", "E[Y_{X=1} | X=1] - E[Y_{X=0} | X=1]"),
        ("ETT(Y=2, X | Z=1)", "P(Y_{X=1}=2 | X=1, Z=1) - P(Y_{X=0}=2 | X=1, Z=1)"),
        ("PN(Y, X)", "P(Y_{X=0}=0 | X=1, Y=1)"),
        ("PS(Y, X)", "P(Y_{X=1}=1 | X=0, Y=0)"),
        ("PNS(Y=hi vs lo, X=2 vs 0)", "P(Y_{X=2}=hi, Y_{X=0}=lo)"),
        ("NDE(Y, X, M)", "E[Y_{X=1, M_{X=0}}] - E[Y | do(X=0)]"),
        ("NIE(Y, X, M)", "E[Y_{X=0, M_{X=1}}] - E[Y | do(X=0)]"),
        ("NDE(Y=hi, X=2 vs 0, M)", "P(Y_{X=2, M_{X=0}}=hi) - P(Y=hi | do(X=0))"),
    ],
)
def test_named_quantities(text: str, terms: str) -> None:
    query = Query.parse(text)
    assert query == Query.parse(terms)
    assert query.name == text
    if query.is_contrast:
        assert [c for c, _ in query.terms] == [1, -1]
        with pytest.raises(QueryError, match="contrast"):
            _ = query.outcomes
    else:
        assert query.term.outcomes


def test_contrasts_add_up() -> None:
    p, q = Query.parse("P(Y=1)"), Query.parse("P(Y=1 | X=0)")
    assert (p - q) == Query.parse("P(Y=1) - P(Y=1 | X=0)")
    assert (p + p) == 2 * p
    assert (p - p).terms == ()
    assert Query.contrast([(1.0, p), (-1.0, q), (1.0, q)]) == p


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "no text"),
        ("P(Y", 3, r"'\)' to close P\("),
        ("P(Y]", 3, r"'\)' to close P\("),
        ("Q(Y)", 0, "expected P"),
        ("P()", 2, "the variable asked for"),
        ("P(Y | do(X=1)", 13, r"'\)' to close P\("),
        ("P(Y | do(X=))", 11, "expected a value"),
        ("P(Y | X==1)", 8, "expected a value"),
        ("P(Y_{X=1, X=0})", 10, "X is set twice"),
        ("P(Y | do(X=1), do(X=0))", 18, "X is set twice"),
        ("P(Y_{X=1)", 8, "','"),
        ("P(Y) P(Z)", 5, "join terms"),
        ('P(Y="red)', 4, "quote is not closed"),
        ("P(Y; Z)", 3, "to close"),
        ("P(Y | do(X=1) Z)", 14, "to close"),
        ("P(Y=@)", 4, "no meaning"),
        ("2 P(Y)", 2, r"'\*' after a factor"),
        ("ATE(Y, X=1)", 10, "'vs'"),
        ("P(Y_{M_{X=0}=1})", 5, "takes no value"),
    ],
)
def test_malformed_text_is_pointed_at(text: str, position: int, says: str) -> None:
    with pytest.raises(QuerySyntaxError, match=says) as caught:
        Query.parse(text)
    assert caught.value.position == position
    line, caret = str(caught.value).splitlines()[1:]
    assert line.strip() == text.strip()
    assert caret.index("^") == 4 + position


def test_a_variable_that_is_set_is_pointed_at() -> None:
    with pytest.raises(QueryError, match="X cannot be conditioned on") as caught:
        Query.parse("P(Y | do(X=1), Z, X=0)")
    assert str(caught.value).splitlines()[-1].index("^") == 4 + 18


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("P(Y | do(X=1), X=0)", "X cannot be conditioned on"),
        ("P(X | do(X=1))", "X cannot be asked for"),
        ("P(Y_{X=1} | do(X=0))", "X is set to two values"),
        ("E[Y, Z]", "one variable"),
        ("E[Y=1]", "without a value"),
        ("P(Y_{M=$m})", r"\$m in Y_"),
        ("P(Y_{M=$m}, Z=$m)", "that is a value of Z"),
        ("P(Y=$a, Z=$a)", "one event may bind it"),
        ("P(A_{B=$b}=$a, B_{A=$a}=$b)", "circle"),
        ("ATE(Y, X=1 vs 1)", "two different"),
        ("ATE(Y=1 vs 0, X)", "Y alone for its mean, or one value"),
        ("PNS(Y=1, X)", "give two, as in Y=1 vs"),
        ("NDE(Y, X, M=1 vs 0)", "the mediator takes its own"),
    ],
)
def test_senseless_queries(text: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        Query.parse(text)


def test_senseless_objects() -> None:
    with pytest.raises(QueryError, match="no outcome"):
        Term(())
    with pytest.raises(QueryError, match="only M in another world"):
        World({"M": Event("N", do={"X": 0})})
    with pytest.raises(QueryError, match="cannot be hashed"):
        Event("Y", [1, 2])
    with pytest.raises(QueryError, match="is not a query"):
        Query.parse(3)  # type: ignore[arg-type]
    with pytest.raises(UnknownVariableError, match='did you mean "Smoker"'):
        Query.parse("P(smoker)").check({"Smoker", "Cancer"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ATT(Y, X)", r"ATT is written ETT\(Y, X\)"),
        ("CATE(Y, X, Z)", r"CATE is written ATE\(Y, X \| Z=1\)"),
        ("p(Y | do(X=1))", r"p is written P\("),
        ("CDE(Y, X, M)", r"do\(X=1, M=0\)"),
    ],
)
def test_other_names_of_what_can_be_asked_are_answered_with_ours(text, words):
    with pytest.raises(QuerySyntaxError, match=words):
        Query.parse(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("P(Y in {0, 1})", "add the cases"),
        ("P(Y=1 or X=1)", "add the cases"),
        ("P(Y=1 and X=1)", "separated by commas"),
        ("P(Y=1 given X=1)", "a bar before what is given"),
        ("P(Y not 1)", "write Y!=1"),
        ("median(Y)", "whose summary has the quantiles"),
        ("RD(Y, X)", "ATE"),
        ("P(Y=1 | do(X=01))", 'or "01" in quotes'),
    ],
)
def test_words_that_people_type_are_answered(text, advice):
    with pytest.raises(QuerySyntaxError, match=re.escape(advice)):
        Query.parse(text)
