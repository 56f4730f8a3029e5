"""A classifier of eyeglasses that does not go by the sex, by images sampled under do().
``--help`` lists the options.
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
from causalplug.mechanisms.frozen.label_estimation import fit_label_classifier
from recipes.common import Run, parser
from recipes.invariant_faces.data import OTHER, TARGET, Faces, load_faces, stand_in

GRAPH = cp.CausalGraph.parse("Sex -> Image; Eyeglasses -> Image; Sex <-> Eyeglasses")
BINARY = cp.Discrete(2)
PAIRS = [(s, e) for s in (0, 1) for e in (0, 1)]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    made = parser(__file__, __doc__)
    made.add_argument(
        "--faces",
        help="folder of CelebA, of CelebA-HQ, or with metadata.csv: file_name, Sex, Eyeglasses",
    )
    made.add_argument("--most", type=int, help="faces that are read; default: all")
    made.add_argument(
        "--data",
        help="without faces: folder with the MNIST idx files; default: scikit-learn's digits",
    )
    made.add_argument("--generator", help="adapter repository; default: one is trained first")
    made.add_argument("--rows", type=int, help="rows of digits")
    made.add_argument("--steps", type=int, help="updates of the module of Sex and Eyeglasses")
    made.add_argument(
        "--generator-steps", type=int, help="updates of the generator; 0: a bank of its images"
    )
    made.add_argument("--samples", type=int, help="images under do()")
    made.add_argument("--classifier-steps", type=int, help="updates of each classifier")
    run = Run(__file__, made, arguments)
    chosen = run.options
    faces = (
        load_faces(chosen.faces, chosen.seed, most=chosen.most)
        if chosen.faces
        else stand_in(chosen.data, chosen.rows, chosen.seed)
    )
    image = cp.Image(*faces.rows["Image"].shape[1:])
    run.lap("rows")
    repository = chosen.generator or pretrain(faces, image, run)
    run.lap("generator")

    same = set(faces.labels) <= set(faces.rows)  # digits: what is shown is read off the rows
    generator = cp.from_pretrained(
        repository, label_map="identity" if same else "estimate"
    )  # frozen
    variables = {"Sex": BINARY, "Eyeglasses": BINARY, "Image": image}
    dcm = cp.DCM(GRAPH, variables, mechanisms={"Image": generator}, seed=chosen.seed)
    report = cp.fit(
        dcm,
        cp.DataSource(faces.rows, name="rows"),
        output_dir=chosen.output_dir / "training",
        seed=chosen.seed,
        objective="likelihood",
        steps=chosen.steps,
        check_fit=not chosen.quick,
    )
    print(dcm.plan, "\n")
    print(report, "\n")
    run.lap("training")

    drawn = cut(dcm, chosen.samples, chosen.seed)
    run.lap("images under do()")
    result: dict[str, Any] = {
        "images": faces.name,
        "agreement": {
            "rows": faces.agreement,
            "do()": float((drawn["Sex"] == drawn["Eyeglasses"]).mean()),
        },
    }
    result["accuracy"] = accuracies(faces, drawn, image, run)
    before, after = (result["accuracy"][name]["untied"] for name in ("rows", "do() samples"))
    result["gain"] = after - before
    run.lap("classifiers")
    dcm.save_pretrained(chosen.output_dir / "dcm")
    draw(dcm, faces, result, chosen.output_dir)
    run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def pretrain(faces: Faces, image: cp.Image, run: Run) -> Path:
    """Train a conditional GAN on labelled images alone, or keep them as a bank, and save it."""
    images, steps = torch.from_numpy(faces.images), run.options.generator_steps
    codes = {
        name: torch.from_numpy(column.astype(np.int64)) for name, column in faces.labels.items()
    }
    facts: dict[str, Any] = {"license": "other", "source": f"made by this recipe of {faces.name}"}
    generator: Any
    if steps:
        values = {name: (column, BINARY) for name, column in codes.items()}
        generator = cp.fit_generator(
            image, images, values, seed=run.options.seed, steps=steps, **facts
        )
    else:
        labels = [cp.Label(name, BINARY.categories) for name in codes]
        generator = ImageBank(images, labels, torch.stack(list(codes.values()), 1), **facts)
    return generator.save_pretrained(run.options.output_dir / "generator")


def cut(dcm: cp.DCM, n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` images under do(Sex=0) and do(Sex=1), in equal parts: Eyeglasses keep their own
    distribution."""
    parts = []
    for value in (0, 1):
        frame = dcm.sample(
            n // 2, do={OTHER: value}, variables=[TARGET, "Image"], seed=seed + value
        )
        images = np.rint(255 * np.stack(list(frame["Image"]))).astype(np.uint8)
        parts.append((frame[TARGET].to_numpy(), np.full(len(frame), value), images))
    return dict(
        zip(
            (TARGET, OTHER, "Image"),
            map(np.concatenate, zip(*parts, strict=True)),
            strict=True,
        )
    )


