"""The README's code runs as it stands, on a small model, and says what the README says that it
says."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.errors import ConvergenceWarning, FitWarning, NotIdentifiableError
from causalplug.mechanisms.frozen.label import Label

README = Path(__file__).parents[1] / "README.md"
LAYERS = [
    {"type": "linear", "in_features": 6, "out_features": 3072, "name": "out"},
    {"type": "sigmoid"},
]


def test_the_code_of_the_readme(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gan = ConditionalGAN(cp.Image(3, 32, 32), [Label("digit", 2)], 4, LAYERS)
    gan.save_pretrained(tmp_path / "user" / "mnist-cgan")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = {"D": rng.integers(2, size=300), "A": rng.choice(["red", "green", "blue"], size=300)}
    rows["I"] = rng.random((300, 3, 32, 32), dtype=np.float32)
    small = {"steps": 2, "encoder_steps": 2, "bank_rows": 4, "progress": False}
    fit = cp.fit
    monkeypatch.setattr(cp, "fit", lambda *a, **k: fit(*a, **k, **small))
    code = code.replace("user/mnist-cgan", str(tmp_path / "user" / "mnist-cgan"))
    answered, refused = code.split("# refused")
    scope = {"rows": rows}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FitWarning)  # the rows are noise, and so is the generator
        exec(answered.rpartition("\n")[0], scope)
        assert (tmp_path / "frontdoor" / "config.json").exists()
        with pytest.raises(NotIdentifiableError):
            exec(answered.rpartition("\n")[2] + refused.partition("\n")[2], scope)
