"""A frozen language model of the transformers library as the mechanism of a text."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalplug.adapters.places import place_of, snapshot_of
from causalplug.adapters.rules import CALLING, FETCHING
from causalplug.adapters.text_prompts import TextPrompts, text_prompts
from causalplug.adapters.transformers_files import (
    OpenedModel,
    architecture_of,
    model_files,
    open_model,
)
from causalplug.adapters.transformers_inputs import by_length, longest, tokens_of
from causalplug.arguments import COUNT, FLAG, instance, number, read_argument, takes
from causalplug.errors import MechanismError
from causalplug.hub.part import Content
from causalplug.hub.snapshot import Snapshot
from causalplug.mechanisms.base import register_mechanism
from causalplug.mechanisms.frozen.condition import Condition, ReadsSpec
from causalplug.mechanisms.frozen.conditional import ConditionalMechanism
from causalplug.mechanisms.frozen.label import Label
from causalplug.mechanisms.frozen.trial import try_mechanism
from causalplug.networks import freeze
from causalplug.noise import NoiseSpec
from causalplug.selection import of_kind, values_at, without
from causalplug.values import Json, Named
from causalplug.variables import Text, Variable, variable_from_dict

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TransformersText"]

_BATCH = 256
_MOST_TOKENS = 64
_TEXT = instance("a cp.Text", Text)
_RULES = {
    "max_new_tokens": COUNT,
    "temperature": number(above=0),
    "top_k": COUNT.or_none("all tokens"),
}
_OPTIONS = tuple(_RULES)


@register_mechanism("transformers-text")
class TransformersText(ConditionalMechanism):
    """P(text | prompt) by a frozen language model, sampled token by token.

    Every token is drawn by one uniform number, so that the same noise gives the same text. A text
    ends at the model's end token, after ``max_new_tokens``, or where the next token would not fit
    into the declared length.

    Args:
        opened: The model, its tokenizer and its files.
        variable: The text.
        prompts: What the model is told for each row.
        max_new_tokens: Tokens of the longest text; 64 by default, or half of what the model reads
            if that is less.
        temperature: Of the softmax over tokens, above 0.
        top_k: Draw among that many most probable tokens; all by default.

    Raises:
        MechanismError: An option out of range, a model without tokenizer, or missing weights.
    """

    needs = ("transformers",)
    copied_with_model = True
    differentiable = False

    def __init__(
        self,
        opened: OpenedModel,
        variable: Text,
        prompts: TextPrompts,
        *,
        max_new_tokens: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
    ):
        _check_opened(opened)
        if max_new_tokens is None:
            max_new_tokens = min(_MOST_TOKENS, longest(opened.tokenizer, opened.model.config) // 2)
        max_new_tokens = read_argument(
            "max_new_tokens", max_new_tokens, COUNT, MechanismError, "a text model"
        )
        for name, value in (("temperature", temperature), ("top_k", top_k)):
            read_argument(name, value, _RULES[name], MechanismError, "a text model")
        noise = {"tokens": NoiseSpec((max_new_tokens,), "uniform")}
        super().__init__(variable, prompts.conditions, noise)
        self.prompts = prompts
        self.network = freeze(opened.model)
        self.tokenizer = opened.tokenizer
        self.max_new_tokens, self.temperature, self.top_k = max_new_tokens, temperature, top_k
        self.folder: Path | None = opened.folder
        self.location = opened.location

    def bind(
        self,
        name: str,
        variable: Variable,
        parents: Mapping[str, Variable],
        reads: ReadsSpec = None,
    ) -> Self:
        """A copy for one variable; it writes and reads texts of the declared lengths."""
        adapted = copy.copy(self)
        if isinstance(variable, Text):
            adapted.generates = variable
        texts = of_kind(parents.values(), Text)
        if len(texts) == 1:
            items = []
            for one in self.read_conditions:
                items.append(Condition(one.name, texts[0]) if isinstance(one.kind, Text) else one)
            adapted.read_conditions = tuple(items)
            adapted.prompts = TextPrompts(
                adapted.read_conditions, self.prompts.template, self.prompts.table
            )
        return super(TransformersText, adapted).bind(name, variable, parents, reads)

    def generate(self, conditions: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Tensor:
        drawn = noise["tokens"]
        prompts = self.prompts.of(conditions, len(drawn))
        different = list(dict.fromkeys(prompts))
        room = 0 if self.network.config.is_encoder_decoder else self.max_new_tokens
        known = tokens_of(self.tokenizer, different, self.network.config, room=room)
        tokens = dict(zip(different, known, strict=True))
        texts = [""] * len(prompts)
        for places, ids in by_length(values_at(tokens, prompts), _BATCH):
            rows = self._continued(ids, drawn[places])
            for place, row in zip(places, rows.tolist(), strict=True):
                texts[place] = self._text(row)
        return self.generates.encode(texts).to(drawn.device)

    def _continued(self, ids: Tensor, drawn: Tensor) -> Tensor:
        """Tokens ``(rows, at most max_new_tokens)`` that follow prompts of equal length."""
        device = next(self.network.parameters()).device
        ids = ids.to(device)
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if self.network.config.is_encoder_decoder:
            start = self.network.config.decoder_start_token_id
            encoder = self.network.get_encoder()
            given = {
                "encoder_outputs": encoder(input_ids=ids),
                "decoder_input_ids": torch.full((len(ids), 1), start, device=device),
            }
        key = "decoder_input_ids" if "decoder_input_ids" in given else "input_ids"
        stops = torch.tensor(sorted(self._stops()), device=device)
        ended = torch.zeros(len(ids), dtype=torch.bool, device=device)
        found: list[Tensor] = []
        with torch.no_grad():
            for step in range(self.max_new_tokens):
                answer = self.network(**given, use_cache=False)
                token = self._drawn(answer.logits[:, -1], drawn[:, step].to(device))
                found.append(token)
                ended |= torch.isin(token, stops)
                if bool(ended.all()):
                    break
                longer = torch.cat([given[key], token[:, None]], 1)
                given |= {key: longer}
                if key == "input_ids":
                    given |= {"attention_mask": torch.ones_like(longer)}
        return torch.stack(found, 1).cpu()

    def _drawn(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """One token ``(n,)`` for each row, by inverting the distribution function."""
        scores = logits.double() / self.temperature
        if self.top_k is not None:
            least = scores.topk(min(self.top_k, scores.shape[-1])).values[:, -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        below = scores.softmax(-1).cumsum(-1)
        token = (below < uniform.double()[:, None] * below[:, -1:]).sum(-1)
        return token.clamp_max(scores.shape[-1] - 1)

    def _text(self, tokens: Sequence[int]) -> str:
        """The longest beginning of what tokens say that ends before the end token and fits."""
        stops = self._stops()
        end = next((place for place, token in enumerate(tokens) if token in stops), len(tokens))
        for kept in range(end, 0, -1):
            text = str(self.tokenizer.decode(tokens[:kept], skip_special_tokens=True)).strip()
            if len(text.encode()) <= self.generates.event_shape[0]:
                return text
        return ""

    def _stops(self) -> set[int]:
        """Tokens that end a text."""
        ends = self.network.generation_config.eos_token_id
        if ends is None:
            return set()
        if isinstance(ends, list):
            return set(ends)
        return {ends}

    # -- loading and saving

    @classmethod
    @takes(
        MechanismError,
        **FETCHING,
        variable=_TEXT,
        labels=CALLING["labels"],
        call=CALLING["call"],
        trial=FLAG,
    )
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | PathLike[str] | Snapshot,
        variable: Text,
        *,
        prompts: str | Mapping[Any, str] | TextPrompts | None = None,
        labels: Sequence[Label] | None = None,
        call: Named | None = None,
        revision: str | None = None,
        subfolder: str = "",
        cache_dir: str | PathLike[str] | None = None,
        token: bool | str | None = None,
        local_files_only: bool = False,
        trial: bool = True,
    ) -> Self:
        """A language model from a folder or the Hub, safetensors only and without code.

        Args:
            source: A folder or a Hub id.
            variable: The text that it writes.
            prompts: A mapping from labels to prompts, a template such as ``"A report of
                {finding}:"``, or None for a model that reads the text of a parent.
            labels: The labels that a template names.
            call: ``max_new_tokens``, ``temperature`` and ``top_k``.
            revision, subfolder, cache_dir, token, local_files_only: As in ``huggingface_hub``.
            trial: Whether it runs on a few rows first, which checks what it gives.

        Raises:
            MissingDependencyError: transformers is not installed.
            RepositoryError: Files are missing or not safetensors.
            MechanismError: An unknown option, or weights are missing.
        """
        options = dict(call or {})
        if unknown := without(options, _OPTIONS):
            raise MechanismError(
                f"call={{{unknown[0]!r}: …}} is not known of a text model: its options are "
                f"{', '.join(_OPTIONS)}."
            )
        snapshot = snapshot_of(
            source,
            revision=revision,
            subfolder=subfolder,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        if not isinstance(prompts, TextPrompts):
            prompts = text_prompts(prompts, labels, variable.length)
        opened = open_model(snapshot, _head(architecture_of(snapshot)[0]))
        made = cls(opened, variable, prompts, **options)
        if snapshot.repo_id is not None:
            made.license = snapshot.license
        if trial:
            try_mechanism(made)
        return made

    def saved_tensors(self) -> dict[str, Tensor]:
        """Nothing: the model has its own files."""
        return {}

    def saved_files(self) -> dict[str, Content]:
        """The model's files under ``model/``; none where it is referred to on the Hub."""
        if self.location or self.folder is None:
            return {}
        return model_files(self.folder, "model")

    def config(self) -> Json:
        return {
            "variable": self.generates.to_dict(),
            "prompts": self.prompts.to_dict(),
            "call": {name: getattr(self, name) for name in _OPTIONS},
            "model": self.location,
        }

    @classmethod
    def from_snapshot(cls, config: Named, snapshot: Snapshot) -> Self:
        """The mechanism that a repository describes."""
        variable: Any = variable_from_dict(config["variable"], "variable")
        prompts = TextPrompts.from_dict(config["prompts"])
        place, location = place_of(config["model"], snapshot, "model")
        return cls.from_pretrained(
            place, variable, prompts=prompts, call=config["call"], **location
        )


def _head(architecture: str) -> str:
    if architecture.endswith("ForConditionalGeneration"):
        return "AutoModelForSeq2SeqLM"
    return "AutoModelForCausalLM"


def _check_opened(opened: OpenedModel) -> None:
    if opened.missing:
        raise MechanismError(
            f"The text model in {opened.folder} cannot be used: its files lack the weights "
            f"{', '.join(opened.missing[:3])}, so that its texts would be random."
        )
    if opened.tokenizer is None:
        raise MechanismError(
            f"The text model in {opened.folder} cannot be used: the folder holds no tokenizer. "
            "Save its tokenizer beside it (tokenizer.save_pretrained)."
        )
