"""The curves of the paper's Figure 3 on digits of 8 x 8 pixels: three ways to train, each until it
stops improving, for several seeds, against CPU seconds and steps. ``--help`` lists the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp
from recipes.common import Run, parser, tvd
from recipes.idgen.worlds import Pictures, load_pictures
from recipes.mnist_frontdoor.compare import ARMS
from recipes.mnist_frontdoor.run import shares
from recipes.mnist_frontdoor.scm import SMALL, FrontDoorSCM
from recipes.watch import Watch

GRAPH = cp.CausalGraph.parse("D -> I -> A; D <-> A")
IMAGE = cp.Image(*SMALL)
VARIABLES = {"D": cp.Discrete(2), "I": IMAGE, "A": cp.Discrete(3)}
MEASURED = ("P(D, A)", "P(A | do(D))")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Train every arm for every seed; returns what it prints."""
    made = parser(__file__, __doc__)
    made.set_defaults(output_dir=Path("runs/mnist_frontdoor_figure3"))
    made.add_argument("--seeds", type=int, default=3, help="trainings of each arm")
    made.add_argument("--rows", type=int, default=6000, help="observational rows")
    made.add_argument("--generator-steps", type=int, default=3000, help="updates of the generator")
    made.add_argument("--most-steps", type=int, default=1500, help="updates of an arm at most")
    made.add_argument("--every", type=int, default=100, help="updates between two points")
    made.add_argument(
        "--patience", type=int, default=5, help="points without improvement that end an arm"
    )
    run = Run(__file__, made, arguments)
    chosen = run.options
    pictures = load_pictures(None)
    scm = FrontDoorSCM(pictures.images, pictures.digits, image_shape=SMALL)
    arms: dict[str, list[dict[str, Any]]] = {name: [] for name in ARMS}
    images = {}
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        rows, _ = scm.sample(chosen.rows, seed=seed)
        for name, settings in ARMS.items():
            dcm, found = train(name, settings, pictures, scm, rows, seed, run)
            arms[name].append(found)
            images.setdefault(name, picture(dcm))
            print(f"seed {seed}, {name}: {line(found)}", flush=True)
    result = {"arms": {name: summary(found) for name, found in arms.items()}}
    draw(arms, images, chosen.output_dir)
    show(result["arms"])
    return run.finish(result)


def train(
    name: str,
    settings: Mapping[str, Any],
    pictures: Pictures,
    scm: FrontDoorSCM,
    rows: Mapping[str, np.ndarray],
    seed: int,
    run: Run,
) -> tuple[cp.DCM, dict[str, Any]]:
    """One arm until it stops improving: its curve, its end, and CPU seconds, the generator's
    included."""
    chosen, mechanisms = run.options, {}
    run.lap("rows")
    before = run.seconds.get("generators", 0.0)
    if name == "modular":
        digits = (torch.from_numpy(pictures.digits.astype(np.int64)), cp.Discrete(2))
        folder = chosen.output_dir / "generator"
        cp.fit_generator(
            IMAGE,
            torch.from_numpy(pictures.images[:, None]),
            {"digit": digits},
            seed=seed,
            steps=chosen.generator_steps,
        ).save_pretrained(folder)
        mechanisms["I"] = cp.from_pretrained(folder, label_map="estimate")
    run.lap("generators")
    generator = run.seconds["generators"] - before
    dcm = cp.DCM(GRAPH, VARIABLES, mechanisms=mechanisms, seed=seed)
    watch = Watch(lambda: distances(dcm, scm, 1500))
    config = cp.TrainingConfig(
        seed=seed,
        batch_size=128,
        critic_steps=3,
        steps=chosen.most_steps,
        validate_every=chosen.every,
        patience=chosen.patience,
        encoder_steps=200,
        bank_rows=500,
        check_graph=False,
        check_overlap=False,
        **settings,
    )
    trainer = cp.Trainer(
        dcm, [cp.DataSource(rows, name="rows")], config=config, accelerator=watch.accelerator()
    )
    report = trainer.train()
    steps = report.modules[-1].steps
    run.lap(name)
    curve = [point | {"seconds": point["seconds"] + generator} for point in watch.points]
    return dcm, {
        "curve": curve,
        "steps": steps,
        "stopped": steps < chosen.most_steps,
        "generator": [fit.verdict for fit in report.fits],
        "seconds": curve[-1]["seconds"],
        "end": distances(dcm, scm, 10_000),
    }


