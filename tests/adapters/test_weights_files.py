"""Third-party weights: by configuration alone, from pickled state dicts, from Keras; and what
does not fit."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.adapters.cxr_acgan import CXRACGAN
from causalplug.adapters.torch_weights import read_torch_weights
from causalplug.errors import MechanismError, RepositoryError
from causalplug.load import from_pretrained
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.variables import Image

SHARED = Path(__file__).parents[2] / "../shared/data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the data folder beside the repository is absent"
)


def linear(name: str, before: int, after: int) -> dict:
    return {"type": "linear", "name": name, "in_features": before, "out_features": after}


DIGITS = {
    "image": {"kind": "image", "channels": 1, "height": 28, "width": 28, "low": -1.0, "high": 1.0},
    "labels": [{"name": "digit", "categories": 10}],
    "latent": 100,
    "inputs": [
        {"input": "latent"},
        {"input": "digit", "encoding": "embedding", "size": 10, "name": "label_emb"},
    ],
    "layers": [
        linear("net.0", 110, 256),
        {"type": "leaky_relu", "negative_slope": 0.2},
        linear("net.2", 256, 512),
        {"type": "leaky_relu", "negative_slope": 0.2},
        linear("net.4", 512, 784),
        {"type": "tanh"},
    ],
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    config = {
        "format": "causalplug-mechanism-1",
        "kind": "conditional-gan",
        "config": DIGITS,
        "license": "mit",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(SHARED / "pretrained/mnist-cgan-mlp/model.safetensors", tmp_path)
    return tmp_path


@needs_shared
def test_a_third_party_generator_by_configuration_alone(repository: Path) -> None:
    made = from_pretrained(repository)
    reference = load_file(SHARED / "pretrained/mnist-cgan-mlp/reference.safetensors")
    painted = made.generate(reference["labels"][:, None], {"latent": reference["z"]})
    assert torch.allclose(painted, reference["images"], atol=1e-5)
    assert made.license == "mit"


@needs_shared
def test_an_unconditional_generator_has_no_parents() -> None:
    folder = SHARED / "pretrained/mnist-gan-mlp-unconditional"
    layers = [
        linear("0", 64, 256),
        {"type": "relu"},
        linear("2", 256, 256),
        {"type": "relu"},
        linear("4", 256, 784),
    ]
    tensors, reference = (
        load_file(folder / "model.safetensors"),
        load_file(folder / "reference.safetensors"),
    )
    made = ConditionalGAN(
        Image(1, 28, 28, low=-1.0), [], 64, [*layers, {"type": "tanh"}], tensors=tensors
    )
    painted = made.bind("I", Image(1, 28, 28, low=-1.0), {})({}, {"latent": reference["z"]})
    assert torch.allclose(painted.flatten(1), reference["images"], atol=1e-5)


@needs_shared
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda c: c["layers"].__setitem__(4, linear("net.5", 512, 784)),
            "missing: 'net.5.weight'",
        ),
        (lambda c: c["inputs"][1].__setitem__("name", "emb"), "unexpected: 'label_emb.weight'"),
        (
            lambda c: c.__setitem__("labels", [{"name": "digit", "categories": 9}]),
            r"\[10, 10\] instead of \[9, 10\]",
        ),
        (lambda c: c["layers"][2].__setitem__("type", "liner"), "Did you mean 'linear'"),
        (lambda c: c["layers"].pop(), None),
        (lambda c: c["layers"].pop(0), "do not fit each other"),
        (lambda c: c.pop("latent"), "lacks 'latent'"),
        (lambda c: c.__setitem__("color", 1), "color"),
        (lambda c: c["inputs"].pop(), "the latent and every label"),
        (lambda c: c["inputs"][1].__setitem__("encoding", "sinus"), "sinus"),
        (lambda c: c["image"].__setitem__("height", 27), "27"),
        (lambda c: c["layers"][0].pop("name"), "no name"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    repository: Path, change, match: str | None
) -> None:
    config = json.loads((repository / "config.json").read_text())
    change(config["config"])
    (repository / "config.json").write_text(json.dumps(config))
    if match is None:  # a missing activation is no contradiction
        assert from_pretrained(repository).kind == "conditional-gan"
        return
    with pytest.raises(RepositoryError, match=match):
        from_pretrained(repository)


@needs_shared
def test_missing_files_and_unknown_formats_are_refused(repository: Path) -> None:
    text = (repository / "config.json").read_text()
    (repository / "config.json").write_text(text.replace("causalplug-mechanism-1", "other-1"))
    with pytest.raises(RepositoryError, match="other-1"):
        from_pretrained(repository)
    (repository / "config.json").write_text(text.replace("conditional-gan", "conditional-gun"))
    with pytest.raises(RepositoryError, match="Did you mean 'conditional-gan'"):
        from_pretrained(repository)
    (repository / "config.json").write_text(text)
    (repository / "model.safetensors").unlink()
    with pytest.raises(RepositoryError, match="no file"):
        from_pretrained(repository)


def test_state_dicts_are_read_without_running_them(tmp_path: Path) -> None:
    layers = [linear("net.0", 3, 4)]
    source = ConditionalGAN(Image(1, 2, 2, low=-1e3, high=1e3), [], 3, layers)
    named = {f"module.{name}": tensor for name, tensor in source.weights().items()}
    for content in (named, {"state_dict": named, "epoch": 3}):
        torch.save(content, tmp_path / "G.pth")
        tensors = read_torch_weights(tmp_path / "G.pth", prefix="module.")
        again = ConditionalGAN(source.image, [], 3, layers, tensors=tensors)
        assert all(
            torch.equal(again.weights()[name], value) for name, value in source.weights().items()
        )


class Harmful:
    def __reduce__(self) -> tuple:
        return (open, ("harm", "w"))


def test_other_pickles_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "G.pth"
    torch.save(Harmful(), path)
    with pytest.raises(RepositoryError, match="could run"):
        read_torch_weights(path)
    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(RepositoryError):
        read_torch_weights(path)
    assert not (tmp_path / "harm").exists()
    torch.save([torch.zeros(2)], path)
    with pytest.raises(RepositoryError, match="no state dict"):
        read_torch_weights(path)
    torch.save({"G": {"a": torch.zeros(1)}, "model": {"a": torch.zeros(1)}}, path)
    with pytest.raises(RepositoryError, match="key="):
        read_torch_weights(path)
    assert set(read_torch_weights(path, key="G")) == {"a"}
    with pytest.raises(RepositoryError, match="no part 'D'"):
        read_torch_weights(path, key="D")
    path.write_bytes(b"nothing")
    with pytest.raises(RepositoryError):
        read_torch_weights(path)


@needs_shared
def test_keras_weights_paint_what_keras_paints() -> None:
    pytest.importorskip("h5py")
    made = CXRACGAN.from_keras(SHARED / "cxr/acgan_keras/small_weights.hdf5")
    expected = np.load(SHARED / "cxr/acgan_keras/small_expected.npz")
    noise = {
        "latent": (torch.from_numpy(expected["noise"]) + 1) / 2
    }  # uniform on [0, 1), as the noise is drawn
    painted = made.generate(torch.from_numpy(expected["labels"]).long()[:, None], noise)
    assert torch.allclose(
        painted.permute(0, 2, 3, 1), torch.from_numpy(expected["images_nhwc"]), atol=1e-5
    )
    assert made.license == "mit"


@needs_shared
def test_the_full_size_generator_has_the_published_shapes() -> None:
    manifest = json.loads((SHARED / "cxr/acgan_keras/full_manifest.json").read_text())
    published = sorted(sorted(map(int, shape)) for shape in _shapes(manifest))
    with torch.device("meta"):
        from causalplug.adapters.cxr_acgan import _inputs, _trunk
        from causalplug.mechanisms.frozen.layers import LayerList

        owner = torch.nn.Module()
        for item in _inputs((1024, 512, 256, 128), 100, 100):
            LayerList(item["layers"], owner)
        LayerList(_trunk((1024, 512, 256, 128)), owner)
    ours = [
        list(t.shape) for name, t in owner.state_dict().items() if "num_batches" not in name
    ] + [[3, 100]]
    assert sorted(sorted(shape) for shape in ours) == published
    assert sum(int(np.prod(shape)) for shape in ours) == 22_303_108


def _shapes(value: object) -> list[list[int]]:
    """Every list of whole numbers in the manifest."""
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [shape for part in parts for shape in _shapes(part)]


def test_a_file_that_is_not_keras_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "w.hdf5").write_bytes(b"no")
    with pytest.raises(RepositoryError, match="HDF5"):
        CXRACGAN.from_keras(tmp_path / "w.hdf5")


def test_a_bank_of_images(tmp_path: Path) -> None:
    from PIL import Image as PILImage

    from causalplug.adapters.image_bank import ImageBank
    from causalplug.errors import DataError

    for place, name in enumerate(["cat", "dog"]):
        (tmp_path / "bank" / name).mkdir(parents=True)
        for number in range(3):
            PILImage.new("L", (5, 4), 100 * place + number).save(
                tmp_path / "bank" / name / f"{number}.png"
            )
    made = ImageBank.from_folder(tmp_path / "bank")
    assert made.labels == (Label("label", ["cat", "dog"]),)
    painted = made({"label": torch.tensor([0, 1, 1])}, {"pick": torch.tensor([0.0, 0.5, 0.99])})
    assert (painted[:, 0, 0, 0] * 255).round().tolist() == [0, 101, 102]
    rows = ["file_name,animal,level"] + [
        f"{n}/{i}.png,{n},{i}" for n in ("cat", "dog") for i in range(3)
    ]
    (tmp_path / "bank" / "metadata.csv").write_text("\n".join(rows) + "\n")
    both = ImageBank.from_folder(tmp_path / "bank", labels=["animal", Label("level", 3)])
    chosen = both(
        {"animal": torch.tensor([1]), "level": torch.tensor([2])}, {"pick": torch.tensor([0.3])}
    )
    assert float(chosen[0, 0, 0, 0]) * 255 == pytest.approx(102, abs=0.01)
    with pytest.raises(MechanismError, match="empty"):
        ImageBank.from_folder(tmp_path / "bank", labels=["animal", Label("level", 4)])
    (tmp_path / "bank" / "dog" / "1.png").write_bytes(b"broken")
    PILImage.new("L", (6, 4)).save(tmp_path / "bank" / "dog" / "2.png")
    with pytest.raises(DataError, match=r"1\.png cannot be read.*2\.png has 4 x 6"):
        ImageBank.from_folder(tmp_path / "bank")
    (tmp_path / "bank" / "metadata.csv").write_text("file_name,animal\n../../x.png,cat\n")
    with pytest.raises(DataError, match="not an image of the folder"):
        ImageBank.from_folder(tmp_path / "bank")
    with pytest.raises(DataError, match="no folder"):
        ImageBank.from_folder(tmp_path / "nowhere")
