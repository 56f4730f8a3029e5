"""A network of one's own as a frozen mechanism, by one call, saved without its code."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import torch
from torch import Tensor, nn

from causalplug.arguments import MAPPING, TEXT, choice, instance, several, takes, whole
from causalplug.errors import MechanismError
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism, ErrorSpec
from causalplug.mechanisms.frozen.exported import ExportedNetwork, export_network
from causalplug.mechanisms.frozen.smoothness import smooth_inputs
from causalplug.mechanisms.frozen.tabular import (
    Classifier,
    Predictor,
    TabularPredictor,
    columns_of,
    gives_probabilities,
    own_classes,
    tabular_network,
)
from causalplug.mechanisms.frozen.trial import example_values, try_mechanism
from causalplug.mechanisms.frozen.usable import ready_network
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import map_values, names_of, pick, to_dicts, values_at, within, without
from causalplug.tensors import first_rows
from causalplug.values import Json, Named
from causalplug.variables import Discrete, Variable, variable_from_dict

__all__ = ["WrappedModule", "wrap"]

_ROWS = 3  # of the trial run
_FORMS = ("codes", "one-hot")
_SIZE = whole(1, 2**31)
_LATENT = replace(
    _SIZE.or_else(several(_SIZE, least=1)), wanted="a size, such as 100, or a shape of sizes"
)


@overload
def wrap(
    module: nn.Module,
    variable: Variable,
    *,
    conditions: Sequence[Condition] = ...,
    latent: int | Sequence[int] | None = ...,
    output: str | None = ...,
    error: ErrorSpec = ...,
    reads: ReadsSpec = ...,
    license: str | None = ...,
    source: str | None = ...,
) -> WrappedModule: ...


@overload
def wrap(
    module: Predictor | Classifier,
    variable: Variable,
    *,
    conditions: Sequence[Condition] = ...,
    latent: int | Sequence[int] | None = ...,
    output: str | None = ...,
    error: ErrorSpec = ...,
    reads: ReadsSpec = ...,
    license: str | None = ...,
    source: str | None = ...,
) -> WrappedModule | TabularPredictor: ...


@takes(
    MechanismError,
    variable=instance("the declaration of a variable, such as cp.Discrete(10)", Variable),
    conditions=several(instance('a Condition, such as cp.Condition("age", …)', Condition)),
    latent=_LATENT.or_none("none"),
    output=choice("logits", "probabilities").or_none("what the trial run shows"),
    reads=MAPPING.or_none("one name for both"),
    license=TEXT.or_none("not known"),
    source=TEXT.or_none("not known"),
)
def wrap(
    module: nn.Module | Predictor | Classifier,
    variable: Variable,
    *,
    conditions: Sequence[Condition] = (),
    latent: int | Sequence[int] | None = None,
    output: str | None = None,
    error: ErrorSpec = None,
    reads: ReadsSpec = None,
    license: str | None = None,
    source: str | None = None,
) -> WrappedModule | TabularPredictor:
    """A network, or a fitted estimator, as the frozen mechanism of a variable.

    A network is called with one tensor for the latent, if there is one, and one for each
    condition: by name, where an argument of its ``forward`` is called as the condition is, and in
    this order otherwise. Discrete conditions come as codes ``(n,)`` of int64 or as one-hot rows,
    whichever the network takes; numbers as ``(n,)`` or ``(n, 1)`` floats; images, vectors as they
    are declared. It is tried on a few rows at once, and saved with the model as a list of ATen
    operators and its weights, so that loading runs no code.

    An estimator in the style of scikit-learn is called with a table: one column for each condition,
    and one for each number of a vector, by name where it was fitted on named columns. Its classes
    are matched to the categories by value. Linear models, trees and their ensembles and multi-layer
    perceptrons become networks, which pass gradients where they have them and are saved; any other
    one is run as it is (:class:`~causalplug.mechanisms.frozen.tabular.TabularPredictor`) and cannot
    be saved.

    Args:
        module: The network, whose parameters are frozen, or the fitted estimator.
        variable: What it gives: values in the range of an image, numbers ``(n,)`` or ``(n, 1)``,
            vectors, or for a discrete variable scores ``(n, k)`` of its categories, in order.
        conditions: What it reads, in order.
        latent: Size or shape of its standard normal latent; None without.
        output: Of a discrete variable ``"logits"`` or ``"probabilities"``; by default what the
            trial run shows.
        error: Of a number, the standard deviation of a normal error about what the network gives,
            or ``"estimate"`` to estimate it in training; the mechanism is then explicit.
        reads: Condition to the parent that it is read from, where the names differ; see
            :meth:`~causalplug.mechanisms.frozen.conditional.ConditionalMechanism.bind`.
        license, source: Licence and origin of the weights.

    Raises:
        MechanismError: The network does not run on these inputs, gives another shape or values
            outside the range, does not repeat itself, mixes the rows of a batch, or cannot be
            exported; the estimator has other columns or classes.

    Example:
        >>> import causalplug as cp, torch
        >>> made = cp.wrap(torch.nn.Linear(3, 2), cp.Vector(2), latent=3)
        >>> made.noise["latent"].shape
        (3,)
    """
    _check_names(conditions, latent)
    if isinstance(module, nn.Module):
        return _wrapped_network(
            module,
            variable,
            conditions,
            latent=latent,
            output=output,
            error=error,
            reads=reads,
            license=license,
            source=source,
        )
    return _wrapped_estimator(
        module,
        variable,
        conditions,
        latent=latent,
        output=output,
        error=error,
        reads=reads,
        license=license,
        source=source,
    )


def _check_names(conditions: Sequence[Condition], latent: object) -> None:
    """Refuse conditions that cannot be told apart.

    Raises:
        MechanismError: Two have one name, or one is called as the latent is.
    """
    names = names_of(conditions)
    if latent is not None:
        names.append("latent")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice == ["latent"]:
        raise MechanismError(
            "A condition cannot be called 'latent' beside latent=. Rename it, and say with reads= "
            "which parent it is read from."
        )
    if twice:
        raise MechanismError(f"Two conditions are called {twice[0]!r}. Rename one.")


def _wrapped_estimator(
    estimator: Any,
    variable: Variable,
    conditions: Sequence[Condition],
    *,
    latent: object,
    output: object,
    error: ErrorSpec,
    reads: ReadsSpec,
    license: str | None,
    source: str | None,
) -> WrappedModule | TabularPredictor:
    """An estimator as a network where it can be written so, else as it is."""
    _check_estimator(estimator, variable, latent, output)
    ordered = columns_of(estimator, conditions)
    own = variable
    if isinstance(variable, Discrete):
        own = own_classes(estimator, variable)
    network = tabular_network(estimator, ordered, own)
    if network is None:
        live = TabularPredictor(
            estimator, own, ordered, error=error, reads=reads, license=license, source=source
        )
        try_mechanism(live)
        return live
    form = None
    if own.is_discrete:
        form = "logits"
    return _wrapped_network(
        network,
        own,
        ordered,
        latent=None,
        output=form,
        error=error,
        reads=reads,
        license=license,
        source=source,
    )


def _check_estimator(estimator: object, variable: Variable, latent: object, output: object) -> None:
    """Refuse what is no fitted estimator, and options and variables that it cannot have.

    Raises:
        MechanismError: With the way out.
    """
    name = type(estimator).__name__
    predictor = isinstance(estimator, Predictor) or gives_probabilities(estimator)
    if isinstance(estimator, type) or not predictor:
        raise MechanismError(
            f"A {name} cannot be wrapped: give a torch.nn.Module, or a fitted estimator with "
            "predict or predict_proba."
        )
    if latent is not None or output is not None:
        raise MechanismError(
            f"{name} cannot be wrapped with latent= or output=: these are for networks. Leave them "
            "out."
        )
    _check_predicted(name, gives_probabilities(estimator), variable)


def _check_predicted(name: str, classifies: bool, variable: Variable) -> None:
    """Refuse a variable that an estimator cannot predict.

    Raises:
        MechanismError: With the way out.
    """
    predicts = variable.is_discrete or (variable.is_number and not variable.is_countable)
    if not predicts and variable.kind != "vector":
        raise MechanismError(
            f"{name} cannot be the mechanism of {variable.describe()}: a tabular predictor gives "
            "classes, numbers or vectors."
        )
    if classifies and not variable.is_discrete:
        raise MechanismError(
            f"{name} cannot be the mechanism of {variable.describe()}: it is a classifier. Declare "
            "cp.Discrete([…]) of its classes_."
        )


def _wrapped_network(
    module: nn.Module,
    variable: Variable,
    conditions: Sequence[Condition],
    *,
    latent: int | Sequence[int] | None,
    output: str | None,
    error: ErrorSpec,
    reads: ReadsSpec,
    license: str | None,
    source: str | None,
) -> WrappedModule:
    module = ready_network(module)
    shape = _latent_shape(latent)
    call = _Call(module, tuple(conditions), shape)
    forms = call.forms(variable)
    if shape is None and not conditions:
        raise MechanismError(
            f"{type(module).__name__} cannot be wrapped: it reads neither a latent nor conditions, "
            "so that every row would be the same. Give latent= or conditions=, or set the variable "
            "with do=."
        )
    example = call.example(forms, _ROWS, seed=0)
    made = call(example)
    checked = _checked_output(module, variable, made, output, latent=shape is not None)
    call.check_rows(forms, made)
    steps, tensors = export_network(
        _ByPosition(call), list(example.values()), type(module).__name__
    )
    if output is None and checked == "logits":
        _refuse_shares(module, steps)
    network = ExportedNetwork(steps, tensors)
    wrapped = WrappedModule(
        network,
        variable,
        conditions,
        order=list(example),
        forms=forms,
        latent=shape,
        output=checked,
        error=error,
        reads=reads,
        license=license,
        source=source,
    )
    again = network(*values_at(example, wrapped.order))
    if not torch.allclose(again, made, atol=1e-4, rtol=1e-4):
        raise MechanismError(
            f"{type(module).__name__} cannot be wrapped: its exported form gives other values."
        )
    return wrapped


@register_mechanism("wrapped-module")
class WrappedModule(ConditionalMechanism):
    """A network as steps and weights, frozen; made by :func:`wrap`.

    Args:
        network: The exported network.
        generates: What it gives.
        conditions: What it reads.
        order: Its inputs in order: names of conditions, and ``"latent"``.
        forms: Of each discrete condition ``"codes"`` or ``"one-hot"``; of a number ``"flat"`` or
            ``"column"``.
        latent: Shape of its latent, None without.
        output: ``"value"``, ``"logits"`` or ``"probabilities"``.
        error, reads, license, source: As for :func:`wrap`.
    """

    saved_with_model = True
    differentiable = True

    def __init__(
        self,
        network: ExportedNetwork,
        generates: Variable,
        conditions: Sequence[Condition],
        *,
        order: Sequence[str],
        forms: Mapping[str, str],
        latent: Sequence[int] | None,
        output: str,
        error: ErrorSpec = None,
        reads: ReadsSpec = None,
        license: str | None = None,
        source: str | None = None,
    ):
        if latent is None:
            noise = {}
        else:
            noise = {"latent": NoiseSpec(tuple(latent))}
        super().__init__(
            generates,
            conditions,
            noise,
            probabilities=output in ("logits", "probabilities"),
            error=error,
            license=license,
            source=source,
            reads=reads,
        )
        self.network = freeze(network)
        self.order, self.forms, self.output = tuple(order), dict(forms), output
        if latent is None:
            self.latent = None
        else:
            self.latent = tuple(latent)

    def passes_gradient(self, parent: str) -> bool:
        """Whether what the network gives is continuous in every condition that reads a parent."""
        smooth = smooth_inputs(self.network.steps)
        inputs = dict(zip(self.order, self.network.steps["inputs"], strict=True))
        read = [r.condition.name for r in self.readings if r.parent == parent]
        return all(inputs[name] in smooth for name in read)

    def _run(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        rows = max(list(map(len, (*conditions.values(), *noise.values()))), default=1)
        given = {}
        for c in self.read_conditions:
            given[c.name] = shaped(c, self.forms, conditions[c.name])
        made: Tensor = self.network(*values_at({**given, **noise}, self.order))
        if len(made) == rows:
            return made
        return made.expand(rows, *made.shape[1:])

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        made = self._run(conditions, noise).to(torch.get_default_dtype())
        return made.reshape(len(made), *self.generates.event_shape)

    def class_logits(self, conditions: Mapping[str, Tensor]) -> Tensor:
        made = self._run(conditions, {})
        if self.output == "probabilities":
            return made.clamp_min(0).log()
        return made

    def config(self) -> Json:
        return {
            "generates": self.generates.to_dict(),
            "conditions": to_dicts(self.read_conditions),
            "network": self.network.steps,
            "shapes": {n: list(t.shape) for n, t in self._tensors().items()},
            "types": {n: str(t.dtype) for n, t in self._tensors().items()},
            "order": list(self.order),
            "forms": self.forms,
            "latent": None if self.latent is None else list(self.latent),
            "output": self.output,
            "error": self.requested_error,
        }

    def _tensors(self) -> dict[str, Tensor]:
        return map_values(self.network.get_buffer, self.network._names)

    @classmethod
    def from_config(cls, config: Named) -> WrappedModule:
        """The network that :meth:`config` describes, with weights of zero."""
        fields = dict(config)
        shapes, types = fields.pop("shapes"), fields.pop("types")
        tensors = {}
        for name, shape in shapes.items():
            kind = getattr(torch, types[name].removeprefix("torch."))
            tensors[name] = torch.zeros(tuple(shape), dtype=kind)
        network = ExportedNetwork(fields.pop("network"), tensors)
        generates = variable_from_dict(fields.pop("generates"), "generates")
        conditions = list(map(Condition.from_dict, fields.pop("conditions")))
        return cls(network, generates, conditions, **fields)


def shaped(condition: Condition, forms: Mapping[str, str], value: Tensor) -> Tensor:
    """A condition's encoded value in the form that the network takes."""
    form = forms.get(condition.name)
    size = condition.kind.cardinality
    if form == "column":
        return value.unsqueeze(-1)
    if size is None or value.is_floating_point() == (form == "one-hot"):
        return value
    if form == "one-hot":
        return nn.functional.one_hot(value, size).to(torch.get_default_dtype())
    if value.requires_grad:
        raise MechanismError(
            f"No gradient passes the condition {condition.name!r}: the network reads its codes. "
            "Train with the enumerated objective, or detach the parents."
        )
    return value.argmax(-1)


