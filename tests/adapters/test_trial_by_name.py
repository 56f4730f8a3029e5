"""A trial that the user leaves out by name, through the one call."""

from pathlib import Path

import pytest
import torch

import causalplug as cp
from causalplug.adapters.pipeline_call import PipelineCall
from causalplug.errors import MechanismError, RepositoryError
from tests.adapters.small_transformers import bert

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the libraries' own making

from benchmarks.pipelines import PROMPTS  # noqa: E402
from benchmarks.tiny_pipelines import build, kinds  # noqa: E402

KINDS = {kind.name: (family, kind) for family, kind in kinds()}
SQUARE = cp.Image(3, 16, 16, low=0.0, high=1.0)


def written(name: str, folder: Path) -> Path:
    build(*KINDS[name]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def img2img(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("StableDiffusionImg2ImgPipeline", tmp_path_factory.mktemp("img2img"))


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of images that a pipeline's call was asked for, one for each call."""
    calls: list[int] = []
    run = PipelineCall._run

    def counted(self, given, generator, seed):
        calls.append(len(generator) if isinstance(generator, list) else 1)
        return run(self, given, generator, seed)

    monkeypatch.setattr(PipelineCall, "_run", counted)
    return calls


SETTINGS = {"prompts": PROMPTS, "steps": 2, "images": {"image": SQUARE}, "call": {"strength": 0.7}}


def test_a_pipeline_is_tried_by_default(img2img: Path, painted: list[int]) -> None:
    cp.from_pretrained(img2img, **SETTINGS)
    assert sum(painted) >= 3  # two rows alone and together


def test_without_a_trial_one_image_shows_what_is_not_declared(
    img2img: Path, painted: list[int]
) -> None:
    made = cp.from_pretrained(img2img, trial=False, **SETTINGS)
    assert painted == [1]
    assert made.variable.event_shape == (3, 16, 16)
    assert made.run.batched is False


def test_nothing_is_painted_where_all_is_declared(img2img: Path, painted: list[int]) -> None:
    made = cp.from_pretrained(img2img, trial=False, variable=SQUARE, **SETTINGS)
    assert painted == []
    assert made.variable == SQUARE


def test_a_pipeline_of_words_alone(tmp_path: Path, painted: list[int]) -> None:
    folder = written("StableDiffusion3Pipeline", tmp_path / "sd3")
    size = {"height": 16, "width": 16, "max_sequence_length": 16}
    settings = {"prompts": PROMPTS, "steps": 2, "call": size}
    made = cp.from_pretrained(folder, variable=SQUARE, trial=False, **settings)
    assert painted == []
    seeds = torch.rand(2, 2, generator=torch.Generator().manual_seed(1))
    alone = made.generate(torch.tensor([[1], [0]]), {"seed": seeds})
    assert painted == [1, 1]  # one by one, as nothing showed that a batch agrees
    tried = cp.from_pretrained(folder, **settings)
    other = tried.generate(torch.tensor([[1], [0]]), {"seed": seeds})
    torch.testing.assert_close(alone, other, atol=1e-4, rtol=0)


def test_a_pipeline_makes_images_alone(img2img: Path) -> None:
    with pytest.raises(RepositoryError, match=r"makes images\. Declare a cp\.Image"):
        cp.from_pretrained(img2img, variable=cp.Discrete(2), **SETTINGS)


def test_a_model_of_transformers_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bert(tmp_path / "bert", "BertForSequenceClassification", num_labels=2)
    variable = cp.Discrete(["LABEL_0", "LABEL_1"])
    runs = []

    def failing(mechanism: object) -> None:
        runs.append(mechanism)
        raise MechanismError("the trial failed")

    monkeypatch.setattr("causalplug.adapters.transformers_mechanism.try_mechanism", failing)
    with pytest.raises(MechanismError, match="the trial failed"):
        cp.from_pretrained(place, variable=variable)
    cp.from_pretrained(place, variable=variable, trial=False)
    assert len(runs) == 1


def test_what_has_no_trial_takes_no_such_option(tmp_path: Path) -> None:
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": cp.Discrete(2), "Y": cp.Discrete(2)})
    dcm.save_pretrained(tmp_path / "model")
    with pytest.raises(RepositoryError, match="trial"):
        cp.from_pretrained(tmp_path / "model", trial=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="parts can be kept off this accelerator")
def test_parts_cannot_be_kept_off_an_accelerator_that_is_not_there(
    img2img: Path, tmp_path: Path
) -> None:
    with pytest.raises(MechanismError, match="offload=True cannot be used"):
        cp.from_pretrained(img2img, offload=True, **SETTINGS)
    classes = written("DiTPipeline", tmp_path / "dit")
    with pytest.raises(MechanismError, match="offload=True cannot be used"):
        cp.from_pretrained(classes, labels=[cp.Label("class", 2)], steps=2, offload=True)
