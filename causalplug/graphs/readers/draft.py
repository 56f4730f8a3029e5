"""What a reader collects before the graph is built: names, edges of both kinds, and which
variables are hidden."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from causalplug.errors import GraphError
from causalplug.graphs.graph import CausalGraph
from causalplug.wording import as_names, check_known

__all__ = ["Draft", "is_hidden", "is_no", "is_yes"]

_REFUSED = {
    "--": "is undirected, as in a CPDAG",
    "o-o": "has circles, as in a PAG",
    "o->": "has a circle, as in a PAG",
    "o-": "has a circle, as in a PAG",
}


@dataclass
class Draft:
    """A graph while it is read. Hidden variables are projected out by :meth:`build`; none is
    lost on the way."""

    names: dict[str, None] = field(default_factory=dict)
    directed: list[tuple[str, str]] = field(default_factory=list)
    bidirected: list[tuple[str, str]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    complete: bool = False
    """Whether all variables have been declared, so that an edge to another name is an error."""

    def name(self, *names: str) -> None:
        """Declare variables, if they are not declared yet."""
        self.names.update(dict.fromkeys(names))

    def edge(self, left: str, arrow: str, right: str) -> None:
        """Add ``left -> right``, ``left <- right`` or ``left <-> right``.

        Raises:
            GraphError: any other kind of edge, with the reason.
        """
        if not self.complete:
            self.name(left, right)
        if arrow == "->":
            self.directed.append((left, right))
        elif arrow == "<-":
            self.directed.append((right, left))
        elif arrow == "<->":
            self.bidirected.append((left, right))
        else:
            why = _REFUSED.get(arrow, "is of an unknown kind")
            raise GraphError(
                f"the graph cannot be read: the edge between {left!r} and {right!r} {why}; a "
                "causal graph has only -> and <->, so orient the edge, or write <-> for a hidden "
                "common cause"
            )

    def build(self, latents: str | Iterable[str] = ()) -> CausalGraph:
        """The graph over the observed variables; ``latents`` are hidden besides those that were
        marked so."""
        whole = CausalGraph(tuple(self.names), tuple(self.directed), tuple(self.bidirected))
        asked = as_names(latents)
        check_known(asked, whole.index, "the latents cannot be projected out")
        hidden = self.hidden.union(asked)
        if not hidden:
            return whole
        return whole.latent_projection(name for name in whole.variables if name not in hidden)


def is_yes(value: Any) -> bool:
    """Whether an attribute says yes, as a boolean, a number or a word."""
    return str(value).strip().strip('"').casefold() in {"yes", "true", "1", "1.0"}


def is_no(value: Any) -> bool:
    """Whether an attribute says no, as a boolean, a number or a word."""
    return str(value).strip().strip('"').casefold() in {
        "no",
        "false",
        "0",
        "0.0",
        "unobserved",
        "hidden",
        "latent",
    }


def is_hidden(attributes: dict[str, Any]) -> bool:
    """Whether a vertex with these attributes is unobserved: ``observed="no"``, ``latent=True``,
    ``hidden=True``."""
    flags = {str(key).casefold(): value for key, value in attributes.items()}
    return (
        is_no(flags.get("observed", "yes"))
        or any(is_yes(flags.get(key, "no")) for key in ("latent", "hidden", "unobserved"))
        or str(flags.get("type", flags.get("role", ""))).casefold()
        in {"latent", "latents", "hidden", "unobserved"}
    )
