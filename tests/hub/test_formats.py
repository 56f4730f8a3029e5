"""Every format that was ever written is read, and saved again in the current one; what is
unknown is named."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import causalplug as cp
from causalplug.errors import RepositoryError
from causalplug.hub.formats import DCM_FORMAT, DCM_FORMATS

OLD = Path(__file__).parent / "dcm_format_1"
"""Written by the version that had this format: D -> I -> A, D <-> A, with a copied generator, a
plan and sources."""
PAIRWISE = Path(__file__).parent / "dcm_format_2"
"""Written by the version that had this format: A -> B -> C and a bidirected triangle, one noise
for every edge."""


def edited(tmp_path, change):
    folder = tmp_path / "model"
    shutil.copytree(OLD, folder)
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_format_1(tmp_path):
    dcm = cp.from_pretrained(OLD)
    with torch.no_grad():
        values = dcm(cp.Noise(6, seed=9))
    assert values["D"].tolist() == [1, 1, 0, 0, 1, 1]  # as the version that wrote it printed
    assert float(values["I"].sum()) == pytest.approx(48.29886, abs=1e-4)
    assert dcm.sources[0].name == "rows"
    assert dcm.plan.module("I").generator == "user/gan"
    assert dcm.queries == ()
    for frozen in ("reference", "copy"):
        folder = dcm.save_pretrained(tmp_path / frozen, frozen=frozen)
        assert json.loads((folder / "config.json").read_text())["format"] == DCM_FORMAT
        with torch.no_grad():
            again = cp.from_pretrained(folder)(cp.Noise(6, seed=9))
        assert all(torch.equal(values[name], again[name]) for name in values)


def test_format_2_keeps_one_noise_for_every_edge(tmp_path):
    dcm = cp.from_pretrained(PAIRWISE)
    assert dcm.confounders.groups == (("A", "B"), ("B", "C"), ("A", "C"))
    folder = dcm.save_pretrained(tmp_path / "again")
    for model in (dcm, cp.from_pretrained(folder)):
        with torch.no_grad():
            values = model(cp.Noise(6, seed=9))
        assert values["B"].tolist() == [1, 2, 2, 2, 2, 2]  # as the version that wrote it printed
        assert values["C"].tolist() == pytest.approx(
            [1.0577, -0.3107, -0.4533, 1.8418, -1.7898, 0.5799], abs=1e-4
        )
    module = dcm.module("A+B+C")
    plugged = cp.DCM(dcm.graph, dcm.variables, mechanisms={"A+B+C": module})
    with torch.no_grad():
        assert torch.equal(plugged(cp.Noise(6, seed=9))["C"], values["C"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(queries_=[]), r'"queries_" is unknown'),
        (
            lambda c: c["mechanisms"]["D"].update(generator={}),
            r'"mechanisms\.D\.generator" is unknown',
        ),
        (
            lambda c: c.update(format="causalplug-dcm-99"),
            r"newer causalplug: run `pip install -U causalplug`",
        ),
        (
            lambda c: c.update(format="causalplug-dcm-0"),
            r"known are .*causalplug-dcm-1, causalplug-dcm-2",
        ),
        (lambda c: c.update(format=["causalplug-dcm-1"]), r"its format is"),
        (lambda c: c.pop("format"), r'its format is "None"'),
    ],
)
def test_what_is_unknown_is_named(tmp_path, change, message):
    with pytest.raises(RepositoryError, match=rf"config\.json: .*{message}"):
        cp.from_pretrained(edited(tmp_path, change))


def test_every_known_format_has_a_repository_here():
    assert set(DCM_FORMATS) == {"causalplug-dcm-1", "causalplug-dcm-2", DCM_FORMAT}
