"""P(A | do(D=d)) with an image between a number D and A, by a generator that reads the number.
``--help`` lists the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import causalplug as cp
from recipes.common import Run, parser, tvd
from recipes.thickness_frontdoor.generators import Strokes, read_thickness, train_decoder
from recipes.thickness_frontdoor.scm import ThicknessSCM

ASKED = (2.0, 2.6, 3.1, 3.6, 4.2)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    made = parser(__file__, __doc__)
    made.add_argument("--data", type=Path, help="folder with Morpho-MNIST; default: drawn strokes")
    made.add_argument("--rows", type=int, help="observational rows")
    made.add_argument("--steps", type=int, help="updates of the module of D and A")
    made.add_argument("--encoder-steps", type=int, help="updates of the encoder of I")
    made.add_argument("--generator-steps", type=int, help="updates of the generator, with --data")
    made.add_argument("--samples", type=int, help="rows sampled for each answer")
    run = Run(__file__, made, arguments)
    chosen = run.options
    network: Any = Strokes()
    if chosen.data is not None:
        images, thickness = read_thickness(chosen.data)
        network = train_decoder(images, thickness, steps=chosen.generator_steps, seed=chosen.seed)
    run.lap("generator")
    scm = ThicknessSCM(network, network.latent, seed=chosen.seed)
    rows = scm.sample(chosen.rows, seed=chosen.seed)
    run.lap("rows")

    generator = plugged(network, rows["I"].shape[-1], chosen.output_dir / "generator")
    image = generator.declared_output()
    variables = {"D": cp.Continuous(), "I": image, "A": cp.Discrete(3)}
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    dcm = cp.DCM(graph, variables, mechanisms={"I": generator}, seed=chosen.seed)
    config = cp.TrainingConfig(
        seed=chosen.seed,
        objective="likelihood",
        steps=chosen.steps,
        encoder_steps=chosen.encoder_steps,
        check_fit=not chosen.quick,
    )
    source = cp.DataSource(rows, name="rows")
    trainer = cp.Trainer(dcm, [source], config=config, output_dir=chosen.output_dir / "training")
    print(trainer.plan, "\n")
    print(trainer.train(), "\n")
    run.lap("training")

    result = answer(dcm, scm, chosen.samples, chosen.seed)
    run.lap("answers")
    dcm.save_pretrained(chosen.output_dir / "dcm")
    trainer.plan.plot().savefig(chosen.output_dir / "plan.png")
    run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def plugged(network: nn.Module, side: int, folder: Path) -> cp.Mechanism:
    """The generator as a mechanism that reads a number, saved as a repository and loaded again."""
    size: Any = network.latent
    wrapped = cp.wrap(
        network,
        cp.Image(1, side, side),
        conditions=[cp.Condition("thickness", cp.Continuous())],
        latent=size,
        license="cc0-1.0",
        source="trained by this recipe",
    )
    wrapped.save_pretrained(folder)
    found: cp.Mechanism = cp.from_pretrained(folder)
    return found


def answer(dcm: cp.DCM, scm: ThicknessSCM, n: int, seed: int) -> dict[str, Any]:
    """The model's answers beside the exact ones and what the rows show."""
    result: dict[str, Any] = {"do": {}}
    for d in ASKED:
        drawn = dcm.sample(n, do={"D": d}, variables=["A"], seed=seed)["A"]
        model = np.bincount(drawn, minlength=3) / n
        truth, naive = scm.do(d), scm.naive(d)
        result["do"][str(d).replace(".", "_")] = {
            "truth": truth.tolist(),
            "model": model.tolist(),
            "naive": naive.tolist(),
            "tvd_model": tvd(model, truth),
            "tvd_naive": tvd(naive, truth),
        }
    for word in ("model", "naive"):
        result[f"max_tvd_{word}"] = max(row[f"tvd_{word}"] for row in result["do"].values())
    return result


def show(result: Mapping[str, Any]) -> None:
    """Print the answers."""
    for d, row in result["do"].items():
        for what in ("truth", "model", "naive"):
            shares = "".join(f"{p:7.3f}" for p in row[what])
            print(f"P(A | do(D={d.replace('_', '.')})) {what:6}{shares}")
        print(f"    TVD of the model {row['tvd_model']:.3f}, of the rows {row['tvd_naive']:.3f}")
    print(f"Largest TVD {result['max_tvd_model']:.3f}, of the rows {result['max_tvd_naive']:.3f}")


if __name__ == "__main__":
    main()
