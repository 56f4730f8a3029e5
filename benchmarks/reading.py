"""Reading tables: rows per second and memory beside pandas and pyarrow on the same files.

    python benchmarks/reading.py              # 10 million rows, a few minutes
    python benchmarks/reading.py --rows 1000000
    python benchmarks/reading.py --limit 1000 --rows 8000000   # a file larger than memory

One table of a binary column, a column of three words and a column of numbers, as CSV and as
Parquet. Every reader runs in a process of its own and ends with the three columns in memory: ours
as tensors (codes and floats), pandas as a DataFrame, pyarrow as a Table. Time is CPU time (all
threads) and wall time of the reading alone, without imports; memory is the peak of the process
above what it had before (Linux). The last column is our CPU time over that of the faster of the
other two.

With ``--limit``, the table has 26 more columns of numbers that the model does not need, and a
process that may take so many MB more (RLIMIT_DATA, Linux) trains on it for five steps; pyarrow
reads the whole file in another one, under the same limit.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from causalplug import Variable

READERS = ("causalplug", "pandas", "pyarrow")
FILES = ("rows.csv", "rows.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=2, help="The fastest of so many counts.")
    parser.add_argument("--one", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help="MB of memory to train in.")
    parser.add_argument("--limited", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measure(*asked.one)
        return
    if asked.limited:
        train_limited(*asked.limited, asked.limit)
        return
    if asked.limit:
        larger_than_memory(asked.rows, asked.limit)
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


def larger_than_memory(rows: int, limit: int) -> None:
    """Print what readers do with files larger than the memory that they may take."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".parquet", ".csv"):
            path = Path(folder) / f"wide{suffix}"
            write_wide(path, rows)
            print(f"{path.name}, {rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB; {limit:,} MB")
            for reader in ("causalplug", "pyarrow"):
                command = [sys.executable, __file__, "--limit", str(limit), "--limited", reader]
                done = subprocess.run([*command, str(path)], capture_output=True, text=True)
                said = (done.stdout.strip() or done.stderr.strip()).splitlines() or ["killed"]
                print(f"  {reader:<12}{said[-1][:90]}", flush=True)
            path.unlink()


def write_wide(path: Path, rows: int) -> None:
    """The table with 26 more columns, some rows at a time."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue"])
    writer: parquet.ParquetWriter | csv.CSVWriter | None = None
    for size in _blocks(rows, 500_000):
        columns = {"D": rng.integers(2, size=size), "A": words[rng.integers(3, size=size)]}
        columns["N"] = rng.normal(size=size).round(6)
        for place in range(26):
            columns[f"other{place}"] = rng.normal(size=size).round(5)
        table = pa.table(columns)
        if writer is None and path.suffix == ".csv":
            writer = csv.CSVWriter(path, table.schema)
        elif writer is None:
            writer = parquet.ParquetWriter(path, table.schema, use_dictionary=["A"])
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _blocks(rows: int, most: int) -> list[int]:
    full, rest = divmod(rows, most)
    return [most] * full + [rest] * bool(rest)


def train_limited(reader: str, file: str, limit: int) -> None:
    """Take at most ``limit`` MB more, train a chain on three columns, and print the peak."""
    warnings.simplefilter("ignore")
    work = _reader(reader, file)
    if reader == "causalplug":
        work = _training(file)
    before, start = peak(), time.process_time()
    most = int((status("VmData") + limit) * 2**20)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        work()
    except Exception as error:
        print(f"{type(error).__name__}: {error}"[:90])
        return
    print(f"{peak() - before:,.0f} MB, {time.process_time() - start:.1f} CPU s")


def _training(file: str) -> Callable[[], object]:
    import torch

    import causalplug as cp

    torch.set_num_threads(1)
    graph = cp.CausalGraph.parse("D -> A -> N")
    few = {"D": [0, 1] * 200, "A": ["red", "green"] * 200, "N": np.linspace(-2, 2, 400)}
    settings = {"check_graph": False, "check_overlap": False}
    cp.fit(cp.DCM(graph, _kinds()), few, steps=3, progress=False, **settings)  # imports

    def train() -> object:
        source = cp.DataSource(file, columns=["D", "A", "N"])
        return cp.fit(cp.DCM(graph, _kinds()), source, steps=5, progress=False)

    return train


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
    return status("VmHWM")


def status(field: str) -> float:
    """A figure of this process in MB."""
    text = Path("/proc/self/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith(field))
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

    source = cp.DataSource(file, columns=["D", "A", "N"])
    cp.DataSource({"D": [0, 1]}).encode({"D": cp.Discrete(2)})
    return lambda: source.encode(_kinds())


def _kinds() -> dict[str, Variable]:
    import causalplug as cp

    words = cp.Discrete(["red", "green", "blue"])
    return {"D": cp.Discrete(2), "A": words, "N": cp.Continuous()}


if __name__ == "__main__":
    main()
