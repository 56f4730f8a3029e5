"""What a text generator is told for each row: a prompt by the values of its conditions, or a text
that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from causalplug.adapters.prompts import check_prompts, labels_of
from causalplug.errors import LabelMapError, MechanismError
from causalplug.mechanisms.frozen.condition import Condition
from causalplug.mechanisms.frozen.label import Label
from causalplug.selection import names_of, to_dicts, values_at
from causalplug.values import Json, Named
from causalplug.variables import Text

__all__ = ["TextPrompts", "text_prompts"]


@dataclass(frozen=True)
class TextPrompts:
    """Prompts of rows.

    Attributes:
        conditions: What the prompts depend on.
        template: A text with the names of conditions in braces; None for a table or a text.
        table: Prompt by value, or by tuple of values in the order of the conditions; None for a
            template or a text.
    """

    conditions: tuple[Condition, ...]
    template: str | None = None
    table: Mapping[Any, str] | None = None

    def of(self, values: Mapping[str, Tensor], rows: int) -> list[str]:
        """The prompt of each row.

        Args:
            values: Encoded values of the conditions, by name.
            rows: Number of rows.
        """
        columns = [self._column(one, values[one.name]) for one in self.conditions]
        if self.template is not None:
            names = names_of(self.conditions)
            if not names:
                return [self.template] * rows
            pairs = zip(*columns, strict=True)
            found = []
            for row in pairs:
                found.append(self.template.format(**dict(zip(names, row, strict=True))))
            return found
        if self.table is None:
            return list(columns[0])
        if len(columns) == 1:
            return values_at(self.table, columns[0])
        return values_at(self.table, zip(*columns, strict=True))

    @staticmethod
    def _column(condition: Condition, value: Tensor) -> list[Any]:
        if value.is_floating_point() and condition.kind.is_discrete and value.ndim == 2:
            value = value.argmax(-1)
        found: list[Any] = condition.kind.decode(value).tolist()
        return found

    def to_dict(self) -> Json:
        """JSON values."""
        table = self.table
        if table is not None:
            pairs = []
            for k, text in table.items():
                pairs.append([list(k) if isinstance(k, tuple) else [k], text])
        else:
            pairs = None
        return {
            "conditions": to_dicts(self.conditions),
            "template": self.template,
            "table": pairs,
        }

    @classmethod
    def from_dict(cls, data: Named) -> TextPrompts:
        """Inverse of :meth:`to_dict`."""
        conditions = tuple(map(Condition.from_dict, data["conditions"]))
        table = None
        if data["table"] is not None:
            table = {k[0] if len(k) == 1 else tuple(k): text for k, text in data["table"]}
        return cls(conditions, data["template"], table)


def text_prompts(
    prompts: str | Mapping[Any, str] | None, labels: Sequence[Label] | None, length: int
) -> TextPrompts:
    """The prompts that a user gives.

    Args:
        prompts: A mapping from labels to prompts, a template, or None to read a text.
        labels: The labels that a template names, or those of a mapping whose keys are tuples.
        length: Bytes of the longest text that is read.

    Raises:
        MechanismError: Labels without prompts.
        LabelMapError: A template that names something else, or a combination without a prompt.
    """
    if prompts is None:
        if labels:
            raise MechanismError(
                "Labels cannot be told to a text model without prompts. Give a template, as in "
                f'prompts="… {{{labels[0].name}}} …".'
            )
        return TextPrompts((Condition("text", Text(length)),))
    check_prompts(prompts)
    if isinstance(prompts, Mapping):
        known = tuple(labels or labels_of(prompts))
        _check_table(prompts, known)
        return TextPrompts(_conditions(known), None, dict(prompts))
    known = tuple(labels or ())
    _check_template(prompts, names_of(known))
    return TextPrompts(_conditions(known), prompts, None)


def _conditions(labels: Sequence[Label]) -> tuple[Condition, ...]:
    return tuple(Condition(label.name, label.values) for label in labels)


def _check_table(prompts: Mapping[Any, str], labels: Sequence[Label]) -> None:
    total = 1
    for label in labels:
        total *= label.size
    keys = [key if isinstance(key, tuple) else (key,) for key in prompts]
    for key in keys:
        fits = len(key) == len(labels)
        if not fits or any(v not in one.categories for v, one in zip(key, labels, strict=True)):
            raise LabelMapError(
                f"The prompts have an entry for {key}, which no label has. Declare these "
                "categories, or leave the entry out."
            )
    if len(keys) < total:
        raise LabelMapError(
            f"The prompts have {len(keys)} entries for {total} combinations of labels: every one "
            "needs an entry. Add them, or give a template."
        )


def _check_template(template: str, names: Sequence[str]) -> None:
    try:
        template.format(**dict.fromkeys(names, ""))
    except (KeyError, IndexError, ValueError) as error:
        raise LabelMapError(
            f"The prompt {template!r} asks for {error}, which is no label. Give "
            'labels=[cp.Label("finding", ["yes", "no"])] for each name in braces.'
        ) from None
    missing = [name for name in names if "{" + name not in template]
    if missing:
        raise LabelMapError(
            f"The prompt {template!r} does not mention {', '.join(missing)}. Use "
            f"{', '.join('{' + name + '}' for name in missing)}, or leave the label out."
        )