def _latent_shape(latent: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if latent is None:
        return None
    if isinstance(latent, int):
        return (latent,)
    return tuple(latent)


def _refuse_shares(module: nn.Module, steps: Named) -> None:
    """Refuse scores that end in a sigmoid: they are neither logits nor probabilities of one
    category among several.

    Raises:
        MechanismError: With the ways out.
    """
    last = next((step for step in steps["steps"] if step["name"] == steps["output"]), None)
    if last is not None and last["op"].startswith("aten:sigmoid."):
        raise MechanismError(
            f"{type(module).__name__} cannot be wrapped: its scores end in a sigmoid, and do not "
            "sum to 1 over the categories. Leave the sigmoid out, put a softmax in its place, or "
            'give output="logits" if the softmax of these numbers is what is meant.'
        )


class _Call:
    """How a network of one's own is called."""

    def __init__(
        self,
        module: nn.Module,
        conditions: tuple[Condition, ...],
        latent: tuple[int, ...] | None,
    ):
        self.module, self.conditions, self.latent = module, conditions, latent
        names = ([] if latent is None else ["latent"]) + names_of(conditions)
        parameters = _arguments(module)
        self.named = within(names, parameters)
        self.placed = without(names, self.named)
        if self.placed and _takes_any_number(module):
            self.named, self.placed = [], names
        if self.placed and self.named:
            free = without(parameters, self.named)
            self.keywords = dict(zip(self.placed, free, strict=False))
            if len(self.keywords) < len(self.placed):
                raise MechanismError(
                    f"{type(module).__name__} cannot be wrapped: its forward takes "
                    f"{', '.join(parameters)}, which leaves no argument for "
                    f"{', '.join(self.placed)}."
                )
        else:
            self.keywords = {}

    def example(self, forms: Mapping[str, str], rows: int, seed: int) -> dict[str, Tensor]:
        """Inputs of some rows, by name."""
        generator = torch.Generator().manual_seed(seed)
        found = {}
        if self.latent is not None:
            found["latent"] = torch.randn(rows, *self.latent, generator=generator)
        for condition in self.conditions:
            value = _readable(condition.kind, rows, generator)
            found[condition.name] = shaped(condition, forms, value)
        return found

    def arguments(
        self, inputs: Mapping[str, Tensor]
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Tensors by position and by name."""
        if not self.named:
            return tuple(values_at(inputs, self.placed)), {}
        by_name = pick(inputs, self.named)
        return (), by_name | {self.keywords[name]: inputs[name] for name in self.placed}

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        given = {name: value.clone() for name, value in inputs.items()}
        positional, named = self.arguments(given)
        with torch.no_grad():
            made = self.module(*positional, **named)
        changed = []
        for name, value in inputs.items():
            if not torch.equal(value, given[name]):
                changed.append(name)
        if changed:
            raise MechanismError(
                f"{type(self.module).__name__} cannot be wrapped: it changes its input "
                f"{changed[0]!r} in place. Write its first operation without the trailing "
                "underscore, or clone the input there."
            )
        if not isinstance(made, Tensor):
            raise MechanismError(
                f"{type(self.module).__name__} cannot be wrapped: it gives a "
                f"{type(made).__name__}, not one tensor. Put a module around it that picks one."
            )
        return made

    def forms(self, variable: Variable) -> dict[str, str]:
        """In which form the network takes each condition: the only one that runs.

        Raises:
            MechanismError: None does.
        """
        choices = {c.name: _forms_of(c.kind) for c in self.conditions}
        found = {name: options[0] for name, options in choices.items() if options}
        errors: list[str] = []
        several = [name for name, options in choices.items() if len(options) > 1]
        for chosen in _combinations(several, choices, found):
            try:
                self(self.example(chosen, _ROWS, seed=0))
            except MechanismError:
                raise
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            return chosen
        inputs = [*self.placed, *self.named]
        raise MechanismError(
            f"{type(self.module).__name__} cannot be wrapped: it does not run on "
            f"{', '.join(inputs) or 'no inputs'} ({errors[0].splitlines()[0][:200]}). Give the "
            "latent= and the conditions= that its forward takes: the latent comes first and the "
            "conditions in their order, but for those that are called as its arguments are."
        )

    def check_rows(self, forms: Mapping[str, str], made: Tensor) -> None:
        """Refuse a network that is not a function of each row."""
        example = self.example(forms, _ROWS, seed=0)
        name = type(self.module).__name__
        if not torch.equal(self(example), made):
            raise MechanismError(
                f"{name} cannot be wrapped: it gives other values for the same inputs. Let its "
                "noise come in by latent=, and put it into evaluation mode."
            )
        if not example:
            return
        try:
            one = self(first_rows(example, 1))
        except Exception as error:
            raise MechanismError(
                f"{name} cannot be wrapped: it runs on {_ROWS} rows and not on one alone "
                f"({type(error).__name__}: {str(error)[:200]}). Put it into evaluation mode, or "
                "replace layers that look at the whole batch."
            ) from error
        if not torch.allclose(one, made[:1], atol=1e-4, rtol=1e-4):
            raise MechanismError(
                f"{name} cannot be wrapped: a row's value depends on the rows beside it. Put it "
                "into evaluation mode, or replace layers that look at the whole batch."
            )


class _ByPosition(nn.Module):
    """The network of a call with its inputs by position, whatever its arguments are called."""

    def __init__(self, call: _Call):
        super().__init__()
        self.network, self._call = call.module, call
        self._inputs = ([] if call.latent is None else ["latent"]) + names_of(call.conditions)

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the network gives."""
        positional, named = self._call.arguments(dict(zip(self._inputs, inputs, strict=True)))
        made: Tensor = self.network(*positional, **named)
        return made


def _takes_any_number(module: nn.Module) -> bool:
    """Whether a network's forward ends in ``*arguments``, so that inputs come in their order."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)


def _arguments(module: nn.Module) -> list[str]:
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in kinds]


def _forms_of(kind: Variable) -> tuple[str, ...]:
    if kind.is_discrete:
        return _FORMS
    if kind.is_number:
        return ("flat", "column")
    return ()


def _combinations(
    several: Sequence[str], choices: Mapping[str, tuple[str, ...]], found: Mapping[str, str]
) -> list[dict[str, str]]:
    """All conditions of one sort in one form first, then each by itself: never all combinations."""
    sorts = {choices[name]: None for name in several}
    made = [dict(found)]
    for options in sorts:
        extended = []
        for one in made:
            for form in options:
                extended.append(one | {name: form for name in several if choices[name] == options})
        made = extended
    singly = [one | {name: choices[name][1 - choices[name].index(one[name])]}
              for one in made for name in several]  # fmt: skip
    return made + singly


def _readable(kind: Variable, rows: int, generator: torch.Generator) -> Tensor:
    """Encoded values of what a network can read as a tensor, for a trial run."""
    if kind.needs_encoder and not kind.is_image:
        raise MechanismError(
            f"A network cannot read {kind.describe()} as a tensor. Load a model of transformers, "
            "or put an embedding (cp.Vector) between."
        )
    return example_values(kind, rows, generator)


def _checked_output(
    module: nn.Module, variable: Variable, made: Tensor, output: str | None, *, latent: bool
) -> str:
    """What the network's output is, checked on a trial run.

    Raises:
        MechanismError: It is not what the variable declares.
    """
    name = type(module).__name__
    if made.is_complex():
        raise MechanismError(f"{name} cannot be wrapped: it gives complex numbers.")
    if not bool(torch.isfinite(made).all()):
        raise MechanismError(f"{name} cannot be wrapped: it gives values that are not finite.")
    size = variable.cardinality
    if size is None:
        return _checked_value(name, variable, made, output)
    if tuple(made.shape[1:]) != (size,):
        raise MechanismError(
            f"{name} cannot be wrapped: it gives {list(made.shape[1:])} numbers per row, and "
            f"{variable.describe()} need one score for each of {size} categories."
        )
    if latent:
        raise MechanismError(
            f"{name} cannot be wrapped: the scores of a discrete variable must not depend on a "
            "latent. Leave latent= out, or average the scores over it."
        )
    sums = bool((made >= 0).all()) and bool(((made.sum(-1) - 1).abs() < 1e-3).all())
    if output == "probabilities" and not sums:
        raise MechanismError(
            f"{name} cannot be wrapped with output='probabilities': it gives scores from "
            f"{float(made.min()):.3g} to {float(made.max()):.3g} that do not sum to 1. Leave "
            "output out, or end the network in a softmax."
        )
    return output or ("probabilities" if sums else "logits")


def _checked_value(name: str, variable: Variable, made: Tensor, output: str | None) -> str:
    if output is not None:
        raise MechanismError(f"output={output!r} is for discrete variables. Leave it out.")
    if variable.is_countable or (variable.needs_encoder and not variable.is_image):
        raise MechanismError(
            f"{name} cannot be wrapped as the mechanism of {variable.describe()}: a network gives "
            "numbers, vectors, images or scores of categories."
        )
    wanted = variable.event_shape
    flat = not wanted and tuple(made.shape[1:]) == (1,)
    if tuple(made.shape[1:]) != wanted and not flat:
        raise MechanismError(
            f"{name} cannot be wrapped: it gives values of shape {list(made.shape[1:])} per row, "
            f"and {variable.describe()} has {list(wanted)}. Declare the variable so, or reshape."
        )
    if variable.is_image:
        low, high = variable.low, variable.high
        slack = 1e-3 * (high - low)
        found = float(made.min()), float(made.max())
        if found[0] < low - slack or found[1] > high + slack:
            raise MechanismError(
                f"{name} cannot be wrapped: it gives pixels from {found[0]:.3g} to {found[1]:.3g}, "
                f"outside of [{low:g}, {high:g}]. Declare the range that it paints in, as in "
                f"cp.Image(…, low={math.floor(found[0])}, high={math.ceil(found[1])})."
            )
    return "value"
