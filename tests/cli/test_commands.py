"""Every command with good input: what it prints, what it writes, and its JSON."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import hf_hub_download

import causalplug as cp
from causalplug.cli.app import COMMANDS

BOW = '"X -> Y; X <-> Y; X -> N"'


def answered(shell, command):
    """The JSON that a command prints."""
    code, out, err = shell(f"{command} --json")
    assert (code, err) == (0, ""), err
    return json.loads(out)


def printed(shell, command):
    code, out, err = shell(command)
    assert (code, err) == (0, ""), err
    return out


# -- graphs


def test_a_graph_is_a_file_a_text_or_stdin(shell, monkeypatch):
    of_file = printed(shell, "causalplug plan frontdoor.dot")
    assert of_file == printed(shell, 'causalplug plan "D -> I -> A; D <-> A"')
    monkeypatch.setattr("sys.stdin", io.StringIO("D -> I -> A\nD <-> A"))
    assert of_file == printed(shell, "causalplug plan -")


def test_the_plan_as_json_is_the_plan(shell):
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    assert cp.Plan.from_dict(answered(shell, "causalplug plan frontdoor.dot")) == cp.plan(graph)


@pytest.mark.parametrize(
    "sources",
    [
        "--source observed.csv --source 'P(Y | do(X=1))'",
        "--source sources.toml --source 'P(X, N)'",
        "--source run.toml",
        "--source 'P(X, Y, N)' --source experiment.parquet:do=X",
    ],
)
def test_every_form_of_a_source(shell, home, sources):
    pd.read_csv(home / "experiment.csv")[["X", "Y"]].to_parquet(home / "experiment.parquet")
    plan = cp.Plan.from_dict(answered(shell, f"causalplug plan {BOW} {sources}"))
    assert plan.module("Y").variables == ("X", "Y")
    assert {tuple(target.do) for target in plan.module("Y").targets} == {(), ("X",)}


def test_the_values_that_a_source_sets_are_kept(shell):
    found = answered(
        shell, f"causalplug plan {BOW} --source observed.csv --source observed.csv:do=X=1,N"
    )
    assert found["sources"][1] == {
        "recorded": ["N", "X", "Y"],
        "do": ["N", "X"],
        "values": {"X": [1]},
        "name": "observed.csv:do=X=1,N",
    }


def test_forms_of_a_plan(shell, home):
    assert printed(shell, "causalplug plan frontdoor.dot --md").startswith("**Plan: 2 modules")
    assert printed(shell, "causalplug plan frontdoor.dot --dot").startswith("digraph plan {")
    assert "hidden confounders" in printed(shell, "causalplug plan frontdoor.dot --explain A")
    assert (
        "hidden confounders"
        in answered(shell, "causalplug plan frontdoor.dot --explain A")["explained"]
    )
    assert printed(shell, "causalplug plan frontdoor.dot --png plan.png") == ""
    assert (home / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_a_generator_that_is_there_is_planned_in(shell):
    plan = answered(
        shell, "causalplug plan frontdoor.dot --available I=user/mnist-cgan --kind I=image"
    )
    assert [module["action"] for module in plan["modules"]] == ["pull", "train"]
    assert plan["modules"][0]["generator"] == "user/mnist-cgan"


def test_identification(shell, home):
    found = answered(shell, 'causalplug identify frontdoor.dot "P(A | do(D=1))" --png why.png')
    assert (found["status"], found["certificate"]) == ("identifiable", None)
    assert (home / "why.png").exists()
    found = answered(shell, 'causalplug identify "X -> Y; X <-> Y" "P(Y | do(X=1))" --suggest')
    assert (found["status"], found["suggestions"]) == ("not identifiable", [["X"]])
    surrogate = "--source 'P(X, Y)' --source 'P(Y | do(X=0))' --source 'P(Y | do(X=1))'"
    assert (
        answered(shell, f'causalplug identify "X -> Y; X <-> Y" "P(Y | do(X=1))" {surrogate}')[
            "status"
        ]
        == "identifiable"
    )


# -- questions


def test_rows_are_those_of_python(shell, home):
    model = cp.from_pretrained(home / "bow")
    expected = model.sample(20, given={"X": 1, "N": (0, 2)}, variables=["N"], seed=3)
    out = printed(
        shell, "causalplug sample bow --given X=1 --given N=0..2 --variables N -n 20 --seed 3"
    )
    assert (
        pd.read_csv(io.StringIO(out))["N"].round(4).tolist()
        == expected["N"].astype(float).round(4).tolist()
    )
    found = answered(
        shell, "causalplug sample bow --given Y=red,blue --given X=1 --variables N -n 7"
    )
    assert (found["n"], found["identification"], len(found["rows"])) == (7, "identifiable", 7)


def test_rows_come_in_batches_with_one_header(shell):
    out = printed(shell, "causalplug sample bow -n 11 --batch-size 4")
    assert out == printed(shell, "causalplug sample bow -n 11")
    assert len(out.splitlines()) == 12


def test_a_folder_of_pictures_is_a_source(shell, home):
    found = answered(shell, "causalplug sample frontdoor --do D=1 -n 5 --batch-size 2 --out set")
    assert found["folder"] == "set"
    source = cp.DataSource(home / "set", do=("D",))
    model = cp.from_pretrained(home / "frontdoor")
    rows = source.encode(model.variables)
    assert len(rows) == 5
    expected = model.sample(5, do={"D": 1}, seed=0)
    assert abs(float(rows.values["I"][4].float().mean()) / 255 - expected["I"][4].mean()) < 0.01
    plan = cp.Plan.from_dict(
        answered(shell, "causalplug plan frontdoor.dot --source set:do=D --source 'P(D, I, A)'")
    )
    assert plan.sources[0].recorded == {"D", "I", "A"}


def test_an_image_is_set_from_a_file(shell, home):
    printed(shell, "causalplug sample frontdoor -n 1 --out one")
    out = printed(shell, "causalplug sample frontdoor --do I=one/I/000000.png --variables A -n 4")
    assert out.splitlines()[0] == "A"


def test_estimates(shell, home):
    found = answered(shell, 'causalplug estimate bow "E[N | do(X=1)]" -n 500 --seed 1')
    model = cp.from_pretrained(home / "bow")
    assert found["table"][0]["estimate"] == pytest.approx(
        model.estimate("E[N | do(X=1)]", 500, seed=1).value
    )
    assert "standard_error" in printed(
        shell, 'causalplug estimate bow "P(Y | X=1)" -n 500 --data observed.csv'
    )
    found = answered(
        shell, 'causalplug estimate bow "P(Y | X=1)" -n 500 --data observed.csv --compare'
    )
    rows = pd.read_csv(home / "observed.csv")
    shares = rows[rows["X"] == 1]["Y"].value_counts(normalize=True)
    assert {row["Y"]: row["plug_in"] for row in found["table"]} == pytest.approx(shares.to_dict())
    assert found["overlap"]


def test_an_image_that_is_asked_for_is_drawn(shell, home):
    printed(shell, 'causalplug estimate frontdoor "P(I | do(D=1))" -n 20 --png images.png')
    assert (home / "images.png").exists()


def test_counterfactuals(shell, home):
    found = answered(
        shell, "causalplug counterfactual frontdoor --evidence D=0 --do D=1 --variables A -n 6"
    )
    expected = cp.from_pretrained(home / "frontdoor").counterfactual(
        6, evidence={"D": 0}, do={"D": 1}, variables="A"
    )
    assert [row["A"] for row in found["rows"]] == expected["A"].tolist()
    code, out, err = shell(
        "causalplug counterfactual bow --rows observed.csv --do X=1 --variables N --factual "
        "--allow-unidentified"
    )
    assert code == 0
    assert err.startswith("warning: ")
    rows = pd.read_csv(io.StringIO(out))
    assert list(rows) == ["factual.N", "counterfactual.N"]
    assert rows["factual.N"].to_numpy() == pytest.approx(
        pd.read_csv(home / "observed.csv")["N"].to_numpy(), abs=1e-3
    )


# -- training


def test_a_run_is_trained_saved_resumed_and_never_overwritten(shell, home):
    code, out, _ = shell("causalplug train run.toml --set tolerance=0.99")
    assert code == 0
    assert "TRAIN   X, Y" in out
    assert "Training in 1 process on cpu." in out
    assert "The model is in runs/a/model" in out
    model = cp.from_pretrained(home / "runs" / "a" / "model")
    assert [source.name for source in model.sources] == ["observed.csv", "experiment.csv"]
    code, out, err = shell("causalplug train run.toml")
    assert (code, out) == (2, "")
    assert "it holds an earlier run (checkpoint, report.json, model)" in err
    code, out, _ = shell("causalplug train run.toml --set tolerance=0.99 --resume --json")
    assert json.loads(out)["model"] == "runs/a/model"
    code, out, _ = shell("causalplug train run.toml --set steps=2 --output-dir runs/b --json")
    assert json.loads(out)["settings"]["steps"] == 2


def test_a_preset_sets_settings_and_networks_that_the_file_leaves_open(shell, home):
    command = "causalplug train run.toml --preset paper --set tolerance=0.99 --json"
    code, out, _ = shell(f"{command} --set batch_size=32")
    assert code == 0
    settings = json.loads(out)["settings"]
    assert (settings["preset"], settings["critic_hidden"]) == ("paper", [256, 256])
    assert (settings["batch_size"], settings["steps"], settings["objective"]) == (
        32,
        4,
        "likelihood",
    ), "the file's own settings and --set count"
    model = cp.from_pretrained(home / "runs" / "a" / "model")
    assert (256, 256) in {tuple(p.shape) for p in model.mechanism("Y").parameters()}
    code, _, err = shell("causalplug train run.toml --preset papper --output-dir runs/b")
    assert code == 2
    assert "preset='papper' cannot be used (did you mean \"paper\"?)" in err


def test_a_run_with_a_generator_and_a_label_map(shell, home):
    printed(shell, "causalplug sample frontdoor -n 120 --out rows")
    text = """
        graph = "frontdoor.dot"
        output_dir = "runs/c"
        [variables]
        D = 2
        I = "image 1x8x8"
        A = ["no", "yes"]
        [mechanisms.I]
        repo = "generator"
        label_map = { 0 = 1, 1 = 0 }
        [[sources]]
        file = "rows"
        [model]
        hidden = [8]
        [settings]
        steps = 2
        encoder_steps = 2
        bank_rows = 4
        check_fit = false
    """
    (home / "images.toml").write_text(text)
    code, out, _ = shell("causalplug train images.toml --json")
    assert code == 0
    assert json.loads(out)["pulled"] == ["I"]
    mechanism = cp.from_pretrained(home / "runs" / "c" / "model").mechanism("I")
    assert mechanism.label_map.probabilities.argmax(-1).tolist() == [1, 0]
    found = answered(shell, "causalplug check-fit images.toml --rows 40")
    assert found["I"]["verdict"] in ("fit", "off", "unfit")


def test_a_run_for_counterfactuals_of_images(shell, home):
    printed(shell, "causalplug sample frontdoor -n 60 --out rows")
    text = """
        graph = "frontdoor.dot"
        output_dir = "runs/d"
        [variables]
        D = 2
        I = "image 1x8x8"
        A = ["no", "yes"]
        [[sources]]
        file = "rows"
        [model]
        counterfactuals = true
        [settings]
        steps = 2
        encoder_steps = 2
        bank_rows = 4
        check_fit = false
    """
    (home / "images.toml").write_text(text)
    code, _, _ = shell("causalplug train images.toml --json")
    assert code == 0
    assert cp.from_pretrained(home / "runs" / "d" / "model").mechanism("I").abduction == "exact"


def test_the_fit_of_a_model_and_of_a_generator(shell, home):
    printed(shell, "causalplug sample frontdoor -n 200 --out many")
    found = answered(shell, "causalplug check-fit frontdoor many --png fit.png")
    assert found["I"]["verdict"] == "fit"  # its own samples
    assert (home / "fit.png").exists()
    assert (
        answered(shell, "causalplug check-fit generator many --variable I")["I"]["verdict"] == "fit"
    )


# -- repositories


def test_what_a_folder_holds(shell, home):
    found = answered(shell, "causalplug info bow")
    assert found["graph"] == "X -> Y; X -> N; X <-> Y"
    assert found["sources"] == [{"recorded": ["N", "X", "Y"], "do": [], "name": "rows"}]
    assert "pulled from ../generator" in printed(shell, "causalplug info frontdoor")


PARTS = {
    "conditional-gan": {
        "image": {"kind": "image", "channels": 1, "height": 8, "width": 8},
        "labels": [{"name": "D", "categories": 2}],
    },
    "trained-generator": {
        "kind": "conv-generator",
        "labels": {"digit": {"kind": "discrete", "categories": ["a", "b"]}},
    },
    "diffusers": {"labels": [{"name": "prompt", "prompts": {"a": "a cat"}}], "steps": 4},
    "other": {"labels": "what only it understands", "image": 3},
    "pca": {"variable": {"kind": "image", "channels": 3, "height": 4, "width": 4}, "size": 8},
}


@pytest.mark.parametrize("kind", PARTS)
def test_whatever_an_adapter_writes_down_is_described(shell, home, kind):
    format = "causalplug-encoder-1" if kind == "pca" else "causalplug-mechanism-1"
    (home / "part").mkdir()
    (home / "part" / "config.json").write_text(
        json.dumps({"format": format, "kind": kind, "config": PARTS[kind]})
    )
    out = printed(shell, "causalplug info part")
    assert re.search(rf"adapter +{kind}\n", out)
    assert answered(shell, "causalplug info part")["adapter"] == kind


def test_published_and_asked_by_its_name(shell, hub, repo, home):
    found = answered(shell, f'causalplug push bow {repo} --license mit --query "P(N | do(X=1))"')
    assert answered(shell, f"causalplug info {repo}")["revision"] == found["commit"]
    rows = answered(shell, f"causalplug sample {repo} -n 3 --revision main")["rows"]
    assert rows == answered(shell, "causalplug sample bow -n 3")["rows"]


def test_a_model_that_refers_to_a_folder_is_pushed_with_a_copy_only(shell, hub, repo):
    code, out, err = shell(f"causalplug push frontdoor {repo} --license mit")
    assert (code, out) == (2, "")
    assert (
        "Publish it first (causalplug push), or copy it into the repository with --copy-frozen"
        in err
    )
    assert answered(shell, f"causalplug push frontdoor {repo} --license mit --copy-frozen")[
        "commit"
    ]
    assert answered(shell, f"causalplug sample {repo} --variables A -n 2")["n"] == 2
    assert "pulled from frozen/0" in printed(shell, f"causalplug info {repo}")


def test_a_card_that_was_edited_is_published_as_it_is(shell, hub, repo, home):
    card = home / "bow" / "README.md"
    card.write_text(
        printed(shell, "causalplug card bow --license mit") + "\nWritten by hand.\n",
        encoding="utf-8",
    )
    code, _, err = shell(f"causalplug push bow {repo} --license cc0-1.0")
    assert (code, "edited by hand" in err) == (2, True)
    answered(shell, f"causalplug push bow {repo}")
    published = Path(hf_hub_download(repo, "README.md")).read_text(encoding="utf-8")
    assert published == card.read_text(encoding="utf-8")


def test_a_card(shell, home):
    text = printed(
        shell, 'causalplug card bow --license mit --title "A bow" --query "P(Y | do(X=1))"'
    )
    assert "# A bow" in text
    assert "not identifiable" in text
    (home / "README.md").write_text(text, encoding="utf-8")
    assert printed(shell, "causalplug card --check README.md") == "README.md: nothing is missing\n"
    (home / "README.md").write_text(text.replace("license: mit\n", ""), encoding="utf-8")
    code, out, _ = shell("causalplug card --check README.md --json")
    assert (code, json.loads(out)) == (2, {"problems": ["license is missing"]})


def test_adapters_are_listed(shell):
    assert {"diffusers", "conditional-gan"} <= {
        item["kind"] for item in answered(shell, "causalplug adapters")
    }
    assert "conditional-gan" in printed(shell, "causalplug adapters")


# -- all of them


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(shell, name):
    out = printed(shell, f"causalplug {name} --help")
    assert out.startswith(f"Usage: causalplug {name}")
    assert "--json" in out or name == "completion"


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_scripts(shell, name):
    assert "_CAUSALPLUG_COMPLETE" in printed(shell, f"causalplug completion {name}")


def test_no_command_is_help(shell):
    out = printed(shell, "causalplug")
    assert all(f"  {name} " in out for name in COMMANDS)
    assert cp.__version__ in printed(shell, "causalplug --version")


def test_columns_that_are_no_variables_are_named(shell):
    code, out, err = shell(
        "causalplug counterfactual bow --rows experiment.csv --do X=1 --variables X"
    )
    assert (code, err) == (
        0,
        "warning: experiment.csv: not variables of the model, and not used: batch\n",
    )
    assert out.splitlines() == ["X", *["1"] * 60]
