"""Measures of counterfactual images: composition, effectiveness, reversibility, minimality, realism
and identity (Monteiro et al. 2023, Melistas et al. 2024)."""

from __future__ import annotations

from causalplug.metrics.counterfactuals import (
    composition,
    effectiveness,
    identity,
    measure,
    minimality,
    realism,
    reversibility,
)
from causalplug.metrics.measures import Measure, Measures

__all__ = [
    "Measure",
    "Measures",
    "composition",
    "effectiveness",
    "identity",
    "measure",
    "minimality",
    "realism",
    "reversibility",
]
