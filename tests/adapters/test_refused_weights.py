"""Weights that would give wrong answers, or run code, are refused with the right way out."""

import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.adapters.torch_weights import read_torch_weights
from causalplug.errors import MechanismError, RepositoryError, TrainingError
from causalplug.files.weights import refuse_infinite
from causalplug.mechanisms.frozen.label import Label

WEIGHTS = {"net.weight": torch.randn(16, 6), "net.bias": torch.zeros(16)}
ZERO = {name: tensor * 0 for name, tensor in WEIGHTS.items()}
LAYERS = [{"type": "linear", "name": "net", "in_features": 6, "out_features": 16}, {"type": "tanh"}]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def gan(tensors):
    image = cp.Image(1, 4, 4, low=-1.0, high=1.0)
    return ConditionalGAN(image, [Label("D", 2)], 4, LAYERS, tensors=tensors)


def saved(tmp_path, thing):
    torch.save(thing, tmp_path / "g.pth")
    return tmp_path / "g.pth"


SEVERAL = {
    "model and ema": ({"model": ZERO, "ema": WEIGHTS, "opt": {}}, "ema"),
    "lightning": ({"state_dict": ZERO, "ema_state_dict": WEIGHTS}, "ema_state_dict"),
    "G and its average": ({"G": ZERO, "D": ZERO, "G_ema": WEIGHTS}, "G_ema"),
    "names of its own": ({"g": ZERO, "d": ZERO, "g_ema": WEIGHTS, "g_optim": {}}, "g_ema"),
    "nested": ({"model": ZERO, "model_ema": {"shadow": WEIGHTS, "decay": 0.9}}, "model_ema"),
    "two": ({"generator": ZERO, "model": WEIGHTS}, "generator"),
}


@pytest.mark.parametrize(("checkpoint", "key"), SEVERAL.values(), ids=SEVERAL)
def test_several_sets_of_weights_are_not_chosen_from(checkpoint, key, tmp_path):
    with pytest.raises(RepositoryError, match=f"several sets of weights.*key='{key}'"):
        read_torch_weights(saved(tmp_path, checkpoint))


def test_the_only_generator_is_taken_and_a_key_decides(tmp_path):
    path = saved(tmp_path, {"G": WEIGHTS, "D": ZERO, "epoch": 3})
    assert torch.equal(read_torch_weights(path)["net.weight"], WEIGHTS["net.weight"])
    path = saved(tmp_path, {"model": ZERO, "ema": WEIGHTS})
    found = read_torch_weights(path, key="ema")
    assert torch.equal(found["net.weight"], WEIGHTS["net.weight"])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "generator.module."])
def test_a_prefix_of_all_names_is_told(prefix, tmp_path):
    wrapped = {prefix + name: tensor for name, tensor in WEIGHTS.items()}
    with pytest.raises(MechanismError, match=f"prefix='{prefix}'"):
        gan(wrapped)
    gan(read_torch_weights(saved(tmp_path, wrapped), prefix=prefix))
    with pytest.raises(RepositoryError, match="no tensor's name begins with 'net2"):
        read_torch_weights(saved(tmp_path, wrapped), prefix="net2.")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused(value, dtype, tmp_path):
    wrong = {name: tensor.to(dtype) for name, tensor in WEIGHTS.items()}
    wrong["net.weight"][3, 2] = value
    with pytest.raises(MechanismError, match=r"'net\.weight' is not finite"):
        gan(wrong)


def test_weights_whose_sum_overflows_are_finite():
    refuse_infinite({"net.weight": torch.full((16, 6), 3e38)}, "a file")


def test_a_saved_model_with_such_weights_is_refused(tmp_path):
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": cp.Continuous(), "Y": cp.Discrete(2)})
    dcm.save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.numel() > 5)
    tensors[name].view(-1)[0] = float("nan")
    with pytest.raises(MechanismError, match="not finite"):
        dcm.load_trained(tensors)


@pytest.mark.filterwarnings("ignore::causalplug.errors.ConvergenceWarning")  # a few steps
def test_training_that_leaves_no_numbers_is_told_and_not_saved(monkeypatch):
    def diverge(run, *_):
        next(run.dcm.mechanism("X").parameters()).data.fill_(float("nan"))

    monkeypatch.setattr("causalplug.training.run.Run._phase", diverge)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"X": rng.normal(size=200), "Y": rng.normal(size=200)})
    dcm = cp.DCM(
        cp.CausalGraph.parse("X -> Y; X <-> Y"), {"X": cp.Continuous(), "Y": cp.Continuous()}
    )
    with pytest.raises(TrainingError, match="cannot be used: its training diverged"):
        cp.fit(dcm, cp.DataSource(frame), objective="likelihood", steps=2, progress=False)


def script(path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def objects(path):
    torch.save(torch.nn.Linear(2, 2), path)


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", b"nothing")


def sparse(path):
    torch.save({"w": torch.eye(3).to_sparse()}, path)


def swollen(path):
    torch.save({"w": torch.zeros(1).expand(10**9)}, path)


FILES = {
    "TorchScript": (script, "TorchScript program.*runs code"),
    "whole objects": (objects, "pickle of whole objects"),
    "a pointer": (lambda path: path.write_text(POINTER), "git lfs pull"),
    "an archive": (archive, "cannot read"),
    "bytes": (lambda path: path.write_bytes(bytes(range(256)) * 8), "cannot read"),
    "empty": (lambda path: path.write_bytes(b""), "cannot read"),
    "a list": (lambda path: torch.save([1, 2], path), "no state dict"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"w": print})), "cannot read"),
    "sparse": (sparse, "'w' is not a plain tensor"),
    "more than it holds": (swollen, "more than the file holds"),
    "nothing": (lambda path: None, "no such file"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("write", "message"), FILES.values(), ids=FILES)
def test_other_files_are_refused_without_running_them(write, message, tmp_path):
    path = tmp_path / "g.pth"
    write(path)
    with pytest.raises(RepositoryError, match=f"(?s){message}") as caught:
        read_torch_weights(path)
    assert "False" not in str(caught.value)  # no advice to switch the protection off


def test_a_pointer_in_place_of_safetensors_is_told(tmp_path):
    dcm = cp.DCM(cp.CausalGraph.parse("X -> Y"), {"X": cp.Discrete(2), "Y": cp.Discrete(2)})
    dcm.save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").write_text(POINTER)
    with pytest.raises(RepositoryError, match="git lfs pull"):
        cp.from_pretrained(tmp_path / "m")
    save_file(WEIGHTS, tmp_path / "w.safetensors")
