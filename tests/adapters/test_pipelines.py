"""Pipelines of every family through their own call; truth is the pipeline itself, row by row."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.diffusers import DiffusersGenerator
from causalplug.adapters.pipeline_call import PipelineCall, Row
from causalplug.adapters.pipeline_images import ImagePipeline
from causalplug.adapters.pipeline_outputs import declared_outputs
from causalplug.adapters.pipelines import PipelineGenerator
from causalplug.adapters.row_seeds import seed_of

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the libraries' own making

from benchmarks.pipelines import PROMPTS, measure  # noqa: E402
from benchmarks.tiny_pipelines import Family, Kind, build, kinds  # noqa: E402
from benchmarks.tiny_pipelines.family import plain, scheduler  # noqa: E402

KINDS = {kind.name: (family, kind) for family, kind in kinds()}
CHOSEN = ["FluxPipeline", "ZImageInpaintPipeline", "SanaControlNetPipeline", "Krea2Pipeline"]
if os.environ.get("CAUSALPLUG_EXHAUSTIVE"):
    CHOSEN = list(KINDS)


@pytest.mark.parametrize("name", CHOSEN)
def test_a_family_works_or_is_refused_with_a_reason(name: str) -> None:
    found = measure(*KINDS[name])
    if found.verdict == "absent":  # the lowest diffusers lacks the newest families
        pytest.skip(found.detail)
    assert found.verdict in ("works", "refused"), found.detail
    if not os.environ.get("CAUSALPLUG_EXHAUSTIVE"):
        assert found.verdict == "works", found.detail


def test_a_class_that_the_installed_diffusers_lacks_is_reported_as_absent() -> None:
    tomorrow = Family("Of tomorrow", {}, ())
    found = measure(tomorrow, Kind("PipelineOfTomorrow"))
    assert (found.verdict, found.detail.split(" has ")[1]) == ("absent", "no PipelineOfTomorrow")
    parts = {"unet": plain("NetworkOfTomorrow"), "scheduler": scheduler("SchedulerOfTomorrow")}
    assert measure(Family("Of tomorrow", parts, ()), Kind("DDPMPipeline")).verdict == "absent"


def written(name: str, folder: Path) -> Path:
    build(*KINDS[name]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def img2img(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("StableDiffusionImg2ImgPipeline", tmp_path_factory.mktemp("img2img"))


def test_every_row_is_what_the_pipeline_paints_from_its_seed(tmp_path: Path) -> None:
    folder = written("StableDiffusion3Pipeline", tmp_path / "sd3")
    size = {"height": 16, "width": 16, "max_sequence_length": 16}
    made = cp.from_pretrained(folder, prompts=PROMPTS, steps=2, guidance_scale=3.0, call=size)
    seeds = torch.rand(2, 2, generator=torch.Generator().manual_seed(1))
    painted = made.generate(torch.tensor([[1], [0]]), {"seed": seeds})
    pipeline = diffusers.StableDiffusion3Pipeline.from_pretrained(folder)
    for row, prompt in enumerate(("a large dog", "a cat")):
        generator = torch.Generator().manual_seed(seed_of(seeds[row].tolist()))
        expected = pipeline(
            prompt,
            generator=generator,
            num_inference_steps=2,
            guidance_scale=3.0,
            output_type="np",
            **size,
        ).images[0]
        assert np.abs(painted[row].permute(1, 2, 0).numpy() - expected).max() < 1e-5


def test_a_parent_that_is_an_image_reaches_the_pipeline(img2img: Path, tmp_path: Path) -> None:
    read = cp.Image(3, 16, 16)
    made = cp.from_pretrained(
        img2img, prompts=PROMPTS, images={"image": read}, steps=3, call={"strength": 0.7}
    )
    bound = made.bind(
        "after",
        cp.Image(3, 16, 16, low=-1.0),
        {"before": cp.Image(3, 16, 16, low=-1.0), "prompt": cp.Discrete(["dog", "cat"])},
    )
    photo = torch.randint(0, 256, (1, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    seed = torch.tensor([[0.25, 0.5]])
    parents = {"before": photo / 127.5 - 1, "prompt": torch.tensor([0])}
    painted = bound(parents, {"seed": seed})
    pipeline = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(
        img2img, requires_safety_checker=False
    )
    expected = pipeline(
        "a large dog",
        image=photo.float() / 255,
        strength=0.7,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(seed_of([0.25, 0.5])),
        output_type="np",
    ).images[0]
    assert np.abs((painted[0].permute(1, 2, 0).numpy() + 1) / 2 - expected).max() < 1e-4
    other = bound(parents | {"before": -parents["before"]}, {"seed": seed})
    assert (other - painted).abs().max() > 1e-2
    made.save_pretrained(tmp_path / "saved")
    again = cp.from_pretrained(tmp_path / "saved").bind(
        "after", bound.variable, bound.bound_parents
    )
    assert torch.equal(again(parents, {"seed": seed}), painted)


def test_a_mask_and_a_picture_are_matched_by_name(tmp_path: Path) -> None:
    folder = written("StableDiffusionInpaintPipeline", tmp_path / "inpaint")
    images = {"image": cp.Image(3, 16, 16), "mask_image": cp.Image(1, 16, 16)}
    made = cp.from_pretrained(folder, prompts="a cat", images=images, steps=2)
    with pytest.raises(cp.LabelMapError, match="mask_image"):
        made.bind("I", cp.Image(3, 16, 16), {"image": images["image"], "m": images["image"]})
    assert made.parents == ("image", "mask_image")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"images": {"picture": cp.Image(3, 16, 16)}}, "may read them are image"),
        ({"images": {"image": cp.Discrete(2)}}, "declare what is read"),
        ({"images": {"image": cp.Image(3, 16, 16)}, "call": {"image": 1}}, "given twice"),
        ({}, "painting one image fails"),
        (
            {"images": {"image": cp.Image(3, 16, 16)}, "transform": "resize"},
            "it reads pictures",
        ),
    ],
)
def test_wrong_pictures_are_refused_at_construction(
    img2img: Path, options: dict, match: str
) -> None:
    with pytest.raises(cp.CausalPlugError, match=match):
        cp.from_pretrained(img2img, prompts=PROMPTS, steps=2, **options)


def test_a_vector_quantised_decoder_runs(tmp_path: Path) -> None:
    folder = written("LDMPipeline", tmp_path / "ldm")
    made = cp.from_pretrained(folder, steps=3)
    assert made.image.event_shape == (3, 16, 16)
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    painted = made.generate(
        torch.zeros(1, 0, dtype=torch.int64), {"latent": latent, "seed": torch.zeros(1, 2)}
    )
    pipeline = diffusers.LDMPipeline.from_pretrained(folder)
    expected = pipeline(
        generator=torch.Generator().manual_seed(5), num_inference_steps=3, output_type="np"
    ).images[0]
    assert np.abs((painted[0].permute(1, 2, 0).numpy() + 1) / 2 - expected).max() < 1e-5


def test_parts_that_would_never_run_are_refused() -> None:
    family, kind = KINDS["LDMPipeline"]
    parts = build(family, kind).components
    with pytest.raises(cp.MechanismError, match="nothing would run prior"):
        DiffusersGenerator(dict(parts) | {"prior": torch.nn.Linear(2, 2)}, [])


class Toy:
    """A pipeline in its smallest form."""

    def __init__(self, mixes: bool = False, flagged: bool = False, key: str = "images"):
        self.components: dict = {}
        self.mixes, self.flagged, self.key = mixes, flagged, key
        self.calls: list[int] = []

    def set_progress_bar_config(self, disable: bool) -> None:
        """As pipelines have it."""

    def __call__(self, prompt, generator=None, output_type="np", strength=1.0):
        prompts = [prompt] if isinstance(prompt, str) else prompt
        generators = generator if isinstance(generator, list) else [generator]
        self.calls.append(len(prompts))
        made = torch.cat([torch.rand(1, 4, 4, 3, generator=one) for one in generators]) * strength
        made = made * torch.tensor([len(text) / 20 for text in prompts]).view(-1, 1, 1, 1)
        if self.mixes:
            made = made / len(made)
        flags = [self.flagged] * len(prompts)
        return dict(zip((self.key, "nsfw_content_detected"), (made.numpy(), flags), strict=True))


class Deterministic(Toy):
    """One whose call takes no random generator."""

    def __call__(self, prompt):
        return {"images": []}


class Film(Toy):
    """One that gives two frames for a row."""

    def __call__(self, prompt, generator=None, output_type="np"):
        return {"images": torch.rand(2, 4, 4, 3, generator=generator).numpy()}


class Needy(Toy):
    """One whose module imported a library only where it is there."""

    def __init__(self, name: str):
        super().__init__()
        self.missing = name

    def __call__(self, prompt, generator=None, output_type="np"):
        raise NameError(f"name {self.missing!r} is not defined", name=self.missing)


def test_a_film_is_no_picture_even_without_a_trial() -> None:
    with pytest.raises(cp.MechanismError, match="gives 2 images for one row"):
        PipelineCall(Film(), batched=False)(rows(1))


def test_a_library_that_a_pipeline_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causalplug.adapters.reasons.find_spec", lambda name: None)
    with pytest.raises(cp.MissingDependencyError, match="needs ftfy, which is not installed"):
        PipelineGenerator(Needy("ftfy"), prompts=PROMPTS)
    with pytest.raises(cp.MechanismError, match="fails with NameError: name 'ftfi'"):
        PipelineGenerator(Needy("ftfi"), prompts=PROMPTS)


def rows(n: int) -> list[Row]:
    return [Row(seed, {"prompt": "a cat"}, {}) for seed in range(n)]


def test_rows_that_a_batch_changes_are_painted_one_by_one() -> None:
    mixing, sound = PipelineCall(Toy(mixes=True)), PipelineCall(Toy())
    mixing.settle(rows(2))
    sound.settle(rows(2))
    assert (mixing.batched, sound.batched) == (False, True)
    assert torch.equal(mixing(rows(4))[:2], mixing(rows(2)))
    sound.pipeline.calls.clear()
    sound(rows(4))
    assert sound.pipeline.calls == [4]


class Rough(Toy):
    """One whose batches move rows by rounding errors, some rows further than others."""

    def __call__(self, prompt, generator=None, output_type="np", strength=1.0):
        made = super().__call__(prompt, generator, output_type, strength)
        if isinstance(generator, list):
            sizes = 3e-5 * (1 + np.arange(len(generator)))
            made["images"] = made["images"] + sizes[:, None, None, None]
        return made


def test_rounding_errors_of_two_rows_leave_room_for_those_of_others() -> None:
    rough = PipelineCall(Rough())
    alone = rough.settle(rows(2))
    assert torch.equal(rough(rows(5))[:2], alone)
    last = PipelineCall(Rough(), batched=False)(rows(5))
    assert (rough(rows(5)) - last).abs().max() <= 1e-4


class First(Toy):
    """One that reads the first picture for every row of a batch."""

    def __call__(self, prompt, image, generator=None, output_type="np"):
        made = super().__call__(prompt, generator)
        pictures = image if isinstance(image, list) else [image]
        share = float(np.asarray(pictures[0])[0, 0, 0]) / 255
        return {"images": made["images"] * share}


def test_a_batch_that_mixes_its_pictures_is_noticed() -> None:
    made = ImagePipeline(First(), {"image": cp.Image(3, 4, 4)}, prompts="a cat")
    assert made.run.batched is False


def test_black_pictures_of_a_safety_checker_are_refused_unless_accepted() -> None:
    with pytest.raises(cp.MechanismError, match="blacked out 1 of 1"):
        PipelineGenerator(Toy(flagged=True), prompts=PROMPTS)
    assert PipelineGenerator(Toy(flagged=True), prompts=PROMPTS, safety_checker=True).labels


def test_arguments_differ_from_label_to_label() -> None:
    call = {"strength": {"cat": 0.5, "dog": 1.0}}
    made = PipelineGenerator(Toy(), prompts=PROMPTS, call=call)
    plain = PipelineGenerator(Toy(), prompts=PROMPTS)
    labels, noise = torch.tensor([[0], [1]]), {"seed": torch.rand(2, 2)}
    ratio = made.generate(labels, noise) / plain.generate(labels, noise)
    assert torch.allclose(ratio, torch.tensor([0.5, 1.0]).view(2, 1, 1, 1).expand_as(ratio))
    with pytest.raises(cp.MechanismError, match="dog"):
        PipelineGenerator(Toy(), prompts=PROMPTS, call={"strength": {"cat": 0.5}})


def test_what_gives_no_images_or_takes_no_generator_is_refused() -> None:
    with pytest.raises(cp.MechanismError, match="gives depth, nsfw_content_detected, no images"):
        PipelineGenerator(Toy(key="depth"), prompts=PROMPTS)
    with pytest.raises(cp.MechanismError, match="takes no random generator"):
        PipelineGenerator(Deterministic(), prompts=PROMPTS)


def test_a_scheduler_by_name_with_settings(img2img: Path) -> None:
    images = {"image": cp.Image(3, 16, 16)}
    wanted = {"class": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}
    made = cp.from_pretrained(img2img, prompts=PROMPTS, images=images, steps=3, scheduler=wanted)
    assert made.pipeline.scheduler.config.use_karras_sigmas is True
    with pytest.raises(cp.MechanismError, match="no setting use_karas"):
        cp.from_pretrained(
            img2img, prompts=PROMPTS, images=images, scheduler=wanted | {"use_karas": 1}
        )
    with pytest.raises(cp.MechanismError, match="does not name a class"):
        cp.from_pretrained(img2img, prompts=PROMPTS, images=images, scheduler={"eta": 1})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("WanPipeline", "gives frames, no images"),
        ("StableAudioPipeline", "gives audios, no images"),
        ("FluxPriorReduxPipeline", "gives prompt_embeds, pooled_prompt_embeds, no images"),
        ("MarigoldDepthPipeline", "gives prediction, uncertainty, latent, no images"),
        ("FluxModularPipeline", "is put together from blocks"),
        ("DiffusionPipeline", "is a parent of pipelines and paints nothing by itself"),
    ],
)
def test_a_class_that_paints_nothing_is_refused_before_its_weights_are_there(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name}))
    with pytest.raises(cp.RepositoryError, match=reason):
        cp.from_pretrained(tmp_path, prompts=PROMPTS)


def test_a_class_whose_module_cannot_be_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a library that the module needs is missing, or too old."""
    monkeypatch.setitem(diffusers._class_to_module, "BrokenPipeline", "nowhere")
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "BrokenPipeline"}))
    with pytest.raises(cp.MissingDependencyError, match=r"No module named 'diffusers\.nowhere'"):
        cp.from_pretrained(tmp_path, prompts=PROMPTS)


