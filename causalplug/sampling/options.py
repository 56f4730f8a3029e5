"""How an answer is computed: one set of options for all that a model can be asked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from causalplug.errors import SamplingError
from causalplug.identification.assumptions import Assume
from causalplug.noise import whole_seed
from causalplug.sampling.posterior import Limits
from causalplug.sampling.result import check_images
from causalplug.wording import as_names

__all__ = ["DEFAULTS", "SamplingOptions"]


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

    seed: int = 0
    batch_size: int | None = None
    images: str = "tensor"
    allow_unidentified: bool = False
    interpolate: str | Iterable[str] = ()
    assume: Assume | Iterable[Assume] = ()
    min_acceptance: float = 1e-4
    time_limit: float | None = None
    progress: bool | None = None
    distributed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole_seed(self.seed))
        check_images(self.images)
        object.__setattr__(self, "interpolate", as_names(self.interpolate))
        if isinstance(self.assume, Assume):
            object.__setattr__(self, "assume", (self.assume,))
        else:
            object.__setattr__(self, "assume", tuple(self.assume))
        Limits(self.min_acceptance)
        if self.batch_size is not None and self.batch_size < 1:
            raise SamplingError(
                f"batch_size={self.batch_size} cannot be used: a batch holds at least one row."
            )
        if self.time_limit is not None and not self.time_limit > 0:
            raise SamplingError(
                f"time_limit={self.time_limit} cannot be used: it is a number of seconds above 0."
            )

    def limits(self) -> Limits:
        """When a search that starts now gives up."""
        if self.time_limit is None:
            deadline = None
        else:
            deadline = time.monotonic() + self.time_limit
        return Limits(self.min_acceptance, deadline)


DEFAULTS = SamplingOptions()
"""The options where none are given."""
