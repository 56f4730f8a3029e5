"""What a licence, by the identifier that the Hub uses, allows to do with copies of the weights."""

from __future__ import annotations

import re

__all__ = ["USES", "may_copy", "objection", "redistribution"]

USES = ("research", "commercial", "redistribution", "modification")
"""What a user may say that a part is for."""

_LIMITED = {"nc", "noncommercial", "research", "academic", "evaluation", "personal", "educational"}
_ALLOWED = {
    "apache-2.0": "yes",
    "mit": "yes",
    "bsd": "yes",
    "bsd-2-clause": "yes",
    "bsd-3-clause": "yes",
    "isc": "yes",
    "unlicense": "yes",
    "cc0-1.0": "yes",
    "cc-by-3.0": "yes, naming the author",
    "cc-by-4.0": "yes, naming the author",
    "cc-by-sa-4.0": "yes, under the same licence",
    "cc-by-nd-4.0": "yes, unchanged",
    "cc-by-nc-4.0": "yes, not for commercial use",
    "cc-by-nc-sa-4.0": "yes, not for commercial use, under the same licence",
    "cc-by-nc-nd-4.0": "yes, unchanged, not for commercial use",
    "gpl-3.0": "yes, under the same licence",
    "lgpl-3.0": "yes, under the same licence",
    "agpl-3.0": "yes, under the same licence",
    "mpl-2.0": "yes, under the same licence",
    "openrail": "yes, with its restrictions of use",
    "openrail++": "yes, with its restrictions of use",
    "creativeml-openrail-m": "yes, with its restrictions of use",
    "bigscience-openrail-m": "yes, with its restrictions of use",
    "bigscience-bloom-rail-1.0": "yes, with its restrictions of use",
}


def redistribution(license: str | None) -> str:
    """Say in a few words whether copies may be passed on; "unknown" where no licence says so."""
    if license is None:
        return "unknown, none is declared"
    return _ALLOWED.get(license.lower(), "unknown, read the licence")


def may_copy(license: str | None) -> bool:
    """Whether a licence is known to let copies of the weights be passed on."""
    return license is not None and license.lower() in _ALLOWED


def objection(license: str | None, use: str) -> str | None:
    """Why a licence does not allow a use, or is not known to; None where it is known to allow it
    or where nothing has to be allowed.

    Args:
        license: By the Hub's identifier, or by its name where it has none.
        use: One of :data:`USES`.
    """
    if use == "research":
        return None
    if license is None:
        return f"it declares no licence, and without one nothing allows {use}"
    if use == "commercial" and _non_commercial(license):
        return f"its licence {license} does not allow commercial use"
    if use == "modification" and "nd" in _words(license):
        return f"its licence {license} does not allow changed copies"
    if license.lower() not in _ALLOWED:
        return f"its licence {license!r} is not known here: whether it allows {use} is in its text"
    return None


def _words(license: str) -> list[str]:
    return [word for word in re.split(r"[^a-z]+", license.lower()) if word]


def _non_commercial(license: str) -> bool:
    """Whether the name of a licence says that it is not for commercial use."""
    words = _words(license)
    joined = "".join(words)
    return bool(_LIMITED & set(words)) or "noncommercial" in joined
