"""Does COVID-19 raise the chance of a finding of pneumonia? Labels, chest X-rays and a frozen
AC-GAN. ``--help`` lists the options. A demonstration of a method: not for diagnosis, and no
statement about the disease.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp
from causalplug import plots
from recipes.common import Run, parser
from recipes.cxr.answers import effect, label_map, observed
from recipes.cxr.data import FINDINGS, XRays, finding, load_xrays, rows, stand_in
from recipes.cxr.generators import bank_of, from_bank, from_keras, train, train_encoder
from recipes.cxr.judge import coarse, shown

GRAPH = cp.CausalGraph.parse("C -> Xray -> N; C <-> N")


def options() -> argparse.ArgumentParser:
    made = parser(__file__, __doc__)
    made.add_argument("--data", help="folder with cxr_real_64.npz and covidx9a_labels.csv.gz")
    choice = made.add_mutually_exclusive_group()
    choice.add_argument(
        "--generator", help="Keras weights of the AC-GAN (.hdf5), or an adapter repository"
    )
    choice.add_argument(
        "--bank",
        help="npz file with the generator's output: images (m, side, side) uint8, label (m,)",
    )
    made.add_argument(
        "--objective", choices=["adversarial", "likelihood", "warm"], default="likelihood"
    )
    for name, meaning in (
        ("rows", "patients in the table"),
        ("steps", "updates of the module of C and N"),
        (
            "generator-steps",
            "updates of the generator that is trained where none is given; 0: a bank",
        ),
        ("encoder-steps", "updates of the encoder"),
        ("members", "models of the ensemble"),
        ("samples", "rows sampled by each model for each answer"),
    ):
        made.add_argument(f"--{name}", type=int, help=meaning)
    return made


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    run = Run(__file__, options(), arguments)
    chosen = run.options
    xrays = stand_in() if chosen.quick and chosen.data is None else load_xrays(chosen.data)
    side = xrays.images.shape[1]
    variables = {"C": cp.Discrete(2), "Xray": cp.Image(1, side, side), "N": cp.Discrete(2)}
    table = rows(xrays, chosen.rows, chosen.seed)
    run.lap("rows")
    repository = frozen(xrays, run)
    run.lap("generator")

    labels = label_map(xrays)
    source = cp.DataSource(table, name="patients")

    def build(seed: int) -> cp.DCM:
        generator = cp.from_pretrained(
            repository, label_map=labels, transform=["rgb-to-grey", "resize"]
        )
        generator = generator.bind("Xray", variables["Xray"], {"C": variables["C"]})
        encoder = train_encoder(xrays, generator, chosen.encoder_steps, seed)
        return cp.DCM(
            GRAPH, variables, mechanisms={"Xray": generator}, encoders={"Xray": encoder}, seed=seed
        )

    seeds = range(chosen.seed, chosen.seed + chosen.members)
    ensemble = cp.Ensemble.fit(
        build,
        source,
        seeds=seeds,
        output_dir=chosen.output_dir / "training",
        objective=chosen.objective,
        steps=chosen.steps,
        check_fit=not chosen.quick,
    )
    dcm = ensemble[0]
    print(dcm.plan, "\n")
    run.lap("training of the ensemble")

    result = {
        "observed": observed(dcm, xrays, chosen.samples),
        "generator": str(repository),
        "images": xrays.name,
    }
    result["ate"] = effect(ensemble, xrays, chosen.samples // 2)
    held_out = stand_in(240, side, seed=9) if chosen.quick and chosen.data is None else xrays
    result["shown"] = shown(dcm, held_out, 100, chosen.seed)
    own = {"C": xrays.C, "Xray": xrays.images[:, None], "N": xrays.N}  # each image once
    overlap = cp.check_overlap(GRAPH, "P(N | do(C=1))", own, {"Xray": coarse})
    result["overlap"] = overlap.to_dict()
    run.lap("answers")
    dcm.save_pretrained(chosen.output_dir / "dcm")
    draw(dcm, ensemble, xrays, chosen.output_dir)
    run.lap("saving and pictures")
    print(overlap, "\n")
    show(result)
    return run.finish(result)


def frozen(xrays: XRays, run: Run) -> Path | str:
    """The adapter repository of the generator: brought, made of published images, or trained on
    the images."""
    chosen = run.options
    folder = chosen.output_dir / "generator"
    if chosen.bank:
        return from_bank(chosen.bank).save_pretrained(folder)
    if chosen.generator and str(chosen.generator).endswith((".h5", ".hdf5")):
        return from_keras(chosen.generator).save_pretrained(folder)
    if chosen.generator:
        return str(chosen.generator)
    if chosen.generator_steps == 0:
        return bank_of(xrays).save_pretrained(folder)
    return train(xrays, chosen.generator_steps, chosen.seed).save_pretrained(folder)


def draw(dcm: cp.DCM, ensemble: cp.Ensemble, xrays: XRays, folder: Path) -> None:
    """Write the plan and a grid of real and generated images."""
    kinds, pictures = finding(xrays.C, xrays.N), {}
    image: Any = dcm.mechanism("Xray")
    for code, name in enumerate(FINDINGS):
        pictures[f"data, {name}"] = list(xrays.images[kinds == code][:8])
        made = image.paint(
            torch.full((8,), code),
            {
                k: s.draw(8, torch.Generator().manual_seed(5))
                for k, s in image.generator_noise.items()
            },
        )
        pictures[f"generated, {name}"] = [
            np.asarray(p) for p in dcm.variables["Xray"].to_pil(made.numpy())
        ]  # type: ignore[attr-defined]
    plots.plot_images(pictures, width=6.0).savefig(folder / "images.png", dpi=200)
    if dcm.plan is not None:
        dcm.plan.plot().savefig(folder / "plan.png", dpi=200)


def show(result: Mapping[str, Any]) -> None:
    """Print the answers."""
    for name, row in result["observed"].items():
        print(
            f"{name:12} labels {np.round(row['truth'], 3)}  model {np.round(row['model'], 3)}  TVD "
            f"{row['tvd']:.3f}"
        )
    ate = result["ate"]
    print(
        f"ATE {ate['estimate']:.3f}, interval [{ate['low']:.3f}, {ate['high']:.3f}], members "
        f"{np.round(ate['members'], 3)}"
    )
    print(
        f"    paper {ate['paper']}, conditioning only {ate['conditioning only']:.3f}; the labels "
        f"alone bound it to {np.round(ate['bounds'], 3)}"
    )
    read = ", ".join(f"{name} {share:.2f}" for name, share in result["shown"].items())
    print(f"images that a judge of real ones reads as what was asked for: {read}")
    print(
        "A demonstration of a method. Not for diagnosis or treatment, and no statement about the "
        "disease."
    )


if __name__ == "__main__":
    main()
