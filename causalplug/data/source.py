"""Tables of rows, observational or experimental, as the tensors that training reads."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalplug.arguments import (
    COUNT,
    FLAG,
    MAPPING,
    NAME,
    NAMES,
    PATH,
    TEXT,
    takes,
)
from causalplug.data.dialect import TextOptions
from causalplug.data.filter import filtered
from causalplug.data.images import Images, PixelStore, decode_pictures, in_background, is_picture
from causalplug.data.infer import InferredVariables, infer_from
from causalplug.data.parts import Parts
from causalplug.data.table import ClassCodes, Columns
from causalplug.data.tables import table_of
from causalplug.errors import DataError, SourceError
from causalplug.graphs.source import Source
from causalplug.selection import drop, pick, within, without
from causalplug.values import Json, Named
from causalplug.variables import Continuous, Variable
from causalplug.variables.columns import TextColumn, has_nan, is_tensor, tensor_to_numpy

__all__ = ["DataSource", "Rows", "as_data_sources", "infer_variables"]

_DOSES = 30  # different numbers up to which an experiment is taken to have set those alone
_DECODED = 16 << 20  # bytes of pictures that are decoded together


@dataclass(frozen=True)
class Rows:
    """Encoded rows of one source.

    Attributes:
        source: What the rows are a sample of.
        values: Encoded column ``(n, *event_shape)`` by variable; images may be uint8, and
            :class:`Images` where they do not fit into memory.
        clusters: ``(n,)`` number of the cluster that each row belongs to, None for independent
            rows.
    """

    source: Source
    values: dict[str, Tensor]
    clusters: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def select(self, index: Tensor) -> Rows:
        """Some of the rows; pixels in a file stay there."""
        chosen = {}
        for n, v in self.values.items():
            chosen[n] = v.select(index) if isinstance(v, Images) else v[index]
        if self.clusters is None:
            clusters = None
        else:
            clusters = self.clusters[index.cpu()]
        return Rows(self.source, chosen, clusters)

    def split(self, share: float, seed: int) -> tuple[Rows, Rows]:
        """Training and held-out rows, by a permutation that depends on the seed and the number
        of rows alone.
        """
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        held_out = 0
        if share > 0:
            held_out = min(max(1, round(share * len(self))), len(self) - 1)
        return self.select(order[held_out:]), self.select(order[:held_out])


class DataSource:
    """Rows and how they came about.

    Nothing but names is read before the rows are needed. They are then read in chunks, so that a
    table may be larger than memory: what stays are codes, floats, and the decoded pixels of images,
    in memory up to ``max_memory`` bytes and in a memory-mapped file beyond.

    Args:
        frame: A pandas DataFrame; a dict of arrays; a numpy structured array; an Arrow or polars
            table, or any object with the Arrow PyCapsule interface; a ``datasets.Dataset`` or
            ``IterableDataset``; a torch Dataset or IterableDataset of dicts (or of tuples, with
            ``columns`` naming the places); the path of a CSV, TSV, JSON lines or Parquet file, a
            list of such files or a pattern with ``*``; a folder of images with a ``metadata.csv``
            (column ``file_name``) or one folder per class; the id of a dataset on the Hub.
        do: The variables that were set by an experiment; their columns hold the values set, row by
            row. A mapping name to value declares values that the table has no column for.
        columns: The columns to take, all by default; a mapping from the table's name to the
            variable's renames them.
        name: For messages and reports.
        clusters: A column that names the cluster of every row (a school, a patient with several
            rows); it is no variable, and says which rows are not independent.
        split: Split of a dataset that has several, such as ``"train"``.
        revision: Revision of a dataset on the Hub; what it stands for at that moment is kept in
            ``origin``.
        streaming: Read a dataset on the Hub as it downloads, without a copy on the disk.
        max_memory: Bytes of decoded pixels of one column that stay in memory.
        cache_dir: Folder of the file for the pixels beyond it; by default the run's ``output_dir``,
            else the system's temporary folder. The file has no name and vanishes with the process.
        separator: Sign between the columns of a text file. It is detected where the file leaves no
            doubt; a file that can be read in several ways is refused.
        decimal: Decimal sign of a text file, ``"."`` or ``","``; detected likewise.
        encoding: Encoding of a text file, such as ``"cp1252"``; UTF-8, or what the file's byte
            order mark says, by default.
        where: The rows to take: by column of the table, the value that it must have, a list of
            such values, or an interval ``(low, high)`` with None for an open end.

    Attributes:
        names: Names of the columns.
        origin: ``repo_id`` and full ``revision`` of a dataset on the Hub, else None.
        clustered: Whether a column names clusters of rows.

    Raises:
        DataError: The table cannot be read: no columns, a column without a name, columns of
            different length, no such file, a text file that can be read in several ways.

    Example:
        >>> source = DataSource({"X": [0, 1, 1], "Y": [1, 0, 1]}, do=("X",))
        >>> len(source)
        3
    """

    @takes(
        DataError,
        do=NAMES.or_else(MAPPING),
        columns=NAMES.or_else(MAPPING).or_none("all"),
        name=NAME.or_none("none"),
        clusters=NAME.or_none("none"),
        split=NAME.or_none("none"),
        revision=NAME.or_none("none"),
        streaming=FLAG,
        max_memory=COUNT,
        cache_dir=PATH.or_none("the system's"),
        separator=TEXT.or_none("what the file says"),
        decimal=TEXT.or_none("what the file says"),
        encoding=NAME.or_none("what the file says"),
        where=MAPPING.or_none("all rows"),
    )
    def __init__(
        self,
        frame: object,
        *,
        do: Iterable[str] | Named = (),
        columns: Sequence[str] | Mapping[str, str] | None = None,
        name: str | None = None,
        clusters: str | None = None,
        split: str | None = None,
        revision: str | None = None,
        streaming: bool = False,
        max_memory: int = 2 << 30,
        cache_dir: str | os.PathLike[str] | None = None,
        separator: str | None = None,
        decimal: str | None = None,
        encoding: str | None = None,
        where: Named | None = None,
    ):
        if isinstance(columns, str):
            columns = [columns]
        table = table_of(
            frame,
            columns=columns,
            split=split,
            revision=revision,
            streaming=streaming,
            text=TextOptions(separator, decimal, encoding),
        )
        if where:
            table = filtered(table, where)
        if clusters is None:
            self._clusters = None
        else:
            self._clusters = table.renamed([clusters])
        self.clustered = clusters is not None
        if clusters is not None and columns is None:
            columns = [name for name in table.names if name != clusters]
        if columns is None:
            self._table = table
        else:
            self._table = table.renamed(columns)
        _refuse_unnamed(self._table.names, frame)
        if isinstance(do, str):
            self.do: tuple[str, ...] = (do,)
        else:
            self.do = tuple(do)
        self.name = name or (Path(frame).name if isinstance(frame, str | Path) else None)
        self.max_memory, self.cache_dir = max_memory, cache_dir
        self.origin = self._table.origin
        self._rows = self._table.rows
        given = {}
        if isinstance(do, Mapping):
            given = dict(do)
        self._constants = drop(given, self._table.names)
        self.names = (*self._table.names, *self._constants)
        missing = without(self.do, self.names)
        if missing:
            raise SourceError(
                f"{self} cannot be used: {', '.join(missing)} was intervened on but has no column "
                f"with the values set. Add the column, or write do={{{missing[0]!r}: value}} for a "
                "constant."
            )

    def __len__(self) -> int:
        if self._rows is None:
            raise TypeError(f"{self} is a stream: the number of its rows is known once it was read")
        return self._rows

    def __repr__(self) -> str:
        named = ""
        if self.name:
            named = f"{self.name!r}, "
        if self._rows is None:
            rows = "rows"
        else:
            rows = f"{self._rows} rows"
        set_to = ""
        if self.do:
            set_to = ", do " + ", ".join(self.do)
        return f"DataSource({named}{rows} of {', '.join(self.names)}{set_to})"

    def chunks(self, variables: Mapping[str, Variable] | None = None) -> Iterable[Columns]:
        """The columns, some rows at a time, the next ones being read in the background.

        Args:
            variables: Declarations, so that a text file knows which of its words are names;
                other columns are then left out.
        """
        if variables is None:
            wanted = None
        else:
            wanted = self._wanted(variables)
        for chunk in in_background(self._table.read(variables, wanted)):
            rows = len(next(iter(chunk.values())))
            yield chunk | {name: [value] * rows for name, value in self._constants.items()}

    def _wanted(self, variables: Mapping[str, Variable]) -> list[str]:
        """The table's columns that are variables; the first where none is, to count rows."""
        return within(self._table.names, variables) or [self._table.names[0]]

    def infer_variables(self, **declared: Variable) -> InferredVariables:
        """Declarations of the columns, where they are safe; see
        :func:`causalplug.infer_variables`."""
        return infer_from([self], declared)

    def source(self, variables: Mapping[str, Variable]) -> Source:
        """What the rows are a sample of; an intervened variable that takes some of its values only
        is declared so.

        Raises:
            SourceError: A column that is no variable of the model.
        """
        self._check_names(variables)
        if not self.do:
            return Source(recorded=self.names, name=self.name)
        return self._source(variables, self._encoded(pick(variables, self.do), None))

    def encode(
        self, variables: Mapping[str, Variable], *, cache_dir: str | os.PathLike[str] | None = None
    ) -> Rows:
        """All rows as tensors.

        Args:
            variables: Their declarations.
            cache_dir: For pixels that do not fit into memory, where the source names no folder
                itself.

        Raises:
            SourceError: A column that is no variable of the model.
            DataError: Missing values (with a count per column), values outside the declaration
                (with the row), wrong image shapes, images that cannot be read.
        """
        self._check_names(variables)
        values = self._encoded(pick(variables, self.names), self.cache_dir or cache_dir)
        return Rows(self._source(variables, values), values, self._cluster_numbers())

    def _cluster_numbers(self) -> Tensor | None:
        """``(n,)`` number of every row's cluster."""
        if self._clusters is None:
            return None
        (name,) = self._clusters.names
        column = [np.asarray(chunk[name]) for chunk in self._clusters.read(None)]
        labels = np.concatenate([part.astype(str) for part in column])
        _, numbers = np.unique(labels, return_inverse=True)
        return torch.from_numpy(numbers.reshape(-1).astype(np.int64))

    def _check_names(self, variables: Mapping[str, Variable]) -> None:
        unknown = without(self.names, variables)
        if unknown:
            near = difflib.get_close_matches(unknown[0], variables, n=1)
            hint = ""
            if near:
                hint = f"did you mean {near[0]!r}? "
            raise SourceError(
                f"{self} cannot be used: {', '.join(map(repr, unknown))} "
                f"{'are' if len(unknown) > 1 else 'is'} not in the graph; {hint}Variables: "
                f"{', '.join(variables)}. Name the columns to take: columns=[…], or a mapping that "
                "renames them."
            )

    def _source(self, variables: Mapping[str, Variable], values: Mapping[str, Tensor]) -> Source:
        """With the list of values that were set by intervened variable, where not any of them
        may occur."""
        chosen: Json = dict.fromkeys(self.do)
        for name in self.do:
            variable = variables[name]
            if variable.is_discrete and len(taken := torch.unique(values[name])) < variable.size:
                chosen[name] = variable.decode(taken).tolist()
            elif variable.is_number:
                chosen[name] = _doses(variable, values[name])
        some = any(value is not None for value in chosen.values())
        return Source(recorded=self.names, do=chosen if some else self.do, name=self.name)

    def _encoded(
        self, variables: Mapping[str, Variable], folder: str | os.PathLike[str] | None
    ) -> dict[str, Tensor]:
        stores = {}
        for name, variable in variables.items():
            if variable.is_image:
                stores[name] = PixelStore(self.max_memory, folder, what=f"{name!r} of {self}")
        try:
            return self._read(variables, stores)
        finally:
            for store in stores.values():
                store.discard()

    def _read(
        self, variables: Mapping[str, Variable], stores: Mapping[str, PixelStore]
    ) -> dict[str, Tensor]:
        """One pass over the rows; once a value is missing the rest is only counted."""
        missing = dict.fromkeys(variables, 0)
        codes = {name: Parts(self._table.rows) for name in variables if name not in stores}
        whole: dict[str, Tensor] = {}
        rows = 0
        for chunk in self.chunks(variables):
            columns = {name: _plain(chunk[name], variable) for name, variable in variables.items()}
            for name, column in columns.items():
                missing[name] += _missing_count(column)
            size = len(next(iter(chunk.values())))
            if not any(missing.values()):
                for name, variable in variables.items():
                    if name in codes:
                        codes[name].add(self._column(variable, columns[name], name, rows))
                    elif self._table.whole and not _pictures(columns[name]):
                        whole[name] = _mapped(
                            self._column(variable, columns[name], name, rows), columns[name]
                        )
                    else:
                        self._gather(stores[name], variable, columns[name], name, rows)
            rows += size
        if any(missing.values()):
            shown = ", ".join(f"{name}: {count}" for name, count in missing.items() if count)
            raise DataError(
                f"{self} has missing values ({shown}): the model has no notion of a missing value. "
                "Drop those rows, or give a second source without these columns."
            )
        if not rows:
            raise DataError(f"{self} cannot be used: it has no rows, or none that meet where=.")
        self._rows = rows
        found = {name: self._joined(variables[name], parts, name) for name, parts in codes.items()}
        for name, store in stores.items():
            found[name] = whole[name] if name in whole else store.close()  # type: ignore[assignment]
        return pick(found, variables)

    def _joined(self, variable: Variable, parts: Parts, name: str) -> Tensor:
        """All rows of a column; numbers in float32 where that does not blur them."""
        column = parts.joined()
        if not isinstance(variable, Continuous):
            return column
        try:
            return variable.narrowed(column, name)
        except DataError as error:
            raise DataError(f"{self} cannot be used: {error}") from None

    def _column(self, variable: Variable, column: object, name: str, row: int) -> Tensor:
        wide = variable
        if isinstance(variable, Continuous):
            wide = replace(variable, precise=True)
        try:
            return wide.encode(column, name, row=row)
        except DataError as error:
            raise DataError(f"{self} cannot be used: {error}") from None

    def _gather(
        self, store: PixelStore, variable: Variable, column: Any, name: str, row: int
    ) -> None:
        """Decode some pictures at a time, so that an encoded gigabyte does not become a hundred
        decoded ones."""
        if not _pictures(column):
            store.add(self._column(variable, column, name, row))
            return
        try:
            size = max(1, _DECODED // variable.feature_size)
            for start in range(0, len(column), size):
                part = column[start : start + size]
                store.add(decode_pictures(part, variable, name, row + start))  # type: ignore[arg-type]
        except DataError as error:
            raise DataError(f"{self} cannot be used: {error}") from error.__cause__


def _doses(variable: Variable, values: Tensor) -> list[float] | None:
    """The numbers that an experiment set, if they are a few that come again and again."""
    taken = torch.unique(values)
    if len(taken) > 1 and len(taken) > min(_DOSES, len(values) // 2):
        return None
    return variable.written(taken)


def as_data_sources(given: object) -> list[DataSource]:
    """Data sources as they are given, or one of a bare table.

    Raises:
        SourceError: Several bare tables, of which nothing says how they came about.
    """
    if isinstance(given, DataSource):
        return [given]
    if isinstance(given, list | tuple) and any(
        isinstance(i, DataSource) or hasattr(i, "columns") for i in given
    ):
        bare = next((item for item in given if not isinstance(item, DataSource)), None)
        if bare is not None:
            raise SourceError(
                f"{type(bare).__name__} is not a data source: with several tables say of each how "
                "it came about, as in DataSource(table, do=…)."
            )
        return list(given)
    return [DataSource(given)]


def _refuse_unnamed(names: Sequence[str], frame: object) -> None:
    """Raise for a column without a name, as pandas and R write for the names of rows."""
    if any(not name.strip() for name in names):
        where = "The table"
        if isinstance(frame, str | Path):
            where = f"{frame}"
        place = next(at for at, name in enumerate(names) if not name.strip())
        others = [name for name in names if name.strip()]
        raise DataError(
            f"{where} cannot be used: it has a column without a name (column {place + 1}; names of "
            "rows?). Write it without them (pandas: index=False, R: row.names=FALSE), or say "
            f"which columns to take: columns={others[:8]}."
        )


def _plain(column: object, variable: Variable) -> Any:
    if isinstance(column, ClassCodes):
        plain = variable.is_discrete and variable.plain
        return column.values(plain=plain or not variable.is_discrete)
    return column


def _pictures(column: object) -> bool:
    return isinstance(column, list | tuple) and len(column) > 0 and is_picture(column[0])


def _mapped(pixels: Tensor, column: object) -> Tensor:
    """An array that the user maps from a file stays there."""
    stays = isinstance(column, np.memmap) and pixels.data_ptr() == column.ctypes.data
    return Images(pixels) if stays else pixels  # type: ignore[return-value]


def _missing_count(values: Any) -> int:
    """Rows of a column that have no value."""
    if isinstance(values, TextColumn):
        return values.missing()
    if is_tensor(values):
        values = tensor_to_numpy(values)
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values).reshape(len(values), -1)
        return int(mask.any(axis=1).sum()) + _missing_count(values.data[~mask.any(axis=1)])
    if isinstance(values, np.ndarray) and values.dtype.kind in "iubSU":
        return 0
    if isinstance(values, np.ndarray) and not has_nan(values):
        return 0
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return int((values != values).reshape(len(values), -1).any(axis=1).sum())
    first = None
    if isinstance(values, list | tuple):
        first = values[0]
    if first is not None and not isinstance(first, str | int | float | bool):  # pictures and arrays
        return sum(
            item is None or (isinstance(item, np.ndarray) and _missing_count(item[None]) > 0)
            for item in values
        )
    import pandas as pd  # arrays of numbers do without

    return int(pd.isna(pd.Series(values)).sum())


def infer_variables(
    sources: DataSource | Sequence[DataSource] | object, **declared: Variable
) -> InferredVariables:
    """What the columns of some tables hold, as declarations.

    Decided are: images of one size; yes/no; words, class labels and categories; whole numbers with
    at most 20 values, each seen five times on average (as the codes 0 to k - 1 where they are
    these, else as named values; codes with leading zeros, as ``01``, are words); numbers with
    fractions, as continuous. Everything else could be meant in two ways and is refused: it has to
    be declared.

    Args:
        sources: The tables, or a bare one as for :class:`causalplug.DataSource`. A column that
            several of them have is judged by all of its rows.
        **declared: Declarations that are known, by column; they are taken as they are.

    Raises:
        DataError: Columns that cannot be decided, each with the reason: whole numbers with many
            values (a count or a code?), words that are nearly all different (an identifier?),
            dates, images of several sizes, constants, marks that may stand for a missing value
            (``?``), numbers with decimal commas, and lists or objects.

    Example:
        >>> from causalplug import Continuous, DataSource
        >>> columns = {"age": [31, 62, 45] * 9, "dose": [0.5, 1.25, 0.75] * 9}
        >>> rows = DataSource({**columns, "sex": ["f", "m", "f"] * 9})
        >>> print(infer_variables(rows, age=Continuous(low=0)))
        age   Continuous(low=0)     declared
        dose  Continuous()          numbers with fractions, from 0.5 to 1.25
        sex   Discrete(['f', 'm'])  2 different words
    """
    return infer_from(as_data_sources(sources), declared)
