"""Tables in files, folders of images and on the Hub, read in chunks; images are left encoded."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from causalplug.data.tables import Columns, Table, from_datasets, image_files, stacked_items
from causalplug.errors import DataError, MissingDependencyError
from causalplug.variables import Variable

__all__ = ["table_at"]

_TEXT_ROWS, _PARQUET_ROWS, _PICTURE_ROWS = 100_000, 65_536, 512  # of a chunk
_TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".pq")
_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_REPO = re.compile(r"(?:hf://datasets/)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
# what pandas takes for a missing value (pandas.read_csv, na_values), which may be the name of a
# category
_MISSING = {
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
}  # fmt: skip


def table_at(
    place: str | Path | Sequence[str | Path],
    *,
    split: str | None,
    revision: str | None,
    streaming: bool,
) -> Table:
    """The table in a file, in several files of one form (a list, or a pattern with ``*``), in a
    folder or on the Hub.

    Raises:
        DataError: nothing is there, or nothing of a form that is known.
    """
    if isinstance(place, list | tuple):
        return _joined(
            [table_at(item, split=split, revision=revision, streaming=streaming) for item in place]
        )
    text, path = str(place), Path(place)  # type: ignore[arg-type]
    if not path.exists():
        if glob.has_magic(text) and (found := sorted(glob.glob(text))):
            return _joined([_file(Path(item)) for item in found])
        if (
            isinstance(place, str)
            and (match := _REPO.fullmatch(text))
            and not text.lower().endswith(_TABLES)
        ):
            return _from_hub(
                match[1], split=split, revision=revision or match[2], streaming=streaming
            )
        raise DataError(f"{path} cannot be read: no such file or folder. Check the path.")
    return _folder(path, split) if path.is_dir() else _file(path)


def _joined(tables: Sequence[Table]) -> Table:
    """Rows of several tables, one after another."""
    first = tables[0]
    other = next((table for table in tables if set(table.names) != set(first.names)), None)
    if other is not None:
        raise DataError(
            f"The files cannot be read as one table: one has columns {list(first.names)}, another "
            f"{list(other.names)}. Give them as sources of their own."
        )

    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        return chain.from_iterable(table.read(variables) for table in tables)

    counts = [table.rows for table in tables]
    rows = None if None in counts else sum(count for count in counts if count is not None)
    return replace(first, read=read, rows=rows, whole=False)


def _file(path: Path) -> Table:
    name = path.name.removesuffix(".gz").lower()
    if name.endswith((".parquet", ".pq")):
        return _parquet(path)
    if name.endswith((".csv", ".tsv", ".txt")):
        return _text(path, "," if name.endswith(".csv") else "\t")
    if name.endswith(".jsonl"):
        return _json_lines(path)
    raise DataError(
        f"{path} cannot be read: known are {', '.join(_TABLES)}, folders of images with a "
        "metadata.csv, and ids of datasets on the Hub."
    )


# -- text


def _text(path: Path, separator: str) -> Table:
    import pandas as pd

    options: dict[str, Any] = {"sep": separator, "encoding": "utf-8"}
    try:
        names = tuple(map(str, pd.read_csv(path, nrows=0, **options).columns))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        raise DataError(
            f"{path} cannot be read: {error}. It must be a table in UTF-8 with a line of names."
        ) from None

    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        declared = variables or {}
        words = [n for n in names if (v := declared.get(n)) is not None and _of_words(v)]
        missing = {
            n: sorted(_MISSING - set(map(str, getattr(declared.get(n), "categories", ()))))
            for n in names
        }
        try:
            with pd.read_csv(
                path, chunksize=_TEXT_ROWS, dtype=dict.fromkeys(words, str), keep_default_na=False, na_values=missing,
                **options,
            ) as chunks:  # fmt: skip
                for chunk in chunks:
                    yield image_files(
                        {str(n): chunk[n].to_numpy() for n in chunk.columns}, variables, path.parent
                    )
        except (pd.errors.ParserError, UnicodeError) as error:
            raise DataError(f"{path} cannot be read: {error}. Mend the line.") from None

    return Table(names, read, None)


def _of_words(variable: Variable) -> bool:
    """Whether a column's values are names, so that '01' must not become the number 1."""
    return variable.is_discrete and all(
        isinstance(category, str) for category in variable.categories
    )


def _json_lines(path: Path) -> Table:
    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        with open(path, encoding="utf-8") as file:
            start, names = 0, list[str]()
            while lines := list(islice(file, _TEXT_ROWS)):
                columns = _json_columns(lines, start, path)
                names = names or list(columns)
                new = [name for name in columns if name not in names]
                if new:
                    raise DataError(
                        f"{path} has {new[0]!r} after line {start} only. Give it (or null) in every line."
                    )
                complete = {name: columns.get(name, [None] * len(lines)) for name in names}
                yield image_files(complete, variables, path.parent)
                start += len(lines)

    first = next(read(None), None)
    if first is None:
        raise DataError(f"{path} cannot be used: it has no rows.")
    return Table(tuple(first), read, None)


def _json_columns(lines: Sequence[str], start: int, path: Path) -> Columns:
    rows = []
    for number, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise DataError(
                f"{path}, line {start + number + 1}: {error}. Each line must be one JSON object."
            ) from None
        if not isinstance(rows[-1], dict):
            raise DataError(
                f"{path}, line {start + number + 1} is no JSON object. Each line must be one."
            )
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return {name: stacked_items([row.get(name) for row in rows]) for name in names}


