"""Counterfactuals of pictures in a folder, at the command line."""

import json
import shlex

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import causalplug as cp
from causalplug.cli import main


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A model whose image recovers its noise, and two pictures with what is known of them."""
    monkeypatch.chdir(tmp_path)
    graph = cp.CausalGraph.parse("D -> I; T -> I")
    variables = {"D": cp.Discrete(["bar", "dash"]), "T": cp.Continuous(), "I": cp.Image(1, 8, 8)}
    dcm = cp.DCM(graph, variables, mechanisms={"I": cp.InvertibleImage(latent_size=3, width=4)})
    with torch.no_grad():  # so that what was set is seen in eight bits
        for parameter in dcm.mechanism("I").parameters():
            parameter.mul_(2.0)
    dcm.sources = (cp.Source(["D", "T", "I"], name="rows"),)
    dcm.save_pretrained("model")
    (tmp_path / "seen").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (2, 8, 8), dtype=np.uint8)
    for place, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "seen" / f"{place}.png")
    text = "I_file_name,D,T\n0.png,bar,0.5\n1.png,dash,-0.25\n"
    (tmp_path / "seen" / "metadata.csv").write_text(text)
    return tmp_path, pixels


def read(folder, names):
    return np.stack([np.asarray(Image.open(folder / name)) for name in names])


def test_pairs_are_written_to_a_folder(home):
    folder, pixels = home
    asked = "--rows seen --do D=dash --factual --out pairs --assume I=invertible --batch-size 1"
    assert main(["counterfactual", "model", *shlex.split(asked)]) == 0
    table = pd.read_csv(folder / "pairs" / "metadata.csv")
    assert list(table["counterfactual.D"]) == ["dash", "dash"]
    assert list(table["factual.D"]) == ["bar", "dash"]
    seen, made = (
        read(folder / "pairs", table[f"{world}.I_file_name"])
        for world in ("factual", "counterfactual")
    )
    assert np.array_equal(seen, pixels)
    assert np.array_equal(made[1], pixels[1])  # it was a dash already
    assert not np.array_equal(made[0], pixels[0])
    about = json.loads((folder / "pairs" / "about.json").read_text())
    assert about["reconstruction_error"]["I"] < 1e-5
    assert about["identification"] == "identifiable"
    assert about["assumptions"] == [str(cp.Assume("invertible", effect="I"))]


def test_they_are_refused_where_nothing_is_assumed(home, capsys):
    asked = "--rows seen --do D=dash --out pairs"
    assert main(["counterfactual", "model", *shlex.split(asked)]) != 0
    assert "not identifiable" in capsys.readouterr().err


def test_rows_of_pictures_in_a_frame(home):
    folder, pixels = home
    dcm = cp.from_pretrained(folder / "model")
    column = [Image.fromarray(picture) for picture in pixels]
    frame = pd.DataFrame({"D": ["bar", "dash"], "T": [0.5, -0.25], "I": column})
    found = dcm.counterfactual(frame, do={"T": 1.0}, allow_unidentified=True, draws=2)
    assert len(found) == 4
    assert torch.equal(found["I"][0], found["I"][1])
    still = dcm.counterfactual(frame, do={"D": "dash"}, allow_unidentified=True)
    back = np.rint(255 * still["I"][1][0].numpy()).astype(np.uint8)
    assert np.array_equal(back, pixels[1])
