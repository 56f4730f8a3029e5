"""Front-door answers through generators of two families; truth is a sum over label and coin."""

import os
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the libraries' own making

from benchmarks.front_door import P_LABEL1, P_Y1, answer, overhead, truth  # noqa: E402
from benchmarks.front_door_generators import FAMILIES  # noqa: E402

CHOSEN = ["gan", "consistency"]
if os.environ.get("CAUSALPLUG_EXHAUSTIVE"):
    CHOSEN = list(FAMILIES)


def test_the_exact_answer_is_what_a_large_table_shows() -> None:
    rng = np.random.default_rng(7)
    label = rng.random(10**6) < P_LABEL1[1]
    coin = rng.random(10**6) < 0.4
    y = rng.random(10**6) < P_Y1[label.astype(int), coin.astype(int)]
    assert y.mean() == pytest.approx(truth(1), abs=0.002)


@pytest.mark.parametrize("family", CHOSEN)
def test_both_answers_through_a_family(family: str, tmp_path: Path) -> None:
    found = answer(FAMILIES[family](tmp_path), n=1500, steps=60, encoder_steps=100)
    assert found.seen == 1.0
    assert found.error < 0.05
    assert min(abs(found.naive[x] - found.exact[x]) for x in range(2)) > 0.06
    assert found.painted == (4000, 0)  # the second answer reads the images of the first
    assert found.reused == (0, 4000)


def test_an_adapter_paints_what_its_network_paints(tmp_path: Path) -> None:
    assert overhead(FAMILIES["gan"](tmp_path), repeats=2) < 3  # what it costs: the benchmark
