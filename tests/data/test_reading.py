"""Nothing is misread at the door: text files, columns and rows of tables of every kind."""

import bz2
import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet as pq

import causalplug as cp
from causalplug.errors import DataError

C, D = cp.Continuous, cp.Discrete
TWO = {"X": D(2), "Y": D(2)}
DOSE = {"dose": C(), "relief": D(2)}


def read(source, variables):
    values = source.encode(variables).values
    return {name: value.tolist() for name, value in values.items()}


def written(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# -- text files that are read

READ = {
    "semicolons and decimal commas": ("dose;relief\n0,5;1\n1,25;0\n", {}, "a.csv"),
    "tabs in a file called .csv": ("dose\trelief\n0.5\t1\n1.25\t0\n", {}, "a.csv"),
    "tabs and decimal commas": ("dose\trelief\n0,5\t1\n1,25\t0\n", {}, "a.tsv"),
    "bars": ("dose|relief\n0.5|1\n1.25|0\n", {}, "a.txt"),
    "blanks": ("dose relief\n0.5 1\n1.25 0\n", {}, "a.txt"),
    "columns laid out by blanks": ("dose   relief\n 0.5      1\n1.25      0\n", {}, "a.txt"),
    "Excel's mark": ("sep=;\ndose;relief\n0,5;1\n1,25;0\n", {}, "a.csv"),
    "quoted decimal commas": ('dose,relief\n"0,5",1\n"1,25",0\n', {"decimal": ","}, "a.csv"),
    "a separator of one's own": ("dose~relief\n0.5~1\n1.25~0\n", {"separator": "~"}, "a.csv"),
    "a thousand or not": ("dose;relief\n0,500;1\n1,250;0\n", {}, "a.csv"),
    "empty lines": ("\n\ndose,relief\n0.5,1\n\n1.25,0\n\n", {}, "a.csv"),
    "Windows": (b"\xef\xbb\xbfdose,relief\r\n0.5,1\r\n1.25,0\r\n", {}, "a.csv"),
    "UTF-16": ("dose\trelief\n0.5\t1\n1.25\t0\n".encode("utf-16"), {}, "a.txt"),
    "names of rows by R": ('"dose","relief"\n"1",0.5,1\n"2",1.25,0\n', {}, "a.csv"),
    "gzip": (gzip.compress(b"dose,relief\n0.5,1\n1.25,0\n"), {}, "a.csv.gz"),
    "bzip2": (bz2.compress(b"dose;relief\n0,5;1\n1,25;0\n"), {}, "a.csv.bz2"),
}


@pytest.mark.parametrize(("text", "options", "name"), READ.values(), ids=READ)
def test_a_text_file_is_read_as_it_was_meant(text, options, name, tmp_path):
    source = cp.DataSource(written(tmp_path, text, name), **options)
    assert read(source, DOSE) == {"dose": [0.5, 1.25], "relief": [1, 0]}


def test_values_with_line_breaks_and_separators_stay_whole(tmp_path):
    path = written(tmp_path, 'X,note\n0,"a,\nb"\n1,"say ""yes"""\n')
    kinds = {"X": D(2), "note": D(["a,\nb", 'say "yes"'])}
    assert read(cp.DataSource(path), kinds) == {"X": [0, 1], "note": [0, 1]}


def test_an_encoding_is_taken_as_it_is_given(tmp_path):
    path = written(tmp_path, "Größe;Y\nklein;0\ngroß;1\n".encode("cp1252"))
    kinds = {"Größe": D(["klein", "groß"]), "Y": D(2)}
    with pytest.raises(DataError, match=r"line 1 is not UTF-8.*encoding='cp1252'"):
        cp.DataSource(path)
    assert read(cp.DataSource(path, encoding="cp1252"), kinds) == {"Größe": [0, 1], "Y": [0, 1]}


def test_a_wrong_byte_far_into_a_file_is_found_with_its_line(tmp_path):
    rows = b"a,0\n" * 400_000
    path = written(tmp_path, b"X,Y\n" + rows + b"\xe9,1\n")
    with pytest.raises(DataError, match="line 400002 is not UTF-8"):
        cp.DataSource(path).encode({"X": D(["a", "b"]), "Y": D(2)})


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false"), ("TRUE", "FALSE")])
def test_yes_and_no_are_the_same_in_every_file(words, tmp_path):
    yes, no = words
    text = written(tmp_path, f"X\n{yes}\n{no}\n" * 1 + f"{yes}\n{no}\n" * 9)
    lines = written(tmp_path, '{"X": true}\n{"X": false}\n' * 10, "a.jsonl")
    pq.write_table(pa.table({"X": [True, False] * 10}), tmp_path / "a.parquet")
    frame = pd.DataFrame({"X": [True, False] * 10})
    for place in (text, lines, tmp_path / "a.parquet", frame, frame.astype("boolean")):
        source = cp.DataSource(place)
        variable = cp.infer_variables(source)["X"]
        assert [type(category) for category in variable.categories] == [bool, bool]
        assert read(source, {"X": variable})["X"] == [1, 0] * 10


# -- text files that are refused

REFUSED = {
    "decimal commas": ("dose,relief\n0,5,1\n1,25,0\n", r"line 2 has 3 fields.*names 2.*'0,5,1'"),
    "a flag without a name": ("dose,relief\n0,1,1\n1,0,1\n", "line 2 has 3 fields"),
    "a separator at the end": ("dose,relief\n0,1,\n1,0,\n", "line 2 has 3 fields"),
    "a short row": ("dose,relief\n0,1\n1\n", "line 3 has 1 field where"),
    "a long row after a break": ('dose,relief\n0,1\n0,"1\n"\n1,0,1\n', "line 5 has 3 fields"),
    "tabs": ("dose\trelief\n0\t1\n1\t0\t1\n", "line 3 has 3 fields"),
    "an uneven semicolon": ("dose;relief\n0;1\n1;0;1\n", "line 3 has 3 fields.*semicolons.*separa"),
    "two ways": ("a,b;c,d\n1,2;3,4\n", "several ways.*commas or by semicolons.*separator="),
    "thousands?": ("dose;relief\n1,250;1\n2,500;0\n", "'1,250' may be.*decimal=','"),
    "a word": ("dose,relief\n0.5,1\nmuch,0\n", "line 3: 'dose' is 'much', which is not a number"),
    "a comma in quotes": ('dose,relief\n"0,5",1\n', "line 2: 'dose' is '0,5'.*decimal=','"),
    "a point": ("dose;relief\n0,5;1\n1.5;0\n", r"line 3: 'dose' is '1\.5|'0,5'.*decimal"),
    "names twice": ("dose,relief,dose\n0,1,2\n", "column 'dose' twice"),
    "names of rows": (",dose,relief\n0,0.5,1\n", r"column without a name.*columns=\['dose'"),
    "NUL bytes": ("dose,relief\n0,\x001\n", "NUL bytes"),
    "empty": ("\n \n", "it is empty"),
    "a workbook": (b"PK\x03\x04\x00\x00", "Excel workbook"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_text_file_that_may_be_misread_is_refused(text, message, tmp_path):
    with pytest.raises(DataError, match=f"(?s){message}"):
        cp.DataSource(written(tmp_path, text)).encode(DOSE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ";;"}, "one sign"),
        ({"decimal": "'"}, "'.' or ','"),
        ({"encoding": "utf-9"}, "not known"),
        ({"separator": ",", "decimal": ","}, "same sign"),
    ],
)
def test_signs_that_cannot_be_are_refused(options, message, tmp_path):
    with pytest.raises(DataError, match=message):
        cp.DataSource(written(tmp_path, "X,Y\n0,1\n"), **options)
    with pytest.raises(DataError, match="no text file"):
        cp.DataSource({"X": [0]}, separator=";")


