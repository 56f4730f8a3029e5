"""A network as a list of steps: what ``torch.export`` traced, in JSON that runs no code.

Three formats were compared. ``torch.export``'s own archive (``.pt2``) covers what is needed, but
holds pickles, which loading falls back to. ONNX is data alone, but needs three further packages,
gives no gradients, and its runtime is another implementation of every layer. TorchScript is
deprecated and runs programs. So the graph that ``torch.export`` traces is kept, every step of it
one ATen operator by name, with its weights as safetensors. A file can name operators that compute
a tensor from tensors, and nothing else.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.selection import keep, map_values, without
from causalplug.values import Json, Named

__all__ = ["ExportedNetwork", "export_network"]

_NUMBERS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "getitem": operator.getitem,
}
_FACTORIES = {"full", "zeros", "ones", "arange", "scalar_tensor", "empty", "eye", "linspace"}
_TYPES = {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}
_LAYOUTS = {"torch.strided": torch.strided}
_FORMATS = {
    str(value): value
    for value in (torch.contiguous_format, torch.preserve_format, torch.channels_last)
}


class ExportedNetwork(nn.Module):
    """A network that is a list of steps.

    Args:
        steps: What :func:`export_network` gave.
        tensors: Weights and constants by name; of the right shapes at least.

    Raises:
        MechanismError: A step that is not an operator on tensors.
    """

    def __init__(self, steps: Named, tensors: Mapping[str, Tensor]):
        super().__init__()
        self.steps = dict(steps)
        _check_references(steps)
        self._targets = [_target(step["op"]) for step in steps["steps"]]
        self._names = {name: f"t{i}" for i, name in enumerate(steps["tensors"])}
        for name, key in self._names.items():
            if name not in tensors:
                raise MechanismError(f"The network lacks its tensor {name!r}. Save it again.")
            self.register_buffer(key, tensors[name])

    def forward(self, *inputs: Tensor) -> Tensor:
        """The output for one tensor by input; in parts where the steps hold for one number of rows
        alone."""
        rows = self.steps.get("rows")
        if rows is None or len(inputs[0]) == rows:
            return self._run(inputs)
        made = []
        for part in zip(*(one.split(rows) for one in inputs), strict=True):
            n = len(part[0])
            made.append(self._run([_filled(one, rows) for one in part])[:n])
        return torch.cat(made)

    def _run(self, inputs: Sequence[Tensor]) -> Tensor:
        held: Json = dict(zip(self.steps["inputs"], inputs, strict=True))
        held |= {name: getattr(self, key) for name, key in self._names.items()}
        for step, target in zip(self.steps["steps"], self._targets, strict=True):
            args = [_read(item, held) for item in step["args"]]
            kwargs = {key: _read(item, held) for key, item in step["kwargs"].items()}
            held[step["name"]] = target(*args, **kwargs)
        return held[self.steps["output"]]


def _check_references(steps: Named) -> None:
    """Refuse steps that read what nothing before them gives.

    Raises:
        MechanismError: With the step.
    """
    known = {*steps["inputs"], *steps["tensors"]}
    for step in steps["steps"]:
        read = _mentioned([*step["args"], *step["kwargs"].values()])  # a keyword may be "step"
        if missing := without(read, known):
            raise MechanismError(
                f"The network cannot be used: its step {step['name']!r} reads {missing[0]!r}, "
                "which no step before it gives. Save the network again from its own code."
            )
        known.add(step["name"])
    if steps["output"] not in known:
        raise MechanismError(
            f"The network cannot be used: no step gives its output {steps['output']!r}. Save the "
            "network again from its own code."
        )


def _filled(rows: Tensor, n: int) -> Tensor:
    """``n`` rows, the last one repeated."""
    return torch.cat([rows, rows[-1:].expand(n - len(rows), *rows.shape[1:])])


def _target(name: str) -> Any:
    """The operator of a step.

    Raises:
        MechanismError: It is not an ATen operator that makes a tensor from tensors.
    """
    kind, _, rest = name.partition(":")
    if kind == "number" and rest in _NUMBERS:
        return _NUMBERS[rest]
    operator_name, _, overload = rest.partition(".")
    packet = None
    if kind == "aten":
        packet = getattr(torch.ops.aten, operator_name, None)
    found = None
    if packet is not None:
        found = getattr(packet, overload, None)
    if not isinstance(found, torch._ops.OpOverload) or not _harmless(found):
        raise MechanismError(
            f"The network cannot be used: its step {name!r} is not an operator that only computes. "
            "Save the network again from its own code."
        )
    return found


def _harmless(found: Any) -> bool:
    schema = found._schema
    reads = any("Tensor" in str(argument.type) for argument in schema.arguments)
    return not schema.is_mutable and (reads or schema.name.removeprefix("aten::") in _FACTORIES)


def _read(item: object, held: Named) -> object:
    if not isinstance(item, dict):
        if isinstance(item, list):
            return [_read(one, held) for one in item]
        return item
    (kind, value), *_ = item.items()
    if kind == "step":
        return held[value]
    if kind == "device":
        return next((t.device for t in held.values() if isinstance(t, Tensor)), None)
    tables: dict[str, Mapping[str, object]] = {
        "dtype": _TYPES,
        "layout": _LAYOUTS,
        "format": _FORMATS,
    }
    return tables[kind][value]


def export_network(
    module: nn.Module, inputs: Sequence[Tensor], name: str
) -> tuple[Json, dict[str, Tensor]]:
    """A network as steps and tensors.

    Args:
        module: The network, in evaluation mode, whose ``forward`` takes ``*inputs``.
        inputs: Example tensors, of three rows or more.
        name: What messages call it.

    Returns:
        Steps in JSON values, for :class:`ExportedNetwork`, and its tensors.

    Raises:
        MechanismError: The network cannot be traced: it branches on values, say, or draws noise of
            its own.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch's own tracing
            exported = torch.export.export(
                module,
                tuple(inputs),
                dynamic_shapes=_rows_of(len(inputs)),
                strict=False,  # the default since torch 2.7; before, plain dicts were refused
            )
            if any(map(_changes_in_place, exported.graph.nodes)):
                exported = exported.run_decompositions({})  # the same without changes in place
        return _written(exported)
    except MechanismError:
        raise
    except Exception as error:
        first = ""
        if str(error).strip():
            first = str(error).strip().splitlines()[0]
        raise MechanismError(
            f"{name} cannot be saved without its code: torch.export fails with "
            f"{type(error).__name__}: {first[:300]}. Write it without branches on values and "
            "without noise of its own, or register a mechanism class for it."
        ) from error


