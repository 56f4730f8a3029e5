"""The paper's protocol on the chest X-rays, seed by seed: adversarial training around the frozen
AC-GAN, whose label for C=0 is the row's N, and rows with C=1, N=0 added that no patient has.
``--help`` lists the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import causalplug as cp
from recipes.common import Run, parser, tvd
from recipes.cxr.answers import PAPER, bounds, label_map
from recipes.cxr.data import XRays, load_xrays, rows
from recipes.cxr.generators import bank_of, from_bank, train_encoder
from recipes.cxr.run import GRAPH
from recipes.watch import Watch

CURVES = ("P(C)", "P(N)", "P(N | C)", "P(N, C)")
GENERATORS = {"AC-GAN": "its published images", "real": "the X-rays themselves"}
INSIDE = "share in the paper's interval"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Train once for every seed and generator; returns what it prints."""
    made = parser(__file__, __doc__)
    made.set_defaults(output_dir=Path("runs/cxr_protocol"))
    made.add_argument("--data", required=True, help="folder with cxr_real_64.npz")
    made.add_argument(
        "--bank", required=True, help="npz file of the AC-GAN's output: images, label"
    )
    made.add_argument("--generators", nargs="+", choices=list(GENERATORS), default=list(GENERATORS))
    made.add_argument("--seeds", type=int, default=10, help="trainings of each generator")
    made.add_argument("--rows", type=int, default=3000, help="patients, the dummy rows included")
    made.add_argument("--dummies", type=float, default=0.05, help="share of rows with C=1, N=0")
    made.add_argument("--steps", type=int, default=150, help="updates of the module of C and N")
    made.add_argument("--encoder-steps", type=int, default=40, help="updates of each encoder")
    made.add_argument("--samples", type=int, default=10000, help="rows sampled for each answer")
    run = Run(__file__, made, arguments)
    chosen = run.options
    xrays = load_xrays(chosen.data)
    result: dict[str, Any] = {"generators": {}, "bounds": bounds(xrays), "paper": list(PAPER)}
    for name in chosen.generators:
        bank = bank_of(xrays) if name == "real" else from_bank(chosen.bank)
        repository = bank.save_pretrained(chosen.output_dir / name)
        build = Builder(xrays, repository, chosen)
        run.lap("encoders")
        trainings = [train(build, xrays, chosen, chosen.seed + k) for k in range(chosen.seeds)]
        run.lap(name)
        result["generators"][name] = summary(trainings)
    draw(result["generators"], chosen.output_dir)
    show(result)
    return run.finish(result)


class Builder:
    """Models around one frozen generator, which share one encoder.

    Args:
        xrays: The real images and the frequencies of their labels.
        repository: Repository of the generator.
        chosen: The options of the command line.
    """

    def __init__(self, xrays: XRays, repository: Path, chosen: Any):
        side = xrays.images.shape[1]
        self.variables = {"C": cp.Discrete(2), "Xray": cp.Image(1, side, side), "N": cp.Discrete(2)}
        self.repository = repository
        self.labels = label_map(xrays, row=True)
        self.encoder = train_encoder(xrays, self.generator(), chosen.encoder_steps, chosen.seed)

    def generator(self) -> Any:
        """The frozen generator, bound to the image."""
        loaded = cp.from_pretrained(
            self.repository, label_map=self.labels, transform=["rgb-to-grey", "resize"]
        )
        return loaded.bind("Xray", self.variables["Xray"], {"C": self.variables["C"]})

    def __call__(self, seed: int) -> cp.DCM:
        return cp.DCM(
            GRAPH,
            self.variables,
            mechanisms={"Xray": self.generator()},
            encoders={"Xray": self.encoder},
            seed=seed,
        )


def table_with_dummies(xrays: XRays, n: int, dummies: float, seed: int) -> dict[str, np.ndarray]:
    """Rows of patients, and a share of rows with C=1, N=0, which show a COVID image."""
    extra = round(dummies * n)
    table = rows(xrays, n - extra, seed)
    covid = np.flatnonzero(xrays.C == 1)
    index = np.random.default_rng(seed + 100).choice(covid, extra)
    added = {
        "C": np.ones(extra, np.int64),
        "Xray": xrays.images[index][:, None],
        "N": np.zeros(extra, np.int64),
    }
    return {name: np.concatenate([table[name], added[name]]) for name in table}


