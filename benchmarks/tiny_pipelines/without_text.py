"""Pipelines without text: unconditional ones, and DiT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers

import causalplug as cp
from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import (
    Family,
    Kind,
    plain,
    scheduler,
    text,
)
from benchmarks.tiny_pipelines.parts import seeded

__all__ = ["DIT", "UNCONDITIONAL"]


def _unet2d(
    classes: int | None = None, channels: int = 3, out: int | None = None, size: int = 8
) -> Callable[[], Any]:
    return lambda: seeded(
        lambda: diffusers.UNet2DModel(
            sample_size=size,
            in_channels=channels,
            out_channels=out or channels,
            layers_per_block=1,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            num_class_embeds=classes,
        )
    )


_LARGER = cp.Image(3, 32, 32)
UNCONDITIONAL = Family(
    "Unconditional",
    {"unet": _unet2d(), "scheduler": scheduler("DDIMScheduler")},
    (
        Kind("DDPMPipeline", parts={"scheduler": scheduler("DDPMScheduler")}),
        Kind("DDIMPipeline"),
        Kind(
            "ConsistencyModelPipeline",
            parts={"unet": _unet2d(4), "scheduler": scheduler("CMStochasticIterativeScheduler")},
        ),
        Kind("LDMPipeline", parts={"vqvae": part.vq, "unet": _unet2d(channels=4)}),
        Kind("KarrasVePipeline", parts={"scheduler": scheduler("KarrasVeScheduler")}),
        Kind("PNDMPipeline", parts={"scheduler": scheduler("PNDMScheduler")}, steps=6),
        Kind("ScoreSdeVePipeline", parts={"scheduler": scheduler("ScoreSdeVeScheduler")}),
        Kind(
            "RePaintPipeline",
            {"image": _LARGER, "mask_image": cp.Image(1, 32, 32)},
            {"jump_length": 1, "jump_n_sample": 1},
            {"scheduler": scheduler("RePaintScheduler"), "unet": _unet2d(size=32)},
        ),
        Kind(
            "LDMSuperResolutionPipeline",
            {"image": _LARGER},
            parts={"vqvae": lambda: part.vq(3), "unet": _unet2d(out=3, channels=6)},
        ),
    ),
)
DIT = Family(
    "DiT",
    {
        "vae": part.kl,
        "scheduler": scheduler("DDIMScheduler"),
        "transformer": plain(
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
    text("DiTPipeline"),
)
