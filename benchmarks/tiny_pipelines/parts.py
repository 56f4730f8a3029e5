"""Parts of diffusion pipelines, tiny and random: tokenizers, text encoders, autoencoders.

Everything is built on the spot from the classes of diffusers and transformers; nothing is
downloaded.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import diffusers
import torch
import transformers
from tokenizers.processors import TemplateProcessing

__all__ = [
    "HIDDEN",
    "byte_tokenizer",
    "clip_text",
    "clip_tokenizer",
    "clip_vision",
    "clip_vision_config",
    "gemma",
    "kl",
    "llama_tokenizer",
    "qwen_3_text",
    "qwen_text",
    "qwen_tokenizer",
    "randomised",
    "roberta_tokenizer",
    "seeded",
    "siglip",
    "siglip_processor",
    "t5",
    "t5_tokenizer",
    "vq",
]

HIDDEN = 32
"""Width of every text encoder."""

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% else %}<|vision_start|><|image_pad|><|vision_end|>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def seeded(make: Callable[[], Any]) -> Any:
    """What ``make`` gives, with weights that depend on nothing before."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def randomised(network: Any, scale: float = 0.05) -> Any:
    """The network with noise on every weight: layers that start at zero would hide what they do."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return network


# -- tokenizers


def _letters() -> list[str]:
    ends = [letter + "</w>" for letter in string.ascii_lowercase]
    return [*string.ascii_lowercase, *ends]


def clip_tokenizer(length: int = 77) -> Any:
    """A tokenizer of letters, as CLIP has one of words."""
    tokens = ["<|startoftext|>", "<|endoftext|>", *_letters()]
    vocabulary = {token: code for code, token in enumerate(tokens)}
    return transformers.CLIPTokenizer(vocabulary, [], model_max_length=length)


def t5_tokenizer() -> Any:
    """A tokenizer of letters, as T5 has one of pieces."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", *string.ascii_lowercase]
    scored = [(piece, -float(place)) for place, piece in enumerate(pieces)]
    return transformers.T5Tokenizer(scored, extra_ids=0, model_max_length=77)


def qwen_tokenizer() -> Any:
    """A tokenizer of bytes with the marks of a conversation, as Qwen has one."""
    marks = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
        "<think>",
        "</think>",
    ]
    letters = sorted(
        set(string.printable.replace(" ", "Ġ").replace("\n", "Ċ")) - set("\t\r\x0b\x0c")
    )
    vocabulary = {token: code for code, token in enumerate([*marks, *letters])}
    made = transformers.Qwen2Tokenizer(
        vocabulary, [], additional_special_tokens=marks[1:], model_max_length=2048
    )
    made.chat_template = _TEMPLATE
    return made


def qwen_processor() -> Any:
    """What prepares texts and pictures for :func:`qwen_text`."""
    return transformers.Qwen2VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(),
        tokenizer=qwen_tokenizer(),
        video_processor=transformers.Qwen2VLVideoProcessor(),
        chat_template=_TEMPLATE,
    )


def bert_tokenizer() -> Any:
    """A tokenizer of letters, as BERT has one."""
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*string.ascii_lowercase, *["##" + letter for letter in string.ascii_lowercase]]
    vocabulary = {token: code for code, token in enumerate([*marks, *letters])}
    return transformers.BertTokenizer(vocabulary, model_max_length=77)


def byte_tokenizer() -> Any:
    """A tokenizer of bytes, as ByT5 has one."""
    return transformers.ByT5Tokenizer(extra_ids=0, model_max_length=77)


def roberta_tokenizer() -> Any:
    """A tokenizer of letters, as XLM-RoBERTa has one."""
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    scored = [(token, -1.0) for token in [*marks, "▁", *string.ascii_letters]]
    return transformers.XLMRobertaTokenizer(scored, model_max_length=77)


def left_tokenizer() -> Any:
    """A tokenizer that starts every text with a mark and pads on the left, as GLM has one."""
    made = qwen_tokenizer()
    made.padding_side = "left"
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
    )
    return made


def gemma_tokenizer() -> Any:
    """A tokenizer of letters, as Gemma has one."""
    marks = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    vocabulary = {t: i for i, t in enumerate([*marks, "▁", *string.ascii_letters, *".,:;!?'-"])}
    return transformers.GemmaTokenizer(vocabulary, [], model_max_length=512)


def llama_tokenizer() -> Any:
    """A tokenizer of letters, as Llama has one."""
    marks = ["<unk>", "<s>", "</s>"]
    vocabulary = {t: i for i, t in enumerate([*marks, "▁", *string.ascii_letters, *".,:;!?'-"])}
    return transformers.LlamaTokenizer(vocabulary, [], pad_token="</s>", model_max_length=512)


# -- text encoders


