"""Transformers that read text and image together: Flux, Chroma, Stable Diffusion 3, Qwen-Image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import causalplug as cp
from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import (
    CONTROL,
    MASKED,
    PICTURE,
    SHORT,
    SIZE,
    Family,
    Kind,
    flow,
    plain,
)
from benchmarks.tiny_pipelines.parts import HIDDEN

__all__ = ["BRIA", "CHROMA", "FLUX", "FLUX_2", "OVIS", "QWEN_IMAGE", "STABLE_DIFFUSION_3"]

_FLUX_SIZES = {
    "patch_size": 1,
    "in_channels": 16,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": HIDDEN,
    "pooled_projection_dim": HIDDEN,
    "axes_dims_rope": (4, 4, 8),
}


def _flux(channels: int, out: int | None = None) -> Callable[[], Any]:
    settings = _FLUX_SIZES | {"in_channels": channels, "out_channels": out}
    return plain("FluxTransformer2DModel", **settings)


_FLUX = {
    "scheduler": flow,
    "vae": part.flow_kl,
    "text_encoder": part.clip_text,
    "tokenizer": part.clip_tokenizer,
    "text_encoder_2": part.t5,
    "tokenizer_2": part.t5_tokenizer,
    "transformer": _flux(16),
    "controlnet": plain("FluxControlNetModel", **_FLUX_SIZES),
}


_SMALL = {"max_area": SIZE * SIZE, "_auto_resize": False}

FLUX = Family(
    "Flux",
    _FLUX,
    (
        Kind("FluxPipeline"),
        Kind("FluxImg2ImgPipeline", PICTURE),
        Kind("FluxInpaintPipeline", MASKED),
        Kind("FluxKontextPipeline", PICTURE, _SMALL),
        Kind("FluxKontextInpaintPipeline", MASKED, _SMALL),
        Kind("FluxControlPipeline", CONTROL, parts={"transformer": _flux(32, 16)}),
        Kind("FluxControlImg2ImgPipeline", PICTURE | CONTROL, {}, {"transformer": _flux(32, 16)}),
        Kind("FluxControlInpaintPipeline", MASKED | CONTROL, {}, {"transformer": _flux(32, 16)}),
        Kind("FluxControlNetPipeline", CONTROL),
        Kind("FluxControlNetImg2ImgPipeline", PICTURE | CONTROL),
        Kind("FluxControlNetInpaintPipeline", MASKED | CONTROL),
        Kind("FluxFillPipeline", MASKED, {}, {"transformer": _flux(48, 16)}),
    ),
    SHORT,
)

FLUX_2 = Family(
    "Flux 2 Klein",
    {
        "scheduler": flow,
        "vae": plain(
            "AutoencoderKLFlux2",
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=32,
        ),
        "text_encoder": lambda: part.decoder("Qwen3ForCausalLM"),
        "tokenizer": part.qwen_tokenizer,
        "transformer": plain(
            "Flux2Transformer2DModel",
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * HIDDEN,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
    },
    (
        Kind("Flux2KleinPipeline"),
        Kind("Flux2Pipeline", parts={"text_encoder": lambda: part.decoder("MistralForCausalLM")}),
        Kind("Flux2KleinKVPipeline"),
        Kind("Flux2KleinInpaintPipeline", MASKED),
    ),
    SHORT | {"text_encoder_out_layers": [0, 1, 2]},
)

_CHROMA_SIZES = {key: value for key, value in _FLUX_SIZES.items() if "pooled" not in key}
CHROMA = Family(
    "Chroma",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": part.t5,
        "tokenizer": part.t5_tokenizer,
        "transformer": plain(
            "ChromaTransformer2DModel",
            **_CHROMA_SIZES,
            approximator_num_channels=64,
            approximator_hidden_dim=32,
            approximator_layers=1,
        ),
    },
    (
        Kind("ChromaPipeline"),
        Kind("ChromaImg2ImgPipeline", PICTURE),
        Kind("ChromaInpaintPipeline", MASKED),
    ),
    SHORT,
)
BRIA = Family(
    "Bria",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": part.t5,
        "tokenizer": part.t5_tokenizer,
        "transformer": plain("BriaTransformer2DModel", **_CHROMA_SIZES),
    },
    (Kind("BriaPipeline"),),
    SHORT,
)
OVIS = Family(
    "Ovis-Image",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": lambda: part.decoder("Qwen3Model"),
        "tokenizer": part.qwen_tokenizer,
        "transformer": plain("OvisImageTransformer2DModel", **_CHROMA_SIZES, out_channels=16),
    },
    (Kind("OvisImagePipeline"),),
    SHORT,
)

_SD3_SIZES = {
    "sample_size": 16,
    "patch_size": 1,
    "in_channels": 4,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "caption_projection_dim": 32,
    "joint_attention_dim": 2 * HIDDEN,
    "pooled_projection_dim": 2 * HIDDEN,
    "out_channels": 4,
}
_SD3_WIDE = {
    "vae": lambda: part.flow_kl(16),
    "transformer": plain(
        "SD3Transformer2DModel", **(_SD3_SIZES | {"in_channels": 16, "out_channels": 16})
    ),
}
STABLE_DIFFUSION_3 = Family(
    "Stable Diffusion 3",
    {
        "scheduler": flow,
        "vae": part.flow_kl,
        "text_encoder": lambda: part.clip_text(projected=True),
        "tokenizer": part.clip_tokenizer,
        "text_encoder_2": lambda: part.clip_text(projected=True),
        "tokenizer_2": part.clip_tokenizer,
        "text_encoder_3": lambda: part.t5(width=2 * HIDDEN),
        "tokenizer_3": part.t5_tokenizer,
        "transformer": plain("SD3Transformer2DModel", **_SD3_SIZES),
        "controlnet": plain("SD3ControlNetModel", **_SD3_SIZES),
    },
    (
        Kind("StableDiffusion3Pipeline"),
        Kind("StableDiffusion3PAGPipeline"),
        Kind("StableDiffusion3Img2ImgPipeline", PICTURE),
        Kind("StableDiffusion3PAGImg2ImgPipeline", PICTURE),
        Kind("StableDiffusion3InpaintPipeline", MASKED, {}, _SD3_WIDE),
        Kind("StableDiffusion3ControlNetPipeline", CONTROL),
        Kind(
            "StableDiffusion3ControlNetInpaintingPipeline",
            {"control_image": cp.Image(3, SIZE, SIZE), "control_mask": cp.Image(1, SIZE, SIZE)},
            {},
            {
                "controlnet": plain(
                    "SD3ControlNetModel", **_SD3_SIZES, extra_conditioning_channels=1
                )
            },
        ),
    ),
    SHORT,
)


_QWEN_SIZES = {
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 4,
    "num_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": HIDDEN,
    "axes_dims_rope": (8, 4, 4),
}
_QWEN = {
    "scheduler": flow,
    "vae": plain(
        "AutoencoderKLQwenImage",
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ),
    "text_encoder": part.qwen_text,
    "tokenizer": part.qwen_tokenizer,
    "processor": part.qwen_processor,
    "transformer": plain("QwenImageTransformer2DModel", **_QWEN_SIZES),
    "controlnet": plain("QwenImageControlNetModel", **_QWEN_SIZES),
}
QWEN_IMAGE = Family(
    "Qwen-Image",
    _QWEN,
    (
        Kind("QwenImagePipeline"),
        Kind("QwenImageImg2ImgPipeline", PICTURE),
        Kind("QwenImageInpaintPipeline", MASKED),
        Kind("QwenImageControlNetPipeline", CONTROL),
        Kind("QwenImageEditPipeline", PICTURE),
        Kind("QwenImageEditPlusPipeline", PICTURE),
        Kind("QwenImageEditInpaintPipeline", MASKED),
        Kind(
            "QwenImageControlNetInpaintPipeline",
            CONTROL | {"control_mask": cp.Image(1, SIZE, SIZE)},
            {},
            {
                "controlnet": plain(
                    "QwenImageControlNetModel", **_QWEN_SIZES, extra_condition_channels=4
                )
            },
        ),
    ),
    SHORT,
)
