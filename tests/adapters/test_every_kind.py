"""One table over all kinds of frozen mechanisms: plugged, planned, trained around, sampled, asked
for counterfactuals, saved, loaded, pushed and pulled at a commit, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import nn

import causalplug as cp
from causalplug.errors import CausalPlugError
from causalplug.networks import initialised
from tests.adapters import small_transformers as small

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # tiny models do not converge
IMAGE, TEXT = cp.Image(1, 16, 16), cp.Text(40)
NAMES = {0: "ill", 1: "well"}
LABELS = {"id2label": NAMES, "label2id": {name: code for code, name in NAMES.items()}}


@dataclass(frozen=True)
class Case:
    """One kind.

    Attributes:
        parent, variable: Declarations of what is read, and of what is made.
        make: The frozen mechanism, from an empty folder.
        wrong: A declaration that the mechanism cannot be.
    """

    parent: cp.Variable
    variable: cp.Variable
    make: Callable[[Path], Any]
    wrong: cp.Variable


def painter(folder: Path) -> Any:
    """Pictures without a parent, for what reads them."""
    layers = (nn.Linear(4, 256), nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16)))
    return cp.wrap(initialised(lambda: nn.Sequential(*layers), 0), IMAGE, latent=4)


def image_classifier(folder: Path) -> Any:
    small.vit(folder, "ViTForImageClassification", **LABELS)
    return cp.from_pretrained(folder, variable=cp.Discrete(["well", "ill"]))


def image_regressor(folder: Path) -> Any:
    small.vit(folder, "ViTForImageClassification", num_labels=1, problem_type="regression")
    return cp.from_pretrained(folder, variable=cp.Continuous(), error=0.3)


def image_to_image(folder: Path) -> Any:
    network = initialised(lambda: nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Sigmoid()), 0)
    return cp.wrap(network, IMAGE, conditions=[cp.Condition("picture", IMAGE)])


def writer(folder: Path) -> Any:
    small.gpt(folder)
    prompts = {"ill": "the patient has", "well": "no"}
    return cp.from_pretrained(folder, variable=TEXT, prompts=prompts, call={"max_new_tokens": 3})


def text_classifier(folder: Path) -> Any:
    small.bert(folder, "BertForSequenceClassification", **LABELS)
    return cp.from_pretrained(folder, variable=cp.Discrete(["well", "ill"]))


def tabular(folder: Path) -> Any:
    rows = np.random.default_rng(0).normal(size=(200, 1))
    forest = RandomForestClassifier(3, max_depth=3, random_state=0)
    forest.fit(rows, np.where(rows[:, 0] > 0, "ill", "well"))
    age = cp.Condition("age", cp.Continuous())
    return cp.wrap(forest, cp.Discrete(["well", "ill"]), conditions=[age])


def embedding(folder: Path) -> Any:
    small.vit(folder, "ViTModel")
    return cp.from_pretrained(folder, variable=cp.Vector(16))


def wrapped(folder: Path) -> Any:
    network = initialised(lambda: nn.Linear(1, 3), 0)
    age = cp.Condition("age", cp.Continuous())
    return cp.wrap(network, cp.Discrete(3), conditions=[age])


FINDING = cp.Discrete(["ill", "well"])
CASES = {
    "classifier": Case(IMAGE, FINDING, image_classifier, cp.Discrete(["ill", "dead"])),
    "regressor": Case(IMAGE, cp.Continuous(), image_regressor, FINDING),
    "image-to-image": Case(IMAGE, IMAGE, image_to_image, cp.Image(3, 16, 16)),
    "text": Case(FINDING, TEXT, writer, FINDING),
    "text classifier": Case(TEXT, FINDING, text_classifier, cp.Continuous()),
    "tabular": Case(cp.Continuous(), FINDING, tabular, cp.Discrete(["ill", "dead"])),
    "vector": Case(IMAGE, cp.Vector(16), embedding, cp.Vector(3)),
    "wrapped module": Case(cp.Continuous(), cp.Discrete(3), wrapped, cp.Discrete(2)),
}


def drawn(dcm: cp.DCM) -> list[torch.Tensor]:
    with torch.no_grad():
        return [value for _, value in sorted(dcm(cp.Noise(12, seed=5)).items())]


def same(one: cp.DCM, other: cp.DCM) -> bool:
    return all(torch.equal(a, b) for a, b in zip(drawn(one), drawn(other), strict=True))


def model(case: Case, made: Any, folder: Path) -> cp.DCM:
    """P -> V -> Y with V frozen; P frozen too where it is no column."""
    mechanisms = {"V": made}
    if case.parent.is_image:
        mechanisms["P"] = painter(folder)
    if isinstance(case.parent, cp.Text):
        mechanisms["P"] = cp.from_pretrained(
            small.gpt(folder / "words"), variable=TEXT, prompts="no", call={"max_new_tokens": 3}
        )
    variables = {"P": case.parent, "V": case.variable, "Y": cp.Discrete(2)}
    graph = cp.CausalGraph.parse("P -> V -> Y")
    return cp.DCM(graph, variables, mechanisms=mechanisms)


@pytest.mark.parametrize("kind", CASES)
def test_a_kind_goes_all_the_way(kind: str, tmp_path: Path, hub: Any, repo: str) -> None:
    case = CASES[kind]
    made = case.make(tmp_path / "part")
    with pytest.raises(CausalPlugError, match="'V'"):
        made.bind("V", case.wrong, {"P": case.parent})
    dcm = model(case, made, tmp_path)
    rows = dcm.sample(40, seed=1, images="array")
    table = {name: list(rows[name]) for name in rows}
    before = {key: value.clone() for key, value in made.state_dict().items()}
    cp.fit(dcm, cp.DataSource(table), steps=3, encoder_steps=2, check_fit=False, progress=False)
    assert dcm.plan is not None
    assert dcm.plan.module("V").action == "pull"
    assert dcm.plan.module("Y").action == "train"
    assert all(torch.equal(before[key], value) for key, value in made.state_dict().items())
    plan = cp.plan(dcm.graph, kinds=dcm.variables, candidates=[made])
    assert [one.fits for one in plan.candidates if one.variable == "V"] == [True]
    found = dcm.counterfactual(4, evidence={"Y": 1}, do={"Y": 0}, seed=0, allow_unidentified=True)
    assert list(found["Y"]) == [0] * 4
    dcm.save_pretrained(tmp_path / "model")
    assert same(cp.from_pretrained(tmp_path / "model"), dcm)
    _pushed(dcm, made, case, tmp_path, repo)


def _pushed(dcm: cp.DCM, made: Any, case: Case, folder: Path, repo: str) -> None:
    """Published, the part first, and loaded at the commits that were recorded."""
    made.push_to_hub(f"{repo}-part", license="mit")
    pulled = cp.from_pretrained(f"{repo}-part", cache_dir=folder / "cache")
    assert pulled.origin.revision == made.origin.revision
    around = model(case, pulled, folder / "other")
    around.push_to_hub(f"{repo}-model", license="mit")
    loaded = cp.from_pretrained(f"{repo}-model", cache_dir=folder / "cache")
    assert same(loaded, around)
    assert loaded.pulled["V"].origin.revision == made.origin.revision
