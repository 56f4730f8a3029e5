"""Every pipeline of diffusers that makes pictures, tiny and random, plugged into a causal model.

    python -m benchmarks.pipelines               # the table; --only Flux for one family or class
    python -m benchmarks.pipelines --rest        # classes of the installed diffusers without a row

A row is built from diffusers' own classes, written by its own ``save_pretrained``, loaded by
``causalplug.from_pretrained``, painted alone and in a batch, saved with the mechanism and loaded
again. It works when every row is within 1e-4 of what it is alone and the reloaded mechanism paints
the same bits; everything else has to be a refusal that says why.

A class without a row is named by an empty repository. It is refused where its code shows that it
gives no pictures (films, sound, embeddings, a parent of pipelines), is put together from blocks, or
needs a library that is not there; the others paint pictures and were not tried.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch

import causalplug as cp
from benchmarks.tiny_pipelines import AbsentError, Family, Kind, build, kinds
from causalplug.adapters.pipeline_outputs import check_class

PROMPTS = {"cat": "a cat", "dog": "a large dog"}
ROWS = 3
_REFUSALS = ("no images", "put together from blocks", "paints nothing by itself")


@dataclass(frozen=True)
class Outcome:
    """What came of one class.

    Attributes:
        family, name: Which it is.
        verdict: ``"works"``, ``"refused"``, ``"not built"`` (here), ``"absent"`` (from the
            installed diffusers), ``"not tried"`` or ``"raw error"``.
        detail: How rows are painted, or the reason.
        spread: Largest difference of a row alone and in a batch.
        seconds: CPU seconds.
    """

    family: str
    name: str
    verdict: str
    detail: str
    spread: float = 0.0
    seconds: float = 0.0

    def line(self) -> str:
        """One line of the table."""
        return (
            f"{self.name:46} {self.verdict:10} {self.spread:8.1e} {self.seconds:6.1f} s  "
            f"{self.detail}"
        )


def measure(family: Family, kind: Kind) -> Outcome:
    """Build, load, paint, save and load again."""
    started = time.process_time()
    try:
        with quiet():
            pipeline = build(family, kind)
    except AbsentError as error:
        return Outcome(family.name, kind.name, "absent", str(error))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")
        return Outcome(family.name, kind.name, "not built", reason)
    try:
        with quiet(), tempfile.TemporaryDirectory() as place:
            detail, spread = _measure(family, kind, pipeline, Path(place))
        verdict = "works"
    except cp.CausalPlugError as error:
        verdict, detail, spread = "refused", str(error), 0.0
    except Exception as error:
        verdict, detail, spread = "raw error", f"{type(error).__name__}: {error}", 0.0
    text = detail.replace("\n", " ")
    return Outcome(family.name, kind.name, verdict, text, spread, time.process_time() - started)


def _measure(family: Family, kind: Kind, pipeline: Any, place: Path) -> tuple[str, float]:
    pipeline.save_pretrained(place / "pipeline")
    made = cp.from_pretrained(place / "pipeline", **_options(family, kind, pipeline))
    inputs = _inputs(made)
    batch = made(*inputs)
    spread = max(_distance(made, inputs, row, batch) for row in range(ROWS))
    if spread > 1e-4:
        raise ValueError(f"rows depend on their batch by {spread:.1e}")
    made.save_pretrained(place / "saved")
    again = cp.from_pretrained(place / "saved")
    if not torch.equal(again(*inputs), batch):
        raise ValueError("the reloaded mechanism paints other bits")
    if batch.std() == 0:
        raise ValueError("every pixel is the same")
    return _how(made), spread


def _options(family: Family, kind: Kind, pipeline: Any) -> dict[str, Any]:
    import inspect

    takes = inspect.signature(pipeline.__call__).parameters
    call = {key: value for key, value in {**family.call, **kind.call}.items() if key in takes}
    options: dict[str, Any] = {}
    if "num_inference_steps" in takes:
        options["steps"] = kind.steps
    if call:
        options["call"] = call
    if kind.images:
        options["images"] = dict(kind.images)
    if "prompt" in takes:
        options["prompts"] = PROMPTS
    elif "class_labels" in takes:
        options["labels"] = [cp.Label("digit", 2)]
    return options


def _inputs(made: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Values of the parents and noise for a few rows."""
    generator = torch.Generator().manual_seed(3)
    parents = {}
    for name, variable in made.bound_parents.items():
        if variable.is_image:
            parents[name] = torch.rand(ROWS, *variable.event_shape, generator=generator)
        else:
            parents[name] = torch.arange(ROWS) % variable.size
    noise = {}
    for name, spec in made.noise.items():
        draw = torch.rand if spec.distribution == "uniform" else torch.randn
        noise[name] = draw(ROWS, *spec.shape, generator=generator)
    return parents, noise


def _distance(made: Any, inputs: Any, row: int, batch: torch.Tensor) -> float:
    parents, noise = inputs
    one = made(
        {name: value[row : row + 1] for name, value in parents.items()},
        {name: value[row : row + 1] for name, value in noise.items()},
    )
    return float((one[0] - batch[row]).abs().max())


def _how(made: Any) -> str:
    if type(made).__name__ == "DiffusersGenerator":
        return "sampling loop of its own, with inversion"
    if made.run.batched:
        return "rows in one call"
    return "rows one by one"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the libraries say."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def rest() -> list[str]:
    """Classes of the installed diffusers that have no row."""
    known = {kind.name for _, kind in kinds()}
    return sorted(n for n in dir(diffusers) if n.endswith("Pipeline") and n not in known)


def unbuilt(name: str) -> Outcome:
    """What is known of a class without a row, before any of its weights are there."""
    with quiet(), tempfile.TemporaryDirectory() as place:
        index = {"_class_name": name, "_diffusers_version": diffusers.__version__}
        (Path(place) / "model_index.json").write_text(json.dumps(index))
        try:
            check_class("its repository", name)
            cp.from_pretrained(place, prompts=PROMPTS)
            return Outcome("", name, "raw error", "an empty repository was loaded")
        except cp.MissingDependencyError as error:
            return Outcome("", name, "refused", str(error))
        except cp.CausalPlugError as error:
            refused = any(reason in str(error) for reason in _REFUSALS)
            return Outcome("", name, "refused" if refused else "not tried", str(error))
        except Exception as error:
            return Outcome("", name, "raw error", f"{type(error).__name__}: {error}")


def _told(outcomes: list[Outcome]) -> None:
    """How many classes have each verdict."""
    for verdict in ("works", "refused", "not built", "absent", "not tried", "raw error"):
        print(f"{verdict}: {sum(one.verdict == verdict for one in outcomes)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="a family or a class")
    parser.add_argument("--after", help="leave out what comes before this class")
    parser.add_argument("--rest", action="store_true")
    arguments = parser.parse_args()
    outcomes = []
    if arguments.rest:
        for name in rest():
            outcomes.append(unbuilt(name))
            print(outcomes[-1].line(), flush=True)
        _told(outcomes)
        return
    started = arguments.after is None
    for family, kind in kinds():
        started = started or kind.name == arguments.after
        if started and arguments.only in (None, family.name, kind.name):
            outcomes.append(measure(family, kind))
            print(outcomes[-1].line(), flush=True)
    _told(outcomes)


if __name__ == "__main__":
    main()