def test_what_a_class_gives_is_read_from_its_code() -> None:
    found = {}
    for name in ("StableDiffusionPipeline", "FluxPipeline", "Kandinsky5T2IPipeline"):
        found[name] = declared_outputs(getattr(diffusers, name))
    assert found == {
        "StableDiffusionPipeline": ("images", "nsfw_content_detected"),
        "FluxPipeline": ("images",),
        "Kandinsky5T2IPipeline": ("image",),
    }
    made = PipelineGenerator(Toy(key="image"), prompts=PROMPTS)
    assert torch.equal(
        made.generate(torch.tensor([[0]]), {"seed": torch.tensor([[0.2, 0.3]])}),
        PipelineGenerator(Toy(), prompts=PROMPTS).generate(
            torch.tensor([[0]]), {"seed": torch.tensor([[0.2, 0.3]])}
        ),
    )


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("StableDiffusionPipeline", {"prompts": ["a cat", "a dog"]}, "give a template"),
        ("StableDiffusionPipeline", {"prompts": {}}, "give a prompt for every label"),
        ("StableDiffusionPipeline", {"prompts": {"cat": 3}}, "which is no text"),
        ("StableDiffusionPipeline", {"prompts": {"cat": "x " * 80}}, "82 tokens.*at most 77"),
        (
            "StableDiffusionPipeline",
            {"prompts": PROMPTS, "images": {"image": cp.Image(3, 16, 16)}},
            "may read them are ip_adapter_image",
        ),
        ("DiTPipeline", {}, "is class-conditional, and no labels are declared"),
        (
            "DiTPipeline",
            {"labels": [cp.Label("d", ["a", "b"])], "classes": ["cat", "dog"]},
            "each item of it a whole number",
        ),
    ],
)
def test_what_a_pipeline_would_cut_off_or_not_understand_is_refused(
    name: str, options: dict, match: str, tmp_path: Path
) -> None:
    place = written(name, tmp_path)
    with pytest.raises(cp.CausalPlugError, match=match):
        cp.from_pretrained(place, steps=2, **options)
