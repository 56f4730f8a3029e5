"""Front-door answers through a frozen generator of every family: X -> I -> Y with X <-> Y.

    python -m benchmarks.front_door                 # the table; --only flux for rows of it
    python -m benchmarks.front_door --overhead      # an image by the adapter over one without it
    python -m benchmarks.front_door --slow 1.0      # time to the first answer, a second an image

The generators are made on the spot: tiny networks of each family whose weights are set, or scaled,
so that the label can be seen in every image (a judge that knows the mean image of each label says
how often; it is right for all of them). What a hidden coin does to X and Y is known, so that
P(Y=1 | do(X)) is a sum over the labels and the coin. The module of X and Y is trained on rows with
images of the generator, and both answers go through the sample bank.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import causalplug as cp
from benchmarks.front_door_generators import FAMILIES, Made
from causalplug.mechanisms.frozen.generator import FrozenMechanism

COIN = 0.4  # P(U=1)
P_X1 = np.array([0.2, 0.8])  # P(X=1 | U)
P_LABEL1 = np.array([0.2, 0.7])  # P(label=1 | X)
P_Y1 = np.array([[0.1, 0.5], [0.6, 0.9]])  # P(Y=1 | label, U)
POOL = 250  # images of each label among which the rows choose


def truth(x: int) -> float:
    """P(Y=1 | do(X=x)), by summation over label and coin."""
    labels = np.array([1 - P_LABEL1[x], P_LABEL1[x]])
    coin = np.array([1 - COIN, COIN])
    return float(labels @ P_Y1 @ coin)


def pool(generator: FrozenMechanism, size: int = POOL, seed: int = 5) -> Tensor:
    """Images ``(2, size, channels, height, width)`` of both labels."""
    images = []
    for label in range(2):
        seeds = torch.Generator().manual_seed(seed + label)
        noise = {key: spec.draw(size, seeds) for key, spec in generator.generator_noise.items()}
        images.append(generator.paint(torch.full((size,), label), noise))
    return torch.stack(images)


def judged(images: Tensor) -> float:
    """How often the nearer of two mean images tells the label of images that it has not seen."""
    seen, unseen = images.flatten(2).chunk(2, 1)
    means = seen.mean(1)
    right = []
    for label in range(2):
        distances = torch.cdist(unseen[label], means)
        right.append((distances.argmin(1) == label).float().mean())
    return float(torch.stack(right).mean())


def rows(images: Tensor, n: int, seed: int) -> dict[str, np.ndarray]:
    """Rows of X, I and Y."""
    rng = np.random.default_rng(seed)
    coin = (rng.random(n) < COIN).astype(int)
    x = (rng.random(n) < P_X1[coin]).astype(int)
    label = (rng.random(n) < P_LABEL1[x]).astype(int)
    y = (rng.random(n) < P_Y1[label, coin]).astype(int)
    place = rng.integers(images.shape[1], size=n)
    return {"X": x, "I": images.numpy()[label, place], "Y": y}


def model(generator: FrozenMechanism, image: cp.Image, seed: int = 0) -> cp.DCM:
    """The graph with the generator plugged in behind a label map that draws its label."""
    variables = {"X": cp.Discrete(2), "I": image, "Y": cp.Discrete(2)}
    (label,) = generator.labels
    zero, one = label.categories
    table = {x: {zero: 1 - P_LABEL1[x], one: P_LABEL1[x]} for x in range(2)}
    graph = cp.CausalGraph.parse("X -> I -> Y; X <-> Y")
    return cp.DCM(graph, variables, mechanisms={"I": generator.asked(label_map=table)}, seed=seed)


@dataclass(frozen=True)
class Answer:
    """What came of one family.

    Attributes:
        family: Which.
        kind: Kind of the adapter.
        shape: Shape of its images.
        seen: How often the judge is right.
        answers, exact: P(Y=1 | do(X=0)) and P(Y=1 | do(X=1)).
        low, high: Their intervals.
        naive: P(Y=1 | X) of the rows.
        painted, reused: Images painted for each answer, and read again from the one before.
        seconds: CPU seconds of training and of the two answers.
    """

    family: str
    kind: str
    shape: tuple[int, ...]
    seen: float
    answers: tuple[float, float]
    exact: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]
    naive: tuple[float, float]
    painted: tuple[int, int]
    reused: tuple[int, int]
    seconds: tuple[float, float]

    @property
    def error(self) -> float:
        """The larger of the two errors."""
        pairs = zip(self.answers, self.exact, strict=True)
        return max(abs(answer - exact) for answer, exact in pairs)

    def lines(self) -> str:
        """Two lines of the table."""
        shape = "x".join(map(str, self.shape))
        text = f"{self.family} ({self.kind}, {shape}); judge right {self.seen:.1%}\n"
        for x in range(2):
            text += (
                f"  P(Y=1 | do(X={x})): {self.answers[x]:.3f} [{self.low[x]:.3f}, "
                f"{self.high[x]:.3f}], exact {self.exact[x]:.3f}, P(Y=1 | X={x}) "
                f"{self.naive[x]:.3f}, {self.painted[x]:,} images painted, "
                f"{self.reused[x]:,} read again\n"
            )
        return text + f"  CPU s: training {self.seconds[0]:.1f}, answers {self.seconds[1]:.1f}"


def answer(
    made: Made, *, n: int = 4000, steps: int = 300, encoder_steps: int = 600, seed: int = 0
) -> Answer:
    """Train around one generator and ask both questions."""
    images = pool(made.generator)
    table = rows(images, n, seed)
    dcm = model(made.generator, made.generator.image, seed)
    config = cp.TrainingConfig(
        objective="likelihood",
        steps=steps,
        encoder_steps=encoder_steps,
        seed=seed,
        check_fit=False,
    )
    started = time.process_time()
    cp.Trainer(dcm, [cp.DataSource(table)], config=config, progress=False).train()
    trained = time.process_time()
    found = [dcm.estimate(f"P(Y=1 | do(X={x}))", seed=seed) for x in range(2)]
    asked = time.process_time()
    intervals = [one.table.iloc[0] for one in found]
    return Answer(
        made.name,
        made.generator.kind,
        made.generator.image.event_shape,
        judged(images),
        _pair([one.value for one in found]),
        _pair([truth(x) for x in range(2)]),
        _pair([row["low"] for row in intervals]),
        _pair([row["high"] for row in intervals]),
        _pair([table["Y"][table["X"] == x].mean() for x in range(2)]),
        (found[0].images_painted, found[1].images_painted),
        (found[0].images_reused, found[1].images_reused),
        (trained - started, asked - trained),
    )


def _pair(values: list[Any]) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)


# -- what an adapter costs


def overhead(made: Made, *, images: int = 500, repeats: int = 7) -> float:
    """CPU time of images through the bound mechanism, over that of the network called by hand.

    The smaller of the repeats of either, in turns, because other work on the machine only adds.
    """
    generator = made.generator
    bound = generator.bind("I", generator.image, {generator.labels[0].name: cp.Discrete(2)})
    codes = torch.arange(images) % 2
    seeds = torch.Generator().manual_seed(1)
    noise = {key: spec.draw(images, seeds) for key, spec in generator.generator_noise.items()}
    parents = {generator.labels[0].name: codes}
    bare = made.bare(codes, noise)
    with torch.no_grad():
        difference = float((bound(parents, noise) - bare()).abs().max())
    if difference > 1e-4:
        raise ValueError(f"the bare generator paints other images, by {difference:.2g}")
    times: dict[str, list[float]] = {"adapter": [], "bare": []}
    for _ in range(repeats):
        times["bare"].append(_seconds(bare))
        times["adapter"].append(_seconds(lambda: bound(parents, noise)))
    return min(times["adapter"]) / min(times["bare"])


def _seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    with torch.no_grad():
        run()
    return time.process_time() - started


# -- a slow generator


def slow(seconds: float, *, n: int = 1000, steps: int = 100) -> Mapping[str, float]:
    """Wall time to the answers of a generator that sleeps for every image.

    Args:
        seconds: Sleep of one image.
        n: Rows.
        steps: Steps of training.
    """
    made = FAMILIES["gan"](Path())
    images = pool(made.generator, 40)
    table = rows(images, n, 0)
    calls = []

    def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
        calls.append(len(labels))
        time.sleep(seconds * len(labels))
        noise = {"latent": torch.from_numpy(latent)}
        painted = made.generator.generate(torch.from_numpy(labels), noise)
        return painted.numpy()

    generator = cp.adapters.CallableGenerator(
        paint,
        made.generator.image,
        made.generator.labels,
        latent_shape=(8,),
        batch_cost=64 * seconds,
        revision="1",
    )
    dcm = model(generator, generator.image)
    started = time.perf_counter()
    config = cp.TrainingConfig(objective="likelihood", steps=steps, check_fit=False)
    cp.Trainer(dcm, [cp.DataSource(table)], config=config, progress=False).train()
    found = {"training, s": time.perf_counter() - started, "images": float(sum(calls))}
    for x in range(2):
        calls.clear()
        began = time.perf_counter()
        told = dcm.estimate(f"P(Y=1 | do(X={x}))")
        found[f"answer {x + 1}, s"] = time.perf_counter() - began
        found[f"answer {x + 1}, images"] = float(sum(calls))
        found[f"answer {x + 1}, error"] = abs(told.value - truth(x))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(FAMILIES), help="families")
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--slow", type=float, metavar="SECONDS")
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if arguments.slow is not None:
        for name, value in slow(arguments.slow).items():
            print(f"{name}: {value:.4g}")
        return
    for name in arguments.only or list(FAMILIES):
        with tempfile.TemporaryDirectory() as folder:
            made = FAMILIES[name](Path(folder))
            if arguments.overhead:
                print(f"{made.name}: {overhead(made):.3f}", flush=True)
            else:
                print(answer(made, steps=arguments.steps).lines(), flush=True)


if __name__ == "__main__":
    main()
