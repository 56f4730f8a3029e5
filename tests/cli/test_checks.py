"""The commands ``bounds`` and ``check-graph``."""

import json

import numpy as np
import pandas as pd
import pytest

from causalplug.cli import main


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("rows", "trial"):
        x = random.integers(0, 2, 1500)
        y = (random.random(1500) < 0.2 + 0.5 * x).astype(int)
        pd.DataFrame({"X": x, "Y": y}).to_csv(f"{name}.csv", index=False)


def test_bounds_of_a_refused_query(tables, capsys):
    graph = "X -> Y; X <-> Y"
    assert main(["bounds", graph, "P(Y=1 | do(X=1))", "--data", "rows.csv"]) == 0
    out = capsys.readouterr().out
    assert "P(Y=1 | do(X=1)): sharp" in out
    assert "95% interval" in out


def test_bounds_with_an_experiment_and_an_assumption(tables, capsys):
    command = ["bounds", "X -> Y; X <-> Y", "PNS(Y, X)", "--json", "--assume", "monotone:X,Y"]
    assert main([*command, "--data", "rows.csv", "--data", "trial.csv:do=X"]) == 0
    found = json.loads(capsys.readouterr().out)
    (cell,) = found["bounds"]
    assert cell["low"] == pytest.approx(cell["high"], abs=1e-6)
    assert cell["low"] == pytest.approx(0.5, abs=0.1)
    assert found["assumptions"]


def test_identify_by_an_assumption(capsys):
    command = ["identify", "X -> Y", "PNS(Y, X)", "--require"]
    assert main(command) == 2
    capsys.readouterr()
    assert main([*command, "--assume", "monotone:X,Y"]) == 0
    assert "assumed: monotone X -> Y" in capsys.readouterr().out
    assert main([*command, "--assume", "additive:X,Y"]) == 2
    assert "causalplug.bounds" in capsys.readouterr().err


def test_identify_by_proxies(capsys):
    six = "Z <-> W; Z <-> X; Z <-> Y; W <-> X; W <-> Y; X <-> Y"
    command = ["identify", f"Z -> X -> Y; W -> Y; {six}", "ATE(Y, X)", "--require"]
    values = ["--values", "Z=0,1", "--values", "W=0,1"]
    assert main([*command, *values, "--assume", "proxies:X,Y,Z,W"]) == 0
    assert "assumed: proxies X -> Y" in capsys.readouterr().out
    assert main([*command, *values, "--assume", "proxies:X,Y,Z"]) == 2
    assert "proxies:CAUSE,EFFECT,FIRST,SECOND" in capsys.readouterr().err


def test_a_graph_that_the_rows_contradict(tables, capsys):
    assert main(["check-graph", "X; Y", "--data", "rows.csv", "--png", "graph.png"]) == 0
    assert "X ⊥ Y" in capsys.readouterr().out
    assert main(["check-graph", "X; Y", "--data", "rows.csv", "--require"]) == 2
    assert "contradict the graph" in capsys.readouterr().err
    assert main(["check-graph", "X -> Y", "--data", "rows.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["bounds", "X -> Y", "ATE(Y, X)", "--data", "none.csv"], "no file none.csv"),
        (["bounds", "X -> Y", "ATE(Y, X)", "--data", "rows.csv", "--assume", "x"], "KIND:CAUSE"),
        (["check-graph", "X -> Y"], "--data"),
    ],
)
def test_mistakes_are_one_line(tables, capsys, command, message):
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_a_picture_of_an_answer_without_images_is_refused_before_any_work(shell, tmp_path):
    code, out, err = shell(f'causalplug estimate frontdoor "P(A | do(D=1))" --png {tmp_path}/a.png')
    assert (code, out) == (2, "")
    assert "asks for no image" in err
    assert "causalplug drivers" in err
    assert not list(tmp_path.glob("a.png"))


