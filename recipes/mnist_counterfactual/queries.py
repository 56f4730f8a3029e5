"""The four queries, what the images of each row are, and how a model's answers are set against
the exact ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

import causalplug as cp
from recipes.common import tvd
from recipes.mnist_counterfactual.scm import COLORS, SIZES, TwoImageSCM, render
from recipes.mnist_frontdoor.data import DigitImages
from recipes.mnist_frontdoor.judge import train_judge

__all__ = [
    "DO",
    "EVIDENCE",
    "QUERIES",
    "SHOWN",
    "VARIABLES",
    "answer",
    "chance",
    "compare",
    "draws",
    "images_of",
    "judged",
    "named",
    "outcome",
    "shares",
]

VARIABLES: dict[str, Any] = {name: cp.Discrete(size) for name, size in SIZES.items()} | {
    "Color": cp.Discrete(["red", "green", "blue"]),
    "Thick": cp.Discrete(["thin", "thick"]),
    "Image1": cp.Image(3, 28, 28),
    "Image2": cp.Image(3, 28, 28),
}
SHOWN = ("Y1", "Y2", "Color", "Thick")  # what the two images show
DO, EVIDENCE = {"X1": 1, "X2": 4}, {"X1": 0, "X2": 1}
QUERIES: dict[str, dict[str, Mapping[str, int]]] = {
    "P(V)": {},
    "P(V | do(X1=1))": {"do": {"X1": 1}},
    "P(V | do(X1=1, X2=4))": {"do": DO},
    "P(V under X1=1, X2=4 | X1=0, X2=1)": {"do": DO, "evidence": EVIDENCE},
}


def named(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows of codes as rows of categories."""
    return {name: VARIABLES[name].decode(torch.from_numpy(codes)) for name, codes in rows.items()}


def images_of(
    rows: Mapping[str, np.ndarray], data: DigitImages, seed: int
) -> dict[str, np.ndarray]:
    """Image1 and Image2 of each row: any image of its digit, in its colour and thickness."""
    rng = np.random.default_rng(seed + 2)
    members = [np.flatnonzero(data.digits == digit) for digit in range(SIZES["Y1"])]
    color, thick = (VARIABLES[name].encode(rows[name]).numpy() for name in ("Color", "Thick"))
    found = {}
    for image, digit in (("Image1", "Y1"), ("Image2", "Y2")):
        place = rng.random(len(color))
        index = _any_member(rows[digit], members, place)
        found[image] = render(data.images[index], color, thick)
    return found


def _any_member(digits: np.ndarray, members: Sequence[np.ndarray], place: np.ndarray) -> np.ndarray:
    """For each row the index of an image of its digit."""
    sizes = np.array([len(own) for own in members])
    starts = np.concatenate([[0], sizes.cumsum()[:-1]])
    return np.concatenate(members)[starts[digits] + (place * sizes[digits]).astype(int)]


def draws(
    dcm: cp.DCM,
    query: Mapping[str, Mapping[str, int]],
    n: int,
    variables: Sequence[str],
    seed: int = 0,
) -> Any:
    """Rows of one query, of layer 3 if it has evidence."""
    if "evidence" in query:
        return dcm.counterfactual(n, **query, variables=variables, seed=seed)
    return dcm.sample(n, **query, variables=variables, seed=seed)


def shares(values: Any, name: str) -> np.ndarray:
    """Share of each category."""
    codes = VARIABLES[name].encode(values.to_numpy())
    return torch.bincount(codes, minlength=SIZES[name]).numpy() / len(codes)


def compare(model: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Two distributions and the distance between them."""
    return {"model": model.tolist(), "truth": truth.tolist(), "tvd": tvd(model, truth)}


def answer(
    dcm: cp.DCM, scm: TwoImageSCM, query: Mapping[str, Mapping[str, int]], n: int
) -> dict[str, Any]:
    """The most probable outcomes of what the images show, by the exact model and by ours, the
    distance, and the distance that ``n`` draws from the exact model have in the mean."""
    truth = scm.probability(SHOWN, **query)
    frame = draws(dcm, query, n, SHOWN)
    codes = [VARIABLES[name].encode(frame[name].to_numpy()).numpy() for name in SHOWN]
    cell = np.ravel_multi_index(codes, truth.shape)
    model = np.bincount(cell, minlength=truth.size).reshape(truth.shape) / n
    leading = np.argsort(-truth.ravel())[:3]
    outcomes = [outcome(truth, model, place) for place in leading]
    right = list(np.argsort(-model.ravel())[:3] == leading)
    return {
        "outcomes": outcomes,
        "top_is_right": bool(right[0]),
        "three_are_right": all(map(bool, right)),
        "tvd": tvd(model, truth),
        "chance": chance(truth, n),
    }


def outcome(truth: np.ndarray, model: np.ndarray, place: int) -> dict[str, Any]:
    """One outcome in words, with its probability by the exact model and by ours."""
    at = np.unravel_index(place, truth.shape)
    values = [str(VARIABLES[name].categories[i]) for name, i in zip(SHOWN, at, strict=True)]
    return {
        "outcome": ", ".join(values),
        "truth": float(truth[at]),
        "model": float(model[at]),
    }


def chance(truth: np.ndarray, n: int) -> float:
    """The mean TVD of ``n`` draws from a distribution to the distribution itself."""
    drawn = np.random.default_rng(0).multinomial(n, truth.ravel(), size=20) / n
    return float(0.5 * np.abs(drawn - truth.ravel()).sum(1).mean())


def judged(
    dcm: cp.DCM, query: Mapping[str, Mapping[str, int]], data: DigitImages, n: int
) -> dict[str, float]:
    """Shares of sampled images that show the digit, the thickness and the colour that they should.

    Digit and thickness are read by a classifier of held-out real images, the colour off the mean of
    the channels.
    """
    held_out, thick = (
        np.tile(data.held_out_images, (2, 1, 1)),
        np.repeat([0, 1], len(data.held_out_images)),
    )
    grey = render(held_out, np.zeros(len(held_out), int), thick).max(1)
    judge = train_judge(grey[::3], (np.tile(data.held_out_digits, 2) * 2 + thick)[::3])
    frame = draws(dcm, query, n, (*SHOWN, "Image1", "Image2"), seed=1)
    codes = {name: VARIABLES[name].encode(frame[name].to_numpy()).numpy() for name in SHOWN}
    found: dict[str, list[np.ndarray]] = {"digit": [], "thick": [], "color": []}
    for image, digit in (("Image1", "Y1"), ("Image2", "Y2")):
        pixels = np.stack(list(frame[image]))
        read = judge(pixels)
        found["digit"].append(read // 2 == codes[digit])
        found["thick"].append(read % 2 == codes["Thick"])
        hue = pixels.mean((2, 3)) @ (COLORS / np.linalg.norm(COLORS, axis=1, keepdims=True)).T
        found["color"].append(hue.argmax(1) == codes["Color"])
    return {name: float(np.mean(right)) for name, right in found.items()}
