"""Warming up: a tiny program that touches every common path, run before the first real one needs them.

Kernels are compiled by numba at first use on a machine and later loaded from its cache on disk; parsers, encoders and
operators have first-use costs of their own. A process that waits for a pipeline does all of that while it waits, and
`python -m millstream.pipeline.warm` fills the cache right after installation, with all processors.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.circuit import Circuit
from millstream.expressions import json_members, json_texts, text_kernels
from millstream.expressions.functions import parse_columns
from millstream.formats import build_encoder
from millstream.formats import warm as formats_warm
from millstream.operators import warm as operators_warm
from millstream.pipeline.precompile import compile_ahead
from millstream.pipeline.relations import output_relations
from millstream.pipeline.rows import changes_from_table
from millstream.sql.compile import compile_program
from millstream.zset import warm as zset_warm
from millstream.zset.changes import Operation

PROGRAM = """
CREATE TABLE bag (k BIGINT, s VARCHAR, x DOUBLE, m DECIMAL(12, 2), ts TIMESTAMP, d DATE, b BOOLEAN, i INT);
CREATE TABLE keyed (k BIGINT NOT NULL PRIMARY KEY, s VARCHAR, x DOUBLE);
CREATE MATERIALIZED VIEW copied AS SELECT k + 1 AS k, UPPER(s) AS s, x * 2 AS x FROM bag WHERE k >= 0;
CREATE MATERIALIZED VIEW joined AS SELECT bag.k, keyed.s, bag.m FROM bag JOIN keyed ON bag.k = keyed.k;
CREATE MATERIALIZED VIEW padded AS SELECT bag.s, keyed.x FROM bag LEFT JOIN keyed ON bag.s = keyed.s;
CREATE MATERIALIZED VIEW grouped AS
    SELECT s, COUNT(*) AS n, SUM(k) AS k, AVG(x) AS x, SUM(m) AS m, MIN(ts) AS first, MAX(s) AS last, MAX(i) AS i
    FROM bag GROUP BY s;
CREATE MATERIALIZED VIEW hourly AS SELECT k, EXTRACT(HOUR FROM ts) AS h, COUNT(DISTINCT s) AS n FROM bag GROUP BY k, 2;
CREATE MATERIALIZED VIEW total AS SELECT COUNT(*) AS n, SUM(i) AS i FROM bag;
CREATE MATERIALIZED VIEW known AS SELECT DISTINCT k, s FROM bag;
CREATE MATERIALIZED VIEW missing AS SELECT k FROM bag EXCEPT SELECT k FROM keyed;
CREATE MATERIALIZED VIEW best AS SELECT k, x FROM bag ORDER BY x DESC LIMIT 3;
"""
ROWS = 200


def warm_up() -> None:
    """Compile, or load, what pipelines commonly need. A minute at the first start on a machine, later two seconds."""
    zset_warm.warm_up()
    operators_warm.warm_up()
    _run_program()
    formats_warm.warm_up()
    json_members.warm_up()
    json_texts.warm_up()
    text_kernels.warm_up()
    parse_columns.warm_up()


def _run_program() -> None:
    program = compile_program(PROGRAM).program
    assert program is not None
    circuit = Circuit(program)
    circuit.step({})
    numbers = np.arange(ROWS)
    texts = pa.array([f"text {n % 20}" for n in numbers])
    bag = pa.table(
        {
            "k": numbers % 50,
            "s": texts,
            "x": numbers / 3,
            "m": pa.array(numbers).cast(pa.decimal128(38, 2)),
            "ts": pa.array(numbers * 3_600_000_000).cast(pa.timestamp("us")),
            "d": pa.array(numbers.astype(np.int32)).cast(pa.date32()),
            "b": pa.array(numbers % 2 == 0),
            "i": pa.array(numbers.astype(np.int32)),
        }
    )
    keyed = pa.table({"k": numbers, "s": texts, "x": numbers / 7})
    tables = {table.name: table for table in program.tables}
    relations = output_relations(program)
    for operation in (Operation.INSERT, Operation.INSERT, Operation.DELETE):
        operations = np.full(ROWS, operation, np.int8)
        changes = {
            "bag": [changes_from_table(tables["bag"], bag, operations)],
            "keyed": [changes_from_table(tables["keyed"], keyed, operations)],
        }
        result = circuit.step(changes)
        for name, delta in result.deltas.items():
            for form in ("json", "csv"):
                encoder = build_encoder(form, {}, relations[name], "warm-up")
                list(encoder.encode(delta))
    circuit.snapshot().table("grouped")


if __name__ == "__main__":
    compile_ahead()
    warm_up()
