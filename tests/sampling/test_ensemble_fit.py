"""One call trains the members of an ensemble from several seeds."""

import numpy as np
import pytest

import causalplug as cp
from causalplug.errors import MechanismError

GRAPH = cp.CausalGraph.parse("X -> Y")


def build(seed):
    return cp.DCM(GRAPH, {name: cp.Discrete(2) for name in "XY"}, seed=seed)


def test_members_are_trained_from_their_own_seeds(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(2, size=4000)
    y = (rng.random(4000) < 0.2 + 0.5 * x).astype(int)
    source = cp.DataSource({"X": x, "Y": y})
    settings = {"objective": "likelihood", "steps": 150, "progress": False}
    ensemble = cp.Ensemble.fit(build, source, seeds=(0, 1), output_dir=tmp_path, **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-0", "seed-1"]
    weights = [member.trained_tensors() for member in ensemble]
    assert any(not bool((weights[0][key] == weights[1][key]).all()) for key in weights[0])
    row = ensemble.ate("Y", "X", n=20_000).table.iloc[0]
    assert abs(row["estimate"] - 0.5) < 0.05


def test_one_seed_is_refused_before_anything_is_trained():
    with pytest.raises(MechanismError, match="at least two"):
        cp.Ensemble.fit(build, cp.DataSource({"X": [0, 1], "Y": [0, 1]}), seeds=[0])
