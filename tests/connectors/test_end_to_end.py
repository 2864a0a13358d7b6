"""Every transport inside a running pipeline: started, paused, finished, stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.pipeline.controller import Controller
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.plan.nodes import Column, Scan
from millstream.plan.program import Program, Table, TableColumn, View
from millstream.sql.compile import compile_program

from ..pipeline import support as p
from .http_server import serving
from .nexmark_support import TABLES

RAW_JSON = {"name": "json", "config": {"update_format": "raw"}}


def _finished(controller: Controller, endpoint: str = "t.in") -> Callable[[], bool]:
    def check() -> bool:
        metrics = p.metrics(controller, endpoint)
        return bool(metrics["end_of_input"] and not metrics["buffered_records"])

    return check


def _pipeline(transport: str, config: Any, format_config: Any = None, **options: Any) -> Program:
    connector = {"transport": {"name": transport, "config": config}, **options}
    if format_config is not None:
        connector["format"] = format_config
    return p.simple_program({"in": connector})


def _check_all_rows(controller: Controller, count: int) -> None:
    p.wait(controller, _finished(controller))
    p.wait_processed(controller, count)
    assert p.ids(controller) == Counter(range(count))
    metrics = p.metrics(controller, "t.in")
    assert (metrics["total_records"], metrics["num_transport_errors"], metrics["num_parse_errors"]) == (count, 0, 0)


def _starts_and_pauses(program: Program, count: int) -> None:
    """A connector that is created paused, and switched again and again while it reads."""
    with p.running(program) as controller:
        assert p.metrics(controller, "t.in")["total_records"] == 0
        for _ in range(30):
            controller.start_connector("t.in")
            controller.pause_connector("t.in")
        assert p.metrics(controller, "t.in")["paused"]
        controller.start_connector("t.in")
        _check_all_rows(controller, count)


def test_datagen() -> None:
    config = {"plan": [{"limit": 200_000, "worker_chunk_size": 100}]}
    _starts_and_pauses(_pipeline("datagen", config, paused=True), 200_000)


def test_datagen_with_a_rate_stops_while_paused() -> None:
    program = _pipeline("datagen", {"plan": [{"rate": 2000}]})
    with p.running(program) as controller:
        p.wait(controller, lambda: p.metrics(controller, "t.in")["total_records"] >= 500)
        controller.pause_connector("t.in")
        p.wait(controller, lambda: p.metrics(controller, "t.in")["buffered_records"] == 0)
        before = p.metrics(controller, "t.in")["total_records"]
        controller.start_connector("t.in")
        p.wait(controller, lambda: p.metrics(controller, "t.in")["total_records"] > before + 500)
        controller.pause()
        total = p.metrics(controller, "t.in")["total_records"]
        p.wait(controller, lambda: p.metrics(controller, "t.in")["buffered_records"] == 0)
        assert p.metrics(controller, "t.in")["total_records"] <= total + 1000
        assert sorted(p.ids(controller)) == list(range(p.metrics(controller, "t.in")["total_records"]))


def test_file_input(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(p.ndjson(0, 50_000))
    config = {"path": str(path), "buffer_size_bytes": 5000}
    _starts_and_pauses(_pipeline("file_input", config, RAW_JSON, paused=True), 50_000)


def test_a_followed_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(p.ndjson(0, 10) + b'{"id":10,')
    with p.running(_pipeline("file_input", {"path": str(path), "follow": True}, RAW_JSON)) as controller:
        p.wait_processed(controller, 10)
        with path.open("ab") as file:
            file.write(b'"s":"s10"}\n' + p.ndjson(11, 5))
        p.wait_processed(controller, 16)
        assert p.ids(controller) == Counter(range(16))
        assert not p.metrics(controller, "t.in")["end_of_input"]


def test_url_input() -> None:
    with serving(p.ndjson(0, 50_000)) as server:
        config = {"path": server.url("/ranges"), "pause_timeout": 0}
        _starts_and_pauses(_pipeline("url_input", config, RAW_JSON, paused=True), 50_000)


def test_a_url_that_fails_leaves_the_pipeline_running() -> None:
    with (
        serving(b"") as server,
        p.running(_pipeline("url_input", {"path": server.url("/missing")}, RAW_JSON)) as controller,
    ):
        p.wait(controller, lambda: p.metrics(controller, "t.in")["fatal_error"] is not None)
        assert "HTTP status 404" in p.metrics(controller, "t.in")["fatal_error"]
        assert controller.state == "Running"
        controller.pause_connector("t.in")
        controller.start_connector("t.in")


def test_empty_input_starts_those_who_wait_for_it(tmp_path: Path) -> None:
    program = p.program(
        p.table("a", {"in": p.empty_input(labels=["first"])}),
        p.table(
            "t", {"in": {"transport": {"name": "datagen", "config": {"plan": [{"limit": 5}]}}, "start_after": "first"}}
        ),
        p.copy_view(),
    )
    with p.running(program) as controller:
        _check_all_rows(controller, 5)


@pytest.mark.parametrize("transport", ["file_output", "null_output"])
def test_outputs(transport: str, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    config = {"path": str(path)} if transport == "file_output" else None
    output = {"transport": {"name": transport, "config": config}, "format": {"name": "csv"}}
    datagen = {"transport": {"name": "datagen", "config": {"plan": [{"limit": 1000}]}}}
    with p.running(p.simple_program({"in": datagen}, {"out": output})) as controller:
        p.wait(controller, lambda: p.totals(controller)["total_completed_records"] == 1000)
        assert controller.output_stats("v.out")["metrics"]["transmitted_records"] == 1000
        if transport == "file_output":
            assert Counter(path.read_text().splitlines()) == Counter(f"{i},{i},1" for i in range(1000))


def _nexmark_program(options: dict[str, Any]) -> Program:
    tables, views = [], []
    for kind, relation in TABLES.items():
        config = {"table": kind, **({"options": options} if kind == "bid" else {})}
        columns = tuple(TableColumn(column.name, column.type) for column in relation.columns)
        connector = {"transport": {"name": "nexmark", "config": config}, "format": {"name": "csv"}}
        tables.append(Table(kind, columns, connectors={f"{kind}.in": connector}))
        schema = tuple(Column(column.name, column.type) for column in relation.columns)
        views.append(View(f"{kind}_copy", schema, Scan(schema, kind), materialized=True))
    return Program(tuple(tables), tuple(views), False)


def test_nexmark_is_controlled_through_its_bids() -> None:
    program = _nexmark_program({"events": 100_000, "threads": 1, "max_step_size_per_thread": 500})
    with p.running(program) as controller:
        for _ in range(20):
            controller.pause_connector("bid.in")
            controller.start_connector("bid.in")
        for kind in TABLES:
            p.wait(controller, _finished(controller, f"{kind}.in"))
        p.wait_processed(controller, 100_000)
        snapshot = controller.snapshot()
        assert [snapshot.table(f"{kind}_copy").num_rows for kind in TABLES] == [2000, 6000, 92_000]
        assert set(snapshot.table("person_copy").column(0).to_pylist()) == set(range(1000, 3000))


def test_nexmark_needs_all_three_tables() -> None:
    program = _nexmark_program({})
    with pytest.raises(MillstreamError) as caught:
        Controller(Program(program.tables[:2], program.views[:2], False)).start()
    assert "exactly one connector must have the table `bid`; none has it" in caught.value.message


def test_configuration_errors_fail_the_start(tmp_path: Path) -> None:
    for connector, code in (
        ({"transport": {"name": "datagen"}, "format": {"name": "json"}}, "InvalidTransportConfig"),
        ({"transport": {"name": "file_input", "config": {"path": "x"}}}, "InputFormatNotSpecified"),
        ({"transport": {"name": "datagen", "config": {"plan": [{"fields": {"nope": {}}}]}}}, "InvalidTransportConfig"),
        ({"transport": {"name": "kafka_input", "config": {}}, "format": {"name": "json"}}, "UnknownInputTransport"),
    ):
        with pytest.raises(MillstreamError) as caught:
            Controller(p.simple_program({"in": connector})).start()
        assert caught.value.error_code == f"ConfigError.{code}"


def test_environment_of_the_pipeline_resolves_references(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(p.ndjson(0, 3))
    program = _pipeline("file_input", {"path": "${env:ROWS}"}, RAW_JSON)
    with p.running(program, RuntimeConfig(env={"ROWS": str(path)})) as controller:
        _check_all_rows(controller, 3)


SOFT_DELETE = """
CREATE TABLE t (
    id BIGINT, s VARCHAR, gone BOOLEAN DEFAULT CAST(CONNECTOR_METADATA()['is_delete'] AS BOOLEAN), n INT DEFAULT 5
) WITH ('connectors' = '[{"name": "in", "soft_delete": true,
    "transport": {"name": "file_input", "config": {"path": "PATH"}}, "format": {"name": "json"}}]');
