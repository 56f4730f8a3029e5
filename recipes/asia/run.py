"""Shortness of breath if lung cancer, or a shadow on the lung, were set: smoking and bronchitis are
not recorded. ``--help`` lists the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import causalplug as cp
from causalplug.errors import DataError
from recipes.asia.network import chest_clinic
from recipes.common import Run, parser, tvd

OUTCOME, VALUES = "dysp", ("yes", "no")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    options = parser(__file__, __doc__)
    options.add_argument(
        "--network", help="asia.bif of the bnlearn repository; default: the published tables"
    )
    options.add_argument(
        "--data",
        help="a table of the six recorded variables (CSV, yes and no); default: sampled rows",
    )
    options.add_argument("--rows", type=int, help="rows to sample from the network")
    options.add_argument("--objective", choices=["adversarial", "likelihood", "warm"])
    options.add_argument("--steps", type=int, help="updates of every module")
    run = Run(__file__, options, arguments)
    chosen = run.options

    world = chest_clinic(chosen.network)
    rows = (
        read(chosen.data, world.recorded)
        if chosen.data
        else world.sample(chosen.rows, seed=chosen.seed)
    )
    graph = world.graph()
    variables = {name: cp.Discrete(world.categories[name]) for name in graph.variables}
    dcm = cp.DCM(graph, variables, seed=chosen.seed)
    config = cp.TrainingConfig(seed=chosen.seed, objective=chosen.objective, steps=chosen.steps)
    source = cp.DataSource(rows, name="rows")
    trainer = cp.Trainer(dcm, [source], config=config, output_dir=chosen.output_dir / "training")
    print(trainer.plan, "\n")
    run.lap("rows and plan")
    report = trainer.train()
    print(report, "\n")
    run.lap("training")

    result: dict[str, Any] = {
        "rows": len(rows[OUTCOME]),
        "objective": chosen.objective,
        "answers": {},
    }
    relations: dict[str, str] = {}
    for cause in ("lung", "either"):
        for value in VALUES:
            query = f"P({OUTCOME} | do({cause}={value}))"
            exact = world.joint([OUTCOME], {cause: value})
            answer = dcm.estimate(query, n=200_000, seed=chosen.seed, data=rows)
            model = [answer.at(**{OUTCOME: outcome}) for outcome in VALUES]
            formula = front_door(rows, value) if cause == "lung" else back_door(rows, value)
            naive = share(rows, {cause: value})
            relations |= {relation.variable: relation.text for relation in answer.overlap.relations}
            result["answers"][query] = {
                "exact": exact[0],
                "model": model[0],
                "adjustment": formula,
                "adjusted by": "front door" if cause == "lung" else "back door",
                "conditioning only": naive,
                "tvd": tvd(exact, model),
                "tvd to adjustment": abs(model[0] - formula),
                "tvd naive": abs(exact[0] - naive),
                "overlap": answer.overlap.status,
                "without support": answer.overlap.share,
            }
    names = list(graph.variables)
    drawn = dcm.sample(500_000, variables=names, seed=chosen.seed + 1)
    result["tvd_joint"] = tvd(world.joint(names), world.shares(drawn, names))
    result["tvd_joint_rows"] = tvd(world.joint(names), world.shares(rows, names))
    result["max_tvd"] = max(row["tvd"] for row in result["answers"].values())
    result["deterministic"] = relations
    result["modules"] = report.to_dict()["modules"]
    dcm.save_pretrained(chosen.output_dir / "dcm")
    run.lap("answers")
    show(result)
    return run.finish(result)


def read(path: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The recorded columns of a table with the values no and yes, or -1 and 1, under names in
    any case."""
    import pandas as pd

    try:
        table = pd.read_csv(path, sep=None, engine="python").rename(columns=str.lower)
    except (OSError, ValueError) as error:
        raise DataError(
            f"The rows cannot be read from {path!r}: {error} Name a CSV or tab-separated file."
        ) from None
    missing = [name for name in names if name not in table]
    if missing:
        raise DataError(
            f"{path!r} cannot be used: it lacks {', '.join(missing)}. Give all of "
            f"{', '.join(names)}."
        )
    return {name: table[name].replace({-1: "no", 1: "yes"}).to_numpy() for name in names}


def share(
    rows: Mapping[str, np.ndarray], at: Mapping[str, str], of: Mapping[str, str] | None = None
) -> float:
    """The share of rows with ``of`` (shortness of breath, if left out) among those with ``at``,
    or NaN."""
    chosen = np.logical_and.reduce([np.asarray(rows[name]) == value for name, value in at.items()])
    hit = np.logical_and.reduce(
        [np.asarray(rows[name]) == v for name, v in (of or {OUTCOME: "yes"}).items()]
    )
    return float(hit[chosen].mean()) if chosen.any() else float("nan")


def front_door(rows: Mapping[str, np.ndarray], value: str) -> float:
    """sum over e of P(either=e | lung) * sum over l of P(dysp | e, l) P(l): Pearl 1995, where
    there is support."""
    return sum(share(rows, {"lung": value}, {"either": e}) * back_door(rows, e) for e in VALUES)


def back_door(rows: Mapping[str, np.ndarray], value: str) -> float:
    """sum over l of P(dysp | either, l) P(l) over the values l of lung that occur with this
    either."""
    lung = np.asarray(rows["lung"])
    terms = [
        (share(rows, {"either": value, "lung": cancer}), (lung == cancer).mean())
        for cancer in VALUES
    ]
    known = [(p, weight) for p, weight in terms if p == p]
    return float(sum(p * weight for p, weight in known) / sum(weight for _, weight in known))


def show(result: dict[str, Any]) -> None:
    """Print the answers."""
    columns = ("exact", "model", "adjustment", "conditioning only", "tvd", "without support")
    print(f"{'P(dysp=yes | …)':24}" + "".join(f"{name:>20}" for name in columns))
    for query, row in result["answers"].items():
        numbers = "".join(f"{row[name]:20.4f}" for name in columns)
        print(
            f"{query.removeprefix('P(dysp | ')[:-1]:24}{numbers}  {row['adjusted by']}, "
            f"{row['overlap']}"
        )
    print(
        f"TVD of P(V): {result['tvd_joint']:.4f} (of the rows themselves: "
        f"{result['tvd_joint_rows']:.4f})"
    )
    for text in result["deterministic"].values():
        print(text)


if __name__ == "__main__":
    main()
