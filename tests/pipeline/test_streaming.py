"""Lateness and final results through a whole pipeline: output connectors, statistics, tables that only grow."""

from __future__ import annotations

import json
from pathlib import Path

from millstream import Pipeline
from millstream.circuit import Circuit
from millstream.sql.compile import compile_program
from millstream.types.sql_type import BIGINT
from tests.operators.law import batch, rows_of


def program(path: Path) -> str:
    transport = {"name": "file_output", "config": {"path": str(path)}}
    sink = {"name": "out", "transport": transport, "format": {"name": "json"}}
    return f"""
        CREATE TABLE t (id INT, ts BIGINT LATENESS 5);
        CREATE VIEW counts WITH ('emit_final' = 'b', 'connectors' = '{json.dumps([sink])}')
        AS SELECT ts / 10 AS b, COUNT(*) AS n FROM t GROUP BY ts / 10;
    """


def test_an_output_connector_gets_each_final_row_once(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with Pipeline(program(path)) as pipeline:
        for ts in (1, 3, 12, 16, 11, 2, 25, 40):
            pipeline.push("t", [{"id": ts, "ts": ts}])
            pipeline.step()
        assert pipeline._controller.measurements().late_records == 1
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [{"insert": {"b": b, "n": n}} for b, n in ((0, 2), (1, 3), (2, 1))]


def test_maxima_of_a_table_that_only_grows_keep_one_value_a_group() -> None:
    text = (
        "CREATE TABLE t (k BIGINT, v BIGINT) WITH ('append_only' = 'true');"
        "CREATE LOCAL VIEW w AS SELECT k + 1 AS k, v FROM t WHERE v >= 0;"
        "CREATE VIEW v AS SELECT k, MIN(v), MAX(v), ARG_MAX(k, v) FROM w GROUP BY k;"
    )
    sizes = {}
    for declared in (text, text.replace(" WITH ('append_only' = 'true')", "")):
        circuit = Circuit(compile_program(declared).program)
        last = None
        for step in range(20):
            rows = [(i % 3, 20 * i + step) for i in range(30)]
            last = circuit.step({"t": [batch((BIGINT, BIGINT), rows, [1] * 30)]}).deltas["v"]
        sizes[circuit.state_rows] = rows_of(last)
    grows, keeps = sorted(sizes)
    assert (grows <= 12, keeps >= 600) == (True, True)
    assert sizes[grows] == sizes[keeps]
