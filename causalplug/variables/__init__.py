"""What the values of a variable are, how users write them and how networks read them.

Users hand in and get back category names, numbers, images; inside the model a discrete value is an
integer code, a number a float and an image a float tensor. Each kind is one file with a
registration in ``kinds.py``.
"""

from __future__ import annotations

from causalplug.variables.base import Variable
from causalplug.variables.continuous import Continuous
from causalplug.variables.count import Count
from causalplug.variables.discrete import Discrete
from causalplug.variables.image import Image
from causalplug.variables.kinds import register_variable, variable_class, variable_from_dict
from causalplug.variables.text import Text
from causalplug.variables.vector import Vector

__all__ = [
    "Continuous",
    "Count",
    "Discrete",
    "Image",
    "Text",
    "Variable",
    "Vector",
    "register_variable",
    "variable_class",
    "variable_from_dict",
]
