"""Rows per second of the generating connectors, one thread: `python benchmarks/datagen_micro.py [rows]`.

Columns are made in chunks of 10,000 rows (nexmark: 40,000 events) and dropped; the last lines run a whole pipeline
that only counts them. Every figure is the best of three.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from millstream.connectors.datagen.generator import row_generators
from millstream.connectors.datagen.random import row_lanes
from millstream.connectors.datagen.settings import parse_config
from millstream.connectors.nexmark.model import KINDS, columns_of
from millstream.pipeline.controller import Controller
from millstream.plan.nodes import Aggregate, AggregateCall, Column, Scan
from millstream.plan.program import Program, Table, TableColumn, View
from millstream.types import Relation, RelationColumn, SqlType, sql_type

CHUNK = 10_000
NEXMARK_CHUNK = 40_000
INTEGERS = {"a": sql_type.BIGINT, "b": sql_type.INTEGER, "c": sql_type.BIGINT}
UNIFORM = {"strategy": "uniform", "range": [0, 100_000]}
CASES: dict[str, tuple[dict[str, SqlType], dict[str, Any]]] = {
    "3 integers, increment": (INTEGERS, {}),
    "3 integers, uniform": (INTEGERS, dict.fromkeys(INTEGERS, UNIFORM)),
    "3 integers, zipf": (INTEGERS, {name: {**UNIFORM, "strategy": "zipf"} for name in INTEGERS}),
    "integer with 10 % NULL": ({"a": sql_type.BIGINT}, {"a": {**UNIFORM, "null_percentage": 10}}),
    "DECIMAL(12, 2), uniform": ({"a": sql_type.decimal(12, 2)}, {"a": {"strategy": "uniform"}}),
    "TIMESTAMP, uniform": ({"a": sql_type.TIMESTAMP}, {"a": {"strategy": "uniform"}}),
    "VARCHAR, random letters": ({"a": sql_type.VARCHAR}, {"a": {"strategy": "uniform"}}),
    "VARCHAR, name": ({"a": sql_type.VARCHAR}, {"a": {"strategy": "name"}}),
    "VARCHAR, sentence": ({"a": sql_type.VARCHAR}, {"a": {"strategy": "sentence"}}),
    "UUID, uniform": ({"a": sql_type.UUID}, {"a": {"strategy": "uniform"}}),
    "BIGINT ARRAY": ({"a": sql_type.array(sql_type.BIGINT)}, {}),
}


def best_of(action: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def report(name: str, rows: int, seconds: float) -> None:
    print(f"{name:34} {rows / seconds:>14,.0f} rows/s")


def generate(columns: dict[str, SqlType], fields: dict[str, Any], rows: int) -> None:
    """All rows of a plan, chunk by chunk."""
    relation = Relation("t", tuple(RelationColumn(name, kind) for name, kind in columns.items()))
    plan = parse_config({"plan": [{"fields": fields}]}).plans[0]
    generators = row_generators(relation, plan.fields, "fields")
    for first in range(0, rows, CHUNK):
        lanes = row_lanes(1, first, CHUNK)
        for make in generators:
            make(lanes)


def generate_nexmark(events: int) -> None:
    """All three kinds of events."""
    for first in range(0, events, NEXMARK_CHUNK):
        for kind in KINDS:
            columns_of(kind, first, first + NEXMARK_CHUNK)


def run_pipeline(fields: dict[str, Any], rows: int) -> None:
    """A pipeline of a `datagen` connector and `SELECT COUNT(*)`, from start to end of input."""
    columns = tuple(TableColumn(name, kind) for name, kind in INTEGERS.items())
    config = {"plan": [{"limit": rows, "fields": fields}]}
    table = Table("t", columns, connectors={"t.c": {"transport": {"name": "datagen", "config": config}}})
    schema = tuple(Column(column.name, column.type) for column in columns)
    result = (Column("n", sql_type.BIGINT.with_nullable(False)),)
    call = AggregateCall("COUNT", (), sql_type.BIGINT.with_nullable(False))
    view = View("v", result, Aggregate(result, Scan(schema, "t"), (), (call,)), materialized=True)
    controller = Controller(Program((table,), (view,), False))
    controller.start()
    try:
        done = controller.wait_for(lambda: bool(controller.stats()["global_metrics"]["pipeline_complete"]), 120)
        assert done
        assert controller.snapshot().table("v").column(0).to_pylist() == [rows]
    finally:
        controller.stop()


def main(rows: int) -> None:
    for name, (columns, fields) in CASES.items():
        generate(columns, fields, CHUNK)
        report(name, rows, best_of(lambda columns=columns, fields=fields: generate(columns, fields, rows)))
    generate_nexmark(NEXMARK_CHUNK)
    report("nexmark events", rows, best_of(lambda: generate_nexmark(rows)))
    for name, fields in (("increment", {}), ("uniform", dict.fromkeys(INTEGERS, UNIFORM))):
        report(f"pipeline, 3 integers, {name}", rows, best_of(lambda fields=fields: run_pipeline(fields, rows)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
