"""Frozen generators: binding, estimation of the label map from images, the sample bank."""

import pytest
import torch
from torch import Tensor

from causalplug.adapters.callable import CallableGenerator
from causalplug.adapters.image_bank import ImageBank
from causalplug.encoders.encoders import RandomProjection
from causalplug.errors import LabelMapError, MechanismError
from causalplug.mechanisms.frozen.bank import SampleBank
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_map import Label, LabelMap
from causalplug.noise import Noise
from causalplug.variables import Discrete, Image

IMAGE = Image(1, 8, 8)
D = {"D": Discrete(2)}


def bars(n: int, shape: Tensor, seed: int) -> Tensor:
    """Noisy pictures of three shapes: a horizontal bar, a vertical bar, a frame."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 1, 8, 8, generator=generator) * 0.5
    for row in range(n):
        kind, place = int(shape[row]), int(torch.randint(1, 7, (), generator=generator))
        if kind == 0:
            images[row, 0, place] += 0.5
        elif kind == 1:
            images[row, 0, :, place] += 0.5
        else:
            images[row, 0, [0, 7]] += 0.25
            images[row, 0, :, [0, 7]] += 0.25
    return (images * 255).to(torch.uint8)


def generator() -> ImageBank:
    shape = torch.arange(900) % 3
    return ImageBank(
        bars(900, shape, 1), [Label("shape", ["row", "column", "frame"])], shape[:, None]
    )


def test_the_label_map_is_estimated_from_unlabelled_images() -> None:
    truth = torch.tensor([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5]])
    picks = torch.Generator().manual_seed(0)
    d = torch.arange(3000) % 2
    shown = torch.multinomial(truth[d], 1, generator=picks).squeeze(1)
    rows = {"D": d, "I": bars(3000, shown, 2)}
    bound = generator().asked(label_map="estimate").bind("I", IMAGE, D)
    assert bound.label_map_pending
    assert bound.noise["label"].shape == (3,)
    bound.estimate_label_map(rows)
    assert not bound.label_map_pending
    assert float((bound.label_map.probabilities - truth).abs().max()) < 0.04
    # a classifier that is wrong a fifth of the time gives the same proportions
    blunt = torch.Generator().manual_seed(5)
    known = {
        image.numpy().tobytes(): int(label) for image, label in zip(rows["I"], shown, strict=True)
    }
    known |= {
        image.numpy().tobytes(): int(c)
        for image, c in zip(generator().images, generator().codes, strict=True)
    }

    def poor(images: Tensor) -> Tensor:
        keys = (images * 255).round().to(torch.uint8)
        right = torch.tensor([known[key.numpy().tobytes()] for key in keys])
        wrong = torch.rand(len(right), generator=blunt) < 0.2
        return torch.nn.functional.one_hot(torch.where(wrong, (right + 1) % 3, right), 3).float()

    estimate = LabelMap.estimate(classifier=poor, samples=1500, minimum=0.0)
    again = generator().asked(label_map=estimate).bind("I", IMAGE, D).estimate_label_map(rows)
    assert float((again.label_map.probabilities - truth).abs().max()) < 0.06


def test_a_pending_label_map_refuses_to_run_and_needs_its_columns() -> None:
    bound = generator().asked(label_map="estimate").bind("I", IMAGE, D)
    noise = {key: Noise(2).draw(key, spec) for key, spec in bound.noise.items()}
    with pytest.raises(MechanismError, match="still to be estimated"):
        bound({"D": torch.tensor([0, 1])}, noise)
    with pytest.raises(MechanismError, match="still to be estimated"):
        SampleBank(bound)
    with pytest.raises(LabelMapError, match="no column I"):
        bound.estimate_label_map({"D": torch.tensor([0, 1])})


def test_a_binding_survives_json() -> None:
    made = generator().asked(transform="grey-to-rgb")
    bound = made.bind(
        "I", Image(3, 8, 8, low=-1.0), D, {0: {"row": 0.5, "frame": 0.5}, 1: "column"}
    )
    again = made.bind_as("I", bound.binding())
    noise = {key: Noise(5).draw(key, spec) for key, spec in bound.noise.items()}
    parents = {"D": torch.tensor([0, 1, 0, 1, 0])}
    assert torch.equal(bound(parents, noise), again(parents, noise))
    pending = made.bind("I", Image(3, 8, 8), D, "estimate")
    assert made.bind_as("I", pending.binding()).pending == pending.pending


@pytest.mark.parametrize(
    ("names", "shape"), [("resize", (1, 12, 10)), (["grey-to-rgb", "pad"], (3, 10, 12))]
)
def test_named_changes_of_shape(names: str | list[str], shape: tuple[int, int, int]) -> None:
    made, variable = generator(), Image(*shape, low=-1.0)
    with pytest.raises(MechanismError, match="transform="):
        made.bind("I", variable, {"shape": Discrete(3)})
    bound = made.asked(transform=names).bind("I", variable, {"shape": Discrete(3)})
    noise = {key: Noise(4).draw(key, spec) for key, spec in bound.noise.items()}
    painted = bound({"shape": torch.tensor([0, 1, 2, 0])}, noise)
    assert painted.shape == (4, *shape)
    assert -1 <= float(painted.min()) <= float(painted.max()) <= 1
    with pytest.raises(MechanismError, match="not known"):
        made.asked(transform="grey-to-red").bind("I", variable, {"shape": Discrete(3)})


def constant(calls: list[int]) -> FrozenMechanism:
    """Paints its label and its latent into the pixels, and counts its rows."""

    def paint(labels, latent):
        calls.append(len(labels))
        image = (labels[:, 0] / 10 + latent[:, 0] / 20)[:, None, None, None]
        return image.repeat(8, 2).repeat(8, 3).astype("float32")

    return CallableGenerator(
        paint, IMAGE, [Label("digit", 10)], latent_shape=(1,), distribution="uniform"
    )


def test_the_bank_draws_only_labels_that_occur_and_each_once() -> None:
    calls: list[int] = []
    bound = constant(calls).bind("I", IMAGE, D, {0: {3: 0.5, 4: 0.5}, 1: 4})
    bank = SampleBank(bound, rows_per_label=30, batch_size=7, seed=2)
    assert bank.labels.tolist() == [3, 4]
    assert sum(calls) == 60
    other = SampleBank(bound, rows_per_label=30, batch_size=30, seed=2)
    assert torch.equal(bank.images, other.images)
    assert not torch.equal(bank.images, SampleBank(bound, rows_per_label=30, seed=3).images)
    labels, uniform = torch.tensor([3, 4, 3]), torch.tensor([0.0, 0.5, 0.999])
    drawn = bank.draw(labels, uniform)
    assert torch.equal((drawn.amax((1, 2, 3)) * 10 + 1e-3).floor().long(), labels)
    assert torch.equal(drawn[1], IMAGE.scale(bank.images[1, 15]))


def test_bank_samples_follow_the_label_map_and_share_the_latent_over_copies() -> None:
    bound = constant([]).bind("I", IMAGE, D, {0: {3: 0.25, 4: 0.75}, 1: 7})
    encoder = RandomProjection(IMAGE, 1)
    bank = SampleBank(bound, encoder, rows_per_label=50, keep_images=True)
    n = 4000
    parents = {
        "D": torch.cat([torch.zeros(n, dtype=torch.int64), torch.ones(n, dtype=torch.int64)])
    }
    gumbel = Noise(n).draw("label", bound.noise["label"]).repeat(2, 1)
    found = bank.sample(parents, {"label": gumbel}, 2, n, torch.Generator().manual_seed(0))
    table = bank.projections[:, :, 0]
    place = (found[:, 0][:, None, None] == table).nonzero()
    assert len(place) == 2 * n
    shares = torch.bincount(bank.labels[place[:n, 1]], minlength=10) / n
    assert abs(float(shares[3]) - 0.25) < 0.03
    assert set(bank.labels[place[n:, 1]].tolist()) == {7}
    assert torch.equal(place[:n, 2], place[n:, 2])
    hot = torch.nn.functional.one_hot(parents["D"], 2).float().requires_grad_()
    mixed = bank.sample({"D": hot}, {"label": gumbel}, 2, n, torch.Generator().manual_seed(0))
    assert torch.allclose(mixed, found, atol=1e-6)
    mixed.sum().backward()
    assert float(hot.grad.abs().max()) > 0
