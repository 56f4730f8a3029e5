"""What is asked on the page: one variable, what is set, and what was seen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from causalplug.demo.controls import is_askable, settings
from causalplug.errors import QueryError
from causalplug.identification.events import Event, World
from causalplug.identification.query import Query
from causalplug.values import Named
from causalplug.wording import check_known

if TYPE_CHECKING:
    from causalplug.dcm import DCM

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """What ``outcome`` would be if ``do`` were set, of units of which ``seen`` was seen.

    What was seen was seen in the world as it is: with nothing set the question is one of
    conditioning, with something set it is counterfactual.

    Args:
        outcome: The variable that is asked for.
        do: Values that are set, by variable.
        seen: Values that were seen, by variable.

    Example:
        >>> str(Question("A", {"D": 1}, {"D": 0}).query(number=False))
        'P(A_{D=1} | D=0)'
    """

    outcome: str
    do: Named = field(default_factory=dict)
    seen: Named = field(default_factory=dict)

    @classmethod
    def of(
        cls, dcm: DCM, outcome: str, do: Mapping[str, str | float], seen: Mapping[str, str | float]
    ) -> Question:
        """A question from what stands in the controls.

        Args:
            dcm: The model that is asked.
            outcome: The variable that is asked for.
            do: Texts or numbers of what is set, by variable.
            seen: Texts or numbers of what was seen, by variable.

        Raises:
            UnknownVariableError: A name that is not a variable of the model.
            DataError: A value that the variable does not have.
            QueryError: The outcome is set, or it has no distribution that can be shown.
        """
        check_known([outcome, *do, *seen], dcm.variables, "the question cannot be asked")
        if outcome in do:
            raise QueryError(
                f"{outcome} cannot be asked for: it is set to {do[outcome]}. Ask for another "
                "variable, or do not set this one."
            )
        if not is_askable(dcm.variables[outcome]):
            raise QueryError(
                f"{outcome} cannot be shown: it is of kind {dcm.variables[outcome].kind}. Ask for "
                "another variable, or draw it in Python with DCM.sample."
            )
        return cls(outcome, settings(dcm, do), settings(dcm, seen))

    def query(self, *, number: bool) -> Query:
        """The question as a query: a distribution, or the mean of a ``number``."""
        seen = [Event(name, value) for name, value in self.seen.items()]
        return Query([Event(self.outcome, None, World(self.do))], given=seen, expectation=number)

    @property
    def usual(self) -> Question:
        """The same variable with nothing set and nothing seen, to compare with."""
        return Question(self.outcome)

    @property
    def is_usual(self) -> bool:
        """Whether nothing is set and nothing was seen."""
        return not self.do and not self.seen
