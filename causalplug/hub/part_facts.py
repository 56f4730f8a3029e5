"""The facts of a mechanism's or an encoder's card, read off the part itself."""

from __future__ import annotations

__all__ = ["describe_values", "part_facts"]

from typing import TYPE_CHECKING, Any

from causalplug.selection import map_values
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from causalplug.variables import Variable


def describe_values(variable: Variable) -> str:
    """The values of a variable in a few words."""
    return variable.describe()


def part_facts(part: Any, *, title: str, more: Named) -> Json:
    """Collect what :func:`~causalplug.hub.card.render_card` writes about a mechanism or an encoder.

    Args:
        part: What is described.
        title: Title of the card.
        more: Further facts of its card: ``repo_id``, ``summary``, ``datasets``, ``trained_on``,
            ``paper``, ``metrics``…

    Returns:
        facts for ``render_card(part.card_kind, …)``.
    """
    facts: Json = {"title": title, "license": part.license, "source": part.source}
    if part.card_kind == "encoder":
        facts |= {"reads": describe_values(part.variable), "gives": f"{part.size} numbers"}
    else:
        labels = map_values(_read, part.declared_inputs())
        facts |= {"output": describe_values(part.declared_output()), "labels": labels}
    if part.card_kind == "encoder":
        kind = part.variable.kind
    else:
        kind = part.declared_output().kind
    return {
        **facts,
        **more,
        "tags": ["image" if kind == "image" else "tabular", *more.get("tags", [])],
    }


def _read(variable: Variable | None) -> str:
    if variable is None:
        return "the parent of this name"
    return describe_values(variable)
