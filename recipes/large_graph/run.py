"""Twenty-nine variables and fourteen confounders: the plan of what is trained after what, and the
trained model. ``--help`` lists the options.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import causalplug as cp
from causalplug.planning.plan import Plan
from recipes.common import Run, parser, tvd
from recipes.networks import Network

# Rahman & Kocaoglu 2024, appendix E.2: as read from Figure 15 and from equations 54 and 55, which
# it agrees with.
DIRECTED = """
    1 -> 2 -> 3, 5; 7 -> 6; 8 -> 6; 4 -> 7; 5 -> 8; 11 -> 8; 6 -> 9; 19 -> 9; 16 -> 10 -> 11
    8 -> 14; 15 -> 14
    12 -> 15; 27 -> 15; 9 -> 17; 18 -> 17; 27 -> 17; 19 -> 18; 22 -> 18; 13 -> 19; 17 -> 20
    21 -> 20; 22 -> 21; 19 -> 22; 14 -> 23; 24 -> 23; 27 -> 23; 28 -> 23; 17 -> 25; 27 -> 25
    23 -> 26; 27 -> 26; 29 -> 26; 24 -> 27; 29 -> 28
"""
BIDIRECTED = """
    1 <-> 3; 5 <-> 6; 7 <-> 9; 8 <-> 10; 14 <-> 15; 15 <-> 16; 17 <-> 18; 18 <-> 19; 20 <-> 21
    21 <-> 22; 23 <-> 24; 24 <-> 25; 26 <-> 27; 9 <-> 11
