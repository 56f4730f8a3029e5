"""What a licence, by the identifier that the Hub uses, allows to do with copies of the weights."""

from __future__ import annotations

__all__ = ["may_copy", "redistribution"]

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
