"""How an answer is computed: one set of options for all that a model can be asked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from causalplug.arguments import (
    COUNT,
    FLAG,
    NAMES,
    SEED,
    SHARE,
    choice,
    number,
    read_fields,
    setting,
)
from causalplug.errors import SamplingError
from causalplug.identification.assumptions import Assume
from causalplug.sampling.limits import Limits
from causalplug.sampling.result import IMAGE_FORMS
from causalplug.wording import as_names

__all__ = ["DEFAULTS", "INTERVAL_RULES", "SamplingOptions"]

INTERVAL_RULES = {
    "level": SHARE,
    "one_step": FLAG.or_none("where it makes the estimate doubly robust"),
    "interval": choice("auto", "influence", "replicates", "none"),
}
"""What the options of an interval may be."""


@dataclass(frozen=True)
class SamplingOptions:
    """How an answer is computed.

    Args:
        seed: Seed of the noise.
        batch_size: Rows that go through the networks at once; by default 65,536, and 256 where an
            image is rendered.
        images: What images come out as: ``"tensor"``, ``"array"`` or ``"pil"``.
        allow_unidentified: Give a marked answer in place of an error where the data do not
            determine it.
        interpolate: Names of variables whose effects are taken to be smooth between the numbers
            that an experiment set them to; the answer is marked.
        assume: Declared assumptions by which answers may be determined.
        min_acceptance: Share of the candidates that have to agree with what is given, counted by
            weight; where fewer do, the search ends in an error.
        time_limit: Seconds after which a search for rows that agree ends in an error; None for no
            limit.
        progress: Show a bar; by default for long calls at a terminal.
        distributed: Split the rows over the processes of ``accelerate launch``, all of which have
            to make the call.

    Raises:
        SamplingError: An option outside its range.
    """

    seed: int = setting(0, SEED)
    batch_size: int | None = setting(None, COUNT.or_none())
    images: str = setting("tensor", choice(*IMAGE_FORMS))
    allow_unidentified: bool = setting(False, FLAG)
    interpolate: str | Iterable[str] = setting((), NAMES)
    assume: tuple[Assume, ...] = ()
    min_acceptance: float = setting(1e-4, number(above=0, high=1, what="a share"))
    time_limit: float | None = setting(
        None, number(above=0, what="a number of seconds").or_none("no limit")
    )
    progress: bool | None = setting(None, FLAG.or_none("a bar at a terminal"))
    distributed: bool = setting(False, FLAG)

    def __post_init__(self) -> None:
        read_fields(self, SamplingError)
        object.__setattr__(self, "interpolate", as_names(self.interpolate))

    def limits(self) -> Limits:
        """When a search that starts now gives up."""
        if self.time_limit is None:
            deadline = None
        else:
            deadline = time.monotonic() + self.time_limit
        return Limits(self.min_acceptance, deadline)


DEFAULTS = SamplingOptions()
"""The options where none are given."""
