"""A real server over HTTP: how long a user waits, and how fast ingress takes data."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from benchmarks.end_to_end import NDJSON_QUERY, NDJSON_TABLE, write_bids
from benchmarks.first_run import ORDERS, PROGRAM, USERS
from benchmarks.harness import Measurements, case

INGRESS_ROWS = 500_000
IDLE_SETTLE_S, IDLE_S = 6.0, 10.0
POLL_S = 0.002
WAIT_S = 120.0
BETWEEN_STARTS_S = 3.0


def program(lines: int, variant: int) -> str:
    """A program of about `lines` lines: tables, joins, aggregates. Each variant is another text."""
    head = [
        "CREATE TABLE customers (",
        "  id BIGINT NOT NULL PRIMARY KEY,",
        "  name VARCHAR NOT NULL,",
        "  region INT,",
        "  since DATE",
        ");",
        "CREATE TABLE orders (",
        "  id BIGINT NOT NULL PRIMARY KEY,",
        "  customer BIGINT NOT NULL,",
        "  amount DECIMAL(12, 2) NOT NULL,",
        "  placed TIMESTAMP NOT NULL",
        ");",
    ]
    views: list[str] = []
    while len(head) + len(views) < lines:
        i = len(views)
        views += [
            f"CREATE VIEW spending_{variant}_{i} AS",
            "SELECT c.region,",
            "       EXTRACT(MONTH FROM o.placed) AS placed_month,",
            "       COUNT(*) AS orders,",
            "       SUM(o.amount) AS total,",
            "       MAX(o.placed) AS latest",
            "FROM orders o JOIN customers c ON o.customer = c.id",
            f"WHERE o.amount > {i}.50 AND c.name LIKE 'a%'",
            "GROUP BY c.region, EXTRACT(MONTH FROM o.placed)",
            f"HAVING COUNT(*) > {i};",
        ]
    return "\n".join(head + views)


class Api:
    """A REST client of one server, process `pid`, without pauses longer than `POLL_S`."""

    def __init__(self, url: str, pid: int) -> None:
        self.pid = pid
        self.http = httpx.Client(base_url=url + "/v0", timeout=WAIT_S)

    def put(self, name: str, sql: str) -> None:
        self.http.put(f"/pipelines/{name}", json={"name": name, "program_code": sql}).raise_for_status()

    def post(self, path: str, **parameters: str) -> None:
        self.http.post(path, params=parameters).raise_for_status()

    def wait(self, name: str, field: str, value: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while True:
            state = self.http.get(f"/pipelines/{name}", params={"selector": "status"}).json()
            if state[field] == value:
                return
            assert state["deployment_error"] is None, state["deployment_error"]
            assert not state["program_status"].endswith("Error"), state["program_status"]
            assert time.monotonic() < deadline, state
            time.sleep(POLL_S)

    def wait_stopped(self, name: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while (
            self.http.get(f"/pipelines/{name}", params={"selector": "status"}).json()["deployment_status"] != "Stopped"
        ):
            assert time.monotonic() < deadline, f"pipeline {name} does not stop"
            time.sleep(POLL_S)


@contextlib.contextmanager
def server() -> Iterator[Api]:
    """A server on a free port and a fresh data directory."""
    with tempfile.TemporaryDirectory() as scratch, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        command = [sys.executable, "-m", "millstream.cli.main", "serve", "--port", str(port), "--data-dir", scratch]
        with (Path(scratch) / "server.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        api = Api(f"http://127.0.0.1:{port}", process.pid)
        try:
            deadline = time.monotonic() + WAIT_S
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                        break
                assert time.monotonic() < deadline, (Path(scratch) / "server.log").read_text()
                time.sleep(0.05)
            yield api
        finally:
            stop_pipelines(api)  # they would outlive the server
            api.http.close()
            process.terminate()
            process.wait(30)


def stop_pipelines(api: Api) -> None:
    """Stop whatever still runs."""
    with contextlib.suppress(httpx.HTTPError):
        for found in api.http.get("/pipelines", params={"selector": "status"}).json():
            api.post(f"/pipelines/{found['name']}/stop", force="true")
        for found in api.http.get("/pipelines", params={"selector": "status"}).json():
            api.wait_stopped(found["name"])


@case("From SQL text to `Success`", "s", target=0.3, higher_is_better=False)
def text_to_success() -> Measurements:
    """PUT of a new program until the REST API reports that it compiled; median of nine programs after the first."""
    with server() as api:
        samples = []
        for variant in range(10):
            sql = program(50, variant)
            begin = time.perf_counter()
            api.put(f"p{variant}", sql)
            api.wait(f"p{variant}", "program_status", "Success")
            samples.append(time.perf_counter() - begin)
    return {"50 lines, median": statistics.median(samples[1:]), "the first program of a server": samples[0]}


@case("From `start` to `Running`", "s", target=1.5, higher_is_better=False)
def start_to_running() -> Measurements:
    """POST /start until the REST API reports the pipeline as Running; median of three starts after the first, with
    three seconds between a stop and the next start. The first follows the server's own start at once."""
    with server() as api:
        samples = []
        api.put("p", program(50, 0))
        api.wait("p", "program_status", "Success")
        for _ in range(4):
            begin = time.perf_counter()
            api.post("/pipelines/p/start")
            api.wait("p", "deployment_status", "Running")
            samples.append(time.perf_counter() - begin)
            api.post("/pipelines/p/stop", force="true")
            api.wait_stopped("p")
            time.sleep(BETWEEN_STARTS_S)
    return {"median": statistics.median(samples[1:]), "the first pipeline of a server": samples[0]}


