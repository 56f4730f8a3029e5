"""What a user may decide about training, checked when it is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypedDict

from causalplug.arguments import (
    COUNT,
    FLAG,
    MAPPING,
    SEED,
    WIDTHS,
    Rule,
    choice,
    number,
    read_fields,
    setting,
    several,
    whole,
)
from causalplug.errors import TrainingError
from causalplug.planning.objectives import OBJECTIVE, OBJECTIVES
from causalplug.training.presets import PRESETS, preset_for, with_presets
from causalplug.values import Json

__all__ = [
    "OBJECTIVES",
    "STRATEGIES",
    "AdversarialSettings",
    "CounterfactualSettings",
    "LikelihoodSettings",
    "RunSettings",
    "TrainingConfig",
    "TrainingSettings",
    "ValidationSettings",
]

STRATEGIES = ("modular", "joint")
MOST_ROWS = 2**31 - 1


_RATE = number(above=0).or_none()


def _judges(value: object) -> Any:
    from causalplug.mechanisms.base import Mechanism  # torch, which planning does without

    found = dict(MAPPING.read(value))
    fit = [isinstance(judge, Mechanism) and judge.frozen for judge in found.values()]
    if not found or not all(fit):
        raise TypeError
    return found


JUDGES = Rule(
    "a mapping from variables to frozen mechanisms that read them off the image (cp.wrap)", _judges
).or_none("a reader that training brings")
"""What ``judges=`` may be."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of every training, whatever the objective."""

    preset: str | None = setting(None, choice(*PRESETS).or_none("none"))
    objective: str | Mapping[str, str] | None = setting(None, OBJECTIVE)
    strategy: str = setting("modular", choice(*STRATEGIES))
    steps: int | None = setting(None, COUNT.or_none())
    epochs: int | None = setting(None, COUNT.or_none("steps alone"))
    batch_size: int = setting(256, whole(1, MOST_ROWS))
    gradient_accumulation_steps: int = setting(1, COUNT)
    processes: str = setting("rows", choice("rows", "modules"))
    learning_rate: float | None = setting(None, _RATE)
    ema: float = setting(0.99, number(low=0, below=1))
    save_every: int = setting(500, COUNT)
    seed: int = setting(0, SEED)
    threads: int | None = setting(1, whole(1, 4096).or_none("what torch has"))


@dataclass(frozen=True, kw_only=True)
class LikelihoodSettings:
    """Settings of training by likelihood."""

    draws: int = setting(128, whole(1, MOST_ROWS))


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings:
    """Settings of adversarial training: critics, and what passes through frozen generators."""

    projections: bool = setting(True, FLAG)
    critic_learning_rate: float | None = setting(None, _RATE)
    critic_steps: int = setting(5, COUNT)
    penalty: float = setting(10.0, number(low=0))
    critic_hidden: tuple[int, ...] = setting((64, 64), WIDTHS)
    gradient: str = setting("auto", choice("auto", "enumerate", "rloo", "straight-through"))
    max_enumeration: int = setting(64, whole(1, MOST_ROWS))
    max_cells: int = setting(4096, whole(1, MOST_ROWS))
    temperature: tuple[float, float] = setting(
        (1.0, 0.1), several(number(above=0), least=2, most=2)
    )
    bank_rows: int = setting(2000, whole(1, MOST_ROWS))
    image_steps: int = setting(2000, COUNT)
    encoder_steps: int = setting(600, whole(0, MOST_ROWS))


