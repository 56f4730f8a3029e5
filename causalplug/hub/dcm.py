"""A whole model as a repository: ``config.json``, ``model.safetensors`` with what was trained, references to what was
pulled.
"""

from __future__ import annotations

__all__ = ["DCM_FORMAT", "dcm_files", "load_dcm"]

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from causalplug.causal.graph import CausalGraph
from causalplug.causal.plan import Plan
from causalplug.causal.source import Source
from causalplug.errors import CausalPlugError, RepositoryError
from causalplug.files.facts import file_facts
from causalplug.files.storage import Content
from causalplug.files.validation import check_keys, read_json, safe_relative
from causalplug.files.weights import read_safetensors, safetensors_writer
from causalplug.hub.card_facts import identified
from causalplug.hub.parts import load_encoder, load_mechanism
from causalplug.hub.reference import Reference
from causalplug.hub.repository import resolve
from causalplug.variables import variable_from_dict

if TYPE_CHECKING:
    from causalplug.hub.snapshot import Snapshot
    from causalplug.mechanisms.base import Mechanism
    from causalplug.mechanisms.encoders import Encoder
    from causalplug.model import DCM

DCM_FORMAT = "causalplug-dcm-1"
_CONFIG, _WEIGHTS, _COPIES = "config.json", "model.safetensors", "frozen"
_LOCAL = {"folder": str, "files": {str: {"size": int, "sha256": str}}}
_PULLED = {"reference?": dict[str, object], "local?": _LOCAL, "copy?": str}
_SCHEMA = {
    "format": Literal["causalplug-dcm-1"],
    "causalplug_version": str,
    "graph": dict[str, object],
    "variables": {str: dict[str, object]},
    "confounder_size": int,
    "mechanisms": {
        str: {"kind?": str, "config?": dict[str, object], "pulled?": _PULLED, "binding?": dict[str, object]}
    },
    "encoders": {str: {"kind?": str, "config?": dict[str, object], "trained?": bool, "pulled?": _PULLED}},
    "weights?": {"size": int, "sha256": str},
    "sources?": [dict[str, object]],
    "plan?": dict[str, object],
    "queries?": [{"name": str | None, "query": str, "status": str, "reason": str, "estimand": str | None}],
    "history?": dict[str, object],
    "card?": {"size": int, "sha256": str},
}


def dcm_files(
    dcm: DCM, folder: Path, *, frozen: str = "reference", queries: Any = None, anywhere: bool = False
) -> tuple[dict[str, Content], dict[str, Any]]:
    """The files of a model's repository and its configuration.

    Args:
        dcm: the model.
        folder: where the files will be written.
        frozen: ``"reference"`` refers to pulled generators and encoders by repository and commit (by folder and
            hashes, where they came from a folder of this computer); ``"copy"`` puts them into ``frozen/``.
        queries: questions whose identification is noted, as for :func:`~causalplug.hub.card_facts.identified`.
        anywhere: whether it has to load on other computers, so that no folder of this one may be referred to.

    Raises:
        RepositoryError: a frozen part was made in memory and was never saved, so that nothing can be referred to.
    """
    from causalplug import __version__

    if frozen not in ("reference", "copy"):
        raise RepositoryError(f"cannot save with frozen={frozen!r}: use 'reference' or 'copy'")
    files: dict[str, Content] = {}

    def pulled(part: Any, name: str) -> dict[str, Any]:
        if frozen == "reference" and anywhere and part.origin is not None and part.origin.repo_id is None:
            raise RepositoryError(
                f"cannot publish the model: its frozen {type(part).__name__} of {name!r} came from the folder "
                f"{part.origin}, where nobody else can load it from. Publish it first (dcm.mechanism({name!r})"
                '.push_to_hub("owner/name") or dcm.encoders[…]), or copy it into the repository with frozen="copy"'
            )
        return _pulled(part, name, folder, frozen, files)

    mechanisms: dict[str, Any] = {}
    for name, mechanism in dcm.mechanisms.items():
        if mechanism.frozen:
            mechanisms[name] = {"pulled": pulled(mechanism, name), "binding": mechanism.binding()}  # type: ignore[operator]
        else:
            mechanisms[name] = {"kind": mechanism.kind, "config": mechanism.config()}
    encoders: dict[str, Any] = {}
    for name, encoder in dcm.encoders.items():
        if encoder.origin is not None:
            encoders[name] = {"pulled": pulled(encoder, name)}
        else:
            encoders[name] = {"kind": encoder.kind, "config": encoder.config(), "trained": bool(encoder.trained)}
    config: dict[str, Any] = {
        "format": DCM_FORMAT,
        "causalplug_version": __version__,
        "graph": dcm.graph.to_dict(),
        "variables": {name: variable.to_dict() for name, variable in dcm.variables.items()},
        "confounder_size": dcm.confounder_size,
        "mechanisms": mechanisms,
        "encoders": encoders,
    }
    if dcm.sources is not None:
        config["sources"] = [source.to_dict() for source in dcm.sources]
    if dcm.plan is not None:
        config["plan"] = dcm.plan.to_dict()
    if rows := identified(dcm, queries):
        config["queries"] = rows
    if dcm.history:
        config["history"] = dcm.history
    files[_WEIGHTS] = safetensors_writer(dcm.trained_tensors())
    return files, config


