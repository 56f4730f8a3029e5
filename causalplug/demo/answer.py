"""Answers of the page: numbers with intervals, how they come about, and bounds where the data do
not determine them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalplug.demo.question import Question
from causalplug.errors import CausalPlugError, NotIdentifiableError, QueryError
from causalplug.sampling.answers import Estimate
from causalplug.sampling.bounded import model_bounds
from causalplug.uncertainty.drivers import Drivers, drivers_of

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.checks.bounds import Bounds
    from causalplug.dcm import DCM
    from causalplug.identification.identification import Identification

__all__ = ["Answer", "ask", "identified"]

_STATUS = {
    "identifiable": "The data determine this answer.",
    "zero": "This cannot happen: its probability is 0 in every model of the graph.",
    "undefined": "What was seen cannot happen, so that there is nothing to ask about.",
    "not identifiable": "The data do not determine this answer.",
    "not shown": "Whether the data determine this answer is not known.",
}
_ALLOWED = (
    "The bounds are those of the model's own distribution; the chance in its rows comes on top, "
    "see causalplug.bounds."
)
_UNKNOWN = "Whether data determine this answer was not checked: the model does not know its rows."


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known about a question.

    Attributes:
        question: The question.
        query: The question in the notation of causalplug.
        estimate: The model's answer; None for an image, or where the question was refused.
        bounds: What the data allow where the question was refused; None where that is not known.
        usual: The answer with nothing set and nothing seen, to compare with; None where there is
            none, or where the question is this one.
        refused: Whether the data do not determine the answer.
        verdict: Whether the data determine the answer, as a sentence.
        reason: How the answer is worked out, or why there is none, as sentences.
        notes: What is doubtful, and what the intervals hold, as sentences.
        drivers: What the answer rests on; None where there is no estimate.
    """

    question: Question
    query: str
    estimate: Estimate | None
    bounds: Bounds | None
    usual: Estimate | None
    refused: bool
    verdict: str
    reason: str
    notes: tuple[str, ...]
    drivers: Drivers | None = None

    @property
    def table(self) -> pd.DataFrame:
        """Value, estimate and the ends of its interval; bounds where the question was refused."""
        found = self._numbers
        if found is None:
            import pandas as pd

            return pd.DataFrame()
        first = str(found.columns[0])
        names = {"low": "lower_bound", "high": "upper_bound"} if self.refused else {}
        if first not in ("estimate", "low"):
            names[first] = self.question.outcome
        table = found.rename(columns=names)
        wanted = [self.question.outcome, "estimate", "lower_bound", "upper_bound", "low", "high"]
        return table[[name for name in wanted if name in table and table[name].notna().any()]]

    @property
    def _numbers(self) -> pd.DataFrame | None:
        if self.estimate is not None:
            return self.estimate.table
        if self.bounds is not None:
            return self.bounds.table
        return None


def ask(
    dcm: DCM,
    question: Question,
    *,
    n: int | None = None,
    seed: int = 0,
    time_limit: float | None = 60.0,
) -> Answer:
    """Answer a question of the page.

    What the data do not determine is refused, with the bounds that they allow.

    Args:
        dcm: The model that is asked.
        question: The question.
        n: Rows that are sampled; by default as many as :meth:`causalplug.DCM.estimate` takes.
        seed: Seed of the noise.
        time_limit: Seconds that the search for rows with what was seen may take.

    Raises:
        QueryError, DataError, SamplingError: The question cannot be asked, or what was seen is too
            rare.
    """
    variable = dcm.variables[question.outcome]
    query = question.query(number=variable.is_number)
    text = str(query)
    if variable.is_image:
        found = identified(dcm, question)
        return _of_image(question, text, found)
    try:
        estimate = dcm.estimate(query, n, seed=seed, time_limit=time_limit, progress=False)
    except NotIdentifiableError as refusal:
        return _bounded(dcm, question, text, refusal)
    usual = None
    if not question.is_usual:
        usual = _usual(dcm, question, n, seed)
    found = estimate.identification
    return Answer(
        question,
        text,
        estimate,
        None,
        usual,
        refused=False,
        verdict=_verdict(found),
        reason=_words(found),
        notes=_notes(estimate),
        drivers=drivers_of(dcm, estimate),
    )


def _usual(dcm: DCM, question: Question, n: int | None, seed: int) -> Estimate | None:
    variable = dcm.variables[question.outcome]
    query = question.usual.query(number=variable.is_number)
    try:
        return dcm.estimate(query, n, seed=seed, progress=False)
    except NotIdentifiableError:
        return None


def _bounded(dcm: DCM, question: Question, text: str, refusal: NotIdentifiableError) -> Answer:
    """A refusal, with what the data allow."""
    query = question.query(number=dcm.variables[question.outcome].is_number)
    found = None
    try:
        found = model_bounds(dcm, query)
        notes = (_ALLOWED, *(f"{note[:1].upper()}{note[1:]}." for note in found.notes))
    except QueryError as why:
        notes = (f"There are no bounds either: {why}",)
    except CausalPlugError as why:
        notes = (f"Bounds could not be computed: {why}",)
    identification = refusal.identification
    return Answer(
        question,
        text,
        None,
        found,
        None,
        refused=True,
        verdict=_verdict(identification),
        reason=_words(identification) or str(refusal),
        notes=notes,
    )


def identified(dcm: DCM, question: Question) -> Identification | None:
    """Whether the data determine the distribution that is asked for; None where it is not known
    what the model was trained on."""
    from causalplug.identification.identification import identify

    if dcm.sources is None:
        return None
    return identify(dcm.graph, question.query(number=False), sources=dcm.sources)


def _of_image(question: Question, text: str, found: Identification | None) -> Answer:
    refused = found is not None and not found.answerable
    return Answer(question, text, None, None, None, refused, _verdict(found), _words(found), ())


def _verdict(found: object) -> str:
    status = _status(found)
    return _STATUS.get(status, _UNKNOWN)


def _status(found: object) -> str:
    from causalplug.identification.identification import Identification

    if isinstance(found, Identification):
        return found.status
    return ""


def _words(found: object) -> str:
    from causalplug.identification.identification import Identification

    if isinstance(found, Identification):
        return found.in_words
    return ""


def _notes(estimate: Estimate) -> tuple[str, ...]:
    caveats = [f"{c.name.capitalize()}: {c.text}" for c in estimate.warnings]
    if estimate.interval:
        caveats.append(f"{estimate.interval[:1].upper()}{estimate.interval[1:].rstrip('.')}.")
    return tuple(caveats)
