"""The front-door SCM: its exact answers against an enumeration of its own and against brute
force."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from causalplug.errors import DataError
from recipes.mnist_frontdoor.data import DigitImages, load_digit_images
from recipes.mnist_frontdoor.judge import train_judge
from recipes.mnist_frontdoor.scm import BIAS, HUES, P_D1, SHIFT, WEIGHTS, FrontDoorSCM, tvd

MNIST = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
SHAPES = [(3, 32, 32), (1, 28, 28)]


@pytest.fixture(scope="module")
def bundled() -> DigitImages:
    return load_digit_images()


@pytest.fixture(scope="module")
def mnist() -> DigitImages:
    if not MNIST.is_dir():
        pytest.skip("the MNIST files are not beside the repository")
    return load_digit_images(MNIST)


def blobs(count: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A few noisy images, zeros brighter on the left and ones on the right."""
    rng = np.random.default_rng(seed)
    digits = np.arange(count) % 2
    left = np.linspace(0, 1, 28)[None, None]
    ink = np.where(digits[:, None, None] == 0, 1 - left, left) * rng.random((count, 28, 28))
    return np.round(255 * ink).astype(np.uint8), digits


def enumerate_joint(
    images: np.ndarray, digits: np.ndarray, coloured: bool, fidelity: float
) -> np.ndarray:
    """P(U, D, picture, A) by loops over every value, pictures being (image, hue) pairs: ``(4, 2,
    pictures, 3)``."""
    hues = range(12) if coloured else [None]
    pictures = list(product(range(len(images)), hues))
    joint = np.zeros((4, 2, len(pictures), 3))
    for position, (index, hue) in enumerate(pictures):
        colour = HUES[hue] if coloured else HUES.mean(0)
        score = BIAS.copy()
        for channel, row, column in product(range(3), range(7), range(7)):
            cell = images[index, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].astype(float)
            tinted = (
                np.round(np.float32(colour[channel]) * cell.astype(np.float32))
                if coloured
                else colour[channel] * cell
            )
            score += WEIGHTS[:, channel, 7 * row + column] * tinted.sum() / 16 / 255
        share = 1 / (np.sum(digits == digits[index]) * len(hues))
        for u, d in product(range(4), range(2)):
            odds = np.exp(score + SHIFT[u])
            p_d = P_D1[u] if d == 1 else 1 - P_D1[u]
            p_shown = fidelity if digits[index] == d else 1 - fidelity
            joint[u, d, position] = 0.25 * p_d * p_shown * share * odds / odds.sum()
    return joint


@pytest.mark.parametrize("image_shape", SHAPES)
@pytest.mark.parametrize("fidelity", [0.75, 0.6, 1.0])
def test_answers_equal_an_enumeration(image_shape, fidelity):
    images, digits = blobs()
    answers = FrontDoorSCM(images, digits, image_shape=image_shape, fidelity=fidelity).answers()
    joint = enumerate_joint(images, digits, image_shape[0] == 3, fidelity)
    given_ud = joint.sum(2) / joint.sum((2, 3))[:, :, None]
    naive = joint.sum((0, 2)) / joint.sum((0, 2, 3))[:, None]
    np.testing.assert_allclose(answers.joint, joint.sum((0, 2)), atol=1e-12)
    np.testing.assert_allclose(answers.naive, naive, atol=1e-12)
    np.testing.assert_allclose(answers.do, 0.25 * given_ud.sum(0), atol=1e-12)
    np.testing.assert_allclose(answers.confounding, tvd(naive, given_ud.mean(0)), atol=1e-12)


@pytest.mark.parametrize("image_shape", SHAPES)
def test_the_front_door_formula_recovers_the_answer_from_the_rows_alone(image_shape):
    images, digits = blobs(9, seed=1)
    seen = enumerate_joint(images, digits, image_shape[0] == 3, 0.75).sum(
        0
    )  # P(D, picture, A), without U
    p_d = seen.sum((1, 2))
    picture_given_d = seen.sum(2) / p_d[:, None]
    a_given = seen / seen.sum(2)[:, :, None]
    formula = np.einsum("dp,epa,e->da", picture_given_d, a_given, p_d)
    scm = FrontDoorSCM(images, digits, image_shape=image_shape)
    np.testing.assert_allclose(scm.answers().do, formula, atol=1e-12)


def test_without_noise_half_of_the_cells_that_the_formula_needs_are_empty():
    images, digits = blobs()
    seen = enumerate_joint(images, digits, True, 1.0).sum((0, 3))
    assert (seen == 0).mean() == 0.5
    rows, hidden = FrontDoorSCM(images, digits, fidelity=1.0).sample(2000, seed=0)
    assert (rows["D"] == hidden.shown).all()


@pytest.mark.parametrize("image_shape", SHAPES)
@pytest.mark.parametrize("do", [None, {"D": 0}, {"D": 1}])
def test_samples_have_the_exact_distribution(bundled, image_shape, do):
    scm, n = FrontDoorSCM(bundled.images, bundled.digits, image_shape=image_shape), 40_000
    answers = scm.answers()
    rows, hidden = scm.sample(n, seed=3, do=do)
    counts = np.stack([np.bincount(rows["A"][rows["D"] == d], minlength=3) for d in (0, 1)]) / n
    exact = answers.joint if do is None else np.outer(np.eye(2)[do["D"]], answers.do[do["D"]])
    error = np.sqrt(exact * (1 - exact) / n)
    assert (np.abs(counts - exact) <= 4 * error).all()
    assert abs((hidden.shown == rows["D"]).mean() - 0.75) <= 4 * np.sqrt(0.75 * 0.25 / n)
    assert (bundled.digits[hidden.index] == hidden.shown).all()
    np.testing.assert_array_equal(rows["I"][:200], scm.render(hidden.index[:200], hidden.hue[:200]))
    assert rows["I"].shape == (n, *image_shape)
    assert rows["I"].dtype == np.uint8