def train(build: Builder, xrays: XRays, chosen: Any, seed: int) -> dict[str, Any]:
    """One adversarial training: its effect, and the distances over the steps."""
    dcm = build(seed)
    table = table_with_dummies(xrays, chosen.rows, chosen.dummies, seed)
    watch = Watch(lambda: distances(dcm, table, 500))
    config = cp.TrainingConfig(
        seed=seed,
        objective="adversarial",
        steps=chosen.steps,
        validate_every=max(1, chosen.steps // 5),
        bank_rows=600,
        check_fit=False,
        check_graph=False,
        check_overlap=False,
    )
    source = cp.DataSource(table, name="patients")
    cp.Trainer(dcm, [source], config=config, accelerator=watch.accelerator()).train()
    effect = dcm.ate("N", "C", n=chosen.samples, seed=seed)
    print(f"seed {seed}: effect {effect.table.iloc[0]['estimate']:.3f}", flush=True)
    return {
        "effect": float(effect.table.iloc[0]["estimate"]),
        "distances": distances(dcm, table, 3000),
        "curve": watch.points,
    }


def distances(dcm: cp.DCM, table: Mapping[str, np.ndarray], n: int) -> dict[str, float]:
    """TVD of P(C), P(N), P(N | C) and P(N, C) from the rows; of the third the mean over P(C)."""
    frame = dcm.sample(n, variables=["C", "N"], seed=1, allow_unidentified=True)
    model, truth = (
        np.bincount(part["C"] * 2 + part["N"], minlength=4).reshape(2, 2) / len(part["C"])
        for part in (frame, table)
    )
    weight = truth.sum(1, keepdims=True)
    given = weight * model / np.maximum(model.sum(1, keepdims=True), 1e-9)
    pairs = ((model.sum(1), truth.sum(1)), (model.sum(0), truth.sum(0)), (given, truth))
    return dict(zip(CURVES, [tvd(*pair) for pair in (*pairs, (model, truth))], strict=True))


def summary(trainings: list[dict[str, Any]]) -> dict[str, Any]:
    """All effects, how many lie where the paper's do, and the mean curves."""
    effects = np.array([training["effect"] for training in trainings])
    curve = []
    for points in zip(*(training["curve"] for training in trainings), strict=True):
        curve.append({key: float(np.mean([p[key] for p in points])) for key in points[0]})
    return {
        "effects": effects.tolist(),
        "mean": float(effects.mean()),
        "deviation": float(effects.std(ddof=1)) if len(effects) > 1 else None,
        INSIDE: float(np.mean((effects >= PAPER[0]) & (effects <= PAPER[1]))),
        "distances": {
            name: max(training["distances"][name] for training in trainings) for name in CURVES
        },
        "curve": curve,
    }


def draw(generators: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write the curves of the four distances against steps, one panel for each generator."""
    from causalplug.plots.style import SERIES, panels, plain

    figure, grid = panels(1, len(generators), 3.0, 2.2)
    colours = (SERIES["model"], *SERIES["other"], "#6B6B6B")
    for axes, (name, found) in zip(grid[0], generators.items(), strict=True):
        steps = [point["step"] for point in found["curve"]]
        for label, colour in zip(CURVES, colours, strict=False):
            values = [point[label] for point in found["curve"]]
            axes.plot(steps, values, color=colour, linewidth=1.2, label=label)
        axes.set_title(name, **plain())
        axes.set_xlabel("steps", **plain())
        axes.set_ylabel("TVD from the rows", **plain())
        axes.set(ylim=(0, None))
    grid[0][0].legend(frameon=False, fontsize=6.5)
    figure.savefig(folder / "curves.png", dpi=200)


def show(result: Mapping[str, Any]) -> None:
    """Print the effects and distances."""
    for name, found in result["generators"].items():
        effects = ", ".join(f"{effect:.3f}" for effect in found["effects"])
        print(f"{name}: effects {effects}")
        print(f"    mean {found['mean']:.3f}, in {result['paper']}: {found[INSIDE]:.0%}")
        worst = ", ".join(f"{key} {value:.3f}" for key, value in found["distances"].items())
        print(f"    largest TVD at the end: {worst}")
    low, high = result["bounds"]
    print(f"what the labels alone allow: [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
