"""Seven variables, three hidden causes, and two tables neither of which records everything.
``--help`` lists the options.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import causalplug as cp
from causalplug.training.report import TrainingReport
from recipes.common import Run, parser, tvd
from recipes.networks import Network

GRAPH = "X0 -> W0, W1; X1 -> W1; X2 -> W1; W0 -> Y0; W1 -> Y0, Y1; X0 <-> Y0; X1 <-> X2; X2 <-> Y1"
SOURCES = {"first": ["X0", "X1", "X2", "W0", "W1", "Y0"], "second": ["X0", "X1", "X2", "W1", "Y1"]}
CAUSES = ("X0", "X1", "X2", "W1")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    options = parser(__file__, __doc__)
    trainings = ["modular-likelihood", "modular-adversarial", "modular-warm", "joint-adversarial"]
    options.add_argument(
        "--trainings", nargs="+", choices=trainings, help="strategies and objectives to compare"
    )
    options.add_argument(
        "--samples", type=int, help="samples of P(V) that the distances are taken from"
    )
    options.add_argument("--world", type=int, default=7, help="seed of the world's tables")
    options.add_argument("--rows", type=int, help="rows of each of the two sources")
    options.add_argument(
        "--steps",
        type=int,
        help="updates of every module, or of the joint model; default: by objective",
    )
    run = Run(__file__, options, arguments)
    chosen = run.options

    graph = cp.CausalGraph.parse(GRAPH)
    world = Network.random(graph, seed=chosen.world)
    rows = [world.sample(chosen.rows, seed=10 * chosen.seed + i) for i in range(len(SOURCES))]
    sources = [
        cp.DataSource({name: table[name] for name in recorded}, name=source)
        for table, (source, recorded) in zip(rows, SOURCES.items(), strict=True)
    ]
    result: dict[str, Any] = {"rows": chosen.rows, "world": chosen.world, "trainings": {}}
    result["confounding"] = confounding(world)
    run.lap("rows")
    for training in chosen.trainings:
        strategy, objective = training.split("-")
        dcm = cp.DCM(graph, dict.fromkeys(graph.variables, cp.Discrete(2)), seed=chosen.seed)
        settings: dict[str, Any] = {
            "seed": chosen.seed,
            "objective": objective,
            "steps": chosen.steps,
        }
        settings |= {} if strategy == "modular" else {"strategy": strategy}
        folder = chosen.output_dir / f"training-{training}"
        trainer = cp.Trainer(dcm, sources, config=cp.TrainingConfig(**settings), output_dir=folder)
        print(f"{training}\n{trainer.plan}\n")
        report = trainer.train()
        run.lap(training)
        print(f"{report}\n")
        result["trainings"][training] = measure(dcm, world, report, chosen.samples) | {
            "cpu_seconds": run.seconds[training]
        }
        dcm.save_pretrained(chosen.output_dir / f"dcm-{training}")
        run.lap("answers")
    show(result)
    return run.finish(result)


def confounding(world: Network) -> float:
    """The largest TVD of P(Y0 | X0=x) from P(Y0 | do(X0=x)): by how much
    conditioning alone is wrong."""
    joint = world.joint(["X0", "Y0"])
    return max(tvd(joint[x] / joint[x].sum(), world.joint(["Y0"], {"X0": x})) for x in (0, 1))


def measure(dcm: cp.DCM, world: Network, report: TrainingReport, samples: int) -> dict[str, Any]:
    """Distances from the exact world: of every module's distribution, of P(V), and of every
    query."""
    names = list(dcm.graph.variables)
    drawn = dcm.sample(samples, variables=names, seed=2)
    found: dict[str, Any] = {
        "tvd_joint": tvd(world.joint(names), world.shares(drawn, names)),
        "modules": {},
    }
    for module in cp.plan(dcm.graph).modules:
        target = module.targets[0]
        found["modules"][target.describe()] = conditional_tvd(
            dcm, world, list(target.variables), list(target.parents), samples // 4
        )
    found["queries"] = {
        query: far
        for cause in CAUSES
        for query, far in query_tvds(dcm, world, cause, samples // 4).items()
    }
    found["max_module"] = max(found["modules"].values())
    found["max_query"] = max(found["queries"].values())
    found["converged"] = report.converged
    return found


def conditional_tvd(
    dcm: cp.DCM, world: Network, variables: list[str], parents: list[str], n: int
) -> float:
    """TVD of Q(variables | do(parents)) from the world's P(variables | parents), averaged over
    P(parents)."""
    joint = world.joint([*parents, *variables])
    total = 0.0
    for values in product((0, 1), repeat=len(parents)):
        exact = joint[values]
        setting = dict(zip(parents, values, strict=True))
        model = world.shares(dcm.sample(n, do=setting, variables=variables, seed=3), variables)
        total += tvd(exact, exact.sum() * model)
    return total


def query_tvds(dcm: cp.DCM, world: Network, cause: str, n: int) -> dict[str, float]:
    """TVD of the model's P(outcomes | do(cause)), the larger one of both values of the cause, by
    query."""
    both = ("Y0", "Y1")
    drawn = [dcm.sample(n, do={cause: x}, variables=both, seed=4) for x in (0, 1)]
    found = {}
    for outcomes in (*((name,) for name in both), both):
        query = f"P({', '.join(outcomes)} | do({cause}))"
        dcm.estimate(query, n=2)  # refuses what the sources do not determine
        exact = [world.joint(outcomes, {cause: x}) for x in (0, 1)]
        found[query] = max(tvd(exact[x], world.shares(drawn[x], outcomes)) for x in (0, 1))
    return found


def show(result: dict[str, Any]) -> None:
    """Print the distances."""
    first = next(iter(result["trainings"].values()))
    labels = list(result["trainings"])
    print(f"{'TVD':34}" + "".join(f"{label:>22}" for label in labels))
    for group in ("modules", "queries"):
        for name in first[group]:
            print(
                f"{name:34}"
                + "".join(f"{result['trainings'][label][group][name]:22.4f}" for label in labels)
            )
    print(
        f"{'P(V)':34}"
        + "".join(f"{result['trainings'][label]['tvd_joint']:22.4f}" for label in labels)
    )
    print(
        f"{'CPU seconds':34}"
        + "".join(f"{result['trainings'][label]['cpu_seconds']:22.1f}" for label in labels)
    )
    print(f"P(Y0 | X0) misses P(Y0 | do(X0)) by {result['confounding']:.3f}")


if __name__ == "__main__":
    main()
