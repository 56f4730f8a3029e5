"""Diffusion pipelines with random weights, made here: class-conditional, latent, consistency,
text."""

import os
from pathlib import Path

import pytest
import torch

import causalplug as cp
from causalplug.adapters.diffusers import DiffusersGenerator
from causalplug.errors import CausalPlugError, LabelMapError, MechanismError, RepositoryError
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.testing import MechanismTester

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the libraries' own making


def unet(classes: int | None = 4, size: int = 8, channels: int = 1) -> object:
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        num_class_embeds=classes,
    )


def autoencoder() -> object:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
    )


def pixel_pipeline(folder: Path, scheduler: str, classes: int | None = 4) -> Path:
    """A class-conditional network in pixel space, written like a pipeline; DDPMPipeline has the
    right two parts."""
    made = getattr(diffusers, scheduler)()
    diffusers.DDPMPipeline(unet(classes), made).save_pretrained(folder)
    return folder


SCHEDULERS = [
    "DDPMScheduler",
    "HeunDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "CMStochasticIterativeScheduler",
]
if os.environ.get("CAUSALPLUG_EXHAUSTIVE"):
    SCHEDULERS += [
        "DDIMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "UniPCMultistepScheduler",
    ]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
class TestPixelSpace(MechanismTester):
    """Every kind of scheduler: deterministic, stochastic, multistep, second order, flow,
    consistency."""

    rows = 4
    tolerance = 2e-3  # untrained networks amplify rounding
    scheduler = ""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory, scheduler: str) -> None:
        self.folder = pixel_pipeline(tmp_path_factory.mktemp("pipeline"), scheduler)

    def make(self) -> FrozenMechanism:
        labels = [Label("a", 2), Label("b", ["x", "y"])]
        return DiffusersGenerator.from_pretrained(self.folder, labels, steps=3)


class TestDiT(MechanismTester):
    """Latent space, guidance with the network's own unconditional class, classes chosen among
    many."""

    rows = 3
    tolerance = 2e-3
    reconstruction = float(
        "inf"
    )  # the encoder of an untrained autoencoder is not the inverse of its decoder

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        torch.manual_seed(0)
        transformer = diffusers.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=1,
            sample_size=4,
            patch_size=2,
            num_embeds_ada_norm=1000,
        )
        with (
            torch.no_grad()
        ):  # random everywhere: the modulation starts at zero, which would hide the class
            for parameter in transformer.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        self.folder = tmp_path_factory.mktemp("dit")
        diffusers.DiTPipeline(
            transformer, autoencoder(), diffusers.DDIMScheduler()
        ).save_pretrained(self.folder)

    def make(self) -> FrozenMechanism:
        labels = [Label("animal", ["goldfish", "retriever"])]
        return DiffusersGenerator.from_pretrained(
            self.folder, labels, steps=2, classes=[1, 207], guidance_scale=4.0
        )


def text_pipeline(folder: Path) -> Path:
    import json

    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    tokens = [
        "<|startoftext|>",
        "<|endoftext|>",
        *"abcdefghijklmnopqrstuvwxyz",
        *[f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz"],
    ]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )
    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    network = diffusers.UNet2DConditionModel(
        sample_size=4,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
    )
    scheduler = diffusers.DDIMScheduler()
    parts = (autoencoder(), CLIPTextModel(config), tokenizer, network, scheduler, None, None)
    pipeline = diffusers.StableDiffusionPipeline(*parts, requires_safety_checker=False)
    pipeline.save_pretrained(folder / "pipeline")
    return folder / "pipeline"


class TestText(MechanismTester):
    rows = 3
    tolerance = 2e-3

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.folder = text_pipeline(tmp_path_factory.mktemp("text"))

    def make(self) -> FrozenMechanism:
        labels = [Label("colour", ["red", "blue"]), Label("shape", ["ball", "cube"])]
        return DiffusersGenerator.from_pretrained(
            self.folder,
            labels,
            prompts="a {colour} {shape}",
            guidance_scale=7.5,
            negative_prompt="grey",
            steps=2,
        )

    def test_a_hole_in_the_prompts_is_refused(self) -> None:
        with pytest.raises(LabelMapError, match="blue"):
            DiffusersGenerator.from_pretrained(
                self.folder, [Label("c", ["red", "blue"])], prompts={"red": "red"}
            )
        with pytest.raises(LabelMapError, match="shape"):
            DiffusersGenerator.from_pretrained(
                self.folder, [Label("c", ["red", "blue"]), Label("shape", 2)], prompts="a {c}"
            )


