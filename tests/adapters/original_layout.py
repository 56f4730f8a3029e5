"""Stable Diffusion's weights under the names of its first release (CompVis), from diffusers' names.

Written from the layout of the released checkpoints, so that diffusers' own reading is not asked
about itself.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

__all__ = ["original_layout"]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def original_layout(pipeline: Any) -> dict[str, Tensor]:
    """All weights of a Stable Diffusion pipeline in one table."""
    found: dict[str, Tensor] = {}
    for key, value in pipeline.unet.state_dict().items():
        found[f"model.diffusion_model.{_unet(key, pipeline.unet)}"] = value
    for key, value in pipeline.vae.state_dict().items():
        name = _vae(key, len(pipeline.vae.config.block_out_channels))
        if value.ndim == 2:  # the first release has convolutions of one pixel in its attention
            value = value[:, :, None, None]
        found[f"first_stage_model.{name}"] = value
    for key, value in pipeline.text_encoder.state_dict().items():
        inner = key.removeprefix("text_model.")
        found[f"cond_stage_model.transformer.text_model.{inner}"] = value
    return {key: value.clone().contiguous() for key, value in found.items()}


def _unet(key: str, unet: Any) -> str:
    for name, original in _ENDS.items():
        if key.startswith(f"{name}."):
            return original + key.removeprefix(name)
    side, *rest = key.split(".")
    if side == "mid_block":
        place = {"resnets.0": 0, "attentions.0": 1, "resnets.1": 2}[".".join(rest[:2])]
        return f"middle_block.{place}.{_inner(rest[0], rest[2:])}"
    level, kind, number, *tail = rest
    step = unet.config.layers_per_block + 1
    if side == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{(int(level) + 1) * step}.0.op.{tail[-1]}"
        place = 1 + int(level) * step + int(number)
        return f"input_blocks.{place}.{int(kind == 'attentions')}.{_inner(kind, tail)}"
    if kind == "upsamplers":
        attends = "CrossAttn" in unet.config.up_block_types[int(level)]
        return f"output_blocks.{(int(level) + 1) * step - 1}.{1 + int(attends)}.conv.{tail[-1]}"
    place = int(level) * step + int(number)
    return f"output_blocks.{place}.{int(kind == 'attentions')}.{_inner(kind, tail)}"


def _inner(kind: str, tail: list[str]) -> str:
    if kind == "resnets":
        return ".".join([_RESNET[tail[0]], *tail[1:]])
    return ".".join(tail)


def _vae(key: str, levels: int) -> str:
    side, *rest = key.split(".")
    if side not in ("encoder", "decoder"):
        return key
    if rest[0] == "mid_block":
        return f"{side}.mid.{_vae_mid(rest[1], int(rest[2]), rest[3:])}"
    if rest[0] == "conv_norm_out":
        return f"{side}.norm_out.{rest[-1]}"
    if rest[0] not in ("down_blocks", "up_blocks"):
        return key
    level = int(rest[1])
    if rest[0] == "up_blocks":
        level = levels - 1 - level
    way = rest[0].removesuffix("_blocks")
    if rest[2] != "resnets":
        return f"{side}.{way}.{level}.{way}sample.conv.{rest[-1]}"
    tail = ".".join(rest[4:]).replace("conv_shortcut", "nin_shortcut")
    return f"{side}.{way}.{level}.block.{rest[3]}.{tail}"


def _vae_mid(kind: str, number: int, tail: list[str]) -> str:
    if kind == "resnets":
        return ".".join([f"block_{number + 1}", *tail])
    name, last = ".".join(tail[:-1]), tail[-1]
    return f"attn_1.{_ATTENTION[name]}.{last}"
