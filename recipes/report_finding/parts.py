"""The two frozen models of this recipe, made on the spot: one writes reports, one reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalplug as cp

__all__ = ["REPORTS", "TEXT", "reader", "reports", "writer"]

TEXT = cp.Text(48)
REPORTS = {
    "clear": ("the lungs are clear", "no opacity is seen", "no sign of disease"),
    "opacity": ("a dense opacity is seen", "the left lung shows an opacity", "signs of disease"),
}
"""How a report of each finding may be worded."""


def reports(finding: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A report of each finding, one of its wordings at random."""
    which = rng.integers(3, size=len(finding))
    texts = [REPORTS[one][place] for one, place in zip(finding, which, strict=True)]
    return np.array(texts, dtype=object)


def _tokenizer() -> object:
    """A tokenizer of whole words, with tokens that begin and end a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    texts = [text for wordings in REPORTS.values() for text in wordings]
    words = sorted({word for text in texts for word in text.split()} | set(REPORTS) | {"report"})
    names = ["[PAD]", "[UNK]", "[BOS]", "[EOS]", *words]
    made = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        model_max_length=24,
    )


def writer(folder: Path, *, steps: int, seed: int) -> cp.Mechanism:
    """A small language model, trained to write reports, as P(report | shown)."""
    from transformers import GPT2Config, GPT2LMHeadModel

    words: Any = _tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = GPT2Config(
            vocab_size=len(words),
            n_positions=24,
            n_embd=32,
            n_layer=1,
            n_head=2,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
        model = GPT2LMHeadModel(config).eval()
    pairs = [(name, text) for name, wordings in REPORTS.items() for text in wordings]
    told = [f"report {name} {text} [EOS]" for name, text in pairs]
    batch = words(told, padding=True, return_tensors="pt")
    goals = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    goals[:, :2] = -100  # the prompt is given
    _trained(model, {**batch, "labels": goals}, steps)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    prompts = {name: f"report {name}" for name in REPORTS}
    found: cp.Mechanism = cp.from_pretrained(
        folder, variable=TEXT, prompts=prompts, call={"max_new_tokens": 8}
    )
    return found


def reader(folder: Path, *, steps: int, seed: int) -> cp.Mechanism:
    """A small classifier of reports, as P(finding | report)."""
    from transformers import BertConfig, BertForSequenceClassification

    words: Any = _tokenizer()
    names = dict(enumerate(REPORTS))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=24,
            id2label=names,
            label2id={name: code for code, name in names.items()},
        )
        model = BertForSequenceClassification(config).eval()
    pairs = [(code, text) for code, name in names.items() for text in REPORTS[name]]
    batch = words([text for _, text in pairs], padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    _trained(model, {**batch, "labels": torch.tensor([code for code, _ in pairs])}, steps)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    found: cp.Mechanism = cp.from_pretrained(folder, variable=cp.Discrete(list(REPORTS)))
    return found


def _trained(model: torch.nn.Module, batch: dict[str, torch.Tensor], steps: int) -> None:
    """Train a model of transformers on one batch, without dropout."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
