"""Every scalar function over random columns with NULLs, compared with plain Python row by row."""

from __future__ import annotations

import datetime
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from millstream.expressions.evaluate import EvaluationContext, compile_projection
from millstream.expressions.registry import FUNCTIONS
from millstream.plan.nodes import Project
from millstream.sql.compile import compile_program
from millstream.types import arrow_type
from tests.expressions import test_collection_reference
from tests.reference.scalars import LAZY, STRICT

ROWS = 80
TABLE = """CREATE TABLE t (i INT, j INT, d DOUBLE, e DOUBLE, n DECIMAL(10, 2), s VARCHAR, u VARCHAR, o BOOLEAN,
    p BOOLEAN, dt DATE, ts TIMESTAMP, tm TIME, b VARBINARY, a INT ARRAY, js VARCHAR)"""
_DOCUMENTS = ['{"a":1,"b":"x","c":true}', "[]", "[1,2]", '{"b":true}', "{}", '{"a":"y","d":7}', '{"a":true}']

OTHERWISE: dict[str, str] = {
    "AS DECLARED": "tests/sql/functions/defined.slt: what users define",
    "FIELD NAMES": "tests/sql/functions/jsonstring.slt: what users define",
    "USER FUNCTION": "tests/udf: what users define",
    "CONNECTOR_METADATA": "tests/sql/tables: its value comes from connectors",
    "NOW": "tests/sql: its value is the time of the step",
    "SINGLE VALUE": "tests/sql/queries/subqueries.slt: a scalar sub-query",
    "TUMBLE_START": "tests/operators: windows",
    "GUNZIP": "tests/sql/binary/functions.slt: its argument must be compressed",
    "ST_POINT": "tests/expressions/test_system_functions.py: points",
    "ST_DISTANCE": "tests/expressions/test_system_functions.py: points",
    "VARIANTNULL": "tests/sql/variant/functions.slt: a constant",
}
"""Registry entries that are tested elsewhere, since they are no functions of columns, and where."""


def rows_of(rng: random.Random) -> list[dict[str, Any]]:
    """Random rows, every value NULL now and then."""

    def text(letters: str) -> str:
        return "".join(rng.choices(letters, k=rng.randrange(7)))

    def row() -> dict[str, Any]:
        moment = datetime.datetime(2020, 1, 1) + datetime.timedelta(
            seconds=rng.randrange(-(10**9), 10**9), microseconds=7
        )
        day = moment.date() + datetime.timedelta(days=rng.randrange(-20, 20))
        clock = datetime.time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.choice([0, 5]))
        made = {
            "i": rng.randrange(-5, 10), "j": rng.randrange(-5, 10), "d": rng.uniform(-4, 4), "e": rng.uniform(-4, 4),
            "n": Decimal(rng.randrange(-10**6, 10**6)).scaleb(-2), "s": text("ab -"), "u": text("aAbé _€ßÉ😀"),
            "o": rng.random() < 0.5, "p": rng.random() < 0.5, "dt": rng.choice([day, moment.date()]), "ts": moment,
            "tm": clock, "b": rng.randbytes(rng.randrange(7)), "js": rng.choice(_DOCUMENTS),
            "a": [rng.choice([None, 1, 2, 3]) for _ in range(rng.randrange(4))],
        }  # fmt: skip
        return {name: None if rng.random() < 0.1 else value for name, value in made.items()}

    return [row() for _ in range(ROWS)]


def agrees(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and wanted is not None:
        return bool(found == pytest.approx(wanted, rel=1e-9, abs=1e-9))
    return bool(found == wanted)


@pytest.mark.parametrize("seed", range(3))
def test_scalar_functions(seed: int) -> None:
    cases = [(*case, True) for case in STRICT] + [(*case, False) for case in LAZY]
    chosen = ", ".join(f"{sql} AS x{k}" for k, (_, sql, _, _, _) in enumerate(cases))
    program = compile_program(f"{TABLE};\nCREATE VIEW v AS SELECT {chosen} FROM t;")
    assert program.program is not None, program.messages
    table, plan = program.program.table("t"), program.program.views[0].plan
    assert table is not None
    assert isinstance(plan, Project)
    rows = rows_of(random.Random(seed))
    columns = [pa.array([None, *(r[c.name] for r in rows)], arrow_type(c.type)).slice(1) for c in table.columns]
    results = compile_projection(plan.expressions)(columns, ROWS, EvaluationContext(now_us=0))
    wrong = []
    for (_, sql, names, compute, strict), result in zip(cases, results, strict=True):
        for row, found in zip(rows, result.to_pylist(), strict=True):
            arguments = [row[name] for name in names.split()]
            wanted = None if strict and None in arguments else compute(*arguments)
            if not agrees(found, wanted):
                wrong.append(f"{sql} of {arguments} gives {found!r} instead of {wanted!r}")
                break
    assert not wrong, "\n".join([f"seed {seed}", *wrong])


def test_every_registry_entry_is_compared() -> None:
    compared = {name for name, _, _, _ in (*STRICT, *LAZY)}
    assert test_collection_reference.__file__ is not None
    compared |= set(re.findall(r'"([A-Z_]+)"', Path(test_collection_reference.__file__).read_text()))
    missing = {name for name in FUNCTIONS if FUNCTIONS[name].name not in compared and name not in compared}
    assert missing == set(OTHERWISE) & set(FUNCTIONS)
    assert set(OTHERWISE) <= set(FUNCTIONS)
