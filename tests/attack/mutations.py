"""Mutated texts, and the limits within which they have to be answered."""

from __future__ import annotations

import os
import random
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from causalplug.errors import CausalPlugError

EXHAUSTIVE = os.environ.get("CAUSALPLUG_EXHAUSTIVE") == "1"
SECONDS = 5.0
PIECES = [
    *"{}[]()<>|,;:=+-*/\\\"'`~#!%&?@^_.$ \t\n\r\0",
    "->", "<->", "--", "o->", "_{", "}}", "{{", "[[", "]]", '""', "''", "//", "/*", "*/", "\\\"",
    "1", "9" * 400, "1e999", "-1", "nan", "inf", "é", "\u2028", "\ud7ff", "\U0001f600", "null",
    "latent", "selected", "do(", "vs", "subgraph", "variable", "probability", "$m", "NaN", "true",
]  # fmt: skip


class TooLong(BaseException):
    """A call ran over its time; no handler of the code under test catches it."""


def mutants(texts: list[str], count: int, seed: int = 0) -> Iterator[str]:
    """``count`` texts with one to six random changes each."""
    chance = random.Random(seed)
    for _ in range(count):
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 6)):
            text = _changed(text, texts, chance)
        yield text


def _changed(text: str, texts: list[str], chance: random.Random) -> str:
    at, to = sorted(chance.randint(0, len(text)) for _ in range(2))
    kind = chance.randrange(6)
    if kind == 0:
        return text[:at] + chance.choice(PIECES) + text[at:]
    if kind == 1:
        return text[:at] + text[min(to, at + 8) :]
    if kind == 2:
        return text[:to] + text[at:]
    if kind == 3:
        return text[:at] + chance.choice(PIECES) * chance.randint(2, 60) + text[at:]
    if kind == 4:
        other = chance.choice(texts)
        return text[:at] + other[chance.randint(0, len(other)) :]
    return text[:at] + chance.choice(PIECES) + text[to:]


def outcomes(
    door: Callable[[str], Any], texts: Iterator[str], *, longest: int = 20_000
) -> Counter[str]:
    """How often ``door`` answers and how often it refuses; foreign exceptions, slow answers and
    long messages are counted by name."""
    found: Counter[str] = Counter()
    for text in texts:
        found[outcome(door, text, longest)] += 1
    return found


def outcome(door: Callable[[str], Any], text: str, longest: int = 20_000) -> str:
    """What ``door`` makes of one text."""
    start = time.process_time()
    before = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, 4 * SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            door(text)
        name = "answered"
    except CausalPlugError as error:
        name = "refused" if len(str(error)) <= longest else f"long message: {text[:60]!r}"
    except TooLong:
        name = f"over {4 * SECONDS:.0f} s: {text[:60]!r}"
    except Exception as error:
        name = f"{type(error).__name__}: {error!s:.60} for {text[:200]!r}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    spent = time.process_time() - start
    return name if spent <= SECONDS else f"slow ({spent:.1f} s): {text[:60]!r}"


def _stop(*_: Any) -> None:
    raise TooLong
