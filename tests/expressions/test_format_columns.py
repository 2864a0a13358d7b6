"""Whole columns in formats and zones, compared with the row-by-row definitions."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from millstream.errors import EvaluationError
from millstream.expressions.functions.formats import _convert_zone, format_moment
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.types.sql_type import DATE, TIME, TIMESTAMP, VARCHAR
from tests.expressions.expression_cases import column, evaluate, literal

FORMATS = [
    "%Y-%m-%d %H:%M:%S", "%F %T%.f", "%d.%m.%y %k:%M", "%e %b %B %h %a %A", "%I:%M %p %P %l", "%j %C %w %u %s",
    "%S%.3f|%6f|%.9f|%f", "%-d %_d %0e %-H", "plain 100%%", "", "é%Y", "%D %R %v %r", "%U %W %G-%V %z %Z",
]  # fmt: skip
MICROS = [0, 1, -1, 86_399_999_999, -62_135_596_800_000_000, 253_402_300_799_999_999, 1_583_327_655_250_000, 1_000_000]


def moments(seed: int) -> list[int]:
    rng = random.Random(seed)
    return [*MICROS, *(rng.randrange(-62_135_596_800_000_000, 253_402_300_799_999_999) for _ in range(40))]


@pytest.mark.parametrize("text", FORMATS)
def test_formats(text: str) -> None:
    values = moments(len(text))
    stamps = pa.array([None, *values, None], pa.int64()).cast(pa.timestamp("us")).slice(1)
    wanted: list[Any] = [format_moment(text, v // 86_400_000_000, v % 86_400_000_000 * 1000) for v in values]
    call = build_call("FORMAT_TIMESTAMP", [literal(text), ColumnRef(TIMESTAMP, 0)])
    assert evaluate(call, [stamps], len(stamps)) == [*wanted, None]
    days = pa.array([v // 86_400_000_000 for v in values], pa.int32()).cast(pa.date32())
    dates = [format_moment(text, v // 86_400_000_000, 0) for v in values]
    assert evaluate(build_call("FORMAT_DATE", [literal(text), ColumnRef(DATE, 0)]), [days], len(values)) == dates
    nanos = pa.array([v * 1000 % 86_400_000_000_000 + 7 for v in values], pa.int64())
    times = [format_moment(text, 0, n) for n in nanos.to_pylist()]
    call = build_call("FORMAT_TIME", [literal(text), ColumnRef(TIME, 0)])
    assert evaluate(call, [nanos.cast(pa.time64("ns"))], len(values)) == times


def test_bad_formats_fail_only_where_there_is_a_value() -> None:
    call = build_call("FORMAT_DATE", [literal("%Q"), ColumnRef(DATE, 0)])
    assert evaluate(call, [pa.nulls(2, pa.date32())], 2) == [None, None]
    with pytest.raises(EvaluationError, match="Invalid format: '%Q'"):
        evaluate(call, [pa.array([None, 1], pa.int32()).cast(pa.date32())], 2)


@pytest.mark.parametrize("source", ["UTC", "America/New_York", "Europe/Berlin", "+05:30", "-01:00", "Nowhere"])
@pytest.mark.parametrize("target", ["UTC", "Asia/Kolkata", "America/New_York", "-03:00"])
def test_zones(source: str, target: str) -> None:
    """Around the changes of daylight saving time, hour by hour: some local times do not exist, some occur twice."""
    starts = [datetime(2020, 3, 8), datetime(2020, 11, 1), datetime(2021, 3, 28), datetime(2021, 10, 31)]
    values = [s + timedelta(minutes=30 * i) for s in starts for i in range(10)]
    data, _ = column([*values, None], TIMESTAMP)
    call = build_call("CONVERT_TIMEZONE", [literal(source), literal(target), ColumnRef(TIMESTAMP, 0)])
    micros = data.cast(pa.int64()).to_pylist()
    wanted = [None if v is None else _convert_zone(source, target, v) for v in micros]
    assert pa.array(evaluate(call, [data], len(data)), pa.timestamp("us")).cast(pa.int64()).to_pylist() == wanted


def test_each_text_is_parsed_once() -> None:
    data, _ = column(["2020-03-04", "x", None, "2020-03-04", "2021-1-2"], VARCHAR)
    call = build_call("PARSE_DATE", [literal("%Y-%m-%d"), ColumnRef(VARCHAR, 0)])
    day = datetime(2020, 3, 4).date()
    assert evaluate(call, [data], 5) == [day, None, None, day, datetime(2021, 1, 2).date()]
    assert evaluate(call, [pa.nulls(3, pa.large_string())], 3) == [None] * 3
