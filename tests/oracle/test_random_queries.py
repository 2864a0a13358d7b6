"""Random queries over random schedules of inserts, deletes and updates, against DuckDB after every step.

A seed makes a program of a few views, its data and its steps, so the seed in a message repeats a failure:
`python -m tests.oracle.test_random_queries SEED`.
"""

from __future__ import annotations

import datetime
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.types import arrow_type
from millstream.zset.changes import ChangeBatch, Operation
from tests.oracle.generator import TABLES, Queries
from tests.oracle.harness import Case, Row, Views, columns_of, compare, connect, expected

VIEWS = 8
STEPS = 6
#: Shrinking a seed makes no smaller program.
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
#: What DuckDB says of queries that it cannot run.
_NOT_FOR_DUCKDB = (duckdb.BinderException, duckdb.NotImplementedException, duckdb.InternalException)
_NAMES = ("r", "q", "k")
_NUMBERS = (None, 0, 1, 1, 2, 3)
_TEXTS = (None, "a", "b", "ab", "")
_DAYS = (None, *(datetime.date(2024, month, 1) for month in (1, 2, 3)))
_POOLS = {
    "r": (_NUMBERS, _NUMBERS[1:], _TEXTS, _DAYS),
    "q": (_NUMBERS, _NUMBERS, _TEXTS[1:]),
    "k": (range(6), _NUMBERS, _DAYS),
}
Changes = list[tuple[str, Row, Operation]]


@dataclass
class Tables:
    """The contents of the tables and their random changes."""

    chance: random.Random
    contents: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in _NAMES})

    def step(self) -> Changes:
        """Some changes, or none; every third step mostly deletes."""
        deletes = self.chance.choice((0.2, 0.2, 0.8))
        return [self._change(deletes) for _ in range(self.chance.choice((0, 1, 4, 12)))]

    def _change(self, deletes: float) -> tuple[str, Row, Operation]:
        name = self.chance.choice(_NAMES)
        rows = self.contents[name]
        if rows and self.chance.random() < deletes:
            return name, rows.pop(self.chance.randrange(len(rows))), Operation.DELETE
        row = tuple(self.chance.choice(pool) for pool in _POOLS[name])
        if name == "k":
            rows[:] = [old for old in rows if old[0] != row[0]]
        rows.append(row)
        return name, row, Operation.INSERT


def batches(program: Program, changes: Changes) -> dict[str, list[ChangeBatch]]:
    """Changes by table, in their order."""
    result = {}
    for name in _NAMES:
        mine = [(row, operation) for changed, row, operation in changes if changed == name]
        if mine:
            columns = columns_of([row for row, _ in mine], _types(program, name))
            result[name] = [ChangeBatch(columns, len(mine), np.array([int(o) for _, o in mine], np.int8))]
    return result


def _types(program: Program, name: str) -> list[pa.DataType]:
    table = program.table(name)
    assert table is not None
    return [arrow_type(column.type) for column in table.columns]


@dataclass
class Duck:
    """DuckDB with the same tables."""

    program: Program
    tables: Tables
    connection: duckdb.DuckDBPyConnection = field(default_factory=connect)

    def refresh(self) -> None:
        """Show it the present contents."""
        for name, rows in self.tables.contents.items():
            table = self.program.table(name)
            assert table is not None
            columns = columns_of(rows, _types(self.program, name))
            self.connection.register(name, pa.table(dict(zip([c.name for c in table.columns], columns, strict=True))))

    def rows(self, case: Case) -> Counter[Row] | None:
        """What it computes; None for a query that it cannot run, after which it may be of no more use: a new one is
        made."""
        try:
            return expected(self.connection, case.oracle)
        except _NOT_FOR_DUCKDB:
            self.connection.close()
            self.connection = connect()
            self.refresh()
            return None


def _cases(chance: random.Random) -> Iterator[Case]:
    for number in range(VIEWS):
        query = Queries(chance).query()
        yield Case(f"v{number}", query, query.replace("LEFT SEMI JOIN", "SEMI JOIN"))


def _compiled(cases: list[Case]) -> Program:
    result = compile_program(TABLES + "".join(f"CREATE VIEW {case.name} AS {case.query};\n" for case in cases))
    errors = [m for m in result.messages if not m.warning]
    assert result.program is not None, "\n".join(f"{m.message}\n{m.snippet}" for m in errors)
    return result.program


def check_seed(seed: int) -> int:
    """Runs the program of a seed; the number of views that DuckDB could be asked for."""
    chance = random.Random(seed)
    cases = list(_cases(chance))
    program = _compiled(cases)
    views, tables = Views(program), Tables(chance)
    duck = Duck(program, tables)
    done: Changes = []
    try:
        for _ in range(STEPS):
            changes = tables.step()
            done += changes
            views.step(batches(program, changes))
            duck.refresh()
            wanted = [(case, duck.rows(case)) for case in cases]
            for case, want in wanted:
                if want is not None:
                    compare(case, views.contents[case.name], want)
            cases = [case for case, want in wanted if want is not None]
    finally:
        duck.connection.close()
    _check_cuts(program, done, chance, views.contents)
    return len(cases)


def _check_cuts(program: Program, changes: Changes, chance: random.Random, want: dict[str, Counter[Any]]) -> None:
    """The same changes in other steps give the same views."""
    views = Views(program)
    start = 0
    while start < len(changes):
        size = chance.choice((1, 2, 5, 20))
        views.step(batches(program, changes[start : start + size]))
        start += size
    views.step({})
    assert views.contents == want, "the result depends on how the changes are cut into steps"


def _check(seed: int) -> None:
    try:
        asked = check_seed(seed)
    except Exception as error:
        raise AssertionError(f"seed {seed} (python -m tests.oracle.test_random_queries {seed}): {error}") from error
    assert asked >= VIEWS // 2, f"seed {seed}: DuckDB runs {asked} of {VIEWS} queries"


@settings(max_examples=12, deadline=None, phases=NO_SHRINKING)
@given(seed=st.integers(0, 2**40))
def test_random_queries_equal_duckdb(seed: int) -> None:
    _check(seed)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, phases=NO_SHRINKING)
@given(seed=st.integers(0, 2**40))
def test_random_queries_equal_duckdb_at_length(seed: int) -> None:
    _check(seed)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        _check(int(argument))
