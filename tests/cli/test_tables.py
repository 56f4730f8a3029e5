"""Columns and rows of tables are chosen on the command line as in Python."""

import click
import pytest

from causalplug.cli.run_file import RunFile
from causalplug.cli.sources import read_given_sources
from causalplug.cli.tables import conditions, rows_of
from causalplug.errors import DataError, SourceError
from causalplug.variables import Continuous, Discrete

TEXT = "id;X;age;site\np1;True;20,5;a\np2;False;40;b\np3;true;;c\n"
KINDS = {"X": Discrete([False, True]), "age": Continuous()}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(TEXT)
    return path


def test_columns_and_rows_are_chosen(table, capsys):
    found = rows_of(table, KINDS, columns="X,age", where=["site=a,b"])
    assert found["X"].tolist() == [True, False]
    assert found["age"].tolist() == [20.5, 40]
    assert rows_of(table, KINDS, columns="X")["X"].tolist() == [True, False, True]
    assert capsys.readouterr().err == ""
    assert rows_of(table, KINDS, where=["site=b"])["age"].tolist() == [40]
    assert "not used: id, site" in capsys.readouterr().err


def test_conditions_are_values_lists_and_intervals():
    assert conditions(["site=a,b", "age=18..", "dose=0.5..1"]) == {
        "site": ["a,b", "a", "b"],
        "age": (18.0, None),
        "dose": (0.5, 1.0),
    }
    with pytest.raises(click.BadParameter, match="not an interval"):
        conditions(["age=young..old"])
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        conditions(["age"])


def test_a_plan_reads_the_chosen_columns_alone(table):
    (source,) = read_given_sources([str(table)], columns="X,age")
    assert set(source.recorded) == {"X", "age"}
    with pytest.raises(SourceError, match="no column weight"):
        read_given_sources([str(table)], columns="X,weight")


def test_a_column_without_a_name_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"","X","Y"\n"1",0,1\n')
    with pytest.raises(SourceError, match=r"column without a name.*row\.names=FALSE"):
        read_given_sources([str(path)])
    (source,) = read_given_sources([str(path)], columns="X,Y")
    assert set(source.recorded) == {"X", "Y"}


def test_a_run_file_chooses_rows_and_says_how_a_file_is_written(table):
    run = table.parent / "run.toml"
    run.write_text(
        'graph = "X -> age"\n[variables]\nX = [false, true]\nage = "continuous"\n'
        '[[sources]]\nfile = "rows.csv"\ncolumns = ["X", "age"]\nseparator = ";"\ndecimal = ","\n'
        'where = {site = ["a", "b"], age = {low = 1}}\n'
    )
    read = RunFile.read(run)
    (source,) = read.sources()
    assert source.encode(read.variables).values["age"].tolist() == [20.5, 40]
    run.write_text(run.read_text().replace("low = 1", "least = 1"))
    with pytest.raises(DataError, match=r"where\.age cannot be used"):
        RunFile.read(run).sources()
