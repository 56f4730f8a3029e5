"""Reading causal graphs from files, texts and other libraries' objects.

Every reader gives a :class:`~causalplug.graphs.readers.draft.Draft`: names, edges and which
variables are hidden. :class:`causalplug.CausalGraph` is built from it.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from causalplug.errors import GraphError, GraphFileError
from causalplug.graphs.readers.draft import Draft
from causalplug.graphs.readers.graphviz import read_dot
from causalplug.graphs.readers.json_graphs import read_json
from causalplug.graphs.readers.lavaan import read_lavaan
from causalplug.graphs.readers.listings import read_cg, read_tetrad
from causalplug.graphs.readers.markup import read_gml, read_graphml
from causalplug.graphs.readers.networks import read_bif, read_bnlearn, read_net
from causalplug.graphs.readers.xml_networks import read_xdsl, read_xmlbif
from causalplug.graphs.text import parse_graph
from causalplug.wording import did_you_mean, listed, shortened

__all__ = ["FORMATS", "SUFFIXES", "guess_format", "read_file", "read_text"]


def _read_plain(text: str) -> Draft:
    names, directed, bidirected = parse_graph(text)
    lists = [line for line in text.splitlines() if "," in line]
    if len(lists) > 1 and not (directed or bidirected):
        raise GraphError(
            f"the graph cannot be read: {shortened(lists[0])!r} and {shortened(lists[1])!r} have "
            "no arrow, and look like rows of a table; write X -> Y, one edge a line"
        )
    return Draft(dict.fromkeys(names), directed, bidirected)


_READERS: dict[str, Callable[[str], Draft]] = {
    "text": _read_plain,
    "dot": read_dot,
    "dagitty": read_dot,
    "lavaan": read_lavaan,
    "bif": read_bif,
    "cg": read_cg,
    "tetrad": read_tetrad,
    "json": read_json,
    "gml": read_gml,
    "graphml": read_graphml,
    "xmlbif": read_xmlbif,
    "xdsl": read_xdsl,
    "net": read_net,
    "bnlearn": read_bnlearn,
}
FORMATS = tuple(_READERS)
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
    ".xmlbif": "xmlbif",
    ".xdsl": "xdsl",
    ".net": "net",
}
"""Which format a file's suffix stands for; the texts in other files (``.txt``, ``.xml``) are told
apart by how they begin."""

_UNREAD = {
    ".dne": "Netica's DNE",
    ".neta": "Netica's NETA",
    ".dsl": "GeNIe's old DSL",
    ".uai": "the UAI format, which has no names",
    ".rds": "R's own format",
    ".rdata": "R's own format",
    ".pkl": "a pickle, which may run code",
    ".pickle": "a pickle, which may run code",
    ".png": "a picture",
    ".svg": "a picture",
    ".pdf": "a picture",
    ".csv": "a table",
    ".tsv": "a table",
    ".gexf": "Gephi's GEXF; save it as GraphML",
    ".mmd": "Mermaid",
    ".mermaid": "Mermaid",
}
_COMMENTS = re.compile(r"\A(?:\s*#[^\n]*(?:\n|\Z))+")
_GML = re.compile(r"(?:(?:creator|version|comment)\b[^\n]*\s+)*graph\s*\[")
_R_CODE = re.compile(r"\b(?:dagitty|dagify|model2network|library|graph_from_literal)\s*\(")
_XML_ROOT = re.compile(r"<(?![?!])([\w:.-]+)")
_XML_FORMATS = {"bif": "xmlbif", "smile": "xdsl", "graphml": "graphml", "nodes": "cg"}


def read_file(path: str | os.PathLike[str], format: str | None = None) -> Draft:
    """The graph in a file, possibly compressed (``.gz``).

    Args:
        path: The file.
        format: One of :data:`FORMATS`; None takes it from the suffix, or from the text where the
            suffix says nothing.

    Raises:
        GraphFileError: There is no such file (a ``FileNotFoundError``, too).
        GraphError: It cannot be opened; an unknown format, or a text that is not in it.
    """
    file = Path(path)
    compressed = file.suffix.casefold() == ".gz"
    suffix = (file.with_suffix("") if compressed else file).suffix.casefold()
    if format is None and suffix in _UNREAD:
        raise GraphError(
            f"{file.name} cannot be read: it is {_UNREAD[suffix]}; export the graph as one of "
            f"{listed(FORMATS, most=20)}, or name its format"
        )
    text = _decoded(file, compressed)
    return read_text(text, format or _certain(text) or SUFFIXES.get(suffix) or guess_format(text))


def read_text(text: str, format: str = "text") -> Draft:
    """The graph in ``text``, which is in ``format``, one of :data:`FORMATS`.

    Raises:
        GraphError: An unknown format, or a text that is not in it.
    """
    if not isinstance(text, str):
        raise GraphError(
            f"the graph cannot be read: {type(text).__name__} is no text; pass a string, or a "
            "file's path to CausalGraph.read"
        )
    if format not in _READERS:
        raise GraphError(
            f"the graph cannot be read: format {shortened(format)!r} is not "
            f"known{did_you_mean(format, FORMATS)}; it is one of {listed(FORMATS, most=20)}"
        )
    return _READERS[format](text)


def guess_format(text: str) -> str:
    """The format of a text, by how it begins.

    Raises:
        GraphError: It begins like a format that is not read.
    """
    start = _COMMENTS.sub("", text[:2000]).strip().casefold()
    if start[:1] in ("'", '"') and start[1:].lstrip()[:1] == "[":
        return "bnlearn"
    words = start.replace("{", " ").split()
    first = ""
    if words:
        first = words[0]
    if start.startswith(("<", "[", "{", "*")):
        return _by_sign(start)
    if start.startswith(("graph nodes:", "graph edges:")):
        return "tetrad"
    _refuse_other_languages(start, words)
    if first == "network" and "variable" in words:
        return "bif"
    if first in ("net", "node") and "{" in start:
        return "net"
    if _GML.match(start):
        return "gml"
    if first in ("digraph", "strict", "graph"):
        return "dot"
    if first in ("dag", "pdag", "mag", "pag") and "{" in start:
        return "dagitty"
    if "~" in text and "->" not in text:
        return "lavaan"
    return "text"


def _refuse_other_languages(start: str, words: list[str]) -> None:
    what = ""
    if words[:1] == ["flowchart"] or start.startswith(("```", "%%", "---")):
        what = "a drawing of Mermaid; write its arrows as X -> Y and X <-> Y, one a line"
    if words[:1] == ["graph"] and re.match(r"graph\s+(?:td|tb|bt|lr|rl)\b(?!\s*\{)", start):
        what = "a drawing of Mermaid; write its arrows as X -> Y and X <-> Y, one a line"
    if start.startswith("@start"):
        what = "PlantUML; write its arrows as X -> Y and X <-> Y, one a line"
    if _R_CODE.search(start):
        what = "R code; give the text of the graph alone, as dag { … } (in R: print(g))"
    if what:
        raise GraphError(f"the graph cannot be read: it looks like {what}")


def _by_sign(start: str) -> str:
    if start.startswith("{"):
        return "json"
    if start.startswith("["):
        return "bnlearn"
    found = _certain(start)
    if found is not None:
        return found
    what = "XML of a kind that is not known"
    if start.startswith("*"):
        what = "a Pajek network"
    raise GraphError(
        f"the graph cannot be read: its text begins like {what} ({shortened(start, 40)!r}); the "
        f"formats are {listed(FORMATS, most=20)}"
    )


def _certain(text: str) -> str | None:
    """The format of an XML text by its root; None for any other text."""
    if not text[:2000].lstrip().startswith("<"):
        return None
    root = _XML_ROOT.search(text)
    if root:
        return _XML_FORMATS.get(root[1].casefold())
    return None


def _decoded(file: Path, compressed: bool) -> str:
    try:
        data = file.read_bytes()
        return (gzip.decompress(data) if compressed else data).decode("utf-8-sig")
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
        raise GraphError(f"{file} cannot be read: {_why(file, error)}") from error


def _why(file: Path, error: Exception) -> str:
    if file.is_dir():
        return "it is a folder; name a file in it"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error)
