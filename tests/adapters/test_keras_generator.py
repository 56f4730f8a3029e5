"""Generators of Keras with their architecture; truth is what Keras gave, or loops over pixels."""

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters import read_keras_generator

FOLDER = Path(__file__).parent / "keras_models"
LABELS = {
    "functional": [cp.Label("digit", 4)],
    "nested": [cp.Label("kind", ["a", "b", "c"])],
    "sequential": [],
    "shared": [cp.Label("kind", 3)],
}
FILES = sorted(path.name for path in FOLDER.glob("*.[hk]*"))


def codes(name: str, given: dict) -> torch.Tensor:
    if not LABELS[name]:
        return torch.zeros(len(given["input_0"]), 0, dtype=torch.int64)
    told = given["input_1"]
    if told.shape[1] > 1:
        told = told.argmax(1)
    return torch.from_numpy(told.reshape(-1, 1).astype(np.int64))


@pytest.mark.parametrize("name", FILES)
def test_it_paints_what_keras_painted(name: str, tmp_path: Path) -> None:
    kind = name.partition(".")[0]
    known = np.load(FOLDER / f"{kind}.npz")
    made = cp.from_pretrained(FOLDER / name, labels=LABELS[kind])
    low = 0.0 if kind == "sequential" else -1.0
    assert (made.image.low, made.image.high) == (low, 1.0)
    noise = {"latent": torch.from_numpy(known["input_0"])}
    painted = made.generate(codes(kind, known), noise)
    assert np.abs(painted.permute(0, 2, 3, 1).numpy() - known["made"]).max() < 1e-5
    assert made.differentiable
    assert made.program is not None
    assert "rows" not in made.program.network  # it runs on any number of rows at once
    made.save_pretrained(tmp_path / "saved")
    again = cp.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.generate(codes(kind, known), noise), painted)


# -- a file as Keras 2 writes it, and what it means in loops


def legacy(path: Path, config: dict, weights: dict[str, dict[str, np.ndarray]]) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for layer, arrays in weights.items():
            owner = group.create_group(layer)
            owner.attrs["weight_names"] = [f"{layer}/{key}:0".encode() for key in arrays]
            for key, array in arrays.items():
                owner.create_dataset(f"{layer}/{key}:0", data=array.astype(np.float32))
    return path


def layer(kind: str, name: str, *reads: str, **config: object) -> dict:
    nodes = [[[one, 0, 0, {}] for one in reads]] if reads else []
    return {
        "class_name": kind,
        "config": {"name": name, **config},
        "name": name,
        "inbound_nodes": nodes,
    }


def keras_two(*, activation: str = "tanh", **transposed: object) -> dict:
    layers = [
        layer("InputLayer", "noise", batch_input_shape=[None, 3]),
        layer("InputLayer", "class", batch_input_shape=[None, 1]),
        layer("Embedding", "embedding", "class", input_dim=2, output_dim=3),
        layer("Flatten", "flatten", "embedding"),
        layer("Multiply", "multiply", "noise", "flatten"),
        layer("Dense", "dense", "multiply", units=8, activation="linear", use_bias=True),
        layer("LeakyReLU", "leaky", "dense", alpha=0.1),
        layer("Reshape", "reshape", "leaky", target_shape=[2, 2, 2]),
        layer("Conv2DTranspose", "up", "reshape", activation=activation, **transposed),
    ]
    ends = {
        "input_layers": [["noise", 0, 0], ["class", 0, 0]],
        "output_layers": [["up", 0, 0]],
    }
    return {"class_name": "Functional", "config": {"name": "g", "layers": layers, **ends}}


