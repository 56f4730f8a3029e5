"""Answers on stdout: text for people, JSON for programs, tables and pictures in a folder."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from causalplug.caveats import Caveat
from causalplug.errors import DataError
from causalplug.installed import require
from causalplug.values import Json

if TYPE_CHECKING:
    import pandas as pd

    from causalplug.variables import Variable

__all__ = [
    "asked_for",
    "check_folder",
    "json_option",
    "level_option",
    "plain",
    "png_option",
    "save_figure",
    "show_json",
    "show_rows",
    "tell",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
level_option = click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Coverage of the intervals.",
)

_CHANNELS = (1, 3, 4)
_IMAGES = ("bmp", "gif", "jpeg", "jpg", "pdf", "png", "tif", "tiff", "webp")
"""Suffixes of images that Pillow writes."""
_DRAWINGS = (*_IMAGES, "avif", "eps", "pgf", "ps", "raw", "rgba", "svg", "svgz")
"""Suffixes that some version of matplotlib writes."""


def png_option(text: str, *, images: bool = False) -> Callable[[_Command], _Command]:
    """The option ``--png FILE`` of a command that draws.

    A file that cannot be written, and a missing matplotlib, are refused before any work.

    Args:
        text: What is drawn, for ``--help``.
        images: Images are written as they are, without matplotlib.
    """
    return click.option(
        "--png",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help=text,
        callback=_writable if images else _drawable,
    )


def _drawable(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a drawing that could not be written in the end."""
    if path is not None:
        _check_place(path, _DRAWINGS, "name it .png, .svg or .pdf")
        require("no picture can be drawn", "plots", "matplotlib")
    return path


