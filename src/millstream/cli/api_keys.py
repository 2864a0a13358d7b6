"""`millstream api-key`: make, list and delete API keys, over a server's API or, for the first key, in its data
directory."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from millstream.cli.client import Client, path
from millstream.cli.remote import DEFAULT_SERVER, ApiKey, Json, Server
from millstream.cli.render import Output

app = typer.Typer(name="api-key", help="Make, list and delete API keys.", no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the key.")]


class KeyRole(StrEnum):
    READ = "read"
    WRITE = "write"


@app.command()
def create(
    name: KeyName,
    role: Annotated[KeyRole, typer.Option(help="What the key may do.")] = KeyRole.READ,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Make it in this data directory, whether its server runs or not."),
    ] = None,
    server: Server = DEFAULT_SERVER,
    api_key: ApiKey = None,
) -> None:
    """Make a key and print it. It is shown only now."""
    if data_dir is None:
        made = Client(server, api_key).send("POST", "/api_keys", {"name": name, "role": role.value})
        Output.text(made["api_key"])
        return
    from millstream.manager.services import create_key_offline  # the server's libraries only where they are needed

    Output.text(create_key_offline(data_dir.expanduser(), name, role.value))


@app.command("list")
def list_keys(server: Server = DEFAULT_SERVER, api_key: ApiKey = None, as_json: Json = False) -> None:
    """List the keys, without their secrets."""
    found = Client(server, api_key).call("GET", "/api_keys")
    if as_json:
        Output.json(found)
        return
    Output.table("", ["name", "role"], [(key["name"], key["role"]) for key in found])


@app.command()
def delete(name: KeyName, server: Server = DEFAULT_SERVER, api_key: ApiKey = None) -> None:
    """Delete a key: it is refused from now on."""
    Client(server, api_key).call("DELETE", "/api_keys" + path(name))
