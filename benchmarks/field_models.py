"""Continuous structural causal models of the literature, as functions of their noise.

The equations are those of Javaloy et al. (2023, "Causal normalizing flows"), who collect them from
Geffner et al. (2022) and Sanchez-Martin et al. (2022), and of Chao et al. (2023, "Modeling causal
mechanisms with diffusion models for interventional and counterfactual queries"), as they are
restated here. Every noise is standard normal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["MODELS", "Structural"]

Values = Mapping[str, np.ndarray]
Equation = Callable[[Values, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Structural:
    """A structural causal model without hidden confounders.

    Attributes:
        graph: The causal graph as text.
        equations: By variable, in causal order: its value from the values before it and its noise.
    """

    graph: str
    equations: Mapping[str, Equation]

    def noise(self, n: int, seed: int) -> dict[str, np.ndarray]:
        """Noise of ``n`` rows by variable."""
        draw = np.random.default_rng(seed)
        return {name: draw.normal(size=n) for name in self.equations}

    def run(
        self, noise: Values, do: Mapping[str, float | np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Values of all variables from noise, under interventions."""
        values: dict[str, np.ndarray] = {}
        for name, equation in self.equations.items():
            found = (do or {}).get(name, equation(values, noise[name]))
            values[name] = np.broadcast_to(found, noise[name].shape)
        return values


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _layer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _softplus(x + 1) + _softplus(0.5 + y) - 3.0


MODELS = {
    "chain": Structural(
        "A -> B -> C",
        {
            "A": lambda v, u: u,
            "B": lambda v, u: np.exp(v["A"] / 2) + u / 4,
            "C": lambda v, u: (v["B"] - 5) ** 3 / 15 + u,
        },
    ),
    "triangle": Structural(
        "A -> B; A -> C; B -> C",
        {
            "A": lambda v, u: u + 1,
            "B": lambda v, u: 2 * v["A"] ** 2 + u,
            "C": lambda v, u: 20 * _sigmoid(v["B"] ** 2 - v["A"]) + u,
        },
    ),
    "fork": Structural(
        "A -> C; B -> C; C -> D",
        {
            "A": lambda v, u: u,
            "B": lambda v, u: u,
            "C": lambda v, u: 4 * _sigmoid(v["A"] + v["B"]) - v["B"] ** 2 + u / 2,
            "D": lambda v, u: 20 * _sigmoid(v["C"] - v["C"] ** 2 / 2) + u,
        },
    ),
    "simpson": Structural(
        "A -> B; A -> C; B -> C; C -> D",
        {
            "A": lambda v, u: u,
            "B": lambda v, u: _softplus(1 - v["A"]) + np.sqrt(3 / 20) * u,
            "C": lambda v, u: np.tanh(2 * v["B"]) + 1.5 * v["A"] - 1 + np.tanh(u),
            "D": lambda v, u: (v["C"] - 4) / 5 + 3 + u / np.sqrt(10),
        },
    ),
    "large back-door": Structural(
        "A -> B; A -> C; B -> D; C -> E; D -> F; E -> G; F -> H; G -> I; H -> I",
        {
            "A": lambda v, u: _softplus(1.8 * u) - 1,
            "B": lambda v, u: 0.25 * u + 1.5 * _layer(v["A"], np.zeros(1)),
            "C": lambda v, u: _layer(v["A"], u),
            "D": lambda v, u: _layer(v["B"], u),
            "E": lambda v, u: _layer(v["C"], u),
            "F": lambda v, u: _layer(v["D"], u),
            "G": lambda v, u: _layer(v["E"], u),
            "H": lambda v, u: 0.3 * u + _layer(v["F"], np.zeros(1)),
            "I": lambda v, u: 0.3 * u + _softplus(v["H"] + 1) * 0.7 + np.tanh(v["G"]),
        },
    ),
    "triangle, non-additive": Structural(
        "A -> B; A -> C; B -> C",
        {
            "A": lambda v, u: u,
            "B": lambda v, u: v["A"] / ((u + v["A"]) ** 2 + 1) + u / 4,
            "C": lambda v, u: (np.abs(u) + 0.3) * (-v["A"] + v["B"] / 2 + np.abs(u) / 5) ** 2,
        },
    ),
    "diamond, non-additive": Structural(
        "A -> B; A -> C; B -> C; B -> D; C -> D",
        {
            "A": lambda v, u: u,
            "B": lambda v, u: (
                np.sqrt(np.abs(v["A"])) * (np.abs(u) + 0.1) / 2 + np.abs(v["A"]) + u / 5
            ),
            "C": lambda v, u: 1 / (1 + (np.abs(u) + 0.5) * np.exp(v["A"] - v["B"])),
            "D": lambda v, u: (v["B"] + v["C"] + u / 4 - 7) ** 2 - 20,
        },
    ),
}
"""The seven models of part (a), by name."""
