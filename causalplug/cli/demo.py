"""``demo``: a page to play with a model."""

from __future__ import annotations

import click

from causalplug.cli.models import load_model, revision_option
from causalplug.cli.output import json_option, show_json
from causalplug.installed import require

__all__ = ["demo"]


@click.command(
    epilog="""\b
    causalplug demo me/frontdoor
    causalplug demo runs/frontdoor/model --port 7870 --open
    """
)
@click.argument("repo", metavar="MODEL")
@click.option("--title", help="Heading of the page; default: the name of the model.")
@click.option("-n", "n", type=click.IntRange(min=1), help="Rows that are sampled for an answer.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port; default: the first free one from 7860."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@revision_option
@json_option
def demo(
    repo: str,
    title: str | None,
    n: int | None,
    port: int | None,
    host: str,
    open_browser: bool,
    revision: str | None,
    as_json: bool,
) -> None:
    """Serve a page on which MODEL can be asked, until Ctrl-C."""
    require("the page cannot be served", "demo", "gradio", "matplotlib")
    from causalplug.demo.app import app

    model = load_model(repo, revision)
    name = repo.rstrip("/").rpartition("/")[2]
    page = app(model, title=title or name, n=n)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            quiet=True,
        )
    except OSError as why:
        raise click.ClickException(
            f"the page cannot be served at {host}:{port or 7860}: {why}; name a free --port"
        ) from None
    if as_json:
        show_json({"address": address, "model": repo})
    else:
        click.echo(f"{repo} can be asked at {address} until Ctrl-C.")
    page.block_thread()
