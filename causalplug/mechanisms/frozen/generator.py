"""Pretrained generators as mechanisms: frozen, behind a label map, bound to the variable that
they stand for."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.files.precision import cast, precision_of
from causalplug.files.storage import Content
from causalplug.hub.contract import declare
from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.abduction import gumbel_given
from causalplug.mechanisms.frozen.label_estimate import LabelMapEstimate
from causalplug.mechanisms.frozen.label_estimation import estimate_label_map
from causalplug.mechanisms.frozen.label_map import Label, LabelMap
from causalplug.mechanisms.frozen.made import check_pixels
from causalplug.mechanisms.frozen.transforms import ImageTransform
from causalplug.noise import NoiseSpec
from causalplug.planning.generator_facts import GeneratorFacts
from causalplug.selection import names_of, pick
from causalplug.values import Json, Named
from causalplug.variables import Image, Variable, variable_from_dict

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FrozenMechanism", "LabelMapSpec", "state_hash"]

LabelMapSpec = LabelMap | LabelMapEstimate | Mapping[Any, Any] | Callable[..., Any] | str | None
"""A label map, or what one is made of: a table, a function, ``"estimate"``, ``"identity"``, an
estimate, or None."""


class FrozenMechanism(Mechanism):
    """A pretrained generator of images, as the mechanism of an image variable; parent class of all
    adapters.

    An adapter calls ``super().__init__(image, labels, noise, …)`` and implements :meth:`generate`
    and :meth:`config`. As it comes, the mechanism's parents are its labels. :meth:`bind` gives a
    copy for one variable of a graph, which reads that variable's parents through a label map and
    paints in that variable's range.

    Args:
        image: What :meth:`generate` paints, in its own range.
        labels: What it conditions on, in order; none for an unconditional generator.
        noise: Its own noise, name to shape and distribution. No name may be ``"label"``.
        license, source: Licence and origin of the weights.
        label_map: What :meth:`bind` uses unless it is given another.
        transform: Names of changes of shape that :meth:`bind` may use, see
            :data:`~causalplug.mechanisms.frozen.transforms.TRANSFORMS`.

    Attributes:
        image: As above; ``variable`` is the bound variable.
        labels: As above.
        images_painted: How many images it has painted.
        kept: Samples that answers keep for the next ones.
        label_map: The bound map, None before binding or while it has to be estimated.
        moves_by_latent: :meth:`generate` passes gradients to its normal noise when it is called
            with gradients.
        origin: The snapshot that it was loaded from, None for a local object.

    Raises:
        MechanismError: Two labels of one name, or a noise called ``"label"``.
    """

    frozen = True
    accepts_confounder = False
    reads_projections = False
    differentiable = False
    moves_by_latent = False

    def __init__(
        self,
        image: Image,
        labels: Sequence[Label],
        noise: Mapping[str, NoiseSpec],
        *,
        license: str | None = None,
        source: str | None = None,
        label_map: LabelMapSpec = None,
        transform: str | Sequence[str] = (),
    ):
        super().__init__()
        if "label" in noise:
            raise MechanismError(
                "A generator cannot name its noise 'label': the label map's noise has that name. "
                "Rename it."
            )
        twice = sorted({label.name for label in labels if names_of(labels).count(label.name) > 1})
        if twice:
            raise MechanismError(
                f"The labels of a generator must differ: {', '.join(twice)} given twice. Rename "
                "one."
            )
        self.image: Image = image
        self.labels = tuple(labels)
        self.generator_noise = dict(noise)
        self.license, self.source = license, source
        self.requested_label_map: LabelMapSpec = label_map
        if isinstance(transform, str):
            self.requested_transform: tuple[str, ...] = (transform,)
        else:
            self.requested_transform = tuple(transform)
        self._unbind()

    def _unbind(self) -> None:
        self.name: str | None = None
        self.variable = self.image
        self.bound_parents: dict[str, Variable] = {}
        for label in self.labels:
            self.bound_parents[label.name] = label.values
        self.label_map: LabelMap | None = None
        self.images_painted = 0
        self.kept: dict[Hashable, object] = {}
        self.pending: LabelMapEstimate | None = None
        self._map = LabelMap.identity(self.bound_parents, self.labels)
        self._transform = ImageTransform((), self.image, self.image)
        self._declare()

    def _declare(self) -> None:
        self.parents = tuple(self.bound_parents)
        self.noise = self.generator_noise | self._map.noise

    @property
    def versioned(self) -> bool:
        """Whether it is known when its images would change, so that they may be kept."""
        return True

    # -- what an adapter implements

    def generate(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Images ``(n, channels, height, width)`` in the range of ``image``.

        Row i depends on row i of labels and noise alone. Called in evaluation mode and without
        gradients.

        Args:
            labels: Codes ``(n, number of labels)`` int64.
            noise: ``(n, *shape)`` for each noise that the adapter declared.
        """
        raise NotImplementedError

    def generate_relaxed(self, labels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Images from relaxed joint labels ``(n, joint values)``, with gradients; only where
        ``differentiable``.

        Raises:
            MechanismError: The adapter is a black box.
        """
        raise MechanismError(
            f"{type(self).__name__} is not differentiable: use the enumeration over its sample "
            "bank."
        )

    def invert(self, images: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Noise with which the generator paints ``images``, row by row; only where ``abduction`` is
        declared.

        Args:
            images: ``(n, channels, height, width)`` in the range of ``image``.
            labels: Codes ``(n, number of labels)`` int64.

        Returns:
            the adapter's own noise, and ``(n,)`` how well the labels explain the images: a log
            likelihood up to a constant of the image.

        Raises:
            MechanismError: The adapter declares no abduction.
        """
        raise MechanismError(f"{type(self).__name__} cannot be inverted: it declares no abduction.")

    def weights(self) -> dict[str, Tensor]:
        """The tensors of the generator under the names that they have in its files; empty for a
        generator without."""
        return dict(self.state_dict())

    def load_weights(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Take the tensors that :meth:`weights` gave.

        Raises:
            MechanismError: Tensors are missing, unexpected or of another shape.
        """
        super().load_saved(tensors, where)

    def files(self) -> dict[str, Content]:
        """Further files of its repository, path to content; none by default."""
        return {}

    def saved_tensors(self) -> dict[str, Tensor]:
        return self.weights()

    def load_saved(self, tensors: Mapping[str, Tensor], where: str) -> None:
        self.load_weights(tensors, where)

    def saved_files(self) -> dict[str, Content]:
        return dict(self.files())

    # -- binding

    def bind(
        self,
        name: str,
        variable: Variable,
        parents: Mapping[str, Variable],
        label_map: LabelMapSpec = None,
    ) -> Self:
        """A copy for one variable of a graph, with the same weights in memory.

        Args:
            name: The variable.
            variable: Its declaration; images are moved into its range.
            parents: Declarations of its parents, in the graph's order.
            label_map: From the parents to the labels; by default what the adapter was made with,
                else the identity.

        Raises:
            MechanismError: Not an image, or another shape.
            LabelMapError: Parents that cannot stand for the labels, with a map that would mend it;
                holes in the map.
        """
        if not isinstance(variable, Image):
            raise MechanismError(
                f"A generator of images cannot be the mechanism of {name!r}: it is declared "
                f"{variable}. Declare it Image{self.image.event_shape}, or choose another "
                "mechanism."
            )
        bound = copy.copy(self)
        bound.name, bound.variable, bound.bound_parents = name, variable, dict(parents)
        bound.kept = {}
        bound._transform = ImageTransform(self.requested_transform, self.image, variable, name)
        if bound._transform.invertible:
            bound.abduction = self.abduction
        else:
            bound.abduction = None
        spec = label_map
        if label_map is None:
            spec = self.requested_label_map
        bound.requested_label_map = spec
        if isinstance(spec, str) and spec == "estimate":
            spec = LabelMapEstimate()
        if isinstance(spec, LabelMapEstimate):
            bound.pending = spec
        else:
            bound.pending = None
        if bound.pending is None:
            bound.label_map = bound._map = self._resolved(name, spec, parents)
        else:
            bound.label_map, bound._map = None, LabelMap.uniform(parents, self.labels)
        bound._declare()
        return bound

    def for_variable(
        self, name: str, variable: Variable, parents: Mapping[str, Variable]
    ) -> Mechanism:
        if self.name == name:
            return self
        return self.bind(name, variable, parents)

    def _resolved(self, name: str, spec: LabelMapSpec, parents: Mapping[str, Variable]) -> LabelMap:
        if spec is None or spec == "identity":
            return LabelMap.identity(parents, self.labels)
        if isinstance(spec, LabelMap):
            same = list(spec.parents.items()) == list(parents.items())
            if not same or spec.labels != self.labels:
                raise MechanismError(
                    f"The label map given for {name!r} cannot be used: it goes from "
                    f"{list(spec.parents)} to {names_of(spec.labels)}, but "
                    f"{name!r} has the parents {list(parents)} and the generator the labels "
                    f"{names_of(self.labels)}, or their values differ. Rebuild it."
                )
            return spec
        if isinstance(spec, Mapping):
            return LabelMap.from_table(spec, parents, self.labels)
        if callable(spec):
            return LabelMap.from_function(spec, parents, self.labels)
        raise MechanismError(
            f"label_map={spec!r} given for {name!r} is not known: give 'estimate', 'identity', a "
            "table, a function or a LabelMap."
        )

    @property
    def label_map_pending(self) -> bool:
        """Whether the label map still has to be estimated from data."""
        return self.pending is not None

    @property
    def awaits_rows(self) -> bool:
        return self.label_map_pending

    def take_rows(self, rows: Mapping[str, Tensor]) -> Mechanism:
        return self.estimate_label_map(rows)

    def estimate_label_map(self, rows: Named, *, seed: int | None = None) -> Self:
        """Estimate the pending label map of this bound copy from rows of data, in place; returns
        the mechanism.

        Args:
            rows: Encoded columns ``(n, …)``: the parents and, to estimate from images, the variable
                itself.
            seed: In place of the estimate's own.
        """
        if self.pending is not None:
            if seed is None:
                pending = self.pending
            else:
                pending = replace(self.pending, seed=seed)
            self.label_map = self._map = estimate_label_map(pending, self, rows)
            self.pending = None
            self._declare()
        return self

    # -- the mechanism

    def joint_labels(
        self, parents: Mapping[str, Tensor], noise: Mapping[str, Tensor], n: int | None = None
    ) -> Tensor:
        """Joint label ``(n,)`` that each row asks for.

        Raises:
            MechanismError: The label map is still to be estimated.
        """
        if self.pending is not None:
            raise MechanismError(
                f"The mechanism of {self.name!r} cannot run yet: its label map is still to be "
                "estimated from data. Train the model, or call estimate_label_map(rows)."
            )
        if n is not None:
            rows = n
        else:
            rows = next(map(len, (*parents.values(), *noise.values())), 1)
        return self._map.draw(parents, noise.get("label"), rows)

    def paint(self, joint: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """Images ``(n, channels, height, width)`` of the bound variable for joint labels
        ``(n,)``; no gradients."""
        own = pick(noise, self.generator_noise)
        self.images_painted += len(joint)
        with torch.no_grad():
            made = self.generate(self._map.split(joint), own)
            check_pixels(
                f"The frozen generator of {self.name or type(self).__name__!r}", self.image, made
            )
            return self._transform(made)

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Images ``(n, channels, height, width)`` in the bound variable's range, the same for the
        same noise.

        Relaxed parents get gradients where the generator is differentiable.

        Raises:
            MechanismError: A black box was given parents that need gradients, or there is
                confounder noise.
        """
        if confounder is not None:
            raise MechanismError(
                f"The frozen generator of {self.name!r} has no input for confounder noise; train a "
                "renderer."
            )
        if any(parents[name].requires_grad for name in self.parents):
            joint = None
            if self.pending is None:
                joint = self._map.relaxed(parents, noise.get("label"))
            if joint is not None and self.differentiable:
                own = pick(noise, self.generator_noise)
                return self._transform(self.generate_relaxed(joint, own))
            raise MechanismError(
                f"No gradient reaches the parents of {self.name or type(self).__name__!r} through "
                f"{type(self).__name__}: it is a black box. Train with the enumerated objective "
                "over a sample bank, or detach the parents."
            )
        return self.paint(self.joint_labels(parents, noise), noise)

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Own noise that paints ``value``. Where the parents leave several labels, the most
        probable one is taken.

        Args:
            value: Images ``(n, channels, height, width)`` of the bound variable.
            parents, confounder: As in :meth:`forward`.
            prior: Own noise drawn before the image was seen; needed where the label is drawn.

        Raises:
            MechanismError: No abduction is declared, or ``prior`` is missing.
        """
        if self.abduction is None:
            return super().abduct(value, parents, confounder, prior=prior)
        images = self._transform.inverse(self.variable.scale(value))
        possible = self._map.probabilities_given(parents, len(images)).expand(len(images), -1)
        if not self._map.stochastic:
            return self.invert(images, self._map.split(possible.argmax(-1)))[0]
        if prior is None or "label" not in prior:
            raise MechanismError(
                f"The label of {self.name!r} cannot be recovered without prior=, noise drawn for "
                "it."
            )
        found = {
            key: torch.zeros(len(images), *spec.shape) for key, spec in self.generator_noise.items()
        }
        best, label = (
            torch.full((len(images),), -torch.inf),
            torch.zeros(len(images), dtype=torch.int64),
        )
        for joint in self._map.used.tolist():
            rows = (possible[:, joint] > 0).nonzero().squeeze(1)
            own, explained = self.invert(
                images[rows], self._map.split(torch.full((len(rows),), joint))
            )
            score = explained.cpu() + possible[rows, joint].log().cpu()
            better = score > best[rows.cpu()]
            taken = rows.cpu()[better]
            best[taken], label[taken] = score[better], joint
            for key, noise in own.items():
                found[key][taken] = noise.cpu()[better]
        found["label"] = gumbel_given(possible.log().cpu(), label, prior["label"].cpu())
        return {key: noise.to(value.device) for key, noise in found.items()}

    def train(self, mode: bool = True) -> Self:
        """A frozen generator stays in evaluation mode."""
        return super().train(False)

    def fingerprint(self) -> list[object]:
        """JSON values that differ whenever the painted images may: kind, configuration, version
        of the weights."""
        origin = self.origin
        if origin is not None and origin.revision:
            version = origin.revision
        else:
            version = state_hash(self.state_dict())
        transform = [*self.requested_transform, self.variable.to_dict()]
        return [self.kind, self.config(), version, precision_of(self), transform]

    # -- saving

    def binding(self) -> Json:
        """How it is bound, as JSON values: what a model has to save beside the reference to the
        generator."""
        return {
            "variable": self.variable.to_dict(),
            "parents": [[name, parent.to_dict()] for name, parent in self.bound_parents.items()],
            "label_map": None if self.label_map is None else self.label_map.to_dict(),
            "pending": None if self.pending is None else self.pending.to_dict(),
            "transform": list(self.requested_transform),
            **({} if (precision := precision_of(self)) is None else {"dtype": precision}),
        }

    def declared_output(self) -> Image:
        return self.image

    def declared_inputs(self) -> Mapping[str, Variable | None]:
        return {label.name: label.values for label in self.labels}

    def generator_facts(self) -> GeneratorFacts:
        if self.label_map is None:
            read = None
        else:
            read = tuple(self.label_map.parents)
        return GeneratorFacts(
            self.source or type(self).__name__,
            mapped_from=read,
            parents=tuple(self.parents),
            unbound=self.label_map is None,
            makes_map=self.requested_label_map is not None,
        )

    def bind_as(self, name: str, binding: Named) -> Self:
        """The copy that :meth:`binding` describes."""
        if "dtype" in binding:
            cast(self, binding["dtype"])
        parents = {}
        for parent, item in binding["parents"]:
            parents[parent] = variable_from_dict(item, parent)
        if binding.get("pending") is not None:
            spec: LabelMapSpec = LabelMapEstimate.from_dict(binding["pending"])
        else:
            spec = LabelMap.from_dict(binding["label_map"])
        return self.asked(transform=binding["transform"]).bind(
            name, variable_from_dict(binding["variable"], name), parents, spec
        )

    def asked(
        self, *, label_map: LabelMapSpec = None, transform: str | Sequence[str] | None = None
    ) -> Self:
        """An unbound copy that will bind with another label map or other changes of shape."""
        other = copy.copy(self)
        if label_map is not None:
            other.requested_label_map = label_map
        if transform is not None:
            if isinstance(transform, str):
                other.requested_transform = (transform,)
            else:
                other.requested_transform = tuple(transform)
        other._unbind()
        return other


declare(
    FrozenMechanism,
    {
        "name": (str, type(None)),
        "image": Image,
        "labels": tuple,
        "label_map": (LabelMap, type(None)),
        "pending": (LabelMapEstimate, type(None)),
    },
)


def state_hash(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(
            tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
