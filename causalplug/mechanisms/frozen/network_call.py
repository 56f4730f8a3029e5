"""How a network of one's own is called: which input goes to which argument, and in which form."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError
from causalplug.mechanisms.frozen.condition import Condition
from causalplug.mechanisms.frozen.trial import example_values
from causalplug.selection import names_of, pick, values_at, within, without
from causalplug.tensors import first_rows
from causalplug.variables import Variable

__all__ = ["ByPosition", "NetworkCall", "shaped"]

_ROWS = 3  # of the trial run
_FORMS = ("codes", "one-hot")


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


class NetworkCall:
    """The call of a network: its inputs by position, by argument, and in the form that runs.

    Args:
        module: The network.
        conditions: What it reads, in order.
        latent: Shape of its latent, None without.

    Raises:
        MechanismError: Its ``forward`` leaves no argument for an input.
    """

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

    def example(self, forms: Mapping[str, str]) -> dict[str, Tensor]:
        """Inputs of the rows of a trial run, by name."""
        generator = torch.Generator().manual_seed(0)
        found = {}
        if self.latent is not None:
            found["latent"] = torch.randn(_ROWS, *self.latent, generator=generator)
        for condition in self.conditions:
            value = _readable(condition.kind, generator)
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

    def forms(self) -> dict[str, str]:
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
                self(self.example(chosen))
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
        example = self.example(forms)
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


class ByPosition(nn.Module):
    """The network of a call with its inputs by position, whatever its arguments are called."""

    def __init__(self, call: NetworkCall):
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


def _readable(kind: Variable, generator: torch.Generator) -> Tensor:
    """Encoded values of what a network can read as a tensor, for a trial run."""
    if kind.needs_encoder and not kind.is_image:
        raise MechanismError(
            f"A network cannot read {kind.describe()} as a tensor. Load a model of transformers, "
            "or put an embedding (cp.Vector) between."
        )
    return example_values(kind, _ROWS, generator)
