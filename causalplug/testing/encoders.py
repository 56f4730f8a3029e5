"""Checks of an encoder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from causalplug.encoders.encoders import ENCODERS, Encoder, project
from causalplug.testing.values import example_values

__all__ = ["EncoderTester"]


class EncoderTester:
    """Checks of an encoder; subclass it and implement :meth:`make`.

    Attributes:
        rows: Rows of each check.
        tolerance: Largest difference of a row's projection between two batches that it is part of.
        saves: Whether it can be saved to a folder.
    """

    rows: int = 40
    tolerance: float = 1e-3
    saves: bool = True

    def make(self) -> Encoder:
        """The encoder under test; called for every check."""
        raise NotImplementedError

    def values(self, encoder: Encoder) -> Tensor:
        """Encoded values ``(rows, *event_shape)`` that it reads."""
        return example_values(encoder.variable, self.rows)

    def test_it_declares_what_it_is(self) -> None:
        encoder = self.make()
        assert isinstance(encoder, Encoder)
        assert encoder.variable.needs_encoder
        assert encoder.size >= 1
        assert ENCODERS.resolve(encoder.kind) is type(encoder)

    def test_projections_have_its_size(self) -> None:
        encoder = self.make()
        found = project(encoder, self.values(encoder))
        assert found.shape == (self.rows, encoder.size)
        assert found.is_floating_point()
        assert bool(found.isfinite().all())

    def test_fitting_gives_mean_zero_and_deviation_one(self) -> None:
        encoder = self.make()
        values = self.values(encoder)
        encoder.whiten(values)
        found = project(encoder, values)
        assert torch.allclose(found.mean(0), torch.zeros(encoder.size), atol=1e-2)
        spread = found.std(0)
        moving = spread > 1e-3  # a number that is the same for every row has no deviation
        assert torch.allclose(spread[moving], torch.ones(int(moving.sum())), atol=1e-2)

    def test_fit_gives_the_encoder_back(self) -> None:
        encoder = self.make()
        assert encoder.fit(self.values(encoder)) is encoder
        assert encoder.trained

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        encoder = self.make()
        values = self.values(encoder)
        together = project(encoder, values)
        for row in range(min(self.rows, 5)):
            alone = project(encoder, values[row : row + 1])
            assert float((alone - together[row]).abs().max()) <= self.tolerance

    def test_the_global_generator_is_left_alone(self) -> None:
        encoder = self.make()
        values = self.values(encoder)
        before = torch.random.get_rng_state()
        project(encoder, values)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_round_trip(self, tmp_path: Path) -> None:
        from causalplug.load import from_pretrained

        encoder = self.make()
        if not self.saves:
            return
        json.dumps(encoder.config())
        values = self.values(encoder)
        before = project(encoder, values)
        encoder.save_pretrained(tmp_path / "saved")
        loaded = from_pretrained(tmp_path / "saved")
        assert type(loaded) is type(encoder)
        assert loaded.trained
        assert torch.equal(project(loaded, values), before)
