"""A mechanism that is a table: exact discrete models, with no network and no training error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from causalplug.errors import MechanismError
from causalplug.graphs.confounders import confounder_key
from causalplug.mechanisms.base import Mechanism, register_mechanism
from causalplug.mechanisms.frozen.abduction import gumbel_given
from causalplug.networks import common_shape
from causalplug.noise import NoiseSpec
from causalplug.selection import pick, sizes_of
from causalplug.values import Json, Named
from causalplug.variables import Discrete, variable_from_dict

__all__ = ["DiscreteTable"]


@register_mechanism("discrete-table")
class DiscreteTable(Mechanism):
    """``P(V | parents, confounder states, own states)`` as one table.

    A confounder noise is a normal vector; its first number, cut at quantiles, is the state of that
    confounder. Own states, if there are any, are drawn likewise from own noise: with them, and
    probabilities of 0 and 1, the table is a function, and the model a discrete SCM whose
    counterfactuals are known exactly. What the states leave open is drawn by the Gumbel-max rule,
    as in :class:`~causalplug.mechanisms.trainable.discrete.DiscreteMLP`.

    Args:
        variable: The discrete variable, of k categories.
        parents: The discrete parents, in the order of the table's first axes.
        table: Probabilities of shape ``(*parents, *confounders, own states if any, k)``.
        confounders: The probabilities of the states of each confounder, in the order of the
            table's axes: by the variables that share it (``{("A", "B", "C"): [0.5, 0.5]}``), or a
            sequence, one for each bidirected edge in the order of the graph's ``siblings``. All
            that share a confounder have to be given the same probabilities.
        own: Probabilities of the own states, or None for no such axis.
        confounder_size: Numbers of one confounder noise in the model.
        responses: What one row's values under different values of its parents have in common,
            beyond the states: ``"shared"``, the Gumbel noise, as in a trained mechanism; or
            ``"independent"``, nothing: there is one uniform number for every configuration of the
            parents.

    Raises:
        MechanismError: A table of another shape, negative entries, or rows that do not sum to one.

    Example:
        >>> coin = DiscreteTable(Discrete(2), {}, [0.25, 0.75])
        >>> coin.logits({}).softmax(-1).numpy().round(3).tolist()
        [0.25, 0.75]
    """

    explicit = True
    abduction = "exact"
    log_table: Tensor

    def __init__(
        self,
        variable: Discrete,
        parents: Mapping[str, Discrete],
        table: object,
        *,
        confounders: Sequence[Sequence[float]] | Mapping[tuple[str, ...], Sequence[float]] = (),
        own: Sequence[float] | None = None,
        confounder_size: int = 2,
        responses: str = "shared",
    ):
        super().__init__()
        if responses not in ("shared", "independent"):
            raise MechanismError(
                f"responses={responses!r} cannot be used: choose 'shared' or 'independent'."
            )
        self.responses = responses
        self.variable: Discrete = variable
        self.parents = tuple(parents)
        self.parent_variables = dict(parents)
        self.groups: tuple[tuple[str, ...], ...] | None = None
        if isinstance(confounders, Mapping):
            self.groups = tuple(map(tuple, confounders))
            self.reads_confounders = tuple(map(confounder_key, self.groups))
            confounders = list(confounders.values())
        self.confounders = tuple(_distribution(p, "a confounder's states") for p in confounders)
        self.confounded_by_edge = self.groups is None and bool(self.confounders)
        if own is None:
            self.own = None
        else:
            self.own = _distribution(own, "the own states")
        self.confounder_size = confounder_size
        self.shape = (
            *(parent.size for parent in parents.values()),
            *map(len, self.confounders),
            *(() if self.own is None else (len(self.own),)),
        )
        probabilities = torch.as_tensor(table, dtype=torch.float64)
        expected = (*self.shape, variable.size)
        if tuple(probabilities.shape) != expected:
            raise MechanismError(
                f"The table of shape {tuple(probabilities.shape)} cannot be used: parents, "
                f"confounder states, own states and categories make {expected}. Transpose it, or "
                "correct the declaration."
            )
        _check_probabilities(probabilities)
        if responses == "shared":
            self.noise = {"gumbel": NoiseSpec((variable.size,), "gumbel")}
        else:
            configurations = math.prod(sizes_of(parents.values()))
            self.noise = {"responses": NoiseSpec((configurations,), "uniform")}
        if self.own is not None:
            self.noise["state"] = NoiseSpec((), "uniform")
        self.register_buffer(
            "log_table", probabilities.log().to(torch.float32).reshape(-1, variable.size)
        )

    def states(self, confounder: Tensor | None) -> list[Tensor]:
        """The state of every confounder, integers of the shape of ``confounder`` without its last
        axis.

        Raises:
            MechanismError: The noise is of another number of confounders.
        """
        if not self.confounders:
            return []
        if (
            confounder is None
            or confounder.shape[-1] != len(self.confounders) * self.confounder_size
        ):
            if confounder is None:
                read = 0
            else:
                read = confounder.shape[-1]
            raise MechanismError(
                f"This table reads {len(self.confounders)} confounders of {self.confounder_size} "
                f"numbers each, but {read} numbers were handed in. Give confounder_size= of the "
                "model, and one entry of confounders= for each confounder."
            )
        found = []
        for i, weights in enumerate(self.confounders):
            cuts = torch.special.ndtri(
                torch.tensor(weights[:-1], dtype=torch.float64).cumsum(0).clamp(0, 1)
            )
            numbers = confounder[..., i * self.confounder_size].contiguous()
            found.append(torch.bucketize(numbers, cuts.to(numbers), right=True))
        return found

    def logits(  # type: ignore[override]
        self,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """Log probabilities ``(n, k)``, or ``(s, n, k)`` for confounder noise ``(s, 1, e)``; own
        states summed out.

        Args:
            parents: Codes ``(n,)``, or one-hot rows ``(n, k)``.
            confounder: All confounder noise at the variable.
            state: Own states ``(n,)`` to look up instead of summing over them.
        """
        if self.own is not None and state is None:
            each = []
            for s, p in enumerate(self.own):
                each.append(
                    self.logits(parents, confounder, torch.tensor(s))
                    + (math.log(p) if p else -math.inf)
                )
            return torch.logsumexp(torch.stack(each), 0)
        index = self._index(parents)
        rest = self.states(confounder) + ([] if self.own is None else [state])
        for size, axis in zip(self.shape[len(self.parents) :], rest, strict=True):
            index = index * size + axis
        return self.log_table[index]

    def _index(self, parents: Mapping[str, Tensor]) -> Tensor:
        """The number of the parents' configuration, ``(n,)``; a scalar without parents."""
        index = torch.zeros((), dtype=torch.int64, device=self.log_table.device)
        for name, parent in self.parent_variables.items():
            code = parents[name]
            index = index * parent.size + (code.argmax(-1) if code.is_floating_point() else code)
        return index

    def forward(
        self,
        parents: Mapping[str, Tensor],
        noise: Mapping[str, Tensor],
        confounder: Tensor | None = None,
    ) -> Tensor:
        """Codes ``(n,)`` of int64."""
        state = None
        if self.own is not None:
            cuts = torch.tensor(self.own[:-1], dtype=torch.float64).cumsum(0).to(noise["state"])
            state = torch.bucketize(noise["state"], cuts, right=True)
        logits = self.logits(parents, confounder, state)
        if self.responses == "shared":
            return (logits + noise["gumbel"]).argmax(-1)
        uniform = noise["responses"]
        own = uniform.gather(1, self._index(parents).expand(len(uniform))[:, None])
        return (own >= logits.exp().cumsum(-1)[..., :-1]).sum(-1)

    def log_prob(
        self, value: Tensor, parents: Mapping[str, Tensor], confounder: Tensor | None = None
    ) -> Tensor:
        """Log probability ``(n,)`` of codes, or ``(s, n)``."""
        log_probs = self.logits(parents, confounder)
        shape = common_shape(log_probs.shape[:-1], value.shape)
        return (
            log_probs.expand(*shape, -1).gather(-1, value.expand(shape).unsqueeze(-1)).squeeze(-1)
        )

    @property
    def confounder_numbers(self) -> int:
        return len(self.confounders) * self.confounder_size

    def abduct(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None = None,
        *,
        prior: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Own noise from its distribution given ``value``: first the own state, then the Gumbel
        noise or the uniform number of the parents' configuration.

        Raises:
            MechanismError: ``prior`` is missing: a category leaves most of the noise open.
        """
        if prior is None:
            raise MechanismError(
                "The noise of a category cannot be recovered without prior=: the category leaves "
                "most of it open. Pass noise as it was drawn."
            )
        found: dict[str, Tensor] = {}
        state = None
        if self.own is not None:
            found["state"], state = self._state_given(value, parents, confounder, prior["state"])
        log_probs = self.logits(parents, confounder, state).expand(len(value), -1)
        if self.responses == "shared":
            found["gumbel"] = gumbel_given(log_probs, value, prior["gumbel"])
        else:
            found["responses"] = self._responses_given(value, parents, log_probs, prior)
        return found

    def _state_given(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        confounder: Tensor | None,
        uniform: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Own noise and own state given the value: Bayes' rule, inverted at ``uniform``."""
        assert self.own is not None
        one = value.unsqueeze(-1)
        likelihoods = []
        for number in range(len(self.own)):
            log_probs = self.logits(parents, confounder, torch.tensor(number))
            likelihoods.append(log_probs.expand(len(value), -1).gather(-1, one).squeeze(-1).exp())
        own = torch.tensor(self.own, dtype=torch.float64, device=value.device)
        shares = own * torch.stack(likelihoods, -1).double()
        upper = (shares / shares.sum(-1, keepdim=True)).cumsum(-1)
        state = (uniform.double().unsqueeze(-1) >= upper[:, :-1]).sum(-1)
        lower = torch.cat([torch.zeros_like(upper[:, :1]), upper], -1)
        start, end = (bound.gather(-1, state.unsqueeze(-1)).squeeze(-1) for bound in (lower, upper))
        within = ((uniform.double() - start) / (end - start)).clamp(0, 1)
        before = torch.cat([own.new_zeros(1), own.cumsum(-1)])[state]
        return _inside(before, before + own[state], within, uniform.dtype), state

    def _responses_given(
        self,
        value: Tensor,
        parents: Mapping[str, Tensor],
        log_probs: Tensor,
        prior: Mapping[str, Tensor],
    ) -> Tensor:
        """Uniform numbers by configuration; the one of the parents' lies where it gives
        ``value``."""
        responses = prior["responses"].clone()
        at = self._index(parents).expand(len(value)).unsqueeze(-1)
        upper = log_probs.exp().cumsum(-1).double()
        lower = torch.cat([torch.zeros_like(upper[:, :1]), upper[:, :-1]], -1)
        end = upper.scatter(-1, torch.full_like(at, upper.shape[-1] - 1), 1.0)
        one = value.unsqueeze(-1)
        start, stop = lower.gather(-1, one), end.gather(-1, one)
        moved = _inside(start, stop, responses.gather(-1, at).double(), responses.dtype)
        return responses.scatter(-1, at, moved)

    def config(self) -> Json:
        if self.groups is None:
            groups = {}
        else:
            groups = {"groups": list(map(list, self.groups))}
        return groups | {
            "variable": self.variable.to_dict(),
            "parents": [[name, parent.to_dict()] for name, parent in self.parent_variables.items()],
            "confounders": list(map(list, self.confounders)),
            "own": None if self.own is None else list(self.own),
            "confounder_size": self.confounder_size,
            "responses": self.responses,
        }

    @classmethod
    def from_config(cls, config: Named) -> DiscreteTable:
        """The mechanism with a uniform table; loading the weights puts the real one in place."""
        variable: Discrete = variable_from_dict(config["variable"])  # type: ignore[assignment]
        parents = {}
        for name, declared in config["parents"]:
            parents[name] = variable_from_dict(declared, name)
        own = config["own"]
        sizes = sizes_of(parents.values()) + list(map(len, config["confounders"]))
        shape = (*sizes, *(() if own is None else (len(own),)), variable.size)
        table = torch.full(shape, 1 / variable.size, dtype=torch.float64)
        options = pick(config, ("own", "confounder_size", "responses"))
        confounders = config["confounders"]
        if "groups" in config:
            groups = list(map(tuple, config["groups"]))
            confounders = dict(zip(groups, confounders, strict=True))
        return cls(variable, parents, table, confounders=confounders, **options)  # type: ignore[arg-type]


def _check_probabilities(table: Tensor) -> None:
    wrong = (table < 0) | ~torch.isfinite(table)
    if wrong.any() or ((table.sum(-1) - 1).abs() > 1e-6).any():
        raise MechanismError(
            "The table cannot be used: every row has to hold probabilities that sum to one over "
            "its last axis."
        )


def _distribution(probabilities: Sequence[float], what: str) -> tuple[float, ...]:
    values = tuple(map(float, probabilities))
    if not values or min(values) < 0 or not math.isclose(sum(values), 1, abs_tol=1e-6):
        raise MechanismError(
            f"The probabilities of {what} cannot be used: {list(values)} do not sum to one."
        )
    return values


def _inside(start: Tensor, end: Tensor, share: Tensor, dtype: torch.dtype) -> Tensor:
    """The number at ``share`` of the way from ``start`` to ``end``, below ``end`` as a float of
    ``dtype``."""
    number = (start + share * (end - start)).to(dtype)
    below = torch.nextafter(end.to(dtype), torch.zeros_like(number))
    above = start.to(dtype)
    return torch.maximum(torch.minimum(number, below), above)
