"""What the scripts of the recipes share: options and settings, the clock, the kept result, the
expected bounds."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from causalplug.errors import DataError

__all__ = ["Run", "parser", "recipes", "tvd", "violations"]

HOME = Path(__file__).parent
_WORDS = {"at_most": "more than", "at_least": "less than", "equal": "not"}


def recipes() -> list[str]:
    """Names of all recipes that say what is expected of them, in alphabetical order."""
    return sorted(path.parent.name for path in HOME.glob("*/expected.json"))


def parser(script: str, description: str | None) -> argparse.ArgumentParser:
    """The options that every recipe has; a recipe adds its own.

    Args:
        script: ``__file__`` of the recipe's ``run.py``.
        description: What ``--help`` says.
    """
    name = Path(script).parent.name
    made = argparse.ArgumentParser(prog=f"python -m recipes.{name}.run", description=description)
    made.add_argument("--seed", type=int, default=0, help="of everything random")
    made.add_argument(
        "--quick", action="store_true", help="the small settings of config.json, without any data"
    )
    made.add_argument(
        "--output-dir", type=Path, default=Path("runs") / name, help="default: %(default)s"
    )
    return made


class Run:
    """One run of a recipe: its settings, its clock and its folder.

    Args:
        script: ``__file__`` of the recipe's ``run.py``; ``config.json`` lies beside it.
        made: The parser with all options. An option that is left out (None) takes the value that
            ``config.json`` has for it under ``full`` or, with ``--quick``, under ``quick``.
        arguments: The command line; the process's own if None.

    Attributes:
        options: The settings, as of argparse.
        seconds: CPU seconds by step.
    """

    def __init__(self, script: str, made: argparse.ArgumentParser, arguments: list[str] | None):
        import torch

        torch.set_num_threads(1)  # small networks: more threads cost more than they bring
        torch.set_flush_denormal(True)
        self.name = Path(script).parent.name
        self.options = made.parse_args(arguments)
        config = json.loads(Path(script).with_name("config.json").read_text())
        for name, value in config["quick" if self.options.quick else "full"].items():
            if getattr(self.options, name, None) is None:
                setattr(self.options, name, value)
        self.seconds: dict[str, float] = {}
        self._clock, self._start = time.process_time(), time.time()
        self.options.output_dir.mkdir(parents=True, exist_ok=True)

    def lap(self, step: str) -> None:
        """What was done since the last call, or since the start, was ``step``."""
        now = time.process_time()
        self.seconds[step] = round(self.seconds.get(step, 0.0) + now - self._clock, 1)
        self._clock = now

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write ``result.json`` with the facts of the run, and return what it holds."""
        facts = {
            "recipe": self.name,
            "mode": "quick" if self.options.quick else "full",
            "seed": self.options.seed,
            "date": date.today().isoformat(),
            "cores": os.cpu_count(),
            "cpu_seconds": self.seconds,
            "minutes": round((time.time() - self._start) / 60, 1),
        }
        whole: dict[str, Any] = json.loads(json.dumps({**result, "run": facts}))
        (self.options.output_dir / "result.json").write_text(json.dumps(whole, indent=1))
        total = ", ".join(f"{step} {seconds:g}" for step, seconds in self.seconds.items())
        print(
            f"\nCPU seconds: {total}. The result and what was trained are in "
            f"{self.options.output_dir}."
        )
        return whole


def tvd(p: Any, q: Any) -> float:
    """Total variation distance of two tables of probabilities: half the sum of the absolute
    differences."""
    return float(0.5 * np.abs(np.asarray(p, float) - np.asarray(q, float)).sum())


def violations(name: str, result: Mapping[str, Any], mode: str = "quick") -> list[str]:
    """In which ways a result is not what the recipe's ``expected.json`` says; empty if it is.

    The file has bounds by mode: ``{"quick": {"answers.*.tvd": {"at_most": 0.03}}}``. A path leads
    through the result by keys and positions, ``*`` through all of them; a bound is ``at_most``,
    ``at_least`` or ``equal``. What is missing, and what is no number, is a violation.

    Raises:
        DataError: A bound that is none of the three.
    """
    found: list[str] = []
    for path, bounds in json.loads((HOME / name / "expected.json").read_text())[mode].items():
        values = list(_walk(result, path.split("."), ""))
        if not values:
            found.append(f"{path} is not in the result")
        for where, value in values:
            found += [
                f"{where} is {value}: {_WORDS[word]} {bound}"
                for word, bound in bounds.items()
                if not _holds(word, value, bound)
            ]
    return found


def _walk(value: Any, path: list[str], where: str) -> Iterator[tuple[str, Any]]:
    if not path:
        yield where.lstrip("."), value
        return
    items = (
        dict(enumerate(value))
        if isinstance(value, list)
        else value
        if isinstance(value, dict)
        else {}
    )
    for key, item in items.items():
        if path[0] in ("*", str(key)):
            yield from _walk(item, path[1:], f"{where}.{key}")


def _holds(word: str, value: Any, bound: Any) -> bool:
    if word not in _WORDS:
        raise DataError(
            f"The bound {word!r} is none of {', '.join(_WORDS)}: correct expected.json."
        )
    if word == "equal":
        return bool(value == bound)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and bool(value <= bound if word == "at_most" else value >= bound)
