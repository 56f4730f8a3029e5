"""One causal question, five kinds of generator: D -> I -> A with D <-> A, and P(A | do(D)) by each
adapter.

    python -m benchmarks.adapters --data ../shared/data  # the table; --only NAME … for rows of it
    python -m benchmarks.adapters --ratio                # what a training step costs
    python -m benchmarks.adapters --inversion            # real images under an intervention

Every row builds a front-door world with exact answers around images of its own, plugs a frozen
generator in for P(I | D) that was made without the world, trains the module of D and A around it,
and compares. ``--ratio`` measures what a training step costs with a diffusion generator behind its
sample bank against a conditional GAN.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage

import causalplug as cp
from causalplug.adapters.callable import CallableGenerator
from causalplug.adapters.conditional_gan import ConditionalGAN
from causalplug.adapters.cxr_acgan import CXRACGAN, FINDINGS
from causalplug.adapters.diffusers import DiffusersGenerator
from causalplug.adapters.image_bank import ImageBank
from causalplug.files.weights import load_tensors
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.networks import initialised
from recipes.diffusion_mediator.pipeline import train_pipeline
from recipes.mnist_frontdoor.data import load_digit_images
from recipes.mnist_frontdoor.scm import P_D1, SHIFT, tvd

SHOWN = np.array([[0.75, 0.25], [0.25, 0.75]])  # P(label | D) where there are two labels


class World:
    """A front-door world over a finite set of labelled images; everything is discrete, so answers
    are exact sums.

        U uniform on 4 values, D | U, label | D by ``shown``, I any image of that label, A | I, U by
        a softmax

    Args:
        images: ``(m, channels, height, width)`` uint8.
        labels: ``(m,)`` integers.
        shown: ``(2, labels)``, P(label | D).
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, shown: np.ndarray = SHOWN):
        self.images, self.shown = images, shown
        self.members = [np.flatnonzero(labels == label) for label in range(shown.shape[1])]
        cells = _cells(images)
        loc, scale = cells.mean(0), cells.std(0) + 0.05
        features = (cells - loc) / scale
        contrast = features[self.members[0]].mean(0) - features[self.members[-1]].mean(0)
        others = np.random.default_rng(912).standard_normal((3, features.shape[1]))
        score = features @ contrast
        logits = np.outer(1.2 * (score - score.mean()) / score.std(), [1.0, -0.3, -0.7])
        random = features @ others.T
        self.logits = logits + 0.4 * (random - random.mean(0)) / random.std(0)

    def sample(self, n: int, seed: int) -> dict[str, np.ndarray]:
        """Rows of D, I and A."""
        rng = np.random.default_rng(seed)
        u = rng.integers(4, size=n)
        d = (rng.random(n) < P_D1[u]).astype(np.int64)
        label = (rng.random(n)[:, None] > self.shown[d].cumsum(1)[:, :-1]).sum(1)
        place = rng.random(n)
        sizes = np.array([len(m) for m in self.members])
        index = np.empty(n, np.int64)
        for value, members in enumerate(self.members):
            rows = label == value
            index[rows] = members[(place[rows] * sizes[value]).astype(int)]
        p = _softmax(self.logits[index] + SHIFT[u])
        return {
            "D": d,
            "I": self.images[index],
            "A": (rng.random(n)[:, None] > p.cumsum(1)[:, :2]).sum(1),
        }

    def answers(self) -> tuple[np.ndarray, np.ndarray]:
        """``(2, 3)`` P(A | do(D)), and P(A | D) as the rows show it."""
        given = np.stack(
            [[_softmax(self.logits[m] + SHIFT[u]).mean(0) for m in self.members] for u in range(4)]
        )
        given_ud = np.einsum("dl,ula->uda", self.shown, given)
        joint = np.einsum("ud,uda->da", np.stack([1 - P_D1, P_D1], 1) / 4, given_ud)
        return given_ud.mean(0), joint / joint.sum(1, keepdims=True)


def _cells(images: np.ndarray) -> np.ndarray:
    """Mean ink ``(m, f)`` in at most 7 x 7 cells of every channel."""
    pooled = torch.nn.functional.adaptive_avg_pool2d(
        torch.from_numpy(images).float() / 255, min(7, images.shape[2])
    )
    return pooled.flatten(1).numpy().astype(np.float64)


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


@dataclass(frozen=True)
class Case:
    """One row of the table: a world, and a generator that was made apart from it."""

    world: World
    generator: FrozenMechanism
    image: cp.Image
    label_map: Any
    rows: int = 12_000
    encoder_steps: int = 600


