"""Reading causal graphs from files, texts and other libraries' objects."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from causalplug.errors import GraphError, GraphFileError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.graphviz import read_dagitty, read_dot
from causalplug.graphs.readers.objects import from_networkx, from_object
from causalplug.graphs.readers.tables import read_bif, read_cg, read_lavaan, read_tetrad
from causalplug.graphs.text import parse_graph
from causalplug.wording import did_you_mean, listed

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "from_networkx",
    "from_object",
    "guess_format",
    "parse_text",
    "read_graph",
]

_DRAFTS: dict[str, Callable[[str], Draft]] = {
    "dot": read_dot,
    "dagitty": read_dagitty,
    "lavaan": read_lavaan,
    "bif": read_bif,
    "cg": read_cg,
    "tetrad": read_tetrad,
}
FORMATS = ("text", *_DRAFTS, "json", "gml", "graphml")
"""The formats that ``format=`` may name."""

SUFFIXES = {
    ".dot": "dot",
    ".gv": "dot",
    ".dagitty": "dagitty",
    ".lavaan": "lavaan",
    ".lav": "lavaan",
    ".bif": "bif",
    ".cg": "cg",
    ".tetrad": "tetrad",
    ".json": "json",
    ".gml": "gml",
    ".graphml": "graphml",
}
"""Which format a file's suffix stands for; the texts in other files (``.txt``) are told apart by how they begin."""


def read_graph(
    path: str | os.PathLike[str], *, format: str | None = None, latents: str | Iterable[str] = ()
) -> CausalGraph:
    """The causal graph in a file.

    Args:
        path: the file, possibly compressed (``.gz``).
        format: one of :data:`FORMATS`; None takes it from the suffix, or from the text where the
            suffix says nothing.
        latents: variables to project out, besides those that the file marks as hidden.

    Raises:
        GraphFileError: there is no such file (a ``FileNotFoundError``, too).
        GraphError: it cannot be opened; an unknown format, or a text that is not in it.
    """
    file = Path(path)
    compressed = file.suffix.casefold() == ".gz"
    suffix = (file.with_suffix("") if compressed else file).suffix.casefold()
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if compressed else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise GraphFileError(
            f"{file} cannot be read: there is no such file; check the path, or give the graph's "
            "text to CausalGraph.parse"
        ) from None
    except UnicodeDecodeError as error:
        raise GraphError(
            f"{file.name} cannot be read: it is no UTF-8 text ({error.reason}); save it as UTF-8"
        ) from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        why = (
            "it is a folder; name a file in it"
            if file.is_dir()
            else getattr(error, "strerror", None) or str(error)
        )
        raise GraphError(f"{file} cannot be read: {why}") from error
    return parse_text(text, format or SUFFIXES.get(suffix) or guess_format(text), latents=latents)


def parse_text(
    text: str, format: str = "text", *, latents: str | Iterable[str] = ()
) -> CausalGraph:
    """The causal graph in ``text``, which is in ``format``, one of :data:`FORMATS`.

    Raises:
        GraphError: an unknown format, or a text that is not in it.
    """
    if format in _DRAFTS:
        return _DRAFTS[format](text).build(latents)
    if format == "text":
        names, directed, bidirected = parse_graph(text)
        return Draft(dict.fromkeys(names), directed, bidirected).build(latents)
    if format == "json":
        return _json(text, latents)
    if format in ("gml", "graphml"):
        return _by_networkx(text, format, latents)
    raise GraphError(
        f"the graph cannot be read: format {format!r} is not known{did_you_mean(format, FORMATS)}; "
        f"it is one of {listed(FORMATS)}"
    )


def guess_format(text: str) -> str:
    """The format of a text, by how it begins."""
    start = text.lstrip().casefold()
    words = start.replace("{", " ").split()
    if start.startswith("<nodes>"):
        return "cg"
    if start.startswith("graph nodes:"):
        return "tetrad"
    if start.startswith("network ") and "variable" in words:
        return "bif"
    if start.startswith("{"):
        return "json"
    if words[:1] in (["digraph"], ["strict"], ["graph"]):
        return "dot"
    if words[:1] in (["dag"], ["pdag"], ["mag"], ["pag"]) and "{" in start:
        return "dagitty"
    return "lavaan" if "~" in start and "->" not in start else "text"


def _json(text: str, latents: str | Iterable[str]) -> CausalGraph:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise GraphError(f"the graph cannot be read: it is no JSON ({error})") from error
    if not isinstance(data, dict):
        raise GraphError(
            "the graph cannot be read: the JSON text is no object with variables or nodes"
        )
    if "nodes" not in data:
        return from_object(CausalGraph.from_dict(data), latents)
    import networkx as nx

    edges = "edges" if "edges" in data else "links"
    try:
        return from_networkx(nx.node_link_graph(data, directed=True, edges=edges), latents)
    except (KeyError, nx.NetworkXError) as error:
        raise GraphError(f"the graph cannot be read: it is no node-link JSON ({error})") from error


def _by_networkx(text: str, format: str, latents: str | Iterable[str]) -> CausalGraph:
    import networkx as nx

    try:
        graph = nx.parse_gml(text) if format == "gml" else nx.parse_graphml(text)
    except (nx.NetworkXError, SyntaxError, ValueError) as error:
        raise GraphError(
            f"the graph cannot be read: it is not in the {format} format ({error})"
        ) from error
    return from_networkx(graph, latents)
