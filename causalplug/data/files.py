"""Tables in files, folders of images and on the Hub, read in chunks; images are left encoded."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from causalplug.data.arrow import arrow_file, parquet
from causalplug.data.delimited import delimited
from causalplug.data.dialect import TextOptions
from causalplug.data.folders import class_folders, is_hidden, with_pictures
from causalplug.data.huggingface import from_hub
from causalplug.data.json_lines import json_lines
from causalplug.data.table import Columns, Table
from causalplug.errors import DataError
from causalplug.variables import Variable

__all__ = ["table_at"]

_TEXTS = (".csv", ".tsv", ".txt", ".dat")
_ARROW = (".feather", ".arrow", ".ipc")
_TABLES = (*_TEXTS, ".jsonl", ".ndjson", ".parquet", ".pq", *_ARROW)
_ADVICE = {
    ".json": "write one JSON object for each line and call it .jsonl",
    ".xlsx": "save the sheet as CSV",
    ".xls": "save the sheet as CSV",
    ".ods": "save the sheet as CSV",
    ".sav": "export it as CSV, or give the DataFrame of pandas.read_spss",
    ".dta": "export it as CSV, or give the DataFrame of pandas.read_stata",
    ".sas7bdat": "export it as CSV, or give the DataFrame of pandas.read_sas",
    ".rds": "export it as CSV: write.csv(…, row.names=FALSE)",
    ".rdata": "export it as CSV: write.csv(…, row.names=FALSE)",
    ".pkl": "a pickle may run code: give the DataFrame itself, or write it as Parquet",
    ".pickle": "a pickle may run code: give the DataFrame itself, or write it as Parquet",
    ".h5": "give a dict of its arrays",
    ".npz": "give a dict of its arrays: dict(numpy.load(path))",
    ".npy": "give a dict of its columns",
}
"""What to do with files of other forms."""
_PACKED = (".gz", ".bz2", ".zst")
_REPO = re.compile(r"(?:hf://datasets/)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def table_at(
    place: str | Path | Sequence[str | Path],
    *,
    split: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    text: TextOptions | None = None,
) -> Table:
    """The table in a file, in several files of one form (a list, or a pattern with ``*``), in a
    folder or on the Hub.

    Raises:
        DataError: Nothing is there, or nothing of a form that is known.
    """
    options = text or TextOptions()
    if isinstance(place, list | tuple):
        items = []
        for item in place:
            items.append(
                table_at(item, split=split, revision=revision, streaming=streaming, text=options)
            )
        return _joined(items)
    written, path = str(place), Path(place)  # type: ignore[arg-type]
    if path.is_dir():
        return _folder(path, split, options)
    if path.exists():
        return _file(path, options)
    if glob.has_magic(written) and (found := sorted(glob.glob(written))):
        return _joined([_file(Path(item), options) for item in found])
    match = None
    if isinstance(place, str):
        match = _REPO.fullmatch(written)
    if match and not written.lower().endswith((*_TABLES, *_PACKED)):
        return from_hub(match[1], split=split, revision=revision or match[2], streaming=streaming)
    raise DataError(f"{path} cannot be read: no such file or folder. Check the path.")


def _joined(tables: Sequence[Table]) -> Table:
    """Rows of several tables, one after another."""
    first = tables[0]
    other = next((table for table in tables if set(table.names) != set(first.names)), None)
    if other is not None:
        raise DataError(
            f"The files cannot be read as one table: one has columns {list(first.names)}, another "
            f"{list(other.names)}. Give them as sources of their own."
        )

    def read(
        variables: Mapping[str, Variable] | None, columns: Collection[str] | None = None
    ) -> Iterator[Columns]:
        return chain.from_iterable(table.read(variables, columns) for table in tables)

    counts = [table.rows for table in tables]
    if None in counts:
        rows = None
    else:
        rows = sum(count for count in counts if count is not None)
    return replace(first, read=read, rows=rows, whole=False)


def _file(path: Path, options: TextOptions) -> Table:
    if not path.is_file():
        raise DataError(
            f"{path} cannot be read: it is neither a file nor a folder. Copy the rows to a file."
        )
    name = path.name.lower()
    for suffix in _PACKED:
        name = name.removesuffix(suffix)
    if name.endswith(_TEXTS):
        return delimited(path, options)
    if name.endswith((".jsonl", ".ndjson")):
        return json_lines(path, options)
    if options.given:
        raise DataError(
            f"{', '.join(options.given)} cannot be used: {path} is no text file. Leave it out."
        )
    if name.endswith((".parquet", ".pq")):
        return parquet(path)
    if name.endswith(_ARROW):
        return arrow_file(path)
    advice = _ADVICE.get(Path(name).suffix)
    if advice is not None:
        raise DataError(f"{path} cannot be read: {advice}.")
    raise DataError(
        f"{path} cannot be read: known are {', '.join(_TABLES)}, folders of images with a "
        "metadata.csv, and ids of datasets on the Hub."
    )


def _folder(path: Path, split: str | None, options: TextOptions) -> Table:
    """A folder of images as the Hub's ``imagefolder``: with a metadata file, or with one folder per
    class; or a folder of Parquet files. Hidden files and folders are passed over.
    """
    if split is not None and (path / split).is_dir():
        path = path / split
    for name in ("metadata.csv", "metadata.jsonl", "metadata.parquet"):
        if (path / name).is_file():
            return with_pictures(_file(path / name, options), path / name)
    parts = [part for part in sorted(path.glob("*.parquet")) if not is_hidden(part)]
    if parts:
        return _joined([_file(part, options) for part in parts])
    return class_folders(path)
