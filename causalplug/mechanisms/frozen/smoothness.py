"""Which inputs of an exported network its output depends on without jumps.

A gradient is the whole derivative of an expectation only where the output is continuous in the
input. Rounding, thresholds, comparisons and positions lose it, or a part of it, without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from causalplug.values import Named

__all__ = ["smooth_inputs"]

_COMPARISONS = {"gt", "lt", "ge", "le", "eq", "ne", "isnan", "isinf", "isfinite", "signbit"}
_LOGIC = {"logical_and", "logical_or", "logical_not", "logical_xor", "any", "all", "nonzero"}
_ROUNDING = {"round", "floor", "ceil", "trunc", "frac", "fix", "sign", "sgn", "heaviside"}
_PLACES = {"argmax", "argmin", "argsort", "bucketize", "searchsorted", "one_hot", "histc"}
_REMAINDERS = {"floor_divide", "remainder", "fmod", "detach", "detach_copy", "bincount"}
_JUMPS = _COMPARISONS | _LOGIC | _ROUNDING | _PLACES | _REMAINDERS
_INTEGERS = {"torch.int64", "torch.int32", "torch.int16", "torch.int8", "torch.uint8", "torch.bool"}
_WITH_PLACES = {"sort", "topk", "max", "min", "kthvalue", "median", "mode"}
_WITH_PLACES |= {"max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"}


def smooth_inputs(steps: Named) -> frozenset[str]:
    """The inputs that the output depends on, and by no operator that jumps.

    An operator that only seems to jump, such as a comparison that chooses between two pieces of a
    continuous function, counts as one that does.

    Args:
        steps: What :func:`~causalplug.mechanisms.frozen.exported.export_network` gave.
    """
    smooth: dict[str, set[str]] = {name: {name} for name in steps["inputs"]}
    jumping: dict[str, set[str]] = {}
    operators: dict[str, str] = {}
    for step in steps["steps"]:
        operators[step["name"]] = _operator(step["op"])
        read = list(_mentioned(_arguments(step)))
        reached: set[str] = set()
        for one in read:
            reached.update(smooth.get(one, ()))
        lost: set[str] = set()
        for one in read:
            lost.update(jumping.get(one, ()))
        if _jumps(step, operators):
            reached, lost = set(), lost | reached
        smooth[step["name"]], jumping[step["name"]] = reached, lost
    output = steps["output"]
    return frozenset(smooth.get(output, set()) - jumping.get(output, set()))


def _operator(name: str) -> str:
    return name.partition(":")[2].partition(".")[0]


def _jumps(step: Named, operators: Named) -> bool:
    operator = operators[step["name"]]
    if operator in _JUMPS:
        return True
    if operator == "div" and step["kwargs"].get("rounding_mode"):
        return True
    if operator == "getitem":  # of values and their places: the places
        whole, place = step["args"]
        return operators.get(next(_mentioned(whole), "")) in _WITH_PLACES and place != 0
    return any(kind in _INTEGERS for kind in _types(_arguments(step)))


def _arguments(step: Named) -> list[Any]:
    """What an operator is given; the names of its keywords are left out, of which one may be
    ``dtype``."""
    return [*step["args"], *step["kwargs"].values()]


def _mentioned(item: Any) -> Iterator[str]:
    return (value for kind, value in _tagged(item) if kind == "step")


def _types(item: Any) -> Iterator[str]:
    return (value for kind, value in _tagged(item) if kind == "dtype")


def _tagged(item: Any) -> Iterator[tuple[str, str]]:
    """What a step reads that is no plain value: kind and name.

    An argument of an operator may be called as a kind is: then its value is no name.
    """
    if isinstance(item, dict) and _is_tag(item):
        yield next(iter(item.items()))
    elif isinstance(item, dict):
        for one in item.values():
            yield from _tagged(one)
    elif isinstance(item, list):
        for one in item:
            yield from _tagged(one)


def _is_tag(item: Named) -> bool:
    named = all(isinstance(value, str) for value in item.values())
    return len(item) == 1 and set(item) <= {"step", "dtype"} and named
