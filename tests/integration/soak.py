"""A soak: pipelines run under load while their connectors are paused and started at random, and nothing is lost.

`python -m tests.integration.soak [--pipelines 10] [--seconds 600] [--seed 1]` starts a server of its own. Each pipeline
has one table with two generators and a file that grows, and takes rows over ingress; every source numbers its rows from
0. So rows were lost or doubled exactly if, for some source, the rows are not as many as the greatest number says or
their numbers do not add up to the sum of 0, 1, ... up to it. State stays small, so memory must, too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from tests.integration.conftest import Server, wait_for

GENERATORS, FILE, INGRESS = ("g0", "g1"), "file", "ingress"
CONNECTORS = (*GENERATORS, FILE)
RATE = 1000
ROWS_OF_PUSH = 20
#: What a pipeline or the server may use more at the end than after the first third of the soak.
MORE_BYTES, MORE_HANDLES = 64 << 20, 8
#: A soak of so many seconds has used all its kernels and buffers after a third; memory of shorter ones is not checked.
SETTLED_S = 60

_PROGRAM = """
CREATE TABLE t (source VARCHAR NOT NULL, id BIGINT NOT NULL) WITH ('append_only' = 'true', 'connectors' = '%s');
CREATE MATERIALIZED VIEW v AS
SELECT source, COUNT(*) AS n, MAX(id) AS greatest, SUM(CAST(id AS DECIMAL(38, 0))) AS total FROM t GROUP BY source;
"""


def program(path: Path) -> str:
    """The program of a pipeline that reads that file."""
    connectors: list[dict[str, Any]] = [
        {
            "name": name,
            "paused": name == "g1",
            "transport": {
                "name": "datagen",
                "config": {"plan": [{"rate": RATE, "fields": {"source": {"values": [name]}}}]},
            },
        }
        for name in GENERATORS
    ]
    connectors.append(
        {
            "name": FILE,
            "transport": {"name": "file_input", "config": {"path": str(path), "follow": True}},
            "format": {"name": "json", "config": {"update_format": "raw"}},
        }
    )
    return _PROGRAM % json.dumps(connectors)


@dataclass
class Source:
    """A source of rows that this process writes: how many it has written."""

    name: str
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lines(self, count: int) -> str:
        """The next rows as JSON lines."""
        rows = range(self.count, self.count + count)
        self.count += count
        return "".join(f'{{"source": "{self.name}", "id": {i}}}\n' for i in rows)


@dataclass
class Load:
    """One pipeline under load."""

    name: str
    path: Path
    file: Source = field(default_factory=lambda: Source(FILE))
    ingress: Source = field(default_factory=lambda: Source(INGRESS))


@dataclass
class Seen:
    """What was measured: milliseconds by kind of request, and resources by process."""

    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    resources: list[dict[int, tuple[int, int]]] = field(default_factory=list)
    #: Rows that were found by source, each exactly once.
    rows: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, dict[str, float]]:
        """Count, median and 99th percentile of every kind."""
        return {
            kind: {"requests": len(v), "p50, ms": float(np.percentile(v, 50)), "p99, ms": float(np.percentile(v, 99))}
            for kind, v in self.milliseconds.items()
        }

    def checked(self) -> dict[str, Any]:
        """What was found right: rows by source, and the greatest growth of a process."""
        first, last = self.resources
        both = first.keys() & last.keys()
        return {
            "rows, none lost or doubled": self.rows,
            "processes watched": len(both),
            "processes left": 0,
            "memory grown by at most, MB": max((last[p][0] - first[p][0] for p in both), default=0) / 1e6,
            "handles grown by at most": max((last[p][1] - first[p][1] for p in both), default=0),
        }


def soak(server: Server, folder: Path, pipelines: int, seconds: float, seed: int) -> Seen:
    """Runs the soak; AssertionError, with the seed, if anything was lost, doubled or left behind."""
    seen = Seen()
    loads = [Load(f"soak{i}", folder / f"{i}.json") for i in range(pipelines)]
    with httpx.Client(base_url=server.url + "/v0", timeout=60) as http:
        for load in loads:
            load.path.touch()
            body = {"name": load.name, "program_code": program(load.path)}
            assert http.put(f"/pipelines/{load.name}", json=body).is_success
        for load in loads:
            wait_for("compilation", lambda name=load.name: _is(http, name, "program_status", "Success"))
            assert http.post(f"/pipelines/{load.name}/start").status_code == 202
        for load in loads:
            wait_for("Running", lambda name=load.name: _is(http, name, "deployment_status", "Running"), 120)
        _torture(server, loads, seconds, seed, seen)
        for load in loads:
            _finish(http, load, seed, seen)
        _check_resources(seen, seed, memory=seconds >= SETTLED_S)
        for load in loads:
            http.post(f"/pipelines/{load.name}/stop?force=true")
        for load in loads:
            wait_for("Stopped", lambda name=load.name: _is(http, name, "deployment_status", "Stopped"))
    # The server keeps a warm process for the next pipeline; those of stopped ones are gone.
    alive = [process for process in server.pipeline_processes() if any("soak" in part for part in _command(process))]
    assert not alive, f"seed {seed}: processes left: {alive}"
    return seen


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def _is(http: httpx.Client, name: str, key: str, value: str) -> bool:
    state = http.get(f"/pipelines/{name}", params={"selector": "status"}).json()
    assert state["deployment_error"] is None, state["deployment_error"]
    return bool(state[key] == value)


def _torture(server: Server, loads: list[Load], seconds: float, seed: int, seen: Seen) -> None:
    """Several clients do random things until the time is over; the first failure of one is raised."""
    end = time.monotonic() + seconds
    failures: list[BaseException] = []

    def client(number: int) -> None:
        chance = random.Random(f"{seed}/{number}")
        try:
            with httpx.Client(base_url=server.url + "/v0", timeout=60) as http:
                while time.monotonic() < end and not failures:
                    for kind, took in _act(http, chance, chance.choice(loads)):
                        seen.milliseconds.setdefault(kind, []).append(took)
        except BaseException as failure:  # noqa: BLE001 - raised again by the caller
            failures.append(failure)

    clients = [threading.Thread(target=client, args=(i,)) for i in range(4)]
    for thread in clients:
        thread.start()
    for share in (1 / 3, 1):
        # Both times with all that the soak needs in memory.
        until = end - seconds * (1 - share)
        for thread in clients:
            thread.join(max(0.0, until - time.monotonic()))
        seen.resources.append(_resources(server))
    for thread in clients:
        thread.join()
    if failures:
        raise AssertionError(f"seed {seed}: {failures[0]}") from failures[0]


def _act(http: httpx.Client, chance: random.Random, load: Load) -> Iterator[tuple[str, float]]:
    """One random request or a write to the file."""
    kind = chance.choices(("connector", "stats", "ingress", "file", "pipeline", "query"), (6, 4, 4, 4, 1, 1))[0]
    path = f"/pipelines/{load.name}"
    if kind == "file":
        with load.file.lock, load.path.open("a") as file:
            file.write(load.file.lines(chance.randrange(1, 500)))
        return
    begin = time.perf_counter()
    if kind == "connector":
        action = chance.choice(("start", "pause"))
        answer = http.post(f"{path}/tables/t/connectors/{chance.choice(CONNECTORS)}/{action}")
    elif kind == "stats":
        answer = http.get(f"{path}/stats")
    elif kind == "ingress":
        with load.ingress.lock:
            rows = load.ingress.lines(ROWS_OF_PUSH)
            answer = http.post(f"{path}/ingress/t?format=json&update_format=raw&force=true", content=rows)
    elif kind == "query":
        answer = http.get(f"{path}/query", params={"sql": "SELECT * FROM v", "format": "json"})
    else:
        answer = http.post(f"{path}/{chance.choice(('pause', 'resume', 'resume'))}")
    assert answer.is_success, (kind, answer.status_code, answer.text)
    yield kind, (time.perf_counter() - begin) * 1e3


def _resources(server: Server) -> dict[int, tuple[int, int]]:
    """Resident bytes and open handles of the server and of its pipelines, by process."""
    assert server.process is not None
    found = {}
    for process in [psutil.Process(server.process.pid), *server.pipeline_processes()]:
        with contextlib.suppress(psutil.Error):
            found[process.pid] = (process.memory_info().rss, process.num_fds())
    return found


def _check_resources(seen: Seen, seed: int, memory: bool) -> None:
    first, last = seen.resources
    for pid in first.keys() & last.keys():
        (early_bytes, early_handles), (late_bytes, late_handles) = first[pid], last[pid]
        grown = f"seed {seed}: process {pid} grew from {first[pid]} to {last[pid]} (bytes, handles)"
        assert late_handles <= early_handles + MORE_HANDLES, grown
        assert not memory or late_bytes <= early_bytes + MORE_BYTES, grown


def _finish(http: httpx.Client, load: Load, seed: int, seen: Seen) -> None:
    """Lets the file be read to its end, stops the generators, and checks every source."""
    path = f"/pipelines/{load.name}"
    assert http.post(f"{path}/resume").is_success
    wait_for("Running", lambda: _is(http, load.name, "deployment_status", "Running"))
    for connector in CONNECTORS:
        action = "start" if connector == FILE else "pause"
        assert http.post(f"{path}/tables/t/connectors/{connector}/{action}").status_code == 200

    def rows() -> dict[str, dict[str, int]]:
        lines = http.get(f"{path}/query", params={"sql": "SELECT * FROM v", "format": "json"}).text.splitlines()
        return {row["source"]: row for row in map(json.loads, lines)}

    def settled() -> bool:
        metrics = http.get(f"{path}/stats").json()["global_metrics"]
        counts = {name: row["n"] for name, row in rows().items()}
        written = {source.name: source.count for source in (load.file, load.ingress)}
        return (
            metrics["buffered_input_records"] == 0
            and metrics["total_input_records"] == metrics["total_processed_records"] == sum(counts.values())
            and all(counts.get(name, 0) >= count for name, count in written.items())
        )

    wait_for(f"seed {seed}: {load.name} to have all rows", settled, 120)
    for name, row in rows().items():
        count = row["greatest"] + 1
        assert row["n"] == count, f"seed {seed}: {load.name} has {row['n']} rows of {name} instead of {count}"
        assert row["total"] == count * (count - 1) // 2, f"seed {seed}: {load.name}: wrong rows of {name}: {row}"
        seen.rows[name] = seen.rows.get(name, 0) + count


def main() -> int:
    """Soak a server of its own and print what requests took."""
    parser = argparse.ArgumentParser(prog="tests.integration.soak")
    parser.add_argument("--pipelines", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        server.start()
        try:
            seen = soak(server, folder, arguments.pipelines, arguments.seconds, arguments.seed)
        finally:
            server.stop()
    sys.stdout.write(json.dumps({"checked": seen.checked(), "requests": seen.summary()}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
