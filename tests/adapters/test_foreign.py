"""One call for repositories of other libraries, and the trial before a generator is trusted."""

import json
from pathlib import Path

import pytest
import torch

import causalplug as cp
from causalplug.adapters.pipelines import PipelineGenerator
from causalplug.mechanisms.frozen.trial import try_generator
from causalplug.noise import NoiseSpec
from causalplug.testing import MechanismTester
from tests.adapters.test_diffusers import pixel_pipeline, text_pipeline

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the libraries' own making
PROMPTS = {"cat": "a cat", "dog": "a dog"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_pipeline(tmp_path_factory.mktemp("text"))


class TestPipeline(MechanismTester):
    rows = 3
    tolerance = 2e-3

    @pytest.fixture(autouse=True)
    def _folder(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> PipelineGenerator:
        return cp.from_pretrained(self.folder, prompts=PROMPTS, steps=2)


def test_the_labels_are_the_keys_of_the_prompts(folder: Path) -> None:
    made = cp.from_pretrained(folder, prompts=PROMPTS, steps=2)
    assert [label.categories for label in made.labels] == [("cat", "dog")]
    assert made.image.event_shape == (3, 8, 8)
    bound = made.bind("I", cp.Image(3, 8, 8), {"animal": cp.Discrete(["cat", "dog"])})
    assert bound.parents == ("animal",)


def test_parents_are_matched_to_prompts_by_name(folder: Path) -> None:
    made = cp.from_pretrained(folder, prompts=PROMPTS, steps=2)
    noise = {"seed": torch.rand(1, 2, generator=torch.Generator().manual_seed(0))}
    noise = {"seed": noise["seed"].repeat(2, 1)}
    bound = made.bind("I", cp.Image(3, 8, 8), {"animal": cp.Discrete(["dog", "cat"])})
    dogs_first = bound({"animal": torch.tensor([0, 1])}, noise)
    cats_first = made.generate(torch.tensor([[1], [0]]), noise)
    assert torch.allclose(dogs_first, cats_first, atol=1e-5)


def test_the_pipeline_s_own_guidance_and_steps_are_the_default(folder: Path) -> None:
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    made = PipelineGenerator(pipeline, prompts=PROMPTS, image=cp.Image(3, 8, 8))
    expected = pipeline(
        prompt=["a cat"], generator=[torch.Generator().manual_seed(0)], output_type="np"
    ).images
    found = made.generate(torch.tensor([[0]]), {"seed": torch.zeros(1, 2)})
    assert torch.allclose(found, torch.from_numpy(expected).permute(0, 3, 1, 2).float(), atol=1e-6)


def test_saved_and_loaded_it_paints_the_same_bits(folder: Path, tmp_path: Path) -> None:
    made = cp.from_pretrained(folder, prompts=PROMPTS, steps=2, guidance_scale=3.0)
    made.save_pretrained(tmp_path / "saved")
    again = cp.from_pretrained(tmp_path / "saved")
    labels, noise = torch.tensor([[0], [1]]), {"seed": torch.rand(2, 2)}
    assert torch.equal(made.generate(labels, noise), again.generate(labels, noise))
    assert (again.steps, again.guidance_scale) == (2, 3.0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "prompts="),
        ({"prompts": PROMPTS, "classes": [0, 1]}, "told to it by prompts"),
        ({"prompts": PROMPTS, "module": "A+B"}, "no such option"),
        ({"prompts": PROMPTS, "steps": 0}, "steps=0"),
        ({"prompts": PROMPTS, "call": {"hight": 64}}, "hight"),
        ({"prompts": PROMPTS, "call": {"guidance_scale": 2}}, "guidance_scale="),
        ({"prompts": "a {animal}"}, "labels="),
        ({"prompts": PROMPTS, "variant": "fp16"}, "variant"),
        ({"prompts": PROMPTS, "labels": [cp.Label("a", ["cat", "cow"])]}, "cow"),
    ],
)
def test_wrong_uses_name_the_right_call(folder: Path, options: dict, match: str) -> None:
    with pytest.raises(cp.CausalPlugError, match=match):
        cp.from_pretrained(folder, **options)


def test_a_class_conditional_pipeline_by_the_same_call(tmp_path: Path) -> None:
    place = pixel_pipeline(tmp_path / "p", "DDIMScheduler")
    made = cp.from_pretrained(place, labels=[cp.Label("digit", 4)], steps=2)
    assert made.generate(
        torch.tensor([[0], [3]]), {"latent": torch.randn(2, 1, 8, 8), "seed": torch.rand(2, 2)}
    ).shape == (2, 1, 8, 8)
    with pytest.raises(cp.RepositoryError, match="labels="):
        cp.from_pretrained(place, prompts=PROMPTS)


def test_code_of_a_repository_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    place = tmp_path / "pipeline"
    shutil.copytree(folder, place)
    config = json.loads((place / "text_encoder" / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model"}
    (place / "text_encoder" / "config.json").write_text(json.dumps(config))
    (place / "text_encoder" / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(cp.RepositoryError, match="auto_map"):
        cp.from_pretrained(place, prompts=PROMPTS)


class Toy(cp.FrozenMechanism):
    """A generator with a fault to be found."""

    def __init__(self, paint, image=None):
        noise = {"latent": NoiseSpec((1, 2, 2))}
        super().__init__(image or cp.Image(1, 2, 2, low=-1.0), [cp.Label("d", 2)], noise)
        self.paint_rows = paint

    def generate(self, labels, noise):
        return self.paint_rows(noise["latent"].tanh())

    def config(self):
        return {}


def test_a_sound_generator_passes_its_trial() -> None:
    trial = try_generator(Toy(lambda x: x))
    assert trial.spread == 0
    assert trial.seconds > 0


@pytest.mark.parametrize(
    ("paint", "match"),
    [
        (lambda x: x[..., :1], "shape"),
        (lambda x: x / 0 * 0, "not finite"),
        (lambda x: 3 * x.sign(), "declared range"),
        (lambda x: x + 0.001 * torch.rand(()), "same noise gives another"),
        (lambda x: (x - x.mean(0)) / 4, "other rows of its batch"),
    ],
)
def test_a_trial_finds_what_would_be_wrong_in_silence(paint, match: str) -> None:
    with pytest.raises(cp.MechanismError, match=match):
        try_generator(Toy(paint))
