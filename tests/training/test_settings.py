"""The settings of a fit have types, and misspelt ones are told of before any work."""

from dataclasses import fields
from typing import get_type_hints

import numpy as np
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


@pytest.mark.filterwarnings("ignore:Module")
def test_the_largest_seed_is_a_seed():
    random = np.random.default_rng(0)
    rows = {"X": random.normal(size=60), "Y": random.normal(size=60)}
    graph = cp.CausalGraph.parse("X -> Y; X <-> Y")
    dcm = cp.DCM(graph, {"X": cp.Continuous(), "Y": cp.Continuous()})
    report = cp.fit(dcm, rows, steps=3, seed=2**63 - 1, replicates=5, progress=False)
    assert report.modules
