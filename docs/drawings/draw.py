"""The pictures of the documentation: ``python docs/drawings/draw.py`` writes them beside this file.

Images are painted by a small function in place of a pretrained generator, so that anybody can draw
them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np

import causalplug as cp
from causalplug import plots
from causalplug.adapters.callable import CallableGenerator
from causalplug.plots.style import COLOURS, SERIES, panels, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = Path(__file__).parent
FRONT_DOOR = cp.CausalGraph.parse("D -> I -> A; D <-> A")


def paint(labels: np.ndarray, latent: np.ndarray) -> np.ndarray:
    """Rings (0) and crosses (1) at a place, of a size and with a texture that the latent
    decides."""
    y, x = np.mgrid[-1:1:24j, -1:1:24j]
    at, size = 0.25 * np.tanh(latent[:, :2]), 0.5 + 0.15 * np.tanh(latent[:, 2])
    dy, dx = y - at[:, 0, None, None], x - at[:, 1, None, None]
    ring = np.exp(-(((np.hypot(dx, dy) - size[:, None, None]) / 0.12) ** 2))
    inside = np.maximum(np.abs(dx), np.abs(dy)) < size[:, None, None]
    cross = np.exp(-((np.minimum(np.abs(dx - dy), np.abs(dx + dy)) / 0.15) ** 2)) * inside
    shape = np.where(labels[:, 0, None, None] == 0, ring, cross)
    texture = 0.1 * np.abs(np.tanh(latent[:, 3:])).reshape(-1, 24, 24)
    return np.clip(0.85 * shape + texture, 0, 1)[:, None].astype(np.float32)


@cache
def shapes() -> cp.DCM:
    """S -> I: a shape and its image, from a generator that paints."""
    image, shape = cp.Image(1, 24, 24), cp.Discrete(["ring", "cross"])
    made = CallableGenerator(
        paint, image, [cp.Label("shape", ["ring", "cross"])], latent_shape=(3 + 576,)
    )
    dcm = cp.DCM(cp.CausalGraph.parse("S -> I"), {"S": shape, "I": image}, mechanisms={"I": made})
    dcm.sources = (cp.Source(["S", "I"]),)
    return dcm


@cache
def training() -> tuple[cp.DCM, Any, dict[str, np.ndarray]]:
    """A front door with a binary mediator, trained on 8,000 rows whose law is known; the model,
    report and truth."""
    rng = np.random.default_rng(0)
    hidden = rng.random(8000) < 0.5
    d = (rng.random(8000) < np.where(hidden, 0.8, 0.2)).astype(int)
    i = (rng.random(8000) < np.where(d == 1, 0.75, 0.25)).astype(int)
    a = (rng.random(8000) < 0.15 + 0.3 * i + 0.4 * hidden).astype(int)
    dcm = cp.DCM(FRONT_DOOR, dict.fromkeys("DIA", cp.Discrete(2)))
    report = cp.fit(
        dcm,
        cp.DataSource({"D": d, "I": i, "A": a}),
        objective="adversarial",
        steps=1500,
        seed=0,
        progress=False,
    )
    seen = [np.array([1 - a[d == x].mean(), a[d == x].mean()]) for x in (0, 1)]
    truth = [np.array([0.65 - 0.3 * p, 0.35 + 0.3 * p]) for p in (0.25, 0.75)]
    return dcm, report, {"naive": np.stack(seen), "truth": np.stack(truth)}


def front_door() -> Figure:
    """A graph."""
    return plots.plot_graph(FRONT_DOOR)


def plan() -> Figure:
    """The plan of the front door."""
    return cp.plan(FRONT_DOOR, available={"I": "user/mnist-cgan"}).plot()


def may_be_pulled() -> Figure:
    """An x-ray that nothing hidden touches."""
    graph = cp.CausalGraph.parse("Symptom -> Xray -> Diagnosis; Symptom <-> Diagnosis")
    return cp.plan(graph, available={"Xray": "user/xray"}).plot(legend=False)


def may_not_be_pulled() -> Figure:
    """An x-ray whose hidden cause the diagnosis shares."""
    graph = cp.CausalGraph.parse("Symptom -> Xray -> Diagnosis; Xray <-> Diagnosis")
    return cp.plan(graph, available={"Xray": "user/xray"}).plot(legend=False)


def modules() -> Figure:
    """Two mediators: what is trained through what."""
    return cp.plan(cp.CausalGraph.parse("D -> I1 -> I2 -> A; D <-> A")).plot()


def large_plan() -> Figure:
    """Two overlapping front doors and a root."""
    text = "S -> C -> X -> N; C <-> N; N -> T -> O; N <-> O; S -> O"
    return cp.plan(cp.CausalGraph.parse(text), available={"X": "user/cxr-acgan"}).plot()


def hedge() -> Figure:
    """A question that no amount of such data answers."""
    return cp.identify(cp.CausalGraph.parse("Z -> X -> Y; X <-> Y"), "P(Y | do(X))").plot()


def overlap() -> Figure:
    """Images along one direction of the encoder's space: with overlap, and without."""
    figure, ((weak, good),) = panels(1, 2, 3.35, 1.5, sharey=True)
    rng = np.random.default_rng(1)
    for axes, noise, title in (
        (weak, 0.0, "the image always shows D"),
        (good, 0.25, "in a quarter it does not"),
    ):
        for d, colour in ((0, SERIES["model"]), (1, SERIES["naive"])):
            shown = np.where(rng.random(90) < noise, 1 - d, d)
            at = (rng.normal(2 * shown - 1, 0.25), d + rng.uniform(-0.12, 0.12, 90))
            axes.scatter(*at, s=5, color=colour, linewidths=0)
        axes.set_title(title, loc="left", pad=4, **plain())
        axes.set_xlabel("projection of the image", labelpad=2, **plain())
        axes.set_xticks([])
        axes.set_ylim(-0.5, 1.5)
        axes.set_yticks([0, 1], ["D=0", "D=1"], **plain())
        axes.axvline(0, color=COLOURS["outer edge"], linestyle=":", linewidth=0.8)
    return figure


