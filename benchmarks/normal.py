"""A front-door of normal variables against its closed form: how much the effect depends on what X
leaves of M free.

    python benchmarks/normal.py                              # half a minute of CPU
    python benchmarks/normal.py --spread 1 --draws 512 --learning-rate 3e-3 --seed 1
    python benchmarks/normal.py --binary --steps 150

X = U + e, M = X + spread e', Y = .8 M + 1.1 U + .5 e'', with X <-> Y for U; e, e', e'' and U are
standard normal. E[Y | do(X=x)] is .8 x, E[Y | X=x] is 1.35 x, and Y given M and X has the
coefficients .8 and .55. Printed are the effects beside the maximum-likelihood estimate of a linear
model, those coefficients in rows of the model, and what the model loses in log likelihood per
held-out row of X and Y, beside what a regression of Y on M alone loses. With ``--binary`` M is 1
with probability 1 / (1 + exp(-1.5 X)), and Y = 2 M + 1.2 U + .5 e''.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch

import causalplug as cp
from causalplug.errors import ConvergenceWarning
from causalplug.training.report import TrainingReport
from causalplug.variables import Variable

Y_GIVEN_X_AND_M = (1.1**2 * 0.5 + 0.5**2) ** 0.5  # standard deviation


def rows_of(rows: int, spread: float, seed: int) -> dict[str, np.ndarray]:
    """Rows of the model."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=rows)
    x = u + rng.normal(size=rows)
    m = x + spread * rng.normal(size=rows)
    return {"X": x, "M": m, "Y": 0.8 * m + 1.1 * u + 0.5 * rng.normal(size=rows)}


def rows_with_binary_m(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Rows of the model with a binary M."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=rows)
    x = u + rng.normal(size=rows)
    m = (rng.random(rows) < 1 / (1 + np.exp(-1.5 * x))).astype(int)
    return {"X": x, "M": m, "Y": 2 * m + 1.2 * u + 0.5 * rng.normal(size=rows)}


def show_binary(dcm: cp.DCM, rows: dict[str, np.ndarray]) -> None:
    """Print the effects beside the right ones and what rows near x show."""
    for x in (-1.0, 0.0, 1.0, 1.5):
        answer = float(dcm.sample(30_000, do={"X": x}, variables=["Y"], seed=1)["Y"].mean())
        seen = rows["Y"][np.abs(rows["X"] - x) < 0.2].mean()
        print(
            f"E[Y | do(X={x:g})] {answer:6.3f}, right {2 / (1 + np.exp(-1.5 * x)):6.3f}, rows near "
            f"X={x:g} {seen:6.3f}"
        )


def cost(residual: np.ndarray, deviation: float) -> float:
    """Minus the mean log density of normal residuals."""
    return float(
        np.mean(0.5 * (residual / deviation) ** 2) + np.log(deviation) + 0.5 * np.log(2 * np.pi)
    )


def losses(held_out: dict[str, np.ndarray], loss: float) -> tuple[float, float]:
    """How much a loss per held-out row of X and Y is above the truth's, and that of a regression
    of Y on M alone."""
    m, x, y = (held_out[name] for name in "MXY")
    truth = cost(y - 0.8 * m - 0.55 * x, Y_GIVEN_X_AND_M)
    alone = y - np.polyval(np.polyfit(m, y, 1), m)
    return loss - truth - cost(x, 2**0.5), cost(alone, float(alone.std())) - truth


def regression(rows: dict[str, np.ndarray]) -> float:
    """The effect of X by the product of two regression coefficients, which is its
    maximum-likelihood estimate."""
    ones = np.ones_like(rows["X"])
    by_m = np.linalg.lstsq(np.stack([rows["M"], rows["X"], ones], 1), rows["Y"], rcond=None)[0][0]
    return float(by_m * np.polyfit(rows["X"], rows["M"], 1)[0])


def show_normal(
    dcm: cp.DCM, rows: dict[str, np.ndarray], report: TrainingReport, seed: int
) -> None:
    """Print the effects, Y given M and X in rows of the model, and the losses."""
    print(f"by regression the effect is {regression(rows):.3f} x")
    for x in (-1.0, 0.0, 1.0, 2.0):
        answer = float(dcm.sample(30_000, do={"X": x}, variables=["Y"], seed=1)["Y"].mean())
        print(
            f"E[Y | do(X={x:g})] {answer:6.3f}, right {0.8 * x:6.3f}, E[Y | X={x:g}] "
            f"{1.35 * x:6.3f}"
        )
    drawn = dcm.sample(20_000, seed=3)
    m, x = np.linalg.lstsq(
        np.stack([drawn["M"], drawn["X"]], 1), np.asarray(drawn["Y"]), rcond=None
    )[0]
    values = (
        cp.DataSource(rows)
        .encode(dcm.variables)
        .split(cp.TrainingConfig().held_out, seed)[1]
        .values
    )
    held_out = {name: column.numpy().astype(float) for name, column in values.items()}
    loss = next(
        module.negative_log_likelihood for module in report.modules if "X" in module.variables
    )
    mine, alone = losses(held_out, loss)
    print(f"Y given M, X: {m:.3f}, {x:.3f}, right .800, .550")
    print(f"nats lost per held-out row {mine:.4f}, by M alone {alone:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spread", type=float, default=0.5, help="standard deviation of M given X")
    parser.add_argument("--binary", action="store_true", help="M is binary")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--steps", type=int)
    parser.add_argument(
        "--draws", type=int, default=128, help="setting of fit, which takes an eighth of it here"
    )
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--seed", type=int, default=0, help="of the rows and of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    variables: dict[str, Variable] = dict.fromkeys("XMY", cp.Continuous())
    rows = rows_of(options.rows, options.spread, options.seed)
    if options.binary:
        rows, variables["M"] = rows_with_binary_m(options.rows, options.seed), cp.Discrete(2)
    dcm = cp.DCM(cp.CausalGraph.parse("X -> M -> Y; X <-> Y"), variables)
    settings = {
        name: getattr(options, name) for name in ("steps", "draws", "learning_rate", "seed")
    }
    start = time.process_time()
    report = cp.fit(dcm, cp.DataSource(rows), objective="likelihood", progress=False, **settings)
    print(f"{time.process_time() - start:.1f} CPU s")
    if options.binary:
        show_binary(dcm, rows)
    else:
        show_normal(dcm, rows, report, options.seed)


if __name__ == "__main__":
    main()
