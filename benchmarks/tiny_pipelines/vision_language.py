"""Transformers whose text encoder is a vision-language model: LongCat-Image, HunyuanImage,
Kandinsky 5."""

from __future__ import annotations

from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import PICTURE, SHORT, SIZE, Family, Kind, flow, plain
from benchmarks.tiny_pipelines.parts import HIDDEN

__all__ = ["HUNYUAN_IMAGE", "KANDINSKY_5", "LONGCAT"]

_SIZED = {"height": SIZE, "width": SIZE}

LONGCAT = Family(
    "LongCat-Image",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": part.qwen_text,
        "tokenizer": part.qwen_tokenizer,
        "text_processor": part.qwen_processor,
        "transformer": plain(
            "LongCatImageTransformer2DModel",
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=HIDDEN,
            pooled_projection_dim=HIDDEN,
            axes_dims_rope=[4, 4, 8],
        ),
    },
    (Kind("LongCatImagePipeline"), Kind("LongCatImageEditPipeline", PICTURE)),
    _SIZED | {"enable_prompt_rewrite": False},
)

HUNYUAN_IMAGE = Family(
    "HunyuanImage",
    {
        "scheduler": flow,
        "vae": plain(
            "AutoencoderKLHunyuanImage",
            in_channels=3,
            out_channels=3,
            latent_channels=16,
            block_out_channels=(32, 64),
            layers_per_block=1,
            spatial_compression_ratio=2,
            sample_size=SIZE,
            scaling_factor=0.4,
        ),
        "text_encoder": part.qwen_text,
        "tokenizer": part.qwen_tokenizer,
        "text_encoder_2": part.t5,
        "tokenizer_2": part.byte_tokenizer,
        "transformer": plain(
            "HunyuanImageTransformer2DModel",
            in_channels=16,
            out_channels=16,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            num_single_layers=1,
            num_refiner_layers=1,
            text_embed_dim=HIDDEN,
            text_embed_2_dim=HIDDEN,
            rope_axes_dim=(8, 8),
        ),
    },
    (Kind("HunyuanImagePipeline"),),
    _SIZED,
)

_VISUAL = {
    "in_visual_dim": 4,
    "in_text_dim": HIDDEN,
    "in_text_dim2": HIDDEN,
    "time_dim": 16,
    "out_visual_dim": 4,
    "model_dim": 32,
    "ff_dim": 32,
    "num_text_blocks": 1,
    "num_visual_blocks": 1,
    "axes_dims": (4, 4, 8),
}
KANDINSKY_5 = Family(
    "Kandinsky 5",
    {
        "scheduler": flow,
        "vae": part.kl,
        "text_encoder": part.qwen_text,
        "tokenizer": part.qwen_processor,
        "text_encoder_2": part.clip_text,
        "tokenizer_2": part.clip_tokenizer,
        "transformer": plain("Kandinsky5Transformer3DModel", **_VISUAL),
    },
    (
        Kind("Kandinsky5T2IPipeline"),
        Kind(
            "Kandinsky5I2IPipeline",
            PICTURE,
            parts={
                "transformer": plain("Kandinsky5Transformer3DModel", **_VISUAL, visual_cond=True)
            },
        ),
    ),
    SHORT,
)
