"""What a page offers for every variable: choices, or a slider from one number to another."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalplug.errors import DataError, MechanismError, NotIdentifiableError, SamplingError
from causalplug.model.asked_values import recorded_ranges
from causalplug.values import Named
from causalplug.wording import listed

if TYPE_CHECKING:
    from causalplug.dcm import DCM
    from causalplug.variables import Variable

__all__ = ["Control", "controls", "is_askable", "settings", "value_of"]

_ROWS = 500


@dataclass(frozen=True)
class Control:
    """How one variable is set on the page.

    Attributes:
        name: The variable.
        choices: The texts of its values, for a discrete variable; empty otherwise.
        low, high: The ends of its slider, for a number.
        step: The distance between two positions of the slider.
        start: Where choice or slider stands at first; None where nothing can be chosen.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    start: str | float | None = None

    @property
    def is_slider(self) -> bool:
        """Whether it is a slider."""
        return self.step > 0

    def first(self, world: str) -> str | float | None:
        """Where it stands at first: for what was seen (``"seen"``) at another choice than for what
        is set (``"do"``)."""
        if self.choices and world == "seen":
            return self.choices[0]
        return self.start

    @property
    def is_offered(self) -> bool:
        """Whether the variable can be set at all: images, texts and vectors cannot."""
        return self.start is not None


def controls(dcm: DCM) -> dict[str, Control]:
    """The control of every variable.

    Sliders go over the numbers that the rows of training had; where the model does not remember
    them, over those of its own samples.
    """
    ranges = recorded_ranges(dcm.history)
    found = {}
    for name, variable in dcm.variables.items():
        if variable.is_discrete:
            texts = tuple(map(str, variable.categories))
            found[name] = Control(name, texts, start=texts[-1])
        elif variable.is_number:
            known = ranges.get(name)
            ends = _ends(dcm, name) if known is None else (known.inner_low, known.inner_high)
            found[name] = _slider(name, variable, *ends)
        else:
            found[name] = Control(name)
    return found


def is_askable(variable: Variable) -> bool:
    """Whether the page can show the distribution of a variable."""
    return variable.is_discrete or variable.is_number or variable.is_image


def value_of(dcm: DCM, name: str, given: str | float) -> Hashable:
    """What a choice or a slider stands for: a category, or a number.

    Raises:
        DataError: A text that is not a value of the variable, or a variable that cannot be set
            here.
    """
    variable = dcm.variables[name]
    if variable.is_number:
        return _number(name, given, whole=variable.is_countable)
    if not variable.is_discrete:
        raise DataError(
            f"{name} cannot be set or seen on this page: it is of kind {variable.kind}. Set it in "
            "Python, with DCM.sample(do=…)."
        )
    code = variable.code_of_text(str(given))
    if code < 0:
        raise DataError(
            f"{name}={given} cannot be used: its values are {listed(variable.categories)}."
        )
    return variable.categories[code]


def _number(name: str, given: str | float, *, whole: bool) -> float:
    try:
        number = float(given)
    except ValueError:
        raise DataError(f"{name}={given} cannot be used: {name} is a number.") from None
    if not math.isfinite(number):
        raise DataError(f"{name}={given} cannot be used: it is not finite.")
    if whole:
        return round(number)
    return number


def _ends(dcm: DCM, name: str) -> tuple[float, float]:
    """The inner nine tenths of what the model itself draws; 0 to 1 where it may not."""
    try:
        rows = dcm.sample(_ROWS, variables=[name], progress=False)[name]
    except (NotIdentifiableError, SamplingError, MechanismError):
        return 0.0, 1.0
    return float(rows.quantile(0.05)), float(rows.quantile(0.95))


def _slider(name: str, variable: Variable, low: float, high: float) -> Control:
    low, high = max(low, variable.low), min(high, variable.high)
    if variable.is_countable:
        low, high = math.floor(low), math.ceil(high)
        return Control(name, low=low, high=max(high, low + 1), step=1, start=(low + high) // 2)
    if not low < high:
        low, high = low - 0.5, low + 0.5
    step = _rounded((high - low) / 100)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    low, high = max(_short(low), variable.low), min(_short(high), variable.high)
    return Control(name, low=low, high=high, step=step, start=_short((low + high) / 2))


def _rounded(width: float) -> float:
    """A power of ten at most as large as ``width``."""
    return float(10.0 ** math.floor(math.log10(width)))


def _short(number: float) -> float:
    return float(f"{number:.6g}")


def settings(dcm: DCM, texts: Named) -> dict[str, Hashable]:
    """Values from what stands in the controls, by variable."""
    return {name: value_of(dcm, name, given) for name, given in texts.items()}
