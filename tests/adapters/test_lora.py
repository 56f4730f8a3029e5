"""LoRA weights and single files of pipelines; truth is the network with the product added."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import causalplug as cp
from causalplug.adapters.lora import loras_of

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the libraries' own making

from benchmarks.tiny_pipelines import build, kinds  # noqa: E402
from tests.adapters.original_layout import original_layout  # noqa: E402

PROMPTS = {"cat": "a cat", "dog": "a large dog"}
SIZE = {"height": 16, "width": 16}
NOISE = {"seed": torch.tensor([[0.25, 0.5], [0.1, 0.7]])}
LABELS = torch.tensor([[0], [1]])
LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v"


def written(name: str, folder: Path) -> Path:
    family, kind = next(pair for pair in kinds() if pair[1].name == name)
    build(family, kind).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("StableDiffusionPipeline", tmp_path_factory.mktemp("sd"))


def plugged(folder: Path, **options):
    return cp.from_pretrained(folder, prompts=PROMPTS, steps=2, call=SIZE, **options)


def lora(folder: Path, name: str = "style.safetensors", layer: str = LAYER, rank: int = 2) -> Path:
    folder.mkdir(exist_ok=True)
    seeds = torch.Generator().manual_seed(len(name))
    tensors = {
        f"unet.{layer}.lora_A.weight": torch.randn(rank, 32, generator=seeds),
        f"unet.{layer}.lora_B.weight": torch.randn(16, rank, generator=seeds),
    }
    save_file(tensors, folder / name)
    return folder / name


def width(pipeline: Path) -> tuple[int, ...]:
    return load_file(pipeline / "unet" / "diffusion_pytorch_model.safetensors")[
        f"{LAYER}.weight"
    ].shape


def added(pipeline: Path, folder: Path, files: dict[Path, float]) -> Path:
    """The pipeline with the products of its LoRA weights added to its network by hand."""
    shutil.copytree(pipeline, folder)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    for file, scale in files.items():
        found = load_file(file)
        down, up = (found[f"unet.{LAYER}.lora_{part}.weight"] for part in "AB")
        tensors[f"{LAYER}.weight"] = tensors[f"{LAYER}.weight"] + scale * up @ down
    save_file(tensors, path, {"format": "pt"})
    return folder


def test_lora_weights_are_what_their_product_is(pipeline: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")  # in the extra "test"; without it, the message is tested
    assert width(pipeline) == (16, 32)
    one, two = lora(tmp_path / "a"), lora(tmp_path / "b", "other.safetensors", rank=3)
    (tmp_path / "a" / "LICENSE").write_text("Do good.")
    made = plugged(pipeline, lora=[one.parent, {"source": two, "scale": 0.5}])
    painted = made.generate(LABELS, NOISE)
    expected = plugged(added(pipeline, tmp_path / "sum", {one: 1.0, two: 0.5}))
    assert (painted - expected.generate(LABELS, NOISE)).abs().max() < 1e-5
    assert (painted - plugged(pipeline).generate(LABELS, NOISE)).abs().max() > 1e-2
    made.save_pretrained(tmp_path / "saved")
    shutil.rmtree(tmp_path / "a")
    assert (tmp_path / "saved" / "lora" / "0" / "LICENSE").read_text() == "Do good."
    again = cp.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.generate(LABELS, NOISE), painted)
    assert again.save_pretrained(tmp_path / "twice")
    assert torch.equal(cp.from_pretrained(tmp_path / "twice").generate(LABELS, NOISE), painted)


def test_lora_weights_of_another_pipeline_are_refused(pipeline: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")  # in the extra "test"; without it, the message is tested
    wrong = lora(tmp_path / "a", layer="no.such.layer")
    with pytest.raises(cp.MechanismError, match=r"style.safetensors do not fit StableDiffusion"):
        plugged(pipeline, lora=wrong)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "x", "weigth_name": "a"}, "unknown key 'weigth_name'.*weight_name"),
        ({"weight_name": "a.safetensors"}, "names no source"),
        ({"source": "x", "scale": "much"}, r"lora\['scale'\]='much' cannot be used"),
        ({"source": "FOLDER", "weight_name": "a.bin"}, "not safetensors"),
        ("FOLDER", "which LoRA weights .* are meant: it holds a.safetensors, b.safetensors"),
    ],
)
def test_a_specification_is_checked_first(
    pipeline: Path, tmp_path: Path, given, message: str
) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        lora(tmp_path, name)
    if given == "FOLDER":
        given = tmp_path
    elif given.get("source") == "FOLDER":
        given = given | {"source": tmp_path}
    with pytest.raises(cp.CausalPlugError, match=message):
        plugged(pipeline, lora=given)


def test_lora_weights_of_the_hub_are_pinned(hub, repo: str, tmp_path: Path) -> None:
    planted = lora(tmp_path / "a").read_bytes()
    commit = hub.plant(repo, {"style.safetensors": planted, "LICENSE": b"Do good."})
    (found,) = loras_of({"source": repo, "scale": 0.5}, cache_dir=tmp_path / "cache")
    assert found.path.read_bytes() == planted
    place = {"repo_id": repo, "revision": commit, "subfolder": ""}
    assert found.to_dict(0) == {"weight_name": "style.safetensors", "scale": 0.5, **place}
    assert found.files(0) == {}
    hub.plant(repo, {"style.safetensors": lora(tmp_path / "b", rank=3).read_bytes()})
    (pinned,) = loras_of(
        {"source": repo, "revision": commit}, cache_dir=tmp_path / "cache", local_files_only=True
    )
    assert pinned.path.read_bytes() == planted


def test_damaged_lora_weights_are_refused(tmp_path: Path) -> None:
    whole = lora(tmp_path / "a")
    whole.write_bytes(whole.read_bytes()[:-8])
    for source in (whole, whole.parent):
        with pytest.raises(cp.RepositoryError, match=r"style\.safetensors"):
            loras_of(source)


def test_what_is_no_specification_is_refused() -> None:
    with pytest.raises(cp.MechanismError, match=r"lora\['source'\]=5 cannot be used"):
        loras_of(5)


def test_without_peft_the_message_says_what_to_install(pipeline: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("peft") is not None:
        pytest.skip("peft is installed")
    with pytest.raises(cp.MissingDependencyError, match=r"causalplug\[lora\]"):
        plugged(pipeline, lora=lora(tmp_path / "a"))


def test_a_class_conditional_pipeline_takes_none(tmp_path: Path) -> None:
    folder = written("DiTPipeline", tmp_path / "dit")
    with pytest.raises(cp.RepositoryError, match="with lora: it holds a class-conditional"):
        cp.from_pretrained(folder, labels=[cp.Label("digit", 2)], lora="user/style")


# -- single files


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline whose transformer lies in one checkpoint beside the configurations."""
    folder = written("QwenImagePipeline", tmp_path_factory.mktemp("qwen"))
    (weights,) = (folder / "transformer").glob("*.safetensors")
    shutil.copy(weights, folder / "checkpoint.safetensors")
    return folder


