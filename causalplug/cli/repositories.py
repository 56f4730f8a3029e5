"""``info``, ``card``, ``push`` and ``adapters``: repositories and what can be plugged in."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from causalplug.cli.models import load_part, revision_option
from causalplug.cli.output import json_option, show_json
from causalplug.errors import DataError
from causalplug.selection import to_dicts
from causalplug.values import Json

__all__ = ["adapters", "card", "info", "push"]


@click.command(
    epilog="""\b
    causalplug info me/frontdoor
    causalplug info runs/frontdoor/model --json
    """
)
@click.argument("repo", metavar="REPO")
@revision_option
@json_option
def info(repo: str, revision: str | None, as_json: bool) -> None:
    """Say what REPO (a folder or a Hub id) holds, without loading it."""
    from causalplug.cli.describe import described, facts_of
    from causalplug.hub.repository import resolve

    facts = facts_of(resolve(repo, revision=revision))
    show_json(facts) if as_json else click.echo(described(facts))


_facts = [
    click.option("--license", help="Licence of the model, such as mit or apache-2.0."),
    click.option("--summary", help="A sentence or two about the model."),
    click.option(
        "--dataset",
        "datasets",
        multiple=True,
        help="Hub id of a data set that it was trained on. Repeatable.",
    ),
    click.option(
        "--query",
        "queries",
        multiple=True,
        help="A question whose status the card tells. Repeatable.",
    ),
]


@click.command(
    epilog="""\b
    causalplug card runs/frontdoor/model --license mit --query "P(A | do(D=1))" > README.md
    causalplug card --check runs/frontdoor/model/README.md
    """
)
@click.argument("repo", metavar="REPO")
@click.option("--title", help="Title of the card; default: the name of the repository.")
@click.option(
    "--check",
    is_flag=True,
    help="Check a finished card: REPO is a README.md, or a folder with one.",
)
@revision_option
@json_option
def card(
    repo: str,
    title: str | None,
    check: bool,
    revision: str | None,
    as_json: bool,
    license: str | None,
    summary: str | None,
    datasets: Sequence[str],
    queries: Sequence[str],
) -> None:
    """Write the card of the model, generator or encoder in REPO, from what it knows of itself."""
    if check:
        _check_card(Path(repo), as_json)
        return
    from causalplug.hub.publish import card_of

    if Path(repo).exists():
        name = Path(repo).resolve().name
    else:
        name = repo.rpartition("/")[2]
    facts = {"title": title or name, **_given(license, summary, datasets, queries)}
    text = card_of(load_part(repo, revision), facts)
    show_json({"card": text}) if as_json else click.echo(text, nl=False)


@click.command(
    epilog="""\b
    causalplug push runs/frontdoor/model me/frontdoor --license mit --private
    The token is that of `hf auth login`, or HF_TOKEN.
    """
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.argument("repo_id", metavar="REPO")
@click.option("--private", is_flag=True, help="Make the repository private if it is created now.")
@click.option("--branch", help="Branch to push to; default: main.")
@click.option("--pull-request", is_flag=True, help="Open a pull request instead of pushing.")
@click.option(
    "--message", default="Upload with causalplug", show_default=True, help="Message of the commit."
)
@click.option(
    "--copy-frozen",
    is_flag=True,
    help="Copy pulled generators into the repository, instead of referring to them.",
)
@json_option
def push(
    folder: Path,
    repo_id: str,
    private: bool,
    branch: str | None,
    pull_request: bool,
    message: str,
    copy_frozen: bool,
    as_json: bool,
    license: str | None,
    summary: str | None,
    datasets: Sequence[str],
    queries: Sequence[str],
) -> None:
    """Publish the model, generator or encoder in FOLDER on the Hub as REPO, in one commit, with its
    card.

    A README.md in FOLDER that was edited by hand is published as it is.
    """
    from causalplug.hub.publish import is_edited

    _check_target(folder, repo_id)
    facts = _given(license, summary, datasets, queries)
    if is_edited(folder):
        if facts:
            raise DataError(
                f"the card cannot be told {', '.join(facts)}: {folder / 'README.md'} was edited by "
                "hand and is published as it is; write it there, or delete the file to have it "
                "written anew"
            )
        facts["card"] = (folder / "README.md").read_text(encoding="utf-8")
    if copy_frozen:
        facts["frozen"] = "copy"
    commit = load_part(str(folder), None).push_to_hub(
        repo_id,
        branch=branch,
        private=private or None,
        create_pr=pull_request,
        commit_message=message,
        **facts,
    )
    if as_json:
        show_json({"commit": commit.oid, "url": commit.commit_url, "pull_request": commit.pr_url})
    else:
        click.echo(commit.pr_url or commit.commit_url)


def _check_target(folder: Path, repo_id: str) -> None:
    if not folder.is_dir():
        raise DataError(
            f"cannot push {folder}: there is no such folder; save the model into it first"
        )
    if repo_id.startswith((".", "/", "~")) or repo_id.count("/") > 1 or Path(repo_id).is_dir():
        raise DataError(
            f"cannot push to {repo_id}: that is a folder of this computer, and push publishes on "
            "the Hub; name a repository as owner/name, or copy the folder: "
            f"cp -r {folder} {repo_id}"
        )


for _option in reversed(_facts):
    card, push = _option(card), _option(push)


@click.command(epilog="    How to add one: docs/writing_adapters.md")
@json_option
def adapters(as_json: bool) -> None:
    """List the kinds of pretrained generators and encoders that can be plugged in here."""
    from causalplug.mechanisms.catalogue import list_adapters

    found = list_adapters()
    if as_json:
        show_json(to_dicts(found))
        return
    width = max(len(item.kind) for item in found)
    for item in found:
        state = item.error or (
            f"needs: pip install {' '.join(item.missing)}" if item.missing else ""
        )
        click.echo(
            f"{item.kind.ljust(width)}  {item.role.ljust(9)}  {_unmarked(item.summary)}"
            + (f"  [{state}]" if state else "")
        )


def _unmarked(text: str) -> str:
    """A docstring's line without its markup."""
    return re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("``", "").rstrip(".")


def _given(
    license: str | None, summary: str | None, datasets: Sequence[str], queries: Sequence[str]
) -> Json:
    """Facts for a card: those that were given."""
    facts = {
        "license": license,
        "summary": summary,
        "datasets": list(datasets),
        "queries": list(queries),
    }
    return {key: value for key, value in facts.items() if value}


def _check_card(path: Path, as_json: bool) -> None:
    """Print what is wrong with a card; exit code 2 if anything is."""
    from causalplug.hub.card_check import card_problems

    if path.is_dir():
        path = path / "README.md"
        if not path.exists():
            raise DataError(
                f"{path} cannot be checked: the folder has no card; write one with causalplug card"
            )
    try:
        problems = card_problems(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise DataError(
            f"{path} cannot be checked: it is not a text file; name the README.md itself"
        ) from None
    if as_json:
        show_json({"problems": problems})
    elif problems:
        raise DataError(f"{path} is not ready: {'; '.join(problems)}")
    else:
        click.echo(f"{path}: nothing is missing")
    if problems:
        sys.exit(2)