def test_attribute_is_the_answer_for_one_image(bundled):
    for image_shape in SHAPES:
        scm = FrontDoorSCM(bundled.images, bundled.digits, image_shape=image_shape)
        hues = range(12) if scm.coloured else [0]
        members = np.flatnonzero(bundled.digits == 1)
        every = np.concatenate([scm.render(members, np.full(len(members), hue)) for hue in hues])
        np.testing.assert_allclose(scm.attribute(every).mean(0), scm.answers().shown[1], atol=1e-12)
        np.testing.assert_allclose(
            scm.logits(every[:50] / 255.0), scm.logits(every[:50]), atol=1e-12
        )


def check_gaps(digits: DigitImages, image_shape: tuple[int, int, int]) -> None:
    answers = FrontDoorSCM(digits.images, digits.digits, image_shape=image_shape).answers()
    assert answers.confounding.min() >= 0.14
    assert answers.effect >= 0.14
    assert answers.do.min() >= 0.1
    np.testing.assert_allclose(answers.joint.sum(), 1)
    np.testing.assert_allclose(answers.do.sum(1), 1)


@pytest.mark.parametrize("image_shape", SHAPES)
def test_gaps_on_the_bundled_digits(bundled, image_shape):
    check_gaps(bundled, image_shape)


@pytest.mark.parametrize("image_shape", SHAPES)
def test_gaps_on_mnist(mnist, image_shape):
    check_gaps(mnist, image_shape)


def test_the_reading_is_not_a_matter_of_single_pixels(bundled):
    """A little noise or blur on every image moves P(A | do(D)) by less than 0.01."""
    from scipy.ndimage import gaussian_filter

    scm = FrontDoorSCM(bundled.images, bundled.digits, image_shape=(1, 28, 28))
    mixing = np.array([[0.75, 0.25], [0.25, 0.75]])
    noise = np.random.default_rng(0).normal(size=(len(bundled.images), 1, 28, 28))
    for change in (
        lambda x: np.clip(x + 0.05 * noise, 0, 1),
        lambda x: gaussian_filter(x, (0, 0, 0.5, 0.5)),
        lambda x: 0.96 * x,
    ):
        read = scm.attribute(change(bundled.images[:, None] / 255.0))
        shown = np.stack([read[bundled.digits == digit].mean(0) for digit in (0, 1)])
        assert tvd(mixing @ shown, scm.answers().do).max() < 0.01


def test_the_constants_are_fixed():
    """The projection does not follow numpy's version: its bits, and numbers that follow from
    them by hand."""
    bits = np.random.PCG64(912).random_raw(49)
    uniform = [2 * (int(b) // 2**11) / 2**53 - 1 for b in bits]
    expected = 0.5 * 3**0.5 * (uniform[5] - sum(uniform) / 49)
    assert WEIGHTS.shape == (3, 3, 49)
    assert WEIGHTS[0, 0, 5] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(WEIGHTS.sum(-1), 0, atol=1e-12)
    assert HUES.max(1) == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_rows(bundled):
    scm = FrontDoorSCM(bundled.images, bundled.digits)
    rows, hidden = scm.sample(500, seed=1)
    again, hidden_again = scm.sample(500, seed=1)
    other, _ = scm.sample(500, seed=2)
    for name in rows:
        np.testing.assert_array_equal(rows[name], again[name])
        assert not np.array_equal(rows[name], other[name])
    np.testing.assert_array_equal(hidden.U, hidden_again.U)


def test_what_is_wrong_is_said(bundled):
    images, digits = bundled.images, bundled.digits
    with pytest.raises(DataError, match=r"must be \(m, 28, 28\) or \(m, 8, 8\) of uint8"):
        FrontDoorSCM(images / 255.0, digits)
    with pytest.raises(DataError, match="both 0 and 1"):
        FrontDoorSCM(images[digits == 1], digits[digits == 1])
    with pytest.raises(DataError, match=r"\(1, 32, 32\) are not offered"):
        FrontDoorSCM(images, digits, image_shape=(1, 32, 32))
    with pytest.raises(DataError, match=r"fidelity=1\.5 is not a probability"):
        FrontDoorSCM(images, digits, fidelity=1.5)
    scm = FrontDoorSCM(images, digits)
    with pytest.raises(DataError, match="intervenes on D alone"):
        scm.sample(5, seed=0, do={"A": 1})
    with pytest.raises(DataError, match="Set 'D' to 0 or 1"):
        scm.sample(5, seed=0, do={"D": 2})
    with pytest.raises(DataError, match=r"\(n, 3, 32, 32\)"):
        scm.logits(images[:4, None])


def test_the_judge_knows_the_digit_and_not_the_colour(bundled):
    judge = train_judge(bundled.held_out_images, bundled.held_out_digits)
    for image_shape in SHAPES:
        rows, hidden = FrontDoorSCM(bundled.images, bundled.digits, image_shape=image_shape).sample(
            2000, seed=0
        )
        verdict = judge(rows["I"])
        assert (verdict == hidden.shown).mean() >= 0.99
        np.testing.assert_array_equal(judge(rows["I"][:100] / 255.0), verdict[:100])
    with pytest.raises(DataError, match=r"at least 28 x 28"):
        judge(np.zeros((4, 1, 16, 16)))
