"""The chest clinic of Lauritzen & Spiegelhalter 1988, known as Asia: its published
probabilities."""

from __future__ import annotations

from pathlib import Path

from recipes.networks import Network

__all__ = ["HIDDEN", "chest_clinic"]

HIDDEN = ("smoke", "bronc")

# Lauritzen & Spiegelhalter, "Local computations with probabilities on graphical structures and
# their application to expert systems", Journal of the Royal Statistical Society B 50 (1988), table
# 2. Every row is P(yes), P(no) at the parents' values, yes before no.
_TABLES = {
    "asia": ((), [0.01, 0.99]),
    "tub": (("asia",), [[0.05, 0.95], [0.01, 0.99]]),
    "smoke": ((), [0.5, 0.5]),
    "lung": (("smoke",), [[0.1, 0.9], [0.01, 0.99]]),
    "bronc": (("smoke",), [[0.6, 0.4], [0.3, 0.7]]),
    "either": (("lung", "tub"), [[[1, 0], [1, 0]], [[1, 0], [0, 1]]]),
    "xray": (("either",), [[0.98, 0.02], [0.05, 0.95]]),
    "dysp": (("bronc", "either"), [[[0.9, 0.1], [0.8, 0.2]], [[0.7, 0.3], [0.1, 0.9]]]),
}


def chest_clinic(path: str | Path | None = None) -> Network:
    """The network with smoking and bronchitis hidden: as published, or from a BIF file of it.

    Raises:
        DataError: The file cannot be read, or is another network.
    """
    if path is not None:
        return Network.read_bif(path, hidden=HIDDEN)
    return Network(_TABLES, dict.fromkeys(_TABLES, ("yes", "no")), HIDDEN)
