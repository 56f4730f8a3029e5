"""What the values of a variable are, how users write them and how networks read them.

Three kinds: :class:`Discrete`, :class:`Continuous` and :class:`Image`. Users hand in and get back
category names, floats and images; inside the model a discrete value is an integer code, a
continuous value a float and an image a float tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causalplug.errors import VariableError
from causalplug.variables.base import Variable
from causalplug.variables.continuous import Continuous
from causalplug.variables.discrete import Discrete
from causalplug.variables.image import Image

__all__ = ["Continuous", "Discrete", "Image", "Variable", "variable_from_dict"]

_KINDS: dict[str, type[Variable]] = {cls.kind: cls for cls in (Discrete, Continuous, Image)}


def variable_from_dict(declaration: Mapping[str, Any], name: str = "variable") -> Variable:
    """The variable that :meth:`Variable.to_dict` describes.

    Raises:
        VariableError: an unknown kind or unknown, missing or wrong fields.
    """
    fields = dict(declaration)
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        raise VariableError(f"{name!r} has kind {kind!r}; known kinds are {', '.join(_KINDS)}.")
    try:
        return _KINDS[kind](**fields)
    except TypeError as error:
        raise VariableError(
            f"{name!r} of kind {kind} cannot be declared from {sorted(fields)}: {error}."
        ) from None