def curves() -> Figure:
    """Adversarial training, with the sampling floor."""
    return plots.plot_training(training()[1])


def bars() -> Figure:
    """Answers beside the truth and the naive reading."""
    dcm, _, known = training()
    return plots.plot_distributions(
        {
            f"P(A | do(D={d}))": {
                "truth": known["truth"][d],
                "model": dcm.estimate(f"P(A | do(D={d}))", n=20_000),
                "naive": known["naive"][d],
            }
            for d in (0, 1)
        }
    )


def dose() -> Figure:
    """A dose-response curve beside the truth and conditioning only."""
    rng = np.random.default_rng(0)
    age = rng.normal(size=2000)
    given = 0.6 * age + rng.normal(size=2000)
    response = np.tanh(given) + 0.8 * age + 0.5 * rng.normal(size=2000)
    numbers = dict.fromkeys(("age", "dose", "response"), cp.Continuous())
    dcm = cp.DCM(cp.CausalGraph.parse("age -> dose -> response; age -> response"), numbers)
    rows = {"age": age, "dose": given, "response": response}
    cp.fit(dcm, rows, seed=0, steps=400, check_graph=False, progress=False)
    at = np.linspace(-2, 2, 9)
    near = [np.abs(given - place) < 0.25 for place in at]
    known = {
        "truth": (at, np.tanh(at)),
        "model": dcm.curve("response", "dose", at.tolist(), n=20_000),
        "naive": (at, np.array([response[rows].mean() for rows in near])),
    }
    return plots.plot_curve(known, label="mean of the response")


def interventions() -> Figure:
    """Images by intervention: one column, one noise."""
    return plots.plot_interventions(shapes(), "I", [{"S": "ring"}, {"S": "cross"}], n=8)


def counterfactuals() -> Figure:
    """Pairs of one unit in two worlds."""
    return plots.plot_counterfactuals(
        shapes(), "I", evidence={"S": "ring"}, do={"S": "cross"}, n=8, allow_unidentified=True
    )


def fit_check() -> Figure:
    """A generator that paints the wrong shape in a third of the cases, against real images."""
    dcm = shapes()
    rows = dcm.sample(400, seed=1)
    values = {name: dcm.variables[name].encode(rows[name].to_numpy(), name) for name in ("S", "I")}
    wrong = {"ring": "ring", "cross": {"cross": 0.65, "ring": 0.35}}
    labels = [cp.Label("shape", ["ring", "cross"])]
    off = CallableGenerator(
        paint, dcm.variables["I"], labels, latent_shape=(3 + 576,), label_map=wrong
    )
    return plots.plot_fit(
        cp.check_fit(off.bind("I", dcm.variables["I"], {"S": dcm.variables["S"]}), values, seed=0)
    )


def drivers() -> Figure:
    """What an answer rests on: a pulled image in a front door, from observations and from a
    trial."""
    rng = np.random.default_rng(0)

    def simulate(n: int, shape: np.ndarray | None = None) -> dict[str, np.ndarray]:
        hidden = rng.random(n) < 0.5
        if shape is None:
            shape = (rng.random(n) < np.where(hidden, 0.75, 0.25)).astype(int)
        seen = np.where(rng.random(n) < 0.3, 1 - shape, shape)
        grade = (rng.random(n) < 0.2 + 0.4 * seen + 0.3 * hidden).astype(int)
        return {"S": shape, "I": paint(seen[:, None], rng.normal(size=(n, 3 + 576))), "A": grade}

    image, two = cp.Image(1, 24, 24), cp.Discrete(2)
    labels = [cp.Label("shape", 2)]
    painter = CallableGenerator(paint, image, labels, latent_shape=(3 + 576,), label_map="estimate")
    sources = [
        cp.DataSource(simulate(2000), name="ledger"),
        cp.DataSource(simulate(600, rng.integers(2, size=600)), do=("S",), name="trial"),
    ]
    variables = {"S": two, "I": image, "A": two}
    graph = cp.CausalGraph.parse("S -> I -> A; S <-> A")
    dcm = cp.DCM(graph, variables, mechanisms={"I": painter})
    short: dict[str, Any] = {"steps": 200, "encoder_steps": 200, "progress": False}
    cp.fit(dcm, sources, objective="likelihood", seed=0, **short)
    return dcm.drivers("P(A | do(S=1))").plot()


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "front-door.svg": front_door,
    "plan.svg": plan,
    "may-be-pulled.svg": may_be_pulled,
    "may-not-be-pulled.svg": may_not_be_pulled,
    "modules.svg": modules,
    "large-plan.svg": large_plan,
    "hedge.svg": hedge,
    "overlap.svg": overlap,
    "curves.svg": curves,
    "bars.svg": bars,
    "dose.svg": dose,
    "interventions.png": interventions,
    "counterfactuals.png": counterfactuals,
    "fit.png": fit_check,
    "drivers.svg": drivers,
}
"""File name to the function that draws it."""


def main() -> None:
    """Draw everything; the same versions draw the same bytes."""
    with matplotlib.rc_context({"svg.hashsalt": "causalplug"}):
        for name, draw in DRAWINGS.items():
            options: dict[str, Any] = (
                {"metadata": {"Date": None}} if name.endswith(".svg") else {"dpi": 200}
            )
            draw().savefig(HERE / name, **options)


if __name__ == "__main__":
    main()