def third_party_gan(data: Path | None, folder: Path) -> Case:
    """An MLP for all ten digits that somebody else trained, by configuration; real MNIST digits
    in the world."""
    if data is None:
        raise SystemExit(
            "conditional-gan: skipped, its weights lie in the data folder: give --data"
        )
    digits = load_digit_images(data / "mnist")
    layers = []
    for name, before, after in (("net.0", 110, 256), ("net.2", 256, 512), ("net.4", 512, 784)):
        layers += [{"type": "linear", "name": name, "in_features": before, "out_features": after}]
        layers += [
            {"type": "leaky_relu", "negative_slope": 0.2} if after < 784 else {"type": "tanh"}
        ]
    inputs = [
        {"input": "latent"},
        {"input": "digit", "encoding": "embedding", "size": 10, "name": "label_emb"},
    ]
    from safetensors.torch import load_file

    tensors = load_file(data / "pretrained/mnist-cgan-mlp/model.safetensors")
    image = cp.Image(1, 28, 28, low=-1.0, high=1.0)
    generator = ConditionalGAN(
        image, [cp.Label("digit", 10)], 100, layers, inputs=inputs, tensors=tensors
    )
    return Case(
        World(digits.images[:, None], digits.digits), generator, cp.Image(1, 28, 28), "estimate"
    )


def diffusion(data: Path | None, folder: Path) -> Case:
    """A class-conditional pipeline of diffusers, trained on scikit-learn's zeros and ones."""
    images, labels = small_digits()
    train_pipeline(
        images,
        labels,
        folder / "pipeline",
        channels=(32, 64),
        steps=300,
        batch_size=128,
        progress=False,
    )
    generator = DiffusersGenerator.from_pretrained(
        folder / "pipeline", [cp.Label("digit", 2)], steps=10
    )
    return Case(World(images, labels), generator, cp.Image(1, 8, 8), "estimate")


