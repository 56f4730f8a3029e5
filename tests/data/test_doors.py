"""Tables at doors where nothing is declared, and what is refused there with the way out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import feather

import causalplug as cp
from causalplug.checks.bound_data import columns_of
from causalplug.data.text_summary import guessed_values
from causalplug.errors import DataError

BOW = cp.CausalGraph.parse("X -> Y; X <-> Y")


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_file_of_numbers_is_checked_as_numbers(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=400)
    z = x + random.normal(size=400)
    frame = pd.DataFrame({"X": x, "Z": z, "Y": z + random.normal(size=400)})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    graph = cp.CausalGraph.parse("X -> Z -> Y")
    source = cp.DataSource(tmp_path / "rows.csv")
    assert cp.check_graph(graph, source).to_dict() == cp.check_graph(graph, frame).to_dict()


def test_texts_of_a_file_stand_for_values(tmp_path):
    path = written(tmp_path, "rows.csv", "N,K,Z,B,M\n1,a,01,True,1.5\n2,b,02,false,\n")
    found = columns_of(cp.DataSource(path))
    assert found["N"].tolist() == [1, 2]
    assert found["K"].tolist() == ["a", "b"]
    assert found["Z"].tolist() == ["01", "02"]
    assert found["B"].tolist() == [True, False]
    assert np.isnan(found["M"][1])
    assert guessed_values(["true", None, "FALSE"]) == [True, None, False]


def test_truth_values_in_bounds_are_named_as_elsewhere(tmp_path):
    text = "X,Y\n" + "True,1\n" * 4 + "True,0\n" + "False,1\n" * 2 + "False,0\n" * 3
    path = written(tmp_path, "rows.csv", text)
    for rows in (pd.read_csv(path), cp.DataSource(path)):
        ends = []
        for value in ("1", "True", "true", "TRUE"):
            found = cp.bounds(BOW, f"P(Y=1 | do(X={value}))", rows)
            ends.append((float(found.low), float(found.high)))
        assert ends == [pytest.approx((0.4, 0.9))] * 4


def test_decimal_commas_need_no_declaration(tmp_path):
    path = written(tmp_path, "rows.csv", "X;K\n0,5;1,5\n1,25;2,5\n2,75;1,5\n")
    variables = {"X": cp.Continuous(), "K": cp.Discrete([1.5, 2.5])}
    values = cp.DataSource(path).encode(variables).values
    assert values["X"].tolist() == [0.5, 1.25, 2.75]
    assert values["K"].tolist() == [0, 1, 0]
    assert columns_of(cp.DataSource(path))["X"].tolist() == [0.5, 1.25, 2.75]
    assert cp.DataSource(path, columns=["X"]).infer_variables()["X"] == cp.Continuous()


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("a.csv", "X;Y\n1.000;2\n2.500;3\n", "or a thousand"),
        ("a.csv", 'X,Y\n"1,000",2\n', "Write it without the comma"),
        ("a.csv", "# a note\nX,Y\n1,2\n", "Take lines above the header"),
        ("a.csv", "A title\nX,Y\n1,2\n", "Take lines above the header"),
        ("a.csv", "<!DOCTYPE html><html>", "download the file itself"),
        ("a.csv", "ARROW1", "call it .arrow"),
        ("a.json", "[]", "call it .jsonl"),
        ("a.xlsx", "", "save the sheet as CSV"),
        ("a.pkl", "", "may run code"),
        ("a.arrow", "X,Y\n", "cannot be read as Arrow"),
    ],
)
def test_files_that_may_be_misread(tmp_path, name, text, advice):
    variables = {"X": cp.Continuous(), "Y": cp.Continuous()}
    with pytest.raises(DataError, match=advice):
        cp.DataSource(written(tmp_path, name, text)).encode(variables)


@pytest.mark.parametrize(
    "column",
    [
        torch.empty(2, device="meta"),
        torch.ones(2).to_sparse(),
        {1, 2},
        {0: 1, 1: 2},
        [1, "2"],
        np.array([1 << 60, (1 << 60) + 1, (1 << 60) + 2]),
    ],
    ids=["meta", "sparse", "set", "dict", "mixed", "nanoseconds"],
)
def test_columns_that_are_no_rows_of_numbers(column):
    with pytest.raises(DataError):
        cp.DataSource({"X": column}).encode({"X": cp.Continuous()})


def test_numbers_among_texts_are_no_texts():
    with pytest.raises(DataError, match="outside its categories"):
        cp.DataSource({"K": [1, "a"]}).encode({"K": cp.Discrete(["1", "a"])})


def test_a_single_column_is_no_table():
    with pytest.raises(DataError, match="single column"):
        cp.DataSource(pd.Series([1, 2], name="X"))


def test_files_of_arrow_are_read(tmp_path):
    table = pa.table({"X": [1.5, 2.5], "K": ["a", "b"]})
    feather.write_feather(table, str(tmp_path / "rows.feather"))
    with pa.ipc.new_file(str(tmp_path / "rows.arrow"), table.schema) as file:
        file.write_table(table)
    for name in ("rows.feather", "rows.arrow"):
        rows = cp.DataSource(tmp_path / name).encode(
            {"X": cp.Continuous(), "K": cp.Discrete(["a", "b"])}
        )
        assert rows.values["X"].tolist() == [1.5, 2.5]
        assert rows.values["K"].tolist() == [0, 1]


@pytest.mark.parametrize("stray", ["loose.png", "cat/kittens/small.png"])
def test_pictures_that_belong_to_no_class_are_refused(tmp_path, stray):
    for name in ("cat/a.png", "dog/a.png", "cat/.cache/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / name)
    assert len(cp.DataSource(tmp_path)) == 2
    (tmp_path / stray).parent.mkdir(exist_ok=True)
    Image.new("L", (2, 2)).save(tmp_path / stray)
    with pytest.raises(DataError, match="in no folder of a class"):
        cp.DataSource(tmp_path)
