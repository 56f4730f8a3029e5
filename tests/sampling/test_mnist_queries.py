"""The queries of the paper's MNIST experiment with two images (appendix F.4, Figure 20), on a table
SCM of its graph.

X1 -> X2 and X1 <-> X2 make a bow, so do(X1) alone needs the experiment on X1 that the paper trains
with as well.
"""

from __future__ import annotations

import numpy as np
import pytest

from causalplug.dcm import DCM
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.variables import Discrete, Image
from tests.sampling.exact import as_dcm
from tests.sampling.toys import Stamp
from tests.scm import SCM, random_scm

GRAPH = CausalGraph.parse(
    "X1 -> X2; X1, X2 -> W; W -> Y1, Y2, Thick; Y1, Color, Thick -> Image1; Y2, Color, Thick -> "
    "Image2; X1 <-> X2; X2 <-> Color"
)
SIZES = {"X1": 2, "X2": 5, "W": 4, "Y1": 3, "Y2": 3, "Thick": 2, "Color": 3}
N = 20_000


class _Digit(Stamp):
    """Shows the digit in the left half; colour and thickness are read, and shown in the first
    row."""

    def __init__(self, digit: str):
        super().__init__(digit)
        self.parents = (digit, "Color", "Thick")

    def forward(self, parents, noise, confounder=None):  # type: ignore[no-untyped-def]
        image = super().forward(parents, noise, confounder)
        image[:, 0, 0, 2], image[:, 0, 0, 3] = parents["Color"].float(), parents["Thick"].float()
        return image


@pytest.fixture(scope="module")
def model() -> tuple[SCM, DCM, DCM]:
    """The exact SCM over the discrete variables, the same as a DCM, and that with the two
    images."""
    discrete = CausalGraph.from_edges(
        [edge for edge in GRAPH.directed if not edge[1].startswith("Image")],
        GRAPH.bidirected,
        list(SIZES),
    )
    scm = random_scm(discrete, cardinalities=SIZES, seed=4)
    small = as_dcm(scm)
    image = Image(1, 4, 4, low=-8, high=8)
    variables = {
        name: image if name.startswith("Image") else Discrete(SIZES[name])
        for name in GRAPH.variables
    }
    mechanisms = {**small.mechanisms, "Image1": _Digit("Y1"), "Image2": _Digit("Y2")}
    dcm = DCM(GRAPH, variables, mechanisms=mechanisms)
    dcm.sources = (Source(GRAPH.variables), Source(GRAPH.variables, do=["X1"]))
    return scm, small, dcm


def _shares(frame, name: str, size: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.bincount(frame[name].to_numpy(), minlength=size) / len(frame)


def _near(found: np.ndarray, truth: np.ndarray, n: int) -> bool:
    return bool(np.all(np.abs(found - truth) <= 4 * np.sqrt(truth * (1 - truth) / n) + 1e-9))


def _check_images(frame) -> None:  # type: ignore[no-untyped-def]
    for number in ("1", "2"):
        images = np.stack(frame[f"Image{number}"].tolist())
        assert np.array_equal(images[:, 0, 1, 0], frame[f"Y{number}"])
        assert np.array_equal(images[:, 0, 0, 2], frame["Color"])
        assert np.array_equal(images[:, 0, 0, 3], frame["Thick"])


@pytest.mark.parametrize(
    ("options", "world"),
    [
        ({}, ""),
        ({"do": {"X1": 1}}, "do(X1=1)"),
        ({"do": {"X1": 1, "X2": 4}}, "do(X1=1, X2=4)"),
        ({"given": {"Color": 0, "Thick": 1}}, "Color=0, Thick=1"),
        ({"do": {"X1": 0}, "given": {"W": 2}}, "do(X1=0), W=2"),
    ],
)
def test_layers_one_and_two(model: tuple, options: dict, world: str) -> None:
    scm, _, dcm = model
    frame = dcm.sample(300, **options)
    assert frame.attrs["identification"] == "identifiable"
    _check_images(frame)
    asked = [
        name
        for name in ("W", "Y1", "X2", "Color")
        if name not in {**options.get("do", {}), **options.get("given", {})}
    ]
    wide = dcm.sample(N, variables=asked, **options)
    for name in asked:
        truth = scm.probability(f"P({name}" + (f" | {world})" if world else ")"))
        assert _near(_shares(wide, name, SIZES[name]), truth, N), name


def test_layer_three(model: tuple) -> None:
    """What would W, the digits and the images have been under X1 = 1, X2 = 4, where X1 = 0 and
    X2 = 1 were seen?"""
    scm, _, dcm = model
    evidence, do = {"X1": 0, "X2": 1}, {"X1": 1, "X2": 4}
    images = [dcm.mechanism(name) for name in ("Image1", "Image2")]
    for image in images:
        image.rows = 0
    pictures = dcm.counterfactual(200, evidence=evidence, do=do)
    _check_images(pictures)
    assert [image.rows for image in images] == [200, 200]
    frame = dcm.counterfactual(N, evidence=evidence, do=do, variables=["W", "Y1", "Color"])
    assert frame.attrs["identification"] == "identifiable"
    for name in ("W", "Y1", "Color"):
        truth = scm.probability(f"P({name}_{{X1=1, X2=4}} | X1=0, X2=1)")
        assert _near(_shares(frame, name, SIZES[name]), truth, N), name
    assert [image.rows for image in images] == [200, 200]
    dcm = model[1]  # without images, and from observational data alone
    dcm.sources = (Source(dcm.graph.variables),)
    answer = dcm.estimate("P(Color_{X1=1, X2=4} | X1=0, X2=1)", n=N)
    assert answer.status == "identifiable"
    assert _near(answer.table["estimate"].to_numpy(), scm.probability("P(Color | X1=0, X2=1)"), N)