@dataclass(frozen=True, kw_only=True)
class CounterfactualSettings:
    """Settings of training by counterfactuals of rows."""

    judges: Mapping[str, Any] | None = setting(None, JUDGES)


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Settings of what is held out, compared and checked, before and while a module trains."""

    held_out: float = setting(0.1, number(low=0, below=0.9))
    validate_every: int = setting(100, COUNT)
    patience: int | None = setting(None, COUNT.or_none("never"))
    tolerance: float = setting(0.03, number(low=0, high=1))
    check_fit: bool = setting(True, FLAG)
    check_graph: bool = setting(True, FLAG)
    check_overlap: bool = setting(True, FLAG)


@with_presets
@dataclass(frozen=True, kw_only=True)
class TrainingConfig(
    RunSettings,
    LikelihoodSettings,
    AdversarialSettings,
    CounterfactualSettings,
    ValidationSettings,
):
    """Settings of one training run; the defaults were chosen by measurement, see
    ``docs/training_results.md``.

    Those of every training, of training by likelihood, of adversarial training, of training by
    counterfactuals, and of what is validated and checked are declared in one class each, which this
    one joins.

    Args:
        preset: ``"paper"`` for the settings that the authors of the method publish with their code
            (:meth:`networks` has the sizes of the mechanisms that go with them); what is given
            beside it counts. None for the defaults.
        objective: ``"adversarial"``, ``"likelihood"``, ``"warm"``, ``"counterfactual"``, a mapping
            from variable (or module name) to one of them, or None: what the plan says.
        strategy: ``"modular"``, the plan's modules in its order, or ``"joint"``, the whole model at
            once against each source's distribution (the paper's Algorithm 3; adversarial, for
            comparison).
        projections: Whether critics read images as their encoders' projections. False: as pixels,
            wherever they occur. An image that its module itself trains is read as pixels by the
            modular strategy in any case.
        steps: Generator updates of a module, at most. None: by likelihood until held-out rows
            gain nothing more, at most 1,500 (560 without a confounder); adversarially 1,000 where
            all is discrete and few, else 1,500.
        epochs: Passes over the largest source, in place of ``steps``: a source of n rows has n /
            ``batch_size`` steps in each.
        batch_size: Rows of a step, in every process. By likelihood, variables without a
            confounder take twice as many in the last fifth of a cycle.
        gradient_accumulation_steps: Batches whose gradients are averaged before an update, of
            critics and mechanisms alike: a larger batch in the memory of a small one.
        processes: What several processes do: ``"rows"``, each draws batches of its own for every
            module, and gradients are averaged; ``"modules"``, the modules of a generation are given
            to different processes.
        learning_rate: Learning rate of the mechanisms. None: adversarial 5e-3 where all is discrete
            and few, 1e-3 where critics read pixels, else 2e-3; likelihood 1e-2, 2e-2
            where variables have no confounder.
        critic_learning_rate: Learning rate of the critics. None: 4e-3 where all is discrete
            and few, 1e-3 where they read pixels, else 2e-3.
        critic_steps, penalty: Steps of the critics for one of the mechanisms, and weight of their
            gradient penalty (WGAN-GP); a critic that
            reads pixels takes one step, and the penalty at real rows alone. Objective
            ``"counterfactual"`` has a penalty of its own.
        critic_hidden: Widths of a critic's hidden layers.
        gradient: How the critic's gradient passes discrete values: ``"auto"`` (enumeration where
            the module has at most ``max_enumeration`` joint values, leave-one-out score function
            beyond), ``"enumerate"``, ``"rloo"`` or ``"straight-through"``.
        max_enumeration: Joint values of a module's discrete variables that are enumerated.
        max_cells: Joint values of a target that are compared as one table, where everything in it
            is discrete.
        draws: Draws of the confounder noise per step; where continuous variables have a density an
            eighth of them, but of every row's own.
        temperature: First and last temperature of the straight-through gradient.
        judges: Frozen mechanisms by variable that read it off an image, such as
            ``cp.wrap(network, cp.Discrete(10), conditions=[cp.Condition("I", cp.Image(1, 28,
            28))], output="logits")``. Counterfactual images are then trained to show what was set
            as these judges see it. None: training brings a reader of its own.
        ema: Decay of the moving average of the weights that is kept, validated and saved.
        held_out: Share of every source that is held out for validation.
        validate_every: Steps between validations.
        patience: Validations without improvement after which a module stops. None: never.
        bank_rows: Samples per label that a frozen generator contributes to training.
        image_steps: Steps of a module that itself generates images, where ``steps`` is None.
        encoder_steps: Steps of an encoder that is trained on the way.
        save_every: Steps between checkpoints, where an output folder is given.
        seed: Seed of everything random.
        check_overlap: Remember where interventions lack overlap in the rows, so that answers carry
            it; takes seconds.
        check_fit: Compare frozen generators with the rows before training; takes seconds.
        check_graph: Test what the graph implies about the low-dimensional columns before training,
            at level .001, and warn where the rows contradict it; takes seconds at most.
        tolerance: A module has converged when its TVD from the held-out rows exceeds what chance
            alone explains (the 0.99 quantile for that many rows) by at most this.
        threads: Threads of torch, BLAS and OpenMP during training on a CPU; None leaves them alone.

    Raises:
        TrainingError: A value out of its range.
    """

    def __post_init__(self) -> None:
        read_fields(self, TrainingError)
        if isinstance(self.objective, Mapping):
            objectives = set(self.objective.values())
        else:
            objectives = {self.objective or "adversarial"}
        if self.strategy == "joint" and objectives - {"adversarial"}:
            raise TrainingError(
                f"objective={self.objective!r} cannot be used with strategy='joint': the whole "
                "model is matched to each source by critics. Use objective='adversarial' or leave "
                "it out, or use strategy='modular'."
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
            TrainingError: There is no such preset.
        """
        return dict(preset_for(preset).networks)

    def to_dict(self) -> Json:
        """JSON values; of judges what they are."""
        values = asdict(replace(self, judges=None))
        if self.judges is not None:
            values["judges"] = {name: judge.kind for name, judge in self.judges.items()}
        return values


class TrainingSettings(TypedDict, total=False):
    """The settings of :class:`TrainingConfig` that :func:`causalplug.fit` takes beside ``seed``."""

    preset: str | None
    objective: str | Mapping[str, str] | None
    strategy: str
    steps: int | None
    epochs: int | None
    batch_size: int
    gradient_accumulation_steps: int
    processes: str
    learning_rate: float | None
    ema: float
    save_every: int
    threads: int | None
    draws: int
    projections: bool
    critic_learning_rate: float | None
    critic_steps: int
    penalty: float
    critic_hidden: tuple[int, ...]
    gradient: str
    max_enumeration: int
    max_cells: int
    temperature: tuple[float, float]
    bank_rows: int
    image_steps: int
    encoder_steps: int
    judges: Mapping[str, Any] | None
    held_out: float
    validate_every: int
    patience: int | None
    tolerance: float
    check_fit: bool
    check_graph: bool
    check_overlap: bool