def clip_text(projected: bool = False, layers: int = 2) -> Any:
    """A text encoder of CLIP."""
    config = transformers.CLIPTextConfig(
        vocab_size=64,
        hidden_size=HIDDEN,
        intermediate_size=37,
        num_hidden_layers=layers,
        num_attention_heads=4,
        projection_dim=HIDDEN,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    kind = transformers.CLIPTextModel
    if projected:
        kind = transformers.CLIPTextModelWithProjection
    return seeded(lambda: kind(config).eval())


def clip_vision_config(layers: int = 2) -> Any:
    """Sizes of an image encoder of CLIP."""
    return transformers.CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=37,
        projection_dim=HIDDEN,
        num_hidden_layers=layers,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )


def clip_vision() -> Any:
    """An image encoder of CLIP."""
    config = clip_vision_config()
    return seeded(lambda: transformers.CLIPVisionModelWithProjection(config).eval())


def clip_processor() -> Any:
    """What prepares images for :func:`clip_vision`."""
    return transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)


def depth() -> Any:
    """An estimator of depth."""
    config = transformers.DPTConfig(
        backbone_config=None,
        hidden_size=HIDDEN,
        intermediate_size=37,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=32,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        is_hybrid=False,
    )
    return seeded(lambda: transformers.DPTForDepthEstimation(config).eval())


def depth_processor() -> Any:
    """What prepares images for :func:`depth`."""
    return transformers.DPTImageProcessorPil(size={"height": 32, "width": 32})


def t5(kind: str = "T5EncoderModel", width: int = HIDDEN) -> Any:
    """A text encoder of T5."""
    found = getattr(transformers, kind)
    config = found.config_class(
        vocab_size=260, d_model=width, d_kv=8, d_ff=37, num_layers=2, num_heads=4
    )
    return seeded(lambda: found(config).eval())


def bert() -> Any:
    """A text encoder of BERT."""
    config = transformers.BertConfig(
        vocab_size=64,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=37,
    )
    return seeded(lambda: transformers.BertModel(config).eval())


_DECODER = {
    "vocab_size": 256,
    "hidden_size": HIDDEN,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def gemma() -> Any:
    """A text encoder of Gemma 2."""
    config = transformers.Gemma2Config(**_DECODER)
    return seeded(lambda: transformers.Gemma2Model(config).eval())


def decoder(name: str, **settings: Any) -> Any:
    """A language model of transformers by its class: ``"Qwen3ForCausalLM"``, ``"LlamaModel"``."""
    kind = getattr(transformers, name)
    config = kind.config_class(**(_DECODER | settings))
    return seeded(lambda: kind(config).eval())


def qwen_text() -> Any:
    """A vision-language model of Qwen 2.5."""
    text = {**_DECODER, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
    config = transformers.Qwen2_5_VLConfig(
        text_config=text,
        vision_config={
            "depth": 1,
            "hidden_size": HIDDEN,
            "intermediate_size": 37,
            "num_heads": 2,
            "out_hidden_size": HIDDEN,
            "fullatt_block_indexes": [0],
        },
        image_token_id=5,
        video_token_id=6,
        vision_start_token_id=3,
        vision_end_token_id=4,
    )
    return seeded(lambda: transformers.Qwen2_5_VLForConditionalGeneration(config).eval())


def qwen_3_text(layers: int = 2) -> Any:
    """A vision-language model of Qwen 3, without its head."""
    rotation = {"rope_type": "default", "mrope_section": [1, 1, 2]}
    text = _DECODER | {"num_hidden_layers": layers, "rope_scaling": rotation}
    config = transformers.Qwen3VLConfig(
        text_config=text,
        vision_config={
            "depth": 1,
            "hidden_size": HIDDEN,
            "intermediate_size": 37,
            "num_heads": 2,
            "out_hidden_size": HIDDEN,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=5,
        video_token_id=6,
        vision_start_token_id=3,
        vision_end_token_id=4,
    )
    return seeded(lambda: transformers.Qwen3VLModel(config).eval())


def siglip() -> Any:
    """An image encoder of SigLIP 2."""
    config = transformers.Siglip2VisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=37,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_patches=16,
        patch_size=8,
    )
    return seeded(lambda: transformers.Siglip2VisionModel(config).eval())


def siglip_processor() -> Any:
    """What prepares images for :func:`siglip`."""
    return transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)


# -- autoencoders


def kl(channels: int = 4, blocks: int = 2, **settings: Any) -> Any:
    """An autoencoder with a factor of two for every block but the first."""
    return seeded(
        lambda: diffusers.AutoencoderKL(
            block_out_channels=(8,) * blocks,
            norm_num_groups=4,
            latent_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks,
            sample_size=32,
            **settings,
        )
    )


def flow_kl(channels: int = 4, blocks: int = 2) -> Any:
    """An autoencoder with the shift that flow-matching pipelines read."""
    settings = {"use_quant_conv": False, "use_post_quant_conv": False, "shift_factor": 0.06}
    return kl(channels, blocks, **settings)


def vq(channels: int = 4, **settings: Any) -> Any:
    """A vector-quantised autoencoder."""
    return seeded(
        lambda: diffusers.VQModel(
            block_out_channels=(8, 8),
            norm_num_groups=4,
            latent_channels=channels,
            num_vq_embeddings=16,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            **settings,
        )
    )