def distances(dcm: cp.DCM, scm: FrontDoorSCM, n: int) -> dict[str, float]:
    """TVD of P(D, A), and the larger one of P(A | do(D=0)) and P(A | do(D=1))."""
    answers = scm.answers()
    both = dcm.sample(n, variables=["D", "A"], seed=3, allow_unidentified=True)
    joint = tvd(shares(both["D"] * 3 + both["A"], 6), answers.joint.ravel())
    far = []
    for d in (0, 1):
        drawn = dcm.sample(n, do={"D": d}, variables=["A"], seed=3, allow_unidentified=True)
        far.append(tvd(shares(drawn["A"], 3), answers.do[d]))
    return dict(zip(MEASURED, (joint, max(far)), strict=True))


def picture(dcm: cp.DCM) -> list[np.ndarray]:
    """Five images under each of do(D=0) and do(D=1)."""
    found = []
    for d in (0, 1):
        drawn = dcm.sample(5, do={"D": d}, variables=["I"], seed=7)["I"]
        found += [np.rint(255 * np.asarray(image)[0]).astype(np.uint8) for image in drawn]
    return found


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The ends of all seeds."""
    return {
        "steps": [part["steps"] for part in found],
        "stopped": [part["stopped"] for part in found],
        "seconds": [part["seconds"] for part in found],
        "generator": [part["generator"] for part in found],
        "end": {name: [part["end"][name] for part in found] for name in MEASURED},
        "curves": [part["curve"] for part in found],
    }


def draw(arms: Mapping[str, list[dict[str, Any]]], images: Mapping[str, Any], folder: Path) -> None:
    """Write the curves of both distances against CPU seconds and steps, and the images."""
    from causalplug import plots
    from causalplug.plots.style import SERIES, panels, plain

    figure, grid = panels(2, 2, 6.0, 3.6)
    colours = (SERIES["model"], *SERIES["other"])
    for i, measured in enumerate(MEASURED):
        for j, (key, label) in enumerate((("seconds", "CPU seconds"), ("step", "steps"))):
            axes = grid[i][j]
            for (name, found), colour in zip(arms.items(), colours, strict=False):
                for k, part in enumerate(found):
                    x = [point[key] for point in part["curve"]]
                    y = [point[measured] for point in part["curve"]]
                    text = name if k == 0 else None
                    axes.plot(x, y, color=colour, linewidth=0.9, label=text)
            axes.set_xlabel(label, **plain())
            axes.set_ylabel(f"TVD of {measured}", **plain())
            axes.set(ylim=(0, None))
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=6.5)
    figure.savefig(folder / "curves.png", dpi=200)
    plots.plot_images(dict(images), width=6.0).savefig(folder / "images.png", dpi=200)


def line(found: Mapping[str, Any]) -> str:
    """The end of one training, in words."""
    ends = ", ".join(f"TVD of {name} {value:.3f}" for name, value in found["end"].items())
    stopped = "stopped improving" if found["stopped"] else "still had steps to go"
    fit = "".join(f"; the generator is {verdict}" for verdict in found["generator"])
    spent = f"{found['seconds']:.0f} CPU seconds, {found['steps']} steps"
    return f"{ends} after {spent}; {stopped}{fit}"


def show(arms: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the table: the mean over the seeds, and the range."""
    print(f"{'':20}{'TVD P(D, A)':>22}{'TVD P(A | do(D))':>22}{'CPU seconds':>18}")
    for name, arm in arms.items():
        cells = [spread(arm["end"][measured]) for measured in MEASURED]
        seconds = f"{min(arm['seconds']):.0f} to {max(arm['seconds']):.0f}"
        print(f"{name:20}{cells[0]:>22}{cells[1]:>22}{seconds:>18}")


def spread(values: list[float]) -> str:
    """Mean and range."""
    return f"{np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


if __name__ == "__main__":
    main()
