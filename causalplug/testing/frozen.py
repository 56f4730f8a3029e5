"""Checks of a frozen mechanism, of any kind of variable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalplug.mechanisms.base import MECHANISMS, Mechanism
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.label_map import LabelMap
from causalplug.noise import Noise
from causalplug.selection import pick, sizes_of, without_none
from causalplug.tensors import rows_at
from causalplug.testing.values import difference, example_values, refusal, rows_of
from causalplug.variables import Continuous, Discrete, Image, Variable

__all__ = ["MechanismTester"]


class MechanismTester:
    """Checks of a frozen mechanism; subclass it and implement :meth:`make`.

    Attributes:
        rows: Rows of each check.
        tolerance: Largest difference of a row's pixels, in units of the range, between two batches
            that it is part of.
        saves: Whether the mechanism can be saved to a folder.
        reconstruction: Largest error of its own images painted again from recovered noise, as a
            share of how much two of its images differ; for mechanisms that declare abduction.
    """

    rows: int = 7
    tolerance: float = 1e-4
    saves: bool = True
    reconstruction: float = 0.2

    def make(self) -> Any:
        """The mechanism under test, unbound; called for every check."""
        raise NotImplementedError

    # -- helpers

    def inputs(
        self, mechanism: Mechanism, n: int, seed: int = 0
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parents and noise of ``n`` rows; the labels go round in turn."""
        parents: dict[str, Tensor] = {}
        step = 1
        for name, variable in _read_by(mechanism).items():
            size = variable.cardinality
            if size is None:
                parents[name] = example_values(variable, n)
                continue
            parents[name] = torch.arange(n).div(step, rounding_mode="floor") % size
            step *= size
        noise = Noise(n, seed)
        return parents, {key: noise.draw(key, spec) for key, spec in mechanism.noise.items()}

    def difference(self, mechanism: Mechanism, a: Tensor, b: Tensor) -> float:
        """Largest difference of two stacks of values, in units of the range of an image."""
        return difference(mechanism.variable, a, b)

    # -- the declaration

    def test_it_declares_what_it_is(self) -> None:
        mechanism = self.make()
        assert isinstance(mechanism, FrozenMechanism | ConditionalMechanism)
        assert mechanism.frozen
        assert not mechanism.accepts_confounder
        assert mechanism.parents == tuple(mechanism.declared_inputs())
        assert mechanism.variable == mechanism.declared_output()
        assert mechanism.abduction in (None, "approximate", "exact")
        assert mechanism.batch_cost >= 0

    def test_it_is_registered(self) -> None:
        mechanism = self.make()
        assert MECHANISMS.resolve(mechanism.kind) is type(mechanism)

    def test_importing_it_twice_registers_it_once(self) -> None:
        assert MECHANISMS.kinds().count(self.make().kind) == 1

    # -- what it paints

    def test_shapes_and_ranges(self) -> None:
        mechanism = self.make()
        image = mechanism.variable
        painted = mechanism(*self.inputs(mechanism, self.rows))
        assert painted.shape == (self.rows, *image.event_shape)
        assert painted.dtype == _type_of(image)
        assert bool(painted.isfinite().all())
        assert len(image.decode(painted)) == self.rows
        if not isinstance(image, Image):
            return
        slack = 1e-3 * (image.high - image.low)
        assert float(painted.min()) >= image.low - slack
        assert float(painted.max()) <= image.high + slack

    def test_same_noise_same_sample(self) -> None:
        mechanism = self.make()
        parents, noise = self.inputs(mechanism, self.rows)
        before = torch.random.get_rng_state()
        first = mechanism(parents, noise)
        torch.manual_seed(123)
        again = mechanism(parents, noise)
        torch.random.set_rng_state(before)
        assert torch.equal(first, again)

    def test_other_noise_other_sample(self) -> None:
        mechanism = self.make()
        parents, noise = self.inputs(mechanism, self.rows, seed=0)
        _, other = self.inputs(mechanism, self.rows, seed=1)
        if noise:
            assert (
                self.difference(mechanism, mechanism(parents, noise), mechanism(parents, other))
                > 1e-3
            )

    def test_the_global_generator_is_left_alone(self) -> None:
        mechanism = self.make()
        inputs = self.inputs(mechanism, self.rows)
        before = torch.random.get_rng_state()
        mechanism(*inputs)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        mechanism = self.make()
        parents, noise = self.inputs(mechanism, self.rows)
        together = mechanism(parents, noise)
        turned = torch.arange(self.rows - 1, -1, -1)
        backwards = mechanism(rows_at(parents, turned), rows_at(noise, turned))
        assert self.difference(mechanism, together, backwards[turned]) <= self.tolerance
        for row in range(self.rows):
            one = slice(row, row + 1)
            alone = mechanism(rows_of(parents, one), rows_of(noise, one))
            assert self.difference(mechanism, together[one], alone) <= self.tolerance

    def test_probabilities_sum_to_one_where_it_has_them(self) -> None:
        mechanism = self.make()
        size = mechanism.variable.cardinality
        if size is None or not mechanism.explicit:
            return
        parents, _ = self.inputs(mechanism, self.rows)
        logits = mechanism.logits(parents)
        assert logits.shape == (self.rows, size)
        codes = torch.arange(size)
        each = []
        for code in codes:
            each.append(mechanism.log_prob(code.expand(self.rows), parents).exp())
        assert torch.allclose(torch.stack(each).sum(0), torch.ones(self.rows), atol=1e-4)

    def test_labels_matter(self) -> None:
        mechanism = self.make()
        if not isinstance(mechanism, FrozenMechanism):
            return
        parents, noise = self.inputs(mechanism, self.rows)
        for name, label in zip(mechanism.parents, mechanism.labels, strict=True):
            if label.size > 1:
                moved = parents | {name: (parents[name] + 1) % label.size}
                assert (
                    self.difference(mechanism, mechanism(parents, noise), mechanism(moved, noise))
                    > 1e-4
                )

    # -- frozen, and gradients

    def test_weights_are_frozen_bit_for_bit(self) -> None:
        mechanism = self.make()
        before = {key: value.clone() for key, value in mechanism.state_dict().items()}
        mechanism.train()
        mechanism(*self.inputs(mechanism, self.rows))
        assert not mechanism.training
        assert not any(parameter.requires_grad for parameter in mechanism.parameters())
        after = mechanism.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)

    def test_gradients_reach_relaxed_parents_where_declared(self) -> None:
        mechanism = self.make()
        if not isinstance(mechanism, FrozenMechanism):
            return
        parents, noise = self.inputs(mechanism, self.rows)
        relaxed = {
            name: torch.nn.functional.one_hot(value, mechanism.bound_parents[name].size)
            .float()
            .requires_grad_()
            for name, value in parents.items()
        }
        if not relaxed:
            return
        if not mechanism.differentiable:
            message = refusal(lambda: mechanism(relaxed, noise))
            assert message is not None, "a black box must refuse parents that need gradients"
            assert "gradient" in message
            return
        painted = mechanism(relaxed, noise)
        assert (
            self.difference(mechanism, painted.detach(), mechanism(parents, noise))
            <= self.tolerance
        )
        painted.square().sum().backward()
        for name, value in relaxed.items():
            assert value.grad is not None, name
            assert float(value.grad.abs().max()) > 0, name

    # -- recovering the noise

    def test_the_noise_of_its_own_images_is_recovered_where_declared(self) -> None:
        mechanism = self.make()
        parents, noise = self.inputs(mechanism, self.rows)
        painted = mechanism(parents, noise)
        if mechanism.abduction is None:
            message = refusal(lambda: mechanism.abduct(painted, parents))
            assert message is not None, "a mechanism without abduction must refuse it"
            assert "abduction" in message
            return
        found = mechanism.abduct(painted, parents, prior=noise)
        assert found.keys() == mechanism.noise.keys()
        assert all(
            found[key].shape == (self.rows, *spec.shape) for key, spec in mechanism.noise.items()
        )
        _, other = self.inputs(mechanism, self.rows, seed=1)
        spread = float((mechanism(parents, other) - painted).square().mean().sqrt())
        again = mechanism(parents, found)
        assert float((again - painted).square().mean().sqrt()) <= self.reconstruction * spread

    # -- binding

    def test_binding_shares_the_weights(self) -> None:
        mechanism = self.make()
        declared = mechanism.declared_output()
        bound = mechanism.bind("V", declared, _read_by(mechanism))
        assert bound.variable == declared
        assert set(map(id, bound.parameters())) == set(map(id, mechanism.parameters()))
        again = mechanism.bind_as("V", bound.binding())
        inputs = self.inputs(mechanism, self.rows)
        assert torch.equal(bound(*inputs), again(*inputs))
        assert refusal(lambda: bound(*inputs, torch.zeros(self.rows, 2))) is not None

    def test_binding_shares_the_weights_and_moves_the_range(self) -> None:
        mechanism = self.make()
        if not isinstance(mechanism, FrozenMechanism):
            return
        image = mechanism.image
        wider = replace(image, low=-3.0, high=5.0)
        bound = mechanism.bind("I", wider, {label.name: label.values for label in mechanism.labels})
        assert bound.variable == wider
        assert set(map(id, bound.parameters())) == set(map(id, mechanism.parameters()))
        inputs = self.inputs(mechanism, self.rows)
        unit = (mechanism(*inputs) - image.low) / (image.high - image.low)
        assert self.difference(bound, bound(*inputs), -3.0 + 8.0 * unit) <= self.tolerance
        assert mechanism.variable == image

    def test_a_stochastic_label_map_belongs_to_its_noise(self) -> None:
        mechanism = self.make()
        if not isinstance(mechanism, FrozenMechanism) or not mechanism.labels:
            return
        size = math.prod(sizes_of(mechanism.labels))
        table = torch.full((2, size), 1 / size)
        bound = mechanism.bind(
            "I",
            mechanism.image,
            {"D": Discrete(2)},
            LabelMap({"D": Discrete(2)}, mechanism.labels, table),
        )
        if size == 1:
            return
        assert bound.noise["label"].shape == (size,)
        parents, noise = self.inputs(bound, self.rows)
        assert torch.equal(bound(parents, noise), bound(parents, noise))
        chosen = noise["label"].argmax(-1)
        own = pick(noise, mechanism.generator_noise)
        direct = mechanism.generate(bound._map.split(chosen), own)
        assert self.difference(bound, bound(parents, noise), direct) <= self.tolerance

    def test_what_it_does_not_read_or_give_is_refused(self) -> None:
        mechanism = self.make()
        declared, read = mechanism.declared_output(), _read_by(mechanism)
        if declared.is_discrete:
            other: Variable = Continuous()
        else:
            other = Discrete(2)
        extra = {**read, "extra": Discrete(2)}
        for variable, parents in ((other, read), (declared, extra)):
            message = refusal(lambda v=variable, p=parents: mechanism.bind("V", v, p))  # type: ignore[misc]
            assert message is not None, f"binding to {variable} with {parents} must be refused"
            assert "'V'" in message or "extra" in message

    def test_clear_refusals(self) -> None:
        mechanism = self.make()
        if not isinstance(mechanism, FrozenMechanism):
            return
        image, labels = mechanism.image, {label.name: label.values for label in mechanism.labels}
        smaller = Image(
            image.channels, image.height + 1, image.width, low=image.low, high=image.high
        )
        wrong: list[tuple[Variable, Mapping[str, Variable]]] = [
            (Discrete(2), labels),
            (smaller, labels),
        ]
        wrong += [
            (image, {**labels, "extra": Discrete(2)}),
            (image, {**labels, "extra": Continuous()}),
        ]
        if labels:
            wrong.append(
                (image, {name: Discrete(value.size + 1) for name, value in labels.items()})
            )
            wrong.append((image, {}))
        for variable, parents in wrong:
            message = refusal(lambda v=variable, p=parents: mechanism.bind("I", v, p))  # type: ignore[misc]
            assert message is not None, (
                f"binding to {variable} with parents {dict(parents)} must be refused"
            )
            assert any(name in message for name in ("'I'", *parents, *labels)), message

    # -- saving

    def test_round_trip(self, tmp_path: Path) -> None:
        mechanism = self.make()
        inputs = self.inputs(mechanism, self.rows)
        if not self.saves:
            assert refusal(lambda: mechanism.save_pretrained(tmp_path / "saved")), (
                "it must say why it cannot be saved"
            )
            return
        from causalplug.load import from_pretrained

        mechanism.license = "cc0-1.0"
        mechanism.save_pretrained(tmp_path / "saved")
        torch.manual_seed(99)
        loaded = from_pretrained(tmp_path / "saved")
        assert type(loaded) is type(mechanism)
        assert loaded.license == "cc0-1.0"
        assert loaded.config() == mechanism.config()
        assert torch.equal(loaded(*inputs), mechanism(*inputs))


def _type_of(variable: Variable) -> torch.dtype:
    """The type of a variable's encoded values, as a mechanism gives them."""
    if variable.is_discrete:
        return torch.int64
    if variable.needs_encoder and not variable.is_image:
        return torch.int16
    return torch.float32


def _read_by(mechanism: Mechanism) -> dict[str, Variable]:
    """Declarations of what a mechanism reads, as it stands."""
    if isinstance(mechanism, FrozenMechanism | ConditionalMechanism):
        return dict(mechanism.bound_parents)
    return without_none(mechanism.declared_inputs())