def accuracies(
    faces: Faces, drawn: Mapping[str, np.ndarray], image: cp.Image, run: Run
) -> dict[str, dict[str, float]]:
    """Accuracy of classifiers of Eyeglasses: on rows like those that they were trained on, and
    where the labels are untied.

    ``worst pair`` is the least accuracy over the four pairs of labels.
    """
    own, kept = np.split(
        np.random.default_rng(0).permutation(len(faces.rows[TARGET])),
        [len(faces.rows[TARGET]) // 10],
    )
    rows = {name: column[kept] for name, column in faces.rows.items()}
    whole = {name: np.concatenate([rows[name], drawn[name]]) for name in rows}
    found = {}
    for name, table in (("rows", rows), ("do() samples", drawn), ("both", whole)):
        classify = fit_label_classifier(
            image,
            image.scale(torch.from_numpy(table["Image"])),
            torch.from_numpy(table[TARGET].astype(np.int64)),
            2,
            steps=run.options.classifier_steps,
            seed=run.options.seed,
        )

        def right(part: Mapping[str, np.ndarray], classify: Any = classify) -> np.ndarray:
            with torch.no_grad():
                scores = torch.cat(
                    [classify(image.scale(x)) for x in torch.from_numpy(part["Image"]).split(500)]
                )
            return scores.argmax(1).numpy() == part[TARGET]

        shifted = right(faces.test)
        pairs = [
            shifted[(faces.test["Sex"] == s) & (faces.test["Eyeglasses"] == e)].mean()
            for s, e in PAIRS
        ]
        same = right({key: column[own] for key, column in faces.rows.items()})
        found[name] = {
            "such rows": float(same.mean()),
            "untied": float(shifted.mean()),
            "worst pair": float(min(pairs)),
        }
    return found


def draw(dcm: cp.DCM, faces: Faces, result: Mapping[str, Any], folder: Path) -> None:
    """Write the plan, the accuracies, and images of the rows and under do() of both labels."""
    rows = {
        f"rows, Sex={s}, Eyeglasses={e}": faces.rows["Image"][
            (faces.rows["Sex"] == s) & (faces.rows["Eyeglasses"] == e)
        ]
        for s, e in PAIRS
    }
    doings = [{"Sex": s, "Eyeglasses": e} for s, e in PAIRS]
    plots.plot_interventions(dcm, "Image", doings, rows=rows, width=6.0).savefig(
        folder / "images.png", dpi=200
    )
    bars = {"accuracy of a classifier of Eyeglasses, by what it was trained on": result["accuracy"]}
    plots.plot_distributions(bars, label="accuracy").savefig(folder / "accuracy.png", dpi=200)
    if dcm.plan is not None:
        dcm.plan.plot().savefig(folder / "plan.png", dpi=200)


def show(result: Mapping[str, Any]) -> None:
    """Print the accuracies."""
    print(
        "Sex = Eyeglasses: "
        + ", ".join(f"{share:.3f} of {name}" for name, share in result["agreement"].items())
    )
    columns = "".join(f"{title:>12}" for title in ("such rows", "untied", "worst pair"))
    print(f"{'classifier of Eyeglasses, trained on':36}{columns}")
    for name, row in result["accuracy"].items():
        print(f"{name:36}" + "".join(f"{value:12.3f}" for value in row.values()))


if __name__ == "__main__":
    main()
