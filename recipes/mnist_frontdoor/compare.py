"""The comparison of the paper's Figure 3: the model trained module by module around a frozen
generator, or all at once from nothing, with critics that read the image's projection ("rep") or its
pixels. ``--help`` lists the options.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import causalplug as cp
from recipes.common import Run, parser, tvd
from recipes.mnist_frontdoor.data import DigitImages, load_digit_images
from recipes.mnist_frontdoor.judge import train_judge
from recipes.mnist_frontdoor.quality import frechet, independent_encoder
from recipes.mnist_frontdoor.run import pretrain, shares
from recipes.mnist_frontdoor.scm import FrontDoorSCM

GRAPH = cp.CausalGraph.parse("D -> I -> A; D <-> A")
IMAGE = cp.Image(3, 32, 32)
VARIABLES = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(3)}
ARMS: dict[str, dict[str, Any]] = {
    "modular": {"objective": "adversarial"},
    "joint, projections": {"strategy": "joint"},
    "joint, pixels": {"strategy": "joint", "projections": False},
}
REACHED = 0.05


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the comparison; returns what it prints."""
    made = parser(__file__, __doc__)
    made.set_defaults(output_dir=Path("runs/mnist_frontdoor_compare"))
    made.add_argument(
        "--data",
        help="folder with the MNIST idx files, or a Hub id; default: scikit-learn's digits",
    )
    made.add_argument("--rows", type=int, help="observational rows")
    made.add_argument(
        "--generator-steps", type=int, help="updates of the generator of the modular arm"
    )
    made.add_argument("--steps", type=int, help="updates of the modular arm")
    made.add_argument("--joint-steps", type=int, help="updates of the joint arm with projections")
    made.add_argument("--pixel-steps", type=int, help="updates of the joint arm with pixels")
    made.add_argument("--samples", type=int, help="rows sampled for each answer")
    run = Run(__file__, made, arguments)
    chosen = run.options
    data = load_digit_images(chosen.data)
    scm = FrontDoorSCM(data.images, data.digits)
    rows, _ = scm.sample(chosen.rows, seed=chosen.seed)
    others, _ = scm.sample(2000, seed=chosen.seed + 1)
    encoder = independent_encoder(IMAGE, data, steps=300, seed=chosen.seed)
    judge = train_judge(data.held_out_images, data.held_out_digits)
    run.lap("rows, judge and encoder")
    steps = dict(zip(ARMS, (chosen.steps, chosen.joint_steps, chosen.pixel_steps), strict=True))
    result: dict[str, Any] = {
        "arms": {},
        "frechet_of_real_images": frechet(encoder, rows["I"][:2000], others["I"]),
    }
    for name, settings in ARMS.items():
        dcm, found = train(name, settings | {"steps": steps[name]}, data, scm, rows, run)
        found |= measure(dcm, scm, chosen.samples, chosen.seed)
        images = np.stack(list(dcm.sample(2000, variables=["I"], seed=chosen.seed)["I"]))
        found["frechet"] = frechet(encoder, others["I"], images)
        for d in (0, 1):
            shown = judge(
                np.stack(
                    list(dcm.sample(1000, do={"D": d}, variables=["I"], seed=chosen.seed)["I"])
                )
            )
            found[f"shows {d} under do({d})"] = float((shown == d).mean())
        found["seconds_to_reach"] = next(
            (s for s, value in found["curve"] if value <= REACHED), None
        )
        result["arms"][name] = found
        run.lap(name)
    result["ahead"] = ahead(result["arms"])
    draw(result["arms"], chosen.output_dir)
    show(result)
    return run.finish(result)


