"""The queries as programs, the events that they read, and DuckDB's answers.

`qN.sql` is a query of Millstream's dialect; `qN.duckdb.sql`, where there is one, asks DuckDB the same.
Where the benchmark asks for processing time (q12), the time of the events stands for it; q10 makes the columns by which
a log would be split, instead of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from millstream.connectors.nexmark.model import COLUMNS, KINDS, columns_of, numbers_of
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.zset.changes import ChangeBatch
from millstream.zset.delta import Delta

FOLDER = Path(__file__).parent
QUERIES = tuple(f"q{number}" for number in range(23))
#: Column names by table; the side input of q13 is not part of the stream.
NAMES = {kind: [column.name for column in COLUMNS[kind]] for kind in KINDS} | {"side_input": ["id", "label"]}
SIDE_ROWS = 10_000
#: Events that are made at once.
BLOCK_EVENTS = 100_000
Batches = dict[str, list[ChangeBatch]]


def program_of(*queries: str) -> Program:
    """A program with a view for each query, which must compile."""
    text = (FOLDER / "tables.sql").read_text()
    text += "".join(f"CREATE VIEW {query} AS\n{(FOLDER / f'{query}.sql').read_text()};\n" for query in queries)
    result = compile_program(text)
    assert result.program is not None, [(m.message, m.snippet) for m in result.messages if not m.warning]
    return result.program


def oracle_of(query: str) -> str:
    """The query for DuckDB."""
    path = FOLDER / f"{query}.duckdb.sql"
    return (path if path.exists() else FOLDER / f"{query}.sql").read_text()


def events(first: int, end: int) -> Batches:
    """Events first .. end - 1 as insertions."""
    made = {kind: columns_of(kind, first, end) for kind in KINDS}
    return {kind: [ChangeBatch(columns, len(columns[0]))] for kind, columns in made.items() if len(columns[0])}


def batches(first: int, end: int, step: int) -> Iterator[Batches]:
    """Events first .. end - 1 in batches of `step`, each with memory of its own; made in larger blocks, which takes
    less time than many calls of `events`."""
    size = max(step, BLOCK_EVENTS // step * step)
    for block in range(first, end, size):
        stop = min(block + size, end)
        bounds = [*range(block, stop, step), stop]
        rows = {kind: np.searchsorted(numbers_of(kind, block, stop), bounds) for kind in KINDS}
        made = {kind: columns_of(kind, block, stop) for kind in KINDS}
        for i in range(len(bounds) - 1):
            batch: Batches = {}
            for kind, columns in made.items():
                start, count = int(rows[kind][i]), int(rows[kind][i + 1] - rows[kind][i])
                if count:
                    parts = tuple(pa.concat_arrays([column.slice(start, count)]) for column in columns)
                    batch[kind] = [ChangeBatch(parts, count)]
            yield batch


def side_input() -> Batches:
    """The table of q13."""
    labels = pa.array([f"label-{number}" for number in range(SIDE_ROWS)], pa.large_string())
    return {"side_input": [ChangeBatch((pa.array(range(SIDE_ROWS), pa.int64()), labels), SIDE_ROWS)]}


def differences(database: duckdb.DuckDBPyConnection, program: Program, query: str, deltas: list[Delta]) -> int:
    """How many rows of the accumulated deltas of the view differ from DuckDB's answer over its tables.

    The sums of the rows' hashes are compared first, which takes a tenth of the time: where they are equal, so are the
    rows. Otherwise (the types may differ, too) the rows themselves are.
    """
    view = next(view for view in program.views if view.name == query)
    names = [column.name for column in view.schema]
    if deltas:
        actual = pa.concat_tables(
            pa.table([*delta.columns, pa.array(delta.weights)], names=[*names, "weight_"]) for delta in deltas
        )
        database.register("actual", actual)
        database.execute(f"CREATE OR REPLACE TEMP TABLE wanted AS {oracle_of(query)}")
        columns = ", ".join(names)
        sums = [
            f"SELECT SUM({weight}), SUM(hash(hash({columns}))::HUGEINT * {weight}) FROM {table}"
            for table, weight in (("actual", "weight_"), ("wanted", "1"))
        ]
        got, want = (database.execute(total).fetchall() for total in sums)
        if got == want:
            return 0
        rows = "SELECT * EXCLUDE (weight_), SUM(weight_)::BIGINT AS n FROM actual GROUP BY ALL HAVING n <> 0"
        asked = "SELECT *, COUNT(*) AS n FROM wanted GROUP BY ALL"
        sides = [f"SELECT COUNT(*) FROM (({a}) EXCEPT ALL ({b}))" for a, b in ((rows, asked), (asked, rows))]
    else:
        sides = [f"SELECT COUNT(*) FROM ({oracle_of(query)})"]
    # All rows are fetched: a connection does nothing else while it has an unfinished result.
    return sum(int(count) for side in sides for (count,) in database.execute(side).fetchall())
