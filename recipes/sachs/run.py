"""What Akt and Erk do when PKA is set, from untouched cells and from Mek alone in treated ones.
``--help`` lists the options.
"""

from __future__ import annotations

from typing import Any

import causalplug as cp
from causalplug.errors import DataError, NotIdentifiableError
from recipes.common import Run, parser, tvd
from recipes.sachs.cells import (
    GRAPH,
    LEVELS,
    PROTEINS,
    READINGS,
    Cells,
    chance,
    fitted_world,
    made_up_world,
    read_cells,
    shares,
    simulate_cells,
)

OUTCOMES = ("Akt", "Erk")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    options = parser(__file__, __doc__)
    options.add_argument(
        "--data", help="the discretised interventional cells of Sachs et al. 2005, a table with INT"
    )
    options.add_argument(
        "--network", help="sachs.bif of bnlearn: cells are simulated from it as well"
    )
    options.add_argument(
        "--levels", nargs="+", choices=LEVELS, help="levels that PKA is set to, one model for each"
    )
    options.add_argument("--objective", choices=["adversarial", "likelihood", "warm"])
    options.add_argument("--steps", type=int, help="updates of every module")
    options.add_argument("--members", type=int, help="models that are trained from different seeds")
    run = Run(__file__, options, arguments)
    chosen = run.options
    result: dict[str, Any] = {"objective": chosen.objective, "tables": {}}
    for name, cells in tables(chosen).items():
        print(
            f"{name}: {len(cells.untouched)} untouched cells, {len(cells.treated)} with PKA set to "
            f"{cells.level}"
        )
        models = [
            train(cells, chosen, name, chosen.seed + member) for member in range(chosen.members)
        ]
        run.lap("training")
        result["tables"][name] = answers(models, cells, chosen.seed)
        models[0].save_pretrained(chosen.output_dir / f"dcm-{name}")
        run.lap("answers")
        show(cells, result["tables"][name])
    show_readings(result["tables"])
    return run.finish(result)


def tables(chosen: Any) -> dict[str, Cells]:
    """What there is to learn from: simulated cells, and for every level that PKA may be set to
    the real ones."""
    if chosen.data is None and not chosen.quick:
        raise DataError(
            "The recipe cannot run in full: it has no cells. Give the discretised interventional "
            "data of Sachs et al. 2005 (bnlearn's sachs.interventional.txt, 5,400 rows with a "
            "column INT) with --data, or run with --quick, which simulates cells."
        )
    worlds = {"simulated": made_up_world()} | (
        {"fitted": fitted_world(chosen.network)} if chosen.network else {}
    )
    sizes = {"rows": chosen.rows, "treated": chosen.treated, "seed": chosen.seed}
    found = {
        f"{name}-high": simulate_cells(world, "high", **sizes) for name, world in worlds.items()
    }
    if chosen.data:
        found |= {f"cells-{level}": read_cells(chosen.data, level) for level in chosen.levels}
        for reading in ("others", "pooled"):
            found[f"cells-high-{reading}"] = read_cells(chosen.data, "high", reading)
    return found


def train(cells: Cells, chosen: Any, name: str, seed: int) -> cp.DCM:
    """One model, trained on both tables."""
    graph = cp.CausalGraph.parse(GRAPH)
    dcm = cp.DCM(graph, dict.fromkeys(PROTEINS, cp.Discrete(LEVELS)), seed=seed)
    config = cp.TrainingConfig(
        seed=seed, objective=chosen.objective, steps=chosen.steps, held_out=chosen.held_out
    )
    folder = chosen.output_dir / f"training-{name}-{seed}"
    trainer = cp.Trainer(dcm, cells.sources(), config=config, output_dir=folder)
    report = trainer.train()
    if seed == chosen.seed:
        print(f"{trainer.plan}\n\n{report}\n")
    return dcm