# -- Parquet


def _parquet(path: Path) -> Table:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} cannot be read: pyarrow is not installed. Run: pip install pyarrow"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet: {error}. Write it again, or download it again."
        ) from None
    heavy = any(
        pa.types.is_struct(t) or pa.types.is_binary(t) or pa.types.is_nested(t)
        for t in schema.types
    )

    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(
                    batch_size=_PICTURE_ROWS if heavy else _PARQUET_ROWS
                ):
                    columns = {name: _arrow_column(batch.column(name)) for name in schema.names}
                    yield image_files(columns, variables, path.parent)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(
                f"{path} cannot be read as Parquet: {error}. Write or download it again."
            ) from None

    if not rows:
        raise DataError(f"{path} cannot be used: it has no rows.")
    return Table(tuple(schema.names), read, rows)


def _arrow_column(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_struct(column.type) or pa.types.is_binary(column.type):  # encoded images
        return column.to_pylist()
    if pa.types.is_nested(column.type):
        leaf = column.type
        while pa.types.is_nested(leaf):
            leaf = leaf.value_type
        kind = leaf.to_pandas_dtype()
        return stacked_items(
            [None if item is None else np.asarray(item, kind) for item in column.to_pylist()]
        )
    return column.to_pandas().to_numpy()


# -- folders


def _folder(path: Path, split: str | None) -> Table:
    """A folder of images as the Hub's ``imagefolder``: with a metadata file, or with one folder per
    class; or a folder of Parquet files.
    """
    if split is not None and (path / split).is_dir():
        path = path / split
    for name in ("metadata.csv", "metadata.jsonl", "metadata.parquet"):
        if (path / name).is_file():
            return _with_pictures(_file(path / name), path / name)
    parts = sorted(path.glob("*.parquet"))
    if parts:
        return _joined([_parquet(part) for part in parts])
    classes = {
        folder.name: _pictures_in(folder) for folder in sorted(path.iterdir()) if folder.is_dir()
    }
    if classes and all(classes.values()):
        return _classes(classes)
    raise DataError(
        f"{path} cannot be read: it has no metadata.csv (or .jsonl, .parquet) with a column "
        "file_name, no Parquet files, and no folders of images, one per class. Write a "
        "metadata.csv with one row per image"
        + (f", or name a split: {', '.join(classes)}." if classes else ".")
    )


def _classes(folders: Mapping[str, Sequence[Path]]) -> Table:
    """Images with the names of their folders as labels; as integers, where a variable with
    integers is declared."""
    pictures = [file for files in folders.values() for file in files]
    names = [name for name, files in folders.items() for _ in files]

    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        label = (variables or {}).get("label")
        numbers = label.is_discrete and not _of_words(label) and all(map(str.isdecimal, folders))
        yield {
            "image": pictures,
            "label": np.asarray([int(name) for name in names] if numbers else names),
        }

    return Table(("image", "label"), read, len(pictures), whole=True)


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in _PICTURES)


def _with_pictures(table: Table, metadata: Path) -> Table:
    """Columns ``file_name`` and ``<variable>_file_name`` become the columns ``image`` and
    ``<variable>`` of files."""
    root = metadata.parent
    places = {
        n: n.removesuffix("_file_name") if n != "file_name" else "image"
        for n in table.names
        if _names_files(n)
    }
    if not places:
        raise DataError(
            f"{metadata} cannot be read: it has no column file_name (or <variable>_file_name), but "
            f"{', '.join(table.names)}. Add one that names the images."
        )

    def read(variables: Mapping[str, Variable] | None) -> Iterator[Columns]:
        row = 0
        for chunk in table.read(variables):
            columns = {places.get(name, name): values for name, values in chunk.items()}
            for name, new in places.items():
                columns[new] = [
                    _inside(root, item, metadata, row + k) for k, item in enumerate(chunk[name])
                ]
            row += len(next(iter(chunk.values())))
            yield columns

    return replace(table, names=tuple(places.get(name, name) for name in table.names), read=read)


def _names_files(column: str) -> bool:
    return column == "file_name" or column.endswith("_file_name")


def _inside(root: Path, name: Any, metadata: Path, row: int) -> Path | None:
    """The file that a row names, which must lie in the folder; None where the name is missing."""
    if name is None or name != name:
        return None
    file = root / str(name)
    if not file.resolve().is_relative_to(root.resolve()) or not file.is_file():
        raise DataError(
            f"{metadata} names {str(name)!r} in row {row}, which is not an image of the folder. Correct the row."
        )
    return file


# -- the Hub


def _from_hub(repo_id: str, *, split: str | None, revision: str | None, streaming: bool) -> Table:
    """A dataset repository, pinned to the commit that its revision is now; data files only, no
    code of theirs."""
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            f"The dataset {repo_id} cannot be read: datasets is not installed. Run: pip install 'causalplug[datasets]'"
        ) from error
    from causalplug.hub.client import hub_api, hub_errors

    action = f"read {repo_id!r} (there is no such file or folder, so it was taken for a dataset on the Hub)"
    with hub_errors(action, repo_id, revision):
        commit = hub_api().dataset_info(repo_id, revision=revision).sha
        loaded = datasets.load_dataset(repo_id, revision=commit, split=split, streaming=streaming)
    return from_datasets(loaded, split, {"repo_id": repo_id, "revision": str(commit)})
