"""Pictures of images: under interventions, and as they would have been; in a column all noise is
the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalplug.errors import DataError, VariableError
from causalplug.plots.style import COLUMN, FONT, panels, plain, text_width
from causalplug.values import Json, Named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from causalplug.plots.shapes import ModelShape

__all__ = ["plot_counterfactuals", "plot_images", "plot_interventions"]


def plot_images(
    rows: Mapping[str, Sequence[object]],
    *,
    width: float = COLUMN,
    note: str = "",
    difference: bool = False,
) -> Figure:
    """A figure with one line of images per entry of ``rows``, its name at the left.

    Args:
        rows: Name -> images: PIL images, or uint8 arrays ``(height, width)`` or ``(height, width,
            3)``.
        width: Width of the figure, in inches.
        note: A line below, in small print.
        difference: Add a line with the last row minus the first: blue where it is darker, red where
            it is brighter.

    Raises:
        DataError: No images, or rows of different lengths.
    """
    pixels = {name: list(map(np.asarray, images)) for name, images in rows.items()}
    lengths = set(map(len, pixels.values()))
    if len(lengths) != 1 or not max(lengths):
        raise DataError(
            f"the images cannot be drawn: the rows have {sorted(lengths) or 'no'} images; give "
            "every row as many"
        )
    (count,) = lengths
    high, wide = next(iter(pixels.values()))[0].shape[:2]
    names = [*pixels, *(["difference"] if difference else [])]
    left = max(text_width(name, FONT) for name in names) + 0.16
    side = (width - left) / count
    height = side * high / wide * len(names) + (0.2 if note else 0.0)
    figure, grid = panels(len(names), count, width, height)
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.016, h_pad=0.016, wspace=0, hspace=0)
    for line, images in zip(grid, pixels.values(), strict=False):
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if difference:
        shown = list(pixels.values())
        _draw_differences(grid[-1], shown[0], shown[-1])
    for name, line in zip(names, grid, strict=True):
        for axes in line:
            _bare(axes)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=4, **plain(FONT))
    if note:
        figure.supxlabel(note, **plain(colour="quiet"))
    return figure


def plot_interventions(
    dcm: ModelShape,
    image: str,
    interventions: Sequence[Named],
    *,
    n: int = 8,
    seed: int = 0,
    rows: Mapping[str, Sequence[object]] | None = None,
    allow_unidentified: bool = False,
    width: float = COLUMN,
) -> Figure:
    """A figure of an image variable under interventions, one per line: what changes down a column
    is their effect.

    All lines are drawn from the same noise, latents of the generator included.

    Args:
        dcm: The model.
        image: The image variable.
        interventions: Values of ``do=``, such as ``[{"D": 0}, {"D": 1}]``.
        n: Images of each line.
        seed: Seed of the noise.
        rows: Real images to put on top: name -> images as the variable takes them, at least ``n``.
        allow_unidentified: Draw also what the data do not determine; a note says so.
        width: Width of the figure, in inches.

    Raises:
        VariableError: ``image`` is no image variable of the model.
        NotIdentifiableError: An intervention's effect on the image is not identifiable.
    """
    variable = _image(dcm, image)
    shown: dict[str, Sequence[object]] = {}
    for name, images in (rows or {}).items():
        shown[name] = variable.to_pil(variable.decode(variable.encode(images, image)[:n]))
    marked = False
    for do in interventions:
        drawn = dcm.sample(
            n,
            do=do,
            variables=[image],
            seed=seed,
            images="pil",
            allow_unidentified=allow_unidentified,
            progress=False,
        )
        marked = marked or _marked(drawn)
        shown[f"do({_settings(do)})" if do else "no intervention"] = list(drawn[image])
    return plot_images(shown, width=width, note=_NOTE if marked else "")


def plot_counterfactuals(
    dcm: ModelShape,
    image: str,
    *,
    do: Named,
    evidence: object = None,
    n: int = 8,
    seed: int = 0,
    difference: bool = True,
    allow_unidentified: bool = False,
    width: float = COLUMN,
) -> Figure:
    """A figure of counterfactual pairs: an image as it was above, the same unit under ``do`` below.

    Args:
        dcm: The model.
        image: The image variable.
        do: What would have been set.
        evidence: What was seen of the units, as for :meth:`causalplug.DCM.counterfactual`.
        n: Pairs.
        seed: Seed of the noise.
        difference: Add a line with the difference: blue where the image would have been darker, red
            where brighter.
        allow_unidentified: Draw also what the data do not determine; a note says so.
        width: Width of the figure, in inches.

    Raises:
        VariableError: ``image`` is no image variable of the model.
        NotIdentifiableError: The pair's distribution is not identifiable, as that of two worlds
            seldom is.
    """
    _image(dcm, image)
    drawn = dcm.counterfactual(
        n, evidence=evidence, do=do, variables=[image], factual=True, seed=seed, images="pil",
        allow_unidentified=allow_unidentified, progress=False,
    )  # fmt: skip
    seen = "seen"
    if isinstance(evidence, Mapping):
        seen = f"seen ({_settings(evidence)})"
    shown = {
        seen: list(drawn["factual", image]),
        f"had {_settings(do)}": list(drawn["counterfactual", image]),
    }
    return plot_images(
        shown, width=width, difference=difference, note=_NOTE if _marked(drawn) else ""
    )


_NOTE = "not determined by the data; another model may fit them as well"


def _image(dcm: ModelShape, name: str) -> Any:
    variable = dcm.variables.get(name)
    if variable is None or not variable.is_image:
        images = [other for other, declared in dcm.variables.items() if declared.is_image]
        if variable is None:
            wrong = "it is not in the graph"
        else:
            wrong = f"it is declared {variable.kind}"
        raise VariableError(
            f"{name!r} cannot be drawn as images: {wrong}; image variables are {images}"
        )
    return variable


def _marked(drawn: Any) -> bool:
    return drawn.attrs["identification"] not in ("identifiable", "zero", "not checked")


def _settings(values: Named) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _grey(image: np.ndarray) -> np.ndarray:
    if image.ndim == 2:
        return image.astype(float)
    return image.astype(float).mean(-1)


def _draw_differences(
    line: Sequence[Axes], first: Sequence[np.ndarray], last: Sequence[np.ndarray]
) -> None:
    """What became brighter (red) and darker (blue) from the first row to the last."""
    look: Json = {"cmap": "RdBu_r", "vmin": -255, "vmax": 255, "interpolation": "nearest"}
    for axes, one, other in zip(line, first, last, strict=True):
        axes.imshow(_grey(other) - _grey(one), **look)
