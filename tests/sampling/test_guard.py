"""No number without a reason: what the data do not determine is refused, or marked."""

from __future__ import annotations

import pytest

from causalplug.dcm import DCM
from causalplug.ensemble import Ensemble
from causalplug.errors import NotIdentifiableError, UnknownVariableError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.sampling import guard
from causalplug.sampling.interventions import Policy
from causalplug.variables import Continuous
from tests.sampling.exact import as_dcm
from tests.sampling.toys import Linear
from tests.scm import random_scm


def _trained(text: str, sources: list[Source] | None = None) -> DCM:
    """A model that says it was trained on ``sources``, by default one observational table."""
    graph = CausalGraph.parse(text)
    dcm = as_dcm(random_scm(graph, cardinalities=2, seed=1))
    dcm.sources = tuple(sources or [Source(graph.variables)])
    return dcm


FRONT, BOW = "X -> M -> Y; X <-> Y", "X -> Y; X <-> Y; Z -> X"


def test_identifiable_answers_pass_and_say_so() -> None:
    dcm = _trained(FRONT)
    frame = dcm.sample(50, do={"X": 1}, variables=["Y"])
    assert frame.attrs["identification"] == "identifiable"
    assert frame.attrs["query"] == "P(Y | do(X=1))"
    answer = dcm.estimate("P(Y | do(X=1))", n=50)
    assert answer.status == "identifiable"
    assert not answer.marked
    assert answer.identification.estimand is not None
    assert "identifiable" in str(answer)


@pytest.mark.parametrize(
    "ask",
    [
        lambda dcm, **o: dcm.sample(20, do={"X": 1}, variables=["Y"], **o),
        lambda dcm, **o: dcm.sample(20, do={"X": 1}, **o),
        lambda dcm, **o: dcm.sample(20, do={"X": {0: 0.5, 1: 0.5}}, variables=["Y"], **o),
        lambda dcm, **o: dcm.sample(
            20, do={"X": Policy(lambda v: v["Z"], reads="Z")}, variables=["Y"], **o
        ),
        lambda dcm, **o: next(dcm.sample_batches(20, do={"X": 1}, variables=["Y"], **o)),
        lambda dcm, **o: dcm.counterfactual(
            20, evidence={"X": 0}, do={"X": 1}, variables=["Y"], **o
        ),
        lambda dcm, **o: dcm.counterfactual(
            {"X": 0, "Y": 1, "Z": 0}, do={"X": 1}, variables=["Y"], **o
        ),
        lambda dcm, **o: dcm.estimate("P(Y | do(X=1))", n=20, **o),
        lambda dcm, **o: dcm.ate("Y", "X", n=20, **o),
        lambda dcm, **o: dcm.curve("Y", "X", [0, 1], n=20, **o),
        lambda dcm, **o: Ensemble([dcm, dcm]).estimate("P(Y | do(X=1))", n=20, **o),
    ],
)
def test_what_is_not_identifiable_is_refused_or_marked(ask: object) -> None:
    dcm = _trained(BOW)
    with pytest.raises(NotIdentifiableError, match="allow_unidentified") as caught:
        ask(dcm)  # type: ignore[operator]
    assert caught.value.identification.status == "not identifiable"
    assert caught.value.identification.certificate is not None
    answer = ask(dcm, allow_unidentified=True)  # type: ignore[operator]
    status = answer.attrs["identification"] if hasattr(answer, "attrs") else answer.status
    assert status == "not identifiable"
    if not hasattr(answer, "attrs"):
        assert answer.marked
        assert "NOT DETERMINED" in str(answer)


def test_refusal_comes_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    dcm = _trained(BOW)
    monkeypatch.setattr(type(dcm), "forward", lambda *_: pytest.fail("the model ran"))
    with pytest.raises(NotIdentifiableError):
        dcm.sample(20, do={"X": 1}, variables=["Y"])


def test_an_experiment_makes_it_identifiable_for_its_values() -> None:
    full, part = Source(list("XYZ"), do=["X"]), Source(list("XYZ"), do={"X": [1]})
    observed = Source(list("XYZ"))
    assert (
        len(_trained(BOW, [observed, full]).sample(5, do={"X": [0, 1, 0, 1, 1]}, variables=["Y"]))
        == 5
    )
    dcm = _trained(BOW, [observed, part])
    assert len(dcm.sample(5, do={"X": 1}, variables=["Y"])) == 5
    assert len(dcm.sample(5, do={"X": [1] * 5}, variables=["Y"])) == 5
    for value in (0, [0, 1, 0, 1, 1], {0: 0.5, 1: 0.5}):
        with pytest.raises(NotIdentifiableError):
            dcm.sample(5, do={"X": value}, variables=["Y"])


def test_parts_may_be_identifiable_where_the_whole_is_not() -> None:
    dcm = _trained(BOW)
    assert len(dcm.sample(5, do={"X": 1}, variables=["Z"])) == 5
    assert len(dcm.sample(5, variables=["X", "Y"], given={"Z": 1})) == 5
    assert len(dcm.sample(5, do={"X": 1}, variables=["X"])) == 5
    with pytest.raises(NotIdentifiableError):
        dcm.sample(5, do={"X": 1}, variables=["Z", "Y"])


def test_a_policy_is_checked_with_what_it_reads() -> None:
    dcm = _trained("Z -> X -> Y; Z -> Y")
    frame = dcm.sample(5, do={"X": Policy(lambda v: v["Z"], reads="Z")}, variables=["Y"])
    assert frame.attrs["identification"] == "identifiable"
    assert "Z" in frame.attrs["query"]


def test_conditions_on_sets_and_intervals_are_checked_jointly() -> None:
    graph = CausalGraph.parse("X -> Y -> W; X <-> Y")
    dcm = DCM(graph, dict.fromkeys("XYW", Continuous()), mechanisms={"W": Linear({"Y": 1.0})})
    dcm.sources = (Source(list("XYW")),)
    assert len(dcm.sample(5, given={"W": (-1, 1)}, variables=["Y"])) == 5
    assert len(dcm.sample(5, do={"X": 0.0}, given={"Y": 0.3}, variables=["W"])) == 5
    with pytest.raises(NotIdentifiableError):
        dcm.sample(5, do={"X": 0.0}, given={"Y": (None, 0.3)}, variables=["W"])


def test_decisions_are_kept_by_query() -> None:
    dcm = _trained(FRONT)
    guard._identified.cache_clear()
    for seed in range(3):
        dcm.sample(5, do={"X": 1}, variables=["Y"], seed=seed)
    info = guard._identified.cache_info()
    assert (info.misses, info.hits) == (1, 2)
    dcm.sample(5, do={"X": 0}, variables=["Y"])
    assert guard._identified.cache_info().misses == 2


def test_a_model_that_was_never_trained_is_not_checked() -> None:
    dcm = _trained(BOW)
    dcm.sources = None
    assert dcm.sample(5, do={"X": 1}).attrs["identification"] == "not checked"
    answer = dcm.estimate("P(Y | do(X=1))", n=5)
    assert (answer.status, answer.marked, answer.identification) == ("not checked", True, None)
    with pytest.raises(UnknownVariableError):
        dcm.estimate("P(Q)")


def test_events_that_exclude_each_other_have_the_answer_zero() -> None:
    dcm = _trained(FRONT)
    answer = dcm.estimate("P(X=0 | X=1)", n=50)
    assert answer.status == "zero"
    assert answer.value == 0