def test_a_single_file_is_read_with_the_configurations_of_its_folder(
    single: Path, tmp_path: Path
) -> None:
    whole = plugged(single).generate(LABELS, NOISE)
    folder = tmp_path / "single"
    shutil.copytree(single, folder)
    for path in (folder / "transformer").glob("*.safetensors"):
        path.unlink()
    made = plugged(folder, single_file="checkpoint.safetensors")
    assert torch.equal(made.generate(LABELS, NOISE), whole)
    made.save_pretrained(tmp_path / "saved")
    assert torch.equal(cp.from_pretrained(tmp_path / "saved").generate(LABELS, NOISE), whole)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.ckpt", "not safetensors"),
        ("../model.safetensors", "has to lie in the folder"),
        ("other.safetensors", "other.safetensors"),
        ("half.safetensors", "cannot load|lacks weights"),
    ],
)
def test_a_single_file_that_cannot_be_read_is_refused(
    single: Path, tmp_path: Path, name: str, message: str
) -> None:
    folder = tmp_path / "single"
    shutil.copytree(single, folder)
    tensors = load_file(folder / "checkpoint.safetensors")
    half = {key: value for key, value in tensors.items() if "blocks.0" not in key}
    save_file(half, folder / "half.safetensors")
    with pytest.raises(cp.RepositoryError, match=message) as caught:
        plugged(folder, single_file=name)
    assert str(caught.value).count("cannot load") == 1
    assert "?." not in str(caught.value)


@pytest.fixture(scope="module")
def original(pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion in one checkpoint of the first release's layout, beside configurations."""
    folder = tmp_path_factory.mktemp("original") / "sd"
    shutil.copytree(pipeline, folder)
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    family, kind = next(pair for pair in kinds() if pair[1].name == "StableDiffusionPipeline")
    save_file(original_layout(build(family, kind)), folder / "v1.safetensors")
    return folder


def test_a_checkpoint_of_the_first_release_paints_what_its_pipeline_paints(
    pipeline: Path, original: Path, tmp_path: Path
) -> None:
    whole = plugged(pipeline).generate(LABELS, NOISE)
    made = plugged(original, single_file="v1.safetensors")
    assert torch.equal(made.generate(LABELS, NOISE), whole)
    made.save_pretrained(tmp_path / "saved")
    assert torch.equal(cp.from_pretrained(tmp_path / "saved").generate(LABELS, NOISE), whole)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("first_stage_model.", "lacks a part .*AutoencoderKL"),
        ("cond_stage_model.", "lacks a part .*CLIPTextModel"),
        ("model.diffusion_model.", "lacks a part .*UNet2DConditionModel"),
        ("model.diffusion_model.middle_block.0.out_layers.3.weight", "lacks weights of a layer"),
        ("first_stage_model.decoder.conv_in.weight", "lacks weights of a layer"),
        ("cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1", "of 'text_encoder'"),
    ],
)
def test_a_checkpoint_of_the_first_release_that_lacks_weights_is_refused(
    original: Path, tmp_path: Path, start: str, message: str
) -> None:
    folder = tmp_path / "lacking"
    shutil.copytree(original, folder)
    tensors = load_file(original / "v1.safetensors")
    kept = {key: value for key, value in tensors.items() if not key.startswith(start)}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "v1.safetensors")
    with pytest.raises(cp.RepositoryError, match=rf"v1\.safetensors.*{message}"):
        plugged(folder, single_file="v1.safetensors")
