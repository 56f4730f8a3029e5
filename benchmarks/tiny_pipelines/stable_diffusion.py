"""U-Nets that read the text by cross-attention: Stable Diffusion and its kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers

import causalplug as cp
from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import (
    CONTROL,
    MASKED,
    PICTURE,
    SIZE,
    Family,
    Kind,
    scheduler,
    text,
)
from benchmarks.tiny_pipelines.parts import HIDDEN, randomised, seeded

__all__ = ["LCM", "STABLE_DIFFUSION", "STABLE_DIFFUSION_XL", "VARIATION", "unet"]

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


def unet(settings: Mapping[str, Any] = _BLOCKS, **more: Any) -> Callable[[], Any]:
    """The maker of a U-Net of Stable Diffusion."""
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


def _union() -> Any:
    settings = _XL | {
        "in_channels": 4,
        "conditioning_embedding_out_channels": (8, 16),
        "num_control_type": 6,
        "num_trans_channel": 8,
        "num_trans_head": 2,
        "num_trans_layer": 1,
        "num_proj_channel": 8,
    }
    return randomised(seeded(lambda: diffusers.ControlNetUnionModel(**settings)))


def _beside(settings: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """A U-Net and a ControlNet-XS, which follows its blocks."""
    network = unet(settings | {"layers_per_block": 2})

    def adapter() -> Any:
        found = diffusers.ControlNetXSAdapter
        return found.from_unet(network(), size_ratio=1, conditioning_embedding_out_channels=(8, 16))

    return {"unet": network, "controlnet": lambda: randomised(seeded(adapter))}


_SD = {
    "vae": part.kl,
    "text_encoder": part.clip_text,
    "tokenizer": part.clip_tokenizer,
    "unet": unet(),
    "scheduler": scheduler("DDIMScheduler"),
    "controlnet": _controlnet(),
    "adapter": _adapter,
}
_SDXL = _SD | {
    "unet": unet(_XL),
    "text_encoder_2": lambda: part.clip_text(projected=True),
    "tokenizer_2": part.clip_tokenizer,
    "scheduler": scheduler("EulerDiscreteScheduler"),
    "controlnet": _controlnet(_XL),
}
_REVERSED = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
_ADAPTED = {"unet": unet(_BLOCKS | _REVERSED)}
_ADAPTED_XL = {"unet": unet(_XL | _REVERSED)}
_STRENGTH = {"strength": 0.8}
_UNION = {"controlnet": _union}
_MODE = {"control_mode": 0}

STABLE_DIFFUSION = Family(
    "Stable Diffusion",
    _SD,
    (
        *text(
            "StableDiffusionPipeline",
            "StableDiffusionPAGPipeline",
            "StableDiffusionSAGPipeline",
            "StableDiffusionPanoramaPipeline",
            "SemanticStableDiffusionPipeline",
            "StableDiffusionLDM3DPipeline",
            "StableDiffusionModelEditingPipeline",
        ),
        Kind(
            "StableDiffusionParadigmsPipeline",
            {},
            {"parallel": 1},
            {"scheduler": lambda: diffusers.DDIMParallelScheduler(set_alpha_to_one=False)},
        ),
        Kind(
            "CycleDiffusionPipeline",
            PICTURE,
            _STRENGTH | {"source_prompt": "a cat"},
            {"scheduler": lambda: diffusers.DDIMScheduler(set_alpha_to_one=False)},
        ),
        Kind("StableDiffusionControlNetXSPipeline", PICTURE, parts=_beside(_BLOCKS)),
        Kind(
            "StableDiffusionDepth2ImgPipeline",
            PICTURE,
            _STRENGTH,
            {
                "unet": unet(in_channels=5),
                "depth_estimator": part.depth,
                "feature_extractor": part.depth_processor,
            },
        ),
        Kind(
            "StableDiffusionAttendAndExcitePipeline", {}, {"token_indices": [2], "attn_res": [4, 4]}
        ),
        Kind(
            "StableDiffusionGLIGENPipeline",
            {},
            {"gligen_phrases": ["a cat"], "gligen_boxes": [[0.2, 0.2, 0.8, 0.8]]},
            {"unet": unet(attention_type="gated")},
        ),
        Kind(
            "StableDiffusionDiffEditPipeline",
            {"mask_image": cp.Image(1, SIZE, SIZE)},
            {},
            {"inverse_scheduler": scheduler("DDIMInverseScheduler")},
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
            parts={"unet": unet(in_channels=8)},
        ),
        Kind(
            "StableDiffusionUpscalePipeline",
            PICTURE,
            {"noise_level": 20},
            {
                "unet": unet(in_channels=7, num_class_embeds=1000),
                "low_res_scheduler": scheduler("DDPMScheduler"),
            },
            {"max_noise_level": 350},
        ),
    ),
    {"height": SIZE, "width": SIZE},
)
LCM = Family(
    "Latent consistency",
    _SD | {"scheduler": scheduler("LCMScheduler"), "unet": unet(time_cond_proj_dim=32)},
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
        Kind("StableDiffusionXLControlNetPAGImg2ImgPipeline", PICTURE | CONTROL),
        Kind("StableDiffusionXLControlNetXSPipeline", PICTURE, parts=_beside(_XL)),
        Kind("StableDiffusionXLControlNetUnionPipeline", CONTROL, _MODE, _UNION),
        Kind("StableDiffusionXLControlNetUnionImg2ImgPipeline", PICTURE | CONTROL, _MODE, _UNION),
        Kind("StableDiffusionXLControlNetUnionInpaintPipeline", MASKED | CONTROL, _MODE, _UNION),
        Kind("StableDiffusionXLAdapterPipeline", PICTURE, parts=_ADAPTED_XL),
        Kind(
            "StableDiffusionXLInstructPix2PixPipeline",
            PICTURE,
            parts={"unet": unet(_XL, in_channels=8)},
        ),
    ),
    {"height": SIZE, "width": SIZE},
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
            {"scheduler": scheduler("EulerDiscreteScheduler")},
        ),
    ),
    {"height": SIZE, "width": SIZE},
)
