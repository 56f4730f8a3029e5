"""Images whose counterfactuals are wanted, as ``counterfactuals=`` names them."""

from __future__ import annotations

from collections.abc import Iterable

from causalplug.arguments import FLAG, NAMES
from causalplug.errors import VariableError
from causalplug.graphs.graph import CausalGraph
from causalplug.planning.objectives import kind_of
from causalplug.values import Named
from causalplug.wording import as_names, check_known

__all__ = ["COUNTERFACTUALS", "counterfactual_images"]

COUNTERFACTUALS = FLAG.or_else(NAMES)
"""What ``counterfactuals=`` may be."""


def counterfactual_images(
    graph: CausalGraph, asked: bool | str | Iterable[str], kinds: Named | None
) -> tuple[str, ...]:
    """The images whose counterfactuals are wanted, in the graph's order.

    Args:
        graph: The causal graph.
        asked: Names of images; True for all of them, False for none.
        kinds: Variable -> word or declaration, where known.

    Raises:
        UnknownVariableError: A name that is not a variable.
        VariableError: A variable that is known to be no image, or True where kinds are unknown.
    """
    if asked is False:
        return ()
    known = kinds or {}
    if asked is True:
        unknown = [name for name in graph.variables if name not in known]
        if unknown:
            raise VariableError(
                "counterfactuals=True cannot be planned: which variables are images is not known, "
                f"such as {unknown[0]}; give kinds=, or the names of the images"
            )
        return tuple(name for name in graph.variables if _is_image(known[name]))
    names = as_names(asked)
    check_known(names, graph.index, "counterfactuals= cannot be used")
    for name in names:
        if name in known and not _is_image(known[name]):
            raise VariableError(
                f"counterfactuals= cannot name {name}: it is no image, and the mechanism that it "
                "gets recovers its noise in any case; name images alone, or give True for all"
            )
    return graph.named(graph.positions(names))


def _is_image(declaration: object) -> bool:
    from causalplug.variables import variable_class

    found = variable_class(kind_of(declaration))
    return found is not None and found.is_image
