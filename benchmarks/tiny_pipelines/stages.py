"""Pipelines of several stages: Würstchen, Stable Cascade, unCLIP; and those of masked tokens."""

from __future__ import annotations

from typing import Any

import diffusers

from benchmarks.tiny_pipelines import parts as part
from benchmarks.tiny_pipelines.family import MASKED, PICTURE, SIZE, Family, Kind
from benchmarks.tiny_pipelines.parts import HIDDEN, randomised, seeded

__all__ = ["AMUSED", "CASCADE", "STABLE_UNCLIP", "UNCLIP", "WUERSTCHEN"]


def _paella() -> Any:
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

    return seeded(
        lambda: PaellaVQModel(
            bottleneck_blocks=1, num_vq_embeddings=12, embed_dim=16, latent_channels=4
        )
    )


def _wuerstchen_decoder() -> Any:
    from diffusers.pipelines.deprecated.wuerstchen import WuerstchenDiffNeXt

    made = seeded(
        lambda: WuerstchenDiffNeXt(
            c_cond=HIDDEN,
            c_hidden=[32],
            c_r=8,
            nhead=[2],
            blocks=[1],
            level_config=["CT"],
            inject_effnet=[False],
            clip_embd=HIDDEN,
            effnet_embd=4,
        )
    )
    return randomised(made)


def _wuerstchen_prior() -> Any:
    from diffusers.pipelines.deprecated.wuerstchen import WuerstchenPrior

    made = seeded(lambda: WuerstchenPrior(c_in=4, c=16, c_cond=HIDDEN, c_r=8, depth=1, nhead=2))
    return randomised(made)


def _steps() -> Any:
    return diffusers.DDPMWuerstchenScheduler()


_WIDE = {"height": 128, "width": 128, "prior_num_inference_steps": 2}
WUERSTCHEN = Family(
    "Würstchen",
    {
        "tokenizer": part.clip_tokenizer,
        "text_encoder": part.clip_text,
        "decoder": _wuerstchen_decoder,
        "scheduler": _steps,
        "vqgan": _paella,
        "prior_tokenizer": part.clip_tokenizer,
        "prior_text_encoder": part.clip_text,
        "prior_prior": _wuerstchen_prior,
        "prior_scheduler": _steps,
    },
    (Kind("WuerstchenCombinedPipeline"), Kind("WuerstchenDecoderPipeline")),
    _WIDE,
)


def _cascade(**settings: Any) -> Any:
    made = seeded(
        lambda: diffusers.StableCascadeUNet(
            conditioning_dim=32,
            block_out_channels=(32, 32),
            num_attention_heads=(2, 2),
            down_num_layers_per_block=(1, 1),
            up_num_layers_per_block=(1, 1),
            clip_text_pooled_in_channels=HIDDEN,
            timestep_ratio_embedding_dim=8,
            clip_seq=1,
            dropout=(0.0, 0.0),
            **settings,
        )
    )
    return randomised(made)


CASCADE = Family(
    "Stable Cascade",
    {
        "tokenizer": part.clip_tokenizer,
        "text_encoder": lambda: part.clip_text(projected=True),
        "decoder": lambda: _cascade(
            in_channels=4, out_channels=4, patch_size=2, effnet_in_channels=16
        ),
        "scheduler": _steps,
        "vqgan": _paella,
        "prior_tokenizer": part.clip_tokenizer,
        "prior_text_encoder": lambda: part.clip_text(projected=True),
        "prior_prior": lambda: _cascade(
            in_channels=16,
            out_channels=16,
            clip_text_in_channels=HIDDEN,
            clip_image_in_channels=HIDDEN,
            switch_level=(False,),
        ),
        "prior_scheduler": _steps,
    },
    (Kind("StableCascadeCombinedPipeline"), Kind("StableCascadeDecoderPipeline")),
    _WIDE,
)


def _text_projection() -> Any:
    from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel

    return seeded(
        lambda: UnCLIPTextProjModel(
            clip_embeddings_dim=HIDDEN, time_embed_dim=32, cross_attention_dim=16
        )
    )


def _normalizer() -> Any:
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )

    return StableUnCLIPImageNormalizer(embedding_dim=HIDDEN)


def _prior() -> Any:
    return seeded(
        lambda: diffusers.PriorTransformer(
            num_attention_heads=2, attention_head_dim=12, embedding_dim=HIDDEN, num_layers=1
        )
    )


def _steps_of_prior() -> Any:
    return diffusers.UnCLIPScheduler(
        variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000
    )