def train(
    name: str,
    settings: Mapping[str, Any],
    data: DigitImages,
    scm: FrontDoorSCM,
    rows: Mapping[str, np.ndarray],
    run: Run,
) -> tuple[cp.DCM, dict[str, Any]]:
    """One arm: the model, and the TVD of P(D, A) from held-out rows over CPU seconds, the
    generator's included."""
    chosen, start, mechanisms = run.options, time.process_time(), {}
    if name == "modular":
        mechanisms["I"] = cp.from_pretrained(
            pretrain(scm, data, IMAGE, chosen), label_map="estimate"
        )
    generator = time.process_time() - start
    dcm = cp.DCM(GRAPH, VARIABLES, mechanisms=mechanisms, seed=chosen.seed)
    steps, every = settings["steps"], max(1, settings["steps"] // 20)
    config = cp.TrainingConfig(
        seed=chosen.seed, batch_size=128, critic_steps=3, validate_every=every, **settings
    )
    start = time.process_time()
    report = cp.Trainer(dcm, [cp.DataSource(rows, name="rows")], config=config).train()
    cpu, wall = time.process_time() - start, report.seconds
    share = wall["training"] / wall["all"]  # of the CPU seconds too: one thread, nothing waited for
    before = generator + cpu * (1 - share)
    curve = [
        [before + cpu * share * point["step"] / steps, point["tvd"]]
        for point in report.modules[-1].curve
    ]
    facts = {
        "generator": generator,
        "before": before,
        "step": cpu * share / steps,
        "all": generator + cpu,
    }
    return dcm, {"curve": curve, "cpu_seconds": facts, "steps": steps}


def measure(dcm: cp.DCM, scm: FrontDoorSCM, n: int, seed: int) -> dict[str, Any]:
    """TVD of P(D, A) and of P(A | do(D=d)) from the exact answers."""
    answers = scm.answers()
    both = dcm.sample(n, variables=["D", "A"], seed=seed)
    does = [shares(dcm.sample(n, do={"D": d}, variables=["A"], seed=seed)["A"], 3) for d in (0, 1)]
    return {
        "tvd_joint": tvd(shares(both["D"] * 3 + both["A"], 6), answers.joint.ravel()),
        "tvd_do": max(tvd(model, answers.do[d]) for d, model in enumerate(does)),
    }


def ahead(arms: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the modular arm is nearer to P(A | do(D)) and has the better images, for no more
    CPU seconds."""
    first, *others = arms.values()
    better = all(first[key] < other[key] for other in others for key in ("tvd_do", "frechet"))
    return better and all(
        first["cpu_seconds"]["all"] <= other["cpu_seconds"]["all"] for other in others
    )


def draw(arms: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write the curves of all arms in one plot."""
    from causalplug.plots.style import SERIES, panels, plain

    figure, grid = panels(1, 1, 3.5, 2.3)
    axes = grid[0][0]
    for (name, arm), colour in zip(arms.items(), (SERIES["model"], *SERIES["other"]), strict=False):
        axes.plot(*zip(*arm["curve"], strict=True), color=colour, linewidth=1.2, label=name)
    axes.axhline(REACHED, color="#6B6B6B", linestyle=":", linewidth=1.0)
    axes.set_xlabel("CPU seconds, the generator's training included", **plain())
    axes.set_ylabel("TVD of P(D, A), held-out rows", **plain())
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False, fontsize=6.5)
    figure.savefig(folder / "curves.png", dpi=200)


def show(result: Mapping[str, Any]) -> None:
    """Print the table."""
    head = ("TVD P(D,A)", "TVD do(D)", "Fréchet", "shows 0/1", "CPU s", "s to .05")
    print(f"{'':20}" + "".join(f"{title:>12}" for title in head))
    for name, arm in result["arms"].items():
        shown = f"{arm['shows 0 under do(0)']:.2f}/{arm['shows 1 under do(1)']:.2f}"
        reached = (
            "not reached" if arm["seconds_to_reach"] is None else f"{arm['seconds_to_reach']:.0f}"
        )
        numbers = f"{arm['tvd_joint']:12.3f}{arm['tvd_do']:12.3f}{arm['frechet']:12.2f}{shown:>12}"
        print(f"{name:20}{numbers}{arm['cpu_seconds']['all']:12.0f}{reached:>12}")
    print(
        f"Fréchet distance of real images from others: {result['frechet_of_real_images']:.2f}; "
        f"modular is ahead: {result['ahead']}"
    )


if __name__ == "__main__":
    main()
