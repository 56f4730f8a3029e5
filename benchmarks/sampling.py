"""Sampling against the bare forward passes of the same networks, and what an image costs.

    python benchmarks/sampling.py [--rows 200000] [--repeats 5]

The model is the seven-variable graph of the paper's appendix F.7 with untrained networks of the
default size. "Bare" is a hand-written loop over the networks that the answer needs, on the same
noise: once with the drawing of the noise in it, once on noise that lies ready. The image model is a
front-door whose image comes from a frozen network. Times are CPU seconds of one thread, the best of
several runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from causalplug.dcm import DCM
from causalplug.graphs.graph import CausalGraph
from causalplug.mechanisms.base import Mechanism
from causalplug.noise import Noise, NoiseSpec
from causalplug.sampling.accept import LARGE
from causalplug.variables import Discrete, Image

SEVEN = "X0 -> W0; X0, X1, X2 -> W1; W0, W1 -> Y0; W1 -> Y1; X0 <-> Y0; X1 <-> X2; X2 <-> Y1"


class Painter(Mechanism):
    """A frozen image generator of some size that counts its calls, its rows and its own seconds."""

    frozen, accepts_confounder = True, False

    def __init__(self, variable: Image, parents: tuple[str, ...]):
        super().__init__()
        self.variable, self.parents = variable, parents
        self.noise = {"latent": NoiseSpec((64,))}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = torch.nn.Sequential(
                torch.nn.Linear(66, 64 * 8 * 8),
                torch.nn.Unflatten(1, (64, 8, 8)),
                torch.nn.Upsample(scale_factor=2),
                torch.nn.Conv2d(64, 32, 3, padding=1),
                torch.nn.SiLU(),
                torch.nn.Upsample(scale_factor=2),
                torch.nn.Conv2d(32, 3, 3, padding=1),
                torch.nn.Sigmoid(),
            )
        self.reset()

    def reset(self) -> None:
        """Forget the calls so far."""
        self.calls = self.rows = 0
        self.seconds = 0.0

    def forward(self, parents, noise, confounder=None):  # type: ignore[no-untyped-def]
        started = time.process_time()
        codes = [Discrete(2).features(parents[name]) for name in self.parents]
        images = self.network(torch.cat([noise["latent"], *codes], -1))
        self.calls, self.rows = self.calls + 1, self.rows + len(images)
        self.seconds += time.process_time() - started
        return images


def bare(dcm: DCM, names: list[str], do: dict[str, int], noise: Noise) -> dict[str, torch.Tensor]:
    """The networks of ``names`` in order, on the noise."""
    values = {name: torch.full((len(noise),), code) for name, code in do.items()}
    with torch.no_grad():
        for name in dcm.graph.topological_order():
            if name in names and name not in do:
                mechanism = dcm.mechanism(name)
                parents = {parent: values[parent] for parent in mechanism.parents}
                values[name] = mechanism(
                    parents, dcm.own_noise(name, noise), dcm.confounder(name, noise)
                )
    return values


def best(work: Callable[[], object], repeats: int) -> float:
    """The shortest of several runs, in CPU seconds, which other programs on the machine do not
    change."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def discrete(rows: int, repeats: int) -> None:
    """Rows per second of the three layers."""
    graph = CausalGraph.parse(SEVEN)
    dcm = DCM(graph, {name: Discrete(2) for name in graph.variables}, seed=0)
    everything = list(graph.variables)

    def chunks() -> list[Noise]:
        return [Noise(torch.arange(a, min(a + LARGE, rows)), 0) for a in range(0, rows, LARGE)]

    print(
        f"{'':34}{'rows/s':>12}{'bare rows/s':>14}{'ratio':>8}{'bare, noise ready':>20}{'ratio':>8}"
    )
    for label, do, asked in [
        ("layer 1: P(V)", {}, everything),
        ("layer 2: P(V | do(X1=1))", {"X1": 1}, everything),
    ]:
        ready = chunks()
        for noise in ready:
            bare(dcm, asked, do, noise)

        mine = best(lambda do=do, asked=asked: dcm.sample(rows, do=do, variables=asked), repeats)
        hand = best(
            lambda do=do, asked=asked: [bare(dcm, asked, do, noise) for noise in chunks()], repeats
        )
        lying = best(
            lambda do=do, asked=asked, r=ready: [bare(dcm, asked, do, noise) for noise in r],
            repeats,
        )
        print(
            f"{label:34}{rows / mine:12,.0f}{rows / hand:14,.0f}{hand / mine:8.2f}"
            f"{rows / lying:20,.0f}{lying / mine:8.2f}"
        )

    evidence, action = {"Y1": 1, "X0": 0}, {"X0": 1}
    frame = dcm.counterfactual(rows, evidence=evidence, do=action, variables=["Y0"])
    tried = frame.attrs["candidates"]

    def by_hand() -> None:
        for a in range(0, tried, LARGE):
            noise = Noise(torch.arange(a, min(a + LARGE, tried)), 0)
            seen = bare(dcm, ["X0", "X1", "X2", "W1", "Y1"], {}, noise)
            kept = ((seen["Y1"] == 1) & (seen["X0"] == 0)).nonzero().squeeze(-1)
            bare(dcm, ["W0", "W1", "X1", "X2", "Y0"], action, noise.select(kept))

    mine = best(
        lambda: dcm.counterfactual(rows, evidence=evidence, do=action, variables=["Y0"]), repeats
    )
    hand = best(by_hand, repeats)
    label = "layer 3: P(Y0_{X0=1} | X0=0, Y1=1)"
    print(
        f"{label:34}{rows / mine:12,.0f}{rows / hand:14,.0f}{hand / mine:8.2f}   "
        f"({rows / tried:.0%} of {tried:,} kept)"
    )


