"""Small models of transformers with tokenizers, made on the spot, as folders."""

from __future__ import annotations

from pathlib import Path

import torch

SENTENCE = "the patient has no some fever cough report of finding opacity clear lungs well"
WORDS = [*"abcdefgh", *SENTENCE.split()]


def tokenizer(*, closing: bool = True) -> object:
    """A tokenizer of single words; ``closing`` adds tokens around each text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[EOS]", *WORDS]
    vocabulary = {name: code for code, name in enumerate(names)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if closing:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        eos_token="[EOS]",
        bos_token="[CLS]",
        model_max_length=64,
    )


def saved(place: Path, model: object, *, words: object = None) -> Path:
    """A model in evaluation mode in a folder, with its tokenizer."""
    model.eval().save_pretrained(place)  # type: ignore[attr-defined]
    if words is not None:
        words.save_pretrained(place)  # type: ignore[attr-defined]
    return place


def bert(place: Path, head: str, **settings: object) -> Path:
    """A small BERT with a head such as ``"BertForSequenceClassification"``."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 5,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        initializer_range=0.6,
        **settings,
    )
    torch.manual_seed(0)
    return saved(place, getattr(transformers, head)(config), words=tokenizer())


def vit(place: Path, head: str, **settings: object) -> Path:
    """A small vision transformer with a head such as ``"ViTForImageClassification"``."""
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        initializer_range=0.6,
        **settings,
    )
    torch.manual_seed(0)
    return saved(place, getattr(transformers, head)(config))


def gpt(place: Path) -> Path:
    """A small language model that continues a prompt."""
    import transformers

    config = transformers.GPT2Config(
        vocab_size=len(WORDS) + 5,
        n_positions=32,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=2,
        eos_token_id=4,
        pad_token_id=0,
        initializer_range=0.6,
    )
    torch.manual_seed(0)
    return saved(place, transformers.GPT2LMHeadModel(config), words=tokenizer(closing=False))


def t5(place: Path) -> Path:
    """A small model from texts to texts."""
    import transformers

    config = transformers.T5Config(
        vocab_size=len(WORDS) + 5,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        eos_token_id=4,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    return saved(place, transformers.T5ForConditionalGeneration(config), words=tokenizer())
