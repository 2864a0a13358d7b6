"""Commands that talk to a running server: list, start, pause, resume, stop, watch and query pipelines, and control
single connectors."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import orjson
import typer

from millstream.cli.client import Client, path
from millstream.cli.render import Output
from millstream.cli.udf_file import UdfFile, read_udf, udf_file
from millstream.errors import MillstreamError

POLL_S = 0.1
WAIT_S = 120.0

Server = Annotated[
    str, typer.Option("--server", envvar=["MILLSTREAM_HOST", "FELDERA_HOST"], help="Base URL of the server.")
]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar=["MILLSTREAM_API_KEY", "FELDERA_API_KEY"], help="API key, if needed.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[bool, typer.Option(help="Wait until the pipeline has got there.")]
Name = Annotated[str, typer.Argument(metavar="PIPELINE", help="Name of the pipeline.")]
DEFAULT_SERVER = "http://127.0.0.1:8080"


class ConnectorAction(StrEnum):
    START = "start"
    PAUSE = "pause"
    STATS = "stats"


def pipelines(server: Server = DEFAULT_SERVER, api_key: ApiKey = None, as_json: Json = False) -> None:
    """List the pipelines."""
    found = Client(server, api_key).call("GET", "/pipelines", selector="status")
    if as_json:
        Output.json(found)
        return
    Output.table(
        "",
        ["name", "program", "status", "desired", "storage", "error"],
        [
            (
                p["name"],
                p["program_status"],
                p["deployment_status"],
                p["deployment_desired_status"],
                p["storage_status"],
                (p["deployment_error"] or {}).get("message"),
            )
            for p in found
        ],
    )


def start(
    pipeline: Name,
    paused: Annotated[bool, typer.Option(help="Start it paused.")] = False,
    wait: Wait = True,
    server: Server = DEFAULT_SERVER,
    api_key: ApiKey = None,
) -> None:
    """Start a pipeline."""
    client = Client(server, api_key)
    target = "Paused" if paused else "Running"
    _act(client, pipeline, "start", {target} if wait else set(), initial=target.lower())


def pause(pipeline: Name, wait: Wait = True, server: Server = DEFAULT_SERVER, api_key: ApiKey = None) -> None:
    """Pause a pipeline: all of its input connectors stop reading."""
    _act(Client(server, api_key), pipeline, "pause", {"Paused"} if wait else set())


def resume(pipeline: Name, wait: Wait = True, server: Server = DEFAULT_SERVER, api_key: ApiKey = None) -> None:
    """Resume a paused pipeline."""
    _act(Client(server, api_key), pipeline, "resume", {"Running"} if wait else set())


def stop(
    pipeline: Name,
    force: Annotated[
        bool, typer.Option(help="Do not save the state first (graceful stop is not supported yet).")
    ] = True,
    wait: Wait = True,
    server: Server = DEFAULT_SERVER,
    api_key: ApiKey = None,
) -> None:
    """Stop a pipeline."""
    _act(Client(server, api_key), pipeline, "stop", {"Stopped"} if wait else set(), force=str(force).lower())


def _act(client: Client, pipeline: str, action: str, targets: set[str], **parameters: Any) -> None:
    answer = client.call("POST", path("pipelines", pipeline, action), **parameters)
    deadline = time.monotonic() + WAIT_S
    while targets:
        state = client.call("GET", path("pipelines", pipeline), selector="status")
        error = state["deployment_error"]
        if error is not None:
            raise MillstreamError(error["error_code"], error["message"], error["details"])
        if state["deployment_status"] in targets:
            answer = state["deployment_status"]
            break
        if time.monotonic() > deadline:
            raise MillstreamError("Timeout", f"pipeline '{pipeline}' is still {state['deployment_status']}")
        time.sleep(POLL_S)
    Output.text(f"{pipeline}: {answer}")


def stats(pipeline: Name, server: Server = DEFAULT_SERVER, api_key: ApiKey = None, as_json: Json = False) -> None:
    """Show a pipeline's connectors and counters."""
    found = Client(server, api_key).call("GET", path("pipelines", pipeline, "stats"), include_connector_errors="true")
    if as_json:
        Output.json(found)
        return
    totals = found["global_metrics"]
    Output.text(
        f"{pipeline}: {totals['state']}, {totals['total_input_records']:,} records in, "
        f"{totals['total_processed_records']:,} processed, {totals['total_completed_steps']:,} steps, "
        f"{totals['rss_bytes'] / 1e6:,.0f} MB resident"
    )
    if found["inputs"]:
        Output.table("inputs", _INPUT_COLUMNS, [_input_row(status) for status in found["inputs"]])
    if found["outputs"]:
        Output.table("outputs", _OUTPUT_COLUMNS, [_output_row(status) for status in found["outputs"]])


_INPUT_COLUMNS = ["connector", "paused", "records", "queued", "bytes", "end", "errors", "failure"]
_OUTPUT_COLUMNS = ["connector", "records sent", "bytes sent", "queued", "errors", "failure"]


def _input_row(status: dict[str, Any]) -> list[Any]:
    m = status["metrics"]
    errors = m["num_parse_errors"] + m["num_transport_errors"]
    return [status["endpoint_name"], status["paused"], m["total_records"], m["buffered_records"], m["total_bytes"],
            m["end_of_input"], errors, status["fatal_error"]]  # fmt: skip


