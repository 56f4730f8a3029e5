"""Pipelines of diffusers, tiny and random, by family."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.tiny_pipelines.cross_attention import HUNYUAN_DIT, LUMINA, PIXART, SANA
from benchmarks.tiny_pipelines.family import AbsentError, Family, Kind, build
from benchmarks.tiny_pipelines.joint_attention import (
    BRIA,
    CHROMA,
    FLUX,
    FLUX_2,
    OVIS,
    QWEN_IMAGE,
    STABLE_DIFFUSION_3,
)
from benchmarks.tiny_pipelines.kandinsky import (
    DEEPFLOYD_IF,
    KANDINSKY,
    KANDINSKY_3,
    KANDINSKY_22,
)
from benchmarks.tiny_pipelines.language_models import (
    AURA_FLOW,
    COGVIEW_3,
    COGVIEW_4,
    LUMINA_2,
    OMNIGEN,
    Z_IMAGE,
)
from benchmarks.tiny_pipelines.latent_diffusion import EXAMPLE, LATENT_DIFFUSION
from benchmarks.tiny_pipelines.older import ALT_DIFFUSION, VERSATILE, VQ_DIFFUSION, ZERO_SHOT
from benchmarks.tiny_pipelines.recent import (
    BRIA_FIBO,
    ERNIE,
    HIDREAM,
    IDEOGRAM_4,
    KREA_2,
    LAYERED,
    OMNI,
    PRX,
)
from benchmarks.tiny_pipelines.stable_diffusion import (
    LCM,
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    VARIATION,
)
from benchmarks.tiny_pipelines.stages import (
    AMUSED,
    CASCADE,
    STABLE_UNCLIP,
    UNCLIP,
    WUERSTCHEN,
)
from benchmarks.tiny_pipelines.vision_language import HUNYUAN_IMAGE, KANDINSKY_5, LONGCAT
from benchmarks.tiny_pipelines.without_text import DIT, UNCONDITIONAL

__all__ = ["FAMILIES", "AbsentError", "Family", "Kind", "build", "kinds"]

FAMILIES = (
    STABLE_DIFFUSION,
    LCM,
    STABLE_DIFFUSION_XL,
    FLUX,
    FLUX_2,
    CHROMA,
    BRIA,
    OVIS,
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
    WUERSTCHEN,
    CASCADE,
    UNCLIP,
    STABLE_UNCLIP,
    AMUSED,
    LATENT_DIFFUSION,
    EXAMPLE,
    LONGCAT,
    HUNYUAN_IMAGE,
    KANDINSKY_5,
    KANDINSKY,
    OMNIGEN,
    ERNIE,
    PRX,
    KREA_2,
    LAYERED,
    BRIA_FIBO,
    HIDREAM,
    IDEOGRAM_4,
    OMNI,
    ALT_DIFFUSION,
    VQ_DIFFUSION,
    VERSATILE,
    ZERO_SHOT,
)


def kinds() -> Iterator[tuple[Family, Kind]]:
    """Every class of every family."""
    for family in FAMILIES:
        for kind in family.kinds:
            yield family, kind
