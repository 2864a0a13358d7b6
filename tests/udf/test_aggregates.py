"""User-defined aggregates under insertions and deletions: each step gives what the remaining rows give from scratch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from millstream import MillstreamError, Pipeline, udf

SQL = """
CREATE TABLE t (g INT, x {type}, y INT);
CREATE {linear} AGGREGATE a(x {type}) RETURNS {returns};
CREATE VIEW v AS SELECT g, a(x) AS a FROM t GROUP BY g;
CREATE VIEW w AS SELECT a(x) AS a FROM t;
"""

Rows = Counter[tuple[int | None, Any]]
Code = dict[str, Any]


def linear_mean() -> Code:
    return {
        "a_map": lambda x: (x.cast(pa.int64()), pa.scalar(1)),
        "a_post": lambda total, n: pc.divide(total.cast(pa.float64()), n.cast(pa.float64())),
    }


def linear_rows() -> Code:
    return {
        "a_accumulator_type": (pa.int64(), pa.int64()),
        "a_map": udf.row(lambda x: (x, 1)),
        "a_post": udf.row(lambda total, n: total / n),
    }


def by_groups(lists: pa.LargeListArray) -> Any:
    return np.array([np.mean(values) for values in lists.to_pylist()])


def mean(values: list[Any]) -> float:
    return sum(values) / len(values)


MEANS: list[tuple[str, str, Callable[[], Code]]] = [
    ("linear", "LINEAR", linear_mean),
    ("linear by rows", "LINEAR", linear_rows),
    ("arrow", "", lambda: {"a": pc.mean}),
    ("rows", "", lambda: {"a": udf.row(mean)}),
    ("groups", "", lambda: {"a": udf.groups(by_groups)}),
]


def expected(rows: Rows, function: Callable[[list[Any]], Any]) -> dict[int | None, Any]:
    groups: dict[int | None, list[Any]] = {}
    for (g, x), count in rows.items():
        if count:
            groups.setdefault(g, []).extend([x] * count if x is not None else [])
    return {g: function(values) if values else None for g, values in groups.items()}


def check(pipeline: Pipeline, rows: Rows, function: Callable[[list[Any]], Any]) -> None:
    found = {row["g"]: row["a"] for row in pipeline.snapshot("v", "dicts")}
    assert found == pytest.approx(expected(rows, function), nan_ok=True)
    whole = [x for (_, x), count in rows.items() for _ in range(count) if x is not None]
    (row,) = pipeline.snapshot("w", "dicts")
    assert row["a"] == pytest.approx(function(whole) if whole else None, nan_ok=True)


@pytest.mark.parametrize(("linear", "code"), [pytest.param(kind, code, id=name) for name, kind, code in MEANS])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_step_gives_the_result_of_the_rows_that_are_left(
    linear: str, code: Callable[[], Code], seed: int
) -> None:
    random = np.random.default_rng(seed)
    rows: Rows = Counter()
    with Pipeline(SQL.format(type="INT", linear=linear, returns="DOUBLE"), udf=code()) as pipeline:
        for _ in range(12):
            present = list(rows.elements())
            gone = [present[i] for i in random.permutation(len(present))[: random.integers(0, len(present) + 1)]]
            new = [
                (
                    None if random.random() < 0.2 else int(random.integers(0, 4)),
                    None if random.random() < 0.2 else int(random.integers(-3, 4)),
                )
                for _ in range(random.integers(0, 9))
            ]
            if gone:
                pipeline.push("t", [{"g": g, "x": x} for g, x in gone], delete=True)
            if new:
                pipeline.push("t", [{"g": g, "x": x} for g, x in new])
            rows.subtract(gone)
            rows.update(new)
            pipeline.step()
            check(pipeline, rows, mean)


def run(code: Code, values: list[list[Any]], column: str = "INT", returns: str = "BIGINT", linear: bool = True) -> Any:
    """The result over all rows after pushing values, a step each; a list in a list is deleted."""
    sql = SQL.format(type=column, linear="LINEAR" if linear else "", returns=returns)
    with Pipeline(sql, udf=code) as pipeline:
        for step in values:
            for value in step:
                deleted = isinstance(value, list)
                pipeline.push("t", [{"g": 1, "x": value[0] if deleted else value}], delete=deleted)
            pipeline.step()
        (row,) = pipeline.snapshot("w", "dicts")
        return row["a"]


def same(x: pa.Array) -> pa.Array:
    return x


def test_without_post_the_sum_is_the_result() -> None:
    assert run({"a_map": same}, [[1, 2], [[1], 5]]) == 7


def test_infinities_and_nan_go_with_their_rows() -> None:
    code = {"a_map": same}
    assert math.isnan(run(code, [[1.0, math.nan]], "DOUBLE", "DOUBLE"))
    assert run(code, [[1.0, math.nan, math.inf], [[math.nan], [math.inf]]], "DOUBLE", "DOUBLE") == 1.0


def test_decimals_and_wide_integers_are_summed_exactly() -> None:
    big = Decimal("12345678901234567890.12")
    assert run({"a_map": same}, [[big, big], [[big], Decimal("0.01")]], "DECIMAL(30, 2)", "DECIMAL(38, 2)") == big + (
        Decimal("0.01")
    )
    assert run({"a_map": same}, [[2**63 - 1, 5, [5]]], "BIGINT") == 2**63 - 1


def test_a_sum_beyond_its_type_is_an_error() -> None:
    with pytest.raises(MillstreamError, match="Error converting 9223372036854775812 to BIGINT"):
        run({"a_map": same}, [[2**63 - 1, 5]], "BIGINT")
    with pytest.raises(MillstreamError, match=r"User-defined aggregate 'a' has an Arrow array .* not TINYINT"):
        run({"a_map": same}, [[100, 100]], returns="TINYINT")


def test_contributions_that_are_null_count_nothing() -> None:
    assert run({"a_map": lambda x: pa.nulls(len(x), pa.int64())}, [[1, 2]]) == 0
    assert run({"a_map": lambda x: pa.nulls(len(x))}, [[1, 2]]) == 0


def test_conditions_are_counted() -> None:
    assert run({"a_map": lambda x: pc.greater(x, 1)}, [[1, 2, 3], [[3]]]) == 1


def test_maps_that_are_not_what_they_were_are_refused() -> None:
    def fickle(x: pa.Array) -> Any:
        return x.cast(pa.float64()) if 0 not in x.to_pylist() else (x, x)

    with pytest.raises(MillstreamError, match="'a_map' returned 1 columns to sum up, but 2 before"):
        run({"a_map": fickle, "a_post": lambda p, q: p}, [[0], [1]])

    def varying(x: pa.Array) -> Any:
        return x if 0 in x.to_pylist() else pc.add(x.cast(pa.float64()), 0.5)

    with pytest.raises(MillstreamError, match=r"not BIGINT: .*; declare a_accumulator_type"):
        run({"a_map": varying}, [[0], [1]])
    assert run({"a_map": varying, "a_accumulator_type": pa.float64()}, [[0], [1]], returns="DOUBLE") == 1.5


def test_results_of_a_map_are_checked() -> None:
    with pytest.raises(MillstreamError, match="'a_map' returned 1 values for 2 rows"):
        run({"a_map": lambda _: pa.array([1])}, [[1, 2]])
    with pytest.raises(MillstreamError, match="so a_post is needed"):
        run({"a_map": lambda x: (x, x)}, [[1]])
    rows: Code = {"a_accumulator_type": pa.int64(), "a_map": udf.row(lambda x: 1.5 if x == 2 else x)}
    with pytest.raises(MillstreamError, match=r"'a_map' returned 1\.5 \(a float\), which is no BIGINT"):
        run(rows, [[1, 2]])
    with pytest.raises(MillstreamError, match=r"'a_map' returned \(1, 1\), but 1 numbers are declared"):
        run({**rows, "a_map": udf.row(lambda x: (x, x))}, [[1, 2]])


def test_the_row_that_a_map_fails_for_and_the_sums_that_a_post_fails_for_are_named() -> None:
    by_row = udf.row(lambda x: 10 // x)
    with pytest.raises(MillstreamError, match=r"'a_map' failed for a_map\(0\): ZeroDivisionError"):
        run({"a_map": by_row, "a_accumulator_type": pa.int64()}, [[1, 0, 2]])
    with pytest.raises(MillstreamError, match=r"'a_post' failed for a_post\(3\): ZeroDivisionError"):
        run({"a_map": same, "a_post": udf.row(lambda x: x // 0)}, [[1, 2]])


def test_lists_are_results_where_arrays_are_declared() -> None:
    for function in (same, lambda x: x.to_numpy(), lambda x: x.to_pylist(), udf.row(lambda x: x)):
        assert run({"a": function}, [[3, 1, 3], [2]], returns="INT ARRAY", linear=False) == [1, 2, 3, 3]


def test_values_come_in_order_and_the_group_that_fails_is_named() -> None:
    def f(x: list[int]) -> int:
        raise ValueError("no")

    with pytest.raises(MillstreamError, match=r"aggregate 'a' failed for a\(\[1, 2, 2\]\): ValueError: no"):
        run({"a": udf.row(f)}, [[2, 1, 2]], linear=False)
    with pytest.raises(MillstreamError, match=r"aggregate 'a' failed for a\(\[1, 2\]\): ValueError: no"):
        run({"a": udf.groups(f)}, [[2, 1]], linear=False)
    with pytest.raises(MillstreamError, match="'a' returned 5 values for 1 groups"):
        run({"a": udf.groups(lambda _: pa.array([1] * 5))}, [[2, 1]], linear=False)
    with pytest.raises(MillstreamError, match=r"'a' returned for a\(\[1, 2\]\) 'x' \(a str\), which is no BIGINT"):
        run({"a": lambda _: "x"}, [[2, 1]], linear=False)


def test_only_touched_groups_are_computed() -> None:
    seen: list[int] = []

    @udf.row
    def a(x: list[int]) -> int:
        seen.append(len(x))
        return len(x)

    sql = SQL.format(type="INT", linear="", returns="INT").replace("CREATE VIEW w AS SELECT a(x) AS a FROM t;", "")
    with Pipeline(sql, udf={"a": a}) as pipeline:
        pipeline.push("t", [{"g": g, "x": x} for g in range(100) for x in range(3)])
        pipeline.step()
        assert seen == [3] * 100
        seen.clear()
        pipeline.push("t", [{"g": 7, "x": 9}])
        pipeline.step()
        assert sorted(seen) == [3, 4]  # before and after
