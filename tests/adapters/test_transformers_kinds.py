"""Models of transformers of every kind as frozen mechanisms: regressors, classifiers of texts,
embeddings, language models, and encoders of texts."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.encoders.encoders import project
from causalplug.noise import Noise
from causalplug.testing import EncoderTester, MechanismTester
from tests.adapters import small_transformers as small

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the library's own making
TEXTS = ["the patient has fever", "no cough", "", "clear lungs", "no cough"]
PROMPTS = {"ill": "the patient has", "well": "no"}
TEXT = cp.Text(48)


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, cp.Mechanism]:
    return {way: cp.from_pretrained(folders[way], **options) for way, options in WAYS.items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("models")
    classes = {0: "ill", 1: "well"}
    named = {"id2label": classes, "label2id": {name: code for code, name in classes.items()}}
    one = {"num_labels": 1, "problem_type": "regression"}
    return {
        "text classifier": small.bert(home / "c", "BertForSequenceClassification", **named),
        "text regressor": small.bert(home / "r", "BertForSequenceClassification", **one),
        "text backbone": small.bert(home / "b", "BertModel"),
        "image regressor": small.vit(home / "i", "ViTForImageClassification", **one),
        "two numbers": small.vit(
            home / "2", "ViTForImageClassification", num_labels=2, problem_type="regression"
        ),
        "image backbone": small.vit(home / "v", "ViTModel"),
        "image classifier": small.vit(home / "k", "ViTForImageClassification", **named),
        "many labels": small.vit(
            home / "m",
            "ViTForImageClassification",
            problem_type="multi_label_classification",
            **named,
        ),
        "language model": small.gpt(home / "g"),
        "text to text": small.t5(home / "t"),
    }


WAYS = {
    "text classifier": {"variable": cp.Discrete(["well", "ill"])},
    "text regressor": {"variable": cp.Continuous(), "error": 0.5},
    "image regressor": {"variable": cp.Continuous()},
    "two numbers": {"variable": cp.Vector(2)},
    "text backbone": {"variable": cp.Vector(16)},
    "image backbone": {"variable": cp.Vector(16)},
    "language model": {"variable": TEXT, "prompts": PROMPTS, "call": {"max_new_tokens": 5}},
    "text to text": {"variable": TEXT, "call": {"max_new_tokens": 4}},
}


@pytest.mark.parametrize("way", WAYS)
class TestKinds(MechanismTester):
    rows = 4

    @pytest.fixture(autouse=True)
    def _way(self, way: str, loaded: dict[str, cp.Mechanism]) -> None:
        self.loaded = loaded[way]

    def make(self) -> cp.Mechanism:
        return copy.copy(self.loaded)


class TestTextEncoder(EncoderTester):
    @pytest.fixture(autouse=True)
    def _folder(self, folders: dict[str, Path]) -> None:
        self.folder = folders["text backbone"]

    def make(self) -> cp.Encoder:
        return cp.from_pretrained(self.folder, variable=TEXT, size=4)


def by_the_library(folder: Path, head: str, text: str) -> object:
    """The answer of the library itself to one text."""
    model = getattr(transformers, head).from_pretrained(folder).eval()
    words = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model(**words(text, return_tensors="pt"))


def test_texts_are_read_as_the_library_reads_them(folders: dict[str, Path]) -> None:
    codes = TEXT.encode(TEXTS)
    classify = cp.from_pretrained(folders["text classifier"], variable=cp.Discrete(["well", "ill"]))
    classify = classify.bind("Y", cp.Discrete(["well", "ill"]), {"T": TEXT})
    regress = cp.from_pretrained(folders["text regressor"], variable=cp.Continuous())
    regress = regress.bind("Y", cp.Continuous(), {"T": TEXT})
    embed = cp.from_pretrained(folders["text backbone"], variable=cp.Vector(16))
    embed = embed.bind("V", cp.Vector(16), {"T": TEXT})
    for row, text in enumerate(TEXTS):
        head = "AutoModelForSequenceClassification"
        found = by_the_library(folders["text classifier"], head, text).logits.softmax(-1)
        assert torch.allclose(classify.logits({"T": codes}).exp()[row], found[0].flip(0), atol=1e-5)
        number = by_the_library(folders["text regressor"], head, text).logits
        assert torch.allclose(regress({"T": codes}, {})[row], number[0, 0], atol=1e-5)
        states = by_the_library(folders["text backbone"], "AutoModel", text).last_hidden_state
        assert torch.allclose(embed({"T": codes}, {})[row], states[0].mean(0), atol=1e-5)


def test_a_language_model_draws_from_its_own_distribution(folders: dict[str, Path]) -> None:
    """The first word after either prompt, beside the probabilities that the library gives."""
    made = cp.from_pretrained(
        folders["language model"], variable=TEXT, prompts=PROMPTS, call={"max_new_tokens": 1}
    )
    words = transformers.AutoTokenizer.from_pretrained(folders["language model"])
    for code, prompt in enumerate(PROMPTS.values()):
        answer = by_the_library(folders["language model"], "AutoModelForCausalLM", prompt)
        right = answer.logits[0, -1].softmax(-1).numpy()
        noise = {"tokens": Noise(4000, 1).draw("t", made.noise["tokens"])}
        texts = made({"prompt": torch.full((4000,), code)}, noise)
        drawn = words(TEXT.decode(texts).tolist())["input_ids"]
        special = right[:5].sum()  # written as nothing
        counts = np.bincount([ids[0] if ids else 0 for ids in drawn], minlength=len(right)) / 4000
        right = np.concatenate([[special], np.zeros(4), right[5:]])
        assert np.abs(counts - right).sum() / 2 < 0.03


def test_texts_fit_and_templates_name_their_labels(folders: dict[str, Path]) -> None:
    folder = folders["language model"]
    labels = [cp.Label("who", ["patient", "lungs"]), cp.Label("what", ["fever", "cough"])]
    made = cp.from_pretrained(
        folder, variable=cp.Text(12), prompts="the {who} has {what}", labels=labels
    )
    assert [c.name for c in made.read_conditions] == ["who", "what"]
    noise = {"tokens": Noise(20, 0).draw("t", made.noise["tokens"])}
    codes = torch.arange(20) % 2
    texts = made({"who": codes, "what": codes}, noise)
    assert texts.shape == (20, 12)
    assert all(len(text.encode()) <= 12 for text in cp.Text(12).decode(texts))


def test_an_error_is_estimated_from_the_rows(folders: dict[str, Path], tmp_path: Path) -> None:
    """Y is the frozen score of an image plus noise of deviation .7."""
    folder = folders["image regressor"]
    image = cp.Image(1, 16, 16)
    images = torch.rand(600, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = cp.from_pretrained(folder, variable=cp.Continuous())
    score = plain.bind("Y", cp.Continuous(), {"I": image})({"I": images}, {})
    rng = np.random.default_rng(0)
    y = score.numpy() + 0.7 * rng.normal(size=600)
    made = cp.from_pretrained(folder, variable=cp.Continuous(), error="estimate")
    variables = {"I": image, "Y": cp.Continuous(), "Z": cp.Discrete(2)}
    bank = cp.adapters.CallableGenerator(lambda labels, latent: images[: len(labels)], image, [])
    dcm = cp.DCM(cp.CausalGraph.parse("I -> Y -> Z"), variables, mechanisms={"Y": made, "I": bank})
    with pytest.raises(cp.MechanismError, match="still to be estimated"):
        dcm.mechanism("Y")({"I": images}, {"error": torch.zeros(600)})
    source = cp.DataSource({"I": images.numpy(), "Y": y, "Z": (y > y.mean()).astype(int)})
    cp.fit(dcm, source, steps=3, encoder_steps=2, progress=False)
    assert abs(dcm.mechanism("Y").error - 0.7) < 0.07
    right = torch.distributions.Normal(score[:5], dcm.mechanism("Y").error)
    value = torch.linspace(-1, 1, 5)
    found = dcm.mechanism("Y").log_prob(value, {"I": images[:5]})
    assert torch.allclose(found, right.log_prob(value), atol=1e-4)
    again = dcm.mechanism("Y").bind_as("Y", dcm.mechanism("Y").binding())
    assert again.error == dcm.mechanism("Y").error
    assert not again.awaits_rows


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        ("image classifier", {"variable": cp.Continuous()}, "is a classifier of ill, well"),
        ("image regressor", {"variable": cp.Discrete(2)}, "is no classifier"),
        ("image regressor", {"variable": cp.Continuous(), "error": -1.0}, "error=-1.0"),
        ("image regressor", {"variable": cp.Continuous(), "error": "guess"}, "error='guess'"),
        ("many labels", {"variable": cp.Discrete(["ill", "well"])}, "do not exclude each other"),
        ("two numbers", {"variable": cp.Continuous()}, "gives 2 numbers"),
        ("two numbers", {"variable": cp.Vector(3)}, r"Declare cp.Vector\(2\)"),
        ("image backbone", {"variable": cp.Vector(7)}, r"Declare cp.Vector\(16\)"),
        ("image backbone", {"variable": cp.Count()}, "the mechanism of a label"),
        ("image backbone", {"variable": TEXT}, "it reads images"),
        ("text backbone", {"variable": cp.Image(1, 8, 8)}, "it reads texts"),
        ("text backbone", {"variable": TEXT, "prompts": PROMPTS}, "a model that writes texts"),
        ("text backbone", {"variable": TEXT, "error": 1.0}, "an option of a regressor"),
        ("text classifier", {"variable": cp.Discrete(["ill", "well"]), "size": 3}, "an encoder"),
        ("text classifier", {"variable": cp.Discrete(["ill", "dead"])}, "cannot give 'dead'"),
        ("language model", {"variable": TEXT, "prompts": "of {who}"}, "asks for 'who'"),
        (
            "language model",
            {"variable": TEXT, "prompts": PROMPTS, "call": {"beams": 2}},
            r"call=\{'beams'",
        ),
        (
            "language model",
            {"variable": TEXT, "prompts": PROMPTS, "call": {"temperature": 0.0}},
            "above 0",
        ),
        (
            "language model",
            {"variable": TEXT, "prompts": PROMPTS, "call": {"max_new_tokens": "4"}},
            "give a whole number of at least 1",
        ),
        (
            "language model",
            {"variable": TEXT, "prompts": PROMPTS, "call": {"top_k": 1.5}},
            "give a whole number of at least 1",
        ),
        ("language model", {"variable": TEXT, "prompts": ["ill", "well"]}, "give a template"),
        ("language model", {"variable": TEXT, "prompts": {"ill": None}}, "which is no text"),
    ],
)
def test_what_a_model_is_not_is_refused(folders, which, options, message) -> None:
    with pytest.raises(cp.CausalPlugError, match=message):
        cp.from_pretrained(folders[which], **options)


def test_a_text_that_is_too_long_is_refused_and_no_tokenizer_is_guessed(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    long = cp.Text(400)
    made = cp.from_pretrained(folders["text regressor"], variable=cp.Continuous())
    bound = made.bind("Y", cp.Continuous(), {"T": long})
    with pytest.raises(cp.MechanismError, match="at most 64"):
        bound({"T": long.encode(["a " * 100])}, {})
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folders["text regressor"] / name).read_bytes())
    with pytest.raises(cp.MechanismError, match="no tokenizer"):
        cp.from_pretrained(tmp_path, variable=cp.Continuous())


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_model_of_texts_is_plugged_trained_around_saved_loaded_and_published(
    folders: dict[str, Path], tmp_path: Path, repo: str
) -> None:
    """X -> T -> F -> Y: a language model writes, a classifier reads, a text encoder tells."""
    rng = np.random.default_rng(0)
    writer = cp.from_pretrained(
        folders["language model"], variable=TEXT, prompts=PROMPTS, call={"max_new_tokens": 4}
    )
    finding = cp.Discrete(["ill", "well"])
    reader = cp.from_pretrained(folders["text classifier"], variable=finding)
    encoder = cp.from_pretrained(folders["text backbone"], variable=TEXT, size=4)
    graph = cp.CausalGraph.parse("X -> T; T -> F; F -> Y; T -> Y")
    variables = {"X": finding, "T": TEXT, "F": finding, "Y": cp.Discrete(2)}
    dcm = cp.DCM(graph, variables, mechanisms={"T": writer, "F": reader}, encoders={"T": encoder})
    rows = dcm.sample(120, seed=0)
    rows["Y"] = (rng.random(120) < 0.5).astype(int)
    cp.fit(dcm, cp.DataSource(rows), steps=5, progress=False)
    assert {dcm.plan.module(name).action for name in ("T", "F")} == {"pull"}
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model")
    assert again.sample(30, seed=3).equals(dcm.sample(30, seed=3))
    codes = TEXT.encode(TEXTS)
    assert torch.equal(project(again.encoders["T"], codes), project(dcm.encoders["T"], codes))
    assert {f.suffix for f in (tmp_path / "model").rglob("*") if f.is_file()} <= {
        ".json",
        ".safetensors",
        ".md",
    }
    done = again.counterfactual(5, evidence={"X": "ill"}, do={"X": "well"}, seed=0)
    assert set(done["F"]) <= {"ill", "well"}
    dcm.push_to_hub(repo, license="mit")
    pulled = cp.from_pretrained(repo, cache_dir=tmp_path / "cache")
    assert pulled.sample(30, seed=3).equals(dcm.sample(30, seed=3))
