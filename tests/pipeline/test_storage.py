"""State on disk: what `storage`, `resources` and `max_rss_mb` say about it, and a state larger than memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from millstream.circuit import Circuit
from millstream.circuit.workers import Workers
from millstream.errors import MillstreamError
from millstream.pipeline.controller import Controller
from millstream.pipeline.metrics import collect
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.pipeline.storage import StorageMeter, build_keeper, state_memory_bytes
from millstream.plan.nodes import Join, JoinKind, Scan
from millstream.plan.program import Program, View
from millstream.zset import keeper
from millstream.zset.changes import Operation
from millstream.zset.keeper import Keeper, keeping
from tests.pipeline import large_state
from tests.pipeline.support import SCHEMA, rows, running, simple_program, table, wait

MB = 10**6


@pytest.mark.parametrize(
    "source, on, smallest, limit",
    [
        ({}, True, None, None),
        ({"storage": True}, True, None, None),
        ({"storage": None}, False, None, None),
        ({"storage": False}, False, None, None),
        ({"storage": {"min_storage_bytes": 5}}, True, 5, None),
        ({"storage": {"backend": {"name": "default"}}, "resources": {"storage_mb_max": 7}}, True, None, 7),
    ],
)
def test_configuration(source: dict[str, Any], on: bool, smallest: int | None, limit: int | None) -> None:
    config = RuntimeConfig.from_json(source)
    assert (config.storage, config.min_storage_bytes, config.storage_mb_max) == (on, smallest, limit)


@pytest.mark.parametrize("storage", ["yes", 1, {"min_storage_bytes": -1}, {"min_storage_bytes": "1"}])
def test_storage_of_a_wrong_type_is_refused(storage: Any) -> None:
    with pytest.raises(MillstreamError, match="storage"):
        RuntimeConfig.from_json({"storage": storage})


def test_state_may_take_half_of_what_the_process_does_not_need() -> None:
    assert state_memory_bytes(1300) == 500 * MB
    assert state_memory_bytes(320) == 40 * MB
    assert state_memory_bytes(0) == 1
    assert state_memory_bytes(None) > 100 * MB


def fed(config: dict[str, Any], directory: Path, said: list[str], count: int = 20) -> Controller:
    """A stopped-by-nobody pipeline whose view holds `count` times 1000 rows."""
    parsed = RuntimeConfig.from_json(config)
    kept = build_keeper(parsed, directory, said.append)
    controller = Controller(simple_program(), parsed, manual_stepping=True, keeper=kept, log=said.append)
    controller.start()
    for i in range(count):
        controller.push("t", rows(i * 1000, 1000))
        controller.step()
    return controller


def storage_metrics(controller: Controller) -> dict[str, Any]:
    families = collect(controller.stats(), controller.measurements())
    return {f.name: f.samples[0][1] for f in families if f.name.startswith("storage_")}


def test_statistics_and_metrics_tell_what_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "TASK_VALUES", 0)
    controller = fed({"storage": {"min_storage_bytes": 1000}}, tmp_path, [])

    def agrees() -> bool:
        """True as soon as no file is being written, which still happens when the steps are done."""
        told = storage_metrics(controller)["storage_usage_bytes"]
        return told == sum(path.stat().st_size for path in tmp_path.rglob("*.arrow")) > 100_000

    wait(controller, agrees)
    assert storage_metrics(controller)["storage_byte_seconds_total"] >= 0
    assert controller.snapshot().table("v").num_rows == 20_000
    controller.stop()
    assert list(tmp_path.rglob("*.arrow")) == []
    assert controller.snapshot().table("v").num_rows == 20_000


@pytest.mark.parametrize("count", [1, 2])
def test_state_of_every_worker_goes_to_disk(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "TASK_VALUES", 0)
    schema = (*SCHEMA, *SCHEMA)
    plan = Join(schema, JoinKind.INNER, Scan(SCHEMA, "t"), Scan(SCHEMA, "u"), (0,), (0,), (False,))
    joined = Program((table("t"), table("u")), (View("j", schema, plan, materialized=True),), False)
    kept = build_keeper(RuntimeConfig(min_storage_bytes=0), tmp_path, lambda _: None)
    with keeping(kept):
        circuit = Circuit(joined, workers=Workers(count, split_rows=500, thread_rows=100))
    for i in range(20):
        circuit.step({"t": [rows(i * 1000, 1000)], "u": [rows(i * 500, 1000)]})
    found = circuit.snapshot().table("j")
    assert Counter(found.column(0).to_pylist()) == {i: 1 + (500 <= i < 10_000) for i in range(10_500)}
    assert found.column(0).equals(found.column(2))
    on_disk = kept.stored_bytes
    assert on_disk > 500_000
    kept.close()


def test_without_storage_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "TASK_VALUES", 0)
    controller = fed({"storage": None, "max_rss_mb": 1}, tmp_path, [])
    assert controller.snapshot().table("v").num_rows == 20_000
    assert controller.stats()["global_metrics"]["storage_bytes"] == 0
    assert list(tmp_path.iterdir()) == []
    controller.stop()


def test_above_the_limit_of_storage_state_stays_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "TASK_VALUES", 0)
    said: list[str] = []
    config = {"storage": {"min_storage_bytes": 0}, "resources": {"storage_mb_max": 0}}
    controller = fed(config, tmp_path, said)
    controller.stop()
    assert controller.snapshot().table("v").num_rows == 20_000
    assert len(said) == 1
    assert "stays in memory" in said[0]
    assert "storage_mb_max" in said[0]


def test_the_thread_of_merges_ends_with_the_pipeline(tmp_path: Path) -> None:
    kept = build_keeper(RuntimeConfig(), tmp_path, lambda _: None)
    with running(simple_program(), keeper=kept):
        pass
    with pytest.raises(RuntimeError, match="shutdown"):
        kept.merge((), lambda runs, store: runs[0])


def test_megabyte_seconds_add_up() -> None:
    class Disk(Keeper):
        stored_bytes = 0

    disk, time = Disk(), [0.0]
    meter = StorageMeter(disk, lambda: time[0])
    assert meter.read() == (0, 0)
    disk.stored_bytes, time[0] = 4 * MB, 1.0
    assert meter.read() == (4 * MB, 2)
    time[0] = 11.0
    assert meter.read() == (4 * MB, 42)


def expected_totals(state_mb: int) -> list[dict[str, Any]]:
    """The same changes in DuckDB."""
    database = duckdb.connect()
    database.execute("CREATE TABLE articles (id BIGINT PRIMARY KEY, topic BIGINT, body VARCHAR)")
    database.execute("CREATE TABLE topics (topic BIGINT PRIMARY KEY, note VARCHAR)")
    for name, (operation, make) in large_state.changes(state_mb):
        columns = make()
        delta = pa.table(columns, names=["id", "topic", "body"] if len(columns) == 3 else ["topic", "note"])
        key = delta.column_names[0]
        if operation == Operation.DELETE:
            database.execute(f"DELETE FROM {name} WHERE {key} IN (SELECT {key} FROM delta)")
        else:
            database.execute(f"INSERT OR REPLACE INTO {name} SELECT * FROM delta")
    found = database.sql(
        """SELECT topic % 10 AS part, COUNT(*) AS articles, SUM(id)::BIGINT AS ids,
           SUM(LENGTH(body))::BIGINT AS characters,
           SUM(LENGTH(note))::BIGINT AS notes, MAX(body) AS last
           FROM articles JOIN topics USING (topic) GROUP BY topic % 10 ORDER BY part"""
    ).to_arrow_table()
    return list(found.to_pylist())


@pytest.mark.parametrize(
    "budget_mb, state_mb", [(360, 250), pytest.param(500, 3000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_a_state_larger_than_memory(budget_mb: int, state_mb: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.pipeline.large_state", str(tmp_path), str(budget_mb), str(state_mb)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert sorted(result["totals"], key=lambda row: row["part"]) == expected_totals(state_mb)
    assert result["stored_mb"] > 0.6 * state_mb
    assert result["most_anonymous_mb"] < budget_mb
    assert result["log"] == []
    assert result["files_left"] == []
