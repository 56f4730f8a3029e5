"""Front-door answers through generators of two families; truth is a sum over label and coin."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import causalplug as cp

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the libraries' own making

from benchmarks.front_door import (  # noqa: E402
    COIN,
    P_LABEL1,
    P_X1,
    P_Y1,
    answer,
    overhead,
    truth,
)
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


class Stamp(nn.Module):
    """An image-to-image model: a picture, with or without a bright mark that it draws by X."""

    def __init__(self):
        super().__init__()
        chances = torch.tensor(P_LABEL1, dtype=torch.float32)
        self.register_buffer("limits", torch.distributions.Normal(0.0, 1.0).icdf(chances))

    def forward(self, latent, picture, x):
        mark = torch.zeros_like(picture[:1])
        mark[..., 2:6, 2:6] = 0.5
        marked = (latent < self.limits[x][:, None]).float()
        return 0.5 * picture + marked[..., None, None] * mark


def test_a_mediator_that_an_image_to_image_model_makes_of_an_image() -> None:
    image = cp.Image(1, 8, 8)
    torch.manual_seed(0)
    painter = nn.Sequential(nn.Linear(4, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
    picture = cp.wrap(painter, image, latent=4)
    conditions = [cp.Condition("picture", image), cp.Condition("x", cp.Discrete(2))]
    reads = {"picture": "P", "x": "X"}
    stamped = cp.wrap(Stamp(), image, conditions=conditions, latent=1, reads=reads)

    rng = np.random.default_rng(0)
    coin = (rng.random(1500) < COIN).astype(int)
    x = (rng.random(1500) < P_X1[coin]).astype(int)
    latent = torch.randn(1500, 1, generator=torch.Generator().manual_seed(3))
    label = (latent < Stamp().limits[torch.from_numpy(x)][:, None])[:, 0].int().numpy()
    y = (rng.random(1500) < P_Y1[label, coin]).astype(int)
    with torch.no_grad():
        pictures = painter(torch.randn(1500, 4, generator=torch.Generator().manual_seed(4)))
        images = Stamp()(latent, pictures, torch.from_numpy(x))
    table = {"X": x, "P": pictures.numpy(), "I": images.numpy(), "Y": y}

    variables = {"P": image, "X": cp.Discrete(2), "I": image, "Y": cp.Discrete(2)}
    graph = cp.CausalGraph.parse("P -> I; X -> I; I -> Y; X <-> Y")
    dcm = cp.DCM(graph, variables, mechanisms={"P": picture, "I": stamped})
    cp.fit(
        dcm,
        cp.DataSource(table),
        objective="likelihood",
        steps=60,
        encoder_steps=100,
        check_fit=False,
        progress=False,
    )
    for value in range(2):
        exact, naive = truth(value), y[x == value].mean()
        found = dcm.estimate(f"P(Y=1 | do(X={value}))", n=4000, seed=0)
        assert found.value == pytest.approx(exact, abs=0.05)
        assert abs(naive - exact) > 0.06
