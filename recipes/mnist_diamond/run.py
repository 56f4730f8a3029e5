"""P(Colour | do(Digit)) and P(Colour | do(Style)) with two images between them, by three frozen
models. ``--help`` lists the options.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import causalplug as cp
from causalplug.encoders.encoders import PCAEncoder
from recipes.common import Run, parser, tvd
from recipes.mnist_diamond.parts import (
    first_generator,
    linear_generator,
    own_classifier,
    own_generator,
    painted,
    third_party,
)
from recipes.mnist_diamond.scm import DiamondSCM
from recipes.mnist_frontdoor.data import load_digit_images

GRAPH = "Style -> I1 -> Digit -> I2 -> Colour; Style <-> Colour"


def options() -> argparse.ArgumentParser:
    """The options of the command line."""
    made = parser(__file__, __doc__)
    made.add_argument("--data", help="folder with the MNIST idx files; default: 8 x 8 digits")
    made.add_argument(
        "--pretrained",
        type=Path,
        help="folder with mnist-lenet and mnist-cgan-mlp, for --data; default: small ones are made",
    )
    made.add_argument(
        "--second",
        choices=["painted", "real"],
        default="painted",
        help="where the world takes I2 from: the generator with other noise, or real digits",
    )
    made.add_argument("--rows", type=int, help="observational rows")
    made.add_argument("--steps", type=int, help="updates of the module of Style and Colour")
    made.add_argument("--batch-size", type=int, help="rows of an update")
    made.add_argument("--components", type=int, help="principal components of an image")
    made.add_argument("--generator-steps", type=int, help="updates of a generator of one's own")
    made.add_argument("--samples", type=int, help="rows sampled for each answer")
    made.add_argument("--bank", type=int, help="first images in the bank")
    return made


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    run = Run(__file__, options(), arguments)
    chosen = run.options
    images, digits, kept = pictures(chosen.data)
    parts = frozen_parts(images[~kept], digits[~kept], chosen)
    run.lap("frozen models")
    count = int(digits.max()) + 1
    made = painted(parts["I2"], count, chosen.painted, seed=chosen.seed + 1)
    second = made if chosen.second == "painted" else None
    scm = DiamondSCM(images[kept], digits[kept], second)
    rows = scm.sample(chosen.rows, seed=chosen.seed)
    run.lap("rows")

    image = cp.Image(1, *images.shape[1:])
    variables = {
        "Style": cp.Discrete(2),
        "I1": image,
        "Digit": cp.Discrete(scm.count),
        "I2": image,
        "Colour": cp.Discrete(["red", "green", "blue"]),
    }
    graph = cp.CausalGraph.parse(GRAPH)
    encoders = {name: PCAEncoder(image, chosen.components) for name in ("I1", "I2")}
    dcm = cp.DCM(graph, variables, mechanisms=parts, encoders=encoders, seed=chosen.seed)
    rows["Colour"] = np.array(["red", "green", "blue"])[rows["Colour"]]
    config = cp.TrainingConfig(
        seed=chosen.seed,
        objective="likelihood",
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        encoder_steps=1,  # principal components are not trained
        check_fit=not chosen.quick,
    )
    source = cp.DataSource(rows, name="rows")
    trainer = cp.Trainer(dcm, [source], config=config, output_dir=chosen.output_dir / "training")
    print(trainer.plan, "\n")
    report = trainer.train()
    print(report, "\n")
    run.lap("training")

    result = answer(dcm, scm, chosen.samples, chosen.seed)
    result["generator_gap"] = gap(scm, *made)
    run.lap("answers")
    dcm.save_pretrained(chosen.output_dir / "dcm")
    trainer.plan.plot().savefig(chosen.output_dir / "plan.png")
    run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def pictures(data: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, their digits, and which of them the world shows; the rest is for what is
    pretrained."""
    if data is not None:
        found = load_digit_images(data, classes=range(10))
        images, digits = found.images[:16_000], found.digits[:16_000]
    else:
        from sklearn.datasets import load_digits

        bundled = load_digits(n_class=2)
        images = np.rint(bundled.images * (255 / 16)).astype(np.uint8)
        digits = bundled.target.astype(np.int64)
    return images, digits, np.arange(len(digits)) % 4 < 2


def frozen_parts(
    images: np.ndarray, digits: np.ndarray, chosen: argparse.Namespace
) -> dict[str, cp.Mechanism]:
    """The frozen mechanisms of I1, Digit and I2, saved as repositories and loaded again."""
    other = DiamondSCM(images, digits)
    first = first_generator(other, chosen.bank, seed=chosen.seed)
    if chosen.pretrained is not None:
        classifier, second = third_party(chosen.pretrained)
    else:
        classifier = own_classifier(images, digits, steps=200, seed=chosen.seed)
        second = linear_generator(images, digits)
        if not chosen.quick:
            second = own_generator(images, digits, steps=chosen.generator_steps, seed=chosen.seed)
    parts = {"I1": first, "Digit": classifier, "I2": second}
    home = chosen.output_dir
    saved = {name: part.save_pretrained(home / f"part-{name}") for name, part in parts.items()}
    return {name: cp.from_pretrained(folder) for name, folder in saved.items()}


def answer(dcm: cp.DCM, scm: DiamondSCM, n: int, seed: int) -> dict[str, Any]:
    """The model's answers beside the exact ones and conditioning only."""
    exact = scm.answers()
    result: dict[str, Any] = {}
    for name, do, naive in (
        ("Digit", exact.do_digit, exact.naive_digit),
        ("Style", exact.do_style, exact.naive_style),
    ):
        result[name] = {}
        for value, truth in enumerate(do):
            drawn = dcm.sample(n, do={name: value}, variables=["Colour"], seed=seed)["Colour"]
            model = drawn.value_counts(normalize=True)
            model = [float(model.get(colour, 0.0)) for colour in ("red", "green", "blue")]
            result[name][value] = {
                "truth": truth.tolist(),
                "model": model,
                "naive": naive[value].tolist(),
                "tvd_model": tvd(model, truth),
                "tvd_naive": tvd(naive[value], truth),
            }
    every = [row for name in ("Digit", "Style") for row in result[name].values()]
    result["max_tvd"] = max(row["tvd_model"] for row in every)
    result["max_tvd_naive"] = max(row["tvd_naive"] for row in every)
    return result


def gap(scm: DiamondSCM, images: np.ndarray, digits: np.ndarray) -> float:
    """Largest TVD of P(Colour | do(Digit)) with the generator's images in place of the world's:
    what no training can mend."""
    exact = scm.answers().do_digit
    made = [scm.colour(images[digits == digit]).mean(0) for digit in range(scm.count)]
    return max(map(tvd, made, exact))


def show(result: Mapping[str, Any]) -> None:
    """Print the answers."""
    for name in ("Digit", "Style"):
        for value, row in result[name].items():
            for what in ("truth", "model", "naive"):
                shares = "".join(f"{p:7.3f}" for p in row[what])
                print(f"P(Colour | do({name}={value})) {what:6}{shares}")
            print(
                f"    TVD of the model {row['tvd_model']:.3f}, of conditioning only "
                f"{row['tvd_naive']:.3f}"
            )
    print(
        f"Largest TVD {result['max_tvd']:.3f}, rows {result['max_tvd_naive']:.3f}, of "
        f"the generator itself {result['generator_gap']:.3f}"
    )


if __name__ == "__main__":
    main()
