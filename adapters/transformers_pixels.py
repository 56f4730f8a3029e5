"""How a vision model of transformers wants its pixels, as the file of its image processor says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.nn import functional

from causalplug.errors import MechanismError, RepositoryError
from causalplug.files.validation import read_json
from causalplug.hub.snapshot import Snapshot
from causalplug.values import Json, Named

__all__ = ["PixelStatistics", "pixel_statistics"]

_PREPROCESSOR, _PROCESSOR = "preprocessor_config.json", "processor_config.json"
_FILTERS = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic", 4: "bilinear", 5: "bicubic"}
_SMOOTH = ("bilinear", "bicubic")
_CROPPED_BELOW = 384  # larger pictures of ConvNeXt are not cropped
_BYTE = 255

Size = tuple[int, int]


@dataclass(frozen=True)
class PixelStatistics:
    """How a vision model wants its pixels.

    Attributes:
        size: Height and width; None if it takes any.
        mean, std: Mean and deviation that pixels in [0, 1] are normalised by, by channel.
        edge: The shorter side that images are resized to before their middle, of ``size``, is cut
            out; None where they are resized to ``size`` as a whole.
        filter: How images are resized.
        fixed: The only size that the weights take; None if they take any.
    """

    size: Size | None
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    edge: int | None = None
    filter: str = "bilinear"
    fixed: Size | None = None

    @property
    def channels(self) -> int:
        """Channels of the images that the model reads."""
        return len(self.mean)

    def whole(self) -> PixelStatistics:
        """The same, without cutting anything off, and no larger than the weights ask for."""
        return replace(self, edge=None, size=self.fixed)

    def check_channels(self, channels: int, what: str) -> None:
        """Refuse images whose channels the model cannot read.

        Args:
            channels: Channels of the images; one channel is repeated.
            what: What they are, for the message.

        Raises:
            MechanismError: They have other channels.
        """
        if channels not in (1, self.channels):
            raise MechanismError(
                f"{what} cannot be read by this model: it has {channels} channels, and the model "
                f"reads {self.channels}. Declare an image of {self.channels} channels, or of one, "
                "which is repeated."
            )

    def pixels(self, images: Tensor, low: float, high: float) -> Tensor:
        """Normalised pixels of images ``(n, channels, height, width)`` in [low, high].

        Grey images are repeated, and all are resized to what the model reads.
        """
        unit = (images.float() - low) / (high - low)
        if unit.shape[1] == 1:
            unit = unit.expand(-1, self.channels, -1, -1)
        unit = self._fitted(unit)
        mean, std = (unit.new_tensor(row).view(1, -1, 1, 1) for row in (self.mean, self.std))
        return (unit - mean) / std

    def _fitted(self, unit: Tensor) -> Tensor:
        """Images of the size that the model reads."""
        if self.size is None:
            return unit
        if self.edge is None:
            return self._resized(unit, self.size)
        height, width = unit.shape[2:]
        short = min(height, width)
        unit = self._resized(unit, (height * self.edge // short, width * self.edge // short))
        top, left = (unit.shape[2] - self.size[0]) // 2, (unit.shape[3] - self.size[1]) // 2
        return unit[:, :, top : top + self.size[0], left : left + self.size[1]]

    def _resized(self, unit: Tensor, size: Size) -> Tensor:
        if tuple(unit.shape[2:]) == size:
            return unit
        if self.filter not in _SMOOTH:
            return functional.interpolate(unit, size=size, mode="nearest-exact")
        made = functional.interpolate(unit, size=size, mode=self.filter, antialias=True)
        return made.clamp(0, 1)


def pixel_statistics(snapshot: Snapshot, config: Named) -> PixelStatistics:
    """How the model of a repository wants its pixels.

    Args:
        snapshot: The repository.
        config: Its ``config.json``.

    Raises:
        RepositoryError: Its image processor contradicts the model.
    """
    own = _of_model(config)
    found = _processor(snapshot) or _of_timm(config.get("pretrained_cfg") or {})
    channels = own.get("num_channels")
    mean, std = _moments(found, int(channels or 3))
    if channels is not None and len(mean) != int(channels):
        raise RepositoryError(
            f"cannot load {snapshot}: its image processor has means of {len(mean)} channels, and "
            f"the model reads {channels}. Write as many into {_PREPROCESSOR}"
        )
    fixed = _pair(own.get("image_size"))
    size, edge = _sizes(found, fixed)
    if size is not None and edge is not None and edge < max(size):
        raise RepositoryError(
            f"cannot load {snapshot}: its image processor cuts {size[0]} x {size[1]} pixels out of "
            f"images whose shorter side is {edge}. Mend its size or crop_size in {_PREPROCESSOR}"
        )
    resample = found.get("resample")
    chosen = "bilinear"
    if resample is not None:
        chosen = _FILTERS.get(int(resample), chosen)
    return PixelStatistics(size, mean, std, edge, chosen, fixed)


def _of_model(config: Named) -> Named:
    """The part of a configuration that speaks of images."""
    vision = config.get("vision_config")
    if isinstance(vision, Mapping):
        return dict(vision) | dict(config)
    return config


def _processor(snapshot: Snapshot) -> Json:
    """The settings of the image processor; empty where the repository has none."""
    if snapshot.has(_PREPROCESSOR):
        found: Json = read_json(snapshot.file(_PREPROCESSOR), within=snapshot.boundary)
        return found
    if snapshot.has(_PROCESSOR):
        whole = read_json(snapshot.file(_PROCESSOR), within=snapshot.boundary)
        return dict(whole.get("image_processor") or {})
    return {}


def _of_timm(settings: Named) -> Json:
    """The settings of an image processor that a model of timm stands for."""
    if "input_size" not in settings:
        return {}
    height, width = settings["input_size"][-2:]
    share = float(settings.get("crop_pct") or 1.0)
    return {
        "image_mean": settings.get("mean"),
        "image_std": settings.get("std"),
        "size": {"shortest_edge": int(min(height, width) / share)},
        "do_center_crop": True,
        "crop_size": [height, width],
        "resample": {"bicubic": 3}.get(str(settings.get("interpolation")), 2),
    }


def _moments(found: Named, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of pixels in [0, 1] that make one step of all that a processor does with
    their values: rescaling, moving and normalising."""
    mean = _row(found.get("image_mean"), channels)
    std = _row(found.get("image_std"), channels)
    if not _does(found, "do_normalize"):
        mean, std = (0.0,) * len(mean), (1.0,) * len(mean)
    if found.get("include_top"):  # EfficientNet divides twice
        std = tuple(one**2 for one in std)
    factor, shift = 1.0, 0.0
    if not _does(found, "do_rescale"):
        factor = float(_BYTE)
    elif found.get("rescale_factor") is not None:
        factor = _BYTE * float(found["rescale_factor"])
    if found.get("rescale_offset"):
        shift = -1.0
    return (
        tuple((one - shift) / factor for one in mean),
        tuple(one / factor for one in std),
    )


