"""What a repository says of itself to the planner, from its configuration alone: no weights are
fetched, and torch is not imported."""

from __future__ import annotations

__all__ = ["read_candidate"]

from os import PathLike
from typing import Any

from causalplug.files.validation import configured, read_json
from causalplug.hub.card import card_data
from causalplug.hub.formats import MECHANISM_FORMAT
from causalplug.hub.pipeline_kinds import no_pictures
from causalplug.hub.repository import resolve
from causalplug.hub.snapshot import Snapshot
from causalplug.planning.candidates import Candidate
from causalplug.selection import values_at, within
from causalplug.values import Named
from causalplug.variables import (
    Continuous,
    Discrete,
    Image,
    Text,
    Variable,
    Vector,
    variable_from_dict,
)

_CONFIG, _INDEX, _CARD = "config.json", "model_index.json", "README.md"
_NETWORKS = ("unet", "transformer", "prior")
_WRITES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_TEXT_CODES = 512


def read_candidate(source: str | PathLike[str]) -> Candidate:
    """What a folder or a Hub repository declares.

    Args:
        source: A folder, or a Hub id.

    Raises:
        RepositoryError: Nothing is there, or its configuration is malformed.
    """
    snapshot = resolve(source)
    if snapshot.has(_INDEX):
        return _pipeline(snapshot, str(source))
    config = read_json(snapshot.file(_CONFIG), within=snapshot.boundary)
    with configured(f"{snapshot}/{_CONFIG}"):
        if config.get("format") == MECHANISM_FORMAT:
            return _own(config, str(source))
        if isinstance(config.get("model_type"), str):
            return _transformers(config, str(source))
    what = "a repository of another kind"
    if str(config.get("format", "")).startswith("causalplug"):
        what = "a whole model or an encoder"
    return Candidate(str(source), None, what=what)


def _own(config: Named, label: str) -> Candidate:
    """A mechanism of causalplug."""
    kind, fields = str(config["kind"]), config["config"]
    if "image" in fields and "labels" in fields:
        image = variable_from_dict(fields["image"], "image")
        labels = []
        for item in fields["labels"]:
            labels.append((item["name"], Discrete(item["categories"])))
        return Candidate(label, image, tuple(labels), labels=True, what=kind)
    if "generates" in fields:
        made = variable_from_dict(fields["generates"], "generates")
        return Candidate(label, made, _listed(fields["conditions"]), what=kind)
    if "prompts" in fields:
        text = variable_from_dict(fields["variable"], "variable")
        return Candidate(label, text, _listed(fields["prompts"]["conditions"]), what=kind)
    read = within(("image", "text"), fields)
    if "variable" in fields and read:
        condition = (read[0], variable_from_dict(fields[read[0]], read[0]))
        variable = variable_from_dict(fields["variable"], "variable")
        return Candidate(label, variable, (condition,), what=kind)
    return Candidate(label, None, what=f"a mechanism of the kind {kind}")


def _listed(conditions: Any) -> tuple[tuple[str, Variable | None], ...]:
    pairs = [(item["name"], item["kind"]) for item in conditions]
    return tuple((name, variable_from_dict(kind, name)) for name, kind in pairs)


def _pipeline(snapshot: Snapshot, label: str) -> Candidate:
    """A pipeline of diffusers, by its index and the configuration of its network."""
    index = read_json(snapshot.file(_INDEX), within=snapshot.boundary)
    what = str(index.get("_class_name", "a pipeline of diffusers"))
    given = no_pictures(what, _classes(index), _task(snapshot))
    if given:
        unfit = f"as a pipeline it gives {given}, and only those that give pictures can be pulled"
        return Candidate(label, None, what=f"{given} ({what})", unfit=unfit)
    network: Named = {}
    for name in _NETWORKS:
        if snapshot.has(f"{name}/{_CONFIG}"):
            network = read_json(snapshot.file(f"{name}/{_CONFIG}"), within=snapshot.boundary)
            break
    image = _painted(snapshot, index, network)
    if any(name.startswith(("tokenizer", "text_encoder")) for name in index):
        return Candidate(label, image, (("prompt", None),), prompts=True, what=what)
    classes = network.get("num_class_embeds") or network.get("num_embeds_ada_norm")
    if classes is None:
        return Candidate(label, image, (), labels=True, what=what)
    return Candidate(label, image, (("class", Discrete(int(classes))),), labels=True, what=what)


def _classes(index: Named) -> list[str]:
    """The classes of a pipeline's parts."""
    found = []
    for part in index.values():
        if isinstance(part, list) and len(part) == 2:
            found.append(str(part[1]))
    return found


def _task(snapshot: Snapshot) -> str:
    """What the card says that the model is for; empty without a card."""
    if not snapshot.has(_CARD):
        return ""
    return str(card_data(snapshot.file(_CARD)).get("pipeline_tag", ""))


def _painted(snapshot: Snapshot, index: Named, network: Named) -> Image:
    """The images of a pipeline: those of its autoencoder where it has one."""
    side = network.get("sample_size", 64)
    if isinstance(side, list):
        side = side[0]
    channels = int(network.get("out_channels") or network.get("in_channels") or 3)
    for name in ("vae", "vqvae"):
        if name in index and snapshot.has(f"{name}/{_CONFIG}"):
            decoder = read_json(snapshot.file(f"{name}/{_CONFIG}"), within=snapshot.boundary)
            larger = int(side) * 2 ** (len(decoder.get("block_out_channels", [0])) - 1)
            return Image(int(decoder.get("out_channels", 3)), larger, larger)
    return Image(channels, int(side), int(side))


def _transformers(config: Named, label: str) -> Candidate:
    """A model of transformers, by its class."""
    architecture = str((config.get("architectures") or [""])[0])
    what = architecture or str(config["model_type"])
    text = ("text", _text())
    side = config.get("image_size")
    if isinstance(side, list):
        side = side[0]
    if architecture.endswith(_WRITES):
        return Candidate(label, _text(), (("prompt", None),), prompts=True, what=what)
    reads = text
    if side is not None:
        reads = ("image", Image(int(config.get("num_channels", 3)), int(side), int(side)))
    if architecture.endswith("Classification"):
        return Candidate(label, _labelled(config), (reads,), what=what)
    width = config.get("hidden_size") or config.get("d_model") or config.get("n_embd")
    if not width:
        return Candidate(label, None, what=what)
    return Candidate(label, Vector(int(width)), (reads,), what=what)


def _text() -> Variable:
    return Text(_TEXT_CODES)


def _labelled(config: Named) -> Variable:
    """What a model with labels gives: a class, or numbers."""
    names = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    ordered = values_at(names, sorted(names, key=int))
    if config.get("problem_type") != "regression" and len(ordered) > 1:
        return Discrete(ordered)
    if len(ordered) == 1:
        return Continuous()
    return Vector(len(ordered))
