"""The card of the model that this recipe trains: ``python -m recipes.mnist_frontdoor.card``.

What the card says of the model is kept beside it, so that a test can write the card anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import causalplug as cp
from causalplug.hub.card import render_card
from causalplug.model.facts import dcm_facts

__all__ = ["CARD", "FACTS", "main"]

CARD = Path(__file__).parents[2] / "model_cards" / "mnist_frontdoor.md"
FACTS = Path(__file__).parent / "card.json"
QUERIES = ["P(A | do(D=1))", "P(A | do(D=0))"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the card of a trained model, and the facts that it is written from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("runs/demo/dcm"))
    dcm = cp.from_pretrained(parser.parse_args(arguments).model)
    facts = dcm_facts(
        dcm,
        title="Front-door on digits",
        license="apache-2.0",
        summary="A digit's image is the only way from treatment to outcome.",
        queries=QUERIES,
    )
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    FACTS.write_text(f"{text}\n", encoding="utf-8")
    CARD.write_text(render_card("dcm", json.loads(text)), encoding="utf-8")


if __name__ == "__main__":
    main()
