"""Memory and time of binding a generator to many binary labels, and of a step of training through
it: in proportion to the labels, not to their combinations.

    python benchmarks/many_conditions.py [--labels 12 20 30 40]

Every number of labels is measured in a process of its own, after two labels were, so that imports
do not count. The memory is the peak of the process above what it held before (Linux).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import causalplug as cp
from causalplug.networks import initialised

_STEPS, _FEW = 40, 10  # of the longer and of the shorter run, whose difference is measured
_ROWS = 500


class Painter(nn.Module):
    """Pixels from many labels and a latent."""

    def __init__(self, count: int):
        super().__init__()
        self.read = nn.Linear(count + 2, 64)

    def forward(self, latent: Tensor, *labels: Tensor) -> Tensor:
        """Images ``(n, 1, 8, 8)`` in [0, 1]."""
        given = torch.stack([label.float() for label in labels], 1)
        return torch.sigmoid(self.read(torch.cat([latent, given], 1))).view(-1, 1, 8, 8)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, nargs="+", default=[12, 20, 30, 40])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is not None:
        print(json.dumps(measured(chosen.one)))
        return
    print("| labels | combinations | binding ms | binding MiB | step ms | training MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in chosen.labels:
        command = [sys.executable, __file__, "--one", str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {count} | {2.0**count:.1e} | {found['binding_ms']:.1f} | "
            f"{found['binding_mib']:.1f} | {found['step_ms']:.1f} | {found['training_mib']:.0f} |"
        )


def measured(count: int) -> dict[str, float]:
    """CPU time and peak memory for one number of labels, the first use of everything apart."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # a few steps do not converge
    _trained(_model(2), _FEW)
    held = _held_anew()
    start = time.process_time()
    dcm = _model(count)
    binding = time.process_time() - start
    bound = _peak()
    held_then = _held_anew()
    few, many = _trained(dcm, _FEW), _trained(_model(count), _STEPS)
    return {
        "binding_ms": 1e3 * binding,
        "binding_mib": bound - held,
        "step_ms": 1e3 * (many - few) / (_STEPS - _FEW),
        "training_mib": _peak() - held_then,
    }


def _held_anew() -> float:
    """What the process holds in MiB; its peak is counted from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> float:
    """Peak of the process in MiB, since the last call of :func:`_held_anew`."""
    return _status("VmHWM")


def _status(entry: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(entry):
            return float(line.split()[1]) / 1024
    raise RuntimeError(f"This system does not tell {entry}.")


def _model(count: int) -> cp.DCM:
    """x00, x01, … -> I -> A, with a hidden cause of x00 and A."""
    names = [f"x{place:02}" for place in range(count)]
    network = initialised(lambda: Painter(count), 0)
    conditions = [cp.Condition(name, cp.Discrete([0, 1])) for name in names]
    painter = cp.wrap(network, cp.Image(1, 8, 8), conditions=conditions, latent=2)
    graph = cp.CausalGraph.from_edges(
        directed=[*((name, "I") for name in names), ("I", "A")], bidirected=[(names[0], "A")]
    )
    variables: dict[str, cp.Variable] = dict.fromkeys(names, cp.Discrete([1, 0]))
    variables |= {"I": cp.Image(1, 8, 8), "A": cp.Discrete(2)}
    return cp.DCM(graph, variables, mechanisms={"I": painter})


def _trained(dcm: cp.DCM, steps: int) -> float:
    """CPU seconds of training the module {x00, A} through the image, other modules by a step."""
    rng = np.random.default_rng(0)
    rows = {name: rng.integers(2, size=_ROWS) for name in dcm.graph.variables if name != "I"}
    rows["I"] = rng.random((_ROWS, 1, 8, 8)).astype(np.float32)
    start = time.process_time()
    cp.fit(
        dcm,
        cp.DataSource(rows),
        objective={"x00+A": "adversarial"},
        queries="P(A | do(x00=1))",
        steps=steps,
        encoder_steps=2,
        check_fit=False,
        check_graph=False,
        check_overlap=False,
        progress=False,
    )
    return time.process_time() - start


if __name__ == "__main__":
    main()
