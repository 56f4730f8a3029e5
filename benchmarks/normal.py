"""A front-door of normal variables against its closed form: how much the effect depends on what X leaves of M free.

    python benchmarks/normal.py                              # half a minute of CPU
    python benchmarks/normal.py --spread 1 --draws 512 --learning-rate 3e-3 --seed 1

X = U + e, M = X + spread e', Y = .8 M + 1.1 U + .5 e'', with X <-> Y for U; e, e', e'' and U are standard normal.
E[Y | do(X=x)] is .8 x, E[Y | X=x] is 1.35 x, and Y given M and X has the coefficients .8 and .55. Printed are the
effects, those coefficients in rows of the model, and what the model loses in log likelihood per fresh row of X and Y,
beside what a regression of Y on M alone loses.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning
from causalplug.training.factors import ConfounderDraws, edges_of, log_mean_exp, rows_log_prob

Y_GIVEN_X_AND_M = (1.1**2 * 0.5 + 0.5**2) ** 0.5  # standard deviation


def rows_of(rows: int, spread: float, seed: int) -> dict[str, np.ndarray]:
    """Rows of the model."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=rows)
    x = u + rng.normal(size=rows)
    m = x + spread * rng.normal(size=rows)
    return {"X": x, "M": m, "Y": 0.8 * m + 1.1 * u + 0.5 * rng.normal(size=rows)}


def cost(residual: np.ndarray, deviation: float) -> float:
    """Minus the mean log density of normal residuals."""
    return float(np.mean(0.5 * (residual / deviation) ** 2) + np.log(deviation) + 0.5 * np.log(2 * np.pi))


def losses(dcm: cp.DCM, fresh: dict[str, np.ndarray]) -> tuple[float, float]:
    """What the model loses per row of X and Y against the truth, and what a regression of Y on M alone would."""
    noise = ConfounderDraws(edges_of(dcm.graph, "XY"), dcm.confounder_size, 2048)(torch.Generator().manual_seed(0))
    parts = [{name: torch.as_tensor(v[k::20]).float() for name, v in fresh.items()} for k in range(20)]
    with torch.no_grad():
        mine = -float(torch.cat([log_mean_exp(rows_log_prob(dcm, "XY", part, noise)) for part in parts]).mean())
    truth = cost(fresh["Y"] - 0.8 * fresh["M"] - 0.55 * fresh["X"], Y_GIVEN_X_AND_M)
    alone = fresh["Y"] - np.polyval(np.polyfit(fresh["M"], fresh["Y"], 1), fresh["M"])
    return mine - truth - cost(fresh["X"], 2**0.5), cost(alone, float(alone.std())) - truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spread", type=float, default=0.5, help="standard deviation of M given X")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--draws", type=int, default=128, help="setting of fit, which takes an eighth of it here")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int, default=0, help="of the rows and of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    dcm = cp.DCM(cp.CausalGraph.parse("X -> M -> Y; X <-> Y"), dict.fromkeys("XMY", cp.Continuous()))
    source = cp.DataSource(rows_of(options.rows, options.spread, options.seed))
    settings = {name: getattr(options, name) for name in ("steps", "draws", "learning_rate", "seed")}
    start = time.process_time()
    cp.fit(dcm, source, objective="likelihood", progress=False, **settings)
    print(f"{time.process_time() - start:.1f} CPU s")
    for x in (-1.0, 0.0, 1.0, 2.0):
        answer = float(dcm.sample(30_000, do={"X": x}, variables=["Y"], seed=1)["Y"].mean())
        print(f"E[Y | do(X={x:g})] {answer:6.3f}, right {0.8 * x:6.3f}, E[Y | X={x:g}] {1.35 * x:6.3f}")
    drawn = dcm.sample(20_000, seed=3)
    m, x = np.linalg.lstsq(np.stack([drawn["M"], drawn["X"]], 1), np.asarray(drawn["Y"]), rcond=None)[0]
    mine, alone = losses(dcm, rows_of(2000, options.spread, 99))
    print(f"Y given M, X: {m:.3f}, {x:.3f}, right .800, .550; nats lost per row {mine:.4f}, by M alone {alone:.4f}")


if __name__ == "__main__":
    main()
