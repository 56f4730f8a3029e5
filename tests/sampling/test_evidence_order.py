"""Evidence of two worlds, one of them a number: what is imposed comes before what is searched for.

Closed form: Z = X + e and W = Z + d of normal noise. Given X = 2, Z is normal around 2, and what
W is under do(V) tells of the same Z, whatever the order in which the evidence is written.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalplug as cp
from tests.sampling.toys import Linear

GRAPH = cp.CausalGraph.parse("X -> Z -> W; V -> W")


class Rising(Linear):
    """It may be inferred from an interval."""

    monotone = True


def _model() -> cp.DCM:
    mechanisms = {
        "X": Rising({}),
        "V": Rising({}),
        "Z": Rising({"X": 1.0}),
        "W": Rising({"Z": 1.0, "V": 1.0}),
    }
    return cp.DCM(GRAPH, dict.fromkeys(GRAPH.variables, cp.Continuous()), mechanisms=mechanisms)


def _mean(at: float, above: float) -> float:
    """E[Z | X=at, W_{V=0} > above], from two million numbers."""
    rng = np.random.default_rng(0)
    z = at + rng.normal(size=2_000_000)
    return float(z[z + rng.normal(size=len(z)) > above].mean())


@pytest.mark.parametrize("above", [1.0, 4.5])
@pytest.mark.parametrize("order", ["W_{{V=0}}>{a}, X=2", "X=2, W_{{V=0}}>{a}"])
def test_a_number_in_one_world_is_imposed_before_the_other_world_is_met(
    above: float, order: str
) -> None:
    answer = _model().estimate(f"E[Z | {order.format(a=above)}]", 20_000)
    assert float(answer) == pytest.approx(_mean(2.0, above), abs=0.04)


def test_rows_agree_with_both_worlds_where_the_search_is_in_the_other_one() -> None:
    """W > 4.5 under do(V=0) is rare, so it would be inferred by itself."""
    evidence = [{"X": 2.0}, cp.Evidence({"W": (4.5, None)}, do={"V": 0.0})]
    rows = _model().counterfactual(5000, evidence=evidence, do={}, variables=["Z"])
    assert rows.Z.mean() == pytest.approx(_mean(2.0, 4.5), abs=0.06)


def test_numbers_in_two_worlds_are_refused_in_a_question_as_in_rows() -> None:
    with pytest.raises(cp.QueryError, match="W, X in two worlds at once"):
        _model().estimate("E[Z | W_{V=0}=1.5, X=2]", 1000)


def test_a_value_set_to_what_another_world_makes_of_it_is_seen_in_that_world() -> None:
    plain = _model().estimate("E[W | Z_{X=1}=2]", 5000)
    nested = _model().estimate("E[W | Z_{V=3, Z_{X=1}}=2]", 5000)
    assert float(nested) == float(plain)
