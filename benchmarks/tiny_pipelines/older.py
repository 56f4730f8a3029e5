"""Pipelines of the first years: AltDiffusion, VQ Diffusion, Versatile Diffusion, and films without
training, of one frame."""

from __future__ import annotations

from typing import Any

from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import PICTURE, SIZE, Family, Kind, plain, scheduler
from benchmarks.tiny_pipelines.parts import HIDDEN, randomised, seeded
from benchmarks.tiny_pipelines.stable_diffusion import STABLE_DIFFUSION, STABLE_DIFFUSION_XL, unet

__all__ = ["ALT_DIFFUSION", "VERSATILE", "VQ_DIFFUSION", "ZERO_SHOT"]


def _roberta() -> Any:
    from diffusers.pipelines.deprecated.alt_diffusion.modeling_roberta_series import (
        RobertaSeriesConfig,
        RobertaSeriesModelWithTransformation,
    )

    config = RobertaSeriesConfig(
        vocab_size=64,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=37,
        project_dim=HIDDEN,
        pad_token_id=1,
        max_position_embeddings=80,
    )
    return seeded(lambda: RobertaSeriesModelWithTransformation(config).eval())


ALT_DIFFUSION = Family(
    "AltDiffusion",
    STABLE_DIFFUSION.parts | {"text_encoder": _roberta, "tokenizer": part.roberta_tokenizer},
    (Kind("AltDiffusionPipeline"), Kind("AltDiffusionImg2ImgPipeline", PICTURE, {"strength": 0.8})),
    {"height": SIZE, "width": SIZE},
)


def _embeddings() -> Any:
    from diffusers.pipelines.deprecated.vq_diffusion.pipeline_vq_diffusion import (
        LearnedClassifierFreeSamplingEmbeddings,
    )

    return LearnedClassifierFreeSamplingEmbeddings(learnable=False)


VQ_DIFFUSION = Family(
    "VQ Diffusion",
    {
        "vqvae": lambda: part.vq(4),
        "text_encoder": part.clip_text,
        "tokenizer": part.clip_tokenizer,
        "transformer": plain(
            "Transformer2DModel",
            num_attention_heads=2,
            attention_head_dim=8,
            num_vector_embeds=17,
            num_embeds_ada_norm=12,
            cross_attention_dim=HIDDEN,
            norm_num_groups=4,
            activation_fn="geglu-approximate",
            norm_type="ada_norm",
            sample_size=8,
        ),
        "scheduler": scheduler("VQDiffusionScheduler", num_vec_classes=17, num_train_timesteps=12),
        "learned_classifier_free_sampling_embeddings": _embeddings,
    },
    (Kind("VQDiffusionPipeline"),),
)


def _flat() -> Any:
    from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import (
        UNetFlatConditionModel,
    )

    made = seeded(
        lambda: UNetFlatConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=HIDDEN,
            attention_head_dim=4,
            down_block_types=("DownBlockFlat", "CrossAttnDownBlockFlat"),
            up_block_types=("CrossAttnUpBlockFlat", "UpBlockFlat"),
        )
    )
    return randomised(made, 0.02)


VERSATILE = Family(
    "Versatile Diffusion",
    {
        "tokenizer": part.clip_tokenizer,
        "text_encoder": lambda: part.clip_text(projected=True),
        "image_encoder": part.clip_vision,
        "image_feature_extractor": part.clip_processor,
        "image_unet": unet(),
        "text_unet": _flat,
        "vae": part.kl,
        "scheduler": scheduler("DDIMScheduler"),
    },
    (
        Kind("VersatileDiffusionTextToImagePipeline"),
        Kind("VersatileDiffusionImageVariationPipeline", PICTURE),
        Kind("VersatileDiffusionDualGuidedPipeline", PICTURE),
    ),
    {"height": SIZE, "width": SIZE},
)
ZERO_SHOT = Family(
    "Films without training",
    STABLE_DIFFUSION.parts,
    (
        Kind("TextToVideoZeroPipeline"),
        Kind("TextToVideoZeroSDXLPipeline", parts=STABLE_DIFFUSION_XL.parts),
    ),
    {"height": SIZE, "width": SIZE, "video_length": 1, "t0": 0, "t1": 1},
)
