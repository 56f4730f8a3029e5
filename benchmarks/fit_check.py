"""Does ``check_fit`` tell a right generator from wrong ones? Verdicts over many seeds.

    python -m benchmarks.fit_check

Rows are pictures of the digits 0 and 1 (scikit-learn's), of which every seed keeps half from the
generator. The right generator shows other pictures of the same digits; the others do too, but with
the two digits swapped, with three pictures for each digit (mode collapse), or with every pixel
brighter by .15 of the range.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
import torch

import causalplug as cp
from benchmarks.adapters import small_digits
from causalplug.adapters.callable import CallableGenerator
from causalplug.checks.fit import FitReport

IMAGE = cp.Image(1, 8, 8)
KINDS = ("right", "swapped", "collapsed", "brighter")


def report(kind: str, seed: int) -> FitReport:
    """One check."""
    images, labels = small_digits()
    random = np.random.default_rng(seed)
    mine = random.random(len(images)) < 0.5
    pictures = [images[~mine & (labels == k)].astype(np.float32) / 255 for k in (0, 1)]

    def paint(label: np.ndarray, latent: np.ndarray) -> np.ndarray:
        out = np.empty((len(label), *IMAGE.event_shape), np.float32)
        for k in (0, 1):
            rows = label[:, 0] == (1 - k if kind == "swapped" else k)
            known = pictures[k][:3] if kind == "collapsed" else pictures[k]
            out[rows] = known[(latent[rows, 0] * len(known)).astype(int)]
        return np.clip(out + 0.15, 0, 1) if kind == "brighter" else out

    generator = CallableGenerator(
        paint, IMAGE, [cp.Label("digit", 2)], latent_shape=(1,), distribution="uniform"
    )
    bound = generator.bind("I", IMAGE, {"D": cp.Discrete(2)})
    rows = {"D": torch.from_numpy(labels[mine]), "I": torch.from_numpy(images[mine])}
    return cp.check_fit(bound, rows, seed=seed)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'generator':10} {'fit':>4} {'off':>4} {'unfit':>6} {'CPU s':>6}  reasons, of the first "
        "seed"
    )
    for kind in chosen.only:
        start = time.process_time()
        reports = [report(kind, seed) for seed in range(chosen.seeds)]
        counts = Counter(found.verdict for found in reports)
        spent = (time.process_time() - start) / chosen.seeds
        print(f"{kind:10} {counts['fit']:>4} {counts['off']:>4} {counts['unfit']:>6} {spent:6.1f}  "
              f"{'; '.join(reports[0].reasons)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
