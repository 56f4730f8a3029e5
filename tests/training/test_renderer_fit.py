"""A renderer in a model: planned as such, trained with its module, right about an exact SCM, saved
and loaded whole.

D <-> I -> A: a hidden coin moves the digit class D and the row that the picture lights
"""

import warnings

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import ConvergenceWarning, FrozenConfounderError, MechanismError

IMAGE = cp.Image(1, 4, 4)
GRAPH = cp.CausalGraph.parse("D <-> I; I -> A")
VARIABLES = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(2)}
P_D = np.array([[0.9, 0.1], [0.1, 0.9]])  # P(D | coin)
P_ROW = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])  # P(row | coin)
P_A = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]])  # P(A | row)
P_DROW = np.einsum("ud,ul->dl", P_D, P_ROW) / 2


def generator() -> ConditionalGAN:
    """Label k lights row k; the latent decides how bright."""
    layers = [
        {"type": "linear", "name": "0", "in_features": 5, "out_features": 16},
        {"type": "sigmoid"},
    ]
    weight = torch.zeros(16, 5)
    for label in range(3):
        weight[4 * label : 4 * label + 4, 2 + label] = 6.0
    weight[:, 0] = 0.3
    tensors = {"0.weight": weight, "0.bias": torch.full((16,), -3.0)}
    return ConditionalGAN(IMAGE, [cp.Label("row", 3)], 2, layers, tensors=tensors, license="mit")


def rows(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    coin = rng.integers(2, size=n)
    row = (rng.random(n)[:, None] > P_ROW[coin].cumsum(1)[:, :2]).sum(1)
    latent = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    images = generator()({"row": torch.from_numpy(row)}, {"latent": latent}).numpy()
    draw = rng.random((2, n))
    return {
        "D": (draw[0] < P_D[coin, 1]).astype(int),
        "I": images,
        "A": (draw[1] < P_A[row, 1]).astype(int),
    }


def test_a_confounded_image_is_rendered_from_a_trained_code(tmp_path) -> None:
    made = generator()
    before = {key: value.clone() for key, value in made.state_dict().items()}
    dcm = cp.DCM(GRAPH, VARIABLES, mechanisms={"I": cp.Renderer(made)}, seed=0)
    assert dcm.mechanism("I").license == "mit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(
            dcm,
            cp.DataSource(rows(4000)),
            seed=0,
            objective={"A": "likelihood"},
            encoder_steps=100,
            progress=False,
            image_steps=500,
        )
    module = dcm.plan.module("I")
    assert (module.variables, module.label, module.renderers) == (
        ("D", "I"),
        "TRAIN code, PULL renderer",
        ("I",),
    )
    assert "TRAIN code, PULL renderer" in str(dcm.plan)
    inside = dcm.mechanism("I").generator.state_dict()
    assert all(torch.equal(inside[key], value) for key, value in before.items())

    drawn = dcm.sample(20_000, variables=["D", "I", "A"], seed=1)
    row = np.stack(list(drawn["I"]))[:, 0, :3].mean(-1).argmax(-1)
    joint = np.bincount(np.asarray(drawn["D"]) * 3 + row, minlength=6).reshape(2, 3) / len(row)
    unconfounded = np.outer(P_DROW.sum(1), P_DROW.sum(0))
    gap = 0.5 * np.abs(unconfounded - P_DROW).sum()
    assert gap > 0.2  # what a generator alone would miss by
    bound = gap / 3
    assert 0.5 * np.abs(joint - P_DROW).sum() < bound
    both = np.bincount(np.asarray(drawn["D"]) * 2 + np.asarray(drawn["A"]), minlength=4).reshape(
        2, 2
    ) / len(row)
    assert 0.5 * np.abs(both - P_DROW @ P_A).sum() < bound

    dcm.save_pretrained(tmp_path / "saved")
    loaded = cp.from_pretrained(tmp_path / "saved")
    noise = cp.Noise(20, 3)
    assert all(torch.equal(value, loaded(noise)[name]) for name, value in dcm(noise).items())
    assert loaded.plan.module("I").renderers == ("I",)


class Lit(torch.nn.Module):
    """The images of :func:`generator` as a network that reads the row as a code, which no gradient
    passes."""

    def forward(self, latent: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        lit = 6.0 * torch.nn.functional.one_hot(row, 4).float() - 3.0 + 0.3 * latent[:, :1]
        return torch.sigmoid(lit)[:, None, :, None].expand(-1, 1, 4, 4)


def test_a_confounded_image_is_rendered_by_a_network_that_no_gradient_passes() -> None:
    """The code chooses the row by the score function alone."""
    reads = [cp.Condition("row", cp.Discrete(3))]
    made = cp.wrap(Lit(), IMAGE, conditions=reads, latent=2)
    dcm = cp.DCM(GRAPH, VARIABLES, mechanisms={"I": cp.Renderer(made, shift=False)}, seed=0)
    assert dcm.mechanism("I").chooses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cp.fit(
            dcm,
            cp.DataSource(rows(2000)),
            seed=0,
            queries="P(D)",
            encoder_steps=50,
            progress=False,
            image_steps=500,
            batch_size=96,
            check_graph=False,
        )
    drawn = dcm.sample(8000, variables=["D", "I"], seed=1)
    row = np.stack(list(drawn["I"]))[:, 0, :3].mean(-1).argmax(-1)
    joint = np.bincount(np.asarray(drawn["D"]) * 3 + row, minlength=6).reshape(2, 3) / len(row)
    gap = 0.5 * np.abs(np.outer(P_DROW.sum(1), P_DROW.sum(0)) - P_DROW).sum()
    assert 0.5 * np.abs(joint - P_DROW).sum() < gap / 3


def test_what_cannot_be_rendered_is_refused() -> None:
    with pytest.raises(FrozenConfounderError, match="renderer"):
        cp.DCM(GRAPH, VARIABLES, mechanisms={"I": generator()})
    with pytest.raises(MechanismError, match="paints images"):
        cp.DCM(GRAPH, VARIABLES, mechanisms={"D": cp.Renderer(generator())})
    with pytest.raises(MechanismError, match="shape"):
        cp.DCM(
            GRAPH, {**VARIABLES, "I": cp.Image(1, 5, 5)}, mechanisms={"I": cp.Renderer(generator())}
        )


def test_without_a_confounder_it_is_trained_like_any_other() -> None:
    graph = cp.CausalGraph.parse("D -> I")
    dcm = cp.DCM(
        graph, {"D": cp.Discrete(2), "I": IMAGE}, mechanisms={"I": cp.Renderer(generator())}
    )
    assert dcm.mechanism("I").parents == ("D",)
    data = {name: rows(50)[name] for name in ("D", "I")}
    trainer = cp.Trainer(dcm, [cp.DataSource(data)], progress=False)
    assert [module.label for module in trainer.plan.modules] == ["TRAIN", "TRAIN"]
