"""Whether mechanisms of one shape are better evaluated as one batch, and whether compiling them
pays.

    OMP_NUM_THREADS=1 python benchmarks/vectorising.py             # a minute
    OMP_NUM_THREADS=1 python benchmarks/vectorising.py --compile   # two more

A likelihood step of a c-factor of binary variables, forward and backward: as the engine does it,
one mechanism after another, and with the layers behind the first of all mechanisms that have
equally many parent configurations as one batched product. All are chains of bidirected edges; the
second column says which directed edges there are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

import causalplug as cp
from causalplug.training.factors import (
    Cells,
    ConfounderDraws,
    confounders_of,
    log_mean_exp,
    stacked,
)

GRAPHS = (
    "A <-> B",
    "A <-> B <-> C <-> D",
    "A -> B -> C -> D; A <-> B <-> C <-> D",
    "A -> B -> C -> D -> E -> F; A <-> B <-> C <-> D <-> E <-> F",
)


def batched(cells: Cells) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """:meth:`Cells.log_prob` with one product for the layers that have one shape."""
    groups: dict[int, list[str]] = {}
    for name in cells.variables:
        parents = cells.parents[name]
        groups.setdefault(len(next(iter(parents.values()))) if parents else 1, []).append(name)
    index = {
        rows: torch.stack([cells.index[name] for name in names]).unsqueeze(1)
        for rows, names in groups.items()
    }

    def log_prob(noise: Mapping[str, Tensor]) -> Tensor:
        terms = []
        for rows, names in groups.items():
            networks = [cells.dcm.mechanism(name).network for name in names]
            first = []
            for name, network in zip(names, networks, strict=True):
                read = network.read_confounder(stacked(cells.dcm, name, noise))
                first.append(
                    read
                    if network.read_parents is None
                    else read + network.read_parents(cells.read[name])
                )
            hidden = torch.stack(first).flatten(1, 2)
            for place in range(1, len(networks[0].rest), 2):
                layers = [network.rest[place] for network in networks]
                weight = torch.stack([layer.weight for layer in layers]).transpose(1, 2)
                bias = torch.stack([layer.bias for layer in layers]).unsqueeze(1)
                hidden = torch.baddbmm(bias, F.silu(hidden), weight)
            table = torch.log_softmax(hidden, -1).view(len(names), len(first[0]), -1)
            terms.append(table.gather(2, index[rows].expand(-1, len(first[0]), -1)).sum(0))
        return torch.stack(terms).sum(0)

    return log_prob


def microseconds(
    step: Callable[[Mapping[str, Tensor]], Tensor], noise: Mapping[str, Tensor], times: int
) -> float:
    """CPU time of one step."""
    start = time.process_time()
    for _ in range(times):
        log_mean_exp(step(noise)).sum().backward()
    return (time.process_time() - start) / times * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compile", action="store_true", help="compile the step, too")
    parser.add_argument("--rounds", type=int, default=5, help="of which the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'microseconds':62s} {'engine':>7s} {'batched':>8s} {'ratio':>6s}"
        + "  compiled" * options.compile
    )
    for text in GRAPHS:
        graph = cp.CausalGraph.parse(text)
        names = list(graph.variables)
        dcm = cp.DCM(graph, dict.fromkeys(names, cp.Discrete(2)), seed=0)
        grid = torch.cartesian_prod(*[torch.arange(2)] * len(names))
        cells = Cells(dcm, names, {name: grid[:, place] for place, name in enumerate(names)})
        noise = ConfounderDraws(confounders_of(dcm, names), dcm.confounder_size, 128)(
            torch.Generator().manual_seed(0)
        )
        steps = [cells.log_prob, batched(cells)]
        torch.testing.assert_close(steps[0](noise), steps[1](noise))
        times = [
            min(t)
            for t in zip(
                *[[microseconds(s, noise, 50) for s in steps] for _ in range(options.rounds)],
                strict=True,
            )
        ]
        line = f"{text:62s} {times[0]:7.0f} {times[1]:8.0f} {times[0] / times[1]:6.2f}"
        if options.compile:
            torch.compiler.reset()
            compiled = torch.compile(cells.log_prob)
            start = time.perf_counter()  # compilers are processes of their own
            log_mean_exp(compiled(noise)).sum().backward()
            seconds = time.perf_counter() - start
            line += (
                f"  {min(microseconds(compiled, noise, 50) for _ in range(options.rounds)):.0f} "
                f"after {seconds:.0f} s"
            )
        print(line, flush=True)


if __name__ == "__main__":
    main()
