"""Gradient estimators for the discrete parents of a frozen generator, against the exact gradient.

    python -m benchmarks.gradients    # bias, variance and cost; --train also the TVD of each

The model is the front door D -> I -> A with D <-> A, whose image comes from a generator of finitely
many pictures. The gradient of the expected score of a fixed critic is then a finite sum over D,
label, picture and A, and an integral over the confounder's two normal numbers, which a
Gauss-Hermite rule gives to seven digits. Estimators are those of ``TrainingConfig(gradient=…)`` as
training runs them, and ``none``: straight-through, but cut at the generator.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

import causalplug as cp
from benchmarks.adapters import SHOWN, World, small_digits
from causalplug.adapters.image_bank import ImageBank
from causalplug.encoders.encoders import PCAEncoder
from causalplug.mechanisms.frozen.bank import SampleBank
from causalplug.training.adversarial import RowGame
from causalplug.training.prepare import prepare
from recipes.mnist_frontdoor.scm import tvd

ESTIMATORS = ("enumerate", "rloo", "straight-through", "none")
MOST = dict.fromkeys(ESTIMATORS, 64) | {
    "rloo": 8
}  # eight copies a row: none of the variables is enumerated besides
TABLE = {d: {label: float(SHOWN[d, label]) for label in (0, 1)} for d in (0, 1)}
IMAGE = cp.Image(1, 8, 8)


def model(
    seed: int, encoder_size: int = 4, hidden: tuple[int, ...] = (16, 16)
) -> tuple[cp.DCM, World]:
    """The front door with a folder of pictures as generator, and its world."""
    images, labels = small_digits()
    world = World(images, labels)
    bank = ImageBank(
        torch.from_numpy(images),
        [cp.Label("digit", 2)],
        torch.from_numpy(labels)[:, None],
        image=IMAGE,
    )
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    dcm = cp.DCM(
        graph,
        {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(3)},
        mechanisms={"I": bank.asked(label_map=TABLE)},
        encoders={"I": PCAEncoder(IMAGE, encoder_size).fit(torch.from_numpy(images))},
        hidden=hidden,
        seed=seed,
    )
    return dcm, world


def game(dcm: cp.DCM, world: World, gradient: str, bank_rows: int) -> RowGame:
    """The module {D, A} against its only target, with the estimator asked for."""
    config = cp.TrainingConfig(
        objective="adversarial",
        gradient="straight-through" if gradient == "none" else gradient,
        max_enumeration=MOST[gradient],
        bank_rows=bank_rows,
        critic_hidden=(16, 16),
    )
    trainer = cp.Trainer(
        dcm, [cp.DataSource(world.sample(2000, 0), name="rows")], config=config, progress=False
    )
    prepared = prepare(
        dcm,
        trainer.tables,
        config,
        banks_for={"I": True},
        device=torch.device("cpu"),
        seconds={},
        progress=False,
        ready=False,
    )
    module = next(m for m in trainer.plan.modules if m.action != "pull")
    for name in module.variables:
        dcm.mechanism(name).requires_grad_(True)
    (target,) = module.targets
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return RowGame(
            dcm, target, prepared.rows(target.source, "train"), config, banks=prepared.banks
        )


def parameters(dcm: cp.DCM) -> list[Tensor]:
    """What is trained."""
    return [p for name in ("D", "A") for p in dcm.mechanism(name).parameters()]


def exact(dcm: cp.DCM, of: RowGame, nodes: int = 40) -> Tensor:
    """The gradient of minus the expected score, by summing and integrating over everything."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = torch.tensor(
        np.stack(np.meshgrid(points, points), -1).reshape(-1, 1, 2), dtype=torch.float32
    )
    weight = torch.tensor(
        np.outer(weights, weights).ravel() / weights.sum() ** 2, dtype=torch.float32
    )
    bank = of.roller.banks["I"]
    assert bank.projections is not None
    labels, rows, size = bank.projections.shape
    projections = bank.projections.reshape(-1, size)
    pi_d = dcm.mechanism("D").logits({}, grid).softmax(-1)[:, 0]  # (s, d)
    pi_a = dcm.mechanism("A").logits({"I": projections}, grid).softmax(-1)  # (s, picture, a)
    together = torch.einsum("s,sd,spa->dpa", weight, pi_d, pi_a)
    d, picture, a = (
        x.reshape(-1) for x in torch.meshgrid(*map(torch.arange, together.shape), indexing="ij")
    )
    with torch.no_grad():
        scores = of.critic(of.reads({"D": d, "I": projections[picture], "A": a})).view_as(together)
    shown = (
        torch.tensor(SHOWN, dtype=torch.float32).repeat_interleave(rows, 1) / rows
    )  # (d, picture)
    assert shown.shape[1] == labels * rows
    return _flat(-(together * shown.unsqueeze(-1) * scores).sum(), parameters(dcm))