CREATE MATERIALIZED VIEW v AS SELECT * FROM t;
"""


def test_soft_deletion_keeps_the_history(tmp_path: Path) -> None:
    path = tmp_path / "changes.json"
    path.write_bytes(
        b'{"insert":{"id":1,"s":"a"}}\n{"delete":{"id":1,"s":"a"}}\n{"delete":{"id":2,"gone":false,"n":0}}\n'
    )
    result = compile_program(SOFT_DELETE.replace("PATH", str(path)))
    assert result.program is not None, result.messages
    with p.running(result.program) as controller:
        p.wait_processed(controller, 3)
        rows = controller.snapshot().table("v").to_pylist()
    assert sorted(rows, key=repr) == [
        {"id": 1, "s": "a", "gone": None, "n": 5},
        {"id": 1, "s": "a", "gone": True, "n": 5},
        {"id": 2, "s": None, "gone": False, "n": 0},
    ]


def test_raw_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n\nsecond\r\nthird")
    raw = {"name": "raw", "config": {"mode": "lines", "column_name": "s"}}
    table = Table(
        "t",
        tuple(replace(column, type=column.type.with_nullable(True)) for column in p.COLUMNS),
        connectors={"t.in": {"transport": {"name": "file_input", "config": {"path": str(path)}}, "format": raw}},
    )
    view = replace(p.copy_view(), schema=(schema := tuple(Column(c.name, c.type) for c in table.columns)),
                   plan=Scan(schema, "t"))  # fmt: skip
    with p.running(Program((table,), (view,), False)) as controller:
        p.wait_processed(controller, 3)
        assert sorted(controller.snapshot().table("v").column(1).to_pylist()) == ["first", "second", "third"]