def _pulled(part: Any, name: str, folder: Path, frozen: str, files: dict[str, Content]) -> dict[str, Any]:
    """How the model says where a frozen part is; a copy is added to ``files``."""
    origin: Snapshot | None = part.origin
    if origin is None:
        raise RepositoryError(
            f"cannot save the model: the frozen {type(part).__name__} of {name!r} was made in memory and has no "
            "repository. "
            "Save it first (save_pretrained) and plug in what causalplug.from_pretrained gives"
        )
    needed = sorted(origin.used)  # the files that loading it has read
    if frozen == "copy":
        index = len({key.split("/")[1] for key in files})
        for file in needed:
            files[f"{_COPIES}/{index}/{file}"] = origin.file(file)
        return {"copy": f"{_COPIES}/{index}"}
    if origin.repo_id is not None:
        return {"reference": Reference.to(origin, *needed).to_dict()}
    path = os.path.relpath(origin.path, Path(os.path.realpath(folder)))
    return {"local": {"folder": path, "files": {file: file_facts(origin.file(file)) for file in needed}}}


def load_dcm(snapshot: Snapshot, *, device: Any = None, dtype: Any = None, **options: Any) -> DCM:
    """Load a model.

    Args:
        snapshot: the repository.
        device: where the weights go.
        dtype: of the trained weights.
        options: how referenced repositories are fetched: ``cache_dir``, ``token``, ``local_files_only``.

    Raises:
        RepositoryError: the repository is incomplete or malformed, a referenced part has changed, or the weights do
            not fit.
    """
    from causalplug.model import DCM

    with snapshot.hold():
        where = f"{snapshot}/{_CONFIG}"
        config = check_keys(read_json(snapshot.file(_CONFIG), within=snapshot.boundary), _SCHEMA, where=where)
        try:
            graph = CausalGraph.from_dict(config["graph"])
            variables = {name: variable_from_dict(item, name) for name, item in config["variables"].items()}
            sources = tuple(Source.from_dict(item) for item in config.get("sources", []))
            plan = Plan.from_dict(config["plan"]) if "plan" in config else None
            mechanisms = {n: _mechanism(n, item, snapshot, where, options) for n, item in config["mechanisms"].items()}
            encoders = {n: _encoder(n, item, snapshot, where, options) for n, item in config["encoders"].items()}
            dcm = DCM(
                graph, variables, mechanisms=mechanisms, encoders=encoders, confounder_size=config["confounder_size"]
            )
        except RepositoryError:
            raise
        except CausalPlugError as error:
            raise RepositoryError(f"cannot use {where}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise RepositoryError(f"cannot use {where}: {why}. Save the model again") from error
        facts = config.get("weights")
        tensors = read_safetensors(
            snapshot.file(_WEIGHTS), dcm.trained_tensors(), facts=facts, within=snapshot.boundary
        )
    dcm.load_trained(tensors)
    dcm.plan, dcm.sources, dcm.history = plan, sources if "sources" in config else None, config.get("history", {})
    dcm.queries = tuple(config.get("queries", ()))
    dcm.origin = snapshot
    dcm.requires_grad_(False).eval()
    return dcm if device is None and dtype is None else dcm.to(device=device, dtype=dtype)


def _mechanism(
    name: str, item: Mapping[str, Any], snapshot: Snapshot, where: str, options: Mapping[str, Any]
) -> Mechanism:
    from causalplug.mechanisms.base import MECHANISMS

    if "pulled" not in item:
        return MECHANISMS.resolve(item["kind"]).from_config(item["config"])
    mechanism = load_mechanism(_open(item["pulled"], snapshot, f"{where}: {name}", options))
    return mechanism.bind_as(name, item["binding"])  # type: ignore[operator]


def _encoder(name: str, item: Mapping[str, Any], snapshot: Snapshot, where: str, options: Mapping[str, Any]) -> Encoder:
    from causalplug.mechanisms.encoders import ENCODERS

    if "pulled" in item:
        return load_encoder(_open(item["pulled"], snapshot, f"{where}: {name}", options))
    encoder = ENCODERS.resolve(item["kind"]).from_config(item["config"])
    encoder.trained = item["trained"]
    return encoder


def _open(pulled: Mapping[str, Any], snapshot: Snapshot, where: str, options: Mapping[str, Any]) -> Snapshot:
    """The snapshot of a frozen part, its files checked against the hashes that the model recorded."""
    if "reference" in pulled:
        reference = Reference.from_dict(pulled["reference"], where=where)
        opened = reference.open(**options, chain=(snapshot.key,))
        reference.fetch(opened)
        return opened
    if "copy" in pulled:
        inner = safe_relative(pulled["copy"], where=f"cannot use {where}")
        return replace(snapshot, path=snapshot.path / inner, subfolder=f"{snapshot.subfolder}/{inner}".strip("/"))
    local = pulled["local"]
    if snapshot.repo_id is not None:
        raise RepositoryError(
            f"cannot use {where}: it refers to a folder of the computer that it was saved on. Its author has to "
            "push the "
            'generator and save again, or save with frozen="copy"'
        )
    opened = resolve(os.path.normpath(snapshot.path / local["folder"]))
    for file, facts in local["files"].items():
        opened.file(file, facts=facts)
    return opened
