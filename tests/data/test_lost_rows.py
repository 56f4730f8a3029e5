"""Tables that lost rows, mixed them up, or took dates for codes; columns of other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from pyarrow import feather

from causalplug import Continuous, DataSource, Discrete
from causalplug.errors import DataError

NUMBER = {"X": Continuous()}
WORDS = {"X": Discrete(["a", "b"])}


def read_csv(folder: Path, text: str, encoding: str = "utf-8") -> list[float]:
    path = folder / "rows.csv"
    path.write_text(text, encoding=encoding)
    return DataSource(path, columns=["X"]).encode(NUMBER).values["X"].tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        'X,Y\n1,"a\n2,b\n3,c\n',
        'X,Y\n1,"a\n2,b\n3,"c\n4,d\n',
        'X,Y\n1,a\n2,"b\n3,c',
        'X,Y\r\n1,a\r\n2,"b\r\n3,c\r\n',
    ],
)
def test_a_quote_that_is_not_closed_hides_no_rows(tmp_path: Path, text: str, encoding: str) -> None:
    with pytest.raises(DataError, match=r"in line \d or below a quote"):
        read_csv(tmp_path, text, encoding)


@pytest.mark.parametrize(
    "text",
    [
        'X,Y\n1,"a\nb"\n2,b\n',
        'X,Y\n1,"a ""quoted"" b"\n\n2,b\n\n',
        'X,Y\n1,5" pipe\n2,b',
        '"X","Y"\n"1","a,\nb"\n"2","c"\n',
    ],
)
def test_quotes_that_are_closed(tmp_path: Path, text: str) -> None:
    assert read_csv(tmp_path, text) == [1.0, 2.0]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.uint32(), pa.uint64()])
def test_codes_without_a_sign(kind: pa.DataType) -> None:
    """As polars and DuckDB export categories and enumerations."""
    codes = pa.array([1, 0, 1], kind)
    table = pa.table({"X": pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]))})
    assert DataSource(table).encode(WORDS).values["X"].tolist() == [1, 0, 1]
    holes = pa.DictionaryArray.from_arrays(pa.array([1, None], kind), pa.array(["a", "b"]))
    with pytest.raises(DataError, match=r"has missing values \(X: 1\)"):
        DataSource(pa.table({"X": holes})).encode(WORDS)


class Exported:
    """A column that only Arrow knows how to read, as a Series of polars."""

    def __init__(self, values: object) -> None:
        self.held = pa.chunked_array([values])

    def __len__(self) -> int:
        return len(self.held)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise ValueError("no array of numpy")

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.held.__arrow_c_stream__(requested_schema)


def test_columns_that_are_exported_to_arrow() -> None:
    numbers = DataSource({"X": Exported(pa.array([1.0, 2.5]))}).encode(NUMBER)
    assert numbers.values["X"].tolist() == [1.0, 2.5]
    words = DataSource({"X": Exported(pa.array(["b", "a"]).dictionary_encode())}).encode(WORDS)
    assert words.values["X"].tolist() == [1, 0]
    with pytest.raises(DataError, match="'X'"):
        DataSource({"X": Exported(pa.array([{"v": 1.0}]))}).encode(NUMBER)


@pytest.mark.parametrize(
    "values",
    [
        np.array([0, 1], "M8[ns]"),
        np.array([0, 1], "m8[ns]"),
        pa.array([0, 1], pa.timestamp("ns")),
        pa.array([0, 1], pa.duration("ns")),
        pa.array([0, 1], pa.time64("ns")),
        pd.Series(pd.to_datetime([0, 1])),
    ],
)
def test_dates_are_no_codes(values: object, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'X'"):
        DataSource({"X": values}).encode({"X": Discrete(2)})
    if isinstance(values, pa.Array):
        feather.write_feather(pa.table({"X": values}), str(tmp_path / "rows.feather"))
        with pytest.raises(DataError, match="'X'"):
            DataSource(tmp_path / "rows.feather").encode({"X": Discrete(2)})


def test_series_of_other_rows_are_not_joined_by_place() -> None:
    frame = pd.DataFrame({"X": [1.0, 2.0, 3.0], "Y": [1.0, 2.0, 3.0]})
    both = {"X": Continuous(), "Y": Continuous()}
    mixed = {"X": frame["X"], "Y": frame["Y"].sort_values(ascending=False)}
    with pytest.raises(DataError, match="different labels"):
        DataSource(mixed)
    filtered = {"X": frame["X"][1:], "Y": frame["Y"][1:]}
    assert DataSource(filtered).encode(both).values["Y"].tolist() == [2.0, 3.0]
    assert len(DataSource({"X": frame["X"][1:], "Y": [4.0, 5.0]}).encode(both).values["X"]) == 2


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (pd.DataFrame({"X": [1.0]}).groupby("X"), "cannot be read"),
        (np.array([((1.0, 2.0),)], [("X", [("a", "f4"), ("b", "f4")])]), "have the fields a, b"),
    ],
)
def test_what_is_no_table(frame: object, why: str) -> None:
    with pytest.raises(DataError, match=why):
        DataSource(frame).encode(NUMBER)


@pytest.mark.parametrize("kind", [pd.DataFrame, pa.table])
def test_a_table_is_no_column(kind: Any) -> None:
    with pytest.raises(DataError, match="'X' must be numbers; got object values"):
        DataSource({"X": kind({"a": [1.0, 2.0]})}).encode(NUMBER)


def test_sparse_matrices_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be read as a table"):
        DataSource(scipy.sparse.csr_matrix(np.eye(2)))