def images(repeats: int) -> None:
    """What an image query costs beside the generator's own time, and what a query without images
    costs."""
    graph = CausalGraph.parse("D -> I -> A; D <-> A; D -> B")
    variables = {"D": Discrete(2), "I": Image(3, 32, 32), "A": Discrete(3), "B": Discrete(2)}
    painter = Painter(variables["I"], ("D",))  # type: ignore[arg-type]
    dcm = DCM(graph, variables, mechanisms={"I": painter}, seed=0)
    for label, work, kept in [
        (
            "P(I | do(D=1)), 2,048 rows",
            lambda: dcm.sample(2048, do={"D": 1}, variables=["I"]),
            2048,
        ),
        (
            "P(I | B=1), 2,048 rows kept",
            lambda: dcm.sample(2048, given={"B": 1}, variables=["I"]),
            2048,
        ),
        (
            "P(I_{D=1} | D=0, B=1), 1,024 rows",
            lambda: dcm.counterfactual(
                1024, evidence={"D": 0, "B": 1}, do={"D": 1}, variables=["I"]
            ),
            1024,
        ),
        (
            "P(B | do(D=1)), 20,000 rows",
            lambda: dcm.sample(20_000, do={"D": 1}, variables=["B"]),
            0,
        ),
    ]:
        ratios = []
        for _ in range(repeats):
            painter.reset()
            started = time.process_time()
            work()
            seconds = time.process_time() - started
            if painter.rows != kept:
                raise SystemExit(f"{label}: {painter.rows} rows rendered in place of {kept}")
            ratios.append((seconds / painter.seconds if painter.seconds else float("nan"), seconds))
        ratio, seconds = min(ratios)
        cost = f"{ratio:.3f} x the generator's own time" if kept else "no time in the generator"
        print(
            f"{label:36}{painter.calls:3} calls, {painter.rows:5} rows rendered, {seconds:.2f} s, "
            f"{cost}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    discrete(options.rows, options.repeats)
    print()
    images(options.repeats)


if __name__ == "__main__":
    main()
