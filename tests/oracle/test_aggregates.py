"""Every aggregate on every type that it takes, with DISTINCT and FILTER, under random insertions and deletions.

The groups of a table come, change, hold nothing but NULLs, and go. After every step the view must hold what
tests/reference/aggregates.py computes from the rows that are there.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from millstream.circuit import Circuit
from millstream.expressions.aggregates import AGGREGATES
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.types import SqlType, arrow_type
from millstream.zset.changes import ChangeBatch, Operation
from tests.reference.aggregates import BITS, CONDITIONS, ONE, TWO, modes

STEPS, CHANGES = 14, 5
Row = tuple[Any, ...]  # k, x, y, c

NUMBERS: dict[str, Sequence[Any]] = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INT", "BIGINT"), (-7, -2, 0, 1, 3, 8)),
    **dict.fromkeys(("TINYINT UNSIGNED", "SMALLINT UNSIGNED", "INT UNSIGNED", "BIGINT UNSIGNED"), (0, 1, 2, 3, 8, 11)),
    "DECIMAL(10, 2)": [Decimal(n).scaleb(-2) for n in (-350, -101, 0, 1, 250, 999)],
    "DECIMAL(20, 9)": [Decimal(n).scaleb(-9) for n in (-35_000_000_001, -1, 0, 7, 25_000_000_003)],
    "DECIMAL(38, 10)": [Decimal(n).scaleb(-10) for n in (-35_000_000_001, -1, 0, 7, 25_000_000_003)],
    **dict.fromkeys(("REAL", "DOUBLE"), (-2.5, -0.25, 0.0, 1.0, 3.75, 8.0)),
}
_DAY = datetime.datetime(2020, 2, 28, 12)
#: In the order of sql.md §4.3, which is not that of the texts.
VARIANTS = ["null", "false", "true", "-3", "9", "10", "1.5", '"b"', '"z"', "[2]", "[2,null]", "[10]", '{"k":1}']
OTHERS: dict[str, Sequence[Any]] = {
    "VARCHAR": ["", "a", "ab", "b", "é"], "CHAR(2)": ["a ", "ab", "b "], "BOOLEAN": [False, True],
    "DATE": [datetime.date(1, 1, 1), datetime.date(1970, 1, 1), datetime.date(9999, 12, 31)],
    "TIME": [datetime.time(0), datetime.time(12, 1), datetime.time(23, 59, 59)],
    "TIMESTAMP": [_DAY, _DAY.replace(year=1969), _DAY.replace(year=9999)],
    "TIMESTAMP WITH TIME ZONE": [_DAY.replace(tzinfo=datetime.UTC), _DAY.replace(year=1900, tzinfo=datetime.UTC)],
    "UUID": [bytes(15) + b"\1", b"\1" + bytes(15), b"\xff" * 16], "VARBINARY": [b"", b"\0", b"\0\1", b"\xff"],
    "INT ARRAY": [[], [1], [1, 2], [2]], "MAP<VARCHAR, INT>": [[], [("a", 1)], [("a", 1), ("b", 2)], [("b", 0)]],
    "VARIANT": VARIANTS,
    "ROW(f INT, g VARCHAR)": [{"f": 1, "g": "a"}, {"f": 1, "g": "b"}, {"f": 2, "g": ""}],
}  # fmt: skip

_PLACES = {text: place for place, text in enumerate(VARIANTS)}


def key(value: Any) -> Any:
    """A value as one that can be compared and put into sets."""
    if isinstance(value, dict):
        return tuple(value.values())
    if isinstance(value, str) and value in _PLACES:
        return (_PLACES[value],)
    return tuple(key(v) for v in value) if isinstance(value, list | tuple) else value


def extremes(rows: Sequence[Row], pick: Callable[..., Any]) -> set[Any]:
    """The keys of x where y is extreme, among which ARG_MIN and ARG_MAX choose."""
    paired = [(x, key(y)) for _, x, y, _ in rows if y is not None]
    if not paired:
        return {None}
    best = pick(y for _, y in paired)
    return {key(x) for x, y in paired if y == best}


class Case:
    """The aggregates of one type as SQL, each with what it must give for the rows of a group."""

    def __init__(self, name: str, *, numeric: bool, integer: bool) -> None:
        self.name, self.numeric, self.integer = name, numeric, integer
        self.columns: list[tuple[str, Callable[[Sequence[Row], SqlType], Any]]] = []
        for only in ("", " FILTER (WHERE c)"):
            self._declare(only)

    def _add(self, sql: str, only: str, compute: Callable[[Sequence[Row], SqlType], Any]) -> None:
        self.columns.append((sql + only, lambda rows, t: compute([r for r in rows if not only or r[3]], t)))

    def _declare(self, only: str) -> None:
        def xs(rows: Sequence[Row], distinct: bool = False) -> list[Any]:
            present = [row[1] for row in rows if row[1] is not None]
            return list({key(x): x for x in present}.values()) if distinct else present

        for distinct in (False, True):
            word = "DISTINCT " if distinct else ""
            if self.numeric:
                for name, one in ONE.items():
                    self._add(f"{name}({word}x)", only, lambda r, t, f=one, d=distinct: f(xs(r, d), t))
            if self.integer:
                for name, bits in BITS.items():
                    self._add(f"{name}({word}x)", only, lambda r, t, f=bits, d=distinct: _folded(f, xs(r, d)))
            for name, conditions in CONDITIONS.items():
                compute = lambda r, t, f=conditions, d=distinct: f(_conditions(r, d))  # noqa: E731 - one of many
                self._add(f"{name}({word}c)", only, compute)
            self._add(f"MIN({word}x)", only, lambda r, t, d=distinct: min(xs(r, d), key=key, default=None))
            self._add(f"MAX({word}x)", only, lambda r, t, d=distinct: max(xs(r, d), key=key, default=None))
            self._add(f"COUNT({word}x)", only, lambda r, t, d=distinct: len(xs(r, d)))
            self._add(f"ARRAY_AGG({word}x)", only, lambda r, t, d=distinct: _Sorted(r, d))
        self._add("COUNT(*)", only, lambda r, t: len(r))
        self._add("COUNT(x, c)", only, lambda r, t: sum(row[1] is not None and row[3] is not None for row in r))
        self._add("MODE(x)", only, lambda r, t: modes(xs(r), key))
        self._add("ARG_MIN(x, y)", only, lambda r, t: extremes(r, min))
        self._add("ARG_MAX(x, y)", only, lambda r, t: extremes(r, max))
        if self.numeric:
            for name, two in TWO.items():
                if name.startswith("COVAR") and "UNSIGNED" in self.name:
                    continue  # a negative one has no place in the type
                self._add(f"{name}(x, y)", only, lambda r, t, f=two: f(*_pairs(r), t))
                self._add(f"{name}(DISTINCT x, y)", only, lambda r, t, f=two: f(*_pairs(r, True), t))
        else:
            self._add("REGR_COUNT(x, y)", only, lambda r, t: len(_pairs(r)[0]))
            self._add("REGR_COUNT(DISTINCT x, y)", only, lambda r, t: len(_pairs(r, True)[0]))
        self._add("ARG_MAX(DISTINCT x, y)", only, lambda r, t: extremes(r, max))

    def program(self) -> Program:
        chosen = ", ".join(f"{sql} AS a{i}" for i, (sql, _) in enumerate(self.columns))
        text = f"""CREATE TABLE t (k INT, x {self.name}, y {self.name}, c BOOLEAN);
            CREATE VIEW v AS SELECT k, {chosen} FROM t GROUP BY k;
            CREATE VIEW w AS SELECT 0 AS k, {chosen} FROM t;"""
        result = compile_program(text, materialize_all=True)
        assert result.program is not None, result.messages
        return result.program


class _Sorted:
    """What ARRAY_AGG gathers, NULLs included; in the order of the values when they are distinct."""

    def __init__(self, rows: Sequence[Row], distinct: bool) -> None:
        found = [(row[1] is not None, key(row[1])) for row in rows]
        self.distinct = distinct
        self.wanted = [place[1] for place in sorted(set(found) if distinct else found, key=_nulls_first)]

    def agrees(self, found: list[Any]) -> bool:
        keys = [key(value) for value in found]
        return keys == self.wanted or (
            not self.distinct and sorted(((k is not None, k) for k in keys), key=_nulls_first) == [
                (k is not None, k) for k in self.wanted]
        )  # fmt: skip


def _nulls_first(place: tuple[bool, Any]) -> tuple[bool, Any]:
    return (place[0], place[1]) if place[0] else (False, ())


def _folded(operation: Callable[[Any, Any], Any], values: Sequence[Any]) -> Any:
    found = None
    for value in values:
        found = value if found is None else operation(found, value)
    return found


def _conditions(rows: Sequence[Row], distinct: bool) -> list[bool]:
    present = [row[3] for row in rows if row[3] is not None]
    return list(set(present)) if distinct else present


def _pairs(rows: Sequence[Row], distinct: bool = False) -> tuple[list[Any], list[Any]]:
    present = [(x, y) for _, x, y, _ in rows if x is not None and y is not None]
    if distinct:
        present = list({(key(x), key(y)): (x, y) for x, y in present}.values())
    return [x for x, _ in present], [y for _, y in present]


def agrees(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, _Sorted):
        return bool(wanted.agrees(found))
    if isinstance(wanted, set):
        return key(found) in wanted
    if isinstance(wanted, float):
        return found == pytest.approx(wanted, rel=1e-5, abs=1e-5)
    return bool(key(found) == key(wanted))


def changes(types: Sequence[pa.DataType], rows: Sequence[Row], operation: Operation) -> ChangeBatch:
    columns = tuple(pa.array([row[i] for row in rows], data_type) for i, data_type in enumerate(types))
    return ChangeBatch(columns, len(rows), np.full(len(rows), operation, np.int8))


ALL = [(n, v, True) for n, v in NUMBERS.items()] + [(n, v, False) for n, v in OTHERS.items()]


@pytest.mark.parametrize("name, values, numeric", ALL, ids=[name for name, _, _ in ALL])
def test_aggregates(name: str, values: Sequence[Any], numeric: bool) -> None:
    rng = random.Random(name)
    case = Case(name, numeric=numeric, integer="INT" in name and numeric)
    program = case.program()
    table = program.table("t")
    assert table is not None
    sql_type = table.columns[1].type
    types = [arrow_type(column.type) for column in table.columns]
    circuit = Circuit(program)
    present: list[Row] = []
    for step in range(STEPS):
        gone = rng.sample(present, min(len(present), rng.randrange(CHANGES)))
        if step % 5 == 4:
            gone = [row for row in present if row[0] == present[0][0]]  # a whole group
        for row in gone:
            present.remove(row)
        choices = [None, *values, *values]
        new = [
            (rng.randrange(3), rng.choice(choices), rng.choice(choices), rng.choice([None, False, True]))
            for _ in range(rng.randrange(CHANGES))
        ]
        present.extend(new)
        batches = [(gone, Operation.DELETE), (new, Operation.INSERT)]
        circuit.step({"t": [changes(types, rows, operation) for rows, operation in batches if rows]})
        snapshot = circuit.snapshot()
        groups: dict[int, list[Row]] = {}
        for row in present:
            groups.setdefault(row[0], []).append(row)
        for view, wanted in (("v", groups), ("w", {0: present})):
            found = {row["k"]: row for row in snapshot.table(view).to_pylist()}
            assert found.keys() == wanted.keys(), f"step {step}"
            for k, rows in wanted.items():
                for i, (sql, compute) in enumerate(case.columns):
                    expected = compute(rows, sql_type)
                    assert agrees(found[k][f"a{i}"], expected), (
                        f"step {step}: {sql} of {rows} gives {found[k][f'a{i}']!r} instead of {expected!r}"
                    )


def test_every_aggregate_is_compared() -> None:
    shown = " ".join(sql for name, _, n in ALL for sql, _ in Case(name, numeric=n, integer="INT" in name).columns)
    assert not [name for name in AGGREGATES if f"{name}(" not in shown]
