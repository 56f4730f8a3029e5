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
_VALIDATIONS = 30  # of a training
_VALIDATED = 2000  # held-out images of a validation, at most
_FEWEST = 10  # held-out images that tell one state from another, at least
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
        return self.losses(output, rows).mean()

    def losses(self, output: Tensor, rows: Tensor) -> Tensor:
        """``(r,)``."""
        if self.classes:
            return nn.functional.cross_entropy(output, self.target[rows], reduction="none")
        return nn.functional.mse_loss(output.squeeze(-1), self.target[rows], reduction="none")


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
        steps, batch_size, lr: Steps, batch size and learning rate of Adam, with a cosine schedule.
        held_out: Share of rows that decide which weights are kept, and that the report is
            measured on.

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
    best = _Best(encoder, normalise, readers, heads, images, test[:_VALIDATED])
    every = max(1, steps // _VALIDATIONS)
    for step in range(1, steps + 1):
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
        if trainable and (step % every == 0 or step == steps):
            best.validate()
    encoder.eval()
    best.restore()
    report = _report(encoder, nn.Sequential(normalise), readers, heads, images, test, train)
    if trainable:
        encoder.whiten(images)
        encoder.trained = True
    return EncoderReport(*report, steps=steps, seconds=round(time.perf_counter() - start, 3))


class _Best:
    """The weights whose held-out loss was smallest, of an encoder and its heads.

    An encoder learns few rows by heart: its projection then holds what the other variables of a row
    are, and not what its image shows, so that what is trained on it takes a hidden cause for an
    effect of the image. The last weights are kept unless earlier ones are better by a standard
    error.
    """

    def __init__(
        self,
        encoder: Encoder,
        normalise: nn.Module,
        readers: nn.ModuleList,
        heads: list[_Head],
        images: Tensor,
        rows: Tensor,
    ):
        self.encoder, self.normalise, self.readers = encoder, normalise, readers
        self.heads, self.images, self.rows = heads, images, rows
        self.together = nn.ModuleList([encoder, readers])
        self.best: Tensor | None = None
        self.last: Tensor | None = None
        self.weights: dict[str, Tensor] = {}

    def validate(self) -> None:
        """Compare the weights as they are with the best before."""
        self.last = self._losses()
        if self.best is None or float(self.last.mean()) < float(self.best.mean()):
            state = self.together.state_dict()
            self.best, self.weights = self.last, {k: v.clone() for k, v in state.items()}

    def restore(self) -> None:
        """Put the best weights back, if they are better by more than chance."""
        if self.best is None or self.last is None or len(self.rows) < _FEWEST:
            return
        gain = self.last - self.best
        if float(gain.mean()) > float(gain.std()) / math.sqrt(len(gain)):
            self.together.load_state_dict(self.weights)

    @torch.no_grad()
    def _losses(self) -> Tensor:
        """``(r,)`` losses of the held-out rows, summed over the heads."""
        self.encoder.eval()
        projections = self.normalise(project(self.encoder, self.images[self.rows]))
        losses = []
        for head, reader in zip(self.heads, self.readers, strict=True):
            losses.append(head.losses(reader(projections), self.rows))
        self.encoder.train()
        return torch.stack(losses).sum(0).double()


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
