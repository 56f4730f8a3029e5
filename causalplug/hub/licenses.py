"""What a licence, by the identifier that the Hub uses, allows to do with copies of the weights."""

from __future__ import annotations

__all__ = ["USES", "may_copy", "objection", "redistribution"]

USES = ("research", "commercial", "redistribution", "modification")
"""What a user may say that a part is for."""

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
    """Why a licence does not allow a use, None where it is not known to forbid it.

    Args:
        license: by the Hub's identifier.
        use: one of :data:`USES`.
    """
    words = (license or "").lower().split("-")
    if use == "commercial" and ("nc" in words or "noncommercial" in words or "research" in words):
        return f"its licence {license} does not allow commercial use"
    if use == "modification" and "nd" in words:
        return f"its licence {license} does not allow changed copies"
    if use in ("commercial", "redistribution", "modification") and license is None:
        return f"it declares no licence, and without one nothing allows {use}"
    return None
