"""Training a conditional image generator by itself, on labelled images alone: what a recipe without
a pretrained one does.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from causalplug.adapters.trained import TrainedGenerator
from causalplug.arguments import COUNT, FLAG, MAPPING, SEED, TEXT, instance, number, takes
from causalplug.errors import DataError, TrainingError
from causalplug.mechanisms.trainable.image import ConvGenerator
from causalplug.networks import initialised
from causalplug.notebook import bar_type
from causalplug.tensors import unraveled
from causalplug.training.learner import Average
from causalplug.variables import Discrete, Image

__all__ = ["fit_generator"]

_BATCH, _LAZY = 64, 8


class _Discriminator(nn.Module):
    """Real or generated, given the label: a projection discriminator (Miyato & Koyama 2018) on
    the pixels."""

    def __init__(self, variable: Image, classes: int):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Flatten(),
            nn.Linear(variable.feature_size, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, 128),
            nn.LeakyReLU(0.2),
        )
        self.real = nn.Linear(128, 1)
        self.label = nn.Embedding(classes, 128)
        nn.init.zeros_(self.label.weight)

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        features = self.trunk(images)
        return self.real(features).squeeze(-1) + (features * self.label(label)).sum(-1)


@takes(
    TrainingError,
    variable=instance("an Image", Image),
    images=instance("a tensor of images", Tensor),
    labels=MAPPING,
    seed=SEED,
    steps=COUNT,
    learning_rate=number(above=0),
    penalty=number(low=0),
    progress=FLAG,
    license=TEXT.or_none("unknown"),
    source=TEXT.or_none("unknown"),
)
def fit_generator(
    variable: Image,
    images: Tensor,
    labels: Mapping[str, tuple[Tensor, Discrete]],
    *,
    seed: int = 0,
    steps: int = 1000,
    learning_rate: float = 1e-3,
    penalty: float = 3.0,
    progress: bool = True,
    license: str | None = None,
    source: str | None = None,
) -> TrainedGenerator:
    """Train a conditional GAN on labelled images and freeze it: to be saved, and pulled back by
    ``from_pretrained``.

    Every joint label is shown equally often, whatever its share of the images: what is learned is
    P(image | label) alone. Non-saturating loss with a penalty on the discriminator's gradient at
    real images (Mescheder et al. 2018), and a moving average of the generator's weights.

    Args:
        variable: The image variable.
        images: Encoded images ``(n, channels, height, width)``, uint8 or float.
        labels: Codes ``(n,)`` and declaration of each label, in the generator's order.
        seed: Seed of weights, batches and latents; on a CPU the same seed gives the same generator.
        steps: Updates of discriminator and generator.
        learning_rate: Learning rate of both, constant for the first half, then falling to a
            fiftieth.
        penalty: Weight of the gradient penalty.
        progress: Show a progress bar.
        license, source: Recorded with the weights.

    Raises:
        DataError: A joint label without images.
        TrainingError: The losses are no numbers.
    """
    _check_labels(images, labels)
    sizes = {name: declared.size for name, (_, declared) in labels.items()}
    joint = torch.zeros(len(images), dtype=torch.int64)
    for column, declared in labels.values():
        joint = joint * declared.size + column
    classes = 1
    for size in sizes.values():
        classes *= size
    counts = torch.bincount(joint, minlength=classes)
    if (counts == 0).any():
        raise DataError(
            f"A generator for {', '.join(sizes)} cannot be trained: {int((counts == 0).sum())} "
            "joint labels have no image."
        )
    parents = {name: declared for name, (_, declared) in labels.items()}
    generator = initialised(lambda: ConvGenerator(variable, parents), seed)
    critic = initialised(lambda: _Discriminator(variable, classes), seed + 1)
    draw = torch.Generator().manual_seed(seed)
    optimizers = []
    for network in (generator, critic):
        optimizers.append(
            torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(0.0, 0.99), fused=True)
        )
    average = Average(list(generator.parameters()), 0.995)
    members = [torch.nonzero(joint == c).squeeze(-1) for c in range(classes)]
    per_class = max(1, _BATCH // classes)
    label = torch.arange(classes).repeat_interleave(per_class)
    codes = dict(zip(sizes, unraveled(label, tuple(sizes.values())), strict=True))
    spec = generator.noise["latent"]
    for step in bar_type()(
        range(steps), desc="generator", disable=None if progress else True, leave=False
    ):
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = learning_rate * max(
                0.02, min(1.0, 2 * (1 - step / steps))
            )
        rows = torch.cat([m[torch.randint(len(m), (per_class,), generator=draw)] for m in members])
        real = _unit(variable, variable.scale(images[rows]))
        fake = _unit(variable, generator(codes, {"latent": spec.draw(len(label), draw)}))
        lazy = step % _LAZY == 0
        real.requires_grad_(lazy)
        on_real, on_fake = critic(real, label), critic(fake.detach(), label)
        loss = nn.functional.softplus(-on_real).mean() + nn.functional.softplus(on_fake).mean()
        if lazy:
            (gradient,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            loss = loss + 0.5 * penalty * _LAZY * gradient.square().flatten(1).sum(1).mean()
        _descend(optimizers[1], loss)
        critic.requires_grad_(False)
        loss = nn.functional.softplus(-critic(fake, label)).mean()
        _descend(optimizers[0], loss)
        critic.requires_grad_(True)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The generator's loss is {float(loss)} at step {step}. Lower the learning rate."
            )
        average.update(step)
    average.swap()
    return TrainedGenerator(generator, parents, license=license, source=source)


def _check_labels(images: Tensor, labels: Mapping[str, tuple[Tensor, Discrete]]) -> None:
    """Refuse labels that are not one code for each image.

    Raises:
        DataError: Another number of codes than images, or codes outside the declaration.
    """
    for name, (column, declared) in labels.items():
        if len(column) != len(images):
            raise DataError(
                f"A generator for {name} cannot be trained: it has {len(column)} codes for "
                f"{len(images)} images. Give one for each."
            )
        if bool(((column < 0) | (column >= declared.size)).any()):
            raise DataError(
                f"A generator for {name} cannot be trained: its codes go from {int(column.min())} "
                f"to {int(column.max())}, and {declared.size} categories have the codes 0 to "
                f"{declared.size - 1}. Encode the column with Discrete.encode."
            )


def _unit(variable: Image, images: Tensor) -> Tensor:
    """Images in [0, 1]."""
    return (images - variable.low) / (variable.high - variable.low)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