def test_ddim_agrees_with_the_library_s_own_pipeline(tmp_path: Path) -> None:
    folder = pixel_pipeline(tmp_path / "p", "DDIMScheduler", classes=None)
    made = DiffusersGenerator.from_pretrained(folder, [], steps=5)
    noise = {
        "latent": torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
        "seed": torch.rand(2, 2),
    }
    pipeline = diffusers.DDIMPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    found = made.generate(torch.zeros(2, 0, dtype=torch.int64), noise)
    # the pipeline draws its own start from the generator: the same numbers
    theirs = pipeline(
        batch_size=2,
        generator=torch.Generator().manual_seed(0),
        num_inference_steps=5,
        output_type="np",
    ).images
    expected = torch.from_numpy(theirs).permute(0, 3, 1, 2) * 2 - 1
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("text", [False, True])
def test_a_diffusion_model_renders_what_a_code_chooses(tmp_path: Path, text: bool) -> None:
    """The code chooses the class or the prompt, and moves the latent: through the sampling loop
    where it is ours, by the score function where the pipeline runs by itself."""
    label = Label("digit", 2)
    if text:
        prompts = {0: "a", 1: "b"}
        made = DiffusersGenerator.from_pretrained(
            text_pipeline(tmp_path), [label], prompts=prompts, steps=1
        )
    else:
        folder = pixel_pipeline(tmp_path / "pixels", "DDIMScheduler")
        made = DiffusersGenerator.from_pretrained(folder, [label], steps=2)
    image = made.image
    reads = {"D": cp.Discrete(2)}
    code = cp.Renderer(made, image, reads, confounder_size=2, shift=True)
    picks = torch.Generator().manual_seed(0)
    noise = {key: spec.draw(3, picks) for key, spec in code.noise.items()}
    given = {"D": torch.tensor([0, 1, 1])}, noise, torch.randn(3, 2, generator=picks)
    painted = code(*given)
    assert painted.shape == (3, *image.event_shape)
    assert code.chooses
    assert painted.requires_grad is not text
    (painted.sum() + code.choice_log_prob(*given).sum()).backward()
    learns = [p for p in code.network.parameters() if p.grad is not None and bool(p.grad.any())]
    assert learns
    assert not any(p.requires_grad for p in code.generator.parameters())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"labels": [Label("digit", 10)]}, "no class"),
        ({"labels": [Label("digit", 4)], "classes": [0, 1, 2, 7]}, "no class 7"),
        ({"labels": [Label("digit", 4)], "classes": [0, 1]}, "4 classes"),
        ({"labels": [Label("digit", 4)], "guidance_scale": 3.0}, "null_class"),
        ({"labels": [Label("digit", 4)], "scheduler": "DDIMSchedule"}, "DDIMSchedule"),
        ({"labels": [Label("digit", 4)], "dtype": "float99"}, "float99"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, options: dict, match: str) -> None:
    folder = pixel_pipeline(tmp_path / "p", "DDIMScheduler")
    with pytest.raises(MechanismError, match=match):
        DiffusersGenerator.from_pretrained(folder, **options)


def test_an_unconditional_network_has_no_classes(tmp_path: Path) -> None:
    folder = pixel_pipeline(tmp_path / "p", "DDIMScheduler", classes=None)
    with pytest.raises(MechanismError, match="unconditional"):
        DiffusersGenerator.from_pretrained(folder, [Label("digit", 4)])


def test_pickled_weights_are_not_opened(tmp_path: Path) -> None:
    folder = pixel_pipeline(tmp_path / "p", "DDIMScheduler")
    network = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, network.with_suffix(".bin"))
    network.unlink()
    with pytest.raises(RepositoryError):
        DiffusersGenerator.from_pretrained(folder, [Label("digit", 4)])


def test_half_precision_stays_inside_the_generator(tmp_path: Path) -> None:
    folder = pixel_pipeline(tmp_path / "p", "DDIMScheduler")
    made = DiffusersGenerator.from_pretrained(
        folder, [Label("digit", 4)], steps=2, dtype="bfloat16"
    )
    assert made.dtype == torch.bfloat16
    noise = {"latent": torch.randn(2, 1, 8, 8), "seed": torch.rand(2, 2)}
    assert made({"digit": torch.tensor([0, 3])}, noise).dtype == torch.float32


def test_a_pipeline_in_memory_says_how_to_save_it(tmp_path: Path) -> None:
    made = DiffusersGenerator(
        {"unet": unet(), "scheduler": diffusers.DDIMScheduler()}, [Label("digit", 4)], steps=2
    )
    with pytest.raises(CausalPlugError, match="save_pretrained"):
        made.save_pretrained(tmp_path / "saved")
