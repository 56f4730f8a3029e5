"""Does an encoder's projection lose what the image knows about the other variables?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from causalplug.arguments import COUNT, MAPPING, SEED, instance, number, takes
from causalplug.encoders.encoders import Encoder, project
from causalplug.errors import DataError
from causalplug.mechanisms.frozen.label_estimation import fit_label_classifier
from causalplug.values import Json
from causalplug.variables import Variable

__all__ = ["ProjectionReport", "TargetProjection", "check_projection"]


@dataclass(frozen=True)
class TargetProjection:
    """One variable, told from the image and from its projection, on held-out rows.

    Attributes:
        name: The variable.
        from_image, from_projection: Accuracy of a classifier of each.
        guess: Accuracy of always saying the most frequent value.
        lost: Share of what the image tells that the projection does not, 0 to 1.
    """

    name: str
    from_image: float
    from_projection: float
    guess: float
    lost: float


@dataclass(frozen=True)
class ProjectionReport:
    """What a projection keeps; true in a condition if no variable loses more than ``tolerance``."""

    targets: tuple[TargetProjection, ...]
    tolerance: float

    def __bool__(self) -> bool:
        return all(target.lost <= self.tolerance for target in self.targets)

    def __str__(self) -> str:
        found = []
        for t in self.targets:
            found.append(
                f"{t.name}: {t.from_image:.3f} from the image, {t.from_projection:.3f} from its "
                f"projection, {t.guess:.3f} by guessing: {t.lost:.0%} "
                f"lost{'' if t.lost <= self.tolerance else ' (too much)'}"
            )
        return "\n".join(found)

    def to_dict(self) -> Json:
        """The report as JSON values."""
        return asdict(self)


@takes(
    DataError,
    encoder=instance("an encoder", Encoder),
    images=instance("a tensor of images", Tensor),
    targets=MAPPING,
    tolerance=number(low=0, below=1),
    steps=COUNT,
    seed=SEED,
)
def check_projection(
    encoder: Encoder,
    images: Tensor,
    targets: Mapping[str, tuple[Tensor, Variable]],
    *,
    tolerance: float = 0.2,
    steps: int = 300,
    seed: int = 0,
) -> ProjectionReport:
    """Compare a classifier of the image with a classifier of its projection, for every discrete
    target.

    Args:
        encoder: Trained.
        images: ``(n, channels, height, width)``, uint8 or float.
        targets: Name to codes ``(n,)`` and their declaration; continuous ones are cut at their
            median.
        tolerance: Share that may be lost.
        steps: Steps of each classifier's training.
        seed: Seed of the split and the training.

    Raises:
        DataError: Fewer than 40 images, or another number of codes.
    """
    wrong = [name for name, (values, _) in targets.items() if len(values) != len(images)]
    if wrong or len(images) < 40:
        raise DataError(
            f"A projection cannot be checked on {len(images)} images"
            + (
                f" with targets of another length: {', '.join(wrong)}."
                if wrong
                else ": at least 40 are needed."
            )
        )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    train, test = order[: 2 * len(order) // 3], order[2 * len(order) // 3 :]
    projections = project(encoder, images)
    results = []
    for name, (values, variable) in targets.items():
        if variable.is_discrete:
            codes = values
        else:
            codes = (values > values.median()).long()
        size = 2
        if variable.is_discrete:
            size = variable.size
        classify = fit_label_classifier(
            encoder.variable,
            images[train],
            codes[train],
            size,
            steps=steps,
            seed=seed,
            augment=False,
        )
        with torch.no_grad():
            parts = []
            for part in images[test].split(500):
                parts.append(classify(encoder.variable.scale(part)).argmax(-1))
        from_image = float((torch.cat(parts) == codes[test]).float().mean())
        read = _fit_reader(projections[train], codes[train], size, steps, seed)
        with torch.no_grad():
            from_projection = float(
                (read(projections[test]).argmax(-1) == codes[test]).float().mean()
            )
        guess = float(
            (codes[test] == torch.bincount(codes[train], minlength=size).argmax()).float().mean()
        )
        known = max(from_image - guess, 0.0)
        noise = (
            2 * (0.25 / len(test)) ** 0.5
        )  # an image that tells this little tells nothing that could be lost
        lost = 0.0
        if known > noise:
            lost = min(1.0, max(0.0, from_image - from_projection) / known)
        results.append(TargetProjection(name, from_image, from_projection, guess, lost))
    return ProjectionReport(tuple(results), tolerance)


def _fit_reader(rows: Tensor, codes: Tensor, classes: int, steps: int, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(rows.shape[1], 64), nn.SiLU(), nn.Linear(64, classes))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.randint(len(rows), (min(256, len(rows)),), generator=generator)
        loss = nn.functional.cross_entropy(network(rows[batch]), codes[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.requires_grad_(False).eval()
