"""The settings of a fit have types, and misspelt ones are told of before any work."""

from dataclasses import fields
from typing import get_type_hints

import pytest

import causalplug as cp
from causalplug.errors import TrainingError
from causalplug.training.config import TrainingSettings


def test_the_typed_settings_are_those_of_the_configuration():
    declared = get_type_hints(cp.TrainingConfig)
    expected = {f.name: declared[f.name] for f in fields(cp.TrainingConfig) if f.name != "seed"}
    assert get_type_hints(TrainingSettings) == expected


def test_a_misspelt_setting_names_the_one_that_was_meant():
    dcm = cp.DCM(cp.CausalGraph.parse("X"), {"X": cp.Discrete(2)})
    with pytest.raises(TrainingError, match=r'no setting stpes \(did you mean "steps"\?\)'):
        cp.fit(dcm, {"X": [0, 1]}, stpes=3)
