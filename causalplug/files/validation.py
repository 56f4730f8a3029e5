"""Checks of everything that was read from a repository before any of it is used.

A repository is somebody else's text. Its names must stay inside its folder; its JSON must be small,
flat and of the declared types. Whatever is wrong becomes a
:class:`~causalplug.errors.RepositoryError` that names the file. Weights are checked in
:mod:`causalplug.files.weights`.
"""

from __future__ import annotations

__all__ = [
    "check_keys",
    "configured",
    "parse_json",
    "read_json",
    "regular_file",
    "safe_relative",
    "short",
]

import contextlib
import difflib
import json
import math
import os
import re
import stat
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from causalplug.errors import CausalPlugError, RepositoryError
from causalplug.selection import without
from causalplug.values import Json

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_TOKENS = re.compile(r'"(?:[^"\\]+|\\.)*"?|[\[\]{}]', re.DOTALL)
_UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


_MISREAD = frozenset('\\<>"|?*')
_OUTSIDE = frozenset(("", ".", ".."))


def safe_relative(name: object, *, where: str = "cannot use the repository") -> str:
    """Return ``name`` if it names a file inside its repository on every operating system.

    Args:
        name: A path with ``/`` between its parts.
        where: How the message starts: what cannot be done, and for which repository.

    Raises:
        RepositoryError: The name is absolute, climbs out by ``..``, has empty parts, a backslash, a
            colon or control characters, is reserved by Windows, or is too long.
    """
    reason = _unsafe(name)
    if reason is not None:
        shown = short(name)
        raise RepositoryError(
            f'{where}: the file name {shown} {reason}; use a name such as "modules/a.safetensors"'
        )
    return str(name)


def _unsafe(name: object) -> str | None:
    """Why a file must not have this name."""
    if not isinstance(name, str) or not name:
        return "is not the text of a path"
    parts = name.split("/")
    if _is_long(name, 1024) or any(map(_is_long, parts)):
        return "is too long"
    if name.startswith("/") or ":" in name:
        return "is not a relative path"
    if not name.isprintable() or not _MISREAD.isdisjoint(name):
        return "has a character that file systems or terminals misread"
    if not _OUTSIDE.isdisjoint(parts):
        return "leaves the folder or has empty parts"
    if any(map(_is_reserved, parts)):
        return "is not a file name on every system"
    return None


def _is_long(part: str, most: int = 240) -> bool:
    return len(part.encode(errors="surrogatepass")) > most


def _is_reserved(part: str) -> bool:
    return bool(_RESERVED.fullmatch(part)) or part[-1] in " ."


def regular_file(path: str | os.PathLike, *, within: str | os.PathLike | None = None) -> Path:
    """Return the path of a plain file, with its symbolic links followed.

    Args:
        path: The file.
        within: The folder that the links must not leave; None allows any.

    Raises:
        RepositoryError: There is no such file, it is not a plain file (a pipe, a device, a folder),
            or it lies outside.
    """
    try:
        real = Path(os.path.realpath(path, strict=True))
        kind = real.stat().st_mode
    except OSError as error:
        missing = "cannot be opened"
        if isinstance(error, FileNotFoundError) and not os.path.islink(path):
            missing = "is missing"
        raise RepositoryError(
            f"cannot read {path}: the file {missing} ({error.strerror}); download or save it again"
        ) from error
    if within is not None and not real.is_relative_to(os.path.realpath(within)):
        raise RepositoryError(
            f"cannot read {path}: a symbolic link leads out of {within}; put the file itself there"
        )
    if not stat.S_ISREG(kind):
        raise RepositoryError(
            f"cannot read {path}: it is not a plain file; put the file itself there"
        )
    return real


