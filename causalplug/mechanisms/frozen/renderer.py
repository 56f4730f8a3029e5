"""A frozen generator behind a small trained code: for an image variable that a hidden confounder
touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from causalplug.arguments import FLAG, WIDTHS, instance, takes, whole
from causalplug.errors import MechanismError
from causalplug.files.precision import cast, precision_of
from causalplug.mechanisms.base import MECHANISMS, Mechanism, register_mechanism
from causalplug.mechanisms.frozen.generator import FrozenMechanism
from causalplug.mechanisms.frozen.transforms import ImageTransform
from causalplug.mechanisms.frozen.wrapped import WrappedModule
from causalplug.mechanisms.frozen.wrapped_generator import WrappedGenerator
from causalplug.mechanisms.trainable.conditioner import (
    Conditioner,
    ParentSpec,
    parents_from_config,
    parents_to_config,
)
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import pick
from causalplug.values import Json, Named
from causalplug.variables import Image, Variable, variable_from_dict

__all__ = ["Renderer"]

_GENERATOR = instance(
    "a frozen generator of images by labels, or a network that cp.wrap took",
    FrozenMechanism,
    WrappedModule,
)


@register_mechanism("renderer")
class Renderer(Mechanism):
    """``render(code(parents, noise, confounder), latent)``: only the code is trained, the generator
    stays as it is.

    A frozen generator has no input for a confounder, so it cannot be the mechanism of a confounded
    variable. The code can: it chooses the generator's joint label, its class or its prompt, by the
    Gumbel-max rule on logits of its own, and moves the generator's normal latent. What the
    pretrained generator knows about images is kept, what it shows is learned.

    Through a differentiable generator gradients reach the code by straight-through labels. Of any
    other one the label is weighed by its probability (the score function), and so is the moved
    latent, unless the generator passes gradients to its noise.

    ``Renderer(generator)`` alone, as a mechanism of a :class:`~causalplug.DCM`, is completed there
    by what the graph says of its variable.

    Args:
        generator: Frozen and unbound: a generator of images, or a network that
            :func:`causalplug.wrap` took, with discrete conditions.
        variable: The image variable; the generator's images are moved into its range. None: the
            model completes it.
        parents: What the code reads of each parent, in order.
        confounder_size: Numbers of confounder noise of one row.
        shift: Whether the code also moves the latent. None: where gradients reach it.
        hidden: Widths of the code's hidden layers.

    Raises:
        MechanismError: The generator has neither labels nor a normal latent, or paints another
            shape.
    """

    @takes(
        MechanismError,
        generator=_GENERATOR,
        variable=instance("an image, such as cp.Image(1, 28, 28)", Image).or_none("the model's"),
        confounder_size=whole(0, 2**31),
        shift=FLAG.or_none("where gradients reach the latent"),
        hidden=WIDTHS,
    )
    def __init__(
        self,
        generator: FrozenMechanism | WrappedModule,
        variable: Image | None = None,
        parents: Mapping[str, ParentSpec] | None = None,
        *,
        confounder_size: int = 0,
        shift: bool | None = None,
        hidden: Sequence[int] = (64, 64),
    ):
        super().__init__()
        if isinstance(generator, WrappedModule):
            generator = WrappedGenerator(generator)
        generator = generator.asked()
        self._complete = variable is not None
        self.license, self.source = generator.license, generator.source
        if variable is not None:
            self.variable: Image = variable
        else:
            self.variable = generator.image
        parents = dict(parents or {})
        self.parents = tuple(parents)
        self.generator: FrozenMechanism = freeze(generator)
        if generator.labels:
            self.labels = generator._map.size
        else:
            self.labels = 0
        normal = {}
        for k, spec in generator.generator_noise.items():
            if spec.distribution == "normal":
                normal[k] = spec
        if shift is None:
            shift = generator.differentiable or generator.moves_by_latent
        if shift:
            self.shifted = {key: spec.shape for key, spec in normal.items()}
        else:
            self.shifted = {}
        outputs = self.labels + sum(torch.Size(shape).numel() for shape in self.shifted.values())
        if not outputs:
            raise MechanismError(
                f"{type(generator).__name__} cannot be a renderer: it has neither labels to "
                "choose nor a normal latent to move. Train the variable's own mechanism."
            )
        self.shift, self.hidden = shift, tuple(hidden)
        gumbel = {}
        if self.labels:
            gumbel = {"label": NoiseSpec((self.labels,), "gumbel")}
        self.noise = generator.generator_noise | gumbel
        self.network = Conditioner(parents, confounder_size, outputs, hidden=hidden)
        self._transform = ImageTransform(
            generator.requested_transform, generator.image, self.variable
        )

    @property
    def awaits_model(self) -> bool:
        """Whether it has no code yet: the model says what its variable and parents are."""
        return not self._complete

    def standardise_parents(self, rows: Mapping[str, Tensor]) -> None:
        self.network.standardise(rows)

    def completed(
        self, variable: Variable, parents: Mapping[str, ParentSpec], confounder_size: int
    ) -> Renderer:
        """The same generator behind a fresh code for one variable of a graph.

        Raises:
            MechanismError: The variable is no image, or has another shape.
        """
        if not isinstance(variable, Image):
            raise MechanismError(
                f"A renderer paints images: it cannot be the mechanism of {variable}."
            )
        options: Json = {"shift": self.shift, "hidden": self.hidden}
        return Renderer(
            self.generator, variable, parents, confounder_size=confounder_size, **options
        )

    @property
    def frozen_generator(self) -> FrozenMechanism:  # type: ignore[override]
        """The generator behind the code."""
        return self.generator

    @property
    def chooses(self) -> bool:
        """Whether labels, or a moved latent, are weighed: no gradient passes the generator."""
        weighed = bool(self.labels) or bool(self._weighed_noise())
        return weighed and not self.generator.differentiable

    def _weighed_noise(self) -> tuple[str, ...]:
        """The moved noise that gradients do not reach through the generator."""
        if self.generator.differentiable or self.generator.moves_by_latent:
            return ()
        return tuple(self.shifted)

    def code(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Straight-through one-hot joint label ``(n, joint values)`` and the moved noise of the
        generator."""
        logits, moves = self._numbers(parents, noise, confounder)
        own = {key: noise[key] for key in self.generator.generator_noise}
        for key, move in moves.items():
            own[key] = own[key] + move
        if not self.labels:
            return logits.new_ones(len(logits), 1), own
        perturbed = logits + noise["label"]
        soft = torch.softmax(perturbed, -1)
        hard = torch.nn.functional.one_hot(perturbed.argmax(-1), self.labels).to(soft.dtype)
        return hard + (soft - soft.detach()), own

    def _numbers(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits ``(n, joint values)`` of the label, and by how much each noise is moved."""
        n = len(next(iter(noise.values())))
        found = self.network(parents, confounder).expand(n, -1)
        moves: dict[str, Tensor] = {}
        start = self.labels
        for key, shape in self.shifted.items():
            size = torch.Size(shape).numel()
            moves[key] = found[:, start : start + size].view(n, *shape)
            start += size
        return found[:, : self.labels], moves

    def choice_log_prob(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Log probability ``(n,)`` of the label that the noise chooses, and log density of the
        latent where it is weighed."""
        logits, moves = self._numbers(parents, noise, confounder)
        found = logits.new_zeros(len(logits))
        if self.labels:
            chosen = (logits.detach() + noise["label"]).argmax(-1)
            log_probs = torch.log_softmax(logits, -1)
            found = found + log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        for key in self._weighed_noise():
            moved = (noise[key] + moves[key]).detach()
            density = torch.distributions.Normal(moves[key], 1.0).log_prob(moved)
            found = found + density.flatten(1).sum(-1)
        return found

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Images ``(n, channels, height, width)`` in the variable's range, with gradients to the
        code where the generator passes them."""
        label, own = self.code(parents, noise, confounder)
        if self.generator.differentiable:
            return self._transform(self.generator.generate_relaxed(label, own))
        joint = self.generator._map.split(label.argmax(-1))
        if self.generator.moves_by_latent and self.shifted and torch.is_grad_enabled():
            return self._transform(self.generator.generate(joint, own))
        with torch.no_grad():
            return self._transform(self.generator.generate(joint, own))

    @property
    def confounder_numbers(self) -> int:
        return self.network.confounder_size

    def config(self) -> Json:
        return {
            "generator": {
                "kind": self.generator.kind,
                "config": self.generator.config(),
                "dtype": precision_of(self.generator),
            },
            "license": self.license,
            "source": self.source,
            "transform": list(self.generator.requested_transform),
            "variable": self.variable.to_dict(),
            "parents": parents_to_config(self.network.parents),
            "confounder_size": self.network.confounder_size,
            "shift": self.shift,
            "hidden": list(self.hidden),
        }

    @classmethod
    def from_config(cls, config: Named, generator: Mechanism | None = None) -> Renderer:
        """The renderer that :meth:`config` describes, with fresh weights of its code.

        Args:
            config: What :meth:`config` gave.
            generator: The pretrained generator; built from the configuration, with fresh weights,
                if None.

        Raises:
            MechanismError: Its generator is of no known kind, or not frozen.
        """
        described = config["generator"]
        generator = generator or MECHANISMS.resolve(described["kind"]).from_config(
            described["config"]
        )
        if not isinstance(generator, FrozenMechanism):
            raise MechanismError(
                f"A renderer's generator must be frozen; {described['kind']!r} is not."
            )
        if described.get("dtype") is not None:
            cast(generator, described["dtype"])
        variable = variable_from_dict(config["variable"])
        options = pick(config, ("confounder_size", "shift", "hidden"))
        generator = generator.asked(transform=config["transform"])
        generator.license = generator.license or config.get("license")
        generator.source = generator.source or config.get("source")
        return cls(generator, variable, parents_from_config(config["parents"]), **options)  # type: ignore[arg-type]