@pytest.mark.parametrize(
    "command",
    [
        "plan frontdoor.dot",
        'identify frontdoor.dot "P(A | do(D=1))"',
        'check-graph "X -> Y" --data none.csv',
        'drivers nowhere "P(A)"',
        "check-fit nowhere none.csv",
        'estimate nowhere "P(I)"',
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_before_any_work(shell, command):
    for name, why in (("no/such.png", "there is no folder no;"), ("a.doc", "no form of picture")):
        code, out, err = shell(f"causalplug {command} --png {name}")
        assert (code, out) == (2, "")
        assert f"the picture cannot be written to {name}: " in err
        assert why in err


def test_files_of_another_kind_are_answered_in_the_words_of_the_command_line(shell):
    code, _, err = shell("causalplug sample observed.csv")
    assert code == 2
    assert "a table, not a saved model" in err
    assert "--data" in err
    assert "DataSource" not in err
    code, _, err = shell("causalplug train observed.csv")
    assert code == 2
    assert "is not a .toml or .json file" in err


def test_overlap_is_named_as_such(shell):
    code, out, _ = shell('causalplug estimate bow "P(N | do(X=1))" -n 500 --data observed.csv')
    assert code == 0
    assert "overlap of P(N | do(X=1)): " in out


def test_a_level_out_of_range_names_the_option(shell):
    code, _, err = shell('causalplug estimate frontdoor "P(A | do(D=1))" --level 2')
    assert code == 2
    assert "--level" in err
    assert "DCM" not in err


def test_the_card_of_a_folder_is_checked(shell, home):
    code, out, err = shell("causalplug card --check generator")
    assert (code, out, err) == (0, "generator/README.md: nothing is missing\n", "")
    (home / "bare").mkdir()
    code, _, err = shell("causalplug card --check bare")
    assert code == 2
    assert "has no card" in err


CELLS = [(0, 0)] * 3 + [(0, 1)] * 2 + [(1, 0)] + [(1, 1)] * 4


@pytest.mark.parametrize("name", ["rows.csv", "index.csv", "semicolons.csv", "rows.jsonl"])
def test_columns_and_rows_are_chosen_alike_for_every_table(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame([*CELLS, (7, 1)], columns=["X", "Y"]).assign(note="a, b")
    if name.endswith("jsonl"):
        frame.to_json(name, orient="records", lines=True)
    else:
        frame.to_csv(name, sep=";" if "semi" in name else ",", index="index" in name)
    command = ["bounds", "X -> Y; X <-> Y", "P(Y=1 | do(X=1))", "--data", name, "--json"]
    assert main(command) == 2
    assert "--columns X,Y" in capsys.readouterr().err
    assert main([*command, "--columns", "X,Y", "--where", "X=0,1"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["bounds"]
    assert (cell["low"], cell["high"]) == pytest.approx((0.4, 0.9))
    assert main([*command, "--columns", "X,Y", "--where", "X=5"]) == 2
    assert "no rows" in capsys.readouterr().err


def test_a_folder_is_not_called_a_missing_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()
    assert main(["bounds", "X -> Y; X <-> Y", "P(Y=1 | do(X=1))", "--data", "rows"]) == 2
    assert "rows is a folder; name a table" in capsys.readouterr().err


def test_too_few_rows_are_counted(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text("X,Y\n1,2\n")
    assert main(["check-graph", "X -> Y", "--data", str(path)]) == 2
    assert "on fewer than 30 rows; the table has 1" in capsys.readouterr().err


def test_a_kind_that_is_misspelt_is_refused(capsys):
    assert main(["plan", "A -> B", "--kind", "A=imag"]) == 2
    error = capsys.readouterr().err
    assert '"imag" is not a kind of variable (did you mean "image"?)' in error
    assert main(["plan", "A -> B", "--kind", "A=Image"]) == 0


def test_parquet_that_is_damaged_is_one_sentence(tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"no parquet at all")
    assert main(["plan", "A -> B", "--source", str(path)]) == 2
    error = capsys.readouterr().err
    assert "cannot be read as Parquet" in error
    assert ".." not in error.removeprefix(str(tmp_path))
