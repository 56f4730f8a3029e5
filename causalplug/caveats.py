"""Caveats: what is known to be doubtful about a model or an answer, in a form that travels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from causalplug.errors import RepositoryError
from causalplug.selection import all_of_kind, by_name
from causalplug.values import Json, Named

__all__ = ["CAVEATS", "Caveat", "unique_caveats"]

CAVEATS: Mapping[str, str] = MappingProxyType(
    {
        "unidentified": "The data do not determine the answer; it is the model's own.",
        "not converged": "A module did not reach the distribution of the rows.",
        "assumption": "The answer rests on what was declared beside the graph.",
        "contradicted graph": "The rows contradict what the graph implies.",
        "weak overlap": "The answer rests on combinations of values that the rows hardly show.",
        "unfit generator": "A frozen generator does not draw what the rows show.",
        "extrapolation": "A value lies beyond the values in the rows.",
        "interpolation": "A value lies between those that an experiment set.",
        "atoms": "A column repeats some values more often than its mechanism can.",
        "heavy tails": "A column has extreme values that its mechanism does not follow.",
        "joint distribution": "The whole model's distribution is not that of the rows.",
        "few rows": "The answer rests on few rows, or on few weighted candidates.",
        "weak proxies": "Declared proxies hardly tell the values of a hidden cause apart.",
        "not checked": "Something that should be checked could not be.",
    }
)
"""The names of caveats, each with what it means."""


@dataclass(frozen=True)
class Caveat:
    """One reason to doubt an answer.

    Attributes:
        name: One of the keys of :data:`CAVEATS`, such as ``"not converged"``.
        subject: What the caveat is about: a variable, a module (``"X+Y"``) or an intervention
            (``"do(T=3)"``).
        text: The reason, a full sentence.
        figures: The numbers behind it, by name.
        variables: The variables that it concerns: answers that run none of them are free of it.
            Empty: every answer has it.

    Raises:
        ValueError: The name is not one of :data:`CAVEATS`.

    Example:
        >>> print(Caveat("not converged", "X+Y", "TVD is .08, the bound .03."))
        not converged (X+Y): TVD is .08, the bound .03.
    """

    name: str
    subject: str
    text: str
    figures: Mapping[str, float] = field(default_factory=dict)
    variables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in CAVEATS:
            raise ValueError(
                f"{self.name!r} is not the name of a caveat; the names are {', '.join(CAVEATS)}."
            )
        object.__setattr__(self, "figures", MappingProxyType(dict(self.figures)))
        object.__setattr__(self, "variables", tuple(self.variables))

    def __hash__(self) -> int:
        return hash((self.name, self.subject, self.text))

    def __reduce__(self) -> tuple[object, ...]:
        return Caveat, (self.name, self.subject, self.text, dict(self.figures), self.variables)

    def __str__(self) -> str:
        return f"{self.name} ({self.subject}): {self.text}"

    def to_dict(self) -> Json:
        """The caveat as JSON values."""
        return {
            "name": self.name,
            "subject": self.subject,
            "text": self.text,
            "figures": dict(self.figures),
            "variables": list(self.variables),
        }

    @classmethod
    def from_dict(cls, data: Named) -> Caveat:
        """The inverse of :meth:`to_dict`.

        Raises:
            RepositoryError: Keys are missing or of a wrong type, or the name is unknown.
        """
        found = by_name(data.get, ("name", "subject", "text"))
        figures, variables = data.get("figures", {}), data.get("variables", [])
        words = [*found.values(), *(variables if isinstance(variables, list) else [None])]
        if isinstance(figures, Mapping):
            numbers = list(figures.values())
        else:
            numbers = [None]
        if not all_of_kind(words, str) or found["name"] not in CAVEATS:
            raise RepositoryError(f"{_short(data)} is not a caveat: its name or a text is wrong.")
        if not all_of_kind(numbers, int | float):
            raise RepositoryError(f"{_short(data)} is not a caveat: its figures are not numbers.")
        return cls(**found, figures=figures, variables=tuple(variables))  # type: ignore[arg-type]


def _short(data: object) -> str:
    text = repr(data)
    if len(text) <= 80:
        return text
    return text[:79] + "…"


def unique_caveats(caveats: Iterable[Caveat]) -> tuple[Caveat, ...]:
    """The caveats in their order, each once."""
    return tuple(dict.fromkeys(caveats))
