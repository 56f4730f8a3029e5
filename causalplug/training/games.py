"""Which game a target is played as."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from causalplug.data.source import Rows
from causalplug.model.model import Model
from causalplug.planning.plan import Target
from causalplug.training.adversarial import Game, RowGame, TableGame, taken_values
from causalplug.training.config import TrainingConfig
from causalplug.training.factors import tabular
from causalplug.training.image_game import ImageGame

if TYPE_CHECKING:
    from causalplug.mechanisms.frozen.bank import SampleBank

__all__ = ["game_for"]


def game_for(
    dcm: Model,
    target: Target,
    rows: Rows,
    config: TrainingConfig,
    *,
    banks: Mapping[str, SampleBank],
    pixels: Sequence[str] = (),
) -> Game:
    """The cheapest exact game for a target: tables where all is discrete and small, rows
    otherwise, pixels if asked."""
    names = [*target.parents, *target.variables]
    if config.gradient == "auto" and not any(dcm.variables[n].needs_encoder for n in names):
        sizes = [dcm.variables[name].cardinality for name in target.variables]
        inside = math.prod(config.max_cells + 1 if size is None else size for size in sizes)
        hidden = {*target.updated, *target.frozen} - set(
            target.variables
        )  # drawn and not recorded, in joint training
        if not hidden and tabular(dcm, target.variables) and inside <= config.max_cells:
            size = {name: dcm.variables[name].size for name in names}
            taken = len(taken_values(rows, target.parents, size)[1])
            if inside * taken <= config.max_cells:
                return TableGame(dcm, target, rows, config)
    kind = RowGame
    if any(name in pixels for name in names):
        kind = ImageGame
    return kind(dcm, target, rows, config, banks=banks, pixels=pixels)