def transposed_by_loops(x: np.ndarray, kernel: np.ndarray, stride: int, same: bool) -> np.ndarray:
    """Every pixel adds its kernel to the output; 'same' cuts half of what is too much above."""
    high, wide = kernel.shape[:2]
    side = max(high, stride)
    size = (x.shape[0] - 1) * stride + side, (x.shape[1] - 1) * stride + max(wide, stride)
    found = np.zeros((*size, kernel.shape[2]))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            for a in range(high):
                for b in range(wide):
                    found[i * stride + a, j * stride + b] += kernel[a, b] @ x[i, j]
    if not same:
        return found
    top, left = max(high - stride, 0) // 2, max(wide - stride, 0) // 2
    return found[top : top + x.shape[0] * stride, left : left + x.shape[1] * stride]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(3, 2, "same"), (4, 2, "same"), (2, 3, "same"), (5, 1, "valid"), (2, 3, "valid")],
)
def test_a_file_of_keras_two_means_what_its_loops_mean(
    kernel: int, stride: int, padding: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(kernel)
    weights = {
        "embedding": {"embeddings": rng.normal(size=(2, 3))},
        "dense": {"kernel": rng.normal(size=(3, 8)), "bias": rng.normal(size=8)},
        "up": {"kernel": rng.normal(size=(kernel, kernel, 1, 2)), "bias": rng.normal(size=1)},
    }
    config = keras_two(kernel_size=[kernel] * 2, strides=[stride] * 2, padding=padding, filters=1)
    path = legacy(tmp_path / "g.h5", config, weights)
    made = read_keras_generator(path, [cp.Label("shape", 2)])
    latent = rng.normal(size=(2, 3))
    painted = made.generate(torch.tensor([[1], [0]]), {"latent": torch.from_numpy(latent).float()})
    for row, code in enumerate((1, 0)):
        h = latent[row] * weights["embedding"]["embeddings"][code]
        h = h @ weights["dense"]["kernel"] + weights["dense"]["bias"]
        h = np.where(h > 0, h, 0.1 * h).reshape(2, 2, 2)
        out = transposed_by_loops(h, weights["up"]["kernel"], stride, padding == "same")
        expected = np.tanh(out + weights["up"]["bias"])[:, :, 0]
        assert np.abs(painted[row, 0].numpy() - expected).max() < 1e-5


# -- what is refused


def changed(path: Path, change, source: str = "functional.keras") -> Path:
    """A copy of an archive whose configuration is changed."""
    with zipfile.ZipFile(FOLDER / source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config["config"])
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return path


def find(config: dict, kind: str) -> dict:
    return next(item for item in config["layers"] if item["class_name"] == kind)


def lambda_layer(config: dict) -> None:
    find(config, "Dropout")["class_name"] = "Lambda"


def channels_first(config: dict) -> None:
    find(config, "Conv2D")["config"]["data_format"] = "channels_first"


def two_outputs(config: dict) -> None:
    first = config["output_layers"]
    config["output_layers"] = [first, first]


def wider(config: dict) -> None:
    find(config, "Dense")["config"]["use_bias"] = False


def strange(config: dict) -> None:
    find(config, "Conv2D")["config"]["activation"] = "mish"


def reads_itself(config: dict) -> None:
    layer = config["layers"][-1]
    for one in layer["inbound_nodes"][0]["args"]:
        one["config"]["keras_history"] = [layer["config"]["name"], 0, 0]
    layer.update(class_name="Dropout", config={"name": layer["config"]["name"]})


def no_mapping(config: dict) -> None:
    find(config, "Dense")["inbound_nodes"][0]["kwargs"] = ["training"]


def unbounded(config: dict) -> None:
    config["layers"][-1]["config"]["activation"] = "linear"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda_layer, "'dropout' is a Lambda, which is not understood"),
        (channels_first, "channels first"),
        (two_outputs, "2 outputs"),
        (wider, "has 2 weights where kernel are right"),
        (strange, "activation 'mish' is not known"),
        (reads_itself, "its model does not run"),
        (no_mapping, "no model as Keras saves it"),
        (unbounded, "ends in 'linear'. Declare"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(change, message: str, tmp_path: Path) -> None:
    with pytest.raises(cp.CausalPlugError, match=message):
        read_keras_generator(changed(tmp_path / "g.keras", change), LABELS["functional"])


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([], {}, r"2 inputs \(z \[6\], digit \[1\]\), and 0 labels"),
        ([cp.Label("digit", 3)], {}, "has 4 rows and is asked for 3 labels"),
        ([cp.Label("digit", 4)], {"latent_input": "x"}, "latent_input='x' is not an input"),
        ([cp.Label("z", 6)], {"latent_input": "z"}, "asked for 6 labels"),
        ([cp.Label("digit", 4)], {"latent": cp.adapters.Latent(5)}, "5 numbers does not fit"),
        (
            [cp.Label("digit", 4)],
            {"image": cp.Image(2, 9, 9)},
            r"paints images of shape .* declares",
        ),
    ],
)
def test_labels_and_latents_that_do_not_fit_are_refused(labels, options, message: str) -> None:
    with pytest.raises(cp.CausalPlugError, match=message):
        read_keras_generator(FOLDER / "functional.keras", labels, **options)


@pytest.mark.parametrize(
    ("name", "content", "way"),
    [
        ("model.pkl", b"\x80\x04.", "never opened. Fit the estimator .* causalplug.wrap"),
        ("G.pth", b"PK", "read_torch_weights"),
        ("sd.safetensors", b"", "single_file="),
        ("g.onnx", b"", "CallableGenerator"),
        ("g.keras", b"nothing", "no model as Keras saves it"),
        ("g.h5", b"nothing", "no model as Keras saves it"),
    ],
)
def test_a_file_of_its_own_is_answered_with_the_right_call(
    name: str, content: bytes, way: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(cp.RepositoryError, match=way):
        cp.from_pretrained(tmp_path / name)


def test_weights_alone_are_refused_with_the_way(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
    with pytest.raises(cp.RepositoryError, match=r"without their architecture.*read_keras_layers"):
        cp.from_pretrained(tmp_path / "w.h5")
    with pytest.raises(cp.RepositoryError, match="has no such option"):
        cp.from_pretrained(FOLDER / "nested.keras", prompts="a cat")
    with pytest.raises(cp.RepositoryError, match=r"read as a generator of images"):
        cp.from_pretrained(FOLDER / "nested.keras", variable=cp.Discrete(2))