def acgan(data: Path | None, folder: Path) -> Case:
    """The chest X-ray AC-GAN's architecture, narrow, behind a map from 2 values to its 3 findings;
    reduced to 28 x 28.

    Its published weights cannot be had here: they are random, with labels and contrast made strong
    enough to see, and the world's images are this generator's own.
    """
    generator = initialised(lambda: CXRACGAN(channels=(32, 16, 8, 8)), 0)
    weights = generator.weights()
    embedding = 40 * torch.randn(3, 100, generator=torch.Generator().manual_seed(3))
    changed = {"label.embedding.weight": embedding, "conv.3.weight": 60 * weights["conv.3.weight"]}
    with torch.no_grad():
        load_tensors(generator.network, {**weights, **changed}, "memory")
    generator = generator.asked(transform=["rgb-to-grey", "resize"])
    image = cp.Image(1, 28, 28)
    bound = generator.bind("I", image, {"finding": cp.Discrete(list(FINDINGS))})
    noise, label = cp.Noise(900, 7), torch.arange(900) % 3
    painted = [
        bound.paint(
            label[part.rows], {key: part.draw(key, spec) for key, spec in bound.noise.items()}
        )
        for part in noise.chunks(100)
    ]
    images = (torch.cat(painted) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    shown = np.array([[0.15, 0.50, 0.35], [0.80, 0.10, 0.10]])
    table = {d: dict(zip(FINDINGS, shown[d], strict=True)) for d in (0, 1)}
    return Case(World(images, label.numpy(), shown), generator, image, table)


def bank(data: Path | None, folder: Path) -> Case:
    """A folder of pictures, sorted by digit; with --data they are other pictures than the
    world's."""
    if data is not None:
        digits = load_digit_images(data / "mnist")
        world = World(digits.images[:, None], digits.digits)
        pictures, labels = digits.held_out_images, digits.held_out_digits
    else:
        images, labels = small_digits()
        world, pictures = World(images, labels), images[:, 0]
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        place = folder / "pictures" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        PILImage.fromarray(picture).save(place / f"{number}.png")
    generator = ImageBank.from_folder(folder / "pictures")
    return Case(world, generator, cp.Image(*world.images.shape[1:]), "estimate")


def function(data: Path | None, folder: Path) -> Case:
    """A plain Python function: it blends two pictures of the digit asked for."""
    images, labels = small_digits()
    members = [images[labels == k].astype(np.float32) / 255 for k in (0, 1)]

    def paint(label: np.ndarray, latent: np.ndarray) -> np.ndarray:
        out = np.empty((len(label), 1, 8, 8), np.float32)
        for k, pictures in enumerate(members):
            rows = label[:, 0] == k
            first, second = (latent[rows, :2].T * len(pictures)).astype(int)
            share = 0.15 * latent[rows, 2].reshape(-1, 1, 1, 1)
            out[rows] = (1 - share) * pictures[first] + share * pictures[second]
        return out

    image, label = cp.Image(1, 8, 8), [cp.Label("digit", 2)]
    generator = CallableGenerator(paint, image, label, latent_shape=(3,), distribution="uniform")
    return Case(World(images, labels), generator, image, "estimate")


def small_digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's zeros and ones ``(360, 1, 8, 8)`` uint8, and which they are."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    chosen = bundled.target < 2
    return np.round(bundled.images[chosen] * (255 / 16)).astype(np.uint8)[:, None], bundled.target[
        chosen
    ]


CASES: dict[str, Callable[[Path | None, Path], Case]] = {
    "conditional-gan": third_party_gan,
    "diffusers": diffusion,
    "cxr-acgan": acgan,
    "image-bank": bank,
    "callable": function,
}


def model(case: Case, seed: int) -> cp.DCM:
    """The graph with the generator plugged in."""
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    variables = {"D": cp.Discrete(2), "I": case.image, "A": cp.Discrete(3)}
    generator = case.generator.asked(label_map=case.label_map)
    return cp.DCM(graph, variables, mechanisms={"I": generator}, seed=seed)


def run(name: str, data: Path | None, steps: int, seed: int) -> dict[str, Any]:
    """Train and compare one case."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        case = CASES[name](data, Path(folder))
        made = time.process_time()
        rows = case.world.sample(case.rows, seed)
        dcm = model(case, seed)
        config = cp.TrainingConfig(
            objective="adversarial", seed=seed, steps=steps, encoder_steps=case.encoder_steps
        )
        trainer = cp.Trainer(dcm, [cp.DataSource(rows, name="rows")], config=config, progress=False)
        report = trainer.train()
        trained = time.process_time()
        exact, naive = case.world.answers()
        found = {}
        for d in (0, 1):
            drawn = dcm.sample(20_000, do={"D": d}, variables=["A"], seed=seed + 1)["A"]
            found[d] = np.bincount(np.asarray(drawn), minlength=3) / len(drawn)
    return {
        "adapter": name,
        "images": "x".join(map(str, case.image.event_shape)),
        "tvd": [float(tvd(found[d], exact[d])) for d in (0, 1)],
        "naive": [float(tvd(naive[d], exact[d])) for d in (0, 1)],
        "effect": float(tvd(exact[0], exact[1])),
        "objective": "/".join(sorted({module.objective for module in report.modules})),
        "cpu": {"generator": made - start, "training": trained - made},
        "bank": report.seconds.get("banks", 0.0),
    }


def ratio(
    folder: Path, blocks: int = 20, block: int = 25, *, made: int = 100, bank_rows: int = 2000
) -> dict[str, float]:
    """CPU seconds of an adversarial step: GAN called at every step, GAN behind a bank, diffusion
    behind a bank."""
    from causalplug.training.games import game_for
    from causalplug.training.learner import AdversarialLearner
    from causalplug.training.prepare import prepare
    from causalplug.training.processes import Processes

    images, labels = small_digits()
    pictures, columns = (
        torch.from_numpy(images),
        {"digit": (torch.from_numpy(labels), cp.Discrete(2))},
    )
    gan = cp.fit_generator(cp.Image(1, 8, 8), pictures, columns, steps=2 * made, progress=False)
    train_pipeline(
        images, labels, folder / "pipeline", channels=(32, 64), steps=made, progress=False
    )
    flow = DiffusersGenerator.from_pretrained(folder / "pipeline", [cp.Label("digit", 2)], steps=10)
    world, table = World(images, labels), {0: {0: 0.75, 1: 0.25}, 1: {0: 0.25, 1: 0.75}}
    rows = cp.DataSource(world.sample(4000, 0), name="rows")
    learners: dict[str, Any] = {}
    fills: dict[str, float] = {}
    for name, generator in (
        ("GAN at every step", gan),
        ("GAN behind a bank", gan),
        ("diffusion behind a bank", flow),
    ):
        case = Case(world, generator, cp.Image(1, 8, 8), table, encoder_steps=50)
        dcm = model(case, 0)
        config = cp.TrainingConfig(
            objective="adversarial", encoder_steps=50, steps=10_000, bank_rows=bank_rows
        )
        trainer = cp.Trainer(dcm, [rows], config=config, progress=False)
        start = time.process_time()
        prepared = prepare(
            dcm,
            trainer.tables,
            config,
            banks_for={"I": True} if "bank" in name else {},
            device=torch.device("cpu"),
            seconds={},
            progress=False,
            ready=False,
        )
        fills[f"prepare: {name}"] = time.process_time() - start
        module = next(m for m in trainer.plan.modules if m.action != "pull")
        dcm.requires_grad_(False)
        for variable in module.variables:
            dcm.mechanism(variable).requires_grad_(True)
        games = [
            game_for(
                dcm, target, prepared.rows(target.source, "train"), config, banks=prepared.banks
            )
            for target in module.targets
        ]
        alone = Processes(trainer.accelerator, alone=True)
        learners[name] = AdversarialLearner(
            dcm, module.variables, config, games, steps=10_000, processes=alone
        )
    spent: dict[str, list[float]] = {name: [] for name in learners}
    draw = torch.Generator().manual_seed(0)
    for number in range(blocks):
        for name, learner in learners.items():
            start = time.process_time()
            for step in range(block):
                learner.step(number * block + step + 1, draw)
            spent[name].append((time.process_time() - start) / block)
    return {name: float(np.median(values)) for name, values in spent.items()} | fills


def inversion(folder: Path) -> list[dict[str, float]]:
    """Counterfactuals of real images through a diffusion model: how well the noise is recovered,
    and what is shown.

    ``naive`` reads every step's equation backwards with one evaluation instead of solving it.
    """
    from sklearn.svm import SVC

    from causalplug.adapters import diffusers_inversion

    images, labels = small_digits()
    train_pipeline(
        images,
        labels,
        folder / "pipeline",
        channels=(32, 64),
        steps=200,
        batch_size=128,
        progress=False,
    )
    judge = SVC(C=10.0).fit(images.reshape(len(images), -1) / 255, labels)
    graph = cp.CausalGraph.parse("D -> I")
    image = cp.Image(1, 8, 8)
    rounds, rows = diffusers_inversion.ROUNDS, []
    for steps in (4, 10, 25):
        generator = DiffusersGenerator.from_pretrained(
            folder / "pipeline", [cp.Label("digit", 2)], steps=steps
        )
        dcm = cp.DCM(graph, {"D": cp.Discrete(2), "I": image}, mechanisms={"I": generator})
        seen = {"D": labels[:100], "I": images[:100]}
        diffusers_inversion.ROUNDS = 2
        naive = dcm.counterfactual(seen, do={"D": 1 - labels[:100]}, variables=["I"])
        diffusers_inversion.ROUNDS = rounds
        start = time.process_time()
        answer = dcm.counterfactual(seen, do={"D": 1 - labels[:100]}, variables=["I"])
        spent = time.process_time() - start
        shown = judge.predict(np.stack(list(answer["I"])).reshape(100, -1))
        rows.append(
            {
                "steps": steps,
                "error": answer.attrs["reconstruction_error"]["I"],
                "naive": naive.attrs["reconstruction_error"]["I"],
                "shows the other digit": float((shown == 1 - labels[:100]).mean()),
                "CPU s for 100 images": spent,
            }
        )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with mnist/ and pretrained/")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--steps", type=int, default=800, help="updates of the module of D and A")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--ratio", action="store_true", help="measure the cost of a step, nothing else"
    )
    parser.add_argument(
        "--inversion", action="store_true", help="measure the inversion of diffusion, nothing else"
    )
    parser.add_argument("--json", type=Path, help="append the results to this file")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if chosen.ratio:
        with tempfile.TemporaryDirectory() as folder:
            found = ratio(Path(folder))
        for name, value in found.items():
            print(f"{name:34} {1000 * value:10.2f} ms")
        for other in ("GAN at every step", "GAN behind a bank"):
            print(
                f"diffusion behind a bank / {other}: "
                f"{found['diffusion behind a bank'] / found[other]:.2f}"
            )
        return
    if chosen.inversion:
        with tempfile.TemporaryDirectory() as folder:
            for row in inversion(Path(folder)):
                print("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
        return
    print(
        f"{'adapter':16} {'images':>10} {'seed':>4} {'TVD do(0)':>9} {'do(1)':>7} "
        f"{'rows do(0)':>10} {'do(1)':>7} {'objective':>10} {'CPU s':>7}"
    )
    for name in chosen.only:
        for seed in range(chosen.seeds):
            try:
                found = run(name, chosen.data, chosen.steps, seed)
            except SystemExit as skipped:
                print(skipped)
                break
            a, b, c, d = *found["tvd"], *found["naive"]
            print(
                f"{name:16} {found['images']:>10} {seed:>4} {a:9.3f} {b:7.3f} {c:10.3f} {d:7.3f} "
                f"{found['objective']:>10} {sum(found['cpu'].values()):7.0f}",
                flush=True,
            )
            if chosen.json:
                with chosen.json.open("a") as file:
                    file.write(json.dumps({**found, "seed": seed}) + "\n")


if __name__ == "__main__":
    main()
