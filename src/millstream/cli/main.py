"""The `millstream` command: what it can do is one function a subcommand, in the modules beside this one."""

from __future__ import annotations

import sys
from typing import Annotated

import httpx
import typer

from millstream import __version__
from millstream.cli import api_keys, remote, run_program, serve
from millstream.cli.client import connections
from millstream.cli.render import Output
from millstream.errors import MillstreamError

app = typer.Typer(
    name="millstream",
    help="Incremental SQL pipelines with input connectors that start and pause on their own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run_program.run)
app.command("serve")(serve.serve)
app.add_typer(api_keys.app)
for _name, _command in remote.COMMANDS.items():
    app.command(_name)(_command)


def _version(show: bool) -> None:
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Options of the command as a whole."""


def run() -> None:
    """Entry point of the `millstream` script: errors are one line on standard error and exit status 1."""
    try:
        with connections:
            app()
    except MillstreamError as error:
        Output.error(f"{error.error_code}: {error.message}")
        sys.exit(1)
    except httpx.HTTPError as error:
        Output.error(f"cannot reach the server: {error}. Is `millstream serve` running, and is --server right?")
        sys.exit(1)


if __name__ == "__main__":
    run()
