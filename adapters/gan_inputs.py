"""The inputs of a generator by configuration: how latent and labels are encoded, joined and led
through layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from causalplug.adapters.gan_program import numbers_of
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.label_map import Label
from causalplug.mechanisms.frozen.layers import LayerList, place
from causalplug.selection import names_of
from causalplug.values import Named

__all__ = ["JoinedInputs", "read_inputs"]

_ENCODINGS = ("embedding", "one-hot", "code", "number")
_JOINS = ("concat", "multiply", "add")
_KEYS = {"input", "layers", "encoding", "size", "name"}


def read_inputs(items: Sequence[Named], labels: Sequence[Label]) -> list[dict[str, object]]:
    """Inputs as dictionaries of their own.

    Raises:
        MechanismError: An unknown input, key or encoding.
    """
    found = list(map(dict, items))
    known = ["latent", *names_of(labels)]
    for item in found:
        if item.get("input") not in known:
            raise MechanismError(
                f"The input {item.get('input')!r} of this generator cannot be read: inputs are "
                f"{', '.join(known)}."
            )
        _check_keys(item)
    return found


def _check_keys(item: Named) -> None:
    unknown = sorted(set(item) - _KEYS)
    encoding = item.get("encoding", "one-hot")
    if unknown or encoding not in _ENCODINGS:
        if unknown:
            what = f"key {unknown[0]!r}"
        else:
            what = f"encoding {encoding!r}"
        raise MechanismError(
            f"Input {item['input']!r} has the unknown {what}: encodings are "
            f"{', '.join(_ENCODINGS)}; keys are input, encoding, size, name and layers."
        )
    if encoding == "embedding" and not ("size" in item and "name" in item):
        raise MechanismError(
            f"The embedding of {item['input']!r} needs its size and the name of its table in the "
            "weights."
        )


class JoinedInputs:
    """Some inputs, joined and led through layers.

    Args:
        items: The inputs in the order in which they are joined.
        join: ``"concat"`` along the channels, ``"multiply"`` or ``"add"``.
        layers: What follows.
        labels: The labels of the generator.
        network: Gets the layers' modules.
        tables: Embeddings by the name of their table; inputs with a table of one name share it.

    Raises:
        MechanismError: An unknown way of joining, or a layer that cannot be built.
    """

    def __init__(
        self,
        items: Sequence[Named],
        join: str,
        layers: Sequence[Named],
        labels: Sequence[Label],
        network: nn.Module,
        tables: dict[str, nn.Embedding],
    ):
        if join not in _JOINS:
            raise MechanismError(f"join={join!r} is not known: give one of {', '.join(_JOINS)}.")
        self.items, self.join = list(items), join
        self.labels = {label.name: label for label in labels}
        self.tables = tables
        self.branches: list[LayerList] = []
        for item in self.items:
            self._add_table(item, network)
            self.branches.append(LayerList(item.get("layers", ()), network))
        self.layers = LayerList(layers, network)

    def _add_table(self, item: Named, network: nn.Module) -> None:
        if item.get("encoding") != "embedding" or item["name"] in self.tables:
            return
        table = nn.Embedding(self.labels[item["input"]].size, item["size"])
        place(network, item["name"], table)
        self.tables[item["name"]] = table

    def __call__(
        self,
        latent: Tensor,
        codes: Mapping[str, Tensor],
        dtype: torch.dtype,
        styles: Mapping[str, Tensor],
    ) -> Tensor:
        """What the layers make of the joined inputs.

        Args:
            latent: ``(n, size)``.
            codes: Of each label, codes ``(n,)`` or relaxed one-hot rows ``(n, k)``.
            dtype: Precision of the weights.
            styles: What conditional normalisations read, by name.
        """
        parts = []
        for item, branch in zip(self.items, self.branches, strict=True):
            name = item["input"]
            read = latent if name == "latent" else self._encoded(item, codes[name])
            parts.append(branch(read.to(dtype)))
        return self.layers(self._joined(parts), styles)

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        if self.join == "concat":
            return torch.cat(list(parts), 1)
        joined = parts[0]
        for part in parts[1:]:
            if self.join == "multiply":
                joined = joined * part
            else:
                joined = joined + part
        return joined

    def _encoded(self, item: Named, codes: Tensor) -> Tensor:
        """A label's features from codes ``(n,)`` or relaxed one-hot rows ``(n, k)``."""
        encoding = item.get("encoding", "one-hot")
        label = self.labels[item["input"]]
        relaxed = codes.is_floating_point()
        if encoding == "embedding":
            table = self.tables[item["name"]]
            if relaxed:
                return codes.to(table.weight.dtype) @ table.weight
            return table(codes)
        if encoding == "one-hot":
            return codes if relaxed else nn.functional.one_hot(codes, label.size).float()
        if encoding == "code":
            values = torch.arange(label.size, dtype=torch.get_default_dtype(), device=codes.device)
        else:
            values = numbers_of(label).to(codes.device)
        return (codes @ values.to(codes.dtype) if relaxed else values[codes]).unsqueeze(1)
