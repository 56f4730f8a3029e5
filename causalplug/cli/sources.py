"""Data sources on the command line: tables by their header, lists in a file, or the distribution
as text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from causalplug.cli.files import read_file
from causalplug.cli.given import assigned, bare, names, parts
from causalplug.errors import SourceError
from causalplug.files.validation import check_keys
from causalplug.graphs.source import Source
from causalplug.selection import all_of_kind, without
from causalplug.values import Json, Named

__all__ = [
    "SOURCE",
    "TEXT_KEYS",
    "beside",
    "declared_source",
    "read_given_sources",
    "source_option",
]

_DISTRIBUTION = re.compile(
    r"\s*P\s*\((?P<recorded>[^|()]*)(?:\|\s*do\s*\((?P<do>[^()]*)\)\s*)?\)\s*"
)
SOURCE = {
    "file?": str,
    "recorded?": list[str] | str,
    "do?": list[str] | dict[str, object] | str,
    "values?": dict[str, list[object]],
    "columns?": list[str] | dict[str, str],
    "name?": str,
    "where?": dict[str, object],
    "separator?": str,
    "decimal?": str,
    "encoding?": str,
}
"""An entry of a list of sources, for :func:`~causalplug.files.validation.check_keys`."""

_TEXTS = (".csv", ".tsv", ".txt", ".dat")
TEXT_KEYS = ("separator", "decimal", "encoding")
"""Keys of an entry that say how its text file is written."""

source_option = click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="What was recorded: a table (its header counts), a folder of images, a .toml or .json "
    "list of sources, or 'P(X, Y | do(Z))'. FILE:do=Z,W says what was set in a table. Repeatable; "
    "default: all variables, observed.",
)


def read_given_sources(texts: Iterable[str], *, columns: str | None = None) -> list[Source] | None:
    """Data sources as they are given on the command line; None without any.

    Args:
        texts: The sources.
        columns: Names of the columns that are taken from tables, separated by commas; all by
            default.

    Raises:
        SourceError: A file that is missing or says nothing about sources.
    """
    if columns is None:
        chosen = None
    else:
        chosen = names(columns)
    found = []
    for text in texts:
        found.extend(_sources(text, chosen))
    return found or None


def _sources(text: str, columns: list[str] | None) -> list[Source]:
    path, marked, do = text.partition(":do=")
    if not os.path.exists(path):
        written = _DISTRIBUTION.fullmatch(text)
        if written is None:
            raise SourceError(
                f"the source {text!r} cannot be read: there is no such file, and it is not of the "
                "form 'P(X, Y | do(Z))'; check the path, or write which variables were recorded"
            )
        return [Source(names(written["recorded"]), do=_set_to(written["do"] or ""))]
    if path.endswith((".toml", ".json")):
        if marked:
            raise SourceError(
                f'{path} cannot be used with :do=: write do = ["Z"] into the file, source by source'
            )
        return read_source_list(Path(path))
    found = header(Path(path), chosen=columns)
    if columns is not None:
        found = renamed(found, {"file": path, "columns": columns})
    return [Source(found, do=_set_to(do), name=Path(path).name + marked + do)]


def _set_to(text: str) -> Json:
    """``Z,W=1`` as a mapping from name to value, None where any was set."""
    found: Json = {}
    for part in parts(text):
        key, sign, value = assigned(part)
        if value:
            found[key if sign else bare(part)] = _number(value)
        else:
            found[key if sign else bare(part)] = None
    return found


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_source_list(path: Path) -> list[Source]:
    """The sources that a .toml or .json file lists under ``sources``, a run's file included.

    Raises:
        SourceError: It is no such list.
    """
    data = read_file(path)
    listed = data.get("sources", [data] if "recorded" in data else None)
    if not isinstance(listed, list) or not listed or not all_of_kind(listed, dict):
        raise SourceError(
            f"{path} cannot be used: it lists no sources; write for each one [[sources]] with "
            'file = "rows.csv" or '
            'recorded = ["X", "Y"] and, for an experiment, do = ["X"]'
        )
    found = []
    for item in listed:
        found.append(declared_source(check_keys(item, SOURCE, where=str(path)), path))
    return found


def declared_source(item: Named, path: Path) -> Source:
    """The source that an entry of a file declares: by the header of a table, or by the names of
    what was recorded.

    Args:
        item: An entry, checked against :data:`SOURCE`.
        path: The file that it is in; tables are looked for beside it.

    Raises:
        SourceError: It has neither ``file`` nor ``recorded``, or the table lacks a column.
    """
    do = item.get("do", [])
    if not isinstance(do, dict):
        do = dict.fromkeys([do] if isinstance(do, str) else do)
    do = do | item.get("values", {})
    if ("file" in item) == ("recorded" in item):
        raise SourceError(
            f'{path} cannot be used: a source needs file = "rows.csv" or recorded = ["X", "Y"], '
            "and not both"
        )
    if "recorded" in item:
        return Source(item["recorded"], do=do, name=item.get("name"))
    options = {key: item[key] for key in TEXT_KEYS if key in item}
    columns = header(beside(item["file"], path), chosen=item.get("columns"), options=options)
    columns = renamed(columns, item)
    return Source(
        [*columns, *(name for name in do if name not in columns)],
        do=do,
        name=item.get("name", item["file"]),
    )


def beside(name: str, path: Path) -> Path:
    """The table called ``name`` in a file at ``path``.

    Raises:
        SourceError: There is no such file.
    """
    found = path.parent / name
    if not found.exists():
        raise SourceError(
            f"{name} cannot be read: there is no such file beside {path}; check the path"
        )
    return found


def header(
    path: Path, *, chosen: object = None, options: Mapping[str, str] | None = None
) -> list[str]:
    """The columns of a table, or of a folder of images, without its rows.

    Args:
        path: The file or folder.
        chosen: The columns that will be taken; without it every column needs a name.
        options: Separator, decimal sign and encoding of a text file.

    Raises:
        SourceError, DataError: It cannot be read, or is of no known kind.
    """
    from causalplug.data.dialect import TextOptions, detect

    if (path / "metadata.csv").is_file():
        columns = header(path / "metadata.csv")
        return [
            "image" if name == "file_name" else name.removesuffix("_file_name") for name in columns
        ]
    name = path.name.casefold()
    for suffix in (".gz", ".bz2", ".zst"):
        name = name.removesuffix(suffix)
    if path.is_dir() or not name.endswith(_TEXTS):
        from causalplug.data.source import DataSource

        return list(DataSource(path).names)
    columns = list(detect(path, TextOptions(**(options or {}))).names)
    if chosen is None and any(not column.strip() for column in columns):
        raise SourceError(
            f"{path} cannot be used: it has a column without a name (names of rows?); write it "
            "without them (pandas: index=False, R: row.names=FALSE), or say which columns to take"
        )
    return columns


def renamed(columns: Iterable[str], item: Named) -> list[str]:
    """The variables that an entry takes from a table with these columns.

    Raises:
        SourceError: A column that the table does not have.
    """
    columns, wanted = list(columns), item.get("columns")
    if wanted is None:
        return columns
    missing = without(wanted, columns)
    if missing:
        raise SourceError(
            f"{item['file']} cannot be used: it has no column {', '.join(missing)}; its columns "
            f"are {', '.join(columns)}"
        )
    if isinstance(wanted, dict):
        return list(wanted.values())
    return list(wanted)
