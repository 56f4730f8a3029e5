"""A folder with small models and files, as somebody has who works at the command line."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.cli import main
from causalplug.mechanisms.frozen.label import Label

IMAGE = cp.Image(1, 8, 8)
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
    {"type": "sigmoid"},
]

RUN = """
graph = "X -> Y; X <-> Y; X -> N"
output_dir = "runs/a"
[variables]
X = 2
Y = ["red", "blue"]
N = "continuous"
[[sources]]
file = "observed.csv"
[[sources]]
file = "experiment.csv"
do = ["X"]
columns = ["X", "Y"]
[settings]
steps = 4
validate_every = 2
objective = "likelihood"
"""


def build(home: Path) -> None:
    """Write models, graphs, tables and configurations into ``home``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(IMAGE, [Label("D", 2)], 4, LAYERS, license="mit")
    gan.save_pretrained(home / "generator")
    front = cp.DCM(
        cp.CausalGraph.parse("D -> I -> A; D <-> A"),
        {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(["no", "yes"])},
        mechanisms={"I": cp.from_pretrained(home / "generator")},
    )
    front.sources = (cp.Source(["D", "I", "A"], name="rows"),)
    front.save_pretrained(home / "frontdoor")
    table = cp.DCM(
        cp.CausalGraph.parse("X -> Y; X <-> Y; X -> N"),
        {"X": cp.Discrete(2), "Y": cp.Discrete(["red", "blue"]), "N": cp.Continuous()},
    )
    table.sources = (cp.Source(["X", "Y", "N"], name="rows"),)
    table.save_pretrained(home / "bow")

    rng = np.random.default_rng(0)
    x = rng.integers(2, size=60)
    rows = pd.DataFrame(
        {"X": x, "Y": np.where(rng.random(60) < 0.5, "red", "blue"), "N": rng.normal(x)}
    )
    rows.to_csv(home / "observed.csv", index=False)
    rows.assign(batch=1).to_csv(home / "experiment.csv", index=False)
    (home / "frontdoor.dot").write_text("digraph { D -> I -> A; D -> A [dir=both] }")
    (home / "cycle.dot").write_text("digraph { A -> B -> A }")
    (home / "empty.csv").write_text("")
    (home / "run.toml").write_text(RUN)
    for name, old, new in (
        ("typo.toml", "graph =", "grph ="),
        ("undeclared.toml", 'N = "continuous"\n', ""),
        ("kind.toml", '"continuous"', '"a number"'),
        ("column.toml", '["X", "Y"]', '["X", "Z"]'),
        ("nofile.toml", "observed.csv", "obs.csv"),
        ("broken.toml", "X = 2", "X = "),
        (
            "partial.toml",
            '[[sources]]\nfile = "observed.csv"',
            '[[sources]]\nfile = "observed.csv"\ndo = ["Y"]',
        ),
        ("frozen.toml", "[settings]", '[mechanisms.Y]\nrepo = "generator"\n[settings]'),
    ):
        assert old in RUN
        (home / name).write_text(RUN.replace(old, new, 1))
    (home / "sources.toml").write_text(
        '[[sources]]\nrecorded = ["X", "Y"]\n[[sources]]\nrecorded = "Y"\ndo = { X = 1 }\n'
    )
    (home / "bad_sources.json").write_text('{"rows": 3}')


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder, made once."""
    folder = tmp_path_factory.mktemp("cli")
    build(folder)
    return folder


@pytest.fixture
def home(made, tmp_path):
    """A fresh copy of the folder."""
    return Path(shutil.copytree(made, tmp_path / "home"))


@pytest.fixture
def shell(home, monkeypatch, capsys):
    """Run ``causalplug …`` in the folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(home)

    def run(command: str) -> tuple[int, str, str]:
        program, *arguments = shlex.split(command)
        assert program == "causalplug"
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
