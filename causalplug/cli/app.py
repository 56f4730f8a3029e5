"""The commands by name, each imported when it is called, and what the shell gets back."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence

import click

from causalplug import __version__
from causalplug.cli.failures import no_such, outcome, spoken

__all__ = ["COMMANDS", "causalplug", "main"]

COMMANDS = {
    "plan": "causalplug.cli.graphs",
    "identify": "causalplug.cli.graphs",
    "bounds": "causalplug.cli.checks",
    "check-graph": "causalplug.cli.checks",
    "train": "causalplug.cli.train",
    "sample": "causalplug.cli.ask",
    "estimate": "causalplug.cli.ask",
    "counterfactual": "causalplug.cli.ask",
    "drivers": "causalplug.cli.drivers",
    "check-fit": "causalplug.cli.fit",
    "info": "causalplug.cli.repositories",
    "card": "causalplug.cli.repositories",
    "push": "causalplug.cli.repositories",
    "demo": "causalplug.cli.demo",
    "adapters": "causalplug.cli.repositories",
    "completion": "causalplug.cli.app",
}
"""Command to the module that has it under the same name, in the order of ``--help``."""

_COMPLETE = "_CAUSALPLUG_COMPLETE"


class _Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            return getattr(importlib.import_module(COMMANDS[name]), name.replace("-", "_"))
        if ctx.resilient_parsing or name.startswith("-"):
            return None
        hint = no_such("command", name, COMMANDS)
        raise click.UsageError(hint, ctx=ctx)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="A model is a folder or a Hub id (owner/name). Every command has --json, and examples "
    "under --help.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def causalplug(ctx: click.Context) -> None:
    """Plug pretrained generators into causal models: plan, train, ask and share them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
    bash, zsh: add to ~/.bashrc or ~/.zshrc:  eval "$(causalplug completion bash)"
    fish:      causalplug completion fish > ~/.config/fish/completions/causalplug.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # the three shells are click's own
    click.echo(found(causalplug, {}, "causalplug", _COMPLETE).source())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows ``causalplug``; by default what the shell gave.

    Returns:
        The exit code: 0 done, 1 a bug of this package, 2 the call cannot be served (one line on
        stderr says why), 130 interrupted, 141 nobody reads the output any more.
    """
    if _COMPLETE in os.environ:
        return int(
            causalplug.main(prog_name="causalplug", complete_var=_COMPLETE, standalone_mode=False)
            or 0
        )
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that lacks a letter is no reason to stop
    with _plain_warnings():
        try:
            with causalplug.make_context("causalplug", given) as ctx:
                causalplug.invoke(ctx)
            sys.stdout.flush()
        except BaseException as error:
            return outcome(
                error, " ".join(["causalplug", *(name for name in given[:1] if name in COMMANDS)])
            )
    return 0


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings of this package as one line on stderr; those that libraries give their callers
    are not the user's."""
    from causalplug.errors import ConvergenceWarning

    def show(
        message: Warning | str,
        category: object,
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        click.echo(f"warning: {spoken(' '.join(str(message).split()))}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("always", ConvergenceWarning)
        warnings.showwarning = show
        yield
