"""A frozen vision backbone with random weights as an encoder."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from causalplug.encoders.encoders import project
from causalplug.encoders.fit import fit_encoder
from causalplug.errors import MechanismError, MissingDependencyError
from causalplug.load import from_pretrained
from causalplug.variables import Discrete, Image

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of the library's own making


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=16,
        patch_size=4,
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    place = tmp_path_factory.mktemp("vit")
    transformers.ViTModel(config).eval().save_pretrained(place)
    return place


def test_a_backbone_s_projection_is_that_of_its_pooled_features(
    folder: Path, tmp_path: Path
) -> None:
    from causalplug.adapters.transformers_vision import TransformersEncoder

    variable = Image(1, 12, 12, low=-1.0)
    images = torch.randint(
        0, 256, (80, 1, 12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    encoder = TransformersEncoder.from_pretrained(folder, variable, 6)
    report = fit_encoder(encoder, images, {"x": (torch.arange(80) % 2, Discrete(2))}, steps=3)
    assert encoder.trained
    assert set(report.accuracy) == {"x"}
    assert not any(p.requires_grad for p in encoder.parameters())
    rows = project(encoder, images)
    assert torch.allclose(rows.std(0), torch.ones(6), atol=1e-3)
    assert torch.allclose(rows[3:4], project(encoder, images[3:4]), atol=1e-4)
    # the same by hand: grey repeated, resized, normalised, pooled, principal components, whitened
    unit = torch.nn.functional.interpolate(
        (images / 255.0).expand(-1, 3, -1, -1), size=(16, 16), mode="bilinear", antialias=True
    )
    model = transformers.ViTModel.from_pretrained(folder).eval()
    with torch.no_grad():
        pooled = model(pixel_values=(unit - 0.5) / 0.5).pooler_output
    centred = (pooled - pooled.mean(0)).double()
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    expected = left[:, :6] * (len(images) - 1) ** 0.5
    agreement = (rows.double().T @ expected / (len(images) - 1)).abs()
    assert torch.allclose(agreement, torch.eye(6, dtype=torch.float64), atol=2e-2), values
    encoder.save_pretrained(tmp_path / "encoder")
    assert torch.equal(project(from_pretrained(tmp_path / "encoder"), images), rows)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_a_model_of_timm_says_what_to_install(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from causalplug.adapters.transformers_vision import TransformersEncoder

    described = {
        "architecture": "resnet18",
        "num_classes": 10,
        "pretrained_cfg": {"input_size": [3, 32, 32]},
    }
    (tmp_path / "config.json").write_text(json.dumps(described))
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(MissingDependencyError, match="pip install timm"):
        TransformersEncoder.from_pretrained(tmp_path, Image(3, 32, 32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_backbone_of_another_precision_projects_float32(
    folder: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    from causalplug.adapters.transformers_vision import TransformersEncoder

    variable, images = (
        Image(1, 12, 12),
        torch.rand(40, 1, 12, 12, generator=torch.Generator().manual_seed(0)),
    )
    exact = TransformersEncoder.from_pretrained(folder, variable, 4).fit(images)
    saved = exact.save_pretrained(tmp_path / "encoder")
    rounded = from_pretrained(saved, dtype=dtype)
    assert {t.dtype for t in rounded.state_dict().values() if t.is_floating_point()} == {dtype}
    assert project(rounded, images).dtype == torch.float32
    assert float((project(rounded, images) - project(exact, images)).abs().max()) < 0.2
    transformers.AutoModel.from_pretrained(folder).to(dtype).save_pretrained(tmp_path / "half")
    assert project(
        TransformersEncoder.from_pretrained(tmp_path / "half", variable, 4), images
    ).shape == (40, 4)


BACKBONES = {
    "EfficientNetModel": {
        "image_size": 32,
        "width_coefficient": 0.1,
        "depth_coefficient": 0.1,
        "hidden_dim": 128,
    },
    "MobileNetV2Model": {"image_size": 32, "depth_multiplier": 0.25},
    "SwiftFormerModel": {"embed_dims": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "image_size": 32},
    "ViTMAEModel": {
        "image_size": 32,
        "patch_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 20,
    },
}


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_of_every_kind_give_the_same_features_again(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    model = kind(kind.config_class(**BACKBONES[name])).eval()
    model.save_pretrained(tmp_path)
    encoder = from_pretrained(tmp_path, variable=Image(3, 32, 32), size=4)
    images = torch.rand(4, 3, 32, 32)
    state = torch.random.get_rng_state()
    features = encoder.pooled(images)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert encoder.basis.shape == (features.shape[1], 4)
    assert torch.equal(encoder.pooled(images), features)
    assert torch.allclose(encoder.pooled(images[2:3]), features[2:3], atol=1e-5)


def test_a_model_that_gives_no_features_is_refused(tmp_path: Path) -> None:
    config = transformers.MobileViTV2Config(image_size=32, width_multiplier=0.25)
    transformers.MobileViTV2Model(config).save_pretrained(tmp_path)
    with pytest.raises(MechanismError, match="no features of a first image"):
        from_pretrained(tmp_path, variable=Image(3, 8, 8), size=4)
