"""Wrong values inside mappings: refused by name before any work, whatever the call."""

import numpy as np
import pandas as pd
import pytest

import causalplug as cp

GRAPH = cp.CausalGraph.parse("Z -> X; X -> Y; Z -> Y")
BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")
DRAW = np.random.default_rng(0)
ROWS = pd.DataFrame({name: DRAW.integers(0, 2, 60) for name in "ZXY"})
QUERY = "P(Y=1 | do(X=1))"
WRONG_DOMAINS = [{"X": []}, {"X": [0, 0]}, {"X": 3}, {"X": None}, {"X": "01"}, {"X": [[0], [1]]}]
DOORS = {
    "identify": lambda domains: cp.identify(BOW, QUERY, domains=domains),
    "bounds": lambda domains: cp.bounds(BOW, QUERY, ROWS[["X", "Y"]], domains=domains),
    "check_overlap": lambda domains: cp.check_overlap(GRAPH, QUERY, ROWS, domains=domains),
}


@pytest.mark.parametrize("domains", WRONG_DOMAINS, ids=repr)
@pytest.mark.parametrize("door", DOORS)
def test_domains_are_different_values(door, domains):
    with pytest.raises(cp.CausalPlugError, match="different values"):
        DOORS[door](domains)


@pytest.mark.parametrize("domains", [{"X": (0, 1)}, {"X": range(2)}, {"X": np.array([0, 1])}])
@pytest.mark.parametrize("door", DOORS)
def test_any_list_of_values_is_a_domain(door, domains):
    DOORS[door](domains)


@pytest.mark.parametrize(
    ("where", "match"),
    [
        ({"X": {"low": 0}}, "the value that it must have"),
        ({"X": []}, "the value that it must have"),
        ({"X": {0, 1}}, "the value that it must have"),
        ({"X": float("nan")}, "the value that it must have"),
        ({"X": [[0]]}, "the value that it must have"),
        ({"X": (2, 1)}, "the value that it must have"),
        ({"X": ("a", 1)}, "ends of an interval"),
        ({"X": (0, 1, 2)}, "an interval is"),
    ],
)
def test_conditions_on_rows_that_nothing_meets(where, match):
    with pytest.raises(cp.errors.DataError, match=match):
        cp.DataSource(ROWS, where=where)


def test_columns_that_a_formula_is_about_are_named():
    with pytest.raises(cp.errors.DataError, match="no column Z"):
        cp.check_overlap(GRAPH, QUERY, ROWS.drop(columns="Z"))
    assert cp.check_overlap(BOW, "P(Y=1 | X=1)", ROWS[["X", "Y"]])
    spare = cp.CausalGraph.parse("Z -> X; X -> Y; Z -> Y; W -> Z; Y -> V")
    recorded = cp.Source(recorded=["Z", "X", "Y", "V"])
    assert cp.check_overlap(spare, QUERY, ROWS, sources=[recorded])  # V is not needed


@pytest.mark.parametrize("encoders", [{"Z": None}, {"Z": 3}, {"Z": "conv"}])
def test_encoders_are_no_numbers(encoders):
    with pytest.raises(cp.CausalPlugError, match="encoders, functions or arrays"):
        cp.check_overlap(GRAPH, QUERY, ROWS, encoders)
    with pytest.raises(cp.CausalPlugError, match="encoders, functions or arrays"):
        cp.check_graph(GRAPH, ROWS, encoders=encoders)


def test_encoders_of_what_is_no_variable():
    with pytest.raises(cp.errors.UnknownVariableError, match="'Q' is not a variable"):
        cp.check_overlap(GRAPH, QUERY, ROWS, {"Q": len})
    kinds = dict.fromkeys("ZXY", cp.Discrete(2))
    with pytest.raises(cp.errors.MechanismError, match="cannot be the encoder of 'X'"):
        cp.DCM(GRAPH, kinds, encoders={"X": None})


@pytest.mark.parametrize("explicit", [{"X": "yes"}, {"X": None}, {"X": 1}])
def test_whether_a_mechanism_is_explicit_is_yes_or_no(explicit):
    with pytest.raises(cp.errors.PlanError, match="True or False"):
        cp.plan(GRAPH, explicit=explicit)
    with pytest.raises(cp.errors.UnknownVariableError, match="explicit= cannot be used"):
        cp.plan(GRAPH, explicit={"Q": True})
