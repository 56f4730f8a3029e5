"""Actions, verdicts and statuses are enumerations that read as the text that they stand for."""

import json

import pytest

import causalplug as cp
from causalplug.identification.status import Status
from causalplug.planning.module import Action
from causalplug.planning.objectives import ObjectiveName
from causalplug.planning.pulling import PullVerdict

GRAPH = cp.CausalGraph.parse("D -> I -> A; D <-> A")
WORDS = [word for kind in (Action, PullVerdict, Status, ObjectiveName) for word in kind]


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_a_word_is_compared_printed_and_saved_as_its_text(word):
    text = word.value
    assert word == text
    assert hash(word) == hash(text)
    assert (str(word), repr(word), f"{word}") == (text, repr(text), text)
    assert json.loads(json.dumps({text: word})) == {text: text}


def test_plans_and_identification_say_them():
    plan = cp.plan(GRAPH, sources=[cp.Source(["D", "I", "A"])], available={"I": "user/generator"})
    assert [module.action for module in plan.modules] == [Action.PULL, Action.TRAIN]
    assert [pull.verdict for pull in plan.pulls] == [PullVerdict.PULL]
    again = cp.Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan
    assert isinstance(again.modules[0].action, Action)
    assert cp.identify(GRAPH, "P(A | do(D=1))").status is Status.IDENTIFIABLE
    refused = cp.identify(cp.CausalGraph.parse("X -> Y; X <-> Y"), "P(Y | do(X=1))").status
    assert refused is Status.NOT_IDENTIFIABLE
    assert not refused.answerable


def test_an_unknown_word_of_a_saved_plan_is_refused():
    record = cp.plan(GRAPH).to_dict()
    record["modules"][0]["action"] = "buy"
    with pytest.raises(ValueError, match="'buy' is not a valid Action"):
        cp.Plan.from_dict(record)
