"""How long requests take while a pipeline runs at full speed: statistics, ingress, and start and pause of a connector.

`python -m benchmarks.load [--seconds 10] [--connections 4]` starts a server and a pipeline whose generator delivers
as fast as it can, and sends it requests of one kind after another. Statistics and ingress are asked for with `wrk` if
it is installed (Debian: `apt-get install wrk`), which costs the machine little; else, and for start and pause, with
an asyncio client that does the same. Checked at the end: every request was answered with 200, every row that ingress
acknowledged is in the table, and no connector was left in a state that nobody asked for.

The aim is a 99th percentile below 50 ms for statistics and for start and pause on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.server import Api, server

NAME = "load"
PROGRAM = """
CREATE TABLE numbers (n BIGINT) WITH ('connectors' = '[
  {"name": "fast", "transport": {"name": "datagen", "config": {"plan": [{}]}}},
  {"name": "switched", "paused": true, "transport": {"name": "datagen", "config": {"plan": [{"rate": 1000}]}}}]');
CREATE TABLE pushed (n BIGINT);
CREATE MATERIALIZED VIEW busy AS SELECT n % 1000 AS k, COUNT(*) AS c, MAX(n) AS m FROM numbers GROUP BY n % 1000;
CREATE MATERIALIZED VIEW counted AS SELECT COUNT(*) AS c FROM pushed;
"""
STATS = f"/pipelines/{NAME}/stats"
INGRESS = f"/pipelines/{NAME}/ingress/pushed?format=csv"
SWITCH = f"/pipelines/{NAME}/tables/numbers/connectors/switched/"
ROW = b"1\n"
#: Aim of the 99th percentile.
LIMIT_MS = 50.0
#: Until then kernels are loaded, buffers have grown, and the process for the next pipeline is ready.
SETTLE_S = 10.0


@dataclass(frozen=True)
class Result:
    """Requests of one kind: how many, how many went wrong, milliseconds."""

    kind: str
    client: str
    requests: int
    failures: int
    p50_ms: float
    p99_ms: float

    def line(self, seconds: float) -> str:
        return (
            f"{self.kind:12} {self.client:8} {self.requests / seconds:8.0f}/s  p50 {self.p50_ms:7.2f} ms  "
            f"p99 {self.p99_ms:7.2f} ms  failures {self.failures}"
        )


#: What each client asks for in turn: method, path and body.
Plan = Sequence[tuple[str, str, bytes | None]]


async def ask(url: str, kind: str, plan: Plan, connections: int, seconds: float) -> Result:
    """Requests over so many connections, each sending the next one when the last is answered."""
    took: list[float] = []
    failures = 0
    end = time.perf_counter() + seconds

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal failures
        number = 0
        while time.perf_counter() < end:
            method, path, body = plan[number % len(plan)]
            began = time.perf_counter()
            answer = await http.request(method, path, content=body)
            took.append((time.perf_counter() - began) * 1e3)
            failures += answer.status_code != 200
            number += 1

    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False) as http:
        await asyncio.gather(*(client(http) for _ in range(connections)))
    p50, p99 = np.percentile(took, (50, 99))
    return Result(kind, "asyncio", len(took), failures, float(p50), float(p99))


_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
_UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def wrk(url: str, kind: str, body: bytes | None, connections: int, seconds: float) -> Result:
    """The same by wrk: GET, or POST if there is a body."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "60s"]
    with tempfile.TemporaryDirectory() as folder:
        if body is not None:
            script = Path(folder) / "post.lua"
            script.write_text(f'wrk.method = "POST"\nwrk.body = {json.dumps(body.decode())}\n')
            command += ["-s", str(script)]
        said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    times = {share: float(value) * _UNITS_MS[unit] for share, value, unit in _LATENCY.findall(said)}
    count = re.search(r"(\d+) requests in", said)
    assert count is not None, said
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Result(kind, "wrk", int(count[1]), 0 if bad is None else int(bad[1]), times["50"], times["99"])


def load(api: Api, connections: int, seconds: float) -> list[Result]:
    """Runs the load; AssertionError if an answer was wrong."""
    base = str(api.http.base_url).rstrip("/")
    has_wrk = shutil.which("wrk") is not None
    plans: dict[str, tuple[str, str, bytes | None]] = {
        "stats": ("GET", STATS, None),
        "ingress": ("POST", INGRESS, ROW),
    }
    results = []
    for kind, (method, path, body) in plans.items():
        if has_wrk:
            results.append(wrk(base + path, kind, body, connections, seconds))
        else:
            results.append(asyncio.run(ask(base, kind, [(method, path, body)], connections, seconds)))
    switch: Plan = [("POST", SWITCH + action, None) for action in ("start", "pause")]
    results.append(asyncio.run(ask(base, "start/pause", switch, connections, seconds)))
    _check(api, results)
    return results


def _check(api: Api, results: list[Result]) -> None:
    assert not any(result.failures for result in results), results
    pushed = next(result.requests for result in results if result.kind == "ingress")
    deadline = time.monotonic() + 60
    while (counted := _counted(api)) < pushed:
        assert time.monotonic() < deadline, f"{counted} rows of {pushed} that were acknowledged"
        time.sleep(0.05)
    for action, paused in (("start", False), ("pause", True)):
        api.post(SWITCH + action)
        assert _paused(api) is paused, f"the connector did not {action}"


def _counted(api: Api) -> int:
    sql = {"sql": "SELECT c FROM counted", "format": "json"}
    return int(api.http.get(f"/pipelines/{NAME}/query", params=sql).json()["c"])


def _paused(api: Api) -> bool:
    inputs: list[dict[str, Any]] = api.http.get(STATS).json()["inputs"]
    return bool(next(e["paused"] for e in inputs if e["endpoint_name"] == "numbers.switched"))


def main() -> int:
    """Prints a line for each kind of request; 1 if one is slower than it should be."""
    parser = argparse.ArgumentParser(prog="benchmarks.load")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    with server() as api:
        api.put(NAME, PROGRAM)
        api.post(f"/pipelines/{NAME}/start")
        api.wait(NAME, "deployment_status", "Running")
        time.sleep(SETTLE_S)
        before = api.http.get(STATS).json()["global_metrics"]["total_processed_records"]
        began = time.monotonic()
        results = load(api, arguments.connections, arguments.seconds)
        took = time.monotonic() - began
        rows = api.http.get(STATS).json()["global_metrics"]["total_processed_records"] - before
        for result in results:
            sys.stdout.write(result.line(arguments.seconds) + "\n")
        sys.stdout.write(f"meanwhile the pipeline processed {rows / took:,.0f} rows a second\n")
        api.post(f"/pipelines/{NAME}/stop", force="true")
        api.wait_stopped(NAME)
    slow = [r.kind for r in results if r.kind != "ingress" and r.p99_ms > LIMIT_MS]
    if slow:
        sys.stdout.write(f"p99 above {LIMIT_MS:g} ms: {', '.join(slow)}\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
