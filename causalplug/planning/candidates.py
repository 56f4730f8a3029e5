"""Which pretrained models could be which variables: what each generates, on which conditions,
whether it fits, and which map it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from causalplug.errors import PlanError
from causalplug.graphs.graph import CausalGraph
from causalplug.planning.objectives import kind_of
from causalplug.planning.pulling import confounded_by
from causalplug.selection import all_of_kind, map_values, pick, within, without
from causalplug.values import Json, Named
from causalplug.wording import listed

if TYPE_CHECKING:
    from causalplug.variables import Variable

__all__ = ["Candidate", "CandidateFit", "candidate_of", "judge_candidates", "wanted_model"]

_WHAT = {
    "image": "an image generator",
    "discrete": "a classifier",
    "continuous": "a regressor",
    "vector": "an embedding, or a generator of vectors",
    "text": "a language model",
}
_READS_PICTURES = {
    "image": "an image-to-image model",
    "discrete": "a classifier of images",
    "continuous": "a regressor of images",
    "vector": "an embedding of images",
    "text": "a captioning model",
}
_READS_TEXTS = {
    "image": "a text-to-image model",
    "discrete": "a classifier of texts",
    "continuous": "a regressor of texts",
    "vector": "an embedding of texts",
    "text": "a model from texts to texts",
}
_READS_COLUMNS = {
    "discrete": "a tabular predictor with predict_proba, or a classifier",
    "continuous": "a tabular predictor, or a regressor",
}


@dataclass(frozen=True)
class Candidate:
    """A pretrained model, as its repository declares it.

    Attributes:
        label: Its repository, or what else messages call it.
        generates: What it generates; None where it does not say.
        conditions: What it reads, by name; None for a condition of unknown kind.
        labels: Its conditions are labels that a label map can make of any discrete parents.
        prompts: What it reads is told to it by prompts.
        what: What it is, in words.
        unfit: Why it cannot be the mechanism of any variable; empty where that is not known.
    """

    label: str
    generates: Variable | None
    conditions: tuple[tuple[str, Variable | None], ...] = ()
    labels: bool = False
    prompts: bool = False
    what: str = "a mechanism"
    unfit: str = ""


@dataclass(frozen=True)
class CandidateFit:
    """Whether one candidate fits one variable.

    Attributes:
        candidate: Its repository or class.
        generates: What it generates, in words.
        conditions: What it reads, in words.
        variable: The variable; None where no variable is of its kind.
        fits: Whether it can be the mechanism of the variable.
        needs: The argument that makes it fit, empty where none is needed.
        why: The reason, where it does not fit.
    """

    candidate: str
    generates: str
    conditions: tuple[str, ...]
    variable: str | None
    fits: bool
    needs: str = ""
    why: str = ""

    def __str__(self) -> str:
        reads = listed(self.conditions) if self.conditions else "nothing"
        head = f"{self.candidate}: generates {self.generates}, reads {reads}"
        if self.variable is None:
            return f"{head}: {self.why}"
        if not self.fits:
            return f"{head}: does not fit {self.variable}: {self.why}"
        if self.needs:
            return f"{head}: fits {self.variable} with {self.needs}"
        return f"{head}: fits {self.variable}"

    def to_dict(self) -> Json:
        """What JSON can hold, one entry per attribute."""
        return {
            "candidate": self.candidate,
            "generates": self.generates,
            "conditions": list(self.conditions),
            "variable": self.variable,
            "fits": self.fits,
            "needs": self.needs,
            "why": self.why,
        }

    @classmethod
    def from_dict(cls, data: Named) -> CandidateFit:
        """Inverse of :meth:`to_dict`."""
        fields = dict(data)
        return cls(conditions=tuple(fields.pop("conditions")), **fields)


@runtime_checkable
class Declared(Protocol):
    """A mechanism that says what it generates and reads before it is bound."""

    def declared_output(self) -> Variable:
        """What it generates."""
        ...

    def declared_inputs(self) -> Mapping[str, Variable | None]:
        """What it reads, by name."""
        ...


def candidate_of(given: object) -> Candidate:
    """What a user gives as a candidate.

    Raises:
        PlanError: It is neither a mechanism nor a :class:`Candidate`.
    """
    if isinstance(given, Candidate):
        return given
    if isinstance(given, Declared) and not isinstance(given, type):
        labelled = hasattr(given, "labels")
        return Candidate(
            type(given).__name__,
            given.declared_output(),
            tuple(given.declared_inputs().items()),
            labels=labelled,
            what=type(given).__name__,
        )
    raise PlanError(
        f"candidates= cannot be used with a {type(given).__name__}: give repositories, folders or "
        "mechanisms"
    )


def judge_candidates(
    graph: CausalGraph, candidates: Sequence[object], kinds: Named | None
) -> tuple[CandidateFit, ...]:
    """The verdict on every candidate for every variable of its kind.

    Args:
        graph: The causal graph.
        candidates: What :func:`candidate_of` takes.
        kinds: Variable to its kind in a word, or to its declaration, where known.

    Raises:
        PlanError: Something else is given.
    """
    known = dict(kinds or {})
    found: list[CandidateFit] = []
    for candidate in map(candidate_of, candidates):
        found += _judged(graph, candidate, known)
    return tuple(found)


def _judged(graph: CausalGraph, candidate: Candidate, kinds: Named) -> list[CandidateFit]:
    if candidate.generates is None:
        made = candidate.what
        unknown = "its files do not say what it generates and reads; load it to see"
        why = candidate.unfit or unknown
        return [CandidateFit(candidate.label, made, (), None, False, "", why)]
    kind = candidate.generates.kind
    mine = [name for name in graph.variables if kind_of(kinds.get(name, kind)) == kind]
    stated = within(mine, kinds)
    verdicts = [_verdict(graph, candidate, name, kinds) for name in stated or mine]
    if verdicts:
        return verdicts
    why = f"no variable is {candidate.generates.describe()}"
    return [_entry(candidate, None, False, "", why)]


def _entry(
    candidate: Candidate, variable: str | None, fits: bool, needs: str = "", why: str = ""
) -> CandidateFit:
    generates = "" if candidate.generates is None else candidate.generates.describe()
    reads = tuple(_reads(candidate, name, kind) for name, kind in candidate.conditions)
    return CandidateFit(candidate.label, generates, reads, variable, fits, needs, why)


def _reads(candidate: Candidate, name: str, kind: Variable | None) -> str:
    if candidate.prompts:
        return f"{name} (by prompts)"
    if kind is None:
        return name
    return f"{name} ({kind.describe()})"


def _verdict(graph: CausalGraph, candidate: Candidate, variable: str, kinds: Named) -> CandidateFit:
    if graph.siblings(variable):
        return _entry(candidate, variable, False, "", confounded_by(graph, variable))
    why = _output_differs(candidate, kinds.get(variable))
    needs: list[str] = []
    if why == "size":
        needs, why = ['transform="resize"'], ""
    if not why:
        pairs, why = _pairs(graph.parents(variable), candidate, kinds)
        needs += [need for need in (_map(candidate, pairs, kinds),) if need and not why]
    if why:
        return _entry(candidate, variable, False, "", why)
    return _entry(candidate, variable, True, ", ".join(needs))


def _unknown_category(own: Any, declared: Any) -> str:
    unknown = without(own.categories, declared.categories)
    if unknown:
        return f"it gives {unknown[0]!r}, which is not among the values of the variable"
    return ""


def _output_differs(candidate: Candidate, declared: Any) -> str:
    """Why a candidate does not generate what is declared; ``"size"`` of an image whose generator
    can be resized, empty where it does."""
    own = candidate.generates
    if own is None or declared is None or isinstance(declared, str):
        return ""
    if own.is_discrete:
        return _unknown_category(own, declared)
    if own.event_shape == declared.event_shape or own.kind == "text":
        return ""
    if own.is_image and candidate.labels and own.channels == declared.channels:
        return "size"
    return f"it generates {own.describe()}, and the variable is {declared.describe()}"


def _pairs(
    parents: Sequence[str], candidate: Candidate, kinds: Named
) -> tuple[dict[str, str], str]:
    """Condition to parent, and why there is no such pairing."""
    names = [name for name, _ in candidate.conditions]
    if candidate.labels or candidate.prompts:
        return _labelled(names, parents, kinds)
    same = within(names, parents)
    pairs = dict(zip(same, same, strict=True))
    left = without(names, pairs)
    unread = without(parents, pairs.values())
    if len(left) != len(unread):
        reads = listed(names) if names else "nothing"
        return {}, f"it reads {reads}, and the parents are {listed(parents)}"
    for name in left:
        kind = dict(candidate.conditions)[name]
        fitting = next((one for one in unread if _readable(kind, kinds.get(one))), None)
        if fitting is None:
            said = name if kind is None else f"{name} ({kind.describe()})"
            return {}, f"no parent can be read as {said}"
        pairs[name] = fitting
        unread.remove(fitting)
    return pairs, ""


def _labelled(
    names: Sequence[str], parents: Sequence[str], kinds: Named
) -> tuple[dict[str, str], str]:
    """Labels follow from discrete parents by a map."""
    wrong = [one for one in parents if kind_of(kinds.get(one, "discrete")) != "discrete"]
    if wrong:
        return {}, f"its labels cannot be made of {wrong[0]}, which is not discrete"
    if not names and parents:
        return {}, f"it reads nothing, and the parents are {listed(parents)}"
    if names and not parents:
        return {}, f"it reads {listed(names)}, and the variable has no parents"
    if len(names) == len(parents):
        return dict(zip(names, parents, strict=True)), ""
    return {}, ""


def _readable(kind: Variable | None, declared: object) -> bool:
    if kind is None or declared is None:
        return True
    found = kind_of(declared)
    if kind.is_number:
        return found in ("continuous", "count", "discrete")
    return found == kind.kind


def _entries(candidate: Candidate, pairs: Mapping[str, str], kinds: Named) -> list[str]:
    """The pairs that have to be written out: values that are not known, or names that differ."""
    own = dict(candidate.conditions)
    entries = []
    for name, parent in pairs.items():
        if not _values_known(own[name], kinds.get(parent)):
            entries.append(f'"{name}": ("{parent}", {{value: {name}, …}})')
        elif name != parent and len(pairs) > 1:
            entries.append(f'"{name}": "{parent}"')
    return entries


def _map(candidate: Candidate, pairs: Mapping[str, str], kinds: Named) -> str:
    """The argument that makes conditions of parents."""
    names = [name for name, _ in candidate.conditions]
    if not names:
        return ""
    if candidate.prompts:
        return "prompts={value: prompt, …}"
    if not pairs:
        return "label_map={values of the parents: label, …}"
    entries = _entries(candidate, pairs, kinds)
    if not entries:
        return ""
    word = "label_map" if candidate.labels else "reads"
    if candidate.labels and len(pairs) == 1:
        return f"label_map={{value of {next(iter(pairs.values()))}: {names[0]}, …}}"
    return f"{word}={{{', '.join(entries)}}}"


def _values_known(kind: Variable | None, declared: Any) -> bool:
    """Whether a condition knows all values of a parent; True where either is not known."""
    if kind is None or declared is None or isinstance(declared, str):
        return True
    if kind.is_discrete and declared.is_discrete:
        return all(value in kind.categories for value in declared.categories)
    if kind.is_number and declared.is_discrete:
        return all_of_kind(declared.categories, int | float)
    return True


def wanted_model(graph: CausalGraph, variable: str, kinds: Named | None) -> str:
    """What kind of model could be the mechanism of a variable, in words; empty where none could be
    or the kind is not known.

    Nothing is pretrained for a number or a category without parents, which its rows give, nor for
    counts.
    """
    known = dict(kinds or {})
    if variable not in known:
        return ""
    kind = kind_of(known[variable])
    parents = graph.parents(variable)
    if kind not in _WHAT or (not parents and kind in _READS_COLUMNS):
        return ""
    if not parents:
        return _WHAT[kind]
    of_parents = map_values(kind_of, pick(known, within(parents, known)))
    reads = [f"{p} ({of_parents[p]})" if p in of_parents else p for p in parents]
    return f"{_of_kind(kind, set(of_parents.values()))} that reads {listed(reads)}"


def _of_kind(kind: str, parents: Collection[str]) -> str:
    """What generates a variable of a kind from parents of these kinds."""
    if "image" in parents:
        return _READS_PICTURES[kind]
    if "text" in parents:
        return _READS_TEXTS[kind]
    if parents:
        return _READS_COLUMNS.get(kind, _WHAT[kind])
    return _WHAT[kind]
