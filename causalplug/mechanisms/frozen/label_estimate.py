"""How a label map that is still to be estimated will be estimated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from causalplug.errors import LabelMapError
from causalplug.values import Json, Named

__all__ = ["Classifier", "LabelMapEstimate"]

Classifier = Callable[[Tensor], Tensor]
"""Images ``(n, channels, height, width)`` in the variable's range to scores ``(n, joint
labels)``: largest counts."""


@dataclass(frozen=True)
class LabelMapEstimate:
    """How the label map of a frozen generator is to be estimated before training.

    From images: a classifier learns the labels on the generator's own samples and sorts the real
    images; its confusion matrix, measured on further samples, is then inverted by expectation
    maximisation within every combination of the parents, so that its mistakes do not bias the
    proportions (Saerens et al. 2002; Lipton et al. 2018).

    Args:
        column: The column(s) of the data that hold the label(s); None to estimate from the images.
        classifier: Scores of the joint labels from images, in place of a trained one. It cannot be
            saved.
        samples: Images that the generator paints for each label.
        steps: Training steps of the classifier.
        minimum: Labels less probable than this given the parents are left out; it suppresses what
            is left of mistakes of the classifier on real images.
        seed: Seed of the samples and the training.

    Example:
        ``cp.from_pretrained("user/mnist-cgan", label_map=cp.LabelMap.estimate(samples=500))``
    """

    column: str | Sequence[str] | None = None
    classifier: Classifier | None = field(default=None, compare=False)
    samples: int = 400
    steps: int = 300
    minimum: float = 0.02
    seed: int = 0

    def to_dict(self) -> Json:
        """The estimate still to be made, as JSON values.

        Raises:
            LabelMapError: It has a classifier of its own.
        """
        if self.classifier is not None:
            raise LabelMapError(
                "A label map that is still to be estimated by an own classifier cannot be saved. "
                "Estimate it first: mechanism.estimate_label_map(rows), or train the model."
            )
        names = ("column", "samples", "steps", "minimum", "seed")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, declaration: Named) -> LabelMapEstimate:
        """Inverse of :meth:`to_dict`."""
        return cls(**declaration)
