"""Training of an encoder on what the image knows about the other variables."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sized
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from causalplug.arguments import COUNT, MAPPING, SEED, SHARE, instance, number, takes
from causalplug.encoders.encoders import Encoder, project
from causalplug.errors import DataError
from causalplug.networks import location_and_scale
from causalplug.values import Json
from causalplug.variables import Variable

__all__ = ["EncoderReport", "fit_encoder"]

_JOINT = 32  # joint values of the discrete targets up to which they are learned together
_TEST_ROWS = 10_000  # held-out images that a report is measured on, at most


@dataclass(frozen=True)
class EncoderReport:
    """How well the projection tells the targets, on held-out rows.

    Attributes:
        cross_entropy: Nats by head; of a continuous target the mean squared error in units of its
            variance.
        baseline: The same for a constant prediction, so that baseline minus cross-entropy is what
            the image tells.
        accuracy: Share of right answers by discrete head.
        steps: Training steps.
        seconds: Wall time.
    """

    cross_entropy: dict[str, float] = field(default_factory=dict)
    baseline: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0

    def to_dict(self) -> Json:
        """The report as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Head:
    """What one head predicts: classes of joint codes, or standardised numbers."""

    name: str
    target: Tensor
    classes: int  # 0 for regression

    def loss(self, output: Tensor, rows: Tensor) -> Tensor:
        if self.classes:
            return nn.functional.cross_entropy(output, self.target[rows])
        return nn.functional.mse_loss(output.squeeze(-1), self.target[rows])


@takes(
    DataError,
    encoder=instance("an encoder", Encoder),
    images=instance("a tensor of images", Tensor, Sized),
    targets=MAPPING,
    seed=SEED,
    steps=COUNT,
    batch_size=COUNT,
    lr=number(above=0),
    held_out=SHARE,
)
def fit_encoder(
    encoder: Encoder,
    images: Tensor,
    targets: Mapping[str, tuple[Tensor, Variable]],
    *,
    seed: int = 0,
    steps: int = 600,
    batch_size: int = 128,
    lr: float = 2e-3,
    held_out: float = 0.1,
) -> EncoderReport:
    """Train an encoder so that its projection keeps what the image knows about other variables;
    then whiten it.

    Small heads on the projection predict the targets: the joint value of all discrete ones where it
    has at most 32 values (what the image knows about their interplay then counts), else each by its
    own head; continuous ones by regression. Without targets a trainable encoder learns to tell the
    principal components of the images.

    Args:
        encoder: Changed in place; one without parameters is only fitted and whitened.
        images: ``(n, channels, height, width)``, uint8 or float in the variable's range.
        targets: Name to encoded values ``(n,)`` and their declaration.
        seed: Seed of the initial heads, the batches and the split; the encoder's own weights are
            taken as they are.
        steps, batch_size, lr: Steps, Batch size and Learning rate of Adam, with a cosine schedule.
        held_out: Share of rows that the report is measured on.

    Raises:
        DataError: Another number of rows, or too few of them.
    """
    start = time.perf_counter()
    wrong = [name for name, (values, _) in targets.items() if len(values) != len(images)]
    if wrong or len(images) < 8:
        raise DataError(
            f"The encoder cannot be trained on {len(images)} images"
            + (
                f" with targets of another length: {', '.join(wrong)}."
                if wrong
                else ": at least 8 are needed."
            )
        )
    trainable = []
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            trainable.append(parameter)
    if not trainable:
        encoder.fit(images)
        encoder.trained = True
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    cut = min(max(1, int(held_out * len(images))), _TEST_ROWS)
    test, train = order[:cut], order[cut:]
    heads = _heads(targets) or _pixel_heads(encoder, images, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        readers = nn.ModuleList([_reader(encoder.size, head) for head in heads])
    if trainable:
        normalise: nn.Module = nn.LayerNorm(encoder.size, elementwise_affine=False)
    else:
        normalise = nn.Identity()
    optimizer = torch.optim.Adam([*trainable, *readers.parameters()], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    known = None
    if not trainable:
        known = project(encoder, images)  # once: it does not change
    encoder.train()
    for _ in range(steps):
        rows = train[torch.randint(len(train), (min(batch_size, len(train)),), generator=generator)]
        if known is None:
            projections = normalise(encoder(encoder.variable.scale(images[rows])))
        else:
            projections = known[rows]
        found = []
        for head, reader in zip(heads, readers, strict=True):
            found.append(head.loss(reader(projections), rows))
        loss = torch.stack(found)
        optimizer.zero_grad()
        loss.sum().backward()
        nn.utils.clip_grad_norm_([*trainable, *readers.parameters()], 5.0)
        optimizer.step()
        schedule.step()
    encoder.eval()
    report = _report(encoder, nn.Sequential(normalise), readers, heads, images, test, train)
    if trainable:
        encoder.whiten(images)
        encoder.trained = True
    return EncoderReport(*report, steps=steps, seconds=round(time.perf_counter() - start, 3))


def _heads(targets: Mapping[str, tuple[Tensor, Variable]]) -> list[_Head]:
    discrete = {name: (v, var) for name, (v, var) in targets.items() if var.is_discrete}
    heads = []
    joint = math.prod(variable.size for _, variable in discrete.values())
    if len(discrete) > 1 and joint <= _JOINT:
        code = torch.zeros_like(next(iter(discrete.values()))[0])
        for values, declared in discrete.values():
            code = code * declared.size + values
        heads.append(_Head(", ".join(discrete), code, joint))
    else:
        heads += [
            _Head(name, values, declared.size) for name, (values, declared) in discrete.items()
        ]
    for name, (values, variable) in targets.items():
        if variable.is_number:
            location, scale = location_and_scale(values)
            heads.append(_Head(name, ((values - location) / scale).float(), 0))
    return heads


def _pixel_heads(encoder: Encoder, images: Tensor, seed: int) -> list[_Head]:
    """Without other variables: the first principal components of the images."""
    from causalplug.encoders.encoders import PCAEncoder, project

    size = min(encoder.size, encoder.variable.feature_size, len(images) - 1)
    components = project(PCAEncoder(encoder.variable, size).fit(images, seed=seed), images)
    return [_Head(f"component {i}", components[:, i], 0) for i in range(size)]


def _reader(size: int, head: _Head) -> nn.Module:
    return nn.Sequential(nn.Linear(size, 64), nn.SiLU(), nn.Linear(64, head.classes or 1))


def _report(
    encoder: Encoder,
    normalise: nn.Module,
    readers: nn.ModuleList,
    heads: list[_Head],
    images: Tensor,
    test: Tensor,
    train: Tensor,
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    from causalplug.encoders.encoders import project

    entropy, baseline, accuracy = {}, {}, {}
    with torch.no_grad():
        projections = normalise(project(encoder, images[test]))
        for head, reader in zip(heads, readers, strict=True):
            output = reader(projections)
            entropy[head.name] = round(float(head.loss(output, test)), 6)
            if head.classes:
                counts = torch.bincount(head.target[train], minlength=head.classes).double() + 0.5
                baseline[head.name] = round(
                    float(-(counts / counts.sum()).log()[head.target[test]].mean()), 6
                )
                accuracy[head.name] = round(
                    float((output.argmax(-1) == head.target[test]).float().mean()), 6
                )
            else:
                baseline[head.name] = round(float(head.target[test].square().mean()), 6)
    return entropy, baseline, accuracy
