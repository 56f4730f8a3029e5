"""A network or a fitted estimator of one's own as a frozen mechanism, by one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import torch
from torch import nn

from causalplug.arguments import MAPPING, TEXT, choice, instance, several, takes, whole
from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ErrorSpec
from causalplug.mechanisms.frozen.exported import ExportedNetwork, export_network
from causalplug.mechanisms.frozen.network_call import ByPosition, NetworkCall
from causalplug.mechanisms.frozen.network_output import checked_output, refuse_sigmoid_scores
from causalplug.mechanisms.frozen.tabular import (
    Classifier,
    Predictor,
    TabularPredictor,
    columns_of,
    gives_probabilities,
    own_classes,
    tabular_network,
)
from causalplug.mechanisms.frozen.trial import try_mechanism
from causalplug.mechanisms.frozen.usable import ready_network
from causalplug.mechanisms.frozen.wrapped import WrappedModule
from causalplug.selection import names_of, values_at
from causalplug.variables import Variable

__all__ = ["wrap"]

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
    if variable.is_discrete:
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
    call = NetworkCall(module, tuple(conditions), shape)
    forms = call.forms()
    if shape is None and not conditions:
        raise MechanismError(
            f"{type(module).__name__} cannot be wrapped: it reads neither a latent nor conditions, "
            "so that every row would be the same. Give latent= or conditions=, or set the variable "
            "with do=."
        )
    example = call.example(forms)
    made = call(example)
    checked = checked_output(module, variable, made, output, latent=shape is not None)
    call.check_rows(forms, made)
    steps, tensors = export_network(ByPosition(call), list(example.values()), type(module).__name__)
    if output is None and checked == "logits":
        refuse_sigmoid_scores(module, steps)
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


def _latent_shape(latent: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if latent is None:
        return None
    if isinstance(latent, int):
        return (latent,)
    return tuple(latent)
