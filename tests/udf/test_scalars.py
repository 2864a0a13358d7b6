"""User-defined functions on columns: values of every type both ways, results of every form, errors with their row."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from millstream import udf
from millstream.errors import EvaluationError
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    REAL,
    SMALLINT,
    TIME,
    TIMESTAMP,
    TIMESTAMP_TZ,
    VARBINARY,
    VARCHAR,
    VARIANT,
    Field,
    array,
    decimal,
    map_of,
    struct,
)
from millstream.types.sql_type import (
    UUID as UUID_TYPE,
)
from millstream.udf.calling import Code
from millstream.udf.declarations import Declaration
from millstream.udf.library import Library, library_of, load_source
from millstream.udf.scalars import ScalarCode

DAYS = SqlType(Kind.INTERVAL_DAY)
MONTHS = SqlType(Kind.INTERVAL_MONTH)
POINT = struct((Field("x", INTEGER), Field("id", UUID_TYPE)))
SOME_ID = UUID("12345678-1234-5678-1234-567812345678")
UTC = dt.UTC

VALUES: list[tuple[SqlType, list[Any]]] = [
    (BOOLEAN, [True, False]),
    (SMALLINT, [-32768, 32767]),
    (BIGINT, [-(2**63), 2**63 - 1]),
    (SqlType(Kind.UBIGINT), [0, 2**64 - 1]),
    (REAL, [1.5, -0.0]),
    (DOUBLE, [1e300, 0.1]),
    (decimal(10, 2), [Decimal("1.50"), Decimal("-12345678.99")]),
    (VARCHAR, ["", "é\n"]),
    (VARBINARY, [b"", b"\x00\xff"]),
    (DATE, [dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
    (TIME, [dt.time(0, 0), dt.time(23, 59, 59, 999999)]),
    (TIMESTAMP, [dt.datetime(1969, 12, 31, 23, 59, 59, 1), dt.datetime(2020, 2, 29)]),
    (TIMESTAMP_TZ, [dt.datetime(2020, 2, 29, 12, 30, tzinfo=UTC)]),
    (DAYS, [dt.timedelta(days=-3, microseconds=1)]),
    (MONTHS, [-13, 12]),
    (UUID_TYPE, [SOME_ID]),
    (array(INTEGER), [[], [1, None, 3]]),
    (array(UUID_TYPE), [[SOME_ID, None]]),
    (map_of(VARCHAR, decimal(5, 1)), [{}, {"a": Decimal("1.5"), "b": None}]),
    (map_of(UUID_TYPE, INTEGER), [{SOME_ID: 1}]),
    (POINT, [{"x": 1, "id": SOME_ID}, {"x": None, "id": None}]),
    (array(POINT), [[{"x": 1, "id": SOME_ID}, None]]),
    (SqlType(Kind.GEOMETRY), [{"x": 1.0, "y": 2.0}]),
    (VARIANT, [1, -1, "a", True, Decimal("1.5"), [1, None], {"a": {"b": []}}]),
]


def code(
    function: Callable[..., Any], types: Sequence[SqlType], returns: SqlType, library: Library | None = None
) -> ScalarCode:
    declaration = Declaration("f", tuple((f"x{i}", t) for i, t in enumerate(types)), returns)
    return ScalarCode(declaration, Code("function", "f", function, library or library_of({"f": function})), returns)


def column(values: Sequence[Any], sql_type: SqlType) -> pa.Array:
    """A column that is made without the code under test."""
    raw = [v.bytes if isinstance(v, UUID) else v for v in values]
    return pa.array(raw, arrow_type(sql_type))


def run(function: Callable[..., Any], values: Sequence[Any], of: SqlType, returns: SqlType) -> list[Any]:
    result = code(function, [of], returns).column([column(values, of)], len(values))
    assert result.type == arrow_type(returns)
    assert len(result) == len(values)
    result.validate(full=True)
    return list(result.to_pylist())


def raises(function: Callable[..., Any], values: Sequence[Any], of: SqlType, returns: SqlType) -> str:
    with pytest.raises(EvaluationError) as caught:
        run(function, values, of, returns)
    return caught.value.message


@pytest.mark.parametrize(("sql_type", "values"), VALUES, ids=[t.sql() for t, _ in VALUES])
def test_row_functions_see_natural_values_of_every_type_and_may_give_them(sql_type: SqlType, values: list[Any]) -> None:
    given = [*values, None]
    made = code(udf.row(lambda i: given[i]), [INTEGER], sql_type).column(
        [pa.array(range(len(given)), pa.int32())], len(given)
    )
    made.validate(full=True)
    seen: list[Any] = []

    @udf.row
    def watch(value: Any) -> Any:
        seen.append(value)
        return value

    back = code(watch, [sql_type], sql_type).column([made], len(given))
    assert seen == given
    assert [type(value) for value in seen] == [type(value) for value in given]
    assert back.equals(made)


def test_variants_that_are_more_than_json_are_seen_as_what_they_are() -> None:
    texts = ["\x0f1.5", "\x0fnull", "\x0f\x1bnull", '\x11"2020-01-02"', '\x13"2020-01-02 03:04:05"', "\x041",
             "\x01null", '\x12"01:02:03.000000004"',
             '\x16"12345678-1234-5678-1234-567812345678"', "\x14[1,255]", "\x102",
             '\x1a{"\\u00041":true}']  # fmt: skip
    seen: list[Any] = []
    watch = udf.row(lambda value: seen.append(value))
    code(watch, [VARIANT], INTEGER).column([pa.array(texts, pa.large_string())], len(texts))
    assert math.isnan(seen.pop(1))
    assert seen == [1.5, math.inf, dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5), 1, None,
                    dt.time(1, 2, 3), SOME_ID, b"\x01\xff", Decimal(2), {1: True}]  # fmt: skip


def test_arrow_functions_see_variants_as_json_and_give_json() -> None:
    def keep(texts: pa.Array) -> pa.Array:
        assert texts.to_pylist() == ["1.5", '"2020-01-02"', None]
        return pa.array(['{"b": 1, "a": [2.50]}', "null", None])

    made = code(keep, [VARIANT], VARIANT).column(
        [pa.array(["\x0f1.5", '\x11"2020-01-02"', None], pa.large_string())], 3
    )
    assert made.to_pylist() == ['{"a":[2.5],"b":1}', None, None]


class Series:
    """What older versions of pandas give: an array for numpy, and nothing for Arrow."""

    ndim = 1

    def __init__(self, values: Any) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._values


RESULTS: list[tuple[str, Callable[[pa.Array], Any]]] = [
    ("array", lambda a: pc.add(a, 1)),
    ("chunked array", lambda a: pa.chunked_array([pc.add(a, 1).slice(0, 1), pc.add(a, 1).slice(1)])),
    ("numpy array", lambda a: a.to_numpy() + 1),
    ("pandas series", lambda a: a.to_pandas() + 1),
    ("series that export nothing", lambda a: Series(a.to_numpy() + 1)),
    ("polars series", lambda a: pl.Series(a) + 1),
    ("dictionary", lambda a: pc.add(a, 1).dictionary_encode()),
    ("decimals", lambda a: pc.add(a, 1).cast(pa.decimal128(30, 3))),
]


@pytest.mark.parametrize("function", [pytest.param(f, id=name) for name, f in RESULTS])
def test_results_of_arrow_functions_have_many_forms(function: Callable[[pa.Array], Any]) -> None:
    assert run(function, [1, 2, 3], INTEGER, BIGINT) == [2, 3, 4]
    assert run(function, [1], INTEGER, decimal(5, 2)) == [Decimal("2.00")]


@pytest.mark.parametrize("value", [5, pa.scalar(5), pa.scalar(5, pa.int8()), np.int64(5), np.array(5)])
def test_one_value_stands_for_all_rows(value: Any) -> None:
    assert run(lambda _: value, [1, 2, 3], INTEGER, BIGINT) == [5, 5, 5]
    assert run(lambda _: value, [1], INTEGER, decimal(5, 2)) == [Decimal("5.00")]


def test_a_null_stands_for_all_rows() -> None:
    assert run(lambda _: None, [1, 2], INTEGER, VARCHAR) == [None, None]
    assert run(lambda a: pa.nulls(len(a)), [1, 2], INTEGER, VARIANT) == [None, None]
    assert run(lambda _: pa.scalar(None), [1, 2], INTEGER, VARIANT) == [None, None]


class Thing:
    """What no SQL type holds; always shown alike, so that every process of a test run gives its case the same name."""

    def __repr__(self) -> str:
        return "thing"


UNFIT: list[tuple[SqlType, Any]] = [
    (INTEGER, 1.5), (INTEGER, True), (INTEGER, "1"), (INTEGER, 2**31), (SMALLINT, np.int64(40000)),
    (BOOLEAN, 1), (DOUBLE, "1"), (DOUBLE, Decimal(1)), (decimal(5, 2), 1.5), (decimal(5, 2), Decimal("1.005")),
    (decimal(5, 2), 1000), (VARCHAR, b"x"), (VARCHAR, 1), (VARCHAR, "\ud800"), (VARBINARY, "x"),
    (DATE, dt.datetime(2020, 1, 1)), (DATE, "2020-01-01"), (TIMESTAMP, dt.date(2020, 1, 1)),
    (TIMESTAMP, dt.datetime(2020, 1, 1, tzinfo=UTC)), (TIME, dt.timedelta(1)), (DAYS, 1), (UUID_TYPE, str(SOME_ID)),
    (array(INTEGER), "ab"), (array(INTEGER), [1, "a"]), (map_of(VARCHAR, INTEGER), [("a", 1)]),
    (map_of(VARCHAR, INTEGER), {None: 1}), (POINT, {"x": 1, "z": 2}), (POINT, (1,)), (VARIANT, Thing()),
    (VARIANT, math.nan), (VARIANT, {1: 2}),
]  # fmt: skip


@pytest.mark.parametrize(("sql_type", "value"), UNFIT, ids=[f"{t.sql()} {v!a}" for t, v in UNFIT])
def test_values_that_are_not_of_the_declared_type_are_refused_with_their_row(sql_type: SqlType, value: Any) -> None:
    message = raises(udf.row(lambda x: value if x == 7 else None), [1, 7, 8], INTEGER, sql_type)
    assert message.startswith("User-defined function 'f' returned for f(7) "), message
    assert sql_type.sql() in message or (value and str(value[-1] if isinstance(value, list) else "") in message)


FIT: list[tuple[SqlType, Any]] = [
    (INTEGER, 2.0),
    (DOUBLE, 3),
    (decimal(5, 2), 3),
    (INTEGER, np.int8(3)),
    (array(INTEGER), np.array([1, 2])),
    (POINT, (1, SOME_ID)),
]


@pytest.mark.parametrize(("sql_type", "value"), FIT)
def test_values_of_types_that_hold_no_more_are_taken(sql_type: SqlType, value: Any) -> None:
    assert run(udf.row(lambda _: value), [1], INTEGER, sql_type)[0] is not None


def test_a_result_of_another_length_is_refused() -> None:
    message = raises(lambda a: pa.array([1]), [1, 2, 3], INTEGER, INTEGER)
    assert message == "User-defined function 'f' returned 1 values for 3 rows"


def test_results_that_cannot_be_cast_are_refused() -> None:
    assert "an Arrow array of type bool that is not DATE" in raises(lambda a: pc.equal(a, 1), [1, 2], INTEGER, DATE)
    assert "2 dimensions" in raises(lambda a: np.zeros((2, 2)), [1, 2], INTEGER, INTEGER)
    mixed = np.array([1, "a"], dtype=object)
    assert "returned a ndarray that is no Arrow array: " in raises(lambda _: mixed, [1, 2], INTEGER, INTEGER)
    assert "which is no INTEGER" in raises(lambda a: "x", [1, 2], INTEGER, INTEGER)
    assert "type int32 for VARIANT" in raises(lambda a: a, [1, 2], INTEGER, VARIANT)
    assert "'{' (a str), which is no JSON" in raises(lambda a: pa.array(["{"]), [1], INTEGER, VARIANT).replace(
        "'{', which", "'{' (a str), which"
    )


def test_the_row_whose_result_does_not_fit_is_named() -> None:
    values = list(range(1000))
    message = raises(lambda a: pc.multiply(a.cast(pa.int64()), 40), values, INTEGER, SMALLINT)
    assert message.endswith("Integer value 32800 not in range: -32768 to 32767, for f(820)")


@pytest.mark.parametrize("bad", [0, 1, 499, 998, 999])
def test_the_row_that_an_arrow_function_fails_for_is_found_in_few_calls(bad: int) -> None:
    rows_seen: list[int] = []

    def f(a: pa.Array) -> pa.Array:
        rows_seen.append(len(a))
        if pc.any(pc.equal(a, bad)).as_py():
            raise ValueError(f"no {bad}")
        return a

    message = raises(f, list(range(1000)), INTEGER, INTEGER)
    assert message.startswith(f"User-defined function 'f' failed for f({bad}): ValueError: no {bad} (")
    assert len(rows_seen) <= 1 + 2 * 10
    assert sum(rows_seen) <= 3 * 1000 + 20


def test_a_failure_of_many_rows_together_says_so() -> None:
    def f(a: pa.Array) -> pa.Array:
        if len(a) > 5:
            raise ValueError("too many")
        return a

    message = raises(f, list(range(8)), INTEGER, INTEGER)
    assert message.startswith(
        "User-defined function 'f' failed for 8 rows together, the first of them f(0): ValueError"
    )


def test_errors_name_the_line_of_the_source_that_called_what_failed() -> None:
    library = load_source(
        "import json\n\ndef helper(x):\n    return json.loads(x)\n\ndef f(a):\n    return helper(a[0].as_py())\n"
    )
    function = library.namespace["f"]
    with pytest.raises(EvaluationError) as caught:
        code(function, [VARCHAR], INTEGER, library).column([pa.array(["{"], pa.large_string())], 1)
    assert "f('{'): JSONDecodeError: " in caught.value.message
    assert caught.value.message.endswith("(udf_python, line 4: return json.loads(x))")


def test_whatever_is_raised_becomes_an_error() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def exits(_: Any) -> None:
        raise SystemExit(3)

    def breaks(_: Any) -> None:
        raise BrokenError

    def stops(x: Any) -> Any:
        return next(iter([]))

    assert "failed for f(1): SystemExit: 3" in raises(udf.row(exits), [1], INTEGER, INTEGER)
    assert "SystemExit: 3" in raises(udf.arrow(lambda a: exits(a)), [1], INTEGER, INTEGER)
    assert "BrokenError: (its text cannot be shown)" in raises(udf.row(breaks), [1], INTEGER, INTEGER)
    assert "failed for f(2): StopIteration" in raises(
        udf.row(lambda x: x if x < 2 else stops(x)), [1, 2], INTEGER, INTEGER
    )


def test_long_texts_are_cut() -> None:
    def f(_: Any) -> None:
        raise ValueError("x" * 10_000)

    assert len(raises(udf.row(f), ["y" * 10_000], VARCHAR, INTEGER)) < 2000


def test_strict_functions_are_not_called_for_nulls() -> None:
    @udf.row(strict=True)
    def by_row(x: int) -> int:
        return x + 1

    @udf.arrow(strict=True)
    def by_batch(a: pa.Array) -> pa.Array:
        assert a.null_count == 0
        assert len(a)
        return pc.add(a, 1)

    for function in (by_row, by_batch):
        assert run(function, [None, 1, None, 2], INTEGER, INTEGER) == [None, 2, None, 3]
        assert run(function, [None], INTEGER, INTEGER) == [None]
        assert run(function, [5], INTEGER, INTEGER) == [6]


def test_a_null_for_a_declared_not_null_is_an_error() -> None:
    message = raises(udf.row(lambda x: x or None), [1, 0], INTEGER, INTEGER.with_nullable(False))
    assert message == "User-defined function 'f' returned NULL for f(0), but is declared to return INTEGER NOT NULL"


def test_decorators_take_functions_that_have_no_attributes() -> None:
    assert run(udf.row(math.sqrt), [4.0], DOUBLE, DOUBLE) == [2.0]
    assert math.sqrt.__name__ == "sqrt"
