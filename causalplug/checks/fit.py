"""Is a frozen generator fit for the data: is its P(V | pa(V)) that of the rows?

For every value of the parents, real images are set against the generator's: a classifier two-sample
test, the maximum mean discrepancy of projections, the agreement of a classifier's classes, a
mode-collapse and a memorisation check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from causalplug.arguments import COUNT, MAPPING, SEED, SHARE, instance, takes, whole
from causalplug.checks.image_statistics import (
    coverage,
    first_of_each,
    memorised,
    mmd_test,
    spread_ratio,
    two_sample_accuracy,
)
from causalplug.encoders.encoders import ConvEncoder, Encoder, project
from causalplug.errors import DataError, MechanismError
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_estimation import fit_label_classifier
from causalplug.noise import Noise
from causalplug.selection import map_values, without
from causalplug.values import Json
from causalplug.variables import Image

__all__ = ["ConfigurationFit", "FitReport", "check_fit"]

_FEWEST = 8  # images that a test can tell from others


@dataclass(frozen=True)
class ConfigurationFit:
    """The checks for one value of the parents.

    Attributes:
        parents: The value.
        rows: Real rows.
        accuracy: Accuracy of a classifier that tells real from generated images, on held-out ones;
            0.5 is a perfect generator.
        p_value: P-value of an accuracy at least this high if the two were the same.
        mmd, mmd_p_value: Squared maximum mean discrepancy of the projections, and its permutation
            p-value.
        agreement: Share of generated images that a classifier of the parents, trained on the real
            ones, gives this value, minus the same share of held-out real images; 0 is right, -1 the
            wrong class throughout. 0 as well where the classifier cannot tell the values apart on
            real images.
        agreement_error: Standard error of the agreement.
        brightness: Difference of the mean brightness in units of the range.
        spread: Spread of the generated projections divided by that of the real ones; far below 1 is
            mode collapse.
        memorised: Share of generated images that are copies of real ones.
        coverage: Share of real projections with a generated one among their neighbours; far below 1
            is mode collapse.
    """

    parents: Json
    rows: int
    accuracy: float
    p_value: float
    mmd: float
    mmd_p_value: float
    agreement: float
    brightness: float
    spread: float
    memorised: float
    agreement_error: float = 0.0
    coverage: float = 1.0


@dataclass(frozen=True)
class FitReport:
    """The verdict on a generator.

    Attributes:
        name: The variable.
        verdict: ``"fit"``, ``"off"`` (the images can be told apart, but show the right things),
            ``"unfit"``, or ``"unknown"`` where the rows cannot tell.
        reasons: What is wrong, by value of the parents.
        configurations: The checks one by one.
        worst: The generated images that the two-sample classifiers found least real, uint8 ``(n,
            …)``.
    """

    name: str
    verdict: str
    reasons: tuple[str, ...]
    configurations: tuple[ConfigurationFit, ...]
    worst: Tensor | None = field(default=None, compare=False, repr=False)

    def __bool__(self) -> bool:
        return self.verdict != "unfit"

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {self.verdict}"
            + (f": {'; '.join(self.reasons)}" if self.reasons else "")
        ]
        for item in self.configurations:
            value = ", ".join(f"{k}={v}" for k, v in item.parents.items()) or "(no parents)"
            lines.append(
                f"  {value}: told apart {item.accuracy:.2f} (p = {item.p_value:.2g}), MMD "
                f"{item.mmd:.3f}, class agreement {item.agreement:+.2f}, brightness "
                f"{item.brightness:+.2f}, spread {item.spread:.2f}, coverage {item.coverage:.0%}, "
                f"copies {item.memorised:.0%}"
            )
        return "\n".join(lines)

    def to_dict(self) -> Json:
        """The report as JSON values, without the images."""
        fields = {"name": self.name, "verdict": self.verdict, "reasons": list(self.reasons)}
        return fields | {"configurations": list(map(asdict, self.configurations))}

    def save_picture(self, path: str | Path) -> None:
        """Write the worst images as one picture.

        Raises:
            MechanismError: The report holds none.
        """
        if self.worst is None or not len(self.worst):
            raise MechanismError("This report holds no images to show: it was read from JSON.")
        from PIL import Image as PILImage

        columns = min(8, len(self.worst))
        missing = -len(self.worst) % columns
        padded = torch.cat([self.worst, self.worst.new_zeros(missing, *self.worst.shape[1:])])
        channels, height, width = self.worst.shape[1:]
        grid = (
            padded.view(-1, columns, channels, height, width)
            .permute(2, 0, 3, 1, 4)
            .reshape(channels, -1, columns * width)
        )
        if channels == 1:
            array = grid[0].numpy()
        else:
            array = grid[:3].permute(1, 2, 0).contiguous().numpy()
        PILImage.fromarray(array).save(path)


@takes(
    DataError,
    mechanism=instance("a frozen mechanism", FrozenMechanism),
    rows=MAPPING,
    encoder=instance("an encoder", Encoder).or_none("a random one"),
    per_configuration=whole(_FEWEST),
    minimum_rows=whole(_FEWEST),
    detail=COUNT,
    level=SHARE,
    seed=SEED,
)
def check_fit(
    mechanism: FrozenMechanism,
    rows: Mapping[str, Tensor],
    *,
    encoder: Encoder | None = None,
    per_configuration: int = 400,
    minimum_rows: int = 40,
    detail: int = 48,
    level: float = 0.01,
    seed: int = 0,
) -> FitReport:
    """Compare a bound frozen generator with rows of data, one value of its parents after the other.

    The verdict looks at what matters for answers: the classes it shows, the variety, the
    brightness. Being told apart from real images by a classifier alone makes it ``"off"``, which is
    what nearly every generator is.

    Args:
        mechanism: Bound to its variable, its label map resolved.
        rows: Encoded columns: the parents and the variable's images.
        encoder: Gives the projections in which distributions are compared; by default a random
            convolutional one.
        per_configuration: Images of each kind for one value of the parents, at most; 8 or more,
            since no test tells fewer apart.
        minimum_rows: Values of the parents with fewer real rows are left out; 8 or more.
        detail: Larger images are reduced to at most this many pixels a side before classifiers look
            at them.
        level: Level of the tests, divided among the values of the parents.
        seed: Seed of samples, splits and classifiers.

    Raises:
        MechanismError: Not bound, or the label map is pending.
        DataError: A column is missing, or no value of the parents has enough rows.
    """
    if mechanism.label_map is None or mechanism.name is None:
        raise MechanismError(
            "The fit of a generator can be checked once it is bound and its label map is resolved."
        )
    missing = without((*mechanism.parents, mechanism.name), rows)
    if missing:
        raise DataError(
            f"The fit of {mechanism.name!r} cannot be checked: the rows have no column "
            f"{', '.join(missing)}."
        )
    variable, images = mechanism.variable, rows[mechanism.name]
    if mechanism.parents:
        index = mechanism.label_map.index(rows)
    else:
        index = torch.zeros(len(images), dtype=torch.int64)
    counts = torch.bincount(index, minlength=len(mechanism.label_map.probabilities))
    used = [value for value in range(len(counts)) if counts[value] >= minimum_rows]
    if not used:
        raise DataError(
            f"The fit of {mechanism.name!r} cannot be checked: no value of its parents has "
            f"{minimum_rows} real rows. Give more rows, or lower minimum_rows."
        )
    if encoder is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = ConvEncoder(variable, 16)
        encoder.whiten(images)
    generator = torch.Generator().manual_seed(seed)
    real, fake = {}, {}
    for value in used:
        chosen = (index == value).nonzero().squeeze(1)
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:per_configuration]]
        real[value] = variable.scale(images[chosen])
        fake[value] = _generated(mechanism, value, len(chosen), seed)
    small, reduced = _reduced(variable, detail)  # type: ignore[arg-type]
    seen, painted = (map_values(reduced, found) for found in (real, fake))
    shares = _agreement(small, seen, painted, seed)
    results, worst = [], []
    for value in used:
        # a bank repeats its images: the tests ask about the distinct ones, the spread about all
        first = first_of_each(fake[value])
        distinct = fake[value][first]
        accuracy, p_value, doubt = two_sample_accuracy(
            small, seen[value], painted[value][first], seed=seed
        )
        projected = project(encoder, real[value]), project(encoder, fake[value])
        mmd, mmd_p = mmd_test(projected[0], project(encoder, distinct), seed=seed)
        scale = variable.high - variable.low
        results.append(
            ConfigurationFit(
                parents=_value(mechanism, value),
                rows=int(counts[value]),
                accuracy=accuracy,
                p_value=p_value,
                mmd=mmd,
                mmd_p_value=mmd_p,
                agreement=shares[value][0],
                agreement_error=shares[value][1],
                brightness=float(fake[value].mean() - real[value].mean()) / scale,
                spread=spread_ratio(*projected),
                coverage=coverage(*projected),
                memorised=memorised(seen[value], painted[value]),
            )
        )
        worst.append(distinct[doubt[:8]])
    reasons = list(chain.from_iterable(map(_reasons, results)))
    told_apart = any(
        item.p_value < level / len(results) or item.mmd_p_value < level / len(results)
        for item in results
    )
    if reasons:
        verdict = "unfit"
    elif told_apart:
        verdict = "off"
    else:
        verdict = "fit"
    shown = torch.cat(worst)
    unit = (shown - variable.low) / (variable.high - variable.low)
    return FitReport(
        mechanism.name,
        verdict,
        tuple(reasons),
        tuple(results),
        (unit * 255).round().clamp(0, 255).to(torch.uint8),
    )


def _reasons(item: ConfigurationFit) -> list[str]:
    """What makes a generator unfit at one value of the parents; thresholds are stated in
    ``docs/adapters.md``."""
    value = ", ".join(f"{name}={shown}" for name, shown in item.parents.items()) or "every row"
    found = []
    if item.agreement < -max(0.15, 3 * item.agreement_error):
        found.append(f"{value}: {-item.agreement:.0%} of the images show another value's class")
    if item.spread < 0.5:
        found.append(
            f"{value}: the images vary {item.spread:.2f} times as much as real ones (mode collapse)"
        )
    elif item.coverage < 0.5 and not found:
        found.append(
            f"{value}: nothing like {1 - item.coverage:.0%} of the real images is shown (mode "
            "collapse)"
        )
    if abs(item.brightness) > 0.08:
        found.append(
            f"{value}: the images are {item.brightness:+.2f} of the range brighter than real ones"
        )
    if item.memorised > 0.5:
        found.append(f"{value}: {item.memorised:.0%} of the images are copies of real ones")
    return found


def _value(mechanism: FrozenMechanism, index: int) -> Json:
    found: Json = {}
    assert mechanism.label_map is not None
    for name, parent in reversed(mechanism.label_map.parents.items()):
        found[name] = parent.categories[index % parent.size]
        index //= parent.size
    return dict(reversed(found.items()))


def _generated(mechanism: FrozenMechanism, value: int, n: int, seed: int) -> Tensor:
    assert mechanism.label_map is not None
    parts = []
    for noise in Noise(n, seed).chunks(200):
        own = {}
        for key, spec in mechanism.noise.items():
            own[key] = noise.draw(f"check/{value}/{key}", spec)
        log = mechanism.label_map.probabilities[value].log().expand(len(noise), -1)
        if "label" in own:
            joint = (log + own["label"]).argmax(-1)
        else:
            joint = log.argmax(-1)
        parts.append(mechanism.paint(joint, own))
    return torch.cat(parts)


def _reduced(variable: Image, detail: int) -> tuple[Image, Callable[[Tensor], Tensor]]:
    """The variable at a size that classifiers can afford, and how images get there."""
    factor = -(-max(variable.height, variable.width) // detail)
    height, width = variable.height // factor, variable.width // factor
    if factor == 1 or not min(height, width):
        return variable, lambda images: images
    small = Image(variable.channels, height, width, low=variable.low, high=variable.high)
    return small, lambda images: nn.functional.adaptive_avg_pool2d(images, (height, width))


def _agreement(
    variable: Image, real: Mapping[int, Tensor], fake: Mapping[int, Tensor], seed: int
) -> dict[int, tuple[float, float]]:
    """Share of generated minus share of held-out real images that a classifier of the parents'
    value gets right.

    With its standard error; nought where the classifier does no better than chance on held-out real
    images.
    """
    if len(real) < 2:
        return dict.fromkeys(real, (0.0, 0.0))
    values = list(real)
    halves = {value: len(real[value]) // 2 for value in values}
    images = torch.cat([real[value][: halves[value]] for value in values])
    labels = torch.cat([torch.full((halves[value],), place) for place, value in enumerate(values)])
    classify = fit_label_classifier(variable, images, labels, len(values), steps=200, seed=seed)
    right: dict[int, tuple[float, float]] = {}
    errors: dict[int, float] = {}
    with torch.no_grad():
        for place, value in enumerate(values):
            parts = (fake[value], real[value][halves[value] :])
            made, held_out = (
                float((classify(part).argmax(-1) == place).float().mean()) for part in parts
            )
            right[value] = made, held_out
            errors[value] = math.sqrt(
                sum(
                    max(p * (1 - p), 0.05) / len(x)
                    for p, x in zip(right[value], parts, strict=True)
                )
            )
    chance = 1 / len(values)
    told = sum(rate for _, rate in right.values()) / len(values)
    rows = sum(len(real[value]) - halves[value] for value in values)
    if told < chance + 3 * math.sqrt(chance * (1 - chance) / rows):
        return dict.fromkeys(real, (0.0, 0.0))
    return {value: (made - held_out, errors[value]) for value, (made, held_out) in right.items()}
