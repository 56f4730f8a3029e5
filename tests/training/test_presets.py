"""The authors' settings by name: what they are, and that what is given beside them counts."""

import inspect
from dataclasses import fields, replace

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import TrainingError
from causalplug.training.presets import PRESETS

ROWS = {"X": np.array([0, 1] * 60), "Y": np.array([0, 1, 1, 0] * 30)}


def test_the_paper_s_settings_fill_in_what_is_not_given():
    config = cp.TrainingConfig(preset="paper", seed=3)
    assert (config.batch_size, config.critic_steps, config.epochs) == (200, 1, 301)
    assert config.learning_rate == config.critic_learning_rate == 1e-4
    assert config.critic_hidden == (256, 256)
    assert (config.objective, config.gradient, config.seed) == (
        "adversarial",
        "straight-through",
        3,
    )


def test_what_is_given_counts_also_where_it_is_the_default():
    default = cp.TrainingConfig()
    config = cp.TrainingConfig(preset="paper", batch_size=default.batch_size, critic_steps=5)
    assert (config.batch_size, config.critic_steps) == (256, 5)
    assert config.critic_hidden == (256, 256)
    assert replace(config, seed=8) == cp.TrainingConfig(
        preset="paper", batch_size=256, critic_steps=5, seed=8
    )


def test_steps_take_the_place_of_the_preset_s_epochs():
    config = cp.TrainingConfig(preset="paper", steps=20)
    assert (config.steps, config.epochs) == (20, None)


def test_without_a_preset_nothing_has_changed():
    defaults = {field.name: field.default for field in fields(cp.TrainingConfig)}
    assert cp.TrainingConfig().to_dict() == defaults
    assert "preset" in inspect.signature(cp.TrainingConfig).parameters


def test_the_settings_of_every_preset_exist():
    for preset in PRESETS.values():
        assert set(preset.settings) <= {field.name for field in fields(cp.TrainingConfig)}


def test_mistakes_are_named():
    with pytest.raises(TrainingError, match=r"preset=.papper.*give .paper"):
        cp.TrainingConfig(preset="papper")
    with pytest.raises(TrainingError, match="cannot both be kept"):
        cp.TrainingConfig(steps=5, epochs=2)
    with pytest.raises(TrainingError, match="epochs=0 cannot be used"):
        cp.TrainingConfig(epochs=0)


def test_epochs_are_passes_over_the_largest_source():
    """120 rows in batches of 50: three passes are 360 rows, 7.2 batches."""
    assert cp.TrainingConfig(epochs=3, batch_size=50).of_length(120).steps == 8
    dcm = cp.DCM(
        cp.CausalGraph.parse("X -> Y; X <-> Y"),
        {"X": cp.Discrete(2), "Y": cp.Discrete(2)},
        **cp.TrainingConfig.networks("paper"),
    )
    report = cp.fit(
        dcm, ROWS, preset="paper", epochs=2, batch_size=60, check_graph=False, tolerance=0.9
    )
    assert [module.steps for module in report.modules] == [4]
    assert report.settings["preset"] == "paper"
    widths = {tuple(p.shape) for p in dcm.mechanism("Y").parameters()}
    assert (256, 256) in widths
