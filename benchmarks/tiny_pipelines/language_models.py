"""Transformers whose text encoder is a language model, or a large T5: Lumina 2, AuraFlow, CogView,
Z-Image."""

from __future__ import annotations

import diffusers

from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.cross_attention import LUMINA
from benchmarks.tiny_pipelines.family import (
    CONTROL,
    MASKED,
    PICTURE,
    SHORT,
    T5_TEXT,
    Family,
    Kind,
    flow,
    plain,
    text,
)
from benchmarks.tiny_pipelines.parts import HIDDEN

__all__ = ["AURA_FLOW", "COGVIEW_3", "COGVIEW_4", "LUMINA_2", "OMNIGEN", "Z_IMAGE", "Z_SIZES"]

LUMINA_2 = Family(
    "Lumina 2",
    LUMINA.parts
    | {
        "transformer": plain(
            "Lumina2Transformer2DModel",
            sample_size=8,
            in_channels=4,
            hidden_size=24,
            num_layers=1,
            num_refiner_layers=1,
            num_attention_heads=3,
            num_kv_heads=1,
            multiple_of=2,
            axes_dim_rope=(4, 2, 2),
            axes_lens=(128, 128, 128),
            cap_feat_dim=HIDDEN,
        )
    },
    text("Lumina2Pipeline"),
    SHORT,
)
AURA_FLOW = Family(
    "AuraFlow",
    {
        "vae": part.kl,
        "scheduler": flow,
        "text_encoder": lambda: part.t5("UMT5EncoderModel"),
        "tokenizer": part.t5_tokenizer,
        "transformer": plain(
            "AuraFlowTransformer2DModel",
            sample_size=8,
            patch_size=2,
            in_channels=4,
            num_mmdit_layers=1,
            num_single_dit_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=HIDDEN,
            caption_projection_dim=32,
            pos_embed_max_size=64,
        ),
    },
    text("AuraFlowPipeline"),
    SHORT,
)

_COGVIEW_SIZES = {
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 1,
    "attention_head_dim": 4,
    "num_attention_heads": 2,
    "text_embed_dim": HIDDEN,
    "time_embed_dim": 8,
    "condition_dim": 4,
}
COGVIEW_3 = Family(
    "CogView3",
    T5_TEXT
    | {
        "vae": part.kl,
        "scheduler": lambda: diffusers.CogVideoXDDIMScheduler(
            prediction_type="v_prediction", rescale_betas_zero_snr=True
        ),
        "transformer": plain(
            "CogView3PlusTransformer2DModel", **_COGVIEW_SIZES, pos_embed_max_size=8, sample_size=8
        ),
    },
    text("CogView3PlusPipeline"),
    SHORT,
)
_COGVIEW_4 = _COGVIEW_SIZES | {"rope_axes_dim": (16, 16), "sample_size": 8}
COGVIEW_4 = Family(
    "CogView4",
    {
        "vae": part.flow_kl,
        "scheduler": lambda: diffusers.FlowMatchEulerDiscreteScheduler(
            base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True, time_shift_type="linear"
        ),
        "text_encoder": lambda: part.decoder("GlmModel"),
        "tokenizer": part.left_tokenizer,
        "transformer": plain("CogView4Transformer2DModel", **_COGVIEW_4),
    },
    (
        Kind("CogView4Pipeline"),
        Kind(
            "CogView4ControlPipeline",
            CONTROL,
            parts={
                "transformer": plain(
                    "CogView4Transformer2DModel", **(_COGVIEW_4 | {"in_channels": 8})
                )
            },
        ),
    ),
    SHORT,
)

Z_SIZES = {
    "all_patch_size": (2,),
    "all_f_patch_size": (1,),
    "in_channels": 4,
    "dim": 32,
    "n_layers": 2,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 2,
    "cap_feat_dim": HIDDEN,
    "axes_dims": [8, 4, 4],
    "axes_lens": [512, 32, 32],
}
_Z_CONTROL = {
    "control_layers_places": [0, 1],
    "control_refiner_layers_places": [0],
    "dim": 32,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 2,
}
Z_IMAGE = Family(
    "Z-Image",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": lambda: part.decoder("Qwen3Model"),
        "tokenizer": part.qwen_tokenizer,
        "transformer": plain("ZImageTransformer2DModel", **Z_SIZES),
        "controlnet": plain("ZImageControlNetModel", **_Z_CONTROL, control_in_dim=4),
    },
    (
        Kind("ZImagePipeline"),
        Kind("ZImageImg2ImgPipeline", PICTURE),
        Kind("ZImageInpaintPipeline", MASKED),
        Kind("ZImageControlNetPipeline", CONTROL),
        Kind(
            "ZImageControlNetInpaintPipeline",
            MASKED | CONTROL,
            {},
            {"controlnet": plain("ZImageControlNetModel", **_Z_CONTROL, control_in_dim=9)},
        ),
    ),
    SHORT | {"cfg_normalization": False},
)

OMNIGEN = Family(
    "OmniGen",
    {
        "scheduler": lambda: diffusers.FlowMatchEulerDiscreteScheduler(
            invert_sigmas=True, num_train_timesteps=1
        ),
        "vae": part.kl,
        "tokenizer": part.llama_tokenizer,
        "transformer": plain(
            "OmniGenTransformer2DModel",
            in_channels=4,
            hidden_size=16,
            num_attention_heads=4,
            num_key_value_heads=4,
            intermediate_size=32,
            num_layers=1,
            vocab_size=128,
            time_step_dim=4,
            pad_token_id=0,
            rope_scaling={"long_factor": [1, 2], "short_factor": [1, 2]},
        ),
    },
    text("OmniGenPipeline"),
    SHORT,
)
