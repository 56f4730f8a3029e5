"""A frozen encoder of texts that needs no download."""

from __future__ import annotations

import torch
from torch import Tensor

from causalplug.encoders.encoders import Encoder, register_encoder
from causalplug.values import Json
from causalplug.variables import Variable

__all__ = ["HashedText"]

_BUCKETS = 1024
_MIXES = ((1,), (31, 1), (961, 31, 1))  # of one, two and three bytes beside each other


@register_encoder("hashed-text")
class HashedText(Encoder):
    """Counts of letters, pairs and triples of bytes, hashed into 1,024 buckets and projected at
    random (Weinberger et al. 2009).

    It knows which parts of words occur, and nothing of their meaning: give a pretrained encoder
    where that matters.

    Args:
        variable: The text.
        size: Numbers of one projection.
        seed: Seed of the projection.
    """

    basis: Tensor

    def __init__(self, variable: Variable, size: int = 32, *, seed: int = 0):
        super().__init__(variable, size)
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        basis = torch.randn(len(_MIXES) * _BUCKETS, size, generator=generator)
        self.register_buffer("basis", basis / size**0.5)

    def features(self, images: Tensor) -> Tensor:
        """Raw features ``(n, size)`` of encoded texts."""
        codes = images.long()
        parts = [self._counts(codes, mix) for mix in _MIXES]
        return torch.cat(parts, -1).log1p().to(self.basis.dtype) @ self.basis

    @staticmethod
    def _counts(codes: Tensor, mix: tuple[int, ...]) -> Tensor:
        """How often each bucket occurs among runs of ``len(mix)`` bytes, ``(n, buckets)``."""
        span = codes.shape[1] - len(mix) + 1
        if span < 1:
            return codes.new_zeros(len(codes), _BUCKETS).float()
        runs = torch.stack([codes[:, i : i + span] for i in range(len(mix))])
        inside = (runs > 0).all(0)
        weights = torch.tensor(mix, device=codes.device).view(-1, 1, 1)
        buckets = (runs * weights).sum(0) % _BUCKETS
        counts = torch.zeros(len(codes), _BUCKETS, device=codes.device)
        return counts.scatter_add_(1, buckets, inside.float())

    def config(self) -> Json:
        return super().config() | {"seed": self.seed}
