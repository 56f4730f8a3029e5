"""Run the quick modes of all recipes, or of those that are named, and hold each to its bounds.

    python -m recipes [NAME …] [--workers 2] [--output-dir runs/recipes]

Every recipe has a process of its own; what it prints is in ``NAME/log.txt`` of the output folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recipes.common import recipes, violations


def run(name: str, folder: Path) -> tuple[float, list[str]]:
    """Minutes that the quick mode of a recipe took, and what is wrong with its result."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", f"recipes.{name}.run", "--quick", "--output-dir", str(folder)]
    start = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        status = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT, check=False
        ).returncode
    minutes = (time.perf_counter() - start) / 60
    if status:
        return minutes, [f"it ended with status {status}: see {folder / 'log.txt'}"]
    return minutes, violations(name, json.loads((folder / "result.json").read_text()))


def main(arguments: list[str] | None = None) -> int:
    """Status of the process: 0 if every result is within its bounds."""
    parser = argparse.ArgumentParser(prog="python -m recipes", description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(recipes())}; all if none is named"
    )
    parser.add_argument("--workers", type=int, default=2, help="recipes that run at the same time")
    parser.add_argument("--output-dir", type=Path, default=Path("runs/recipes"))
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(recipes()))
    if unknown:
        parser.error(f"there is no recipe {', '.join(unknown)}; there are {', '.join(recipes())}")
    names = chosen.names or recipes()
    start, failed = time.perf_counter(), 0
    with ThreadPoolExecutor(chosen.workers) as pool:
        results = pool.map(lambda name: run(name, chosen.output_dir / name), names)
        for name, (minutes, wrong) in zip(names, results, strict=True):
            print(
                f"{name:22} {minutes:5.1f} minutes  "
                f"{'within its bounds' if not wrong else '; '.join(wrong)}",
                flush=True,
            )
            failed += bool(wrong)
    print(
        f"{len(names)} recipes in {(time.perf_counter() - start) / 60:.1f} minutes, {failed} "
        "outside their bounds"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
