"""What could be pulled where: the kinds of models that would do, and candidates by their
configuration alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import causalplug as cp
from causalplug.errors import PlanError, RepositoryError
from causalplug.planning.candidates import CandidateFit

GRAPH = cp.CausalGraph.parse("D -> I -> L -> A; I -> T; D <-> A; L -> n; z")
KINDS = {
    "D": cp.Discrete(["no", "yes"]),
    "I": cp.Image(3, 16, 16),
    "L": cp.Discrete(["ill", "well"]),
    "A": cp.Discrete(2),
    "T": cp.Text(),
    "n": cp.Count(),
    "z": cp.Continuous(),
}


def written(place: Path, files: dict[str, dict[str, object]]) -> str:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(json.dumps(content))
    return str(place)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Configurations as the libraries write them; there are no weights at all."""
    home = tmp_path_factory.mktemp("candidates")
    image = {"kind": "image", "channels": 3, "height": 16, "width": 16, "low": -1.0, "high": 1.0}
    gan = {"image": image, "labels": [{"name": "digit", "categories": 10}]}
    vit = {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        "image_size": 16,
        "id2label": {"0": "well", "1": "ill"},
    }
    own = {"format": "causalplug-mechanism-1", "kind": "conditional-gan", "config": gan}
    index = {
        "_class_name": "StableDiffusionPipeline",
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    decoder = {"out_channels": 3, "block_out_channels": [8, 8, 8, 8]}
    return {
        "gan": written(home / "gan", {"config.json": own}),
        "classifier": written(home / "vit", {"config.json": vit}),
        "others": written(
            home / "o", {"config.json": vit | {"id2label": {"0": "cat", "1": "dog", "2": "fox"}}}
        ),
        "writer": written(
            home / "gpt",
            {"config.json": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}},
        ),
        "pipeline": written(
            home / "sd",
            {
                "model_index.json": index,
                "unet/config.json": {"sample_size": 2, "in_channels": 4, "out_channels": 4},
                "vae/config.json": decoder,
            },
        ),
    }


def verdict(plan: cp.Plan, label: str, variable: str) -> object:
    found = [one for one in plan.candidates if one.candidate == label and one.variable == variable]
    assert len(found) == 1
    return found[0]


def test_pull_is_offered_where_models_of_the_kind_exist() -> None:
    plan = cp.plan(GRAPH, kinds=KINDS)
    actions = {module.name: module.action for module in plan.modules}
    assert actions == {
        "I": "pull",
        "L": "pull",
        "T": "pull",
        "n": "train",
        "z": "train",
        "D+A": "train",
    }
    assert "an image generator that reads D" not in plan.module("L").why
    assert "a classifier of images that reads I (image)" in plan.module("L").why
    assert "a captioning model that reads I (image)" in plan.module("T").why
    assert {m.action for m in cp.plan(GRAPH).modules if len(m.variables) == 1} == {"pull"}


def test_a_candidate_says_what_it_makes_and_which_map_it_needs(folders) -> None:
    plan = cp.plan(GRAPH, kinds=KINDS, candidates=list(folders.values()))
    gan = verdict(plan, folders["gan"], "I")
    assert gan.fits
    assert gan.needs == "label_map={value of D: digit, …}"
    assert gan.generates == "image, 3 x 16 x 16"
    assert gan.conditions == ("digit (10 categories, 0 to 9)",)
    classifier = verdict(plan, folders["classifier"], "L")
    assert classifier.fits
    assert classifier.needs == ""
    others = verdict(plan, folders["others"], "L")
    assert not others.fits
    assert "'cat'" in others.why
    confounded = verdict(plan, folders["classifier"], "A")
    assert not confounded.fits
    assert "A <-> D" in confounded.why
    pipeline = verdict(plan, folders["pipeline"], "I")
    assert pipeline.fits
    assert pipeline.generates == "image, 3 x 16 x 16"
    assert pipeline.needs == "prompts={value: prompt, …}"
    writer = verdict(plan, folders["writer"], "T")
    assert not writer.fits
    assert "I, which is not discrete" in writer.why
    assert {m.name for m in plan.modules if m.action == "pull"} == {"I", "L"}
    assert folders["gan"] in plan.module("I").why
    assert cp.Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert f"{folders['gan']}: generates image" in str(plan)


