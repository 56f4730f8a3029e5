"""The AC-GAN of chest X-rays that a recipe trains: what it writes is what it trained."""

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.adapters.cxr_acgan import CXRACGAN, FINDINGS
from causalplug.errors import DataError
from recipes.cxr.acgan import FILE, Discriminator, batches, load, paint, train


def test_the_published_sizes():
    learned = sum(p.numel() for p in CXRACGAN().parameters())
    assert learned == 22_301_316  # those of the generator that can be trained, as published
    real, findings = Discriminator()(torch.zeros(2, 3, 112, 112))
    assert real.shape == (2,)
    assert findings.shape == (2, 3)


def test_what_is_trained_is_what_the_saved_adapter_paints(tmp_path):
    generator = CXRACGAN(channels=(16, 12, 8, 6))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    images = np.random.default_rng(0).integers(0, 256, (9, 112, 112), dtype=np.uint8)
    settings = {"minutes": 5.0, "steps": 2, "batch_size": 4, "seed": 0}
    assert train(generator, images, np.arange(9) % 3, **settings) == 2
    for name, value in generator.state_dict().items():
        assert not torch.equal(value, before[name]), name  # the statistics of the norms as well
    assert not any(p.requires_grad for p in generator.parameters())
    generator.save_pretrained(tmp_path / "saved")
    loaded = cp.from_pretrained(tmp_path / "saved")
    made, again = paint(generator, 3, seed=0), paint(loaded, 3, seed=0)
    assert all((made[name] == again[name]).all() for name in FINDINGS)
    assert abs(made["COVID"] - made["normal"]).max() > 1e-3  # the label is read


def test_batches_show_every_finding_with_its_own_images():
    images = (
        np.repeat(np.array([0, 100, 200], np.uint8), 5)[:, None, None].repeat(4, 1).repeat(4, 2)
    )
    real, codes = next(batches(images, np.repeat(np.arange(3), 5), 60, seed=0))
    assert real.shape == (60, 3, 4, 4)
    assert set(codes.tolist()) == {0, 1, 2}
    assert torch.allclose((real[:, 0, 0, 0] + 1) * 127.5, 100.0 * codes, atol=1e-3)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read as X-rays"):
        load(str(tmp_path))
    images, c, n = np.zeros((4, 112, 112), np.uint8), np.array([1, 0, 0, 1]), np.array([1, 0, 1, 1])
    np.savez(tmp_path / FILE, images=images[:, :64, :64], C=c, N=n)
    with pytest.raises(DataError, match=r"needs \(m, 112, 112\)"):
        load(str(tmp_path))
    np.savez(tmp_path / FILE, images=images, C=c, N=np.ones(4))
    with pytest.raises(DataError, match="no image of the finding 'normal'"):
        load(str(tmp_path))
    np.savez(tmp_path / FILE, images=images, C=c, N=n)
    assert load(str(tmp_path))[1].tolist() == [0, 1, 2, 0]
