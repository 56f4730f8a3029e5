"""Questions behind an image: projections of some images stand for all, with an honest error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from causalplug.adapters.callable import CallableGenerator
from causalplug.dcm import DCM
from causalplug.errors import SamplingError
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label import Label
from causalplug.noise import NoiseSpec
from causalplug.sampling.banked import IMAGES
from causalplug.sampling.worlds import Rows
from causalplug.variables import Discrete, Image


class Noisy(FrozenMechanism):
    """Grey images about as bright as their label says; it counts what it paints."""

    def __init__(self, image: Image):
        labels = [Label("digit", (0, 1))]
        super().__init__(image, labels, {"level": NoiseSpec((), "normal")})
        self.painted = 0

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        level = torch.sigmoid(2.0 * labels[:, 0].float() - 1 + 1.5 * noise["level"])
        self.painted += len(level)
        return level.view(-1, 1, 1, 1).expand(-1, *self.image.event_shape)

    def config(self) -> dict:
        return {}


def _front_door(size: int = 4) -> DCM:
    image = Image(1, size, size)
    variables = {"D": Discrete(2), "I": image, "A": Discrete(2)}
    graph = CausalGraph.parse("D -> I -> A; D <-> A")
    dcm = DCM(graph, variables, mechanisms={"I": Noisy(image)}, seed=3)
    with torch.no_grad():  # A reads the image strongly
        dcm.mechanism("A").network.read_parents.weight.mul_(40)
        dcm.mechanism("A").network.rest[-1].weight.mul_(10)
    return dcm


QUERIES = ["P(A=1 | do(D=1))", "P(A=1 | do(D=1)) - P(A=1 | do(D=0))", "P(A=1 | D=1)"]


@pytest.mark.parametrize("query", QUERIES)
def test_the_images_of_a_bank_give_the_answer_of_all_images(query: str) -> None:
    dcm = _front_door()
    answer = dcm.estimate(query, n=30_000, seed=1)
    assert dcm.mechanism("I").painted <= 2 * IMAGES
    if " - " in query:
        treated, control = (dcm.sample(40_000, do={"D": d}, variables=["A"]) for d in (1, 0))
        truth = treated["A"].mean() - control["A"].mean()
    elif "do" in query:
        truth = dcm.sample(40_000, do={"D": 1}, variables=["A"])["A"].mean()
    else:
        truth = dcm.sample(40_000, given={"D": 1}, variables=["A"])["A"].mean()
    assert abs(answer.value - truth) <= 4 * np.hypot(answer.monte_carlo_error, 1 / 400)


@pytest.mark.parametrize("query", QUERIES[:2])
def test_the_error_is_that_of_other_images(query: str) -> None:
    """Between seeds, which draw other images, estimates differ by what they claim."""
    dcm = _front_door()
    answers = [dcm.estimate(query, n=20_000, seed=seed) for seed in range(40)]
    spread = np.std([answer.value for answer in answers], ddof=1)
    claimed = np.mean([answer.monte_carlo_error for answer in answers])
    assert claimed == pytest.approx(spread, rel=0.35)
    assert claimed > 1.3 * np.sqrt(0.25 / 20_000) * (" - " not in query)


def test_images_are_painted_for_every_row_where_they_are_asked_for_or_conditioned_on() -> None:
    dcm = _front_door()
    stamp = dcm.mechanism("I")
    dcm.estimate("P(D | A=1)", n=3000)
    assert stamp.painted >= 3000
    stamp.painted = 0
    dcm.estimate("P(A=1 | do(D=1))", n=500)
    assert stamp.painted == 500


def test_a_question_behind_an_image_paints_a_bank_of_images_once() -> None:
    dcm = _front_door(32)
    dcm.estimate("P(A | do(D=1))")
    assert dcm.mechanism("I").painted == IMAGES


def test_an_answer_that_no_memory_holds_is_refused_with_its_bytes_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"V{i}" for i in range(44)]
    dcm = DCM(CausalGraph.from_edges(variables=names), {name: Discrete(2) for name in names})
    monkeypatch.setattr(Rows, "values", lambda *_: pytest.fail("the model ran"))
    with pytest.raises(SamplingError, match=r"17,592,186,044,416 cells.*would take [\d,]+ bytes"):
        dcm.estimate(f"P({', '.join(names)})", n=100)


def test_the_default_number_of_painted_rows_follows_those_of_training() -> None:
    dcm = _front_door()
    for rows, expected in [(500, 2000), (3000, 3000), (50_000, 10_000)]:
        dcm.history = {"sources": [{"rows": rows, "set": {}}]}
        assert dcm.estimate("P(D | A=1)").n == expected
    assert dcm.estimate("P(A | do(D=1))").n == 100_000


def test_a_slow_generator_paints_fewer_images_and_the_error_says_so() -> None:
    fast, slow = _front_door(), _front_door()
    slow.mechanism("I").batch_cost = 64.0  # a second for each image
    query = "P(A=1 | do(D=1))"
    quick = fast.estimate(query, n=20_000, seed=1)
    patient = slow.estimate(query, n=20_000, seed=1)
    assert (quick.images_painted, patient.images_painted) == (IMAGES, 300)
    assert "300 images painted" in str(patient)
    assert patient.monte_carlo_error > 1.5 * quick.monte_carlo_error
    answers = [slow.estimate(query, n=5000, seed=seed) for seed in range(30)]
    spread = np.std([answer.value for answer in answers], ddof=1)
    claimed = np.mean([answer.monte_carlo_error for answer in answers])
    assert claimed == pytest.approx(spread, rel=0.4)


def test_the_next_answer_reads_the_images_of_the_last_one() -> None:
    dcm = _front_door()
    first = dcm.estimate("P(A=1 | do(D=1))", n=20_000, seed=1)
    again = dcm.estimate("P(A=1 | do(D=1))", n=20_000, seed=1)
    assert (first.images_painted, first.images_reused) == (IMAGES, 0)
    assert (again.images_painted, again.images_reused) == (0, IMAGES)
    assert again.value == first.value
    assert f"{IMAGES:,} images of earlier answers read again; the errors" in str(again)
    other = dcm.estimate("P(A=1 | do(D=0))", n=20_000, seed=1)
    assert other.images_painted == IMAGES  # of the other label
    assert other.value == _front_door().estimate("P(A=1 | do(D=0))", n=20_000, seed=1).value
    assert dcm.estimate("P(A=1 | do(D=1))", n=20_000, seed=2).images_painted == IMAGES


def test_images_are_painted_anew_when_the_encoder_has_learnt() -> None:
    dcm = _front_door()
    first = dcm.estimate("P(A=1 | do(D=1))", n=20_000, seed=1)
    with torch.no_grad():
        for parameter in dcm.encoder("I").parameters():
            parameter.add_(0.3)
    moved = dcm.estimate("P(A=1 | do(D=1))", n=20_000, seed=1)
    assert moved.images_painted == IMAGES
    assert moved.value != first.value


def test_a_function_without_a_revision_is_asked_for_images_again() -> None:
    calls = []

    def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        calls.append(len(labels))
        level = np.clip(0.2 + 0.5 * labels[:, 0] + 0.1 * latent[:, 0], 0, 1)
        return np.broadcast_to(level[:, None, None, None], (len(level), 1, 4, 4)).copy()

    for revision, expected in ((None, 2 * IMAGES), ("1", IMAGES)):
        calls.clear()
        image = Image(1, 4, 4)
        painter = CallableGenerator(paint, image, [Label("digit", (0, 1))], revision=revision)
        graph = CausalGraph.parse("D -> I -> A; D <-> A")
        variables = {"D": Discrete(2), "I": image, "A": Discrete(2)}
        dcm = DCM(graph, variables, mechanisms={"I": painter.asked(label_map={0: 0, 1: 1})})
        for _ in range(2):
            dcm.estimate("P(A=1 | do(D=1))", n=20_000, seed=1)
        assert sum(calls) == expected
