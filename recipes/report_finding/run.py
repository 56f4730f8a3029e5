"""P(Y | do(X)) where a treatment leads to a report, a frozen classifier reads the finding off
it, and something hidden drives treatment and outcome. ``--help`` lists the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import causalplug as cp
from recipes.common import Run, parser, tvd
from recipes.report_finding.parts import REPORTS, TEXT, reader, reports, writer

GRAPH = "X -> Shown -> Report -> Finding -> Y; X <-> Y"
NAMES = tuple(REPORTS)
SHOWN = np.array([0.25, 0.75])  # P(opacity | X)
TREATED = np.array([0.2, 0.8])  # P(X=1 | U)
OUTCOME = np.array([[0.15, 0.5], [0.5, 0.85]])  # P(Y=1 | Finding, U)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    made = parser(__file__, __doc__)
    made.add_argument("--rows", type=int, help="observational rows")
    made.add_argument("--steps", type=int, help="updates of the module of X and Y")
    made.add_argument("--model-steps", type=int, help="updates of the two models of texts")
    made.add_argument("--samples", type=int, help="rows sampled for each answer")
    run = Run(__file__, made, arguments)
    chosen = run.options
    home = chosen.output_dir
    parts = {
        "Report": writer(home / "writer", steps=chosen.model_steps, seed=chosen.seed),
        "Finding": reader(home / "reader", steps=chosen.model_steps, seed=chosen.seed),
    }
    run.lap("models of texts")
    rows = world(chosen.rows, chosen.seed)
    finding = cp.Discrete(NAMES)
    variables = {
        "X": cp.Discrete(2),
        "Shown": finding,
        "Report": TEXT,
        "Finding": finding,
        "Y": cp.Discrete(2),
    }
    dcm = cp.DCM(cp.CausalGraph.parse(GRAPH), variables, mechanisms=parts, seed=chosen.seed)
    config = cp.TrainingConfig(
        seed=chosen.seed,
        objective="likelihood",
        steps=chosen.steps,
        encoder_steps=1,
        check_fit=not chosen.quick,
    )
    source = cp.DataSource(rows, name="rows")
    trainer = cp.Trainer(dcm, [source], config=config, output_dir=home / "training")
    print(trainer.plan, "\n")
    print(trainer.train(), "\n")
    run.lap("training")
    result = answer(dcm, rows, chosen.samples, chosen.seed)
    run.lap("answers")
    dcm.save_pretrained(home / "dcm")
    trainer.plan.plot().savefig(home / "plan.png")
    run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def world(n: int, seed: int) -> dict[str, np.ndarray]:
    """Rows: U -> X, X -> Shown -> Report, Finding = Shown, (Finding, U) -> Y, with U left out."""
    rng = np.random.default_rng(seed)
    u = rng.integers(2, size=n)
    x = (rng.random(n) < TREATED[u]).astype(np.int64)
    seen = (rng.random(n) < SHOWN[x]).astype(np.int64)
    y = (rng.random(n) < OUTCOME[seen, u]).astype(np.int64)
    shown = np.array(NAMES)[seen]
    return {"X": x, "Shown": shown, "Report": reports(shown, rng), "Finding": shown, "Y": y}


def answer(dcm: cp.DCM, rows: Mapping[str, np.ndarray], n: int, seed: int) -> dict[str, Any]:
    """The model's answers beside the exact ones and conditioning only."""
    result: dict[str, Any] = {"do": {}}
    for x in (0, 1):
        truth = float((1 - SHOWN[x]) * OUTCOME[0].mean() + SHOWN[x] * OUTCOME[1].mean())
        drawn = dcm.sample(n, do={"X": x}, variables=["Report", "Finding", "Y"], seed=seed)
        model = float(drawn["Y"].mean())
        naive = float(rows["Y"][rows["X"] == x].mean())
        result["do"][x] = {
            "truth": truth,
            "model": model,
            "naive": naive,
            "tvd_model": tvd([model, 1 - model], [truth, 1 - truth]),
            "tvd_naive": tvd([naive, 1 - naive], [truth, 1 - truth]),
            "report": str(drawn["Report"].iloc[0]),
            "known_wording": float(drawn["Report"].isin(sum(REPORTS.values(), ())).mean()),
            "opacity": float((drawn["Finding"] == "opacity").mean()),
        }
    result["max_tvd"] = max(row["tvd_model"] for row in result["do"].values())
    return result


def show(result: Mapping[str, Any]) -> None:
    """Print the answers."""
    for x, row in result["do"].items():
        print(
            f"P(Y=1 | do(X={x})): exact {row['truth']:.3f}, model {row['model']:.3f}, rows as they "
            f"stand {row['naive']:.3f}; a report: {row['report']!r}"
        )
    print(f"Largest TVD of the model {result['max_tvd']:.3f}")


if __name__ == "__main__":
    main()