def _output_row(status: dict[str, Any]) -> list[Any]:
    m = status["metrics"]
    errors = m["num_encode_errors"] + m["num_transport_errors"]
    return [status["endpoint_name"], m["transmitted_records"], m["transmitted_bytes"], m["queued_records"], errors,
            status["fatal_error"]]  # fmt: skip


def logs(
    pipeline: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing as lines arrive.")] = False,
    server: Server = DEFAULT_SERVER,
    api_key: ApiKey = None,
) -> None:
    """Print a pipeline's log."""
    silence = None if follow else LOG_SILENCE_S
    with (
        contextlib.suppress(httpx.ReadTimeout),
        Client(server, api_key).stream(path("pipelines", pipeline, "logs"), silence=silence) as response,
    ):
        for line in response.iter_lines():
            Output.text(line)


LOG_SILENCE_S = 0.5
"""The log is an endless stream: so much silence after its replay counts as its end for those who do not follow."""


def query(
    pipeline: Name,
    sql: Annotated[str, typer.Argument(help="The query.")],
    server: Server = DEFAULT_SERVER,
    api_key: ApiKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a row.")] = False,
) -> None:
    """Run an ad-hoc query on a pipeline's materialized tables and views."""
    form = "json" if as_json else "text"
    with Client(server, api_key).stream(path("pipelines", pipeline, "query"), sql=sql, format=form) as response:
        for line in response.iter_lines():
            typer.echo(line)


def connector(
    pipeline: Name,
    table: Annotated[
        str, typer.Argument(help="Table (or view, for stats of an output) that the connector belongs to.")
    ],
    name: Annotated[str, typer.Argument(metavar="CONNECTOR", help="Name of the connector.")],
    action: Annotated[ConnectorAction, typer.Argument(help="What to do.")],
    server: Server = DEFAULT_SERVER,
    api_key: ApiKey = None,
    as_json: Json = False,
) -> None:
    """Start, pause or watch one connector of a pipeline."""
    client = Client(server, api_key)
    if action is not ConnectorAction.STATS:
        client.call("POST", path("pipelines", pipeline, "tables", table, "connectors", name, action.value))
        if as_json:
            Output.json({"pipeline": pipeline, "table": table, "connector": name, "action": action.value})
        else:
            Output.text(f"{table}.{name}: {'started' if action is ConnectorAction.START else 'paused'}")
        return
    status = _connector_stats(client, pipeline, table, name)
    if as_json:
        Output.json(status)
    elif "paused" in status:
        Output.table("", _INPUT_COLUMNS, [_input_row(status)])
    else:
        Output.table("", _OUTPUT_COLUMNS, [_output_row(status)])
    for kind in ("parse_errors", "transport_errors", "encode_errors"):
        for error in [] if as_json else status.get(kind, []):
            Output.text(f"{error['timestamp']} {error['message']}")


def _connector_stats(client: Client, pipeline: str, relation: str, name: str) -> dict[str, Any]:
    try:
        found = client.call("GET", path("pipelines", pipeline, "tables", relation, "connectors", name, "stats"))
    except MillstreamError as error:
        if error.error_code != "UnknownInputEndpoint":
            raise
        found = client.call("GET", path("pipelines", pipeline, "views", relation, "connectors", name, "stats"))
    status: dict[str, Any] = found
    return status


def create(
    pipeline: Name,
    file: Annotated[typer.FileText, typer.Argument(help="The SQL program.")],
    udf: UdfFile = None,
    server: Server = DEFAULT_SERVER,
    api_key: ApiKey = None,
) -> None:
    """Create a pipeline from a SQL file, or replace its program."""
    client = Client(server, api_key)
    code = read_udf(udf_file(Path(file.name), udf))
    body = {"name": pipeline, "program_code": file.read(), "udf_python": code}
    client.send("PUT", path("pipelines", pipeline), body)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        state = client.call("GET", path("pipelines", pipeline))
        if state["program_status"] == "Success":
            Output.text(f"{pipeline}: compiled")
            return
        if state["program_status"].endswith("Error"):
            raise MillstreamError(state["program_status"], _program_error(state["program_error"]))
        time.sleep(POLL_S)


def _program_error(error: dict[str, Any]) -> str:
    compilation = error["sql_compilation"]
    if compilation is not None and compilation["messages"]:
        return "\n".join(f"{m['message']}\n{m['snippet'] or ''}" for m in compilation["messages"] if not m["warning"])
    return orjson.dumps(error["rust_compilation"] or error["system_error"]).decode()


def delete(pipeline: Name, server: Server = DEFAULT_SERVER, api_key: ApiKey = None) -> None:
    """Delete a stopped pipeline and its storage."""
    client = Client(server, api_key)
    client.call("POST", path("pipelines", pipeline, "clear"))
    deadline = time.monotonic() + WAIT_S
    while client.call("GET", path("pipelines", pipeline), selector="status")["storage_status"] != "Cleared":
        if time.monotonic() > deadline:
            raise MillstreamError("Timeout", f"the storage of pipeline '{pipeline}' is still being cleared")
        time.sleep(POLL_S)
    client.call("DELETE", path("pipelines", pipeline))
    Output.text(f"{pipeline}: deleted")


COMMANDS: dict[str, Callable[..., None]] = {
    "pipelines": pipelines,
    "create": create,
    "start": start,
    "pause": pause,
    "resume": resume,
    "stop": stop,
    "delete": delete,
    "stats": stats,
    "logs": logs,
    "query": query,
    "connector": connector,
}