"""
SET = "17"
QUERIES = (
    ("17", "25"),
    ("17", "26"),
    ("22", "18"),
    ("27", "17"),
    ("5", "8"),
    ("5", "6"),
    ("16", "10"),
    ("19", "9"),
)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    options = parser(__file__, __doc__)
    options.add_argument(
        "--rows", type=int, help="observational rows, and half as many with 17 set"
    )
    options.add_argument("--objective", choices=["adversarial", "likelihood", "warm"])
    options.add_argument("--steps", type=int, help="updates of every module")
    options.add_argument("--world", type=int, default=3, help="seed of the world's tables")
    options.add_argument("--samples", type=int, help="samples that every distance is taken from")
    options.add_argument(
        "--margins", type=int, help="sets of three variables that are compared, per distribution"
    )
    run = Run(__file__, options, arguments)
    chosen = run.options

    graph = cp.CausalGraph.parse(DIRECTED + BIDIRECTED)
    everything = list(graph.variables)
    plans = {
        "P(V)": cp.plan(graph),
        f"P(V | do({SET}))": cp.plan(graph.do([SET]), [cp.Source(everything, name=f"do({SET})")]),
    }
    for number, (name, plan) in enumerate(plans.items(), 1):
        print(f"{name}\n{plan}\n")
        draw(plan, chosen.output_dir / f"plan-{number}.png")
    run.lap("plans")

    world = Network.random(graph, seed=chosen.world)
    sources = [
        cp.DataSource(world.sample(chosen.rows, seed=3 * chosen.seed), name="observed"),
        cp.DataSource(
            experiment(world, chosen.rows // 2, chosen.seed), do=[SET], name=f"{SET} set"
        ),
    ]
    dcm = cp.DCM(graph, dict.fromkeys(everything, cp.Discrete(2)), seed=chosen.seed)
    config = cp.TrainingConfig(seed=chosen.seed, objective=chosen.objective, steps=chosen.steps)
    trainer = cp.Trainer(dcm, sources, config=config, output_dir=chosen.output_dir / "training")
    run.lap("rows")
    report = trainer.train()
    print(f"{report}\n")
    run.lap("training")

    result: dict[str, Any] = {
        "rows": chosen.rows,
        "objective": chosen.objective,
        "world": chosen.world,
    }
    result["plans"] = {name: matched(plan) for name, plan in plans.items()}
    result["margins"] = margins(dcm, world, chosen.margins, chosen.samples)
    result["queries"] = queries(dcm, world, chosen.samples)
    result["max_margin"] = max(row["largest"] for row in result["margins"].values())
    result["max_query"] = max(row["tvd"] for row in result["queries"].values())
    result["modules"] = report.to_dict()["modules"]
    dcm.save_pretrained(chosen.output_dir / "dcm")
    run.lap("answers")
    show(result)
    return run.finish(result)


def matched(plan: Plan) -> list[str]:
    """What every module is matched to: `module: P(generated | parents)`, by the number of its
    first variable."""
    found = []
    for module in sorted(plan.modules, key=lambda m: min(map(int, m.variables))):
        own, of, given = (
            ", ".join(sorted(names, key=int))
            for names in (module.variables, module.targets[0].variables, module.targets[0].parents)
        )
        found.append(f"{own}: P({of}{' | ' + given if given else ''})")
    return found


def experiment(world: Network, n: int, seed: int) -> dict[str, np.ndarray]:
    """Rows in which 17 was set by a coin."""
    parts = [world.sample((n + x) // 2, seed=3 * seed + 1 + x, do={SET: x}) for x in (0, 1)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def margins(dcm: cp.DCM, world: Network, count: int, n: int) -> dict[str, dict[str, float]]:
    """TVD of sets of three variables, seen and under do(17): neighbours in the graph, and any
    three."""
    rng = np.random.default_rng(0)
    names = list(dcm.graph.variables)
    near = [
        sorted({name, *dcm.graph.parents(name), *dcm.graph.siblings(name)})[:3] for name in names
    ]
    sets = near + [
        rng.choice(names, 3, replace=False).tolist() for _ in range(max(0, count - len(near)))
    ]
    found = {}
    for label, do in (("P(V)", {}), (f"do({SET}=0)", {SET: 0}), (f"do({SET}=1)", {SET: 1})):
        drawn = dcm.sample(n, do=do, variables=names, seed=5)
        distances = [tvd(world.joint(chosen, do), world.shares(drawn, chosen)) for chosen in sets]
        found[label] = {
            "mean": float(np.mean(distances)),
            "largest": max(distances),
            "sets": len(sets),
        }
    return found


def queries(dcm: cp.DCM, world: Network, n: int) -> dict[str, dict[str, float]]:
    """P(y | do(x)) for pairs far apart: the model's TVD, and that of reading the rows as they
    stand."""
    found = {}
    for cause, outcome in QUERIES:
        query = f"P({outcome} | do({cause}))"
        dcm.estimate(query, n=2)  # refuses what the sources do not determine
        joint = world.joint([cause, outcome])
        exact = [world.joint([outcome], {cause: x}) for x in (0, 1)]
        model = [
            world.shares(dcm.sample(n, do={cause: x}, variables=[outcome], seed=9), [outcome])
            for x in (0, 1)
        ]
        found[query] = {
            "tvd": max(map(tvd, exact, model)),
            "naive": max(tvd(exact[x], joint[x] / joint[x].sum()) for x in (0, 1)),
            "effect": tvd(*exact),
        }
    return found


def draw(plan: Plan, path: Any) -> None:
    """Write the plan's picture."""
    import matplotlib

    matplotlib.use("Agg")
    plan.plot().savefig(path, dpi=120, bbox_inches="tight")


def show(result: dict[str, Any]) -> None:
    """Print the distances."""
    print(f"{'TVD of three variables':26}{'mean':>10}{'largest':>10}{'sets':>8}")
    for label, row in result["margins"].items():
        print(f"{label:26}{row['mean']:10.4f}{row['largest']:10.4f}{row['sets']:8}")
    print(f"{'TVD of queries':26}{'model':>10}{'rows':>10}{'effect':>8}")
    for query, row in result["queries"].items():
        print(f"{query:26}{row['tvd']:10.4f}{row['naive']:10.4f}{row['effect']:8.3f}")


if __name__ == "__main__":
    main()