@case("From SQL text to the first result, through a server", "s", target=1, higher_is_better=False)
def first_result_of_a_server() -> Measurements:
    """PUT of a program with a join and an aggregate, start, POST of the rows of two tables, and a query that returns
    what is in the view: four programs, three seconds after each other, on a server that has just come up."""
    with server() as api:
        samples = []
        for number in range(4):
            time.sleep(BETWEEN_STARTS_S)
            name = f"p{number}"
            begin = time.perf_counter()
            api.put(name, PROGRAM)
            api.wait(name, "program_status", "Success")
            api.post(f"/pipelines/{name}/start")
            api.wait(name, "deployment_status", "Running")
            for table, rows in (("users", USERS), ("orders", ORDERS)):
                ingest(api, name, table, "".join(json.dumps(row) + "\n" for row in rows).encode())
            sql = {"sql": "SELECT country, n, total FROM spending", "format": "json"}
            row = api.http.get(f"/pipelines/{name}/query", params=sql).json()
            samples.append(time.perf_counter() - begin)
            assert (row["country"], row["n"], float(row["total"])) == ("NO", 2, 20.0), row
            api.post(f"/pipelines/{name}/stop", force="true")
            api.wait_stopped(name)
    return {"median of the later ones": statistics.median(samples[1:]), "the first one": samples[0]}


@case("CPU time while nothing happens", "% of a core", target=1, higher_is_better=False)
def idle() -> Measurements:
    """A server with one running pipeline that gets no input and reads the clock once a second, over ten seconds."""
    with server() as api:
        api.put("p", program(50, 0))
        api.wait("p", "program_status", "Success")
        api.post("/pipelines/p/start")
        api.wait("p", "deployment_status", "Running")
        time.sleep(IDLE_SETTLE_S)  # the spare process for the next pipeline gets ready
        processes = [psutil.Process(api.pid), *psutil.Process(api.pid).children(recursive=True)]
        before = [sum(process.cpu_times()[:2]) for process in processes]
        time.sleep(IDLE_S)
        used = [100 * (sum(p.cpu_times()[:2]) - b) / IDLE_S for p, b in zip(processes, before, strict=True)]
    return {"server, pipeline and spare process": sum(used), "the server alone": used[0]}


@case("NDJSON over HTTP ingress into GROUP BY", "rows/s", target=400_000)
def http_ingress() -> Measurements:
    """One POST of half a million five-column JSON lines through the server, until the completion token says that
    the view has them."""
    view = f"{NDJSON_TABLE};\nCREATE MATERIALIZED VIEW v AS\n{NDJSON_QUERY};"
    with tempfile.TemporaryDirectory() as scratch, server() as api:
        warm, body = Path(scratch) / "warm", Path(scratch) / "body"
        write_bids(warm, 5_000)
        write_bids(body, INGRESS_ROWS)
        api.put("p", view)
        api.wait("p", "program_status", "Success")
        api.post("/pipelines/p/start")
        api.wait("p", "deployment_status", "Running")
        ingest(api, "p", "bids", warm.read_bytes())
        content = body.read_bytes()
        begin = time.perf_counter()
        ingest(api, "p", "bids", content)
        seconds = time.perf_counter() - begin
        answer = api.http.get("/pipelines/p/query", params={"sql": "SELECT SUM(n) AS n FROM v", "format": "json"})
        assert answer.json()["n"] == INGRESS_ROWS + 5_000
    return {"Millstream": INGRESS_ROWS / seconds}


def ingest(api: Api, name: str, table: str, content: bytes) -> None:
    """POST `content` and wait until it is processed."""
    path = f"/pipelines/{name}"
    answer = api.http.post(
        f"{path}/ingress/{table}", params={"format": "json", "update_format": "raw"}, content=content
    )
    assert answer.status_code == 200, answer.text
    token = answer.json()["token"]
    while api.http.get(f"{path}/completion_status", params={"token": token}).json()["status"] != "complete":
        time.sleep(POLL_S)
