"""Pipelines of diffusers, tiny and random, by family: parts that its classes share, and how each
class is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers

import causalplug as cp
from benchmarks import tiny_parts as part
from benchmarks.tiny_parts import HIDDEN, randomised, seeded

__all__ = ["FAMILIES", "Family", "Kind", "build", "kinds"]

SIZE = 16
PICTURE = {"image": cp.Image(3, SIZE, SIZE)}
MASKED = PICTURE | {"mask_image": cp.Image(1, SIZE, SIZE)}
CONTROL = {"control_image": cp.Image(3, SIZE, SIZE)}


@dataclass(frozen=True)
class Kind:
    """One class of pipelines and how it is called.

    Attributes:
        name: The class.
        images: Arguments that read pictures.
        call: Further arguments.
        parts: Parts that differ from its family's.
        settings: Arguments of the class beside its parts.
        steps: Steps of its scheduler.
    """

    name: str
    images: Mapping[str, cp.Image] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 2


@dataclass(frozen=True)
class Family:
    """Pipelines of the same parts.

    Attributes:
        name: The family.
        parts: The maker of every part that one of its classes has.
        kinds: Its classes.
        call: Arguments that all of them are called with.
    """

    name: str
    parts: Mapping[str, Callable[[], Any]]
    kinds: tuple[Kind, ...]
    call: Mapping[str, Any] = field(default_factory=dict)


def build(family: Family, kind: Kind) -> Any:
    """The pipeline, with random weights."""
    found = getattr(diffusers, kind.name)
    takes = inspect.signature(found.__init__).parameters
    makers = {**family.parts, **kind.parts}
    given: dict[str, Any] = {}
    for name in takes:
        if name in kind.settings:
            given[name] = kind.settings[name]
        elif name in makers:
            given[name] = makers[name]()
        elif takes[name].default is inspect.Parameter.empty and name != "self":
            given[name] = None
    if "requires_safety_checker" in takes:
        given["requires_safety_checker"] = False
    return found(**given)


def kinds() -> Iterator[tuple[Family, Kind]]:
    """Every class of every family."""
    for family in FAMILIES:
        for kind in family.kinds:
            yield family, kind


def _text(*names: str) -> tuple[Kind, ...]:
    return tuple(Kind(name) for name in names)


# -- U-Nets of the Stable Diffusion family

_BLOCKS = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": HIDDEN,
    "attention_head_dim": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
}
_XL = _BLOCKS | {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": HIDDEN + 6 * 8,
    "cross_attention_dim": 2 * HIDDEN,
    "use_linear_projection": True,
    "attention_head_dim": (2, 4),
}


def _unet(settings: Mapping[str, Any] = _BLOCKS, **more: Any) -> Callable[[], Any]:
    options = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        **settings,
        **more,
    }
    return lambda: seeded(lambda: diffusers.UNet2DConditionModel(**options))


def _controlnet(settings: Mapping[str, Any] = _BLOCKS, **more: Any) -> Callable[[], Any]:
    options = {"in_channels": 4, "conditioning_embedding_out_channels": (8, 16), **settings, **more}
    return lambda: randomised(seeded(lambda: diffusers.ControlNetModel(**options)))


def _adapter() -> Any:
    return seeded(
        lambda: diffusers.T2IAdapter(
            in_channels=3,
            channels=[8, 16],
            num_res_blocks=1,
            downscale_factor=2,
            adapter_type="full_adapter",
        )
    )


_SD = {
    "vae": part.kl,
    "text_encoder": part.clip_text,
    "tokenizer": part.clip_tokenizer,
    "unet": _unet(),
    "scheduler": diffusers.DDIMScheduler,
    "controlnet": _controlnet(),
    "adapter": _adapter,
}
_SDXL = _SD | {
    "unet": _unet(_XL),
    "text_encoder_2": lambda: part.clip_text(projected=True),
    "tokenizer_2": part.clip_tokenizer,
    "scheduler": diffusers.EulerDiscreteScheduler,
    "controlnet": _controlnet(_XL),
}
_REVERSED = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
_ADAPTED = {"unet": _unet(_BLOCKS | _REVERSED)}
_ADAPTED_XL = {"unet": _unet(_XL | _REVERSED)}
_STRENGTH = {"strength": 0.8}

STABLE_DIFFUSION = Family(
    "Stable Diffusion",
    _SD,
    (
        *_text(
            "StableDiffusionPipeline",
            "StableDiffusionPAGPipeline",
            "StableDiffusionSAGPipeline",
            "StableDiffusionPanoramaPipeline",
            "SemanticStableDiffusionPipeline",
            "StableDiffusionLDM3DPipeline",
        ),
        Kind(
            "StableDiffusionAttendAndExcitePipeline", {}, {"token_indices": [2], "attn_res": [4, 4]}
        ),
        Kind(
            "StableDiffusionGLIGENPipeline",
            {},
            {"gligen_phrases": ["a cat"], "gligen_boxes": [[0.2, 0.2, 0.8, 0.8]]},
            {"unet": _unet(attention_type="gated")},
        ),
        Kind("StableDiffusionImg2ImgPipeline", PICTURE, _STRENGTH),
        Kind("StableDiffusionPAGImg2ImgPipeline", PICTURE, _STRENGTH),
        Kind("StableDiffusionInpaintPipeline", MASKED),
        Kind("StableDiffusionPAGInpaintPipeline", MASKED),
        Kind("StableDiffusionControlNetPipeline", PICTURE),
        Kind("StableDiffusionControlNetPAGPipeline", PICTURE),
        Kind("StableDiffusionControlNetImg2ImgPipeline", PICTURE | CONTROL),
        Kind("StableDiffusionControlNetInpaintPipeline", MASKED | CONTROL),
        Kind("StableDiffusionControlNetPAGInpaintPipeline", MASKED | CONTROL),
        Kind("StableDiffusionAdapterPipeline", PICTURE, parts=_ADAPTED),
        Kind(
            "StableDiffusionInstructPix2PixPipeline",
            PICTURE,
            parts={"unet": _unet(in_channels=8)},
        ),
        Kind(
            "StableDiffusionUpscalePipeline",
            PICTURE,
            {"noise_level": 20},
            {
                "unet": _unet(in_channels=7, num_class_embeds=1000),
                "low_res_scheduler": diffusers.DDPMScheduler,
            },
            {"max_noise_level": 350},
        ),
    ),
    {"height": SIZE, "width": SIZE},
)
LCM = Family(
    "Latent consistency",
    _SD | {"scheduler": diffusers.LCMScheduler, "unet": _unet(time_cond_proj_dim=32)},
    (
        Kind("LatentConsistencyModelPipeline"),
        Kind("LatentConsistencyModelImg2ImgPipeline", PICTURE),
    ),
)
STABLE_DIFFUSION_XL = Family(
    "Stable Diffusion XL",
    _SDXL,
    (
        Kind("StableDiffusionXLPipeline"),
        Kind("StableDiffusionXLPAGPipeline"),
        Kind("StableDiffusionXLImg2ImgPipeline", PICTURE, _STRENGTH),
        Kind("StableDiffusionXLPAGImg2ImgPipeline", PICTURE, _STRENGTH),
        Kind("StableDiffusionXLInpaintPipeline", MASKED),
        Kind("StableDiffusionXLPAGInpaintPipeline", MASKED),
        Kind("StableDiffusionXLControlNetPipeline", PICTURE),
        Kind("StableDiffusionXLControlNetPAGPipeline", PICTURE),
        Kind("StableDiffusionXLControlNetImg2ImgPipeline", PICTURE | CONTROL),
        Kind("StableDiffusionXLControlNetInpaintPipeline", MASKED | CONTROL),
        Kind("StableDiffusionXLAdapterPipeline", PICTURE, parts=_ADAPTED_XL),
        Kind(
            "StableDiffusionXLInstructPix2PixPipeline",
            PICTURE,
            parts={"unet": _unet(_XL, in_channels=8)},
        ),
    ),
    {"height": SIZE, "width": SIZE},
)

# -- transformers with flow matching


def _flow() -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler()


def _plain(name: str, spread: float = 0.02, **settings: Any) -> Callable[[], Any]:
    """The maker of a network by its class."""
    found = getattr(diffusers, name)
    return lambda: randomised(seeded(lambda: found(**settings)), spread)


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
    return _plain("FluxTransformer2DModel", **settings)


_FLUX = {
    "scheduler": _flow,
    "vae": part.flow_kl,
    "text_encoder": part.clip_text,
    "tokenizer": part.clip_tokenizer,
    "text_encoder_2": part.t5,
    "tokenizer_2": part.t5_tokenizer,
    "transformer": _flux(16),
    "controlnet": _plain("FluxControlNetModel", **_FLUX_SIZES),
}
_SHORT = {"height": SIZE, "width": SIZE, "max_sequence_length": 16}

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
    _SHORT,
)

_CHROMA_SIZES = {key: value for key, value in _FLUX_SIZES.items() if "pooled" not in key}
CHROMA = Family(
    "Chroma",
    {
        "scheduler": _flow,
        "vae": part.flow_kl,
        "text_encoder": part.t5,
        "tokenizer": part.t5_tokenizer,
        "transformer": _plain(
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
    _SHORT,
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
    "transformer": _plain(
        "SD3Transformer2DModel", **(_SD3_SIZES | {"in_channels": 16, "out_channels": 16})
    ),
}
STABLE_DIFFUSION_3 = Family(
    "Stable Diffusion 3",
    {
        "scheduler": _flow,
        "vae": part.flow_kl,
        "text_encoder": lambda: part.clip_text(projected=True),
        "tokenizer": part.clip_tokenizer,
        "text_encoder_2": lambda: part.clip_text(projected=True),
        "tokenizer_2": part.clip_tokenizer,
        "text_encoder_3": lambda: part.t5(width=2 * HIDDEN),
        "tokenizer_3": part.t5_tokenizer,
        "transformer": _plain("SD3Transformer2DModel", **_SD3_SIZES),
        "controlnet": _plain("SD3ControlNetModel", **_SD3_SIZES),
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
                "controlnet": _plain(
                    "SD3ControlNetModel", **_SD3_SIZES, extra_conditioning_channels=1
                )
            },
        ),
    ),
    _SHORT,
)

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
    "scheduler": _flow,
    "vae": _plain("AutoencoderDC", **_DC),
    "text_encoder": part.gemma,
    "tokenizer": part.gemma_tokenizer,
    "transformer": _plain("SanaTransformer2DModel", **_SANA_SIZES),
    "controlnet": _plain("SanaControlNetModel", **_SANA_SIZES),
}
_SANA_CALL = _SHORT | {
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
                "transformer": _plain("SanaTransformer2DModel", **_SANA_SIZES, **_SPRINT),
                "scheduler": diffusers.SCMScheduler,
            },
        ),
        Kind(
            "SanaSprintImg2ImgPipeline",
            PICTURE,
            {},
            {
                "transformer": _plain("SanaTransformer2DModel", **_SANA_SIZES, **_SPRINT),
                "scheduler": diffusers.SCMScheduler,
            },
        ),
    ),
    _SANA_CALL,
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
    "scheduler": _flow,
    "vae": _plain(
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
    "transformer": _plain("QwenImageTransformer2DModel", **_QWEN_SIZES),
    "controlnet": _plain("QwenImageControlNetModel", **_QWEN_SIZES),
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
    ),
    _SHORT,
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
_T5_TEXT = {"text_encoder": part.t5, "tokenizer": part.t5_tokenizer}
PIXART = Family(
    "PixArt",
    _T5_TEXT
    | {
        "vae": part.kl,
        "scheduler": diffusers.DDIMScheduler,
        "transformer": _plain("PixArtTransformer2DModel", **_PIXART_SIZES),
    },
    _text("PixArtAlphaPipeline", "PixArtSigmaPipeline", "PixArtSigmaPAGPipeline"),
    _SHORT | {"use_resolution_binning": False},
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
        "scheduler": diffusers.DDPMScheduler,
        "text_encoder": part.bert,
        "tokenizer": part.bert_tokenizer,
        "text_encoder_2": part.t5,
        "tokenizer_2": part.t5_tokenizer,
        "transformer": _plain("HunyuanDiT2DModel", num_layers=4, **_DIT_SIZES),
        "controlnet": _plain("HunyuanDiT2DControlNetModel", transformer_num_layers=4, **_DIT_SIZES),
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
        "scheduler": _flow,
        "text_encoder": part.gemma,
        "tokenizer": part.gemma_tokenizer,
        "transformer": _plain(
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
    _text("LuminaPipeline"),
    _SHORT,
)
LUMINA_2 = Family(
    "Lumina 2",
    LUMINA.parts
    | {
        "transformer": _plain(
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
    _text("Lumina2Pipeline"),
    _SHORT,
)
AURA_FLOW = Family(
    "AuraFlow",
    {
        "vae": part.kl,
        "scheduler": _flow,
        "text_encoder": lambda: part.t5("UMT5EncoderModel"),
        "tokenizer": part.t5_tokenizer,
        "transformer": _plain(
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
    _text("AuraFlowPipeline"),
    _SHORT,
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
    _T5_TEXT
    | {
        "vae": part.kl,
        "scheduler": lambda: diffusers.CogVideoXDDIMScheduler(
            prediction_type="v_prediction", rescale_betas_zero_snr=True
        ),
        "transformer": _plain(
            "CogView3PlusTransformer2DModel", **_COGVIEW_SIZES, pos_embed_max_size=8, sample_size=8
        ),
    },
    _text("CogView3PlusPipeline"),
    _SHORT,
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
        "transformer": _plain("CogView4Transformer2DModel", **_COGVIEW_4),
    },
    (
        Kind("CogView4Pipeline"),
        Kind(
            "CogView4ControlPipeline",
            CONTROL,
            parts={
                "transformer": _plain(
                    "CogView4Transformer2DModel", **(_COGVIEW_4 | {"in_channels": 8})
                )
            },
        ),
    ),
    _SHORT,
)

_Z_SIZES = {
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
Z_IMAGE = Family(
    "Z-Image",
    {
        "scheduler": _flow,
        "vae": part.flow_kl,
        "text_encoder": lambda: part.decoder("Qwen3Model"),
        "tokenizer": part.qwen_tokenizer,
        "transformer": _plain("ZImageTransformer2DModel", **_Z_SIZES),
    },
    (
        Kind("ZImagePipeline"),
        Kind("ZImageImg2ImgPipeline", PICTURE),
        Kind("ZImageInpaintPipeline", MASKED),
    ),
    _SHORT | {"cfg_normalization": False},
)

# -- without text


def _unet2d(classes: int | None = None, channels: int = 3, **settings: Any) -> Callable[[], Any]:
    return lambda: seeded(
        lambda: diffusers.UNet2DModel(
            sample_size=8,
            in_channels=channels,
            out_channels=channels,
            layers_per_block=1,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            num_class_embeds=classes,
            **settings,
        )
    )


UNCONDITIONAL = Family(
    "Unconditional",
    {"unet": _unet2d(), "scheduler": diffusers.DDIMScheduler},
    (
        Kind("DDPMPipeline", parts={"scheduler": diffusers.DDPMScheduler}),
        Kind("DDIMPipeline"),
        Kind(
            "ConsistencyModelPipeline",
            parts={"unet": _unet2d(4), "scheduler": diffusers.CMStochasticIterativeScheduler},
        ),
        Kind("LDMPipeline", parts={"vqvae": part.vq, "unet": _unet2d(channels=4)}),
        Kind("KarrasVePipeline", parts={"scheduler": diffusers.KarrasVeScheduler}),
        Kind("PNDMPipeline", parts={"scheduler": diffusers.PNDMScheduler}, steps=6),
        Kind("ScoreSdeVePipeline", parts={"scheduler": diffusers.ScoreSdeVeScheduler}),
    ),
)
DIT = Family(
    "DiT",
    {
        "vae": part.kl,
        "scheduler": diffusers.DDIMScheduler,
        "transformer": _plain(
            "DiTTransformer2DModel",
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=1,
            sample_size=8,
            patch_size=2,
            num_embeds_ada_norm=1000,
        ),
    },
    _text("DiTPipeline"),
)

# -- Kandinsky, DeepFloyd IF


def _movq() -> Any:
    return seeded(
        lambda: diffusers.VQModel(
            block_out_channels=(32, 64),
            norm_num_groups=8,
            latent_channels=4,
            num_vq_embeddings=12,
            vq_embed_dim=4,
            norm_type="spatial",
            down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
            up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        )
    )


_DECODER = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 8,
    "addition_embed_type": "image",
    "encoder_hid_dim": HIDDEN,
    "encoder_hid_dim_type": "image_proj",
    "cross_attention_dim": HIDDEN,
    "class_embed_type": None,
    "attention_head_dim": 4,
    "layers_per_block": 1,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "resnet_time_scale_shift": "scale_shift",
}
_PRIOR_STEPS = {"prior_num_inference_steps": 2, "height": 2 * SIZE, "width": 2 * SIZE}
KANDINSKY_22 = Family(
    "Kandinsky 2.2",
    {
        "unet": lambda: seeded(lambda: diffusers.UNet2DConditionModel(**_DECODER)),
        "scheduler": lambda: diffusers.DDPMScheduler(
            beta_schedule="linear", variance_type="learned_range", clip_sample=False
        ),
        "movq": _movq,
        "prior_prior": lambda: seeded(
            lambda: diffusers.PriorTransformer(
                num_attention_heads=2,
                attention_head_dim=12,
                embedding_dim=HIDDEN,
                num_layers=1,
            )
        ),
        "prior_image_encoder": part.clip_vision,
        "prior_text_encoder": lambda: part.clip_text(projected=True),
        "prior_tokenizer": part.clip_tokenizer,
        "prior_scheduler": lambda: diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log",
            prediction_type="sample",
            num_train_timesteps=1000,
            clip_sample=True,
            clip_sample_range=5.0,
        ),
        "prior_image_processor": part.clip_processor,
    },
    (
        Kind("KandinskyV22CombinedPipeline"),
        Kind("KandinskyV22Img2ImgCombinedPipeline", PICTURE, {"strength": 0.9}),
        Kind(
            "KandinskyV22InpaintCombinedPipeline",
            MASKED,
            {},
            {
                "unet": lambda: seeded(
                    lambda: diffusers.UNet2DConditionModel(**(_DECODER | {"in_channels": 9}))
                )
            },
        ),
        Kind("KandinskyV22Pipeline"),
    ),
    _PRIOR_STEPS,
)
KANDINSKY_3 = Family(
    "Kandinsky 3",
    _T5_TEXT
    | {
        "unet": lambda: seeded(
            lambda: diffusers.Kandinsky3UNet(
                in_channels=4,
                time_embedding_dim=4,
                groups=2,
                attention_head_dim=4,
                layers_per_block=3,
                block_out_channels=(32, 64),
                cross_attention_dim=4,
                encoder_hid_dim=HIDDEN,
            )
        ),
        "scheduler": lambda: diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        "movq": _movq,
    },
    (Kind("Kandinsky3Pipeline"), Kind("Kandinsky3Img2ImgPipeline", PICTURE, {"strength": 0.9})),
    {"height": SIZE, "width": SIZE},
)
_IF = {
    "sample_size": 16,
    "in_channels": 3,
    "out_channels": 6,
    "layers_per_block": 1,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "cross_attention_dim": HIDDEN,
    "encoder_hid_dim": HIDDEN,
    "attention_head_dim": 4,
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 2,
    "resnet_time_scale_shift": "scale_shift",
    "act_fn": "gelu",
}
DEEPFLOYD_IF = Family(
    "DeepFloyd IF",
    _T5_TEXT
    | {
        "unet": lambda: seeded(lambda: diffusers.UNet2DConditionModel(**_IF)),
        "scheduler": lambda: diffusers.DDPMScheduler(
            beta_schedule="squaredcos_cap_v2", variance_type="learned_range", thresholding=True
        ),
    },
    (
        Kind("IFPipeline", call={"height": SIZE, "width": SIZE, "clean_caption": False}),
        Kind("IFImg2ImgPipeline", PICTURE, {"clean_caption": False}),
        Kind("IFInpaintingPipeline", MASKED, {"clean_caption": False}),
    ),
)
VARIATION = Family(
    "Image variation",
    _SD | {"image_encoder": part.clip_vision, "feature_extractor": part.clip_processor},
    (
        Kind("StableDiffusionImageVariationPipeline", PICTURE),
        Kind(
            "StableDiffusionLatentUpscalePipeline",
            PICTURE,
            {},
            {"scheduler": diffusers.EulerDiscreteScheduler},
        ),
    ),
    {"height": SIZE, "width": SIZE},
)

FAMILIES = (
    STABLE_DIFFUSION,
    LCM,
    STABLE_DIFFUSION_XL,
    FLUX,
    CHROMA,
    STABLE_DIFFUSION_3,
    SANA,
    QWEN_IMAGE,
    PIXART,
    HUNYUAN_DIT,
    LUMINA,
    LUMINA_2,
    AURA_FLOW,
    COGVIEW_3,
    COGVIEW_4,
    Z_IMAGE,
    KANDINSKY_22,
    KANDINSKY_3,
    DEEPFLOYD_IF,
    VARIATION,
    UNCONDITIONAL,
    DIT,
)
