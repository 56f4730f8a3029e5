"""Kandinsky, in its stages, and DeepFloyd IF."""

from __future__ import annotations

from typing import Any

import diffusers

import causalplug as cp
from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import (
    MASKED,
    PICTURE,
    SIZE,
    T5_TEXT,
    Family,
    Kind,
)
from benchmarks.tiny_pipelines.parts import HIDDEN, seeded

__all__ = ["DEEPFLOYD_IF", "KANDINSKY", "KANDINSKY_3", "KANDINSKY_22"]


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
        Kind("KandinskyV22Img2ImgPipeline", PICTURE),
        Kind("KandinskyV22InpaintPipeline", MASKED),
        Kind("KandinskyV22ControlnetPipeline"),
        Kind("KandinskyV22ControlnetImg2ImgPipeline", PICTURE),
    ),
    _PRIOR_STEPS,
)


def _multilingual() -> Any:
    from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP

    config = MCLIPConfig(
        transformerDimSize=HIDDEN,
        imageDimSize=HIDDEN,
        vocab_size=64,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=37,
    )
    return seeded(lambda: MultilingualCLIP(config).eval())


_BY_TEXT = _DECODER | {
    "addition_embed_type": "text_image",
    "encoder_hid_dim_type": "text_image_proj",
}


def _text_unet(channels: int = 4) -> Any:
    settings = _BY_TEXT | {"in_channels": channels}
    return seeded(lambda: diffusers.UNet2DConditionModel(**settings))


KANDINSKY = Family(
    "Kandinsky",
    KANDINSKY_22.parts
    | {
        "unet": _text_unet,
        "text_encoder": _multilingual,
        "tokenizer": part.roberta_tokenizer,
        "scheduler": lambda: diffusers.DDIMScheduler(
            beta_schedule="linear", clip_sample=False, set_alpha_to_one=False
        ),
    },
    (
        Kind("KandinskyCombinedPipeline"),
        Kind("KandinskyImg2ImgCombinedPipeline", PICTURE, {"strength": 0.9}),
        Kind("KandinskyInpaintCombinedPipeline", MASKED, {}, {"unet": lambda: _text_unet(9)}),
        Kind("KandinskyPipeline"),
        Kind("KandinskyImg2ImgPipeline", PICTURE),
        Kind("KandinskyInpaintPipeline", MASKED),
    ),
    _PRIOR_STEPS,
)
KANDINSKY_3 = Family(
    "Kandinsky 3",
    T5_TEXT
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
_SECOND = {
    "unet": lambda: seeded(
        lambda: diffusers.UNet2DConditionModel(
            **(_IF | {"in_channels": 6, "class_embed_type": "timestep"})
        )
    ),
    "image_noising_scheduler": lambda: diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
}


def _watermark() -> Any:
    from diffusers.pipelines.deepfloyd_if.watermark import IFWatermarker

    return IFWatermarker()


_MARKED = {"watermarker": _watermark}
_LARGER = {"height": SIZE, "width": SIZE, "clean_caption": False, "noise_level": 20}
_ORIGINAL = PICTURE | {"original_image": cp.Image(3, SIZE, SIZE)}
DEEPFLOYD_IF = Family(
    "DeepFloyd IF",
    T5_TEXT
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
        Kind("IFSuperResolutionPipeline", PICTURE, _LARGER, _SECOND),
        Kind("IFImg2ImgSuperResolutionPipeline", _ORIGINAL, _LARGER, _SECOND | _MARKED),
        Kind(
            "IFInpaintingSuperResolutionPipeline",
            _ORIGINAL | {"mask_image": cp.Image(1, SIZE, SIZE)},
            _LARGER,
            _SECOND,
        ),
    ),
)
