"""Sampling from P(y | do(x)) on the graphs of ID-GEN: front door, back door and napkin, with tables
and with images. ``--help`` lists the options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.svm import SVC

import causalplug as cp
from causalplug import plots
from causalplug.adapters.image_bank import ImageBank
from recipes.common import Run, parser, tvd
from recipes.idgen.worlds import GRAPHS, Pictures, World, load_pictures, table_world, with_images

BINARY = cp.Discrete(2)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    made = parser(__file__, __doc__)
    made.add_argument(
        "--data", help="folder with the MNIST idx files, or a Hub id; default: 8 x 8 digits"
    )
    made.add_argument("--graphs", nargs="+", choices=list(GRAPHS), default=list(GRAPHS))
    made.add_argument(
        "--image-graphs", nargs="+", choices=list(GRAPHS), help="graphs that are given images too"
    )
    made.add_argument("--steps", type=int, help="updates with images; default: as many as it takes")
    made.add_argument("--encoder-steps", type=int, help="updates of the encoder of the images")
    made.add_argument("--rows", type=int, help="rows of every table")
    made.add_argument("--image-rows", type=int, help="rows of every table with images")
    made.add_argument("--samples", type=int, help="rows sampled for each answer")
    made.add_argument(
        "--generator-steps", type=int, help="updates of the generator; 0: a bank of the images"
    )
    made.add_argument("--world", type=int, default=170, help="seed of the worlds' tables")
    run = Run(__file__, made, arguments)
    chosen = run.options
    result: dict[str, Any] = {"tables": {}, "images": {}}
    for name in chosen.graphs:
        result["tables"][name] = of_tables(name, run)
        run.lap("tables")
    pictures = load_pictures(chosen.data)
    repository = pretrain(pictures, run)
    judge = SVC(C=10.0).fit(flat(pictures.held_out_images), pictures.held_out_digits)
    run.lap("generator and judge")
    for name in chosen.image_graphs:
        world = with_images(name, chosen.world)
        dcm = of_images(name, world, pictures, repository, run)
        run.lap("training with images")
        result["images"][name] = answers(dcm, world, judge, chosen.samples, chosen.seed)
        run.lap("answers with images")
        dcm.save_pretrained(chosen.output_dir / f"dcm-{name}")
        draw(dcm, chosen.output_dir / f"images-{name}.png")
        run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def of_tables(name: str, run: Run) -> dict[str, Any]:
    """Train on rows of a binary world, and compare P(Y | do(X)) with the exact one."""
    chosen = run.options
    world = table_world(name, chosen.world)
    dcm = cp.DCM(world.graph, dict.fromkeys(world.tables, BINARY), seed=chosen.seed)
    rows = world.network.sample(chosen.rows, seed=chosen.seed)
    cp.fit(dcm, rows, seed=chosen.seed, objective="likelihood", progress=False)
    found = []
    for x in (0, 1):
        answer = dcm.estimate(f"P(Y | do(X={x}))", n=chosen.samples, seed=chosen.seed)
        found.append(answer.table.set_index("Y")["estimate"].loc[[0, 1]].to_numpy())
    return compared(world, found)


def compared(world: World, model: list[np.ndarray]) -> dict[str, Any]:
    """TVD of P(Y | do(X=x)), the larger one of both x, of the model and of the rows as they
    stand."""
    joint = world.network.joint(["X", "Y"])
    exact = [world.network.joint(["Y"], {"X": x}) for x in (0, 1)]
    return {
        "exact": [row.tolist() for row in exact],
        "model": [row.tolist() for row in model],
        "itvd": max(map(tvd, exact, model)),
        "naive": max(tvd(exact[x], joint[x] / joint[x].sum()) for x in (0, 1)),
    }


def pretrain(pictures: Pictures, run: Run) -> Path:
    """A conditional GAN of the two digits, or a bank of their images, saved as a repository."""
    chosen = run.options
    images = torch.from_numpy(pictures.images[:, None])
    digits = torch.from_numpy(pictures.digits.astype(np.int64))
    facts: dict[str, Any] = {"license": "other", "source": f"made from {pictures.name}"}
    generator: Any
    if chosen.generator_steps:
        generator = cp.fit_generator(
            cp.Image(*images.shape[1:]),
            images,
            {"digit": (digits, BINARY)},
            seed=chosen.seed,
            steps=chosen.generator_steps,
            **facts,
        )
    else:
        label = cp.Label("digit", BINARY.categories)
        generator = ImageBank(images, [label], digits[:, None], **facts)
    return generator.save_pretrained(chosen.output_dir / "generator")


def of_images(name: str, world: World, pictures: Pictures, repository: Path, run: Run) -> cp.DCM:
    """A model with an image of the treatment and one of the outcome, both by one frozen
    generator."""
    chosen = run.options
    rng = np.random.default_rng(chosen.seed + 1)
    values = hidden_rows(world, chosen.image_rows, chosen.seed)
    rows = {variable: values[variable] for variable in world.tables}
    rows |= {"I": pictures.show(values["S"], rng), "J": pictures.show(values["Y"], rng)}
    image = cp.Image(1, *pictures.images.shape[1:])
    variables = dict.fromkeys(world.tables, BINARY) | {"I": image, "J": image}
    mechanisms = {
        "I": cp.from_pretrained(repository, label_map="estimate"),
        "J": cp.from_pretrained(repository, label_map="identity"),
    }
    dcm = cp.DCM(world.graph, variables, mechanisms=mechanisms, seed=chosen.seed)
    config = cp.TrainingConfig(
        seed=chosen.seed,
        objective="likelihood",
        steps=chosen.steps,
        encoder_steps=chosen.encoder_steps,
        check_fit=not chosen.quick,
    )
    folder = chosen.output_dir / f"training-{name}"
    trainer = cp.Trainer(dcm, [cp.DataSource(rows, name="rows")], config=config, output_dir=folder)
    print(f"{name}, with images\n{trainer.plan}\n")
    print(trainer.train(), "\n")
    return dcm


def hidden_rows(world: World, n: int, seed: int) -> dict[str, np.ndarray]:
    """Rows of a world, with the digit that the image of X shows."""
    network = world.network
    others = [name for name in network.hidden if name != "S"]
    seen = type(network)(network.tables, network.categories, hidden=others)
    return seen.sample(n, seed=seed)


def answers(dcm: cp.DCM, world: World, judge: SVC, n: int, seed: int) -> dict[str, Any]:
    """P(Y | do(X)) by the model, and the digits that the sampled images of the outcome show."""
    model, shown = [], []
    for x in (0, 1):
        answer = dcm.estimate(f"P(Y | do(X={x}))", n=n, seed=seed)
        model.append(answer.table.set_index("Y")["estimate"].loc[[0, 1]].to_numpy())
        drawn = dcm.sample(n // 4, do={"X": x}, variables=["J"], seed=seed)["J"]
        read = judge.predict(flat(np.rint(255 * np.stack(list(drawn)))[:, 0]))
        shown.append(np.bincount(read.astype(int), minlength=2) / len(read))
    found = compared(world, model)
    found["images"] = [row.tolist() for row in shown]
    found["itvd_images"] = max(map(tvd, found["exact"], shown))
    return found


def flat(images: np.ndarray) -> np.ndarray:
    """Images ``(n, height, width)`` in [0, 255] as rows in [0, 1]."""
    return images.reshape(len(images), -1) / 255


def draw(dcm: cp.DCM, path: Path) -> None:
    """Write images of the outcome under both interventions."""
    figure = plots.plot_interventions(dcm, "J", [{"X": 0}, {"X": 1}], n=10, seed=7)
    figure.savefig(path, dpi=200)


def show(result: dict[str, Any]) -> None:
    """Print the distances."""
    print(f"{'larger TVD of P(Y | do(X=x))':32}{'model':>9}{'images':>9}{'conditioning only':>21}")
    for kind, of in (("tables", "tables"), ("images", "with images")):
        for name, row in result[kind].items():
            images = f"{row['itvd_images']:9.4f}" if "itvd_images" in row else f"{'':9}"
            print(f"{name + ', ' + of:32}{row['itvd']:9.4f}{images}{row['naive']:21.4f}")


if __name__ == "__main__":
    main()
