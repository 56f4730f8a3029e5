"""What a pipeline of diffusers gives, by what its repository says: neither diffusers nor torch is
imported."""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["no_pictures"]

_PICTURES = re.compile(r"TextToImage|T2I|I2I|HunyuanImage|CosmosImage")
_OTHERS = {
    "films": re.compile(
        r"Video|[IT]2V|Animate|^(Allegro|Cosmos|Helios|LTX|Latte|Mochi|SkyReels|Wan)"
    ),
    "sound": re.compile(r"Audio|Music|Sound|Speech"),
    "shapes": re.compile(r"^ShapE"),
    "embeddings for another pipeline": re.compile(r"Prior"),
    "maps of depth or of the surface": re.compile(r"^Marigold"),
}
_PARTS = {
    "films": re.compile(r"3DModel|3DConditionModel|Motion|SpatioTemporal|TemporalDecoder"),
    "sound": re.compile(r"^Mel$|1DModel|HifiGan|Oobleck|Vocoder"),
    "shapes": re.compile(r"^ShapE"),
}
_TASKS = {
    "films": re.compile(r"video"),
    "sound": re.compile(r"audio|speech|music"),
    "shapes": re.compile(r"3d"),
    "maps of depth or of the surface": re.compile(r"depth|normal"),
}


def no_pictures(name: str, parts: Collection[str], task: str = "") -> str:
    """What a pipeline gives in place of pictures, in words; empty where nothing speaks against
    pictures.

    Args:
        name: Class of the pipeline.
        parts: Classes of its parts.
        task: ``pipeline_tag`` of its card.
    """
    for given, pattern in _OTHERS.items():
        if pattern.search(name) and not _PICTURES.search(name):
            return given
    for given, pattern in _TASKS.items():
        if pattern.search(task.partition("-to-")[2] or task):
            return given
    if _PICTURES.search(name):
        return ""
    for given, pattern in _PARTS.items():
        if any(map(pattern.search, parts)):
            return given
    return ""
