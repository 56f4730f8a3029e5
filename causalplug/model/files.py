"""A whole model as a repository: ``config.json``, ``model.safetensors`` with what was trained,
references to what was pulled.
"""

from __future__ import annotations

__all__ = ["dcm_files", "load_dcm"]

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalplug.errors import RepositoryError
from causalplug.files.storage import Content
from causalplug.files.validation import check_keys, configured
from causalplug.files.weights import read_safetensors, safetensors_writer
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.source import Source, as_sources
from causalplug.hub.card import CARD_FACTS
from causalplug.hub.formats import DCM_FORMAT, read_dcm_config
from causalplug.hub.reference import follow
from causalplug.identification.query import Query
from causalplug.model.caveats import check_records
from causalplug.model.extract import extract_module
from causalplug.model.facts import (
    fit_rows,
    identified,
    plan_rows,
    training_rows,
    warning_rows,
)
from causalplug.model.pulled import PulledParts, describe_pulled
from causalplug.model.replicates import joined_replicates, split_replicates
from causalplug.planning.asked_images import counterfactual_images
from causalplug.planning.plan import Plan
from causalplug.selection import dicts_by_name, drop, to_dicts
from causalplug.values import Json, Named
from causalplug.variables import variable_from_dict

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from causalplug.encoders.encoders import Encoder
    from causalplug.hub.saving import FetchingOptions
    from causalplug.hub.snapshot import Snapshot
    from causalplug.mechanisms.base import Mechanism
    from causalplug.model.model import Model

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
_REPLICATES = "replicates.safetensors"


def _mechanism_entry(
    name: str, mechanism: Mechanism, pulled: Callable[[object, str], Json]
) -> Json:
    """What the configuration says of a mechanism; ``pulled`` describes what came from elsewhere."""
    if mechanism.frozen and not _inside(mechanism):
        return {"pulled": pulled(mechanism, name), **mechanism.bound_to()}
    own: Json = {"kind": mechanism.kind, "config": mechanism.config()}
    if mechanism.frozen:
        return own | mechanism.bound_to()
    generator = mechanism.frozen_generator
    if generator is not None and generator.origin is not None:
        own["generator"] = pulled(generator, name)
    return own


def _encoder_entry(name: str, encoder: Encoder, pulled: Callable[[object, str], Json]) -> Json:
    if encoder.origin is not None or encoder.copied_with_model:
        return {"pulled": pulled(encoder, name), "size": encoder.size}
    trained = bool(encoder.trained)
    return {"kind": encoder.kind, "config": encoder.config(), "trained": trained}


def dcm_files(
    dcm: Model,
    folder: Path,
    *,
    frozen: str = "reference",
    queries: Any = None,
    anywhere: bool = False,
) -> tuple[dict[str, Content], Json]:
    """The files of a model's repository and its configuration.

    Args:
        dcm: The model.
        folder: Where the files will be written.
        frozen: ``"reference"`` refers to pulled generators and encoders by repository and commit
            (by folder and hashes, where they came from a folder of this computer); ``"copy"`` puts
            them into ``frozen/``.
        queries: Questions whose identification is noted, as for
            :func:`~causalplug.model.facts.identified`.
        anywhere: Whether it has to load on other computers, so that no folder of this one may be
            referred to.

    Raises:
        RepositoryError: A frozen part was made in memory and was never saved, so that nothing can
            be referred to.
    """
    from causalplug import __version__

    if frozen not in ("reference", "copy"):
        raise RepositoryError(f"cannot save with frozen={frozen!r}: use 'reference' or 'copy'")
    files: dict[str, Content] = {}

    def pulled(part: object, name: str) -> Json:
        return describe_pulled(
            part, name, folder=folder, frozen=frozen, anywhere=anywhere, files=files
        )

    mechanisms = {}
    for n, m in dcm.mechanisms.unopened().items():
        mechanisms[n] = _mechanism_entry(n, m, pulled)
    encoders = {}
    for n, e in dcm.encoders.unopened().items():
        encoders[n] = _encoder_entry(n, e, pulled)
    config: Json = {
        "format": DCM_FORMAT,
        "causalplug_version": __version__,
        "graph": dcm.graph.to_dict(),
        "variables": dicts_by_name(dcm.variables),
        "confounder_size": dcm.confounder_size,
        "confounders": list(map(list, dcm.confounders.groups)),
        "mechanisms": mechanisms,
        "encoders": encoders,
        "sources": None if dcm.sources is None else to_dicts(dcm.sources),
        "queries": identified(dcm, queries),
        "history": dcm.history,
    }
    if dcm.counterfactuals:
        config["counterfactuals"] = list(dcm.counterfactuals)
    if dcm.plan is not None:
        config["plan"] = dcm.plan.to_dict()
    files[_WEIGHTS] = safetensors_writer(dcm.trained_tensors())
    if dcm.replicates:
        files[_REPLICATES] = safetensors_writer(joined_replicates(dcm.replicates))
    return files, config


def _inside(mechanism: Mechanism) -> bool:
    """Whether a frozen mechanism is saved with the model, for want of a repository of its own."""
    return mechanism.saved_with_model and mechanism.origin is None


