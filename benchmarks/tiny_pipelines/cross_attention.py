"""Transformers that read the text by cross-attention: Sana, PixArt, HunyuanDiT, Lumina."""

from __future__ import annotations

from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import (
    CONTROL,
    PICTURE,
    SHORT,
    SIZE,
    T5_TEXT,
    Family,
    Kind,
    flow,
    plain,
    scheduler,
    text,
)
from benchmarks.tiny_pipelines.parts import HIDDEN

__all__ = ["HUNYUAN_DIT", "LUMINA", "PIXART", "SANA"]

_DC = {
    "in_channels": 3,
    "latent_channels": 4,
    "attention_head_dim": 2,
    "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
    "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
    "encoder_block_out_channels": (8, 8),
    "decoder_block_out_channels": (8, 8),
    "encoder_qkv_multiscales": ((), (5,)),
    "decoder_qkv_multiscales": ((), (5,)),
    "encoder_layers_per_block": (1, 1),
    "decoder_layers_per_block": (1, 1),
    "downsample_block_type": "conv",
    "upsample_block_type": "interpolate",
    "decoder_norm_types": "rms_norm",
    "decoder_act_fns": "silu",
    "scaling_factor": 0.4,
}
_SANA_SIZES = {
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 1,
    "num_attention_heads": 2,
    "attention_head_dim": 4,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 4,
    "cross_attention_dim": 8,
    "caption_channels": HIDDEN,
    "sample_size": 8,
}
_SPRINT = {"guidance_embeds": True, "qk_norm": "rms_norm_across_heads"}
_SANA = {
    "scheduler": flow,
    "vae": plain("AutoencoderDC", **_DC),
    "text_encoder": part.gemma,
    "tokenizer": part.gemma_tokenizer,
    "transformer": plain("SanaTransformer2DModel", **_SANA_SIZES),
    "controlnet": plain("SanaControlNetModel", **_SANA_SIZES),
}
_SANA_CALL = SHORT | {
    "height": 32,
    "width": 32,
    "use_resolution_binning": False,
    "complex_human_instruction": None,
}
SANA = Family(
    "Sana",
    _SANA,
    (
        Kind("SanaPipeline"),
        Kind("SanaPAGPipeline"),
        Kind("SanaControlNetPipeline", CONTROL),
        Kind(
            "SanaSprintPipeline",
            {},
            {},
            {
                "transformer": plain("SanaTransformer2DModel", **_SANA_SIZES, **_SPRINT),
                "scheduler": scheduler("SCMScheduler"),
            },
        ),
        Kind(
            "SanaSprintImg2ImgPipeline",
            PICTURE,
            {},
            {
                "transformer": plain("SanaTransformer2DModel", **_SANA_SIZES, **_SPRINT),
                "scheduler": scheduler("SCMScheduler"),
            },
        ),
    ),
    _SANA_CALL,
)


_PIXART_SIZES = {
    "sample_size": 8,
    "num_layers": 2,
    "patch_size": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "caption_channels": HIDDEN,
    "cross_attention_dim": 16,
    "in_channels": 4,
    "out_channels": 8,
    "use_additional_conditions": False,
}


PIXART = Family(
    "PixArt",
    T5_TEXT
    | {
        "vae": part.kl,
        "scheduler": scheduler("DDIMScheduler"),
        "transformer": plain("PixArtTransformer2DModel", **_PIXART_SIZES),
    },
    text("PixArtAlphaPipeline", "PixArtSigmaPipeline", "PixArtSigmaPAGPipeline"),
    SHORT | {"use_resolution_binning": False},
)

_DIT_SIZES = {
    "sample_size": 8,
    "patch_size": 2,
    "in_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "hidden_size": 16,
    "cross_attention_dim": HIDDEN,
    "cross_attention_dim_t5": HIDDEN,
    "pooled_projection_dim": 16,
    "text_len": 77,
    "text_len_t5": 256,
    "activation_fn": "gelu-approximate",
}
HUNYUAN_DIT = Family(
    "HunyuanDiT",
    {
        "vae": part.kl,
        "scheduler": scheduler("DDPMScheduler"),
        "text_encoder": part.bert,
        "tokenizer": part.bert_tokenizer,
        "text_encoder_2": part.t5,
        "tokenizer_2": part.t5_tokenizer,
        "transformer": plain("HunyuanDiT2DModel", num_layers=4, **_DIT_SIZES),
        "controlnet": plain("HunyuanDiT2DControlNetModel", transformer_num_layers=4, **_DIT_SIZES),
    },
    (
        Kind("HunyuanDiTPipeline"),
        Kind("HunyuanDiTPAGPipeline", settings={"pag_applied_layers": "blocks.1"}),
        Kind("HunyuanDiTControlNetPipeline", CONTROL),
    ),
    {"height": SIZE, "width": SIZE, "use_resolution_binning": False},
)

LUMINA = Family(
    "Lumina",
    {
        "vae": part.flow_kl,
        "scheduler": flow,
        "text_encoder": part.gemma,
        "tokenizer": part.gemma_tokenizer,
        "transformer": plain(
            "LuminaNextDiT2DModel",
            sample_size=8,
            in_channels=4,
            hidden_size=48,
            num_layers=2,
            num_attention_heads=3,
            num_kv_heads=1,
            multiple_of=16,
            cross_attention_dim=HIDDEN,
        ),
    },
    text("LuminaPipeline"),
    SHORT,
)