def _flat(loss: Tensor, of: list[Tensor]) -> Tensor:
    found = torch.autograd.grad(loss, of, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(p) if g is None else g).flatten()
            for p, g in zip(of, found, strict=True)
        ]
    )


@contextmanager
def blind(yes: bool) -> Iterator[None]:
    """No gradient passes from a bank's images to the parents, if ``yes``."""
    sample = SampleBank.sample

    def cut(self: SampleBank, parents: dict, *rest: object) -> Tensor:
        codes = {name: v.argmax(-1) if v.is_floating_point() else v for name, v in parents.items()}
        return sample(self, codes, *rest)  # type: ignore[arg-type]

    SampleBank.sample = cut if yes else sample  # type: ignore[method-assign]
    try:
        yield
    finally:
        SampleBank.sample = sample  # type: ignore[method-assign]


def compare(repeats: int, temperature: float) -> dict[str, dict[str, float]]:
    """Bias and deviation relative to the exact gradient's length, and CPU milliseconds of one
    estimate."""
    found = {}
    for name in ESTIMATORS:
        dcm, world = model(seed=3)
        of = game(dcm, world, name, bank_rows=20)
        truth = exact(dcm, of)
        draw, of_what = torch.Generator().manual_seed(1), parameters(dcm)
        with blind(name == "none"):
            start = time.process_time()
            rows = torch.stack(
                [_flat(of.generator_loss(draw, temperature), of_what) for _ in range(repeats)]
            )
            spent = (time.process_time() - start) / repeats
        length, spread = truth.norm(), rows.var(0).sum()
        found[name] = {
            "bias": float((rows.mean(0) - truth).norm() / length),
            "chance": float((spread / repeats).sqrt() / length),
            "deviation": float(spread.sqrt() / length),
            "ms": 1000 * spent,
        }
    return found


def reached(name: str, steps: int, seed: int) -> tuple[float, float]:
    """Larger TVD of P(A | do(D)) and CPU seconds after training with an estimator."""
    dcm, world = model(seed, encoder_size=16, hidden=(64, 64))
    gradient = "straight-through" if name == "none" else name
    start = time.process_time()
    with blind(name == "none"):
        cp.fit(
            dcm,
            cp.DataSource(world.sample(12_000, seed), name="rows"),
            seed=seed,
            objective="adversarial",
            gradient=gradient,
            max_enumeration=MOST[name],
            steps=steps,
            progress=False,
            check_fit=False,
        )
    spent = time.process_time() - start
    truth, _ = world.answers()
    drawn = [dcm.sample(20_000, do={"D": d}, variables=["A"], seed=seed + 1)["A"] for d in (0, 1)]
    shares = [np.bincount(np.asarray(values), minlength=3) / len(values) for values in drawn]
    return max(float(tvd(share, truth[d])) for d, share in enumerate(shares)), spent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument(
        "--temperature", type=float, default=0.5, help="of the straight-through estimators"
    )
    parser.add_argument(
        "--train", nargs="*", choices=ESTIMATORS, help="train with these too; all, if none is named"
    )
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'estimator':18} {'bias':>8} {'(chance)':>9} {'deviation':>10} {'CPU ms':>8}")
    for name, row in compare(chosen.repeats, chosen.temperature).items():
        print(
            f"{name:18} {row['bias']:8.3f} {row['chance']:9.3f} {row['deviation']:10.3f} "
            f"{row['ms']:8.2f}"
        )
    if chosen.train is not None:
        print(f"\n{'estimator':18} {'larger TVD of P(A | do(D)), by seed':40} {'CPU s':>7}")
        for name in chosen.train or ESTIMATORS:
            results = [reached(name, chosen.steps, seed) for seed in range(chosen.seeds)]
            shown = "  ".join(f"{distance:.3f}" for distance, _ in results)
            print(
                f"{name:18} {shown:40} {np.mean([spent for _, spent in results]):7.1f}", flush=True
            )


if __name__ == "__main__":
    main()