def load_dcm(
    snapshot: Snapshot,
    build: Callable[..., Model],
    *,
    device: Any = None,
    dtype: Any = None,
    module: str | None = None,
    chain: tuple[str, ...] = (),
    **options: Unpack[FetchingOptions],
) -> Any:
    """Load a model. Its frozen parts are fetched when they are first needed.

    Args:
        snapshot: The repository.
        build: The class of the model, called with graph, variables, mechanisms, encoders and
            ``confounder_size``.
        device: Where the weights go.
        dtype: Dtype of the trained weights; what is frozen keeps the precision that it was saved or
            plugged in with.
        module: Variables of a trained module, as ``"C+N"``; it alone is returned, to be plugged
            into another model.
        chain: The keys of the snapshots whose references led here.
        options: How referenced repositories are fetched: ``cache_dir``, ``token``,
            ``local_files_only``, ``force_download``.

    Returns:
        A model of the class ``build``, or a
        :class:`~causalplug.model.trained_module.TrainedModule`.

    Raises:
        RepositoryError: The repository is incomplete or malformed, or the weights do not fit.
        UnknownVariableError, PlanError: There is no such module.
    """
    from causalplug.files.precision import cast, precision_of_file

    chain = follow(chain, snapshot.key)
    with snapshot.open() as opened:
        where = f"{snapshot}/{_CONFIG}"
        config = read_dcm_config(opened.config, where=where)
        weights = opened.weights(config["weights"])
        load_other = partial(load_dcm, build=build, chain=chain, **options)
        parts = PulledParts(snapshot, where, chain, options, load_other)
        with configured(where):
            dcm = _built(build, config, parts, where, weights.size, len(weights.header))
        if (precision := precision_of_file(weights.header, dcm)) is not None:
            cast(dcm, precision, keep=dcm.frozen_names())
        dcm.load_trained(weights.tensors(dcm.trained_tensors()))
        if "replicates" in config:
            file = snapshot.file(_REPLICATES, facts=config["replicates"])
            tensors = read_safetensors(file, within=snapshot.boundary)
            dcm.replicates = split_replicates(tensors, dcm.trained_tensors(), str(snapshot))
    dcm.origin = snapshot
    dcm.requires_grad_(False).eval()
    if dtype is not None:
        cast(dcm, dtype, keep=dcm.frozen_names())
    if device is not None:
        dcm.to(device)
    if module is None:
        return dcm
    return extract_module(dcm, module)


def _own_mechanism(name: str, item: Named, inside: Named) -> Mechanism:
    """A mechanism of the model's own, without its weights."""
    from causalplug.mechanisms.base import MECHANISMS

    made = MECHANISMS.resolve(item["kind"]).from_config(item["config"], **inside)
    if "binding" in item:
        return made.bind_as(name, item["binding"])
    return made


def _own_encoder(item: Named) -> Encoder:
    from causalplug.encoders.encoders import ENCODERS

    encoder = ENCODERS.resolve(item["kind"]).from_config(item["config"])
    encoder.trained = item["trained"]
    return encoder


def _built(
    build: Callable[..., Model],
    config: Named,
    parts: PulledParts,
    where: str,
    size: int,
    tensors: int,
) -> Model:
    """The model that a configuration describes, without its weights."""
    from causalplug.hub.building import building

    graph = CausalGraph.from_dict(config["graph"])
    variables = {name: variable_from_dict(item, name) for name, item in config["variables"].items()}
    if set(variables) != set(graph.variables) or set(config["mechanisms"]) != set(graph.variables):
        raise RepositoryError(
            f"cannot use {where}: its graph, variables and mechanisms do not have the same names. "
            "Save the model again"
        )
    sources = None if config["sources"] is None else tuple(map(Source.from_dict, config["sources"]))
    plan = Plan.from_dict(config["plan"]) if "plan" in config else None
    as_sources(graph, sources)
    _check_records(config, graph, plan, where)
    mechanisms: dict[str, Mechanism] = {}
    encoders: Json = {}
    inside: Json = {}
    for name, item in config["mechanisms"].items():
        if "pulled" in item:
            mechanisms[name] = parts.mechanism(name, item, variables[name], graph.parents(name))
        elif "generator" in item:
            inside[name] = {"generator": parts.generator(name, item["generator"])}
    for name, item in config["encoders"].items():
        if "pulled" in item:
            encoders[name] = parts.encoder(name, item, variables[name])
    with building(where, size=size, tensors=tensors):
        for name, item in drop(config["mechanisms"], mechanisms).items():
            mechanisms[name] = _own_mechanism(name, item, inside.get(name, {}))
        for name, item in drop(config["encoders"], encoders).items():
            encoders[name] = _own_encoder(item)
        dcm = build(
            graph,
            variables,
            mechanisms=mechanisms,
            encoders=encoders,
            confounder_size=config["confounder_size"],
            confounders=config["confounders"],
        )
    dcm.plan, dcm.sources, dcm.history = plan, sources, config["history"]
    dcm.queries = tuple(config["queries"])
    wanted = config.get("counterfactuals", ())
    dcm.counterfactuals = counterfactual_images(graph, wanted, variables)
    return dcm


def _check_records(config: Named, graph: CausalGraph, plan: Plan | None, where: str) -> None:
    """Raise unless plan, history and questions are such as printing them and writing a card
    need."""
    if plan is not None and plan.graph != graph:
        raise RepositoryError(
            f"cannot use {where}: its plan is for another graph. Save the model again"
        )
    history, known = config["history"], CARD_FACTS["dcm"]
    check_records(history)
    rows = {
        "training": training_rows(history),
        "fits": fit_rows((), history),
        "warnings": warning_rows(history),
        "plan": plan_rows(plan) if plan else [],
    }
    check_keys(rows, {key: known[f"{key}?"] for key in rows}, where=where)
    str(plan)
    for row in config["queries"]:
        Query.parse(row["query"]).check(graph.index)
