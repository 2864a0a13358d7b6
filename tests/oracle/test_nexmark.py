"""The Nexmark queries over events that come, go and come again, against DuckDB after every step."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from benchmarks.nexmark.program import NAMES, QUERIES, Batches, differences, events, program_of, side_input

from millstream.circuit import Circuit
from millstream.circuit.workers import SINGLE, Workers
from millstream.zset.changes import ChangeBatch, Operation
from millstream.zset.delta import Delta

STEPS = 5


class World:
    """The rows of DuckDB's tables, and what brings a circuit to the same contents."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self.tables: dict[str, pa.Table] = {}
        self._gone: dict[str, pa.Table] = {}

    def insert(self, batches: Batches) -> Batches:
        for name, parts in batches.items():
            for part in parts:
                self._add(name, pa.table(list(part.columns), names=NAMES[name]))
        return batches

    def churn(self, batches: Batches, share: float) -> Batches:
        """Insert the batches, delete a share of all older rows, and insert again what went the last time."""
        changes: Batches = {}
        for name, old in list(self.tables.items()):
            away = self._chance.random(old.num_rows) < share
            back = self._gone.get(name, old.slice(0, 0))
            self._gone[name] = old.filter(pa.array(away))
            self.tables[name] = old.filter(pa.array(~away))
            self._add(name, back)
            changes[name] = [_batch(self._gone[name], Operation.DELETE), _batch(back, Operation.INSERT)]
        for name, parts in self.insert(batches).items():
            changes.setdefault(name, []).extend(parts)
        return changes

    def forget(self) -> None:
        """Let what went stay away."""
        self._gone.clear()

    def database(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"threads": 1})
        for name, table in self.tables.items():
            connection.register(name, table)
        return connection

    def _add(self, name: str, rows: pa.Table) -> None:
        old = self.tables.get(name)
        self.tables[name] = rows if old is None else pa.concat_tables([old, rows])


def _batch(table: pa.Table, operation: Operation) -> ChangeBatch:
    columns = tuple(column.combine_chunks() for column in table.columns)
    return ChangeBatch(columns, table.num_rows, np.full(table.num_rows, int(operation), np.int8))


def check(step_events: int, share: float, seed: int, workers: Workers = SINGLE) -> None:
    """All views of one circuit equal their queries after each of the steps, the last of which takes all rows away."""
    program = program_of(*QUERIES)
    circuit = Circuit(program, workers=workers)
    world = World(seed)
    accumulated: dict[str, list[Delta]] = {query: [] for query in QUERIES}
    for number in range(STEPS + 2):
        if number == 0:
            changes = world.insert(side_input() | events(0, step_events))
        elif number <= STEPS:
            changes = world.churn(events(number * step_events, (number + 1) * step_events), share)
        else:
            world.forget()
            changes = world.churn({}, 1.0)
        deltas = circuit.step(changes).deltas
        database = world.database()
        for query in QUERIES:
            if query in deltas:
                accumulated[query].append(deltas[query])
            wrong = differences(database, program, query, accumulated[query])
            assert wrong == 0, f"{query}: {wrong} rows differ after step {number} (seed {seed})"
        database.close()


def test_views_equal_the_queries_while_events_come_and_go() -> None:
    check(500, 0.2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.02, 0.6])
def test_views_equal_the_queries_over_more_events(share: float, seed: int) -> None:
    check(5000, share, seed)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 5])
def test_views_equal_the_queries_with_several_workers(count: int) -> None:
    check(1000, 0.2, 1, Workers(count, split_rows=1, thread_rows=1, largest_share=1.0))
