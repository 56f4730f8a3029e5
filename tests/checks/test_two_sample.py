"""A classifier's lower bound of the total variation distance of two samples."""

import numpy as np
import pytest
import torch

from causalplug.checks.two_sample import classifier_distance

N = 2000


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def counts(seed):
    return torch.as_tensor(np.random.default_rng(seed).poisson(2.0, (N, 1))).float()


def two_heaps(seed):
    sign = normal(N, 1, seed=seed).sign()
    return sign + 0.3 * normal(N, 1, seed=seed + 1)


def product(seed):
    rows = normal(N, 2, seed=seed)
    third = rows[:, :1] * rows[:, 1:] * 0.9 + 0.4 * normal(N, 1, seed=seed + 1)
    return torch.cat([rows, third], 1)


DIFFERENT = {  # the least that has to be seen: about half of the true distance
    "counts and smoothed counts": (counts(0), counts(1) + 0.3 * normal(N, 1, seed=2), 0.5),
    "two heaps and one": (two_heaps(0), 1.04 * normal(N, 1, seed=5), 0.3),
    "a product and nothing": (product(0), normal(N, 3, seed=7), 0.3),
    "a shift by one deviation": (normal(N, 1, seed=0), 1 + normal(N, 1, seed=1), 0.3),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_differs_is_told_apart(case):
    real, fake, least = DIFFERENT[case]
    found, chance = classifier_distance(real, fake)
    assert found > least > 3 * chance


@pytest.mark.parametrize("make", [counts, two_heaps, product])
def test_samples_of_one_distribution_are_within_chance(make):
    found = [classifier_distance(make(10 * seed), make(10 * seed + 5)) for seed in range(20)]
    assert sum(distance > chance for distance, chance in found) <= 2


def test_it_never_claims_more_than_the_true_distance():
    """Two normals a deviation apart have the distance 2 Phi(1/2) - 1 = .383."""
    found = [
        classifier_distance(normal(N, 1, seed=s), 1 + normal(N, 1, seed=s + 50))[0]
        for s in range(5)
    ]
    assert np.mean(found) <= 0.383 + 0.02


def test_a_column_that_is_constant_among_few_real_rows_is_told_apart():
    generator = torch.Generator().manual_seed(0)
    real = torch.cat([torch.ones(4, 1), torch.randn(4, 1, generator=generator)], 1)
    fake = torch.cat([torch.zeros(4, 1), torch.randn(4, 1, generator=generator)], 1)
    distance, ceiling = classifier_distance(real, fake)
    assert distance > 0.5
    assert ceiling > 0
