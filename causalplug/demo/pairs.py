"""Pictures before and after: images of the same noise, as things are and with something set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalplug.demo.answer import identified
from causalplug.demo.question import Question
from causalplug.errors import NotIdentifiableError, VariableError
from causalplug.wording import listed

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.dcm import DCM

__all__ = ["Pairs", "pairs"]

_NOTE = "the data do not determine which image belongs to which"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images of the same noise under several settings.

    Attributes:
        rows: A caption for each line of images, and the images as PIL pictures.
        note: What has to be known about them; empty where there is nothing.
    """

    rows: dict[str, list[object]]
    note: str = ""


def pairs(
    dcm: DCM, image: str, question: Question, *, n: int = 8, seed: int = 0, time_limit: float = 60.0
) -> Pairs:
    """Images as things are, and the same ones under what is set.

    With something seen and something set these are the two worlds of one unit. Which image of the
    one world belongs to which of the other is seldom determined by data; ``note`` says so.

    Args:
        dcm: The model.
        image: The image variable.
        question: What is set and what was seen.
        n: Images of each line.
        seed: Seed of the noise.
        time_limit: Seconds that the search for rows with what was seen may take.

    Raises:
        VariableError: ``image`` is not an image variable of the model.
        NotIdentifiableError: The data do not determine how these images are distributed.
        SamplingError: What was seen is too rare.
    """
    declared = dcm.variables.get(image)
    if declared is None or not declared.is_image:
        images = [name for name, variable in dcm.variables.items() if variable.is_image]
        raise VariableError(
            f"{image!r} has no pictures: it is not an image variable of the model; those are "
            f"{listed(images)}."
        )
    found = identified(dcm, Question(image, question.do, question.seen))
    if found is not None and not found.answerable:
        raise NotIdentifiableError(
            f"{image} cannot be drawn: its distribution is {found.status}. {found.in_words}", found
        )
    if question.seen:
        return _of_units(dcm, image, question, n, seed, time_limit)
    before = _drawn(dcm, image, {}, n, seed)
    rows = {"as things are": list(before[image])}
    if question.do:
        after = _drawn(dcm, image, dict(question.do), n, seed)
        rows[f"do({_assigned(question)})"] = list(after[image])
        return Pairs(rows, f"Each column has the same noise; {_NOTE}.")
    return Pairs(rows)


def _drawn(dcm: DCM, image: str, do: dict[str, object], n: int, seed: int) -> pd.DataFrame:
    return dcm.sample(n, do=do, variables=[image], seed=seed, images="pil", progress=False)


def _of_units(
    dcm: DCM, image: str, question: Question, n: int, seed: int, time_limit: float
) -> Pairs:
    """The units of which something was seen, in both worlds."""
    seen = dict(question.seen)
    caption = f"seen: {', '.join(f'{k}={v}' for k, v in seen.items())}"
    if not question.do:
        drawn = dcm.sample(
            n,
            given=seen,
            variables=[image],
            seed=seed,
            images="pil",
            time_limit=time_limit,
            progress=False,
        )
        return Pairs({caption: list(drawn[image])})
    drawn = dcm.counterfactual(
        n,
        evidence=seen,
        do=dict(question.do),
        variables=[image],
        factual=True,
        seed=seed,
        images="pil",
        allow_unidentified=True,
        time_limit=time_limit,
        progress=False,
    )
    rows = {
        caption: list(drawn["factual", image]),
        f"had {_assigned(question)}": list(drawn["counterfactual", image]),
    }
    if drawn.attrs["identification"] in ("identifiable", "zero"):
        return Pairs(rows, "Each column is one unit.")
    return Pairs(rows, f"Each column is one unit of the model; {_NOTE}.")


def _assigned(question: Question) -> str:
    return ", ".join(f"{name}={value}" for name, value in question.do.items())