def read_json(
    path: str | os.PathLike,
    *,
    max_bytes: int = 4 << 20,
    max_depth: int = 64,
    within: str | os.PathLike | None = None,
) -> Json:
    """Read a JSON object strictly.

    Refused, with the file's name: files over ``max_bytes`` bytes, other encodings than UTF-8,
    nesting deeper than ``max_depth``, a key that appears twice in one object, NaN and infinities,
    integers outside 64 bits, numbers that a float cannot hold, lone surrogates, anything after the
    object, and a top level that is not an object.

    Args:
        path: The file.
        max_bytes: Size limit; memory is at most some 30 times the file's size.
        max_depth: Objects and lists inside each other.
        within: As for :func:`regular_file`.

    Raises:
        RepositoryError: See above.
    """
    real = regular_file(path, within=within)
    try:
        with open(real, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise RepositoryError(
            f"cannot read {path}: {error.strerror}; check its permissions"
        ) from error
    if len(data) > max_bytes:
        raise RepositoryError(
            f"cannot read {path}: it has more than {max_bytes:,} bytes, too many for this kind of "
            "file"
        )
    return parse_json(data, str(path), max_depth=max_depth)


def parse_json(
    data: bytes,
    path: str,
    *,
    max_depth: int = 64,
    remedy: str = "download it again or ask its author for a valid file",
) -> Json:
    """Parse the bytes of a JSON object as strictly as :func:`read_json`; ``path`` and ``remedy``
    are for the message."""

    def refuse(why: str) -> RepositoryError:
        return RepositoryError(f"cannot read {path}: {why}; {remedy}")

    def unique(pairs: list[tuple[str, object]]) -> Json:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            raise refuse(
                f"the key {short(next(key for key in keys if keys.count(key) > 1))} appears twice "
                "in one object"
            )
        return found

    def integer(text: str) -> int:
        if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
            raise refuse(f"the number {short(text)} does not fit in 64 bits")
        return int(text)

    def real(text: str) -> float:
        if not math.isfinite(number := float(text)):
            raise refuse(f"the number {short(text)} is too large")
        return number

    def constant(text: str) -> None:
        raise refuse(f"{text} is not a number that JSON knows")

    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise refuse(f"it is not UTF-8 at byte {error.start}") from error
    depth = 0
    for token in _TOKENS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > max_depth:
            raise refuse(f"it is nested deeper than {max_depth} levels")
    try:
        value = json.loads(
            text,
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=real,
            parse_constant=constant,
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise refuse(
            f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except UnicodeEncodeError as error:
        raise refuse("it holds half of a character (a lone surrogate)") from error
    if not isinstance(value, dict):
        raise refuse(f"its top level is {_kind(value)} instead of an object")
    return value


def check_keys(value: Any, schema: Mapping[Any, object], *, where: str) -> Json:
    """Check an object against the names and types that it may have; return it.

    A schema maps names to types; a name that ends in ``?`` may be absent. A type is a class
    (``float`` takes integers, ``int`` takes no booleans), a union (``str | None``), ``list[…]``,
    ``dict[str, …]``, ``Literal[…]``, ``object`` for anything, a schema again, a list with one
    schema (``[{…}]``), or ``{str: …}`` for an object with free names.
    Example::

        schema = {"kind": Literal["dcm"], "files": {str: {"size": int, "sha256": str}}}
        check_keys(config, schema, where="config.json")

    Args:
        value: What was read.
        schema: As above.
        where: The file, for the message.

    Raises:
        RepositoryError: Names all that is wrong: unknown keys with near matches, missing keys,
            values of a wrong type.
    """
    problems: list[str] = []
    _check(value, schema, "", problems)
    if problems:
        rest = ""
        if len(problems) > 8:
            rest = f"; and {len(problems) - 8} more"
        raise RepositoryError(
            f"cannot use {where}: {'; '.join(problems[:8])}{rest}. Correct the file, or save it "
            "again"
        )
    return value


@contextlib.contextmanager
def configured(where: str) -> Iterator[None]:
    """Inside, what is built from a configuration may trust it: whatever it raises becomes an error
    that names the file.

    Args:
        where: The file, for messages.

    Raises:
        RepositoryError: In place of any error of this package, and of what Python and torch raise
            on wrong values.
    """
    try:
        yield
    except RepositoryError:
        raise
    except CausalPlugError as error:
        raise RepositoryError(f"cannot use {where}: {error}") from error
    except _UNREADABLE as error:
        if isinstance(error, KeyError):
            why = f"it lacks {error}"
        else:
            why = f"{type(error).__name__}: {_trim(str(error))}"
        raise RepositoryError(f"cannot use {where}: {why}. Correct it, or save it again") from error


def _check(value: object, kind: object, at: str, problems: list[str]) -> None:
    if len(problems) > 100:
        return
    if isinstance(kind, list):
        _check_list(value, kind[0], at, problems)
    elif isinstance(kind, Mapping):
        if not isinstance(value, dict):
            problems.append(f"{_at(at)} is {_kind(value)} instead of an object")
        elif set(kind) == {str}:
            for key, item in value.items():
                _check(item, kind[str], _join(at, key), problems)
        else:
            _check_object(value, kind, at, problems)
    elif not _fits(value, kind):
        if isinstance(value, str):
            shown = f"{_kind(value)} ({short(value)})"
        else:
            shown = _kind(value)
        problems.append(f"{_at(at)} is {shown} instead of {_describe(kind)}")


def _check_list(value: object, kind: object, at: str, problems: list[str]) -> None:
    if not isinstance(value, list):
        problems.append(f"{_at(at)} is {_kind(value)} instead of a list")
        return
    for number, item in enumerate(value):
        _check(item, kind, f"{at}[{number}]", problems)


def _check_object(value: Json, schema: Mapping[Any, object], at: str, problems: list[str]) -> None:
    kinds = {name.removesuffix("?"): kind for name, kind in schema.items()}
    for name in schema:
        if not name.endswith("?") and name not in value:
            problems.append(f"{_at(_join(at, name))} is missing")
    for key, item in value.items():
        if key in kinds:
            _check(item, kinds[key], _join(at, key), problems)
        else:
            near = difflib.get_close_matches(key[:100], without(kinds, value) or kinds, n=1)
            if near:
                hint = f'did you mean "{near[0]}"?'
            else:
                hint = f"known are {', '.join(sorted(kinds))}"
            problems.append(f"{_at(_join(at, key))} is unknown ({hint})")


def _fits(value: object, kind: Any) -> bool:
    if kind is object or kind is Any:
        return True
    if kind is None:
        return value is None
    composed = _COMPOSED.get(typing.get_origin(kind))
    if composed is not None:
        return composed(value, typing.get_args(kind))
    if kind is float or kind is int:
        numbers = (int, float) if kind is float else int
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, kind)


def _is_choice(value: object, choices: Sequence[object]) -> bool:
    return any(type(value) is type(choice) and value == choice for choice in choices)


def _fits_any(value: object, kinds: Sequence[object]) -> bool:
    return any(_fits(value, kind) for kind in kinds)


def _is_list_of(value: object, args: Sequence[object]) -> bool:
    return isinstance(value, list) and all(_fits(item, args[0]) for item in value)


def _is_dict_of(value: object, args: Sequence[object]) -> bool:
    return isinstance(value, dict) and all(_fits(item, args[1]) for item in value.values())


_COMPOSED: dict[Any, Callable[[object, Sequence[object]], bool]] = {
    typing.Literal: _is_choice,
    typing.Union: _fits_any,
    types.UnionType: _fits_any,
    list: _is_list_of,
    dict: _is_dict_of,
}


_WORDS = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _describe(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(map(json.dumps, args))
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_describe, args))
    if origin is list:
        return f"a list of {_describe(args[0])}"
    if origin is dict:
        return f"an object of {_describe(args[1])}"
    if kind in (None, types.NoneType):
        return "null"
    return _WORDS.get(kind, str(kind))


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _WORDS.get(type(value), type(value).__name__)


def _at(at: str) -> str:
    if at:
        return short(at)
    return "it"


def _join(at: str, key: str) -> str:
    if at:
        return f"{at}.{key}"
    return key


def short(value: object) -> str:
    """Show a value in a message: quoted, at most 80 characters, those that do not print escaped."""
    text = _trim(value if isinstance(value, str) else repr(value))
    return (
        '"'
        + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        + '"'
    )


def _trim(text: str) -> str:
    if len(text) <= 80:
        return text
    return f"{text[:60]}…{text[-15:]}"
