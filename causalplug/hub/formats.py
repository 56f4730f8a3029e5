"""Formats of ``config.json``: the current ones, and how older ones are read."""

from __future__ import annotations

__all__ = [
    "DCM_FORMAT",
    "DCM_FORMATS",
    "ENCODER_FORMAT",
    "MECHANISM_FORMAT",
    "read_dcm_config",
    "unknown_format",
]

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from causalplug.errors import RepositoryError
from causalplug.files.validation import check_keys, short
from causalplug.hub.reference import REFERENCE_SCHEMA
from causalplug.values import Json, Named

DCM_FORMAT = "causalplug-dcm-3"
MECHANISM_FORMAT = "causalplug-mechanism-1"
ENCODER_FORMAT = "causalplug-encoder-1"
_FACTS = {"size": int, "sha256": str}
_PLACE = {"folder": str, "files": {str: _FACTS}}
_PULLED = {"reference?": REFERENCE_SCHEMA, "local?": _PLACE, "copy?": _PLACE, "part?": str}
_TRAINED = {"kind?": str, "config?": dict[str, object]}
_COMMON = {
    "causalplug_version": str,
    "graph": dict[str, object],
    "variables": {str: dict[str, object]},
    "confounder_size": int,
    "plan?": dict[str, object],
    "card?": _FACTS,
}
_QUERY = {"name": str | None, "query": str, "status": str, "reason": str, "estimand": str | None}
_SCHEMA_2 = {
    **_COMMON,
    "format": Literal["causalplug-dcm-2"],
    "mechanisms": {
        str: {**_TRAINED, "generator?": _PULLED, "pulled?": _PULLED, "binding?": dict[str, object]}
    },
    "encoders": {str: {**_TRAINED, "trained?": bool, "pulled?": _PULLED, "size?": int}},
    "sources": list[dict[str, object]] | None,
    "queries": [_QUERY],
    "history": dict[str, object],
    "weights": _FACTS,
}
_SCHEMA = {
    **_SCHEMA_2,
    "format": Literal["causalplug-dcm-3"],
    "confounders": [list[str]],
    "counterfactuals?": list[str],
    "replicates?": _FACTS,
}
_PULLED_1 = {"reference?": dict[str, object], "local?": _PLACE, "copy?": str}
_SCHEMA_1 = {
    **_COMMON,
    "format": Literal["causalplug-dcm-1"],
    "mechanisms": {str: {**_TRAINED, "pulled?": _PULLED_1, "binding?": dict[str, object]}},
    "encoders": {str: {**_TRAINED, "trained?": bool, "pulled?": _PULLED_1}},
    "sources?": [dict[str, object]],
    "queries?": [_QUERY],
    "history?": dict[str, object],
    "weights": _FACTS,
}


def read_dcm_config(value: Json, *, where: str) -> Json:
    """The configuration of a model in the current format, whichever known format it was written in.

    Args:
        value: What ``config.json`` holds.
        where: The file, for messages.

    Raises:
        RepositoryError: The format is unknown, or keys are unknown, missing or of a wrong type.
    """
    name = value.get("format")
    if not isinstance(name, str) or name not in DCM_FORMATS:
        raise unknown_format(name, DCM_FORMATS, where=where)
    schema, upgrade = DCM_FORMATS[name]
    config = check_keys(value, schema, where=where)
    if upgrade is None:
        return config
    return read_dcm_config(upgrade(config), where=where)


def unknown_format(found: object, known: Iterable[str], *, where: str) -> RepositoryError:
    """The error for a format that cannot be read."""
    newest = {}
    for stem, number in (name.rsplit("-", 1) for name in sorted(known)):
        newest[stem] = int(number)
    match = None
    if isinstance(found, str):
        match = re.fullmatch(r"(causalplug-[a-z]+)-(\d{1,6})", found)
    if match and match[1] in newest and int(match[2]) > newest[match[1]]:
        way_out = "it was saved by a newer causalplug: run `pip install -U causalplug`"
    else:
        way_out = (
            f"known are {', '.join(sorted(known))}. Plug a generator of another library in "
            "through an adapter"
        )
    return RepositoryError(f"cannot use {where}: its format is {short(found)}; {way_out}")


def _from_1(config: Named) -> Json:
    """Copies had no record of their files; sources, questions and history could be absent."""

    def mended(entries: Named) -> Json:
        found = {}
        for name, entry in entries.items():
            found[name] = {**entry, **_pulled_from_1(entry)}
        return found

    return {
        "sources": None,
        "queries": [],
        "history": {},
        **config,
        "format": "causalplug-dcm-2",
        "mechanisms": mended(config["mechanisms"]),
        "encoders": mended(config["encoders"]),
    }


def _from_2(config: Named) -> Json:
    """There was one confounder noise for every bidirected edge."""
    edges = config["graph"].get("bidirected", [])
    return {**config, "format": DCM_FORMAT, "confounders": edges}


def _pulled_from_1(entry: Named) -> Json:
    pulled = entry.get("pulled", {})
    if "copy" in pulled:
        return {"pulled": {**pulled, "copy": {"folder": pulled["copy"], "files": {}}}}
    return {}


DCM_FORMATS: dict[str, tuple[Mapping[Any, object], Callable[[Named], Json] | None]] = {
    "causalplug-dcm-1": (_SCHEMA_1, _from_1),
    "causalplug-dcm-2": (_SCHEMA_2, _from_2),
    DCM_FORMAT: (_SCHEMA, None),
}
"""Every format that is read: its keys, and the step to the next one."""
