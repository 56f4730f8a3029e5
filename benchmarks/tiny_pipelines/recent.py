"""Transformers of 2025 and 2026: Ernie, PRX, Krea 2, Bria Fibo, HiDream, Ideogram 4, and relatives
of Qwen-Image and Z-Image."""

from __future__ import annotations

from typing import Any

from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import PICTURE, SHORT, SIZE, Family, Kind, flow, plain
from benchmarks.tiny_pipelines.joint_attention import FLUX_2, QWEN_IMAGE
from benchmarks.tiny_pipelines.language_models import Z_IMAGE, Z_SIZES
from benchmarks.tiny_pipelines.parts import HIDDEN

__all__ = ["BRIA_FIBO", "ERNIE", "HIDREAM", "IDEOGRAM_4", "KREA_2", "LAYERED", "OMNI", "PRX"]

ERNIE = Family(
    "Ernie-Image",
    {
        "scheduler": flow,
        "vae": FLUX_2.parts["vae"],
        "text_encoder": lambda: part.decoder("MistralModel"),
        "tokenizer": part.qwen_tokenizer,
        "transformer": plain(
            "ErnieImageTransformer2DModel",
            hidden_size=32,
            num_attention_heads=2,
            num_layers=1,
            ffn_hidden_size=37,
            in_channels=16,
            out_channels=16,
            text_in_dim=HIDDEN,
            rope_axes_dim=(4, 6, 6),
        ),
    },
    (Kind("ErnieImagePipeline"),),
    SHORT | {"use_pe": False},
)


def _prx(channels: int, **settings: Any) -> Any:
    return plain(
        "PRXTransformer2DModel",
        in_channels=channels,
        patch_size=2,
        context_in_dim=HIDDEN,
        hidden_size=32,
        num_heads=2,
        depth=1,
        axes_dim=[8, 8],
        **settings,
    )


_PRX_CALL = {"height": SIZE, "width": SIZE, "use_resolution_binning": False}
PRX = Family(
    "PRX",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": part.gemma,
        "tokenizer": part.gemma_tokenizer,
        "transformer": _prx(4),
    },
    (Kind("PRXPipeline"), Kind("PRXPixelPipeline", parts={"transformer": _prx(3)})),
    _PRX_CALL,
)
KREA_2 = Family(
    "Krea 2",
    QWEN_IMAGE.parts
    | {
        "text_encoder": part.qwen_3_text,
        "transformer": plain(
            "Krea2Transformer2DModel",
            in_channels=16,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=37,
            timestep_embed_dim=16,
            text_hidden_dim=HIDDEN,
            num_text_layers=2,
            text_num_attention_heads=2,
            text_num_key_value_heads=1,
            text_intermediate_size=37,
            num_layerwise_text_blocks=1,
            num_refiner_text_blocks=1,
            axes_dims_rope=(8, 4, 4),
        ),
    },
    (Kind("Krea2Pipeline", settings={"text_encoder_select_layers": (1, 2)}),),
    SHORT,
)
LAYERED = Family(
    "Qwen-Image-Layered",
    QWEN_IMAGE.parts
    | {
        "vae": plain(
            "AutoencoderKLQwenImage",
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 2],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
            input_channels=4,
        ),
        "transformer": plain(
            "QwenImageTransformer2DModel",
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=HIDDEN,
            axes_dims_rope=(8, 4, 4),
            use_additional_t_cond=True,
            use_layer3d_rope=True,
        ),
    },
    (Kind("QwenImageLayeredPipeline", PICTURE, {"layers": 2}),),
    {"max_sequence_length": 16},
)
_WAN = {
    "base_dim": 8,
    "z_dim": 4,
    "dim_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
    "latents_mean": [0.0] * 4,
    "latents_std": [1.0] * 4,
}
_ideogram = plain(
    "Ideogram4Transformer2DModel",
    in_channels=16,
    num_layers=1,
    attention_head_dim=16,
    num_attention_heads=2,
    intermediate_size=37,
    adaln_dim=16,
    llm_features_dim=13 * HIDDEN,
    mrope_section=(4, 2, 2),
)
BRIA_FIBO = Family(
    "Bria Fibo",
    {
        "scheduler": flow,
        "vae": plain("AutoencoderKLWan", **_WAN),
        "text_encoder": lambda: part.decoder("SmolLM3ForCausalLM", vocab_size=128001),
        "tokenizer": part.qwen_tokenizer,
        "transformer": plain(
            "BriaFiboTransformer2DModel",
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=2 * HIDDEN,
            axes_dims_rope=[4, 4, 8],
            text_encoder_dim=HIDDEN,
        ),
    },
    (Kind("BriaFiboPipeline"), Kind("BriaFiboEditPipeline", PICTURE)),
    {"height": 32, "width": 32, "max_sequence_length": 64},
)
HIDREAM = Family(
    "HiDream",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": lambda: part.clip_text(projected=True),
        "tokenizer": part.clip_tokenizer,
        "text_encoder_2": lambda: part.clip_text(projected=True),
        "tokenizer_2": part.clip_tokenizer,
        "text_encoder_3": part.t5,
        "tokenizer_3": part.t5_tokenizer,
        "text_encoder_4": lambda: part.decoder("LlamaForCausalLM"),
        "tokenizer_4": part.llama_tokenizer,
        "transformer": plain(
            "HiDreamImageTransformer2DModel",
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_channels=[HIDDEN, HIDDEN],
            text_emb_dim=2 * HIDDEN,
            num_routed_experts=4,
            num_activated_experts=2,
            axes_dims_rope=(4, 2, 2),
            max_resolution=(32, 32),
            llama_layers=[0, 1],
        ),
    },
    (Kind("HiDreamImagePipeline"),),
    SHORT,
)
IDEOGRAM_4 = Family(
    "Ideogram 4",
    {
        "scheduler": flow,
        "vae": FLUX_2.parts["vae"],
        "text_encoder": lambda: part.qwen_3_text(36),
        "tokenizer": part.qwen_tokenizer,
        "transformer": _ideogram,
        "unconditional_transformer": _ideogram,
    },
    (Kind("Ideogram4Pipeline"),),
    {"height": 32, "width": 32, "max_sequence_length": 64, "guidance_schedule": [7.0, 3.0]},
)
OMNI = Family(
    "Z-Image-Omni",
    Z_IMAGE.parts
    | {
        "siglip": part.siglip,
        "siglip_processor": part.siglip_processor,
        "transformer": plain("ZImageTransformer2DModel", **Z_SIZES, siglip_feat_dim=HIDDEN),
    },
    (Kind("ZImageOmniPipeline"),),
    SHORT,
)
