"""Arguments of the questions: named one by one, checked once, and answered when they are
misspelt."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from causalplug.dcm import DCM
from causalplug.ensemble import Ensemble
from causalplug.errors import SamplingError
from causalplug.graphs.graph import CausalGraph
from causalplug.sampling.options import SamplingOptions
from causalplug.variables import Discrete

QUESTIONS = [
    "sample",
    "sample_batches",
    "counterfactual",
    "abduct",
    "replay",
    "estimate",
    "ate",
    "curve",
]


@pytest.fixture(scope="module")
def dcm() -> DCM:
    return DCM(CausalGraph.parse("X -> Y"), {"X": Discrete(2), "Y": Discrete(2)})


@pytest.mark.parametrize("owner", [DCM, Ensemble])
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_argument_is_in_the_signature_with_the_default_of_the_options(
    owner: type, name: str
) -> None:
    if not hasattr(owner, name):
        return
    parameters = inspect.signature(getattr(owner, name)).parameters
    assert not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    shared = [f for f in dataclasses.fields(SamplingOptions) if f.name in parameters]
    assert len(shared) >= 3
    assert all(parameters[field.name].default == field.default for field in shared)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_misspelt_argument_is_answered_with_the_one_that_was_meant(dcm: DCM, name: str) -> None:
    with pytest.raises(TypeError, match=f'{name}.*no argument .batchsize.*"batch_size"'):
        getattr(dcm, name)(5, batchsize=10)
    with pytest.raises(TypeError, match=r"it takes .*batch_size"):
        getattr(dcm, name)(5, qqq=10)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_acceptance": 0}, "share"),
        ({"min_acceptance": 2}, "share"),
        ({"time_limit": 0}, "seconds above 0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"images": "gif"}, "'pil'"),
        ({"seed": 0.5}, "whole number"),
    ],
)
def test_options_are_checked_where_they_are_made(wrong: dict, message: str) -> None:
    with pytest.raises(SamplingError, match=message):
        SamplingOptions(**wrong)
    options = SamplingOptions(time_limit=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.seed = 1  # type: ignore[misc]
