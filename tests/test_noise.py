"""A row's noise is a function of seed, name and row number."""

import pytest
import torch
from safetensors.torch import save_file

from causalplug.errors import SamplingError
from causalplug.noise import Noise, NoiseSpec

SPECS = [
    NoiseSpec(),
    NoiseSpec((3,)),
    NoiseSpec((5,), "gumbel"),
    NoiseSpec((2, 4), "uniform"),
    NoiseSpec((20_000,)),
]


@pytest.mark.parametrize("spec", SPECS)
def test_rows_do_not_depend_on_how_many_are_drawn(spec):
    n = 40 if spec.shape == (20_000,) else 40_000
    whole = Noise(n, seed=3).draw("V", spec)
    chosen = torch.tensor([n - 1, 0, 7, 7])
    assert torch.equal(Noise(chosen, seed=3).draw("V", spec), whole[chosen])
    assert torch.equal(Noise(9, seed=3).draw("V", spec), whole[:9])
    assert torch.equal(
        torch.cat([part.draw("V", spec) for part in Noise(n, seed=3).chunks(n // 3)]), whole
    )


def test_names_and_seeds_give_different_numbers():
    spec = NoiseSpec((4,))
    drawn = [Noise(8, seed).draw(key, spec) for seed, key in ((0, "A"), (1, "A"), (0, "B"))]
    assert not any(torch.equal(a, b) for a, b in zip(drawn, drawn[1:] + drawn[:1], strict=True))


@pytest.mark.parametrize(
    ("kind", "mean", "deviation"),
    [("normal", 0, 1), ("uniform", 0.5, 12**-0.5), ("gumbel", 0.57722, 1.28255)],
)
def test_distributions_have_their_moments(kind, mean, deviation):
    drawn = Noise(200_000, seed=0).draw("V", NoiseSpec((), kind))
    assert abs(float(drawn.mean()) - mean) < 5 * deviation / 200_000**0.5
    assert abs(float(drawn.std()) - deviation) < 0.01


def test_selected_rows_keep_their_noise_also_for_what_is_drawn_later():
    noise, spec = Noise(1000, seed=1), NoiseSpec((2,))
    first = noise.draw("A", spec)
    mask = first[:, 0] > 1
    kept = noise.select(mask)
    assert torch.equal(kept.draw("A", spec), first[mask])
    assert torch.equal(kept.draw("B", spec), noise.draw("B", spec)[mask])


def test_fixed_noise_stands_in_place_and_is_selected_and_saved_with_the_rows(tmp_path):
    latent = torch.arange(6.0).view(3, 2)
    noise = Noise(torch.tensor([4, 2, 9]), seed=5).fix({"I/latent": latent})
    assert torch.equal(noise.draw("I/latent", NoiseSpec((2,))), latent)
    noise.save(tmp_path / "noise.safetensors")
    loaded = Noise.load(tmp_path / "noise.safetensors").select(torch.tensor([2, 0]))
    assert torch.equal(loaded.draw("I/latent", NoiseSpec((2,))), latent[[2, 0]])
    assert torch.equal(
        loaded.draw("V", NoiseSpec()), Noise(10, seed=5).draw("V", NoiseSpec())[[9, 4]]
    )


def test_joined_noise_has_the_rows_of_its_parts_and_refuses_two_seeds():
    parts = list(Noise(10, seed=2).chunks(4))
    assert torch.equal(Noise.cat(parts).rows, torch.arange(10))
    with pytest.raises(SamplingError, match="different seeds"):
        Noise.cat([Noise(2, seed=0), Noise(2, seed=1)])


def test_wrong_noise_is_refused(tmp_path):
    with pytest.raises(SamplingError, match="number of rows"):
        Noise(3, fixed={"V": torch.zeros(2)})
    with pytest.raises(SamplingError, match="'cauchy'"):
        NoiseSpec((), "cauchy")


def test_noise_that_cannot_be_made_or_read(tmp_path):
    for n in (-1, 2.5, "3"):
        with pytest.raises(SamplingError, match=r"n=.* cannot be used by Noise"):
            Noise(n)
    (tmp_path / "bad").write_bytes(b"no")
    for name, why in (("missing", "there is no such file"), ("bad", "header")):
        with pytest.raises(SamplingError, match=f"{name} cannot be read: .*{why}"):
            Noise.load(tmp_path / name)


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ({"other": torch.zeros(1)}, {"seed": "1"}),
        ({"rows": torch.zeros(2)}, {"seed": "1"}),
        ({"rows": torch.tensor([-1])}, {"seed": "1"}),
        ({"rows": torch.zeros(2, 2, dtype=torch.int64)}, {"seed": "1"}),
        ({"rows": torch.tensor([1])}, {"seed": "x"}),
        ({"rows": torch.tensor([1])}, {}),
        ({"rows": torch.tensor([1])}, {"seed": "1", "provenance": "{}"}),
        ({"rows": torch.tensor([1])}, {"seed": "1", "provenance": "[1"}),
    ],
)
def test_a_damaged_file_of_noise_is_refused(tmp_path, tensors, metadata):
    path = tmp_path / "noise.safetensors"
    save_file(tensors, path, metadata={"format": "causalplug-noise-1", **metadata})
    with pytest.raises(SamplingError, match="damaged"):
        Noise.load(path)


def test_row_numbers_are_whole():
    with pytest.raises(SamplingError, match="whole numbers"):
        Noise(torch.tensor([0.5, 1.5]))
