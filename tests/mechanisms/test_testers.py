"""The shipped suites, over every built-in kind and the worked example of CONTRIBUTING."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import causalplug as cp
from causalplug.encoders.encoders import PCAEncoder, RandomProjection
from causalplug.mechanisms.trainable.continuous import ContinuousSpline
from causalplug.mechanisms.trainable.count import CountSpline
from causalplug.mechanisms.trainable.discrete import DiscreteMLP
from causalplug.mechanisms.trainable.image import ConvGenerator
from causalplug.mechanisms.trainable.residual_vae import ResidualVAE
from causalplug.mechanisms.trainable.vector import VectorFlow
from causalplug.networks import initialised
from causalplug.testing import EncoderTester, MechanismTester, TrainableMechanismTester

IMAGE = cp.Image(1, 6, 6, low=-1.0, high=2.0)
PARENTS = {"D": cp.Discrete(3), "X": cp.Continuous(), "I": 4}


def example():
    path = Path(__file__).parents[2] / "docs" / "examples" / "vae_mechanism.py"
    spec = importlib.util.spec_from_file_location("vae_mechanism", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, path


VAE = example()[0].VAE


class _Built(TrainableMechanismTester):
    parents = PARENTS
    confounder_size = 2
    kind = None
    variable = None

    def make(self):
        return initialised(
            lambda: self.kind(self.variable, self.parents, confounder_size=self.confounder_size), 0
        )


class TestDiscrete(_Built):
    kind, variable = DiscreteMLP, cp.Discrete(["a", "b", "c"])


class TestContinuous(_Built):
    kind, variable = ContinuousSpline, cp.Continuous()


class TestCount(_Built):
    kind, variable = CountSpline, cp.Count()


class TestVector(_Built):
    kind, variable = VectorFlow, cp.Vector(3)


class TestImage(_Built):
    kind, variable = ConvGenerator, IMAGE


class TestInvertibleImage(_Built):
    kind, variable = ResidualVAE, IMAGE


class TestTheWorkedExample(_Built):
    kind, variable = VAE, IMAGE


def seeded(build):
    return initialised(build, 0).eval()


class Digit(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(13, 36)

    def forward(self, z, digit):
        one = torch.nn.functional.one_hot(digit, 10).float()
        return torch.sigmoid(self.net(torch.cat([z, one], -1))).view(-1, 1, 6, 6)


class TestWrappedGenerator(MechanismTester):
    def make(self):
        conditions = [cp.Condition("digit", cp.Discrete(10))]
        return cp.wrap(seeded(Digit), cp.Image(1, 6, 6), conditions=conditions, latent=3)


class TestWrappedClassifier(MechanismTester):
    rows = 64

    def make(self):
        network = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3)))
        return cp.wrap(network, cp.Discrete(3), conditions=[cp.Condition("picture", IMAGE)])


class TestWrappedRegressor(MechanismTester):
    def make(self):
        network = seeded(lambda: nn.Linear(2, 1))
        conditions = [cp.Condition("v", cp.Vector(2))]
        return cp.wrap(network, cp.Continuous(), conditions=conditions, error=0.3)


class TestWrappedEmbedding(MechanismTester):
    def make(self):
        network = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 5)))
        return cp.wrap(network, cp.Vector(5), conditions=[cp.Condition("picture", IMAGE)])


class TestImageToImage(MechanismTester):
    def make(self):
        network = seeded(lambda: nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Sigmoid()))
        return cp.wrap(network, cp.Image(1, 6, 6), conditions=[cp.Condition("mask", IMAGE)])


class TestConvEncoder(EncoderTester):
    def make(self):
        return seeded(lambda: cp.ConvEncoder(IMAGE, 4))


class TestPCA(EncoderTester):
    def make(self):
        return PCAEncoder(IMAGE, 4)


class TestRandomProjection(EncoderTester):
    def make(self):
        return RandomProjection(IMAGE, 4)


def broken(base, **replaced):
    return type("Broken", (base,), {"__test__": False, **replaced})()


def test_the_suites_find_what_is_wrong(tmp_path):
    class Moody(DiscreteMLP):
        kind = "discrete-mlp"

        def forward(self, parents, noise, confounder=None):
            return torch.randint(0, 3, (len(noise["gumbel"]),))

    with pytest.raises(AssertionError, match="torch's own state"):
        broken(TestDiscrete, kind=Moody).test_same_noise_same_sample_and_other_noise_another()

    class Leaky(cp.ConvEncoder):
        kind = "conv-encoder"

        def features(self, images):
            return super().features(images - images.mean(0))

    tester = broken(TestConvEncoder, make=lambda self: seeded(lambda: Leaky(IMAGE, 4)))
    with pytest.raises(AssertionError):
        tester.test_a_row_does_not_depend_on_its_batch()

    class Unnormalised(DiscreteMLP):
        kind = "discrete-mlp"

        def log_prob(self, value, parents, confounder=None):
            return super().log_prob(value, parents, confounder) + 0.5

    with pytest.raises(AssertionError):
        broken(
            TestDiscrete, kind=Unnormalised
        ).test_probabilities_of_a_discrete_variable_sum_to_one()


def test_the_worked_example_is_short_and_trains_by_its_bound():
    _, path = example()
    assert len(path.read_text().splitlines()) <= 60
    rng = np.random.default_rng(0)
    d = rng.integers(2, size=800)
    tilt = rng.normal(size=(800, 1, 1, 1)) * np.linspace(-1, 1, 6)[None, None, None]
    images = np.clip(0.5 * d[:, None, None, None] + 0.3 * tilt + np.zeros((1, 1, 6, 1)), -1, 2)
    images = np.clip(images + 0.05 * rng.normal(size=images.shape), -1, 2).astype(np.float32)
    graph = cp.CausalGraph.parse("D -> I")
    dcm = cp.DCM(
        graph,
        {"D": cp.Discrete(2), "I": IMAGE},
        mechanisms={"I": initialised(lambda: VAE(IMAGE, {"D": cp.Discrete(2)}), 0)},
    )
    source = cp.DataSource({"D": d, "I": images})
    report = cp.fit(dcm, source, steps=400, progress=False)
    assert dcm.plan.module("I").objective == "likelihood"
    assert report.modules[-1].negative_log_likelihood < -20
    for value in (0, 1):
        drawn = np.stack(list(dcm.sample(500, do={"D": value}, variables=["I"], seed=0)["I"]))
        assert abs(drawn.mean() - images[d == value].mean()) < 0.05
        left, right = drawn[..., 0].mean((1, 2)), drawn[..., -1].mean((1, 2))
        assert np.corrcoef(left, right)[0, 1] < -0.6  # the tilt that no mean image shows