def test_the_names_of_rows_can_be_left_out(tmp_path):
    path = written(tmp_path, ",X,Y,id\n0,0,1,a\n1,1,0,b\n")
    assert read(cp.DataSource(path, columns=["X", "Y"]), TWO) == {"X": [0, 1], "Y": [1, 0]}


def test_json_lines_with_blank_lines_and_a_mark(tmp_path):
    text = '{"X": 0, "Y": 1}\r\n\r\n{"X": 1, "Y": 0}\r\n \r\n'
    for data in (text.encode("utf-8-sig"), text.encode("utf-16")):
        path = written(tmp_path, data, "a.jsonl")
        assert read(cp.DataSource(path), TWO) == {"X": [0, 1], "Y": [1, 0]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"X": 0, "X": 1}', "line 3.*key 'X' twice"),
        ("[0, 1]", "line 3 is no JSON object"),
        ('{"X": ', "line 3"),
        ("[" * 100_000, "line 3.*nested too deeply"),
    ],
)
def test_a_wrong_line_of_json_is_named(line, message, tmp_path):
    path = written(tmp_path, '{"X": 0}\n\n' + line + "\n", "a.jsonl")
    with pytest.raises(DataError, match=message):
        cp.DataSource(path).encode({"X": D(2)})


# -- rows by condition


