"""Two images between causes and colours: seeing, doing and imagining, the queries of the paper's
Figure 20. ``--help`` lists the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp
from causalplug import plots
from causalplug.adapters.image_bank import ImageBank
from recipes.common import Run, parser, tvd
from recipes.mnist_counterfactual import queries
from recipes.mnist_counterfactual.queries import DO, EVIDENCE, QUERIES, VARIABLES
from recipes.mnist_counterfactual.scm import GRAPH, SIZES, TwoImageSCM, render
from recipes.mnist_frontdoor.data import DigitImages, load_digit_images


def pretrain(data: DigitImages, run: Run) -> Path:
    """Train a conditional GAN on coloured thin and thick digits alone, and save it as an adapter
    repository.

    Without steps to train it, the images themselves are kept: a bank that picks one for the labels
        asked for.
    """
    rng = np.random.default_rng(run.options.seed + 1)
    index, thick, color = (rng.integers(size, size=12_000) for size in (len(data.images), 2, 3))
    images = torch.from_numpy(render(data.images[index], color, thick))
    codes = {"digit": data.digits[index], "thick": thick, "color": color}
    labels = {
        name: VARIABLES[variable]
        for name, variable in zip(codes, ("Y1", "Thick", "Color"), strict=True)
    }
    facts: dict[str, Any] = {
        "license": "cc0-1.0",
        "source": f"made by this recipe from {data.name}",
    }
    steps = run.options.generator_steps
    generator: Any
    if steps:
        values = {name: (torch.from_numpy(codes[name]), labels[name]) for name in codes}
        generator = cp.fit_generator(
            VARIABLES["Image1"], images, values, seed=run.options.seed, steps=steps, **facts
        )
    else:
        declared = [cp.Label(name, label.categories) for name, label in labels.items()]
        generator = ImageBank(
            images, declared, torch.from_numpy(np.stack(list(codes.values()), 1)), **facts
        )
    return generator.save_pretrained(run.options.output_dir / "generator")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    made = parser(__file__, __doc__)
    made.add_argument(
        "--data",
        help="folder with the MNIST idx files, or a Hub id; default: scikit-learn's digits",
    )
    made.add_argument(
        "--generator",
        help="adapter repository with labels digit, thick, color; default: trained first",
    )
    made.add_argument("--rows", type=int, help="rows of each of the three sources")
    made.add_argument("--steps", type=int, help="updates of each module")
    made.add_argument(
        "--generator-steps", type=int, help="updates of the generator; 0: a bank of the images"
    )
    made.add_argument("--samples", type=int, help="rows sampled for each answer")
    run = Run(__file__, made, arguments)
    chosen = run.options
    data, scm = load_digit_images(chosen.data, range(SIZES["Y1"])), TwoImageSCM()
    worlds: list[dict[str, int]] = [{}, {"X1": 0}, {"X1": 1}]
    rows = [
        queries.named(scm.sample(chosen.rows, seed=3 * chosen.seed + i, do=do))
        for i, do in enumerate(worlds)
    ]
    rows[0] |= queries.images_of(
        rows[0], data, chosen.seed
    )  # the experiments are on causes: no images
    names = ["P(V)", "P(V | do(X1=0))", "P(V | do(X1=1))"]
    sources = [
        cp.DataSource(r, do=tuple(do), name=n) for r, do, n in zip(rows, worlds, names, strict=True)
    ]
    run.lap("rows")
    repository = chosen.generator or pretrain(data, run)
    run.lap("generator")

    generator = cp.from_pretrained(
        repository, label_map=lambda *parents: parents
    )  # frozen; one for both images
    graph = cp.CausalGraph.parse(GRAPH)
    dcm = cp.DCM(
        graph, VARIABLES, mechanisms={"Image1": generator, "Image2": generator}, seed=chosen.seed
    )
    config = cp.TrainingConfig(
        seed=chosen.seed, objective="likelihood", steps=chosen.steps, check_fit=not chosen.quick
    )
    trainer = cp.Trainer(dcm, sources, config=config, output_dir=chosen.output_dir / "training")
    print(trainer.plan, "\n")
    report = trainer.train()
    print(report, "\n")
    run.lap("training")

    result = {
        "queries": {
            name: queries.answer(dcm, scm, query, chosen.samples) for name, query in QUERIES.items()
        }
    }
    unconditional = tvd(scm.probability(["Color"], None, EVIDENCE), scm.probability(["Color"]))
    color = dcm.counterfactual(chosen.samples, evidence=EVIDENCE, do=DO, variables=["Color"])[
        "Color"
    ]
    truth = scm.probability(["Color"], DO, EVIDENCE)
    result["color"] = queries.compare(queries.shares(color, "Color"), truth) | {
        "tvd_ignoring_evidence": unconditional
    }
    run.lap("answers")
    result["images"] = {
        name: queries.judged(dcm, query, data, 300) for name, query in QUERIES.items()
    }
    run.lap("images")
    dcm.save_pretrained(chosen.output_dir / "dcm")
    draw(dcm, report, result, chosen.output_dir)
    run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def draw(dcm: cp.DCM, report: Any, result: Mapping[str, Any], folder: Path) -> None:
    """Write the plan, the training, the answer about the colour, and a grid of images for each
    query."""
    pairs = {}
    for name, query in QUERIES.items():
        frame = queries.draws(dcm, query, 7, ("Image1", "Image2"), seed=7)
        both = np.pad(
            np.stack([np.stack(list(frame[f"Image{i}"])) for i in (1, 2)], 1),
            ((0, 0),) * 4 + ((0, 2),),
        )
        pairs[name] = list(
            np.rint(255 * both).astype(np.uint8).transpose(0, 3, 1, 4, 2).reshape(7, 28, 60, 3)
        )
    names = VARIABLES["Color"].categories
    bars = {of: dict(zip(names, result["color"][of], strict=True)) for of in ("truth", "model")}
    color = {"P(Color under X1=1, X2=4 | X1=0, X2=1)": bars}
    pictures = {
        "plan": dcm.plan.plot() if dcm.plan is not None else None,
        "training": plots.plot_training(report),
        "color": plots.plot_distributions(color),
        "images": plots.plot_images(pairs, width=7.0),
    }
    for name, figure in pictures.items():
        if figure is not None:
            figure.savefig(folder / f"{name}.png", dpi=200)


def show(result: Mapping[str, Any]) -> None:
    """Print the answers."""
    for name, row in result["queries"].items():
        distance = f"TVD {row['tvd']:.3f} ({row['chance']:.3f} by chance)"
        print(f"{name}: {distance}; images right " + str(result["images"][name]))
        for outcome in row["outcomes"]:
            print(
                f"    {outcome['outcome']:24} exact {outcome['truth']:.3f}  model "
                f"{outcome['model']:.3f}"
            )
    print(f"P(Color under X1=1, X2=4 | X1=0, X2=1): {result['color']}")


if __name__ == "__main__":
    main()
