"""Memory of training on many rows.

    python benchmarks/memory.py [--rows 10000000]

Three binary columns of a front door, int64 in a DataFrame, trained by likelihood. Printed is the
peak of the process above what it had with the rows in memory (Linux), after a small model was
trained, so that imports do not count.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import causalplug as cp

GRAPH = cp.CausalGraph.parse("X -> M -> Y; X <-> Y")


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    fit(table(2000))
    rows = table(asked.rows)
    before, started = status("VmRSS"), time.process_time()
    fit(rows)
    seconds = time.process_time() - started
    print(
        f"{asked.rows:,} rows: {status('VmHWM') - before:,.0f} MB above them, {seconds:.1f} CPU s"
    )


def table(rows: int) -> pd.DataFrame:
    """A front door of binary columns."""
    rng = np.random.default_rng(0)
    hidden = rng.random(rows, dtype=np.float32)
    x = rng.random(rows, dtype=np.float32) < 0.3 + 0.4 * hidden
    m = rng.random(rows, dtype=np.float32) < 0.2 + 0.6 * x
    y = rng.random(rows, dtype=np.float32) < 0.1 + 0.4 * m + 0.4 * hidden
    return pd.DataFrame({"X": x, "M": m, "Y": y}).astype(np.int64)


def fit(rows: pd.DataFrame) -> None:
    """Train a model on them."""
    dcm = cp.DCM(GRAPH, dict.fromkeys("XMY", cp.Discrete(2)))
    cp.fit(dcm, cp.DataSource(rows), progress=False)


def status(field: str) -> float:
    """A figure of this process in MB."""
    text = Path("/proc/self/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
