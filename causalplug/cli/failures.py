"""What went wrong, as one line on stderr and an exit code."""

from __future__ import annotations

import difflib
import os
import re
import sys
import traceback
from collections.abc import Iterable

import click

from causalplug.errors import CausalPlugError, QuerySyntaxError

__all__ = ["no_such", "outcome", "spoken"]

BUG, REFUSED, INTERRUPTED, UNREAD = 1, 2, 130, 141

_SPOKEN = {
    " or DCM.estimate(query, bounds=True)": "",
    "causalplug.bounds(graph, query, data)": "causalplug bounds",
    "pass allow_unidentified=True": "give --allow-unidentified",
    "allow_unidentified=True": "--allow-unidentified",
    "resume_from_checkpoint=True": "--resume",
    "check_fit=False": "--set check_fit=false",
    "license=…": "--license",
    ", or lower minimum_rows": "",
    "Give it to causalplug.DataSource": "Name the model's folder; tables go to --data or --rows",
    "available=": "--available NAME=REPO",
    "output_dir": "--output-dir",
    'frozen="copy"': "--copy-frozen",
    "revision=…": "--revision",
    "pass token=…": "set HF_TOKEN",
    "token=…": "HF_TOKEN",
    "cache_dir=…": "HF_HOME",
    "(local_files_only=False, HF_HUB_OFFLINE=0)": "(HF_HUB_OFFLINE=0)",
    "min_acceptance=": "--min-acceptance ",
    "batch_size": "--batch-size",
    "interpolate=": "--interpolate ",
}
"""Words of the Python interface, and what stands for them on the command line."""

_METHODS = re.compile(r"\(dcm\.[^()]*\([^()]*\)\.push_to_hub\(…\)[^()]*push_to_hub\(…\)\)")


def outcome(error: BaseException, command: str) -> int:
    """The exit code for ``error``, after saying on stderr in one line what it was.

    Args:
        error: What ended the command.
        command: As it was called, such as ``"causalplug plan"``.
    """
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            return error.code
        return REFUSED
    if isinstance(error, BrokenPipeError):
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # or the interpreter complains at its end
        return UNREAD
    if os.environ.get("CAUSALPLUG_DEBUG"):
        traceback.print_exception(error)
    code, line = _line(error)
    click.echo(f"{command}: {line}", err=True)
    return code


def _line(error: BaseException) -> tuple[int, str]:
    if isinstance(error, KeyboardInterrupt | click.Abort):
        notes = [*getattr(error, "__notes__", ()), *getattr(error.__cause__, "__notes__", ())]
        return INTERRUPTED, spoken(_one_line("; ".join(["interrupted", *notes])))
    if isinstance(error, click.UsageError):
        path = "causalplug"
        if error.ctx is not None:
            path = error.ctx.command_path
        said = error.format_message()
        if isinstance(error, click.NoSuchOption):  # whose words differ from version to version
            said = no_such("option", error.option_name, error.possibilities or ())
        return REFUSED, f"{_one_line(said).removesuffix('.')} (see {path} --help)"
    if isinstance(error, click.ClickException):
        return REFUSED, _one_line(error.format_message())
    if isinstance(error, QuerySyntaxError):
        return REFUSED, str(error).splitlines()[
            0
        ]  # the lines below point at the character that the first one counts
    if isinstance(error, CausalPlugError):
        return REFUSED, spoken(_one_line(str(error)))
    if isinstance(error, OSError) and error.strerror:
        return REFUSED, f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            REFUSED,
            "memory is exhausted; ask for fewer rows, or go in smaller steps with --batch-size",
        )
    from causalplug import __version__

    place = traceback.extract_tb(error.__traceback__)
    where = ""
    if place:
        where = f" at {os.path.basename(place[-1].filename)}:{place[-1].lineno}"
    return BUG, (
        f"this is a bug in causalplug {__version__}: {type(error).__name__}: "
        f"{_one_line(str(error))}{where}; please report it with the traceback that "
        "CAUSALPLUG_DEBUG=1 in front of the command shows"
    )


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """That there is no such command or option, with the closest one that there is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"No such {what} {name!r}. Did you mean {close[0]!r}?"
    return f"No such {what} {name!r}."


def _one_line(text: str) -> str:
    return " ".join(text.split())


def spoken(text: str) -> str:
    """A message with the words of the command line in place of Python's."""
    for python, shell in _SPOKEN.items():
        text = text.replace(python, shell)
    return _METHODS.sub("(causalplug push)", text)