def _row(value: Any, channels: int) -> tuple[float, ...]:
    if value is None:
        return (0.5,) * channels
    if isinstance(value, int | float):
        return (float(value),) * channels
    return tuple(map(float, value))


def _sizes(found: Named, own: Size | None) -> tuple[Size | None, int | None]:
    """The size of images that a model reads, and the shorter side before they are cut."""
    size = found.get("size")
    if not _does(found, "do_resize") or size is None:
        return own, None
    edge = _edge(size)
    if edge is None:
        return _pair(size) or own, None
    return _cut(found, edge) or (_pair(size) or own or (edge, edge), None)


def _cut(found: Named, edge: int) -> tuple[Size, int] | None:
    """What is cut out of an image, and its shorter side before; None where nothing is cut."""
    share, crop = found.get("crop_pct"), _pair(found.get("crop_size"))
    if share and edge < _CROPPED_BELOW:
        return (edge, edge), int(edge / float(share))
    if found.get("do_center_crop") and crop is not None:
        return crop, edge
    return None


def _does(found: Named, step: str) -> bool:
    """Whether a processor takes a step, which it does unless it says otherwise."""
    return found.get(step) is not False


def _edge(size: Any) -> int | None:
    """The shorter side that is asked for; that of a square, too."""
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return int(size["shortest_edge"])
    pair = _pair(size)
    if pair is not None and pair[0] == pair[1]:
        return pair[0]
    return None


def _pair(value: Any) -> Size | None:
    """Height and width, however they are written; None where they are not."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, Mapping):
        if "height" in value and "width" in value:
            return (int(value["height"]), int(value["width"]))
        return None
    if isinstance(value, list | tuple) and len(value) == 2:
        return (int(value[0]), int(value[1]))
    return None
