"""P(A | do(D)) with an image between D and A that a class-conditional diffusion pipeline paints.
``--help`` lists the options.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC

import causalplug as cp
from causalplug.adapters.diffusers import DiffusersGenerator
from recipes.common import Run, parser, tvd
from recipes.diffusion_mediator.pipeline import train_pipeline
from recipes.mnist_frontdoor.pictures import draw_pictures
from recipes.mnist_frontdoor.scm import SMALL, FrontDoorSCM

IMAGE = cp.Image(*SMALL)
LABEL = cp.Label("digit", 2)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    made = parser(__file__, __doc__)
    made.add_argument(
        "--pipeline", help="a class-conditional pipeline (folder or Hub id); default: trained first"
    )
    made.add_argument("--rows", type=int, help="observational rows")
    made.add_argument("--steps", type=int, help="updates of the module of D and A")
    made.add_argument("--pipeline-steps", type=int, help="updates of the pipeline")
    made.add_argument(
        "--gan-steps", type=int, help="updates of the GAN that its cost is compared with"
    )
    made.add_argument("--samples", type=int, help="rows sampled for each answer")
    made.add_argument("--scheduler-steps", type=int, help="steps from noise to an image")
    run = Run(__file__, made, arguments)
    chosen = run.options
    bundled = load_digits()
    member = bundled.target < 2
    images, digits = (
        np.rint(bundled.images[member] * (255 / 16)).astype(np.uint8),
        bundled.target[member],
    )
    held_out = np.arange(len(digits)) % 3 == 2  # for the judge alone
    scm = FrontDoorSCM(images[~held_out], digits[~held_out], image_shape=SMALL)
    rows, _ = scm.sample(chosen.rows, seed=chosen.seed)
    run.lap("rows")
    costs, repository = trained(images[~held_out], digits[~held_out], run)
    run.lap("pipeline and GAN")

    generator = cp.from_pretrained(
        repository, label_map="estimate"
    )  # frozen; which digit is shown is read off the rows
    variables = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(3)}
    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    dcm = cp.DCM(graph, variables, mechanisms={"I": generator}, seed=chosen.seed)
    config = cp.TrainingConfig(
        seed=chosen.seed, objective="warm", steps=chosen.steps, check_fit=not chosen.quick
    )
    trainer = cp.Trainer(
        dcm,
        [cp.DataSource(rows, name="rows")],
        config=config,
        output_dir=chosen.output_dir / "training",
    )
    print(trainer.plan, "\n")
    report = trainer.train()
    print(report, "\n")
    run.lap("training")

    judge = SVC(C=10.0).fit(images[held_out].reshape(-1, 64) / 255, digits[held_out])
    result = answer(
        dcm, scm, lambda made: judge.predict(made.reshape(-1, 64)), chosen.samples, chosen.seed
    ) | {"costs": costs}
    run.lap("answers")
    dcm.save_pretrained(chosen.output_dir / "dcm")
    draw_pictures(dcm, report, rows, result, chosen.output_dir)
    run.lap("saving and pictures")
    show(result)
    return run.finish(result)


def trained(
    images: np.ndarray, digits: np.ndarray, run: Run
) -> tuple[dict[str, float], str | Path]:
    """CPU seconds of a training step and of an image, of the pipeline and of a GAN; and the
    pipeline's repository."""
    chosen, costs = run.options, {}
    start = time.process_time()
    pixels = torch.from_numpy(images[:, None])
    labels = {"digit": (torch.from_numpy(digits.astype(np.int64)), LABEL.values)}
    gan = cp.fit_generator(IMAGE, pixels, labels, seed=chosen.seed, steps=chosen.gan_steps)
    costs["GAN, ms a step"] = 1000 * (time.process_time() - start) / chosen.gan_steps
    folder = chosen.pipeline
    if folder is None:
        start = time.process_time()
        folder = train_pipeline(
            images[:, None],
            digits,
            chosen.output_dir / "pipeline",
            steps=chosen.pipeline_steps,
            seed=chosen.seed,
        )
        costs["pipeline, ms a step"] = 1000 * (time.process_time() - start) / chosen.pipeline_steps
    generator = DiffusersGenerator.from_pretrained(folder, [LABEL], steps=chosen.scheduler_steps)
    if chosen.pipeline is None:
        generator.license, generator.source = (
            "cc0-1.0",
            "trained by this recipe on scikit-learn digits",
        )
    for name, painter in (("GAN", gan), ("pipeline", generator)):
        own = {
            k: spec.draw(256, torch.Generator().manual_seed(0))
            for k, spec in painter.generator_noise.items()
        }
        start = time.process_time()
        painter.paint(torch.arange(256) % 2, own)
        costs[f"{name}, ms an image"] = 1000 * (time.process_time() - start) / 256
    return costs, generator.save_pretrained(chosen.output_dir / "generator")


def answer(
    dcm: cp.DCM, scm: FrontDoorSCM, judge: Callable[[np.ndarray], np.ndarray], n: int, seed: int
) -> dict[str, Any]:
    """The model's answers beside the exact ones and the naive reading of the rows."""
    answers = scm.answers()
    result: dict[str, Any] = {"do": {}, "shown": {}}
    for d in (0, 1):
        drawn = dcm.sample(n, do={"D": d}, variables=["I", "A"], seed=seed)
        model = np.bincount(drawn["A"], minlength=3) / len(drawn)
        result["do"][d] = {
            "truth": answers.do[d].tolist(),
            "model": model.tolist(),
            "naive": answers.naive[d].tolist(),
            "tvd_model": tvd(model, answers.do[d]),
            "tvd_naive": tvd(answers.naive[d], answers.do[d]),
        }
        result["shown"][d] = float((judge(np.stack(list(drawn["I"]))) == d).mean())
    both = dcm.sample(n, variables=["D", "A"], seed=seed)
    joint = np.bincount(both["D"] * 3 + both["A"], minlength=6) / len(both)
    result["tvd_joint"] = tvd(joint, answers.joint.ravel())
    result["max_tvd"] = max(row["tvd_model"] for row in result["do"].values())
    return result


def show(result: Mapping[str, Any]) -> None:
    """Print the answers and the costs."""
    for d, row in result["do"].items():
        for what in ("truth", "model", "naive"):
            print(f"P(A | do(D={d})) {what:6}" + "".join(f"{p:7.3f}" for p in row[what]))
        print(
            f"    TVD of the model {row['tvd_model']:.3f}, of conditioning only "
            f"{row['tvd_naive']:.3f}"
        )
    print(
        f"TVD of P(D, A): {result['tvd_joint']:.3f}; images under do(D=d) that show d: "
        f"{result['shown']}"
    )
    print("CPU: " + ", ".join(f"{name} {value:.2f}" for name, value in result["costs"].items()))


if __name__ == "__main__":
    main()
