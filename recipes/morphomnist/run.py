"""What would this digit look like, had it been thicker, brighter, or another digit? Six
mechanisms by the field's own measures. ``--help`` lists the options.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from accelerate import Accelerator

import causalplug as cp
from recipes.common import Run, parser
from recipes.morphomnist import strokes
from recipes.morphomnist.flow import trained_flow
from recipes.morphomnist.own_judges import own_judges
from recipes.morphomnist.same_rows import minimality_where_shown
from recipes.morphomnist.worlds import World, drawn, morpho

GRAPH = "thickness -> intensity; thickness -> image; intensity -> image; digit -> image"
DO = ["thickness", "intensity", "digit"]
FAMILIES = ("vae", "residual", "flow", "counterfactual", "judged")
MORE = ("guided",)
OBJECTIVE = {"vae": "likelihood", "residual": "likelihood"}
"""Of the others it is "counterfactual"; ``judged`` has judges of its own."""
GUIDANCE = {"flow": 1.0, "guided": 2.0}
"""Flows are trained before they are part of a model; ``guided`` exaggerates the parents."""
TWIN = {"residual": "vae", "guided": "flow"}
"""Families that have the weights of another."""


def mechanism(world: World, family: str, run: Run) -> cp.Mechanism:
    """The mechanism of the image: of a flow trained, of the others not."""
    chosen = run.options
    if family in GUIDANCE:
        flow = trained_flow(
            world.variables,
            world.train,
            "image",
            steps=chosen.flow_steps,
            width=28 * chosen.width,
            seed=chosen.seed,
        )
        flow.guidance = GUIDANCE[family]
        return flow
    return cp.InvertibleImage(
        latent_size=chosen.latent,
        width=chosen.width,
        network=chosen.network,
        residual=family != "vae",
    )


def model(world: World, image: cp.Mechanism, run: Run) -> cp.DCM:
    """The model with one mechanism of the image."""
    graph = cp.CausalGraph.parse(GRAPH)
    return cp.DCM(graph, world.variables, mechanisms={"image": image}, seed=run.options.seed)


def twin(world: World, family: str, other: cp.DCM, run: Run) -> cp.DCM:
    """A model with the weights of another: with the residual, or with guidance."""
    if family in GUIDANCE:
        image: Any = copy.deepcopy(other.mechanism("image"))
        image.guidance = GUIDANCE[family]
    else:
        image = mechanism(world, family, run)
    dcm = model(world, image, run)
    dcm.load_trained(other.trained_tensors())
    return dcm


def fitted(world: World, family: str, run: Run) -> cp.DCM:
    """One family, trained on the rows."""
    chosen, dcm = run.options, model(world, mechanism(world, family, run), run)
    objective, judges = {}, None
    if family not in GUIDANCE:
        objective = {"image": OBJECTIVE.get(family, "counterfactual")}
    if family == "judged":
        judges = own_judges(
            world.variables,
            world.train,
            steps=chosen.judge_steps,
            brightest=world.brightest,
            seed=chosen.seed,
        )
    cp.fit(
        dcm,
        cp.DataSource(world.train, name="rows"),
        objective=objective or None,
        judges=judges,
        steps=chosen.steps,
        batch_size=128,
        ema=0.995,
        held_out=0.05,
        validate_every=500,
        seed=chosen.seed,
        check_graph=False,
        check_overlap=False,
        accelerator=Accelerator(mixed_precision=chosen.precision),
        output_dir=chosen.output_dir / f"training-{family}",
        resume_from_checkpoint=chosen.resume,
    )
    return dcm


def true_error(dcm: cp.DCM, world: World, seed: int) -> dict[str, float]:
    """Mean absolute difference of a pixel from the true counterfactual image, by intervention."""
    found = {}
    rng = np.random.default_rng(seed)
    for name in DO:
        value = rng.permutation(world.judged[name])
        made = dcm.counterfactual(world.judged, do={name: value}, allow_unidentified=True)
        columns = [made[column].to_numpy() for column in ("digit", "thickness", "intensity")]
        truth = strokes.draw(*columns, world.places)
        shown = np.stack([np.asarray(image) for image in made["image"]])
        found[name] = float(np.abs(shown - truth).mean())
    return found


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the recipe; returns what it prints."""
    made = parser(__file__, __doc__)
    made.add_argument("--data", help="folder of Morpho-MNIST and its judges; default: strokes")
    made.add_argument("--lenet", help="folder of a LeNet-5, model.safetensors, for realism")
    made.add_argument("--rows", type=int, help="rows to learn from")
    made.add_argument("--held", type=int, help="rows to judge by")
    made.add_argument("--steps", type=int, help="updates of each phase of training")
    made.add_argument("--flow-steps", type=int, help="updates of the flow")
    made.add_argument("--judge-steps", type=int, help="updates of the judges of one's own")
    made.add_argument("--latent", type=int, help="numbers of the latent")
    made.add_argument("--width", type=int, help="of the networks")
    made.add_argument("--network", choices=["dense", "convolution"], help="of the mechanism")
    made.add_argument("--precision", choices=["no", "bf16", "fp16"], help="of the training")
    made.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    made.add_argument(
        "--families",
        default=",".join(FAMILIES),
        help=f"of {', '.join((*FAMILIES, *MORE))}; default: %(default)s",
    )
    run = Run(__file__, made, arguments)
    chosen = run.options
    if chosen.data and not chosen.quick:
        world = morpho(chosen.data, chosen.lenet, chosen.rows, chosen.held, chosen.seed)
    else:
        world = drawn(chosen.rows, chosen.held, chosen.seed)
    run.lap("rows")
    families: dict[str, Any] = {}
    trained: dict[str, cp.DCM] = {}
    for family in chosen.families.split(","):
        if TWIN.get(family) in trained:
            dcm = twin(world, family, trained[TWIN[family]], run)
        else:
            dcm = fitted(world, family, run)
        trained[family] = dcm
        run.lap(f"training {family}")
        measured = cp.metrics.measure(
            dcm, world.judged, DO, judges=world.judges, encoder=world.encoder, seed=chosen.seed
        )
        families[family] = summary(measured)
        if world.places is not None:
            families[family]["true error"] = true_error(dcm, world, chosen.seed)
        measured.plot().savefig(chosen.output_dir / f"{family}.png", dpi=200)
        print(f"{family}\n{measured}\n")
        run.lap(f"measures {family}")
    if family not in GUIDANCE:
        dcm.save_pretrained(chosen.output_dir / "dcm")
    same = minimality_where_shown(trained, world, chosen.seed)
    show(families)
    print(f"minimality on the {same.rows} rows whose new digit every family shows:")
    for family, value in same.minimality.items():
        print(f"  {family}: {value:.4f}")
    run.lap("the same rows")
    return run.finish({"families": families, "same_rows": asdict(same)})


def summary(measured: cp.metrics.Measures) -> dict[str, Any]:
    """The numbers by measure, intervention and what they are of."""
    found: dict[str, Any] = {}
    for item in measured.items:
        place = found.setdefault(item.measure, {})
        if item.do:
            place = place.setdefault(item.do.removeprefix("do(").removesuffix(")"), {})
        if item.measure in ("composition", "effectiveness"):
            place[item.of] = item.value
        else:
            found[item.measure][item.do.removeprefix("do(").removesuffix(")")] = item.value
    return found


def show(families: Mapping[str, Any]) -> None:
    """Print one line for each family and intervention."""
    for family, found in families.items():
        cycles = ", ".join(f"{name} {value:.4f}" for name, value in found["composition"].items())
        print(f"{family}: composition {cycles}")
        for name in DO:
            read = found["effectiveness"][name]
            line = ", ".join(f"{of} {value:.3f}" for of, value in read.items())
            rest = ", ".join(
                f"{measure} {found[measure][name]:.4f}"
                for measure in ("reversibility", "minimality", "realism", "true error")
                if measure in found
            )
            print(f"  do({name}): {line}; {rest}")


if __name__ == "__main__":
    main()
