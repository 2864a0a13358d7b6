"""Steps for the circuit and the same changes for DuckDB, and the comparison of a view with the query run from scratch.

Differences of the dialects that the comparison knows: DuckDB's AVG of decimals is a DOUBLE, Millstream's is truncated
to the column's scale (the queries for DuckDB call a macro that does the same); DuckDB divides decimals as DOUBLE, so
columns that are DOUBLE there are compared with a tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.tpch.generate import Data, Ints
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.zset.changes import ChangeBatch, Operation

FOLDER = Path(__file__).parent
QUERIES = tuple(f"q{number}" for number in range(1, 23))
FIXED = ("region", "nation", "supplier", "part", "partsupp", "customer")
MACRO = "CREATE MACRO truncated_avg(x) AS CAST(CAST(SUM(x) * 100 AS HUGEINT) // COUNT(x) AS DECIMAL(30, 0)) * 0.01"
TOLERANCE = 1e-5


def program_text(names: tuple[str, ...] | list[str] = QUERIES) -> str:
    """One program with the tables and the views of queries."""
    return "\n".join((FOLDER / f"{part}.sql").read_text() for part in ("tables", *names))


def compiled(names: tuple[str, ...] | list[str] = QUERIES) -> Program:
    """The same, compiled; AssertionError with the messages if it does not compile."""
    result = compile_program(program_text(names))
    assert result.program is not None, [m.message for m in result.messages if not m.warning]
    return result.program


@dataclass(frozen=True)
class Step:
    """Rows inserted and deleted, by table, in one step."""

    inserted: dict[str, pa.Table]
    deleted: dict[str, pa.Table]

    @property
    def num_rows(self) -> int:
        return sum(table.num_rows for tables in (self.inserted, self.deleted) for table in tables.values())

    def changes(self) -> dict[str, list[ChangeBatch]]:
        """What a circuit takes."""
        return {
            name: [
                *_batches(self.deleted.get(name), Operation.DELETE),
                *_batches(self.inserted.get(name), Operation.INSERT),
            ]
            for name in {**self.inserted, **self.deleted}
        }


def _batches(table: pa.Table | None, operation: Operation) -> Iterator[ChangeBatch]:
    if table is not None and table.num_rows:
        columns = tuple(column.combine_chunks() for column in table.columns)
        yield ChangeBatch(columns, table.num_rows, np.full(table.num_rows, int(operation), np.int8))


def _of_orders(data: Data, orders: Ints) -> dict[str, pa.Table]:
    return {
        "orders": data.tables["orders"].take(pa.array(orders)),
        "lineitem": data.tables["lineitem"].take(pa.array(data.lines(orders))),
    }


def load_steps(data: Data, count: int) -> list[Step]:
    """The load: all other tables with the first part of orders and lines, then the rest in equal parts."""
    parts = np.array_split(np.arange(data.num_loaded), count)
    steps = [Step(_of_orders(data, part), {}) for part in parts]
    return [Step({**{name: data.tables[name] for name in FIXED}, **steps[0].inserted}, {}), *steps[1:]]


def refresh_steps(data: Data, count: int, seed: int = 2) -> list[Step]:
    """Each step inserts an equal share of the new orders and deletes as many random loaded ones, with their lines."""
    new = np.arange(data.num_loaded, data.num_orders)
    old = np.random.default_rng(seed).permutation(data.num_loaded)[: len(new)]
    shares = zip(np.array_split(new, count), np.array_split(old, count), strict=True)
    return [Step(_of_orders(data, arriving), _of_orders(data, leaving)) for arriving, leaving in shares]


class Oracle:
    """DuckDB with the same tables."""

    def __init__(self, data: Data) -> None:
        self._database = duckdb.connect(config={"threads": 1})
        self._database.execute(MACRO)
        for name, table in data.tables.items():
            self._database.register("incoming", table.slice(0, 0))
            self._database.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
            self._database.unregister("incoming")

    def apply(self, step: Step) -> None:
        """Change the tables; rows are deleted by their order's key."""
        for name, table in step.deleted.items():
            self._database.register("incoming", table)
            key = {"orders": "o_orderkey", "lineitem": "l_orderkey"}[name]
            self._database.execute(f"DELETE FROM {name} WHERE {key} IN (SELECT {key} FROM incoming)")
            self._database.unregister("incoming")
        for name, table in step.inserted.items():
            self._database.register("incoming", table)
            self._database.execute(f"INSERT INTO {name} SELECT * FROM incoming")
            self._database.unregister("incoming")

    def answer(self, name: str) -> pa.Table:
        """The query run from scratch."""
        text = (FOLDER / f"{name}.sql").read_text().split(" AS\n", 1)[1].strip().rstrip(";")
        return self._database.sql(text.replace("AVG(", "truncated_avg(")).to_arrow_table()

    def close(self) -> None:
        self._database.close()


def difference(actual: pa.Table, expected: pa.Table) -> str | None:
    """How a view differs from the answer, or None when they are equal, order apart."""
    inexact = [pa.types.is_floating(t) for t in expected.schema.types]
    got, want = _rows(actual, inexact), _rows(expected, inexact)
    if len(got) != len(want):
        return f"{len(got)} rows instead of {len(want)}: {got[:2]} instead of {want[:2]}"
    for row, right in zip(got, want, strict=True):
        if not all(_equal(a, b, loose) for a, b, loose in zip(row, right, inexact, strict=True)):
            return f"{row} instead of {right}"
    return None


def _rows(table: pa.Table, inexact: list[bool]) -> list[tuple[Any, ...]]:
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    exact = [i for i, loose in enumerate(inexact) if not loose]
    return sorted(rows, key=lambda row: tuple((row[i] is not None, row[i]) for i in exact))


def _equal(a: Any, b: Any, loose: bool) -> bool:
    if a is None or b is None or not loose:
        return bool(a == b)
    return abs(Decimal(a) - Decimal(b)) <= Decimal(TOLERANCE) * max(1, abs(Decimal(b)))
