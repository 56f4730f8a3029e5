"""Judges of one's own that counterfactual images are trained to satisfy (Ribeiro et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from causalplug.errors import MechanismError, PlanError
from causalplug.mechanisms.base import Mechanism
from causalplug.mechanisms.frozen.trial import example_values
from causalplug.model.model import Model
from causalplug.networks import location_and_scale
from causalplug.selection import pick
from causalplug.wording import listed

__all__ = ["ImageJudges", "judges_of"]

_NUMBERS = 3.0  # weight of a number's error beside a category's cross entropy
_NEAR = 0.1  # standard deviations within which the error of a number counts as its square
_TRIED = 3  # rows of the trial


def judges_of(
    dcm: Model, image: str, judges: Mapping[str, Mechanism] | None
) -> dict[str, Mechanism]:
    """The judges of an image as mechanisms of the model's variables, tried on a few rows.

    Args:
        dcm: The model.
        image: The image that they read.
        judges: Frozen mechanisms by variable; None for none.

    Raises:
        PlanError: A judge of something that is no parent of the image, one that reads something
            else than the image and its parents, or one that no gradient passes.
        MechanismError: A judge whose conditions do not fit the variables.
    """
    found = {}
    for name, judge in (judges or {}).items():
        bound = _bound(dcm, image, name, judge)
        _try(dcm, image, name, bound)
        found[name] = bound
    return found


def _bound(dcm: Model, image: str, name: str, judge: Mechanism) -> Mechanism:
    parents = dcm.graph.parents(image)
    known = [p for p in parents if not dcm.variables[p].needs_encoder]
    if name not in known:
        raise PlanError(
            f"the judge of {name!r} cannot be used for {image}: judges are asked for what is set, "
            f"the parents of the image that are no images themselves: {listed(known) or 'none'}."
        )
    reads = [p for p in judge.declared_inputs() if p in dcm.variables] or [image]
    others = [p for p in reads if p != image and p not in parents]
    if image not in reads or others:
        raise PlanError(
            f"the judge of {name!r} reads {listed(reads)}: it has to read {image}, and may read "
            "its parents beside it. Name its conditions after them."
        )
    return judge.for_variable(name, dcm.variables[name], pick(dcm.variables, reads))


def _try(dcm: Model, image: str, name: str, judge: Mechanism) -> None:
    """Run a judge, and see that a gradient comes back to the image."""
    drawn = torch.Generator().manual_seed(0)
    rows = {p: example_values(dcm.variables[p], _TRIED, drawn) for p in judge.parents}
    pixels = rows[image].detach().clone().requires_grad_()
    try:
        _read(judge, {**rows, image: pixels}).float().logsumexp(-1).sum().backward()
    except (RuntimeError, MechanismError) as error:
        raise PlanError(
            f"the judge of {name!r} cannot be learned from: {error} Of a category it has to give "
            'probabilities or logits (cp.wrap(…, output="logits")), with their gradients.'
        ) from error
    if pixels.grad is None or not pixels.grad.isfinite().all():
        raise PlanError(
            f"the judge of {name!r} cannot be learned from: no finite gradient comes back to the "
            "image. It has to compute with torch from the pixels on."
        )


def _read(judge: Mechanism, parents: Mapping[str, Tensor]) -> Tensor:
    """Log probabilities ``(n, k)`` of a category, or numbers ``(n, d)``."""
    if judge.variable.is_discrete:
        return judge.logits(parents)
    one = next(iter(parents.values()))
    count = len(one)
    still = {}
    for key, spec in judge.noise.items():
        still[key] = torch.zeros(count, *spec.shape, device=one.device)
    return judge(parents, still).reshape(count, -1)


class ImageJudges(nn.Module):
    """How far images are from showing what was set, by judges that are not trained.

    Args:
        image: The image that they read.
        judges: As :func:`judges_of` gives them.
        rows: Rows of data, for the scale of numbers.
    """

    def __init__(self, image: str, judges: Mapping[str, Mechanism], rows: Mapping[str, Tensor]):
        super().__init__()
        self.image, self.names = image, tuple(judges)
        self.judges = nn.ModuleList([judges[name].eval() for name in self.names])
        for place, name in enumerate(self.names):
            if not judges[name].variable.is_discrete:
                values = rows[name].float().reshape(len(rows[name]), -1)
                self.register_buffer(f"scale{place}", location_and_scale(values)[1].float())

    def losses(self, images: Tensor, parents: Mapping[str, Tensor]) -> Tensor:
        """How far ``(n,)`` what is read off images in the variable's range is from ``parents``:
        cross entropy of categories, Huber's loss of numbers in standard deviations."""
        given = {**parents, self.image: images}
        total = images.new_zeros(len(images))
        for place, (name, module) in enumerate(zip(self.names, self.judges, strict=True)):
            judge: Mechanism = module  # type: ignore[assignment]
            read = _read(judge, pick(given, judge.parents)).float()
            if judge.variable.is_discrete:
                total = total + nn.functional.cross_entropy(read, given[name], reduction="none")
                continue
            apart = (read - given[name].float().reshape(read.shape)) / self.get_buffer(
                f"scale{place}"
            )
            total = total + _NUMBERS * _huber(apart).mean(1)
        return total


def _huber(apart: Tensor) -> Tensor:
    nothing = torch.zeros_like(apart)
    return nn.functional.smooth_l1_loss(apart, nothing, beta=_NEAR, reduction="none")
