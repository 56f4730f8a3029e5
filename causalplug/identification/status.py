"""What identification finds, in a word."""

from __future__ import annotations

from causalplug.values import Word

__all__ = ["Status"]


class Status(Word):
    """The status of a query or of one of its terms.

    Attributes:
        IDENTIFIABLE: The data determine the answer.
        ZERO: The events exclude each other, so the answer is 0.
        UNDEFINED: The evidence excludes itself.
        NOT_IDENTIFIABLE: Proved: two models agree on the data and differ in the answer.
        NOT_SHOWN: Neither is proved.
    """

    IDENTIFIABLE = "identifiable"
    ZERO = "zero"
    UNDEFINED = "undefined"
    NOT_IDENTIFIABLE = "not identifiable"
    NOT_SHOWN = "not shown"

    @property
    def answerable(self) -> bool:
        """Whether there is an answer, if only 0."""
        return self in (Status.IDENTIFIABLE, Status.ZERO)
