"""`datagen`: the values of every type and strategy."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.types import Field, Kind, SqlType
from millstream.types import sql_type as t

from .datagen_support import column, generate, values
from .support import quick, relation

UTC = dt.UTC
DAY = dt.date(1970, 1, 1)
ROW = t.struct((Field("a", t.BIGINT), Field("b", t.VARCHAR)))


def _time(milliseconds: int) -> dt.time:
    return (dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(milliseconds=milliseconds)).time()


def _moment(milliseconds: int, zone: dt.tzinfo | None = None) -> dt.datetime:
    return (dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(milliseconds=milliseconds)).replace(tzinfo=zone)


@pytest.mark.parametrize(
    "sql_type, settings, expected",
    [
        (t.BIGINT, {}, [0, 1, 2]),
        (t.TINYINT, {"scale": 100}, [0, 100, 73]),
        (t.UTINYINT, {"scale": 100}, [0, 100, 200, 45]),
        (t.INTEGER, {"scale": -3}, [0, -3, -6]),
        (t.BIGINT, {"range": [10, 13]}, [10, 11, 12, 10]),
        (t.BIGINT, {"range": [-2, 3], "scale": 2}, [-2, 0, 2, -1, 1, -2]),
        (t.BIGINT, {"range": [0, 5], "scale": -1}, [0, 4, 3, 2, 1, 0]),
        (t.DOUBLE, {"scale": 2}, [0.0, 2.0, 4.0]),
        (t.REAL, {"range": [0.5, 2.5]}, [0.5, 1.5, 0.5]),
        (t.decimal(5, 2), {}, [Decimal("0.00"), Decimal("1.00"), Decimal("2.00")]),
        (t.decimal(5, 2), {"range": [1.5, 3.5]}, [Decimal("1.50"), Decimal("2.50"), Decimal("1.50")]),
        (t.decimal(5, 2), {"scale": -1}, [Decimal("0.00"), Decimal("-1.00")]),
        (t.BOOLEAN, {}, [False, True, False]),
        (t.VARCHAR, {}, ["0", "1", "2"]),
        (t.VARCHAR, {"scale": 10}, ["0", "10", "20"]),
        (t.DATE, {}, [DAY, DAY + dt.timedelta(1)]),
        (t.DATE, {"range": ["2024-02-28", "2024-03-01"]}, [dt.date(2024, 2, 28), dt.date(2024, 2, 29)] * 2),
        (t.DATE, {"range": [10, 12]}, [DAY + dt.timedelta(10), DAY + dt.timedelta(11), DAY + dt.timedelta(10)]),
        (t.TIME, {}, [_time(0), _time(1)]),
        (t.TIME, {"range": ["01:00:00", "01:00:02"], "scale": 1000}, [_time(3600_000), _time(3601_000)] * 2),
        (t.TIMESTAMP, {"scale": 500}, [_moment(0), _moment(500), _moment(1000)]),
        (
            t.TIMESTAMP,
            {"range": ["2024-01-01T00:00:00Z", "2024-01-01T00:00:01+00:00"], "scale": 600},
            [
                dt.datetime(2024, 1, 1),
                dt.datetime(2024, 1, 1, 0, 0, 0, 600_000),
                dt.datetime(2024, 1, 1, 0, 0, 0, 200_000),
            ],
        ),
        (t.TIMESTAMP_TZ, {"range": [5, 7]}, [_moment(5, UTC), _moment(6, UTC), _moment(5, UTC)]),
        (t.UUID, {}, [uuid.UUID(int=i) for i in range(3)]),
        (
            t.UUID,
            {"range": [str(uuid.UUID(int=2**127)), str(uuid.UUID(int=2**127 + 2))]},
            [uuid.UUID(int=2**127), uuid.UUID(int=2**127 + 1), uuid.UUID(int=2**127)],
        ),
        (t.array(t.BIGINT), {}, [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3], []]),
        (t.array(t.VARCHAR), {"range": [1, 3], "value": {"values": ["x", "y"]}}, [["x"], ["x", "y"], ["x"]]),
        (t.VARBINARY, {}, [b"", b"\0", b"\0\1", b"\0\1\2"]),
        (t.VARBINARY, {"range": [2, 3], "value": {"range": [65, 70]}}, [b"AB", b"AB"]),
        (ROW, {"fields": {"a": {"scale": 5}}}, [{"a": 0, "b": "0"}, {"a": 5, "b": "1"}]),
        (ROW, {"fields": {"A": {"values": [7]}}}, [{"a": 7, "b": "0"}]),
        (t.map_of(t.BIGINT, t.VARCHAR), {"range": [0, 3]}, [[], [(0, "0")], [(0, "0"), (1, "1")]]),
        (
            t.map_of(t.VARCHAR, t.BIGINT),
            {"range": [2, 3], "key": {"values": ["k"]}, "value": {"range": [5, 9]}},
            [[("k", 5)], [("k", 5)]],
        ),
        (t.VARIANT, {}, [None, None]),
        (SqlType(Kind.INTERVAL_DAY), {}, [None, None]),
    ],
)
def test_increment(sql_type: SqlType, settings: dict[str, Any], expected: list[Any]) -> None:
    made = values(sql_type, settings, len(expected))
    if sql_type.kind is Kind.UUID:
        made = [uuid.UUID(bytes=value) for value in made]
    assert made == expected


@pytest.mark.parametrize(
    "sql_type, given, expected",
    [
        (t.BIGINT, [3, -1], [3, -1]),
        (t.DOUBLE, [1, 2.5], [1.0, 2.5]),
        (t.decimal(6, 2), ["1.25", 3], [Decimal("1.25"), Decimal("3.00")]),
        (t.VARCHAR, ["a", None], ["a", None]),
        (t.BOOLEAN, [True, True], [True, True]),
        (t.DATE, ["2024-01-01", 0], [dt.date(2024, 1, 1), DAY]),
        (t.TIME, ["12:30:00.5", 1], [dt.time(12, 30, 0, 500_000), _time(1)]),
        (
            t.TIMESTAMP,
            ["2024-01-01 10:00:00", "2024-01-01T10:00:00+02:00"],
            [dt.datetime(2024, 1, 1, 10), dt.datetime(2024, 1, 1, 8)],
        ),
        (t.VARBINARY, [[1, 255], []], [b"\x01\xff", b""]),
        (t.array(t.BIGINT), [[1, 2], []], [[1, 2], []]),
        (ROW, [{"a": 1, "b": "x"}, {"b": "y"}], [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]),
        (t.map_of(t.BIGINT, t.VARCHAR), [{"1": "x"}, {}], [[(1, "x")], []]),
        (t.VARIANT, [{"b": 1, "a": [None]}, "x"], ['{"a":[null],"b":1}', '"x"']),
    ],
)
def test_values_are_taken_in_turn(sql_type: SqlType, given: list[Any], expected: list[Any]) -> None:
    assert values(sql_type, {"values": given}, 5) == [*expected, *expected, expected[0]]
    drawn = values(sql_type, {"values": given, "strategy": "uniform"}, 200)
    assert all(value in expected for value in drawn)
    assert all(value in drawn for value in expected)
    ranked = values(sql_type, {"values": given, "strategy": "zipf", "e": 3}, 200)
    if expected[0] != expected[1]:
        assert ranked.count(expected[0]) > ranked.count(expected[1])


NUMBERS = (
    *((kind, -(2 ** (bits - 1)), 2 ** (bits - 1)) for kind, bits in zip(
        (t.TINYINT, t.SMALLINT, t.INTEGER, t.BIGINT), (8, 16, 32, 64), strict=True)),
    *((kind, 0, 2**bits) for kind, bits in zip(
        (t.UTINYINT, t.USMALLINT, t.UINTEGER, t.UBIGINT), (8, 16, 32, 64), strict=True)),
)  # fmt: skip


@pytest.mark.parametrize("sql_type, lowest, beyond", NUMBERS)
def test_uniform_covers_the_whole_type(sql_type: SqlType, lowest: int, beyond: int) -> None:
    drawn = values(sql_type, {"strategy": "uniform"}, 4000)
    span = beyond - lowest
    assert min(drawn) < lowest + span // 100
    assert max(drawn) >= beyond - span // 100 - 1
    assert abs(sum(drawn) / len(drawn) - (lowest + beyond) / 2) < span / 20


@quick
@given(data=st.data())
def test_uniform_stays_in_its_range(data: st.DataObject) -> None:
    sql_type, lowest, beyond = data.draw(st.sampled_from(NUMBERS))
    low = data.draw(st.integers(lowest, beyond - 1))
    high = data.draw(st.integers(low + 1, beyond))
    drawn = values(
        sql_type, {"strategy": "uniform", "range": [low, high]}, 200, seed=data.draw(st.integers(0, 2**64 - 1))
    )
    assert low <= min(drawn)
    assert max(drawn) < high
    if high - low == 2:
        assert set(drawn) == {low, low + 1}


@pytest.mark.parametrize(
    "sql_type, settings, low, high",
    [
        (t.DOUBLE, {"range": [-1.5, 2.5]}, -1.5, 2.5),
        (t.REAL, {"range": [1, 1.0000002]}, 1.0, 1.0000002),
        (t.decimal(38, 2), {"range": ["-1e30", "1e30"]}, Decimal("-1e30"), Decimal("1e30")),
        (t.decimal(4, 1), {"range": [-10, 10]}, -10, 10),
        (t.DATE, {"range": ["2024-01-01", "2024-02-01"]}, dt.date(2024, 1, 1), dt.date(2024, 2, 1)),
        (t.TIME, {}, dt.time(0), dt.time.max),
        (t.TIME, {"range": ["10:00:00", "10:00:05"]}, dt.time(10), dt.time(10, 0, 5)),
        (t.TIMESTAMP, {}, dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1)),
        (t.BIGINT, {"range": [2, 5], "scale": 10}, 20, 50),
    ],
)
def test_uniform_of_other_types_stays_in_range(
    sql_type: SqlType, settings: dict[str, Any], low: Any, high: Any
) -> None:
    drawn = values(sql_type, {"strategy": "uniform", **settings}, 2000)
    assert low <= min(drawn)
    assert max(drawn) < high
    assert len(set(drawn)) > 1


def test_uniform_without_a_range() -> None:
    doubles = values(t.DOUBLE, {"strategy": "uniform"}, 1000)
    assert max(doubles) > 1e307 > -1e307 > min(doubles)
    assert len(set(values(t.UUID, {"strategy": "uniform"}, 100))) == 100
    decimals = values(t.decimal(38, 10), {"strategy": "uniform"}, 1000)
    assert min(decimals) < 0 < max(decimals)
    assert Counter(values(t.BOOLEAN, {"strategy": "uniform"}, 1000))[True] in range(420, 580)
    assert Counter(len(text) for text in values(t.VARCHAR, {"strategy": "uniform"}, 5000)).keys() == set(range(25))


def test_zipf_frequencies_follow_the_power_law() -> None:
    n, exponent, count = 50, 1.2, 200_000
    drawn = np.array(values(t.BIGINT, {"strategy": "zipf", "range": [100, 100 + n], "e": exponent}, count))
    observed = np.bincount(drawn - 100, minlength=n)
    weights = np.arange(1, n + 1) ** -exponent
    expected = count * weights / weights.sum()
    assert len(observed) == n
    # Chi-square with 49 degrees of freedom: mean 49, deviation 10.
    assert ((observed - expected) ** 2 / expected).sum() < 100


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 2.5, 30])
def test_zipf_exponents(exponent: float) -> None:
    drawn = Counter(values(t.INTEGER, {"strategy": "zipf", "range": [0, 10], "e": exponent}, 3000))
    assert set(drawn) <= set(range(10))
    if exponent:
        assert drawn[0] == max(drawn.values())
    else:
        assert min(drawn[i] for i in range(10)) > 200


@pytest.mark.parametrize(
    "sql_type, settings, first",
    [
        (t.BIGINT, {}, 0),
        (t.DOUBLE, {"range": [2.5, 10]}, 2.5),
        (t.decimal(10, 2), {"range": [1, 10]}, Decimal("1.00")),
        (t.BOOLEAN, {}, True),
        (t.DATE, {"range": ["2024-01-01", "2025-01-01"]}, dt.date(2024, 1, 1)),
        (t.TIME, {"range": ["10:00:00", "11:00:00"]}, dt.time(10)),
        (t.TIMESTAMP, {"range": ["2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"]}, dt.datetime(2024, 1, 1)),
        (t.VARCHAR, {"range": [3, 9]}, None),
        (t.array(t.BIGINT), {"range": [1, 4]}, [0]),
    ],
)
def test_zipf_prefers_the_lower_end(sql_type: SqlType, settings: dict[str, Any], first: Any) -> None:
    drawn = values(sql_type, {"strategy": "zipf", "e": 2, **settings}, 500)
    if sql_type is t.VARCHAR:
        assert Counter(len(text) for text in drawn).most_common(1)[0][0] == 3
        assert {len(text) for text in drawn} <= set(range(3, 9))
        return
    assert Counter(map(str, drawn)).most_common(1)[0][0] == str(first)
    assert min(map(str, drawn)) <= str(first)


@pytest.mark.parametrize("percentage", [1, 30, 100])
@pytest.mark.parametrize(
    "sql_type",
    [t.BIGINT, t.VARCHAR, t.TIME, t.decimal(5, 1), t.UUID, t.array(t.BIGINT), ROW, t.map_of(t.BIGINT, t.DATE)],
)
def test_null_percentage(sql_type: SqlType, percentage: int) -> None:
    made = column(sql_type, {"null_percentage": percentage}, 2000)
    assert abs(made.null_count - 20 * percentage) <= 80
    if percentage == 100:
        assert made.null_count == 2000


def test_null_percentage_of_struct_members_and_elements() -> None:
    rows = values(ROW, {"fields": {"a": {"null_percentage": 50}}}, 400)
    assert 100 < sum(row["a"] is None for row in rows) < 300
    assert all(row["b"] is not None for row in rows)
    lists = values(t.array(t.BIGINT), {"range": [1, 2], "value": {"null_percentage": 50}}, 400)
    assert 100 < lists.count([None]) < 300


EVERYTHING = relation(
    a=t.BIGINT, b=t.DOUBLE, c=t.VARCHAR, d=t.decimal(30, 5), e=t.UUID, f=t.TIMESTAMP, g=t.array(t.VARCHAR),
    h=t.map_of(t.BIGINT, t.BIGINT), i=ROW, j=t.BOOLEAN, k=t.VARBINARY, l=t.TIME,
)  # fmt: skip
MIXED: dict[str, Any] = {
    "a": {"strategy": "zipf"},
    "b": {"strategy": "uniform"},
    "c": {"strategy": "name", "null_percentage": 20},
    "d": {"strategy": "uniform"},
    "e": {"strategy": "uniform"},
    "f": {"strategy": "uniform"},
    "g": {"strategy": "uniform", "value": {"strategy": "word"}},
    "h": {"strategy": "zipf", "key": {"strategy": "uniform", "range": [0, 3]}},
    "i": {"fields": {"b": {"strategy": "uniform"}}, "null_percentage": 10},
    "j": {"strategy": "uniform"},
    "k": {"strategy": "uniform", "value": {"strategy": "uniform"}},
    "l": {"strategy": "uniform", "null_percentage": 50},
}


@quick
@given(cuts=st.lists(st.integers(0, 60), max_size=8), seed=st.integers(0, 2**64 - 1), first=st.integers(0, 2**40))
def test_rows_depend_on_seed_and_number_only(cuts: list[int], seed: int, first: int) -> None:
    whole = generate(EVERYTHING, MIXED, 60, seed=seed, first=first)
    again = generate(EVERYTHING, MIXED, 60, seed=seed, first=first)
    assert whole == again
    edges = sorted({0, 60, *cuts})
    for low, high in pairwise(edges):
        part = generate(EVERYTHING, MIXED, high - low, seed=seed, first=first + low)
        assert [column.slice(low, high - low).to_pylist() for column in whole] == [c.to_pylist() for c in part]


def test_other_seeds_and_other_columns_get_other_numbers() -> None:
    settings = {"strategy": "uniform"}
    table = relation(a=t.BIGINT, b=t.BIGINT)
    a, b = generate(table, {"a": settings, "b": settings}, 1000)
    assert not set(a.to_pylist()) & set(b.to_pylist())
    other, _ = generate(table, {"a": settings, "b": settings}, 1000, seed=2)
    # Seeds add to the row number, so neighbouring seeds are shifted against each other: contents per row differ.
    assert all(x != y for x, y in zip(a.to_pylist(), other.to_pylist(), strict=True))
    x, y = np.array(a.to_pylist(), float), np.array(b.to_pylist(), float)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.15


@pytest.mark.parametrize("sql_type", [t.BIGINT, t.DATE, t.TIMESTAMP, t.VARCHAR, t.decimal(20, 2), t.UUID, t.DOUBLE])
def test_products_beyond_64_bits(sql_type: SqlType) -> None:
    settings: dict[str, Any] = {"scale": 2**62 + 1}
    first = 2**40 + 12345
    made = values(sql_type, settings, 2, first=first)
    assert len(made) == 2
    if sql_type is t.BIGINT:
        assert made == [(first + i) * (2**62 + 1) % (2**63 - 1) for i in range(2)]
    if sql_type is t.VARCHAR:
        assert made == [str((first + i) * (2**62 + 1) % 2**63) for i in range(2)]