def answers(models: list[cp.DCM], cells: Cells, seed: int) -> dict[str, Any]:
    """Every outcome by the model, by the formula on the same rows, and in the treated cells that
    it never saw."""
    support = (
        (cells.untouched["PKA"] == cells.level)
        & cells.untouched["Mek"].isin(cells.treated["Mek"].unique())
    ).sum()
    found: dict[str, Any] = {
        "reading": cells.reading,
        "level": cells.level,
        "untouched": len(cells.untouched),
        "treated": len(cells.treated),
        "untouched cells at that PKA and a Mek of the treated": int(support),
        "Mek of the treated": shares(cells.treated["Mek"]).tolist(),
        "contradiction": cells.contradiction,
        "converged": bool(
            models[0].history["modules"]
            and all(m["converged"] for m in models[0].history["modules"])
        ),
        "outcomes": {},
    }
    rows = [cells.untouched, cells.treated[["PKA", "Mek"]]]
    for outcome in OUTCOMES:
        query = f"P({outcome} | do(PKA={cells.level}))"
        answer = models[0].estimate(query, n=200_000, seed=seed, data=rows, compare="plug-in")
        by_level = answer.table.set_index(outcome).loc[list(LEVELS)]
        model, formula = by_level["estimate"].to_numpy(), by_level["plug_in"].to_numpy()
        row: dict[str, Any] = {
            "model": model.tolist(),
            "formula": formula.tolist(),
            "tvd_formula": tvd(model, formula),
        }
        if len(models) > 1:
            table = (
                cp.Ensemble(models)
                .estimate(query, n=100_000, seed=seed)
                .table.set_index(outcome)
                .loc[list(LEVELS)]
            )
            row["interval"] = table[["low", "high"]].clip(0, 1).to_numpy().tolist()
        treated = shares(cells.treated[outcome])
        row |= {
            "treated": treated.tolist(),
            "tvd_treated": tvd(model, treated),
            "tvd_formula_treated": tvd(formula, treated),
            "chance": chance(treated, len(cells.treated), seed),
            "untouched": shares(
                cells.untouched.loc[cells.untouched["PKA"] == cells.level, outcome]
            ).tolist(),
            "overlap": answer.overlap.status,
            "refused": refused(models[0], query),
        }
        if cells.exact is not None:
            row |= {"exact": cells.exact[outcome].tolist(), "tvd": tvd(model, cells.exact[outcome])}
            row["tvd_untouched"] = tvd(row["untouched"], row["exact"])
        found["outcomes"][outcome] = row
    found["untouched cells alone"] = (
        "refused" if all(row["refused"] for row in found["outcomes"].values()) else "answer"
    )
    return found


def refused(dcm: cp.DCM, query: str) -> str:
    """What a model of the untouched cells alone says to the query: the reason of its refusal, or
    nothing."""
    alone = cp.DCM(dcm.graph, dcm.variables)
    alone.sources = tuple(source for source in dcm.sources or () if not source.do)
    try:
        alone.estimate(query, n=2)
    except NotIdentifiableError as error:
        return str(error)
    return ""


def show(cells: Cells, found: dict[str, Any]) -> None:
    """Print the answers."""
    for outcome, row in found["outcomes"].items():
        query = f"P({outcome} | do(PKA={cells.level}))"
        print(f"{query:30}" + "".join(f"{name:>10}" for name in LEVELS) + f"{'TVD to model':>16}")
        for name in ("exact", "model", "formula", "treated", "untouched"):
            if name in row:
                numbers = "".join(f"{p:10.3f}" for p in row[name])
                print(f"{name:>30}{numbers}{tvd(row[name], row['model']):16.3f}")
        if "interval" in row:
            print(
                f"{'interval':>30}"
                + "".join(f"{f'{low:.2f}-{high:.2f}':>10}" for low, high in row["interval"])
            )
        print(f"    by chance treated cells differ by up to {row['chance']:.3f}; {row['overlap']}")
    print(f"    untouched cells alone: {row['refused'][:120]}")
    if found["contradiction"] > 0:
        print(
            f"    no model of this graph has both tables: they are {found['contradiction']:.3f} "
            "beyond the bound"
        )
    print()


def show_readings(found: dict[str, dict[str, Any]]) -> None:
    """Print what the rows that are called observational make of do(PKA=high): TVD from the
    treated cells."""
    real = [part for name, part in found.items() if name.startswith("cells-high")]
    for part in real:
        distances = [
            f"{outcome} conditioning {tvd(row['untouched'], row['treated']):.3f}, formula "
            f"{row['tvd_formula_treated']:.3f}, model {row['tvd_treated']:.3f}"
            for outcome, row in part["outcomes"].items()
        ]
        print(f"{part['untouched']} cells ({READINGS[part['reading']]}): " + "; ".join(distances))


if __name__ == "__main__":
    main()
