"""Nanoseconds a row of every scalar function: `python -m benchmarks.functions_micro [--rows N] [WORD ...]`.

Each expression of functions.txt runs over 100,000 rows, one in ten of them NULL, in one thread; the figure is the
median of the process's CPU time over several runs. Slowest first. With words, only expressions that contain one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.evaluate import EvaluationContext, compile_projection
from millstream.expressions.nodes import Call, Case, Cast, Expression, children
from millstream.expressions.registry import FUNCTIONS
from millstream.plan.nodes import Plan, Project
from millstream.sql.compile import compile_program
from millstream.types import SqlType, arrow_type

RUNS = 5
TABLE = """CREATE TABLE t (i INT, j INT, l BIGINT, d DOUBLE, e DOUBLE, r REAL, n DECIMAL(18, 4), o BOOLEAN, p BOOLEAN,
s VARCHAR, u VARCHAR, url VARCHAR, num VARCHAR, word VARCHAR, day VARCHAR, moment VARCHAR, clock VARCHAR, js VARCHAR,
dt DATE, tm TIME, ts TIMESTAMP, tz TIMESTAMP WITH TIME ZONE, bin VARBINARY, uid UUID, a INT ARRAY, b INT ARRAY,
sa VARCHAR ARRAY, m MAP<VARCHAR, INT>, v VARIANT, w VARIANT, x ROW(f INT, g VARCHAR))"""

EXPRESSIONS = (Path(__file__).parent / "functions.txt").read_text().splitlines()


def columns(rows: int) -> dict[str, pa.Array]:
    """The columns of the table, by name."""
    random = np.random.default_rng(1)

    def texts(*choices: str) -> pa.Array:
        return pa.array(choices, pa.large_string()).take(pa.array(random.integers(0, len(choices), rows)))

    def numbered(shape: str, numbers: list[int]) -> pa.Array:
        return pa.array([shape.format(n) for n in numbers], pa.large_string())

    small = random.integers(1, 10, rows)
    lengths = random.integers(0, 6, rows)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    items = pa.array(random.integers(0, 10, offsets[-1]).astype(np.int32))
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), items)
    words = pa.array([f"w{k}" for k in random.integers(0, 50, offsets[-1])], pa.large_string())
    counts = random.integers(0, 10_000_000, rows).tolist()
    seconds = random.integers(0, 1_700_000_000, rows)
    moments = pa.array(seconds).cast(pa.timestamp("s"))
    pairs = [[("k1", int(k)), ("k2", 2)] for k in small]
    documents = [f'{{"a":{k},"b":[{k},2.5],"c":{{"d":"x"}}}}' for k in small]
    names = pa.array(["abacus", "Bad apple", "cabbage dish", "dry-dock"], pa.large_string())
    return {
        "i": pa.array(small.astype(np.int32)), "j": pa.array(random.integers(1, 10, rows).astype(np.int32)),
        "l": pa.array(random.integers(0, 1 << 30, rows)), "d": pa.array(random.random(rows) * 8 - 4),
        "e": pa.array(random.random(rows) * 8 - 4), "r": pa.array(random.random(rows).astype(np.float32)),
        "n": pa.array(random.integers(1, 500_000, rows)).cast(pa.decimal128(38, 4)).cast(pa.decimal128(18, 4)),
        "o": pa.array(random.random(rows) < 0.5), "p": pa.array(random.random(rows) < 0.5),
        "s": pc.binary_join_element_wise(
            names.take(pa.array(random.integers(0, 4, rows))), numbered("{}", counts), pa.scalar(" ", pa.large_string())
        ),
        "u": numbered("Éa été {} ça", counts),
        "url": numbered("https://www.nexmark.com/abc/{}/item.htm?query=1", counts),
        "num": numbered("{}", counts), "word": texts("a", "b", "app", "dock"),
        "day": moments.cast(pa.date32()).cast(pa.large_string()), "moment": moments.cast(pa.large_string()),
        "clock": pa.array(seconds % 86400).cast(pa.int32()).cast(pa.time32("s")).cast(pa.large_string()),
        "js": pa.array(documents, pa.large_string()), "dt": moments.cast(pa.date32()),
        "tm": pa.array(seconds % 86400 * 1_000_000_000 + 5_000_000).cast(pa.time64("ns")),
        "ts": moments.cast(pa.timestamp("us")), "tz": moments.cast(pa.timestamp("us", "UTC")),
        "bin": pa.array([k.to_bytes(6, "big") for k in counts], pa.large_binary()),
        "uid": pa.array([k.to_bytes(16, "big") for k in counts], pa.binary(16)), "a": lists, "b": lists.take(
            pa.array(random.permutation(rows))), "sa": pa.LargeListArray.from_arrays(pa.array(offsets), words),
        "m": pa.array(pairs, pa.map_(pa.large_string(), pa.int32())), "v": pa.array(documents, pa.large_string()),
        "w": pa.array([f'{{"a":{k}}}' for k in small], pa.large_string()),
        "x": pa.StructArray.from_arrays(
            [pa.array(small.astype(np.int32)), names.take(pa.array(small % 4))], ["f", "g"]),
    }  # fmt: skip


def with_nulls(array: pa.Array, sql_type: SqlType) -> pa.Array:
    """The column in its storage type, every tenth row NULL."""
    stored = array.cast(arrow_type(sql_type)) if not sql_type.is_nested else array
    rows = np.arange(len(stored))
    taken = stored.take(pa.array(rows, mask=rows % 10 == 0))
    return taken if taken.type == arrow_type(sql_type) else taken.cast(arrow_type(sql_type))


def names_of(expression: Expression) -> set[str]:
    """The registry entries that an expression calls."""
    found = {expression.name} if isinstance(expression, Call) else set()
    found |= {"CASE"} if isinstance(expression, Case) else {"CAST"} if isinstance(expression, Cast) else set()
    return found.union(*(names_of(child) for child in children(expression)))


def measure(expression: Expression, arguments: list[pa.Array], rows: int) -> float:
    """Nanoseconds of CPU time a row."""
    project = compile_projection([expression])
    context = EvaluationContext(now_us=0)
    project([column.slice(0, 100) for column in arguments], 100, context)
    times = []
    for _ in range(RUNS):
        start = time.process_time_ns()
        project(arguments, rows, context)
        times.append(time.process_time_ns() - start)
        if sum(times) > 3e9:
            break
    return float(np.median(times)) / rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.functions_micro")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("words", nargs="*", help="only expressions with one of these words")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    made = columns(options.rows)
    measured, reached = [], set()
    for text in EXPRESSIONS:
        if options.words and not any(word.lower() in text.lower() for word in options.words):
            continue
        result = compile_program(f"{TABLE};\nCREATE VIEW q AS SELECT {text} AS y FROM t;")
        if result.program is None:
            raise SystemExit(f"{text}: {result.messages[0].message}")
        plan: Plan | None = result.program.views[0].plan
        assert isinstance(plan, Project), text
        table = result.program.table("t")
        assert table is not None
        arguments = [with_nulls(made[column.name], column.type) for column in table.columns]
        reached |= names_of(plan.expressions[0])
        measured.append((measure(plan.expressions[0], arguments, options.rows), text))
    for nanoseconds, text in sorted(measured, reverse=True):
        print(f"{nanoseconds:10.1f}  {text}")
    if not options.words:
        print("not called:", ", ".join(sorted(set(FUNCTIONS) - reached)))


if __name__ == "__main__":
    main()
