"""Is a module with an image of its own told right from wrong? Exact mechanisms, wrong ones, and
trained ones.

    python benchmarks/image_verdict.py            # exact and wrong mechanisms: half a minute
    python benchmarks/image_verdict.py --trained  # confounded images after training: five minutes

The models are those of ``tests/training/image_scm.py``. A verdict is given on a tenth of the rows.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import causalplug as cp
from causalplug.checks.two_sample import mmd
from causalplug.training.config import TrainingConfig
from causalplug.training.validation import Distance
from tests.training.image_scm import CONFOUNDED, IMAGE, PARENT, WHAT, WRONG, pictures, rows, verdict


def said(found: Distance) -> str:
    """A verdict and what it rests on."""
    word = "converged" if found.converged(TrainingConfig().tolerance) else "not converged"
    return (
        f"{word:14} TVD {found.tvd:.3f} (.99: {found.ceiling:.3f})  MMD² {found.mmd:.4f} (.95: "
        f"{found.mmd_floor:.4f})"
    )


def exact(sizes: list[int], seeds: int) -> None:
    """Mechanisms that are right, by several seeds, and each that is wrong, by one."""
    for n in sizes:
        for what in WHAT:
            for edges in (PARENT, CONFOUNDED):
                right = [verdict(what, edges, None, n, seed) for seed in range(seeds)]
                worst = max(right, key=lambda found: found.mmd or 0.0)
                wrongly = sum(not found.converged(TrainingConfig().tolerance) for found in right)
                print(
                    f"{n} {what} {edges} right: {wrongly} of {seeds} refused, at worst "
                    f"{said(worst)}",
                    flush=True,
                )
                for wrong in WRONG:
                    print(
                        f"{n} {what} {edges} {wrong}: {said(verdict(what, edges, wrong, n))}",
                        flush=True,
                    )


def trained(n: int, seeds: int) -> None:
    """What training comes to in few steps and in the default number, and the shares that it
    should come to."""
    few = {"image_steps": 400, "batch_size": 64}
    for what in WHAT:
        for name, settings in (("400 steps of 64 rows", few), ("default", {})):
            for seed in range(seeds):
                source = rows(what, CONFOUNDED, n, seed)
                dcm = cp.DCM(
                    cp.CausalGraph.parse(CONFOUNDED), {"D": cp.Discrete(2), "I": IMAGE}, seed=seed
                )
                start = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    options = {"seed": seed, "validate_every": 200, "progress": False, **settings}
                    report = cp.fit(dcm, cp.DataSource(source), objective="adversarial", **options)
                spent = time.process_time() - start
                found = said(report.modules[0].distances[0])
                print(
                    f"{what} {CONFOUNDED} {name}, seed {seed}: {spent:.0f} s {shares(what, dcm)} "
                    f"{found}",
                    flush=True,
                )
                print(f"    in the encoder's projection {by_projection(what, dcm)}", flush=True)


def by_projection(what: str, dcm: cp.DCM) -> str:
    """MMD² of 1,000 rows in the projection that critics read: of the model, of fresh rows, and
    of unrelated images."""
    real, fresh = (rows(what, CONFOUNDED, 1000, seed) for seed in (101, 102))
    drawn = dcm.sample(1000, seed=1, variables=["D", "I"])
    model = {"D": np.array(drawn["D"]), "I": np.stack(list(drawn["I"]))}
    unrelated = {"D": fresh["D"], "I": np.roll(fresh["I"], 1, axis=0)}

    def features(table: dict[str, np.ndarray]) -> torch.Tensor:
        projection = dcm.project("I", torch.from_numpy(table["I"]))
        return torch.cat(
            [torch.nn.functional.one_hot(torch.from_numpy(table["D"]), 2), projection], -1
        )

    loc, scale = features(real).mean(0), features(real).std(0)
    draws = torch.Generator().manual_seed(0)
    ours, right, wrong = (
        mmd(*((features(table) - loc) / scale for table in (real, other)), draws)[0]
        for other in (model, fresh, unrelated)
    )
    return (
        f"the model is at MMD² {ours:.4f}, fresh rows at {right:.4f}, images of other rows at "
        f"{wrong:.4f}"
    )


def shares(what: str, dcm: cp.DCM) -> str:
    """P(D = 1), and the share of second pictures by D, read off the nearest mean picture."""
    rng = np.random.default_rng(0)
    means = np.stack([pictures(what, np.full(500, k), rng).mean(0) for k in (0, 1)])
    drawn = dcm.sample(5000, seed=1, variables=["D", "I"])
    images = np.stack(list(drawn["I"]))
    second = np.square(images[:, None] - means).sum((2, 3, 4)).argmin(1)
    by = " / ".join(f"{second[drawn['D'] == d].mean():.3f}" for d in (0, 1))
    return f"P(D=1) {drawn['D'].mean():.3f} (.400), shown {by} (.200 / .800)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trained", action="store_true", help="train the confounded images")
    parser.add_argument(
        "--rows",
        type=int,
        nargs="+",
        default=[3000, 10_000],
        help="rows, of which a tenth is held out",
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="of the right mechanisms, or of training"
    )
    given = parser.parse_args()
    if given.trained:
        trained(given.rows[0], given.seeds)
    else:
        exact(given.rows, given.seeds)


if __name__ == "__main__":
    main()
