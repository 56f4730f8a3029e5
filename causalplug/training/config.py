"""What a user may decide about training, checked when it is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real

from causalplug.errors import TrainingError
from causalplug.planning.objectives import OBJECTIVES
from causalplug.training.presets import preset_for, with_presets
from causalplug.values import Json

__all__ = ["OBJECTIVES", "STRATEGIES", "TrainingConfig"]

STRATEGIES = ("modular", "joint")


@with_presets
@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of one training run; the defaults are those of ``docs/training.md``, chosen by
    measurement there.

    Args:
        preset: ``"paper"`` for the settings that the authors of the method publish with their code
            (:meth:`networks` has the sizes of the mechanisms that go with them); what is given
            beside it counts. None for the defaults.
        objective: ``"adversarial"``, ``"likelihood"``, ``"warm"``, ``"counterfactual"``, a mapping
            from variable (or module name) to one of them, or None: what the plan says.
        strategy: ``"modular"``, the plan's modules in its order, or ``"joint"``, the whole model at
            once against each source's distribution (the paper's Algorithm 3; adversarial, for
            comparison).
        projections: whether critics read images as their encoders' projections. False: as pixels,
            wherever they occur. An image that its module itself trains is read as pixels by the
            modular strategy in any case.
        steps: generator updates of a module, at most. None: by likelihood until held-out rows
            gain nothing more, at most 1,500; adversarially 1,000 where all is discrete and few,
            else 1,500.
        epochs: Passes over the largest source, in place of ``steps``: a source of n rows has n /
            ``batch_size`` steps in each.
        batch_size: rows of a step, in every process. By likelihood, variables without a
            confounder take four times as many in the last fifth of a cycle.
        gradient_accumulation_steps: batches whose gradients are averaged before an update, of
            critics and mechanisms alike: a larger batch in the memory of a small one.
        processes: what several processes do: ``"rows"``, each draws batches of its own for every
            module, and gradients are averaged; ``"modules"``, the modules of a generation are given
            to different processes.
        learning_rate: of the mechanisms. None: adversarial 5e-3 where all is discrete and few, 1e-3
            where critics read pixels, else 2e-3; likelihood 1e-2.
        critic_learning_rate: of the critics. None: 4e-3 where all is discrete and few, 1e-3 where
            they read pixels, else 2e-3.
        critic_steps, penalty: of the critics (WGAN-GP); a critic that reads pixels takes one step,
            and the penalty at real rows alone.
        critic_hidden: widths of a critic's hidden layers.
        gradient: how the critic's gradient passes discrete values: ``"auto"`` (enumeration where
            the module has at most ``max_enumeration`` joint values, leave-one-out score function
            beyond), ``"enumerate"``, ``"rloo"`` or ``"straight-through"``.
        max_enumeration: joint values of a module's discrete variables that are enumerated.
        max_cells: joint values of a target that are compared as one table, where everything in it
            is discrete.
        draws: draws of the confounder noise per step; where continuous variables have a density an
            eighth of them, but of every row's own.
        temperature: first and last temperature of the straight-through gradient.
        ema: decay of the moving average of the weights that is kept, validated and saved.
        held_out: share of every source that is held out for validation.
        validate_every: steps between validations.
        patience: validations without improvement after which a module stops. None: never.
        bank_rows: samples per label that a frozen generator contributes to training.
        image_steps: steps of a module that itself generates images, where ``steps`` is None.
        encoder_steps: steps of an encoder that is trained on the way.
        save_every: steps between checkpoints, where an output folder is given.
        seed: of everything random.
        check_overlap: Remember where interventions lack overlap in the rows, so that answers carry
            it; takes seconds.
        check_fit: compare frozen generators with the rows before training; takes seconds.
        check_graph: test what the graph implies about the low-dimensional columns before training,
            at level .001, and warn where the rows contradict it; takes seconds at most.
        tolerance: a module has converged when its TVD from the held-out rows exceeds what chance
            alone explains (the 0.99 quantile for that many rows) by at most this.
        threads: torch threads during training; None leaves the setting alone.

    Raises:
        TrainingError: a value out of its range.
    """

    preset: str | None = None
    objective: str | Mapping[str, str] | None = None
    strategy: str = "modular"
    projections: bool = True
    steps: int | None = None
    epochs: int | None = None
    batch_size: int = 256
    gradient_accumulation_steps: int = 1
    processes: str = "rows"
    learning_rate: float | None = None
    critic_learning_rate: float | None = None
    critic_steps: int = 5
    penalty: float = 10.0
    critic_hidden: tuple[int, ...] = (64, 64)
    gradient: str = "auto"
    max_enumeration: int = 64
    max_cells: int = 4096
    draws: int = 128
    temperature: tuple[float, float] = (1.0, 0.1)
    ema: float = 0.99
    held_out: float = 0.1
    validate_every: int = 100
    patience: int | None = None
    bank_rows: int = 2000
    image_steps: int = 2000
    encoder_steps: int = 600
    save_every: int = 500
    seed: int = 0
    threads: int | None = 1
    check_fit: bool = True
    check_graph: bool = True
    check_overlap: bool = True
    tolerance: float = 0.03

    def __post_init__(self) -> None:
        if isinstance(self.objective, str):
            objectives = [self.objective]
        else:
            objectives = list((self.objective or {}).values())
        for objective in objectives:
            self._one_of("objective", objective, tuple(OBJECTIVES))
        self._one_of("strategy", self.strategy, STRATEGIES)
        if self.strategy == "joint" and set(objectives) - {"adversarial"}:
            raise TrainingError(
                f"objective={self.objective!r} cannot be used with strategy='joint': the whole "
                "model is matched to each source by critics. Use objective='adversarial' or leave "
                "it out, or use strategy='modular'."
            )
        self._one_of("processes", self.processes, ("rows", "modules"))
        self._one_of("gradient", self.gradient, ("auto", "enumerate", "rloo", "straight-through"))
        positive = (
            "batch_size",
            "gradient_accumulation_steps",
            "critic_steps",
            "max_enumeration",
            "draws",
            "validate_every",
            "bank_rows",
            "save_every",
        )
        for name in positive:
            if getattr(self, name) < 1:
                raise TrainingError(
                    f"{name}={getattr(self, name)} makes no sense: it must be at least 1."
                )
        if not isinstance(self.seed, Integral):
            raise TrainingError(
                f"seed={self.seed!r} makes no sense: the same seed gives the same run; give an "
                "integer."
            )
        self._check_length()
        for name, low, high in (("ema", 0.0, 1.0), ("held_out", 0.0, 0.9)):
            if not low <= getattr(self, name) < high:
                raise TrainingError(
                    f"{name}={getattr(self, name)} makes no sense: it must lie in [{low}, {high})."
                )
        rates = [
            rate for rate in (self.learning_rate, self.critic_learning_rate) if rate is not None
        ]
        if not all(isinstance(rate, Real) and rate > 0 for rate in rates):
            raise TrainingError(f"learning rates must be positive numbers; got {rates}.")

    def _check_length(self) -> None:
        for name, value in (("steps", self.steps), ("epochs", self.epochs)):
            if value is not None and value < 1:
                raise TrainingError(
                    f"{name}={value} makes no sense: it must be at least 1, or None for the "
                    "default."
                )
        if self.steps is not None and self.epochs is not None:
            raise TrainingError(
                f"steps={self.steps} and epochs={self.epochs} cannot both be kept: each says how "
                "long to train. Leave one of the two out."
            )

    def of_length(self, rows: int, processes: int = 1) -> TrainingConfig:
        """The same settings with ``epochs`` turned into ``steps``.

        Args:
            rows: Rows of the largest source.
            processes: Processes that each draw batches of their own.
        """
        if self.epochs is None:
            return self
        batch = self.batch_size * self.gradient_accumulation_steps * processes
        return replace(self, steps=math.ceil(self.epochs * rows / batch), epochs=None)

    @staticmethod
    def networks(preset: str) -> Json:
        """Arguments of :class:`causalplug.DCM` that go with a preset: widths of the mechanisms and
        size of the confounder noise.

        Example:
            >>> TrainingConfig.networks("paper")
            {'hidden': (256, 256), 'confounder_size': 128}

        Raises:
            TrainingError: there is no such preset.
        """
        return dict(preset_for(preset).networks)

    @staticmethod
    def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
        if value not in known:
            raise TrainingError(f"{name}={value!r} is unknown: use {', '.join(map(repr, known))}.")

    def to_dict(self) -> Json:
        """JSON values."""
        return asdict(self)