def _changes_in_place(node: Any) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _row_axis() -> object:
    """An axis of any length; torch before 2.6 has to be given its name."""
    if "AUTO" in vars(torch.export.Dim):
        return torch.export.Dim.AUTO
    return torch.export.Dim("rows")


def _rows_of(count: int) -> Json:
    """What says that the first axis of every input is the number of rows."""
    if not count:
        return {}
    return {"inputs": tuple({0: _row_axis()} for _ in range(count))}


def _written(exported: Any) -> tuple[Json, dict[str, Tensor]]:
    from torch.fx.experimental.symbolic_shapes import is_concrete_int  # slow to import

    signature = exported.graph_signature
    places = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        raise MechanismError(
            "The network cannot be saved without its code: it changes its own state or its inputs "
            "while it runs. Put it into evaluation mode, or rewrite that layer."
        )
    held = {**exported.state_dict, **exported.constants}
    inputs: list[str] = []
    fixed: set[int] = set()
    tensors: dict[str, Tensor] = {}
    steps: list[Json] = []
    output = ""
    for node in exported.graph.nodes:
        if node.op == "placeholder" and node.name in places:
            tensors[node.name] = held[places[node.name]].detach().clone()
        elif node.op == "placeholder":
            inputs.append(node.name)
            count = node.meta["val"].shape[0]
            if is_concrete_int(count):  # something in the network, such as groups=, holds for it
                fixed.add(int(count))
        elif node.op == "call_function":
            steps.append(_step(node))
        elif node.op == "output":
            output = _only(node.args[0])
    used = set(_mentioned(steps)) | {output}
    tensors = keep(tensors, used)
    described = {"inputs": inputs, "tensors": sorted(tensors), "steps": steps, "output": output}
    if fixed:
        described["rows"] = fixed.pop()
    return described, tensors


def _only(outputs: Any) -> str:
    if len(outputs) != 1 or outputs[0] is None:
        raise MechanismError(
            f"The network gives {len(outputs)} outputs where one tensor is wanted. Wrap it so that "
            "it returns that one."
        )
    return str(outputs[0].name)


def _step(node: Any) -> Json:
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        name = f"{target.namespace}:{target._schema.name.partition('::')[2]}.{target._overloadname}"
        if _changes_in_place(node):
            raise MechanismError(
                f"The network cannot be saved without its code: its operator "
                f"{target._schema.name.partition('::')[2]!r} changes a tensor in place. Write it "
                "without the trailing underscore, or without inplace=True, and let the network "
                "keep no state of its own."
            )
    else:
        known = {function: word for word, function in _NUMBERS.items()}
        name = f"number:{known.get(target, getattr(target, '__name__', target))}"
    _target(name)
    return {
        "name": node.name,
        "op": name,
        "args": list(map(_plain, node.args)),
        "kwargs": map_values(_plain, node.kwargs),
    }


def _plain(item: object) -> Any:
    if isinstance(item, torch.fx.Node):
        return {"step": item.name}
    if isinstance(item, list | tuple):
        return list(map(_plain, item))
    if item is None or isinstance(item, bool | int | float | str):
        return item
    for kind, known in (
        ("dtype", torch.dtype),
        ("layout", torch.layout),
        ("format", torch.memory_format),
    ):
        if isinstance(item, known):
            return {kind: str(item)}
    if isinstance(item, torch.device):
        return {"device": None}
    raise MechanismError(f"The network cannot be saved without its code: a step reads {item!r}.")


def _mentioned(item: object) -> list[str]:
    if isinstance(item, dict):
        if set(item) == {"step"}:
            return [item["step"]]
        return list(chain.from_iterable(map(_mentioned, item.values())))
    if isinstance(item, list):
        return list(chain.from_iterable(map(_mentioned, item)))
    return []
