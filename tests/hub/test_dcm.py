"""A whole model through a folder: the same samples bit for bit, frozen parts referred to,
nothing half written."""

import json
import shutil
import warnings

import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import ConvergenceWarning, MechanismError, RepositoryError
from causalplug.mechanisms.frozen.label import Label

IMAGE = cp.Image(1, 8, 8)
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 64, "name": "out"},
    {"type": "sigmoid"},
]


@pytest.fixture
def generator(tmp_path):
    """A small conditional GAN as an adapter repository."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(IMAGE, [Label("digit", 2)], 4, LAYERS, license="mit")
    return gan.save_pretrained(tmp_path / "gan")


@pytest.fixture
def dcm(generator):
    graph = cp.CausalGraph.parse("D -> I -> A; D -> X; D <-> A")
    variables = {
        "D": cp.Discrete(2),
        "I": IMAGE,
        "A": cp.Discrete(["no", "yes"]),
        "X": cp.Continuous(),
    }
    return cp.DCM(graph, variables, mechanisms={"I": cp.from_pretrained(generator)}, seed=3)


def samples(dcm):
    with torch.no_grad():
        return dcm(cp.Noise(50, seed=9))


@pytest.mark.parametrize("frozen", ["reference", "copy"])
def test_a_loaded_model_gives_the_same_samples_bit_for_bit(dcm, tmp_path, frozen):
    dcm.save_pretrained(tmp_path / "dcm", frozen=frozen)
    loaded = cp.from_pretrained(tmp_path / "dcm")
    before, after = samples(dcm), samples(loaded)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.graph == dcm.graph
    assert (tmp_path / "dcm" / "frozen").exists() == (frozen == "copy")


def test_training_facts_are_kept(dcm, tmp_path):
    rows = dcm.sample(300, seed=0, images="array")
    source = cp.DataSource({name: list(rows[name]) for name in rows}, name="rows")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # two steps need not be enough
        cp.fit(
            dcm,
            source,
            steps=2,
            encoder_steps=2,
            bank_rows=4,
            objective="adversarial",
            progress=False,
        )
    dcm.save_pretrained(tmp_path / "dcm")
    loaded = cp.from_pretrained(tmp_path / "dcm")
    assert loaded.plan == dcm.plan
    assert loaded.sources == dcm.sources
    assert loaded.history == json.loads(json.dumps(dcm.history))
    before, after = samples(dcm), samples(loaded)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_model_that_moved_with_its_generator_still_loads(dcm, tmp_path, generator):
    dcm.save_pretrained(tmp_path / "dcm")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "dcm", tmp_path / "elsewhere" / "dcm")
    shutil.move(generator, tmp_path / "elsewhere" / "gan")
    cp.from_pretrained(tmp_path / "elsewhere" / "dcm")


def test_a_changed_generator_is_noticed(dcm, tmp_path, generator):
    dcm.save_pretrained(tmp_path / "dcm")
    weights = generator / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    loaded = cp.from_pretrained(tmp_path / "dcm")
    with pytest.raises(RepositoryError, match=r"model\.safetensors"):
        samples(loaded)


def test_a_generator_that_was_never_saved_cannot_be_referred_to(tmp_path):
    gan = ConditionalGAN(IMAGE, [Label("digit", 2)], 4, LAYERS)
    dcm = cp.DCM(
        cp.CausalGraph.parse("D -> I"), {"D": cp.Discrete(2), "I": IMAGE}, mechanisms={"I": gan}
    )
    with pytest.raises(RepositoryError, match="made in memory"):
        dcm.save_pretrained(tmp_path / "dcm")
    assert not (tmp_path / "dcm").exists()


def edit(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "model.safetensors"),
        (lambda f: (f / "config.json").write_text("{"), "config.json"),
        (lambda f: edit(f, lambda c: c.update(extra=1)), "extra"),
        (lambda f: edit(f, lambda c: c.update(format="causalplug-dcm-99")), "causalplug-dcm-99"),
        (lambda f: edit(f, lambda c: c.pop("graph")), "graph"),
        (lambda f: edit(f, lambda c: c["variables"]["D"].update(kind="audio")), "audio"),
        (lambda f: edit(f, lambda c: c["mechanisms"]["A"].update(kind="os.system")), "os.system"),
        (
            lambda f: edit(f, lambda c: c["mechanisms"]["A"]["config"].update(hidden=[8])),
            "_mechanisms.A",
        ),
        (
            lambda f: edit(
                f, lambda c: c["mechanisms"]["I"]["pulled"]["local"].update(folder="../nowhere")
            ),
            "nowhere",
        ),
    ],
)
def test_a_damaged_repository_is_refused_and_named(dcm, tmp_path, damage, message):
    dcm.save_pretrained(tmp_path / "dcm")
    damage(tmp_path / "dcm")
    with pytest.raises(RepositoryError, match=message):
        cp.from_pretrained(tmp_path / "dcm")


def trained_types(dcm):
    """Types of the trained parameters; units of values are kept as they are."""
    parameters = dict(dcm.named_parameters())
    return {parameters[name].dtype for name in dcm.trained_tensors() if name in parameters}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_another_precision(dcm, tmp_path, dtype):
    """The trained weights are rounded, values keep their types, the frozen generator its bits."""
    loaded = cp.from_pretrained(dcm.save_pretrained(tmp_path / "dcm"), dtype=dtype, device="cpu")
    assert trained_types(loaded) == {dtype}
    before, after = samples(dcm), samples(loaded)
    assert {name: value.dtype for name, value in after.items()} == {
        n: value.dtype for n, value in before.items()
    }
    assert float((before["X"] - after["X"]).abs().max()) < 0.1
    assert float((before["D"] == after["D"]).float().mean()) > 0.9
    assert torch.equal(
        before["I"][before["D"] == after["D"]], after["I"][before["D"] == after["D"]]
    )
    again = cp.from_pretrained(loaded.save_pretrained(tmp_path / "again"))  # as it was saved
    assert trained_types(again) == {dtype}
    assert all(torch.equal(after[name], value) for name, value in samples(again).items())
    whole = cp.DCM(
        cp.CausalGraph.parse("D -> I; D <-> I"), {"D": cp.Discrete(2), "I": IMAGE}, seed=1
    )
    rounded = cp.from_pretrained(whole.save_pretrained(tmp_path / "whole"), dtype=dtype)
    assert float((samples(whole)["I"] - samples(rounded)["I"]).abs().max()) < 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_generator_of_another_precision(generator, tmp_path, dtype):
    """It paints float32 nearly as before, and is as it was wherever it is saved: alone, referred
    to, in a renderer."""
    gan, rounded = cp.from_pretrained(generator), cp.from_pretrained(generator, dtype=dtype)
    assert {t.dtype for t in rounded.state_dict().values()} == {dtype}
    assert rounded.fingerprint() != gan.fingerprint()
    confounded, other = (
        cp.CausalGraph.parse("D -> I; D <-> I; D -> X"),
        cp.CausalGraph.parse("D -> I; D -> X"),
    )
    for graph, mechanism in ((other, lambda part: part), (confounded, cp.Renderer)):
        variables = {"D": cp.Discrete(2), "I": IMAGE, "X": cp.Continuous()}
        exact = cp.DCM(graph, variables, mechanisms={"I": mechanism(gan)})
        dcm = cp.DCM(graph, variables, mechanisms={"I": mechanism(rounded)})
        painted = samples(dcm)["I"]
        assert painted.dtype == torch.float32
        difference = (painted - samples(exact)["I"]).abs().max()
        assert 0 < float(difference) < (0.02 if dtype == torch.bfloat16 else 1e-6)
        for frozen in ("reference", "copy"):
            place = tmp_path / f"{frozen}-{graph is other}"
            loaded = cp.from_pretrained(dcm.save_pretrained(place, frozen=frozen))
            assert torch.equal(samples(loaded)["I"], painted)
            half = cp.from_pretrained(place, dtype=torch.float16)
            samples(half)
            held = half.mechanism("I").frozen_generator or half.mechanism("I")
            assert {t.dtype for t in held.state_dict().values()} == {dtype}
            assert {p.dtype for p in half.mechanism("X").parameters()} == {torch.float16}
    alone = cp.from_pretrained(rounded.save_pretrained(tmp_path / "alone"))
    assert {t.dtype for t in alone.state_dict().values()} == {dtype}
    with pytest.raises(MechanismError, match=r"cannot be kept as torch\.int8"):
        cp.from_pretrained(generator, dtype=torch.int8)
