"""Bounds catch what they should, and the command that runs all recipes says what went wrong."""

import json

import pytest

from causalplug.errors import DataError
from recipes import __main__ as command
from recipes import common


@pytest.fixture
def check(tmp_path, monkeypatch):
    """The violations of a result under bounds."""

    def checked(result, bounds):
        folder = tmp_path / "one"
        folder.mkdir(exist_ok=True)
        (folder / "expected.json").write_text(json.dumps({"quick": bounds}))
        monkeypatch.setattr(common, "HOME", tmp_path)
        return common.violations("one", result)

    return checked


RESULT = {
    "rows": [{"tvd": 0.01}, {"tvd": 0.2}],
    "verdict": "refused",
    "bad": float("nan"),
    "yes": True,
}


@pytest.mark.parametrize(
    ("path", "bound", "count"),
    [
        ("rows.*.tvd", {"at_most": 0.2}, 0),
        ("rows.*.tvd", {"at_most": 0.1}, 1),
        ("rows.*.tvd", {"at_most": 0.001}, 2),
        ("rows.1.tvd", {"at_least": 0.1, "at_most": 0.3}, 0),
        ("rows.0.tvd", {"at_least": 0.1}, 1),
        ("rows.2.tvd", {"at_most": 1}, 1),
        ("rows.*.other", {"at_most": 1}, 1),
        ("verdict", {"equal": "refused"}, 0),
        ("verdict", {"equal": "answered"}, 1),
        ("verdict", {"at_most": 1}, 1),
        ("bad", {"at_most": 1}, 1),
        ("bad", {"at_least": 0}, 1),
        ("yes", {"at_least": 0}, 1),
        ("yes", {"equal": True}, 0),
    ],
)
def test_violations(check, path, bound, count):
    assert len(check(RESULT, {path: bound})) == count


def test_a_violation_names_the_place_and_the_bound(check):
    assert check(RESULT, {"rows.*.tvd": {"at_most": 0.1}}) == ["rows.1.tvd is 0.2: more than 0.1"]
    assert check(RESULT, {"no.such": {"at_most": 0.1}}) == ["no.such is not in the result"]


def test_an_unknown_bound(check):
    with pytest.raises(DataError, match="'below' is none of at_most, at_least, equal"):
        check(RESULT, {"verdict": {"below": 1}})


def test_settings_come_from_the_config_unless_they_are_said(tmp_path):
    script = tmp_path / "one" / "run.py"
    script.parent.mkdir()
    script.with_name("config.json").write_text(
        '{"full": {"rows": 9, "steps": 8}, "quick": {"rows": 3, "steps": 2}}'
    )
    made = common.parser(str(script), "text")
    made.add_argument("--rows", type=int)
    run = common.Run(
        str(script), made, ["--quick", "--rows", "5", "--output-dir", str(tmp_path / "out")]
    )
    assert (run.options.rows, run.options.steps, run.name) == (5, 2, "one")
    run.lap("all")
    whole = run.finish({"answer": {1: 2}})
    assert whole == json.loads((tmp_path / "out" / "result.json").read_text())
    assert whole["answer"] == {"1": 2}
    assert whole["run"]["mode"] == "quick"


def test_the_command_fails_where_a_recipe_does(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command.main(["nothing_of_this_name"])
    assert "there is no recipe nothing_of_this_name" in capsys.readouterr().err
    answers = {"good": (0.1, []), "bad": (0.2, ["tvd is 0.2: more than 0.1"])}
    monkeypatch.setattr(command, "recipes", lambda: list(answers))
    monkeypatch.setattr(command, "run", lambda name, folder: answers[name])
    assert command.main(["good"]) == 0
    assert command.main([]) == 1
    assert "tvd is 0.2: more than 0.1" in capsys.readouterr().out


def test_a_recipe_that_crashes_is_reported(tmp_path):
    minutes, wrong = command.run("no_such_recipe", tmp_path)
    assert minutes > 0
    assert len(wrong) == 1
    assert "No module named" in (tmp_path / "log.txt").read_text()
