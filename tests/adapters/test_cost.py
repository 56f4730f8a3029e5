"""A training step does not cost more because the generator is a diffusion model: its samples lie
in a bank."""

import pytest

from benchmarks.adapters import ratio

pytest.importorskip("diffusers")


@pytest.mark.filterwarnings("ignore")  # of diffusers' own making
def test_steps_behind_a_bank_of_a_diffusion_model(tmp_path) -> None:
    found = ratio(tmp_path, blocks=7, block=4, made=3, bank_rows=50)
    assert found["diffusion behind a bank"] < 1.5 * found["GAN behind a bank"], found