def test_rows_are_chosen_by_value_by_list_and_by_interval(tmp_path):
    frame = pd.DataFrame(
        {"X": [0, 1, 0, 1], "age": [20.5, 30, 40, 50], "site": ["a", "b", "a", "c"]}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for place in (frame, tmp_path / "a.csv", tmp_path / "a.parquet"):
        for where, expected in (
            ({"site": "a"}, [0, 0]),
            ({"site": ["b", "c"]}, [1, 1]),
            ({"age": (30, None)}, [1, 0, 1]),
            ({"age": (None, 40), "site": "a"}, [0, 0]),
            ({"age": 30}, [1]),
        ):
            source = cp.DataSource(place, columns=["X"], where=where)
            assert read(source, {"X": D(2)})["X"] == expected
    with pytest.raises(DataError, match="none that meet where"):
        cp.DataSource(frame, columns=["X"], where={"site": "d"}).encode({"X": D(2)})
    with pytest.raises(DataError, match="no column 'town'"):
        cp.DataSource(frame, where={"town": "d"})


# -- objects

TABLES = {
    "Arrow": lambda d: pa.table(d),
    "a batch of Arrow": lambda d: pa.record_batch(d),
    "Arrow columns": lambda d: {name: pa.array(values) for name, values in d.items()},
    "nullable": lambda d: pd.DataFrame(d).convert_dtypes(),
    "pandas over Arrow": lambda d: pd.DataFrame(d).convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda d: pd.DataFrame(d).astype({"A": "category", "X": "category"}),
    "objects": lambda d: pd.DataFrame(d).astype(object),
    "a structured array": lambda d: np.array(
        list(zip(*d.values(), strict=True)), dtype=[("X", "i4"), ("A", "U5"), ("N", "f4")]
    ),
    "bfloat16": lambda d: d | {"N": torch.tensor(d["N"], dtype=torch.bfloat16)},
    "float16": lambda d: d | {"N": np.array(d["N"], np.float16)},
    "masked without a mask": lambda d: d | {"N": np.ma.array(d["N"])},
    "series": lambda d: {name: pd.Series(values, index=[5, 6]) for name, values in d.items()},
    "rows": lambda d: [dict(zip(d, row, strict=True)) for row in zip(*d.values(), strict=True)],
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_every_kind_are_read(kind):
    table = TABLES[kind]({"X": [0, 1], "A": ["red", "blue"], "N": [0.5, 1.5]})
    found = read(cp.DataSource(table), {"X": D(2), "A": D(["blue", "red"]), "N": C()})
    assert found == {"X": [0, 1], "A": [1, 0], "N": [0.5, 1.5]}


class Exported:
    """A table that only the Arrow PyCapsule interface knows, as those of polars and DuckDB."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_a_table_is_read_by_the_arrow_interface_alone():
    table = Exported(pa.table({"X": [0, 1], "A": ["u", "v"]}))
    assert read(cp.DataSource(table), {"X": D(2), "A": D(["u", "v"])}) == {"X": [0, 1], "A": [0, 1]}


MISSING = {
    "masked integers": np.ma.array([5, 999999, 7], mask=[0, 1, 0]),
    "masked floats": np.ma.array([5.0, 9.0, 7.0], mask=[0, 1, 0]),
    "Int64": pd.array([5, None, 7], dtype="Int64"),
    "Float64": pd.array([5, None, 7], dtype="Float64"),
    "Arrow": pa.array([5, None, 7]),
    "None": [5, None, 7],
    "NaN": [5, float("nan"), 7],
}


@pytest.mark.parametrize("column", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("variable", [C(), D([5, 7])], ids=["continuous", "discrete"])
def test_a_missing_value_is_missing_whatever_holds_it(column, variable):
    with pytest.raises(DataError, match=r"missing values \(X: 1\)"):
        cp.DataSource({"X": column}).encode({"X": variable})


@pytest.mark.parametrize("value", [{"x": 1}, ["a", "b"], {"a"}, [[1, 2], [3]]])
@pytest.mark.parametrize("variable", [D(["a", "b"]), C()], ids=["discrete", "continuous"])
def test_columns_of_lists_and_objects_are_named(value, variable, tmp_path):
    sources = [cp.DataSource(pd.DataFrame({"X": [0, 1] * 10, "box": [value] * 20}))]
    if not isinstance(value, set):
        path = written(tmp_path, (json.dumps({"X": 0, "box": value}) + "\n") * 20, "a.jsonl")
        sources.append(cp.DataSource(path))
    for source in sources:
        with pytest.raises(DataError, match="'box'"):
            source.encode({"X": D(2), "box": variable})
        with pytest.raises(DataError, match="'box'"):
            cp.infer_variables(source, X=D(2))


def test_an_array_without_names_is_no_table():
    with pytest.raises(DataError, match=r"pandas\.DataFrame\(array, columns="):
        cp.DataSource(np.zeros((3, 2)))


def test_dates_say_how_they_become_numbers():
    days = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=30)})
    with pytest.raises(DataError, match="total_seconds"):
        cp.DataSource(days).encode({"t": C()})
    with pytest.raises(DataError, match=r"'t'.*total_seconds"):
        cp.infer_variables(days)


# -- declarations from text

INFERRED = {
    "leading zeros": (["01", "02", "10"] * 20, ["01", "02", "10"]),
    "words": (["lo", "hi"] * 20, ["hi", "lo"]),
    "numbers": (["3", "5"] * 20, [3, 5]),
}


@pytest.mark.parametrize(("values", "categories"), INFERRED.values(), ids=INFERRED)
def test_categories_are_inferred_as_they_are_written(values, categories, tmp_path):
    path = written(tmp_path, "X\n" + "\n".join(values) + "\n")
    found = cp.infer_variables(cp.DataSource(path))["X"]
    assert list(found.categories) == categories
    codes = [categories.index(v if isinstance(categories[0], str) else int(v)) for v in values]
    assert read(cp.DataSource(path), {"X": found})["X"] == codes


DOUBTED = {
    "?": (["21", "22"] * 20 + ["?"] * 5, r"numbers, and '\?' in 5 rows"),
    "? among words": (["lo", "hi"] * 20 + ["?"] * 5, r"words, and '\?' in 5 rows"),
    "NA": (["lo", "hi"] * 20 + ["NA"] * 5, r"5 of 45 values are missing \(written as 'NA'\)"),
    "Excel's errors": (["0.5", "1.5"] * 20 + ["#DIV/0!"], r"'#DIV/0!' in 1 rows"),
    "words among numbers": (["0.5", "1.5"] * 20 + ["high"], r"numbers, and words \('high'\) in 1"),
    "decimal commas": (['"0,5"', '"1,0"', '"2,5"'] * 20, "decimal commas.*decimal=','"),
    "yes and numbers": (["True", "False"] * 20 + ["1"], "mixes"),
}


@pytest.mark.parametrize(("values", "message"), DOUBTED.values(), ids=DOUBTED)
def test_what_may_be_meant_in_two_ways_is_not_declared(values, message, tmp_path):
    path = written(tmp_path, "X,Y\n" + "".join(f"{v},{i % 2}\n" for i, v in enumerate(values)))
    with pytest.raises(DataError, match=message):
        cp.infer_variables(cp.DataSource(path))


def test_nested_lists_of_numbers_are_pictures():
    found = cp.infer_variables({"I": np.zeros((20, 3, 4, 4)).tolist(), "D": [0, 1] * 10})
    assert found["I"] == cp.Image(3, 4, 4)