def _writable(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse images that could not be written in the end."""
    if path is not None:
        _check_place(path, _IMAGES, "name it .png")
    return path


def _check_place(path: Path, suffixes: Iterable[str], way_out: str) -> None:
    """Raise if no picture can be written under this name.

    Raises:
        DataError: The suffix names no form of picture, or there is no such folder.
    """
    if path.suffix.removeprefix(".").casefold() not in suffixes:
        raise _no_form(path, way_out)
    if not path.absolute().parent.is_dir():
        raise DataError(
            f"the picture cannot be written to {path}: there is no folder {path.parent}; make it, "
            "or name another file"
        )


def _no_form(path: Path, way_out: str) -> DataError:
    why = f"{path.suffix or 'a name without a suffix'} is no form of picture that is known"
    return DataError(f"the picture cannot be written to {path}: {why}; {way_out}")


def show_json(value: object) -> None:
    """Print ``value`` as JSON; numbers that JSON does not know become null."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: object) -> object:
    """``value`` as what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return list(map(plain, value))
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=str)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return None
    if value is None or isinstance(value, str | int | bool):
        return value
    if hasattr(value, "item"):
        return plain(value.item())
    return str(value)


def tell(caveats: Iterable[Caveat]) -> None:
    """Say on stderr what is known to be doubtful; that an answer is not determined is said by
    its status."""
    for caveat in caveats:
        if caveat.name != "unidentified":
            click.echo(f"warning: {caveat}", err=True)


def save_figure(figure: Any, path: Path) -> None:
    """Write a matplotlib figure; the suffix (.png, .svg, .pdf) says how.

    Raises:
        DataError: Matplotlib does not write such files.
    """
    try:
        figure.savefig(path, dpi=200, bbox_inches="tight")
    except ValueError:
        if path.suffix.removeprefix(".").casefold() in figure.canvas.get_supported_filetypes():
            raise
        raise _no_form(path, "name it .png, .svg or .pdf") from None


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something already: nothing of it may be lost or mixed with new
    files.

    Raises:
        DataError: It is not empty, or it is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        why = "it is a file"
        if folder.is_dir():
            why = "it is not empty"
        raise DataError(f"cannot write to {folder}: {why}; name a folder that does not exist yet")


def asked_for(
    names: list[str] | None, variables: Mapping[str, Variable], *, folder: Path | None
) -> list[str] | None:
    """The variables to show, None for all, checked: pictures need a folder.

    Raises:
        DataError: An image is asked for without a folder, or it has a number of channels that PNG
            lacks.
    """
    chosen = list(variables)
    if names is not None:
        chosen = names
    images = [name for name in chosen if name in variables and variables[name].is_image]
    if images and folder is None:
        others = ",".join(name for name in variables if not variables[name].is_image)
        ways = "give --out FOLDER"
        if others:
            ways = f"give --out FOLDER, or ask for others: --variables {others}"
        raise DataError(f"{', '.join(images)} cannot be printed: it is an image; {ways}")
    for name in images:
        _check_channels(name, variables[name].event_shape[0])
    return names


def _check_channels(name: str, channels: int) -> None:
    if channels not in _CHANNELS:
        raise DataError(
            f"{name} cannot be written as a picture: it has {channels} channels, and PNG knows 1, "
            "3 and 4; leave it out with --variables, or use Python"
        )


def _write_rows(folder: Path, facts: Json, lines: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps(plain(facts), indent=2, ensure_ascii=False)
    (folder / "about.json").write_text(about + "\n", encoding="utf-8")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")


def show_rows(
    parts: Iterable[pd.DataFrame],
    variables: Mapping[str, Variable],
    *,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Print rows as CSV, as they come; or write them to ``folder``: ``metadata.csv``, and a file
    for every picture.

    Such a folder can be read back as a data source. ``metadata.csv`` appears when everything else
    is there; ``about.json`` beside it has the question, its identification, the seed and what is
    known to be doubtful, which is also said on stderr. With ``as_json`` the rows, or the folder,
    come in a JSON object with the question, its identification and the seed.

    Args:
        parts: Consecutive tables; images in them are PIL images.
        variables: Declarations, to tell which columns are images.
        folder: Where to, or None for stdout; it must not hold anything yet.
    """
    parts = iter(parts)
    first = next(parts)  # what is wrong with the question comes up here, before anything is written
    lines: list[str] = []
    records: list[Json] = []
    count = 0
    for part in itertools.chain([first], parts):
        flat = _flat(part, variables, folder, count)
        text = flat.to_csv(index=False, header=count == 0)
        if folder is not None:
            lines.append(text)
        elif as_json:
            records += [{str(k): v for k, v in row.items()} for row in flat.to_dict("records")]
        else:
            click.echo(text, nl=False)
        count += len(flat)
    facts: Json = {str(name): fact for name, fact in first.attrs.items()}
    if folder is not None:
        _write_rows(folder, facts | {"n": count}, lines)
    if facts["identification"] not in ("identifiable", "zero", "not checked"):
        click.echo(
            f"warning: {facts['query']} is {facts['identification']}: {facts['reason']}", err=True
        )
    tell(list(map(Caveat.from_dict, facts["warnings"])))
    if as_json:
        show_json(
            {**facts, "n": count}
            | ({"rows": records} if folder is None else {"folder": str(folder)})
        )
    elif folder is not None:
        click.echo(f"{count:,} rows of {facts['query']} in {folder / 'metadata.csv'}")


def _flat(
    part: pd.DataFrame, variables: Mapping[str, Variable], folder: Path | None, start: int
) -> pd.DataFrame:
    """The part with one level of columns, its pictures written to the folder and replaced by
    their file names."""
    flat = part.copy(deep=False)
    owners = part.columns.get_level_values(-1)
    if part.columns.nlevels > 1:
        flat.columns = [".".join(column) for column in part.columns]
    for column, name in zip(list(flat.columns), owners, strict=True):
        if variables[name].is_image and folder is not None:
            (folder / column).mkdir(parents=True, exist_ok=True)
            files = []
            for number in range(start, start + len(flat)):
                files.append(f"{column}/{number:06d}.png")
            for file, picture in zip(files, flat[column], strict=True):
                picture.save(folder / file)
            flat[column] = files
            flat = flat.rename(columns={column: f"{column}_file_name"})
    return flat