def _larger() -> Any:
    return seeded(
        lambda: diffusers.UNet2DModel(
            sample_size=SIZE,
            layers_per_block=1,
            block_out_channels=(8, 16),
            norm_num_groups=4,
            down_block_types=("ResnetDownsampleBlock2D", "ResnetDownsampleBlock2D"),
            up_block_types=("ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D"),
            in_channels=6,
            out_channels=3,
        )
    )


_DECODER = {
    "sample_size": 8,
    "in_channels": 3,
    "out_channels": 6,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "cross_attention_dim": 16,
    "attention_head_dim": 4,
    "resnet_time_scale_shift": "scale_shift",
    "class_embed_type": "identity",
}
UNCLIP = Family(
    "unCLIP",
    {
        "prior": _prior,
        "decoder": lambda: seeded(lambda: diffusers.UNet2DConditionModel(**_DECODER)),
        "text_encoder": lambda: part.clip_text(projected=True),
        "tokenizer": part.clip_tokenizer,
        "image_encoder": part.clip_vision,
        "feature_extractor": part.clip_processor,
        "text_proj": _text_projection,
        "super_res_first": _larger,
        "super_res_last": _larger,
        "prior_scheduler": _steps_of_prior,
        "decoder_scheduler": lambda: diffusers.UnCLIPScheduler(
            variance_type="learned_range", prediction_type="epsilon", num_train_timesteps=1000
        ),
        "super_res_scheduler": lambda: diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="epsilon", num_train_timesteps=1000
        ),
    },
    (Kind("UnCLIPPipeline"), Kind("UnCLIPImageVariationPipeline", PICTURE)),
    {
        "prior_num_inference_steps": 2,
        "decoder_num_inference_steps": 2,
        "super_res_num_inference_steps": 2,
    },
)

_UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "attention_head_dim": (2, 4),
    "class_embed_type": "projection",
    "projection_class_embeddings_input_dim": 2 * HIDDEN,
    "cross_attention_dim": HIDDEN,
    "layers_per_block": 1,
    "upcast_attention": True,
    "use_linear_projection": True,
}
STABLE_UNCLIP = Family(
    "Stable unCLIP",
    {
        "prior_tokenizer": part.clip_tokenizer,
        "prior_text_encoder": lambda: part.clip_text(projected=True),
        "prior": _prior,
        "prior_scheduler": lambda: diffusers.DDPMScheduler(
            variance_type="fixed_small_log",
            prediction_type="sample",
            clip_sample=True,
            clip_sample_range=5.0,
            beta_schedule="squaredcos_cap_v2",
        ),
        "image_normalizer": _normalizer,
        "image_noising_scheduler": lambda: diffusers.DDPMScheduler(
            beta_schedule="squaredcos_cap_v2"
        ),
        "image_encoder": part.clip_vision,
        "feature_extractor": part.clip_processor,
        "tokenizer": part.clip_tokenizer,
        "text_encoder": part.clip_text,
        "unet": lambda: seeded(lambda: diffusers.UNet2DConditionModel(**_UNET)),
        "scheduler": lambda: diffusers.DDIMScheduler(
            prediction_type="v_prediction", set_alpha_to_one=False
        ),
        "vae": part.kl,
    },
    (Kind("StableUnCLIPPipeline"), Kind("StableUnCLIPImg2ImgPipeline", PICTURE)),
    {"height": SIZE, "width": SIZE, "prior_num_inference_steps": 2},
)

AMUSED = Family(
    "aMUSEd",
    {
        "transformer": lambda: seeded(
            lambda: diffusers.UVit2DModel(
                hidden_size=8,
                cond_embed_dim=HIDDEN,
                micro_cond_encode_dim=2,
                micro_cond_embed_dim=10,
                encoder_hidden_size=HIDDEN,
                vocab_size=32,
                codebook_size=16,
                in_channels=8,
                block_out_channels=8,
                num_res_blocks=1,
                downsample=True,
                upsample=True,
                block_num_heads=1,
                num_hidden_layers=1,
                num_attention_heads=1,
                intermediate_size=16,
                sample_size=8,
            )
        ),
        "scheduler": lambda: diffusers.AmusedScheduler(mask_token_id=31),
        "vqvae": lambda: part.vq(8, lookup_from_codebook=True),
        "text_encoder": lambda: part.clip_text(projected=True),
        "tokenizer": part.clip_tokenizer,
    },
    (
        Kind("AmusedPipeline"),
        Kind("AmusedImg2ImgPipeline", PICTURE),
        Kind("AmusedInpaintPipeline", MASKED),
    ),
    {"height": SIZE, "width": SIZE},
)
