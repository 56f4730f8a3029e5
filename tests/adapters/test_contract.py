"""Every shipped adapter passes the suite that third parties run."""

import numpy as np
import torch

from causalplug.adapters.callable import CallableGenerator
from causalplug.adapters.conditional_gan import ConditionalGAN, Latent
from causalplug.adapters.cxr_acgan import CXRACGAN
from causalplug.adapters.image_bank import ImageBank
from causalplug.adapters.trained import TrainedGenerator
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.mechanisms.trainable.image import ConvGenerator
from causalplug.networks import initialised
from causalplug.registry import SHIPPED_ADAPTERS
from causalplug.testing import MechanismTester
from causalplug.variables import Discrete, Image


def linear(name: str, before: int, after: int) -> dict:
    return {"type": "linear", "name": name, "in_features": before, "out_features": after}


class TestConditionalGAN(MechanismTester):
    """Two labels, an embedding and a one-hot, joined by concatenation."""

    def make(self) -> FrozenMechanism:
        labels = [Label("shape", ["disc", "square", "star"]), Label("colour", 2)]
        inputs = [
            {"input": "colour"},
            {"input": "latent"},
            {"input": "shape", "encoding": "embedding", "size": 4, "name": "table"},
        ]
        layers = [
            linear("net.0", 14, 32),
            {"type": "leaky_relu", "negative_slope": 0.2},
            linear("net.2", 32, 48),
        ]
        layers += [{"type": "tanh"}, {"type": "view", "shape": [3, 4, 4]}]
        image = Image(3, 4, 4, low=-1.0, high=1.0)
        return initialised(lambda: ConditionalGAN(image, labels, 8, layers, inputs=inputs), 0)


class TestConvolutionalGAN(MechanismTester):
    """A label projected to a map, multiplied with the noise's; transposed convolutions and batch
    normalisation."""

    def make(self) -> FrozenMechanism:
        def branch(name: str, size: int) -> list:
            return [linear(name, size, 72), {"type": "view", "shape": [8, 3, 3]}]

        inputs = [
            {"input": "latent", "layers": branch("from_noise", 5)},
            {"input": "digit", "layers": branch("from_label", 10)},
        ]
        up = {"type": "conv_transpose2d", "kernel_size": 4, "stride": 2, "padding": 1}
        layers = [
            up | {"name": "up.0", "in_channels": 8, "out_channels": 4},
            {"type": "batch_norm2d", "name": "up.1", "num_features": 4},
            {"type": "relu"},
            up | {"name": "up.3", "in_channels": 4, "out_channels": 1},
            {"type": "sigmoid"},
        ]
        latent = Latent(5, "uniform", low=-1.0, high=1.0)
        image = Image(1, 12, 12)
        return initialised(
            lambda: ConditionalGAN(
                image, [Label("digit", 10)], latent, layers, inputs=inputs, join="multiply"
            ),
            1,
        )


class TestUnconditionalGAN(MechanismTester):
    def make(self) -> FrozenMechanism:
        layers = [linear("0", 6, 16), {"type": "sigmoid"}]
        return initialised(lambda: ConditionalGAN(Image(1, 4, 4), [], 6, layers), 2)


class TestCXRACGAN(MechanismTester):
    rows = 4

    def make(self) -> FrozenMechanism:
        return initialised(lambda: CXRACGAN(channels=(8, 6, 4, 4)), 3)


class TestImageBank(MechanismTester):
    def make(self) -> FrozenMechanism:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (60, 1, 5, 6), generator=generator, dtype=torch.uint8)
        codes = torch.stack([torch.arange(60) % 2, torch.arange(60) % 3], 1)
        return ImageBank(
            images,
            [Label("a", ["no", "yes"]), Label("b", 3)],
            codes,
            image=Image(1, 5, 6, low=-1.0),
        )


class TestCallable(MechanismTester):
    saves = False

    def make(self) -> FrozenMechanism:
        def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
            level = (labels[:, 0] + 1) / 4 + 0.2 * np.tanh(latent[:, 0])
            return np.broadcast_to(level[:, None, None, None], (len(labels), 3, 4, 4)).astype(
                np.float32
            )

        return CallableGenerator(paint, Image(3, 4, 4), [Label("level", 3)])


class TestTrainedGenerator(MechanismTester):
    """A generator that the toolkit trained, frozen."""

    def make(self) -> FrozenMechanism:
        parents = {"digit": Discrete(3)}
        made = initialised(
            lambda: ConvGenerator(Image(1, 8, 8, low=-1.0), parents, latent_size=4, width=4), 4
        )
        return TrainedGenerator(made, parents)


def test_every_registered_adapter_is_under_test() -> None:
    here = {
        type(t().make()).kind
        for t in globals().values()
        if isinstance(t, type) and t.__name__.startswith("Test")
    }
    libraries = ("diffusers", "transformers")  # have files of their own
    elsewhere = {kind for kind in SHIPPED_ADAPTERS if kind.startswith(libraries)}
    assert here | elsewhere >= set(SHIPPED_ADAPTERS)
