"""A Keras model as a module of torch: its layers, and who reads whose output."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from causalplug.adapters.keras_files import Weights
from causalplug.adapters.keras_layers import KERAS_LAYERS, Layer
from causalplug.errors import RepositoryError
from causalplug.values import Json, Named

__all__ = ["KerasInput", "KerasModel", "keras_model"]

_MODELS = ("Functional", "Model", "Sequential")
_IGNORED = ("training", "mask")


@dataclass(frozen=True)
class KerasInput:
    """An input of a model.

    Attributes:
        name: Its name.
        shape: Its shape without the rows.
        embedded: Whether nothing but embeddings read it.
    """

    name: str
    shape: tuple[int, ...]
    embedded: bool = False


@dataclass(frozen=True)
class _Node:
    """One call of a layer.

    Attributes:
        layer: The layer's name.
        reads: Calls that it reads, by layer and number of the call.
    """

    layer: str
    reads: tuple[tuple[str, int], ...]


class KerasModel(nn.Module):
    """A model as a graph of layers.

    Args:
        layers: Layers by name; models among them.
        nodes: The calls of each layer, by its name.
        inputs: The inputs in order.
        output: The call whose output is the model's.
    """

    def __init__(
        self,
        layers: dict[str, nn.Module],
        nodes: dict[tuple[str, int], _Node],
        inputs: Sequence[KerasInput],
        output: tuple[str, int],
    ):
        super().__init__()
        names = list(layers)
        self.places = {name: str(place) for place, name in enumerate(names)}
        self.layers = nn.ModuleDict({self.places[name]: layers[name] for name in names})
        self.nodes, self.inputs, self.output = nodes, tuple(inputs), output

    def forward(self, *given: Tensor) -> Tensor:
        known: dict[tuple[str, int], Tensor] = {}
        for one, value in zip(self.inputs, given, strict=True):
            known[one.name, 0] = value
        return self._value(self.output, known)

    def _value(self, key: tuple[str, int], known: dict[tuple[str, int], Tensor]) -> Tensor:
        if key not in known:
            node = self.nodes[key]
            read = [self._value(one, known) for one in node.reads]
            known[key] = self.layers[self.places[node.layer]](*read)
        return known[key]


def keras_model(config: Named, weights: Weights) -> KerasModel:
    """The module that an architecture and weights describe.

    Args:
        config: ``class_name`` and ``config`` of a model of Keras 2 or 3.
        weights: Its weights.

    Raises:
        RepositoryError: A layer, a setting or a connection that is not understood, by name.
    """
    kind = str(config.get("class_name"))
    if kind not in _MODELS:
        raise RepositoryError(
            f"its class {kind!r} has code of its own, which is never run. Save a Functional or "
            "Sequential model"
        )
    items = config["config"]
    if isinstance(items, dict):
        items = items["layers"]
    made: dict[str, nn.Module] = {}
    for place, item in enumerate(items):
        if item["class_name"] != "InputLayer":
            made[_name(item)] = _layer(item, place, weights)
    if kind == "Sequential":
        return _sequential(items, made)
    return _functional(config["config"], made)


def _layer(item: Named, place: int, weights: Weights) -> nn.Module:
    kind = str(item["class_name"])
    if kind in _MODELS:
        return keras_model(item, weights.inside(place))
    if kind not in KERAS_LAYERS:
        near = difflib.get_close_matches(kind, KERAS_LAYERS, n=1)
        hint = f" (the nearest that is known: {near[0]})" if near else ""
        raise RepositoryError(
            f"its layer {_name(item)!r} is a {kind}, which is not understood{hint}. Rebuild the "
            "generator in torch and give it to causalplug.adapters.ConditionalGAN.from_module"
        )
    layer: Layer = KERAS_LAYERS[kind](item["config"])
    if layer.weights:
        layer.take(weights.of(place, layer.weights))
    return layer


def _name(item: Named) -> str:
    return str(item["config"]["name"])


def _shape(config: Named) -> tuple[int, ...] | None:
    """The shape that an input layer, or the first layer of a Sequential, is given."""
    for key in ("batch_shape", "batch_input_shape"):
        if config.get(key):
            return tuple(int(size) for size in config[key][1:])
    return None


def _sequential(items: Sequence[Named], made: dict[str, nn.Module]) -> KerasModel:
    first = items[0]
    shape = _shape(first["config"])
    if shape is None:
        shape = _built(first)
    reads = "input" if "input" not in made else "the input"
    nodes = {}
    before = (reads, 0)
    for name in made:
        nodes[name, 0] = _Node(name, (before,))
        before = (name, 0)
    named = {_name(item): item["class_name"] for item in items}
    embedded = named[next(iter(made))] == "Embedding"
    return KerasModel(made, nodes, [KerasInput(reads, shape, embedded)], before)


def _built(item: Named) -> tuple[int, ...]:
    """The shape that a first layer without an input layer was built for; empty if unknown."""
    found = (item.get("build_config") or {}).get("input_shape") or [None]
    return tuple(int(size) for size in found[1:])


def _functional(config: Named, made: dict[str, nn.Module]) -> KerasModel:
    nodes: dict[tuple[str, int], _Node] = {}
    shapes = {}
    for item in config["layers"]:
        name = _name(item)
        if item["class_name"] == "InputLayer":
            shapes[name] = _shape(item["config"])
            continue
        for number, node in enumerate(item["inbound_nodes"]):
            nodes[name, number] = _Node(name, tuple(_reads(node, name)))
    inputs = []
    for name, _ in _ends(config["input_layers"]):
        if shapes.get(name) is None:
            raise RepositoryError(f"its input {name!r} has no shape")
        inputs.append(KerasInput(name, shapes[name] or (), _embedded(name, nodes, config)))
    outputs = _ends(config["output_layers"])
    if len(outputs) != 1:
        raise RepositoryError(
            f"it has {len(outputs)} outputs ({', '.join(name for name, _ in outputs)}). Save a "
            "model that gives the image alone"
        )
    return KerasModel(made, nodes, inputs, outputs[0])


def _embedded(name: str, nodes: dict[tuple[str, int], _Node], config: Named) -> bool:
    """Whether nothing but embeddings read an input."""
    kinds = {_name(item): item["class_name"] for item in config["layers"]}
    readers = {node.layer for node in nodes.values() if (name, 0) in node.reads}
    return bool(readers) and {kinds[reader] for reader in readers} == {"Embedding"}


def _ends(found: Any) -> list[tuple[str, int]]:
    """Input or output layers: one ``[name, node, tensor]`` or a list of them."""
    if isinstance(found, dict):
        found = list(found.values())
    if found and isinstance(found[0], str):
        found = [found]
    return [_history(one) for one in found]


def _history(found: Sequence[Any]) -> tuple[str, int]:
    name, node, tensor = found[:3]
    if tensor:
        raise RepositoryError(f"the layer {name!r} has several outputs, which is not understood")
    return str(name), int(node)


def _reads(node: Any, name: str) -> list[tuple[str, int]]:
    """The calls that one call of a layer reads, as Keras 2 or Keras 3 write them."""
    if isinstance(node, dict):
        _refuse_arguments(node.get("kwargs") or {}, name)
        return _tensors(node["args"], name)
    if node and isinstance(node[0], str):
        node = [node]
    found = []
    for one in node:
        _refuse_arguments(one[3] if len(one) > 3 else {}, name)
        found.append(_history(one))
    return found


def _tensors(given: Any, name: str) -> list[tuple[str, int]]:
    if isinstance(given, list):
        return [key for one in given for key in _tensors(one, name)]
    if isinstance(given, dict) and given.get("class_name") == "__keras_tensor__":
        return [_history(given["config"]["keras_history"])]
    raise RepositoryError(f"the layer {name!r} reads {given!r}, which is no output of a layer")


def _refuse_arguments(given: Json, name: str) -> None:
    for key, value in given.items():
        if key not in _IGNORED and value is not None:
            raise RepositoryError(
                f"the layer {name!r} is called with {key}, which is not understood"
            )
