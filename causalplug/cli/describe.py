"""What a repository holds, read off its ``config.json``: no weights, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from causalplug.errors import CausalPlugError, RepositoryError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source
from causalplug.selection import by_name, dicts_by_name, drop, map_values
from causalplug.values import Json, Named
from causalplug.variables import variable_from_dict

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot

__all__ = ["described", "facts_of"]

_WHAT = {"dcm": "a model", "mechanism": "a generator", "encoder": "an encoder"}


def facts_of(snapshot: Snapshot) -> Json:
    """What the repository holds, as JSON values.

    Raises:
        RepositoryError: There is no ``config.json``, or it is malformed.
    """
    with snapshot.open() as opened:
        config = opened.config
    format = str(config.get("format", ""))
    kind = format.removeprefix("causalplug-").rpartition("-")[0]
    if kind not in _WHAT or not format.startswith("causalplug-"):
        raise RepositoryError(
            f"cannot describe {snapshot}: its config.json is not one of causalplug's; plug it in "
            "through an adapter (causalplug adapters)"
        )
    facts = {
        "repository": str(snapshot),
        "revision": snapshot.revision,
        "kind": kind,
        "format": format,
    }
    try:
        return facts | (_model(config) if kind == "dcm" else _part(config))
    except CausalPlugError as error:
        raise RepositoryError(f"cannot describe {snapshot}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RepositoryError(
            f"cannot describe {snapshot}: its config.json is malformed ({type(error).__name__}: "
            f"{error}); save it again"
        ) from error


def _model(config: Named) -> Json:
    graph = CausalGraph.from_dict(config["graph"])
    variables = {}
    for name in graph.variables:
        variables[name] = variable_from_dict(config["variables"][name], name)
    mechanisms, encoders = (map_values(_made, config[key]) for key in ("mechanisms", "encoders"))
    return {
        "causalplug_version": config.get("causalplug_version"),
        "graph": str(graph),
        "variables": dicts_by_name(variables),
        "mechanisms": mechanisms,
        "encoders": encoders,
        "sources": [Source.from_dict(item).to_dict() for item in config["sources"]]
        if "sources" in config
        else None,
        "weights": config.get("weights", {}).get("size"),
        "training": list(map(_trained, config.get("history", {}).get("modules", []))),
        "queries": config.get("queries", []),
    }


def _made(item: Named) -> Json:
    """A mechanism or an encoder: trained, or pulled from where."""
    if "pulled" not in item:
        return {"kind": item["kind"]}
    pulled = item["pulled"]
    if "reference" in pulled:
        reference = pulled["reference"]
        return {"pulled": reference["repo_id"], "revision": reference["revision"]}
    if "copy" in pulled:
        place = pulled["copy"]
    else:
        place = pulled["local"]
    return {"pulled": place["folder"] if isinstance(place, Mapping) else place}


def _trained(module: Named) -> Json:
    keys = ("variables", "objective", "steps", "converged", "distances")
    return by_name(module.get, keys)


def _part(config: Named) -> Json:
    return {
        "adapter": config["kind"],
        "license": config.get("license"),
        "source": config.get("source"),
        "config": drop(config["config"], ("layers", "inputs")),
    }


def described(facts: Named) -> str:
    """The facts as lines for people."""
    rows = list(_model_lines(facts) if facts["kind"] == "dcm" else _part_lines(facts))
    width = max(len(label) for label, _ in rows)
    version = facts.get("causalplug_version")
    saved = ""
    if version:
        saved = f", saved by causalplug {version}"
    head = f"{facts['repository']}: {_WHAT[facts['kind']]}{saved}"
    return "\n".join([head, *(f"{label.ljust(width)}  {text}" for label, text in rows)])


def _model_lines(facts: Named) -> Iterator[tuple[str, str]]:
    yield "graph", " ".join(facts["graph"].split("\n"))
    for number, (name, declaration) in enumerate(facts["variables"].items()):
        yield (
            "" if number else "variables",
            f"{name}: {_values(declaration)}; {_origin(facts, name)}",
        )
    if facts["sources"] is None:
        yield "trained on", "unknown: what it may be asked is not checked"
    for number, source in enumerate(facts["sources"] or ()):
        declared = Source.from_dict(source)
        shown = str(declared)
        if declared.name == declared.describe():
            shown = declared.describe()
        yield "" if number else "trained on", shown
    for number, module in enumerate(facts["training"]):
        yield "" if number else "training", _training_line(module)
    for number, query in enumerate(facts["queries"]):
        yield (
            "" if number else "questions",
            f"{query.get('name') or query['query']}: {query['status']}",
        )
    if facts["weights"]:
        yield "weights", f"{facts['weights']:,} bytes"


def _values(declaration: Named) -> str:
    if declaration["kind"] == "image":
        return f"image {declaration['channels']}x{declaration['height']}x{declaration['width']}"
    if declaration["kind"] == "continuous":
        return "number"
    categories = declaration["categories"]
    names = list(map(str, range(categories) if isinstance(categories, int) else categories))
    if len(names) <= 8:
        return ", ".join(names)
    return f"{len(names)} categories, {names[0]} to {names[-1]}"


def _origin(facts: Named, name: str) -> str:
    found = []
    for what, parts in (("", facts["mechanisms"]), ("encoder ", facts["encoders"])):
        if name in parts:
            part = parts[name]
            at = ""
            if part.get("revision"):
                at = f"@{part['revision'][:8]}"
            found.append(
                what
                + (
                    f"pulled from {part['pulled']}{at}"
                    if "pulled" in part
                    else f"trained ({part['kind']})"
                )
            )
    return ", ".join(found)


def _training_line(module: Named) -> str:
    verdict = {True: "converged", False: "NOT converged", None: "not compared"}[module["converged"]]
    distances = []
    for d in module["distances"] or ():
        if d.get("tvd") is not None:
            distances.append(f"TVD {d['tvd']:.3f} (floor {d['floor']:.3f})")
    return ", ".join(
        [
            f"{'+'.join(module['variables'])}: {module['objective']}, {module['steps']} steps",
            *distances,
            verdict,
        ]
    )


def _part_lines(facts: Named) -> Iterator[tuple[str, str]]:
    yield "adapter", facts["adapter"]
    config = facts["config"]
    image = config.get("image") or config.get("variable")
    if isinstance(image, Mapping) and image.get("kind") in ("image", "discrete", "continuous"):
        yield "generates" if facts["kind"] == "mechanism" else "reads", _values(image)
    for number, (name, values) in enumerate(_labels(config.get("labels"))):
        yield "" if number else "labels", f"{name}: {values}"
    yield "licence", facts["license"] or "not stated"
    if facts["source"]:
        yield "source", facts["source"]


def _labels(labels: object) -> Iterator[tuple[str, str]]:
    """Name and values of what a generator conditions on, where its adapter writes them down in a
    common form."""
    if isinstance(labels, Mapping):
        items = []
        for name, item in labels.items():
            items.append({"name": name, **item} if isinstance(item, Mapping) else item)
        labels = items
    for label in labels if isinstance(labels, list) else ():
        if isinstance(label, Mapping) and "name" in label:
            known = isinstance(label.get("categories"), int | list)
            yield (
                str(label["name"]),
                _values({"kind": "discrete", **label}) if known else "declared by its adapter",
            )
