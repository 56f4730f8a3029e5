"""Two-sample statistics of images and projections."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalplug.mechanisms.frozen.label_estimation import fit_label_classifier
from causalplug.variables import Image

__all__ = [
    "coverage",
    "first_of_each",
    "memorised",
    "mmd_test",
    "spread_ratio",
    "two_sample_accuracy",
]


def two_sample_accuracy(
    variable: Image, real: Tensor, fake: Tensor, *, steps: int = 120, seed: int = 0
) -> tuple[float, float, Tensor]:
    """A classifier two-sample test (Lopez-Paz & Oquab 2017).

    Args:
        variable: Declares the images.
        real, fake: ``(n, channels, height, width)`` in its range, without repeats; as many of each
            as there are of the fewer are used, half of them to train the classifier.
        steps: Steps of its training.
        seed: Seed of its training.

    Returns:
        Accuracy on the other halves; p-value of an accuracy at least this high under equal
        distributions (normal approximation of the binomial); indices of ``fake`` from the most to
        the least suspicious.
    """
    n = min(len(real), len(fake))
    if n < 4:  # nothing to train on: all but every generated image is the same
        return 1.0, 0.0, torch.arange(len(fake))
    real, fake = real[:n], fake[:n]
    cut = other = n // 2
    images = torch.cat([real[:cut], fake[:other]])
    labels = torch.cat([torch.zeros(cut, dtype=torch.int64), torch.ones(other, dtype=torch.int64)])
    classify = fit_label_classifier(
        variable, images, labels, 2, steps=steps, seed=seed, augment=False
    )
    with torch.no_grad():
        on_real, on_fake = classify(real[cut:]), classify(fake)
    right = torch.cat([on_real.argmax(-1) == 0, on_fake[other:].argmax(-1) == 1]).float()
    accuracy = float(right.mean())
    z = (accuracy - 0.5) / math.sqrt(0.25 / len(right))
    doubt = (on_fake[:, 1] - on_fake[:, 0]).argsort(descending=True)
    return accuracy, 0.5 * math.erfc(z / math.sqrt(2)), doubt


def mmd_test(
    x: Tensor, y: Tensor, *, permutations: int = 200, max_rows: int = 300, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy with a Gaussian kernel of median width, unbiased, and its
    permutation p-value.

    Source: Gretton et al. 2012, Lemma 6.

    Args:
        x, y: Projections ``(n, size)`` and ``(m, size)``; at most ``max_rows`` of each are used.
        permutations: The p-value is at least one in ``permutations + 1``.
        seed: Seed of the permutations.
    """
    x, y = x[:max_rows].double(), y[:max_rows].double()
    if min(len(x), len(y)) < 2:
        return math.inf, 0.0
    joint = torch.cat([x, y])
    squared = torch.cdist(joint, joint).square()
    if bool((squared > 0).any()):
        width = squared[squared > 0].median().clamp_min(1e-12)
    else:
        width = squared.new_ones(())
    kernel = torch.exp(-squared / width)
    n, m = len(x), len(y)
    generator = torch.Generator().manual_seed(seed)
    orders = [
        torch.arange(n + m),
        *(torch.randperm(n + m, generator=generator) for _ in range(permutations)),
    ]
    weights = torch.full((len(orders), n + m), -1.0, dtype=torch.float64)
    for row, order in enumerate(orders):
        weights[row, order[:n]] = 1.0
    first = (weights > 0).double()
    second = 1 - first
    kernel.fill_diagonal_(0)
    within_x = ((first @ kernel) * first).sum(1) / (n * (n - 1))
    within_y = ((second @ kernel) * second).sum(1) / (m * (m - 1))
    across = ((first @ kernel) * second).sum(1) / (n * m)
    values = within_x + within_y - 2 * across
    p_value = float((values[1:] >= values[0]).sum() + 1) / (permutations + 1)
    return float(values[0]), p_value


def first_of_each(images: Tensor) -> Tensor:
    """Positions of the images that no earlier one equals."""
    seen: dict[bytes, int] = {}
    for place, image in enumerate(images.cpu().numpy()):
        seen.setdefault(image.tobytes(), place)
    return torch.tensor(list(seen.values()), dtype=torch.int64)


def spread_ratio(real: Tensor, fake: Tensor) -> float:
    """Mean distance between two generated projections divided by that between two real ones."""

    def spread(rows: Tensor) -> float:
        n, rows = len(rows), rows.double()
        return float(torch.cdist(rows, rows).sum()) / max(1, n * (n - 1))

    return spread(fake) / max(spread(real), 1e-12)


def coverage(real: Tensor, fake: Tensor, *, neighbours: int = 5) -> float:
    """Share of real projections that have a generated one nearer than their fifth real neighbour
    (Naeem et al. 2020).

    Near 1 for equal distributions, near 0 where the generated ones are few different ones.
    """
    real, fake = real.double(), fake.double()
    nearest = torch.cdist(real, real).kthvalue(min(neighbours + 1, len(real)), 1).values
    return float((torch.cdist(real, fake).min(1).values <= nearest).float().mean())


def memorised(real: Tensor, fake: Tensor, *, share: float = 0.2) -> float:
    """Share of generated images much nearer to a real one than real ones are to each other: copies.

    Args:
        real, fake: Images.
        share: Share of the median distance between real nearest neighbours, below which an image
            counts as a copy.
    """
    a, b = real.flatten(1).double(), fake.flatten(1).double()
    among = torch.cdist(a, a).fill_diagonal_(torch.inf).min(1).values.median()
    return float((torch.cdist(b, a).min(1).values < share * among).float().mean())
