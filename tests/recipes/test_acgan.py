"""The AC-GAN of chest X-rays that a recipe trains: what it writes is what it trained."""

import numpy as np
import pytest
import torch

from causalplug.adapters.cxr_acgan import CXRACGAN
from causalplug.errors import DataError
from recipes.cxr.acgan import FILE, Discriminator, Generator, batches, load

CHANNELS = (16, 12, 8, 6)


def test_the_adapter_paints_what_the_trained_generator_paints():
    torch.manual_seed(0)
    network = Generator(CHANNELS)
    for norm in network.norm:  # statistics that are not those of a new layer
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    network.eval()
    uniform, codes = torch.rand(6, 100), torch.arange(6) % 3
    with torch.no_grad():
        expected = network(2 * uniform - 1, codes)
    adapter = CXRACGAN(channels=CHANNELS, tensors=network.tensors())
    (name,) = adapter.generator_noise
    with torch.no_grad():
        painted = adapter.paint(codes, {name: uniform})
    assert (painted - expected).abs().max() < 1e-5
    with torch.no_grad():
        others = adapter.paint((codes + 1) % 3, {name: uniform})
    assert (others - expected).abs().max() > 1e-3  # the label is read


def test_the_published_sizes():
    assert sum(p.numel() for p in Generator().parameters()) == 22_301_316  # trainable, as published
    real, findings = Discriminator()(torch.zeros(2, 3, 112, 112))
    assert real.shape == (2,)
    assert findings.shape == (2, 3)


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
