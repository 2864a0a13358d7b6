"""Many clients start and pause every kind of connector while data flows, and the tables end up equal to the sources.

Every source numbers its rows from 0, so a table equals its sources exactly if for each of them it holds every number
once. Nexmark numbers its persons and auctions itself.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.connectors.http_server import serving
from tests.integration.conftest import Rest, Server, wait_for

CLIENTS = 8
#: Pausing must have stopped a connector after so many seconds; what comes later is an error.
PAUSED_WITHIN_S = 2.0
CONNECTORS = ("t.file", "t.url", "t.gen", "person.n", "auction.n", "bid.n")
MAX_QUEUED = 2000
#: The largest piece that a connector reads at once, the 64 KiB that come over a network, has fewer rows than this.
CHUNK_ROWS = 3000
RAW = {"name": "json", "config": {"update_format": "raw"}}

TABLES = """
CREATE TABLE t (source VARCHAR, id BIGINT) WITH ('connectors' = '{t}');
CREATE TABLE person (id BIGINT, name VARCHAR, email_address VARCHAR, credit_card VARCHAR, city VARCHAR, state VARCHAR,
    date_time TIMESTAMP, extra VARCHAR) WITH ('connectors' = '{person}');
CREATE TABLE auction (id BIGINT, item_name VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT,
    date_time TIMESTAMP, expires TIMESTAMP, seller BIGINT, category BIGINT, extra VARCHAR)
    WITH ('connectors' = '{auction}');
CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP,
    extra VARCHAR) WITH ('connectors' = '{bid}');
