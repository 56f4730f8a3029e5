"""Arguments that several commands take: a graph, names, settings of variables."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from causalplug.errors import DataError, GraphError
from causalplug.graphs.graph import CausalGraph
from causalplug.graphs.readers import SUFFIXES, guess_format
from causalplug.graphs.text import unquoted
from causalplug.identification.assumptions import PROXIES, Assume
from causalplug.identification.regions import Region
from causalplug.values import Json
from causalplug.wording import did_you_mean, listed, shortened

if TYPE_CHECKING:
    from causalplug.variables import Variable

__all__ = [
    "assigned",
    "assume_option",
    "bare",
    "names",
    "pairs",
    "parts",
    "read_assumption",
    "read_given_graph",
    "settings",
]

_COMPARISON = re.compile(r"^[^=\"']*(?:[<>≤≥≠]|!=)|^(?:\"[^\"]*\"|'[^']*')\s*(?:[<>≤≥≠]|!=)")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_PART = re.compile(r"\s*((?:'[^']*'(?=\s*(?:[,=]|\Z)))?(?:\"(?:[^\"\\]|\\.)*\"|[^,])*)(?:,|\Z)")
_EDGE = re.compile(r"->|<-|↔|→|←|--| - |;|\n|~|\{")


def read_given_graph(
    text: str, *, format: str | None = None, latents: Iterable[str] = ()
) -> CausalGraph:
    """The graph in a file, in ``text`` itself, or on stdin for ``"-"``. Hidden variables are
    named on stderr.

    Raises:
        GraphError: No such file, or a text that is no graph.
    """
    graph = _read_given(text, format, latents)
    if graph.hidden:
        click.echo(f"Hidden variables, projected out: {listed(graph.hidden)}", err=True)
    return graph


def _read_given(text: str, format: str | None, latents: Iterable[str]) -> CausalGraph:
    if text == "-":
        written = sys.stdin.read()
        return CausalGraph.parse(written, format or guess_format(written), latents=latents)
    if os.path.isfile(text):
        return CausalGraph.read(text, format=format, latents=latents)
    if _EDGE.search(text) or text.lstrip().startswith(("[", "<")):
        return CausalGraph.parse(text, format or guess_format(text), latents=latents)
    if os.path.isdir(text):
        raise GraphError(
            f"the graph cannot be read: {text} is a folder; name a file, or write the graph itself"
        )
    looks = os.sep in text or Path(text).suffix.casefold() in {*SUFFIXES, ".txt", ".gz"}
    what = "it is neither a file nor a text with an arrow"
    if looks:
        what = "there is no such file"
    raise GraphError(
        f"the graph cannot be read from {shortened(text)!r}: {what}; check the path, or write the "
        "graph itself, such as 'D -> I -> A; D <-> A'"
    )


assume_option = click.option(
    "--assume",
    multiple=True,
    metavar="KIND:CAUSE,EFFECT",
    help="An assumption beyond the graph: monotone, antitone, 'monotone noise:EFFECT', or "
    "proxies:CAUSE,EFFECT,FIRST,SECOND. Repeatable.",
)


def read_assumption(text: str) -> Assume:
    """The assumption in ``KIND:CAUSE,EFFECT``, ``KIND:EFFECT`` where there is no cause, or
    ``proxies:CAUSE,EFFECT,FIRST,SECOND``.

    Raises:
        click.BadParameter: Another form.
        QueryError: An unknown kind, or names that do not fit it.
    """
    kind, _, ends = text.partition(":")
    found = names(ends)
    if kind == PROXIES and len(found) == 4:
        return Assume(kind, cause=found[0], effect=found[1], proxies=tuple(found[2:]))
    if not ends or len(found) > 2:
        form = "KIND:CAUSE,EFFECT"
        if kind == PROXIES:
            form = "proxies:CAUSE,EFFECT,FIRST,SECOND"
        raise click.BadParameter(f"{text!r} is not of the form {form}", param_hint="--assume")
    return Assume(kind, cause="" if len(found) == 1 else found[0], effect=found[-1])


def names(text: str) -> list[str]:
    """Names separated by commas; one with a comma in it stands in quotes."""
    return list(map(bare, parts(text)))


def parts(text: str) -> list[str]:
    """What stands between the commas that are not in quotes."""
    return [part.strip() for part in _PART.findall(text) if part.strip()]


def bare(text: str) -> str:
    """A name without its quotes."""
    text = text.strip()
    if _QUOTED.fullmatch(text):
        return unquoted(text)
    return text


def assigned(text: str) -> tuple[str, str, str]:
    """``NAME=VALUE`` as name, sign and value; a name with ``=`` in it stands in quotes."""
    start = _QUOTED.match(text.lstrip())
    if start is None:
        name, sign, value = text.partition("=")
        return name.strip(), sign, value.strip()
    name, rest = start.group(), text.lstrip()[start.end() :]
    before, sign, value = rest.partition("=")
    return unquoted(name) if not before.strip() else name + before.strip(), sign, value.strip()


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping.

    Raises:
        click.BadParameter: One without ``=``, or a name twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = assigned(text)
        if not sign or not name or not value:
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint=option)
        if name in found:
            raise click.BadParameter(
                f"{name} is given twice, as {found[name]} and as {value}", param_hint=option
            )
        found[name] = value
    return found


def settings(
    texts: Iterable[str], variables: Mapping[str, Variable], option: str, *, condition: bool = False
) -> Json:
    """Values of variables: a category, a number, the file of an image.

    Args:
        texts: ``NAME=VALUE`` each.
        variables: The model's.
        option: For messages, such as ``"--do"``.
        condition: Take several categories ``A=red,blue``, intervals ``N=0.5..1``, ``N=..1`` and
            comparisons ``N<50``, ``18<=N<65``, ``A!=red`` as well.

    Raises:
        click.BadParameter: An unknown name, or a text of another form.
        DataError: A value outside the variable's declaration.
    """
    texts = list(texts)
    ranges = [text for text in texts if condition and _COMPARISON.search(text)]
    found: Json = {}
    for name, text in pairs((text for text in texts if text not in ranges), option).items():
        _check_variable(name, variables, option)
        found[name] = _value(name, variables[name], text, condition)
    for text in ranges:
        name, region = _range(text, option)
        _check_variable(name, variables, option)
        if name in found:
            raise click.BadParameter(f"{name} is given twice", param_hint=option)
        found[name] = region
    return found


def _check_variable(name: str, variables: Mapping[str, Variable], option: str) -> None:
    if name not in variables:
        hint = did_you_mean(name, variables) or f"; the variables are {', '.join(variables)}"
        raise click.BadParameter(f"{name!r} is no variable of the model{hint}", param_hint=option)


def _range(text: str, option: str) -> tuple[str, Region]:
    """``age<50``, ``18<=age<65`` or ``A!=red`` as in a query."""
    from causalplug.identification.query import Query

    events = Query.parse(f"P({text})").outcomes
    if len(events) != 1 or events[0].do or not isinstance(events[0].value, Region):
        raise click.BadParameter(
            f"{text!r} is not a range of values such as age<50 or 18<=age<65", param_hint=option
        )
    return events[0].variable, events[0].value


def _interval(name: str, text: str) -> tuple[float | None, float | None]:
    """The ends of ``low..high``; one that is left out is None."""
    low, _, high = text.partition("..")
    return (_float(name, low) if low else None, _float(name, high) if high else None)


def _value(name: str, variable: Variable, text: str, condition: bool) -> object:
    if variable.is_number:
        return _interval(name, text) if condition and ".." in text else _float(name, text)
    if variable.is_image:
        return _picture(name, text)
    code = variable.code_of_text(text)
    if condition and code < 0 and "," in text:
        return [_category(name, part, variable) for part in names(text)]
    return _category(name, text, variable)


def _picture(name: str, text: str) -> object:
    from PIL import Image as PILImage
    from PIL import ImageOps

    from causalplug.variables.pictures import PictureError, refuse_deep

    try:
        if not os.path.isfile(text):
            raise OSError
        with PILImage.open(text) as picture:
            refuse_deep(picture)
            return ImageOps.exif_transpose(picture).copy()
    except PictureError as error:
        raise DataError(f"{name}={text} cannot be used: it {error}") from None
    except Exception:  # a damaged file ends in any of a dozen kinds of exception
        raise DataError(
            f"{name}={text} cannot be used: it is not the file of an image; check the path"
        ) from None


def _category(name: str, text: str, variable: Variable) -> object:
    code = variable.code_of_text(text)
    if code < 0:
        known = list(map(str, variable.categories))
        hint = did_you_mean(text, known) or f"; its values are {', '.join(known[:12])}"
        raise DataError(f"{name}={text} cannot be used: {name} has no such value{hint}")
    return variable.categories[code]


def _float(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"{name}={text} cannot be used: {name} is a number; write for example {name}=0.5"
        ) from None
