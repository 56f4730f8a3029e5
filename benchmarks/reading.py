"""Reading tables: rows per second and memory beside pandas and pyarrow on the same files.

    python benchmarks/reading.py              # 10 million rows, a few minutes
    python benchmarks/reading.py --rows 1000000

One table of a binary column, a column of three words and a column of numbers, as CSV and as
Parquet. Every reader runs in a process of its own and ends with the three columns in memory: ours
as tensors (codes and floats), pandas as a DataFrame, pyarrow as a Table. Time is CPU time (all
threads) and wall time of the reading alone, without imports; memory is the peak of the process
above what it had before (Linux). The last column is our CPU time over that of the faster of the
other two.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

READERS = ("causalplug", "pandas", "pyarrow")
FILES = ("rows.csv", "rows.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=2, help="The fastest of so many counts.")
    parser.add_argument("--one", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measure(*asked.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), asked.rows)
        for file in FILES:
            compare(Path(folder) / file, asked.rows, asked.repeats)


def write(folder: Path, rows: int) -> None:
    """The table, as CSV and as Parquet."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue"])
    table = pa.table(
        {
            "D": rng.integers(2, size=rows),
            "A": words[rng.integers(3, size=rows)],
            "N": rng.normal(size=rows).round(6),
        }
    )
    csv.write_csv(table, folder / "rows.csv")
    parquet.write_table(table, folder / "rows.parquet")


def compare(path: Path, rows: int, repeats: int) -> None:
    """Print one line for each reader."""
    found: dict[str, tuple[float, float, float]] = {}
    for _ in range(repeats):
        for reader in READERS:
            command = [sys.executable, __file__, "--one", reader, str(path)]
            done = json.loads(subprocess.check_output(command))
            took = (done["seconds"], done["wall"], done["megabytes"])
            found[reader] = min(found.get(reader, took), took)
    print(f"{path.name}, {rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
    fastest = min(found["pandas"][0], found["pyarrow"][0])
    for reader, (seconds, wall, megabytes) in found.items():
        print(
            f"  {reader:<12}{seconds:6.2f} CPU s {wall:6.2f} s {rows / seconds / 1e6:6.1f} million "
            f"rows per CPU s {megabytes:6,.0f} MB {seconds / fastest:6.2f}"
        )


def measure(reader: str, file: str) -> None:
    """Read a file once and print seconds and megabytes as JSON."""
    read = _reader(reader, file)
    before = peak()
    wall, start = time.perf_counter(), time.process_time()
    kept = read()
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    print(json.dumps({"seconds": seconds, "wall": wall, "megabytes": peak() - before}))
    del kept


def peak() -> float:
    """Peak memory of this process in MB; that of the process which started it does not count."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _reader(reader: str, file: str) -> Callable[[], object]:
    """What reads the file, its libraries imported."""
    if reader == "pandas":
        import pandas as pd

        pd.DataFrame({"x": [1]}).sum()
        return lambda: pd.read_csv(file) if file.endswith(".csv") else pd.read_parquet(file)
    if reader == "pyarrow":
        from pyarrow import csv, parquet

        return lambda: csv.read_csv(file) if file.endswith(".csv") else parquet.read_table(file)
    import causalplug as cp

    kinds = {
        "D": cp.Discrete(2),
        "A": cp.Discrete(["red", "green", "blue"]),
        "N": cp.Continuous(),
    }
    source = cp.DataSource(file)
    cp.DataSource({"D": [0, 1]}).encode({"D": cp.Discrete(2)})
    return lambda: source.encode(kinds)


if __name__ == "__main__":
    main()
