"""P(A | do(D)) with an image between D and A, by a frozen generator inside a causal model.
``--help`` lists the options.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp
from recipes.common import Run, parser
from recipes.mnist_frontdoor.data import DigitImages, load_digit_images
from recipes.mnist_frontdoor.judge import train_judge
from recipes.mnist_frontdoor.pictures import draw_pictures
from recipes.mnist_frontdoor.scm import FrontDoorSCM, tvd


def options() -> argparse.ArgumentParser:
    """The options of the command line."""
    made = parser(__file__, __doc__)
    made.add_argument(
        "--data",
        help="folder with the MNIST idx files, or a Hub dataset id; default: scikit-learn's digits",
    )
    made.add_argument(
        "--generator", help="adapter repository (folder or Hub id); default: one is trained first"
    )
    made.add_argument(
        "--image", choices=["3x32x32", "1x28x28"], default="3x32x32", help="coloured or grey images"
    )
    made.add_argument(
        "--fidelity", type=float, default=0.75, help="probability that the image shows D's digit"
    )
    made.add_argument("--objective", choices=["adversarial", "likelihood", "warm"], default="warm")
    made.add_argument("--rows", type=int, help="observational rows")
    made.add_argument("--steps", type=int, help="updates of the module of D and A")
    made.add_argument("--generator-steps", type=int, help="updates of the generator")
    return made


def pretrain(
    scm: FrontDoorSCM, data: DigitImages, image: cp.Image, chosen: argparse.Namespace
) -> Path:
    """Train a conditional GAN on the pictures and their digits alone, and save it as an adapter
    repository."""
    rng = np.random.default_rng(chosen.seed + 1)
    index = rng.integers(len(data.images), size=8000)
    pictures = scm.render(index, rng.integers(12, size=len(index)))
    digits = (torch.from_numpy(data.digits[index]), cp.Discrete(2))
    generator = cp.fit_generator(
        image,
        image.encode(pictures, "I"),
        {"digit": digits},
        seed=chosen.seed,
        steps=chosen.generator_steps,
        license="cc0-1.0",
        source=f"trained by this recipe on {data.name}",
    )
    return generator.save_pretrained(chosen.output_dir / "generator")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    run = Run(__file__, options(), arguments)
    chosen = run.options
    data = load_digit_images(chosen.data)
    shape = tuple(int(size) for size in chosen.image.split("x"))
    scm = FrontDoorSCM(data.images, data.digits, image_shape=shape, fidelity=chosen.fidelity)  # type: ignore[arg-type]
    answers = scm.answers()
    rows, _ = scm.sample(chosen.rows, seed=chosen.seed)
    run.lap("data and exact answers")

    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    image = cp.Image(*shape)
    variables = {"D": cp.Discrete(2), "I": image, "A": cp.Discrete(3)}
    repository = chosen.generator or pretrain(scm, data, image, chosen)
    run.lap("generator")

    generator = cp.from_pretrained(
        repository, label_map="estimate"
    )  # frozen; which digit is shown is read off the rows
    dcm = cp.DCM(graph, variables, mechanisms={"I": generator}, seed=chosen.seed)
    config = cp.TrainingConfig(seed=chosen.seed, objective=chosen.objective, steps=chosen.steps)
    source = cp.DataSource(rows, name="rows")
    trainer = cp.Trainer(dcm, [source], config=config, output_dir=chosen.output_dir / "training")
    print(trainer.plan, "\n")
    report = trainer.train()
    print(report, "\n")
    run.lap("training")

    result = answer(dcm, scm, data, answers, chosen.seed)
    run.lap("answers")
    dcm.save_pretrained(chosen.output_dir / "dcm")
    draw_pictures(dcm, report, rows, result, chosen.output_dir)
    run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def answer(
    dcm: cp.DCM, scm: FrontDoorSCM, data: DigitImages, answers: Any, seed: int
) -> dict[str, Any]:
    """The model's answers beside the exact ones and the naive reading of the rows."""
    judge = train_judge(data.held_out_images, data.held_out_digits)
    result: dict[str, Any] = {"do": {}, "shown": {}}
    for d in (0, 1):
        model = shares(dcm.sample(30_000, do={"D": d}, variables=["A"], seed=seed)["A"], 3)
        pictures = np.stack(list(dcm.sample(4_000, do={"D": d}, variables=["I"], seed=seed)["I"]))
        result["do"][d] = {
            "truth": answers.do[d].tolist(),
            "model": model.tolist(),
            "naive": answers.naive[d].tolist(),
            "tvd_model": float(tvd(model, answers.do[d])),
            "tvd_naive": float(tvd(answers.naive[d], answers.do[d])),
        }
        result["shown"][d] = float((judge(pictures) == d).mean())
    both = dcm.sample(30_000, variables=["D", "A"], seed=seed)
    joint = shares(both["D"] * 3 + both["A"], 6).reshape(2, 3)
    result["tvd_joint"] = float(tvd(joint.ravel(), answers.joint.ravel()))
    result["max_tvd"] = max(row["tvd_model"] for row in result["do"].values())
    return result


def shares(codes: Any, size: int) -> np.ndarray:
    """Share of each code."""
    return np.bincount(np.asarray(codes), minlength=size) / len(codes)


def show(result: dict[str, Any]) -> None:
    """Print the answers."""
    print(f"{'':28}{'A=0':>7}{'A=1':>7}{'A=2':>7}{'TVD':>9}")
    for d, row in result["do"].items():
        for what, label in (
            ("truth", "exact"),
            ("model", "model"),
            ("naive", "conditioning only"),
        ):
            name = f"P(A | D={d})" if what == "naive" else f"P(A | do(D={d}))"
            distance = "" if what == "truth" else f"{row[f'tvd_{what}']:9.3f}"
            print(f"{name:16}{label:>12}" + "".join(f"{p:7.3f}" for p in row[what]) + distance)
    print(f"TVD of P(D, A): {result['tvd_joint']:.3f}")
    print(
        "images under do(D=d) that show d: "
        + ", ".join(f"{share:.3f}" for share in result["shown"].values())
    )


if __name__ == "__main__":
    main()