PAINTERS = [
    ("StableDiffusionXLPipeline", ["UNet2DConditionModel"], "text-to-image"),
    ("Cosmos2TextToImagePipeline", ["CosmosTransformer3DModel", "AutoencoderKLWan"], ""),
    ("Kandinsky5T2IPipeline", ["Kandinsky5Transformer3DModel"], ""),
    ("HunyuanImagePipeline", ["HunyuanImageTransformer2DModel"], ""),
    ("QwenImagePipeline", ["AutoencoderKLQwenImage"], "image-to-image"),
    ("StableDiffusionDepth2ImgPipeline", ["DPTForDepthEstimation"], "depth-to-image"),
]
OTHERS = [
    ("WanPipeline", ["AutoencoderKLWan"], "", "films"),
    ("StableVideoDiffusionPipeline", ["UNetSpatioTemporalConditionModel"], "", "films"),
    ("Kandinsky5T2VPipeline", ["Kandinsky5Transformer3DModel"], "", "films"),
    ("NewPipeline", ["NewTransformer3DModel"], "", "films"),
    ("NewPipeline", ["NewTransformer"], "image-to-video", "films"),
    ("NewPipeline", ["NewTransformer"], "image-text-to-video", "films"),
    ("PIAPipeline", ["UNetMotionModel", "MotionAdapter"], "", "films"),
    ("AudioLDM2Pipeline", ["SpeechT5HifiGan"], "", "sound"),
    ("NewPipeline", [], "text-to-audio", "sound"),
    ("DanceDiffusionPipeline", ["UNet1DModel"], "", "sound"),
    ("ShapEPipeline", ["ShapERenderer"], "", "shapes"),
    ("StableCascadePriorPipeline", [], "text-to-image", "embeddings for another pipeline"),
    ("MarigoldDepthPipeline", [], "depth-estimation", "maps of depth or of the surface"),
]


@pytest.mark.parametrize(("name", "parts", "task"), PAINTERS)
def test_a_pipeline_that_paints_is_an_image_generator(tmp_path, name, parts, task) -> None:
    assert the_one(tmp_path, name, parts, task).generates.startswith("image")


@pytest.mark.parametrize(("name", "parts", "task", "given"), OTHERS)
def test_a_pipeline_of_films_or_sound_fits_no_variable(tmp_path, name, parts, task, given) -> None:
    found = the_one(tmp_path, name, parts, task)
    assert not found.fits
    assert found.variable is None
    assert found.generates == f"{given} ({name})"
    assert found.why.startswith(f"as a pipeline it gives {given}")


def the_one(place: Path, name: str, parts: list[str], task: str) -> CandidateFit:
    index: dict[str, object] = {"_class_name": name}
    for number, part in enumerate(parts):
        index[f"part{number}"] = ["diffusers", part]
    source = written(place, {"model_index.json": index})
    if task:
        (place / "README.md").write_text(f"---\npipeline_tag: {task}\n---\n# A model\n")
    (found,) = cp.plan(GRAPH, kinds=KINDS, candidates=[source]).candidates
    return found


def test_a_mechanism_is_a_candidate_too() -> None:
    import torch

    network = torch.nn.Linear(1, 2)
    made = cp.wrap(network, cp.Discrete(2), conditions=[cp.Condition("x", cp.Continuous())])
    graph = cp.CausalGraph.parse("age -> V; V -> W")
    kinds = {"age": cp.Continuous(), "V": cp.Discrete(2), "W": cp.Discrete(2)}
    fits = {one.variable: one for one in cp.plan(graph, kinds=kinds, candidates=[made]).candidates}
    assert fits["V"].fits
    assert fits["V"].conditions == ("x (number)",)
    assert fits["W"].fits  # the categories 0 and 1 are numbers
    with pytest.raises(PlanError, match="candidates= cannot be used with a int"):
        cp.plan(graph, candidates=[3])
    with pytest.raises(RepositoryError):
        cp.plan(graph, candidates=["./nowhere/at/all"])


def test_trained_through_names_what_is_used() -> None:
    text = str(cp.plan(GRAPH, kinds=KINDS, objective="likelihood"))
    assert "trained through  " not in text
    assert "I, L" in str(cp.plan(GRAPH, kinds=KINDS))


LIGHT = """
import sys
from causalplug.cli.app import main
try:
    main(["plan", "D -> I", "--kind", "I=image", "--candidate", sys.argv[1]])
except SystemExit as ended:
    assert not ended.code
sys.exit("torch" in sys.modules)
"""


def test_the_command_line_needs_no_torch(folders) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, folders["gan"]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fits I" in done.stdout


@pytest.mark.parametrize("given", ["user/mnist-cgan", 5, {"I": "user/mnist-cgan"}])
def test_candidates_are_a_list(given: object) -> None:
    graph = cp.CausalGraph.parse("D -> I")
    with pytest.raises(PlanError, match=r"candidates=.* cannot be used by plan: give a list"):
        cp.plan(graph, candidates=given)
