"""Latent diffusion before Stable Diffusion, painting by an example, and editing by difference."""

from __future__ import annotations

from typing import Any

import causalplug as cp
from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import MASKED, SIZE, Family, Kind, scheduler
from benchmarks.tiny_pipelines.parts import HIDDEN, seeded
from benchmarks.tiny_pipelines.stable_diffusion import unet

__all__ = ["EXAMPLE", "LATENT_DIFFUSION"]


def _bert() -> Any:
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import (
        LDMBertConfig,
        LDMBertModel,
    )

    config = LDMBertConfig(
        vocab_size=64,
        encoder_layers=1,
        encoder_ffn_dim=37,
        encoder_attention_heads=4,
        head_dim=8,
        d_model=HIDDEN,
    )
    return seeded(lambda: LDMBertModel(config).eval())


def _example() -> Any:
    from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder

    config = part.clip_vision_config(layers=5)
    return seeded(lambda: PaintByExampleImageEncoder(config, proj_size=HIDDEN).eval())


LATENT_DIFFUSION = Family(
    "Latent diffusion",
    {
        "vqvae": part.kl,
        "bert": _bert,
        "tokenizer": part.bert_tokenizer,
        "unet": unet(),
        "scheduler": scheduler("DDIMScheduler"),
    },
    (Kind("LDMTextToImagePipeline"),),
    {"height": SIZE, "width": SIZE},
)
EXAMPLE = Family(
    "Paint by example",
    {
        "vae": part.kl,
        "image_encoder": _example,
        "unet": unet(in_channels=9),
        "scheduler": scheduler("DDIMScheduler"),
        "feature_extractor": part.clip_processor,
    },
    (Kind("PaintByExamplePipeline", MASKED | {"example_image": cp.Image(3, SIZE, SIZE)}),),
    {"height": SIZE, "width": SIZE},
)
