"""Wrong values for every setting, and what each kind of argument may hold."""

from __future__ import annotations

import math

HUGE = 10**30
VALUES = {
    "-1": -1,
    "1.5": 1.5,
    "None": None,
    "text": "x",
    "nan": math.nan,
    "inf": math.inf,
    "huge": HUGE,
    "True": True,
    "list": [],
    "mapping": {},
    "object": object(),
    "bytes": b"x",
    "mixed": ["X", 3],
    "zero": 0,
    "function": len,
}
"""Values by name; each is wrong for most settings."""

KINDS: dict[str, set[str]] = {
    "count": set(),
    "count?": {"None"},
    "natural": {"zero"},
    "seed": {"zero"},
    "flag": {"True"},
    "flag?": {"True", "None"},
    "share": set(),
    "share0": {"zero"},
    "positive": {"1.5", "huge"},
    "positive?": {"1.5", "huge", "None"},
    "least0": {"1.5", "huge", "zero"},
    "number": {"-1", "1.5", "huge", "zero"},
    "word": set(),
    "word?": {"None"},
    "names": {"list"},
    "names?": {"list", "None"},
    "no names": set(),
    "text": {"text"},
    "text?": {"text", "None"},
    "mapping?": {"mapping", "None"},
    "mapping": {"mapping"},
    "objects?": {"mapping", "None"},
    "path": {"text"},
    "path?": {"text", "None"},
    "widths": {"list"},
    "object": set(),
    "object?": {"None"},
    "rows": set(),
    "query": set(),
    "keys": {"list", "mapping"},
    "named": {"list", "mapping", "text"},
    "keys?": {"list", "mapping", "None"},
    "list": {"list", "text"},
    "list?": {"list", "mapping", "None"},
    "words": {"list", "text"},
    "categories": {"mixed"},
    "high": {"-1", "1.5", "huge", "zero", "inf"},
    "function": {"function"},
    "any": set(VALUES),
}
"""By kind of argument, the values above that have a meaning for it."""


def wrong(kind: str) -> dict[str, object]:
    """The values that an argument of this kind has to refuse, by name."""
    return {name: value for name, value in VALUES.items() if name not in KINDS[kind]}