CREATE MATERIALIZED VIEW rows AS SELECT source, id FROM t;
CREATE MATERIALIZED VIEW ids AS SELECT 'person' AS kind, id FROM person UNION ALL SELECT 'auction', id FROM auction;
CREATE MATERIALIZED VIEW bids AS SELECT COUNT(*) AS n FROM bid;
"""


def lines(source: str, first: int, count: int) -> bytes:
    """Rows as JSON lines."""
    return b"".join(b'{"source":"%s","id":%d}\n' % (source.encode(), i) for i in range(first, first + count))


def sources(path: Path, url: str, rows: int, rate: int) -> str:
    """The program. Each connector of `t` has `rows` rows and a small queue; Nexmark makes as many events."""
    limits = {"max_queued_records": MAX_QUEUED, "max_batch_size": 500}
    plan = [{"limit": rows, "rate": rate, "fields": {"source": {"values": ["gen"]}}}]
    t: list[dict[str, Any]] = [
        {
            "name": "file",
            "transport": {"name": "file_input", "config": {"path": str(path), "buffer_size_bytes": 4000}},
            "format": RAW,
            **limits,
        },
        {
            "name": "url",
            "transport": {"name": "url_input", "config": {"path": url, "pause_timeout": 1}},
            "format": RAW,
            **limits,
        },
        {"name": "gen", "transport": {"name": "datagen", "config": {"plan": plan}}, **limits},
    ]
    options = {"events": rows, "threads": 1, "batch_size_per_thread": 100, "max_step_size_per_thread": 100}
    quoted = {"t": t}
    for table in ("person", "auction", "bid"):
        config = {"table": table, **({"options": options} if table == "bid" else {})}
        transport = {"name": "nexmark", "config": config}
        quoted[table] = [{"name": "n", "transport": transport, "format": {"name": "csv"}, **limits}]
    return TABLES.format(**{name: json.dumps(value) for name, value in quoted.items()})


class Torture:
    """The clients. `sent`: rows that each has pushed."""

    def __init__(self, server: Server, name: str, seed: int) -> None:
        self.url = f"{server.url}/v0"
        self.path = f"/pipelines/{name}"
        self.seed = seed
        self.sent: Counter[str] = Counter()
        self._stop = threading.Event()
        self._problems: list[BaseException] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Clients are at work; fails with the first problem of one."""
        clients = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self._stop.set()
            for client in clients:
                client.join()
        if self._problems:
            raise AssertionError(f"seed {self.seed}: {self._problems[0]!r}") from self._problems[0]

    def _client(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        source = f"http{number}"
        try:
            with httpx.Client(base_url=self.url, timeout=60) as http:
                while not self._stop.is_set() and not self._problems:
                    self._act(http, chance, source)
        except BaseException as problem:  # noqa: BLE001 - raised again by the test's thread
            self._problems.append(problem)

    def _act(self, http: httpx.Client, chance: random.Random, source: str) -> None:
        kind = chance.choices(("start", "pause", "push", "stats", "pipeline"), (8, 6, 2, 3, 1))[0]
        if kind in ("start", "pause"):
            table, connector = chance.choice(CONNECTORS).split(".")
            answer = http.post(f"{self.path}/tables/{table}/connectors/{connector}/{kind}")
        elif kind == "push":
            body = lines(source, self.sent[source], 20)
            answer = http.post(f"{self.path}/ingress/t?format=json&update_format=raw&force=true", content=body)
            self.sent[source] += 20
        elif kind == "stats":
            answer = http.get(f"{self.path}/stats")
            check_counters(answer.json())
        else:
            answer = http.post(f"{self.path}/{chance.choice(('pause', 'resume', 'resume'))}")
        assert answer.is_success, answer.text


def check_counters(stats: dict[str, Any]) -> None:
    """The counters of one snapshot fit together, and no queue is fuller than by the last piece that was read."""
    found = stats["global_metrics"]
    assert found["total_input_records"] == found["total_processed_records"] + found["buffered_input_records"]
    assert found["total_input_bytes"] == found["total_processed_bytes"] + found["buffered_input_bytes"]
    assert found["total_completed_records"] <= found["total_processed_records"]
    inputs = [i["metrics"] for i in stats["inputs"]]
    for endpoint in stats["inputs"]:
        if endpoint["endpoint_name"] in CONNECTORS:
            assert endpoint["metrics"]["buffered_records"] < MAX_QUEUED + CHUNK_ROWS, endpoint
    for unit in ("records", "bytes"):
        assert sum(m[f"total_{unit}"] for m in inputs) == found[f"total_input_{unit}"]
        assert sum(m[f"buffered_{unit}"] for m in inputs) == found[f"buffered_input_{unit}"]


def inputs(rest: Rest, name: str) -> dict[str, dict[str, Any]]:
    """The declared connectors: endpoint -> metrics, with the flag `paused` and the fatal error."""
    stats = rest.http.get(f"/pipelines/{name}/stats").json()
    check_counters(stats)
    return {
        i["endpoint_name"]: {**i["metrics"], "paused": i["paused"], "fatal_error": i["fatal_error"]}
        for i in stats["inputs"]
        if i["endpoint_name"] in CONNECTORS
    }


def switch(rest: Rest, name: str, action: str) -> None:
    """Start or pause all connectors."""
    for endpoint in CONNECTORS:
        table, connector = endpoint.split(".")
        assert rest.http.post(f"/pipelines/{name}/tables/{table}/connectors/{connector}/{action}").status_code == 200


def torture(server: Server, rest: Rest, path: Path, rows: int, rate: int, seconds: float, seed: int) -> None:
    """The whole test on one pipeline."""
    name = f"torture{seed}"
    path.write_bytes(lines("file", 0, rows))
    with serving(lines("url", 0, rows)) as http:
        rest.create(name, sources(path, http.url("/ranges"), rows, rate))
        rest.start(name)
        clients = Torture(server, name, seed)
        with clients.running():
            time.sleep(seconds)
        assert rest.http.post(f"/pipelines/{name}/resume").status_code == 202
        switch(rest, name, "pause")
        time.sleep(PAUSED_WITHIN_S)
        before = inputs(rest, name)
        assert all(metrics["paused"] for metrics in before.values())
        assert not all(metrics["end_of_input"] for metrics in before.values()), "the sources are too short"
        time.sleep(0.3)
        assert {k: m["total_records"] for k, m in inputs(rest, name).items()} == {
            k: m["total_records"] for k, m in before.items()
        }
        switch(rest, name, "start")
        wait_for("the end of all inputs", lambda: _ended(rest, name), 120)
    found = Counter((row["source"], row["id"]) for row in _query(rest, name, "SELECT * FROM rows"))
    pushed = {"file": rows, "url": rows, "gen": rows, **clients.sent}
    assert found == Counter((source, i) for source, count in pushed.items() for i in range(count)), f"seed {seed}"
    ids = Counter((row["kind"].strip(), row["id"]) for row in _query(rest, name, "SELECT * FROM ids"))
    persons, auctions, bids = rows // 50, rows * 3 // 50, rows * 46 // 50
    assert ids == Counter(
        [("person", 1000 + i) for i in range(persons)] + [("auction", 1000 + i) for i in range(auctions)]
    )
    assert _query(rest, name, "SELECT n FROM bids") == [{"n": bids}]
    rest.remove(name)


def _ended(rest: Rest, name: str) -> bool:
    found = inputs(rest, name)
    assert all(metrics["fatal_error"] is None for metrics in found.values()), found
    return all(metrics["end_of_input"] and not metrics["buffered_records"] for metrics in found.values())


def _query(rest: Rest, name: str, sql: str) -> list[dict[str, Any]]:
    answer = rest.http.get(f"/pipelines/{name}/query", params={"sql": sql, "format": "json"})
    return [json.loads(line) for line in answer.text.splitlines()]


def test_eight_clients_lose_and_repeat_nothing(server: Server, rest: Rest, tmp_path: Path) -> None:
    torture(server, rest, tmp_path / "rows.json", rows=15_000, rate=3000, seconds=2, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2, 6))
def test_eight_clients_lose_and_repeat_nothing_for_longer(
    server: Server, rest: Rest, tmp_path: Path, seed: int
) -> None:
    torture(server, rest, tmp_path / "rows.json", rows=200_000, rate=7000, seconds=20, seed=seed)
