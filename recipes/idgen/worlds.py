"""The three graphs, with tables alone and with images for what is set and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

import causalplug as cp
from recipes.mnist_frontdoor.data import load_digit_images
from recipes.networks import Network

__all__ = ["GRAPHS", "Pictures", "World", "load_pictures", "table_world", "with_images"]

GRAPHS = {
    "front-door": "X -> Z -> Y; X <-> Y",
    "back-door": "Z -> X -> Y; Z -> Y",
    "napkin": "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y",
}
FIDELITY = 0.75  # probability that the image of X shows X's digit
TREATED, SHOWN = "X", "S"


@dataclass(frozen=True)
class World:
    """A discrete world in which every probability is a sum, and the graph that a model is given.

    Attributes:
        network: Tables of all variables; with images ``S``, the digit that the image of X shows, is
            hidden.
        graph: The causal graph of what is recorded.
    """

    network: Network
    graph: cp.CausalGraph

    @property
    def tables(self) -> list[str]:
        """The recorded variables that are no images."""
        return [name for name in self.network.tables if name not in self.network.hidden]


@dataclass(frozen=True)
class Pictures:
    """Images ``(m, height, width)`` uint8 of the digits 0 and 1, and others for a judge."""

    images: np.ndarray
    digits: np.ndarray
    held_out_images: np.ndarray
    held_out_digits: np.ndarray
    name: str

    def show(self, digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each row any image of its digit, ``(n, 1, height, width)``."""
        place = rng.random(len(digits))
        index = np.zeros(len(digits), dtype=np.int64)
        for digit in (0, 1):
            own = np.flatnonzero(self.digits == digit)
            chosen = digits == digit
            index[chosen] = own[(place[chosen] * len(own)).astype(int)]
        return self.images[index][:, None]


def load_pictures(source: str | None) -> Pictures:
    """Digits of MNIST's files, or the 8 x 8 digits that scikit-learn brings."""
    if source is not None:
        data = load_digit_images(source)
        return Pictures(
            data.images, data.digits, data.held_out_images, data.held_out_digits, data.name
        )
    bundled = load_digits()
    member = bundled.target < 2
    images = np.rint(bundled.images[member] * (255 / 16)).astype(np.uint8)
    digits = bundled.target[member]
    held_out = np.arange(len(digits)) % 3 == 2
    return Pictures(
        images[~held_out],
        digits[~held_out],
        images[held_out],
        digits[held_out],
        "scikit-learn digits",
    )


def table_world(name: str, seed: int) -> World:
    """A random world of one of the graphs, all variables binary."""
    graph = cp.CausalGraph.parse(GRAPHS[name])
    return World(Network.random(graph, seed=seed), graph)


def with_images(name: str, seed: int) -> World:
    """The same graph with an image I of the treatment and an image J of the outcome.

    What X caused is now caused by the digit S that I shows, which is X's with probability 0.75: an
    image that always showed X would leave nothing to compare X with. The model is given I in place
    of S.
    """
    parts = [part.strip() for part in GRAPHS[name].split(";")]
    chain = GRAPHS[name].replace(f"{TREATED} -> ", f"{TREATED} -> {SHOWN} -> ")
    network = Network.random(cp.CausalGraph.parse(chain), seed=seed)
    tables = dict(network.tables)
    tables[SHOWN] = ((TREATED,), np.array([[FIDELITY, 1 - FIDELITY], [1 - FIDELITY, FIDELITY]]))
    hidden = (*network.hidden, SHOWN)
    made = Network(tables, network.categories, hidden=hidden)
    given = [part.replace(f"{TREATED} -> ", f"{TREATED} -> I -> ") for part in parts]
    return World(made, cp.CausalGraph.parse("; ".join([*given, "Y -> J"])))
