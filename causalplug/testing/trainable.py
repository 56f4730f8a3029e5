"""Checks of a trainable mechanism."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from causalplug.mechanisms.base import MECHANISMS, Mechanism
from causalplug.mechanisms.trainable.conditioner import ParentSpec
from causalplug.testing.values import difference, example_values, noise_of, refusal, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TrainableMechanismTester"]


class TrainableMechanismTester:
    """Checks of a trainable mechanism; subclass it and implement :meth:`make`.

    Attributes:
        rows: Rows of each check.
        tolerance: Largest difference of a row's value between two batches that it is part of.
        confounder_size: Numbers of confounder noise that it reads; where the mechanism says so by
            ``confounder_numbers``, that number is used.
        parents: Declarations of its parents, or the sizes of their projections.
        steps: Updates after which the likelihood of some values must have grown.
    """

    rows: int = 7
    tolerance: float = 1e-4
    confounder_size: int = 0
    parents: Mapping[str, ParentSpec] = {}
    steps: int = 25

    def make(self) -> Mechanism:
        """The mechanism under test, with fresh weights; called for every check."""
        raise NotImplementedError

    # -- helpers

    def values(self, mechanism: Mechanism, n: int, seed: int = 0) -> Tensor:
        """Values ``(n, *event_shape)`` of the variable, as rows of data have them."""
        return mechanism.variable.scale(example_values(mechanism.variable, n, seed))

    def parent_values(self, n: int) -> dict[str, Tensor]:
        """Encoded values of the parents, or projections."""
        found = {}
        for name, spec in self.parents.items():
            generator = torch.Generator().manual_seed(len(name))
            if isinstance(spec, int):
                found[name] = torch.randn(n, spec, generator=generator)
            else:
                found[name] = example_values(spec, n)
        return found

    def confounder(self, mechanism: Mechanism, n: int) -> Tensor | None:
        """Confounder noise ``(n, e)``; None without any."""
        size = mechanism.confounder_numbers
        if size is None:
            size = self.confounder_size
        if size:
            return torch.randn(n, size, generator=torch.Generator().manual_seed(5))
        return None

    def draw(self, mechanism: Mechanism, n: int, seed: int = 0) -> Tensor:
        """Values of ``n`` rows."""
        noise = noise_of(mechanism, n, seed)
        return mechanism(self.parent_values(n), noise, self.confounder(mechanism, n))

    # -- the declaration

    def test_it_declares_what_it_is(self) -> None:
        mechanism = self.make()
        assert isinstance(mechanism, Mechanism)
        assert not mechanism.frozen
        assert mechanism.parents == tuple(self.parents)
        assert mechanism.abduction in (None, "approximate", "exact")
        assert MECHANISMS.resolve(mechanism.kind) is type(mechanism)
        assert any(parameter.requires_grad for parameter in mechanism.parameters())

    def test_its_configuration_is_json(self) -> None:
        mechanism = self.make()
        again = type(mechanism).from_config(json.loads(json.dumps(mechanism.config())))
        assert again.config() == mechanism.config()
        shapes = {key: value.shape for key, value in mechanism.state_dict().items()}
        assert {key: value.shape for key, value in again.state_dict().items()} == shapes

    # -- samples

    def test_shapes_and_ranges(self) -> None:
        mechanism, variable = self.make(), self.make().variable
        made = self.draw(mechanism, self.rows).detach()
        assert made.shape == (self.rows, *variable.event_shape)
        assert bool(made.isfinite().all())
        assert made.is_floating_point() != variable.is_discrete
        assert len(variable.decode(made)) == self.rows
        if variable.is_image:
            slack = 1e-3 * (variable.high - variable.low)
            assert float(made.min()) >= variable.low - slack
            assert float(made.max()) <= variable.high + slack

    def test_same_noise_same_sample_and_other_noise_another(self) -> None:
        mechanism = self.make().eval()
        state = torch.random.get_rng_state()
        first = self.draw(mechanism, 64).detach()
        assert torch.equal(state, torch.random.get_rng_state()), "it draws from torch's own state"
        torch.manual_seed(123)
        again = self.draw(mechanism, 64).detach()
        torch.random.set_rng_state(state)
        assert torch.equal(first, again)
        if mechanism.noise:
            other = self.draw(mechanism, 64, seed=1).detach()
            assert difference(mechanism.variable, first, other) > 0

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        mechanism = self.make().eval()
        parents, noise = self.parent_values(self.rows), noise_of(mechanism, self.rows)
        confounder = self.confounder(mechanism, self.rows)
        together = mechanism(parents, noise, confounder)
        for row in range(self.rows):
            one = slice(row, row + 1)
            if confounder is None:
                given = None
            else:
                given = confounder[one]
            alone = mechanism(rows_of(parents, one), rows_of(noise, one), given)
            far = difference(mechanism.variable, together[one].detach(), alone.detach())
            assert far <= self.tolerance

    # -- the likelihood

    def test_its_log_probabilities_have_one_entry_per_row_and_draw(self) -> None:
        mechanism = self.make().eval()
        values, parents = self.values(mechanism, self.rows), self.parent_values(self.rows)
        confounder = self.confounder(mechanism, 3)
        if confounder is None:
            draws = None
        else:
            draws = confounder.unsqueeze(1)
        if not mechanism.explicit:
            assert refusal(lambda: mechanism.log_prob(values, parents, draws)) is not None
            return
        found = mechanism.log_prob(values, parents, draws).detach()
        if draws is None:
            rows: tuple[int, ...] = (self.rows,)
        else:
            rows = (3, self.rows)
        assert found.shape == rows
        assert bool(found.isfinite().all())
        if draws is not None:
            alone = mechanism.log_prob(values, parents, draws[:1]).detach()
            assert torch.allclose(alone.reshape(-1), found[0], atol=1e-3)

    def test_probabilities_of_a_discrete_variable_sum_to_one(self) -> None:
        mechanism = self.make().eval()
        size = mechanism.variable.cardinality
        if size is None or not mechanism.explicit:
            return
        parents = self.parent_values(self.rows)
        confounder = self.confounder(mechanism, self.rows)
        if confounder is None:
            draws = None
        else:
            draws = confounder[:1].unsqueeze(1)
        each = []
        for code in range(size):
            each.append(mechanism.log_prob(torch.full((self.rows,), code), parents, draws).exp())
        total = torch.stack([one.expand(*one.shape[:-1], self.rows) for one in each]).sum(0)
        assert torch.allclose(total, torch.ones_like(total), atol=1e-4)

    def test_training_raises_the_likelihood(self) -> None:
        mechanism = self.make()
        if not mechanism.explicit:
            return
        n = 64
        values, parents = self.values(mechanism, n), self.parent_values(n)
        mechanism.standardise_parents(parents)
        mechanism.standardise(values)
        mechanism.start_at(values)
        confounder = self.confounder(mechanism, 4)
        if confounder is None:
            draws = None
        else:
            draws = confounder.unsqueeze(1)
        optimizer = torch.optim.Adam(mechanism.parameters(), lr=1e-2)
        history = []
        for _ in range(self.steps):
            loss = -mechanism.log_prob(values, parents, draws).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(float(loss.detach()))
        assert min(history[1:]) < history[0], f"the likelihood does not grow: {history}"

    # -- noise

    def test_noise_is_recovered_where_declared(self) -> None:
        mechanism = self.make().eval()
        parents, noise = self.parent_values(self.rows), noise_of(mechanism, self.rows)
        confounder = self.confounder(mechanism, self.rows)
        value = mechanism(parents, noise, confounder).detach()
        if mechanism.abduction is None:
            message = refusal(lambda: mechanism.abduct(value, parents, confounder, prior=noise))
            assert message is not None, "a mechanism without abduction must refuse it"
            return
        found = mechanism.abduct(value, parents, confounder, prior=noise)
        assert found.keys() == mechanism.noise.keys()
        again = mechanism(parents, found, confounder).detach()
        if mechanism.abduction == "exact":
            assert difference(mechanism.variable, value, again) <= 1e-2

    # -- saving

    def test_round_trip(self, tmp_path: Path) -> None:
        from causalplug.load import from_pretrained

        mechanism = self.make().eval()
        before = self.draw(mechanism, self.rows).detach()
        mechanism.license = "cc0-1.0"
        mechanism.save_pretrained(tmp_path / "saved")
        loaded = from_pretrained(tmp_path / "saved").eval()
        assert type(loaded) is type(mechanism)
        assert loaded.license == "cc0-1.0"
        assert torch.equal(self.draw(loaded, self.rows).detach(), before)

    def test_a_copy_has_weights_of_its_own(self) -> None:
        mechanism = self.make()
        other = copy.deepcopy(mechanism)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1.0)
        pairs = zip(mechanism.parameters(), other.parameters(), strict=True)
        assert not any(torch.equal(a, b) for a, b in pairs)
