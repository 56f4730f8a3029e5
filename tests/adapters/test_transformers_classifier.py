"""A classifier of transformers as P(label | image): classes by name, and nothing random."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import causalplug as cp
from causalplug.errors import MechanismError, RepositoryError
from causalplug.testing import MechanismTester

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the library's own making
CLASSES = {0: "dog", 1: "cat", 2: "cow"}


def described(classes: dict[int, str]) -> object:
    return transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        id2label=classes,
        label2id={name: code for code, name in classes.items()},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("classifier")
    transformers.ViTForImageClassification(described(CLASSES)).eval().save_pretrained(place)
    return place


class TestClassifier(MechanismTester):
    rows = 4
    tolerance = 1e-4

    @pytest.fixture(autouse=True)
    def _folder(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> cp.Mechanism:
        return cp.from_pretrained(self.folder, variable=cp.Discrete(["cat", "cow", "dog"]))


def probabilities(folder: Path, images: torch.Tensor) -> torch.Tensor:
    """By the library alone: grey repeated, resized, normalised; in the model's own order."""
    unit = torch.nn.functional.interpolate(
        (images / 255.0).expand(-1, 3, -1, -1), size=(16, 16), mode="bilinear", antialias=True
    )
    model = transformers.ViTForImageClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(pixel_values=(unit - 0.5) / 0.5).logits.softmax(-1)


def test_classes_are_matched_by_name_and_images_as_the_model_wants_them(folder: Path) -> None:
    variable, image = cp.Discrete(["cat", "cow", "dog"]), cp.Image(1, 12, 12, low=-1.0)
    made = cp.from_pretrained(folder, variable=variable).bind("L", variable, {"I": image})
    images = torch.randint(
        0, 256, (5, 1, 12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    found = made.logits({"I": image.scale(images)}).exp()
    expected = probabilities(folder, images)[:, [1, 2, 0]]
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_model_around_it_answers_saves_and_loads(folder: Path, tmp_path: Path) -> None:
    variable = cp.Discrete(["cat", "cow", "dog"])
    graph = cp.CausalGraph.parse("I -> L")
    classifier = cp.from_pretrained(folder, variable=variable)
    classifier.save_pretrained(tmp_path / "classifier")
    again = cp.from_pretrained(tmp_path / "classifier")
    dcm = cp.DCM(graph, {"I": cp.Image(1, 16, 16), "L": variable}, mechanisms={"L": again})
    dcm.save_pretrained(tmp_path / "model")
    loaded = cp.from_pretrained(tmp_path / "model")
    drawn = [
        model.sample(20, variables=["L"], seed=3, allow_unidentified=True)["L"]
        for model in (dcm, loaded)
    ]
    assert list(drawn[0]) == list(drawn[1])


@pytest.mark.parametrize(
    ("variable", "match"),
    [
        (cp.Discrete(["cat", "dog"]), "'cow', which the variable does not declare"),
        (cp.Discrete(["cat", "cow", "dog", "owl"]), "cannot give 'owl'"),
        (cp.Discrete(3), "cannot give '0'"),
        (None, "variable="),
        (cp.Continuous(), "classifier"),
    ],
)
def test_other_variables_are_refused(folder: Path, variable, match: str) -> None:
    with pytest.raises(cp.CausalPlugError, match=match):
        cp.from_pretrained(folder, variable=variable)


def test_a_head_that_the_files_lack_is_not_random(tmp_path: Path) -> None:
    transformers.ViTModel(described(CLASSES)).save_pretrained(tmp_path)
    with pytest.raises(cp.MechanismError, match="classifier"):
        cp.from_pretrained(tmp_path, variable=cp.Discrete(["cat", "cow", "dog"]))


def test_a_pooler_that_the_files_lack_is_not_random(tmp_path: Path) -> None:
    torch.manual_seed(0)
    transformers.ViTModel(described(CLASSES), add_pooling_layer=False).save_pretrained(tmp_path)
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = [
        cp.from_pretrained(tmp_path, variable=cp.Image(3, 16, 16), size=4).pooled(images)
        for _ in range(2)
    ]
    assert torch.equal(*found)


def test_a_masked_autoencoder_hides_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ViTMAEConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=4,
    )
    transformers.ViTMAEModel(config).save_pretrained(tmp_path)
    encoder = cp.from_pretrained(tmp_path, variable=cp.Image(3, 16, 16), size=4)
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(encoder.pooled(images), encoder.pooled(images), atol=1e-5)


def test_code_of_the_repository_never_runs(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "classifier"
    shutil.copytree(folder, place)
    config = json.loads((place / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageClassification": "evil.Model"}
    (place / "config.json").write_text(json.dumps(config))
    (place / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(cp.RepositoryError, match="auto_map"):
        cp.from_pretrained(place, variable=cp.Discrete(["cat", "cow", "dog"]))


def saved_classes(place: Path, classes: dict[int, str]) -> Path:
    torch.manual_seed(0)
    transformers.ViTForImageClassification(described(classes)).eval().save_pretrained(place)
    return place


def test_classes_of_one_name_are_one_category(tmp_path):
    """ImageNet has two cranes."""
    apart = cp.from_pretrained(
        saved_classes(tmp_path / "apart", {0: "bird", 1: "dog", 2: "machine"}),
        variable=cp.Discrete(["bird", "dog", "machine"]),
    )
    joined = cp.from_pretrained(
        saved_classes(tmp_path / "joined", {0: "crane", 1: "dog", 2: "crane"}),
        variable=cp.Discrete(["dog", "crane"]),
    )
    images = {"image": torch.rand(5, 3, 16, 16)}
    right = apart.class_logits(images).softmax(-1)
    found = joined.bind("Y", cp.Discrete(["dog", "crane"]), {"I": cp.Image(3, 16, 16)})
    assert torch.allclose(found.logits({"I": images["image"]}).exp()[:, 0], right[:, 1], atol=1e-6)
    both = right[:, 0] + right[:, 2]
    assert torch.allclose(found.logits({"I": images["image"]}).exp()[:, 1], both, atol=1e-6)


def test_whole_numbers_are_found_by_value_and_placeholders_are_told(tmp_path):
    folder = saved_classes(tmp_path / "digits", {0: "7", 1: "0", 2: "3"})
    found = cp.from_pretrained(folder, variable=cp.Discrete([0.0, 3.0, 7.0]))
    assert found.generates.categories == (7.0, 0.0, 3.0)
    nameless = saved_classes(tmp_path / "nameless", {0: "LABEL_0", 1: "LABEL_1"})
    with pytest.raises(MechanismError, match=r"placeholders.*id2label"):
        cp.from_pretrained(nameless, variable=cp.Discrete(2))


def test_precision_and_device_are_those_that_are_asked_for(folder, tmp_path):
    labels = cp.Discrete(list(CLASSES.values()))
    made = cp.from_pretrained(folder, variable=labels, dtype=torch.bfloat16, device="cpu")
    variables = {"I": cp.Image(3, 16, 16), "Y": labels}
    dcm = cp.DCM(cp.CausalGraph.parse("I -> Y"), variables, mechanisms={"Y": made})
    dcm.save_pretrained(tmp_path / "model")
    again = cp.from_pretrained(tmp_path / "model").mechanisms["Y"]
    for one in (made, again):
        assert next(one.network.parameters()).dtype == torch.bfloat16
    with pytest.raises(RepositoryError, match=r"device='gpu'.*torch finds on this computer"):
        cp.from_pretrained(folder, variable=labels, device="gpu")
