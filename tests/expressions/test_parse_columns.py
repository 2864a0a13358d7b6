"""Whole columns of texts in formats, and of parts of dates and times, compared with the row-by-row definitions."""

from __future__ import annotations

import random
from datetime import date
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from millstream.errors import EvaluationError
from millstream.expressions.functions.formats import _compiled_tokens, format_moment, nanos_of_minute, parse_moment
from millstream.expressions.functions.parse_columns import parsed
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import build_call
from millstream.types import Kind, arrow_type
from millstream.types.sql_type import BIGINT, DATE, DOUBLE, TIME, TIMESTAMP, VARCHAR, SqlType, decimal
from tests.expressions.expression_cases import evaluate, literal

FORMATS = [
    "%Y-%m-%d %H:%M:%S", "%F %T%.f", "%FT%T%.3f%z", "%d.%m.%y %k:%M", "%e %b %Y, %I:%M %p", "%A %d %B %Y %l.%M%P %S",
    "%Y %j %H%M%S%6f", "%s", "%s%.9f", "%C%y%m%d %H:%M:%S:%f", "%a %b %e %H:%M:%S %Y", "%m/%d/%y %R %:z", "%Y%m%d%H%M",
    "%Y-%m-%d", "%H:%M", "é%Y\t%m%%%d  %H %M", "%Y-%m-%d %d %H:%M", "%u %F %T", "%G-W%V-%u %H:%M", "%j", "",
]  # fmt: skip
KINDS: list[tuple[str, SqlType]] = [("PARSE_DATE", DATE), ("PARSE_TIME", TIME), ("PARSE_TIMESTAMP", TIMESTAMP)]
#: What is done to texts: most of it makes them no match, some does not matter.
MISTAKES = [
    lambda t, r: t, lambda t, r: t.upper(), lambda t, r: t.lower(), lambda t, r: f" {t}", lambda t, r: f"{t} ",
    lambda t, r: t.replace("0", "", 1), lambda t, r: t.replace(" ", "  ", 1), lambda t, r: t.replace(" ", ""),
    lambda t, r: t.replace(":", ";", 1), lambda t, r: t[: r.randrange(len(t) + 1)],
    lambda t, r: t[: (at := r.randrange(len(t) + 1))] + r.choice("019.:+-éAx ") + t[at:],
    lambda t, r: t.replace("1", "9"), lambda t, r: t.replace("2", "+2", 1), lambda t, r: "",
]  # fmt: skip


def texts_in(text: str, seed: int) -> list[str]:
    """Moments in a format, many of them with something wrong."""
    rng = random.Random(seed)
    found = []
    for _ in range(300):
        days, nanos = rng.randrange(-719_162, 2_932_896), rng.randrange(86_400_000_000_000)
        if rng.random() < 0.7:
            days, nanos = rng.randrange(20_000), nanos // 1_000_000 * 1_000_000
        found.append(rng.choice(MISTAKES)(format_moment(text, days, nanos), rng))
    # Days that contradict each other; moments at the ends of time; numbers of any length.
    odd = ["2024-01-02 03 10:11", "-5", "253402300799", "253402300800", "-62135596801", "1" * 18, "1" * 19, "9" * 30]
    return [*found, *odd, "29 Feb 2021, 12:00 AM"]


def one_by_one(name: str, kind: Kind, text: str, values: list[str]) -> list[int | None] | str:
    try:
        return [parse_moment(name, kind, text, value) for value in values]
    except EvaluationError as error:
        return str(error)


@pytest.mark.parametrize(("name", "target"), KINDS)
@pytest.mark.parametrize("text", FORMATS)
def test_parsing_columns_agrees_with_parsing_values(name: str, target: SqlType, text: str) -> None:
    values = texts_in(text, len(text))
    wanted = one_by_one(name, target.kind, text, values)
    call = build_call(name, [literal(text), ColumnRef(VARCHAR, 0)])
    column = pa.array([None, *values, None], pa.large_string()).slice(1)
    if isinstance(wanted, str):
        with pytest.raises(EvaluationError, match="does not determine"):
            evaluate(call, [column], len(column))
        return
    storage = pa.int32() if target.kind is Kind.DATE else pa.int64()
    found = pa.array(evaluate(call, [column], len(column)), arrow_type(target)).cast(storage).to_pylist()
    if target.kind is Kind.TIME:  # Python's times have microseconds
        wanted = [None if nanos is None else nanos // 1000 * 1000 for nanos in wanted]
    assert found == [*wanted, None]


def test_most_formats_are_read_by_the_kernel() -> None:
    for text in ("%Y-%m-%d %H:%M:%S", "%FT%T%.fZ", "%d %B %Y %I:%M %p"):
        values = [format_moment(text, day, day * 1_000_000) for day in range(0, 20_000, 500)]
        found = parsed(_compiled_tokens(text), pa.array(values, pa.large_string()), Kind.TIMESTAMP)
        assert found is not None
        stored, valid, unread = found
        assert valid.all()
        assert not unread.any()
        assert stored.tolist() == [parse_moment("", Kind.TIMESTAMP, text, value) for value in values]


@pytest.mark.parametrize(
    "data_type", [BIGINT, DOUBLE, decimal(10, 3), decimal(38, 30), decimal(38, 37), decimal(38, 0)]
)
def test_times_are_made_of_seconds_of_any_type(data_type: SqlType) -> None:
    numbers = [None, -1, 0, 0.25, 59, 59.5, 60, 1e8, -0.001, 9.0009, 59.9999999999999]
    arrow = arrow_type(data_type)
    if data_type.kind is Kind.DECIMAL:
        most = 10 ** (arrow.precision - arrow.scale)
        step = Decimal(1).scaleb(-arrow.scale)
        fitting = [n for n in numbers if n is None or n < most]
        exact = [None if n is None else Context(prec=60).quantize(Decimal(str(n)), step) for n in fitting]
        seconds = pa.array([n for n in exact if n is None or n < most], arrow)
    else:
        seconds = pa.array([n if n is None or arrow == pa.float64() else int(n) for n in numbers], arrow)

    def nanos(value: Any) -> int:
        if value is None or not 0 <= value < 60:
            return -1
        return min(int(value * 10**9) if isinstance(value, Decimal) else round(value * 10**9), 59_999_999_999)

    found = nanos_of_minute(seconds)
    for value, number in zip(seconds.to_pylist(), found.tolist(), strict=True):
        assert value is None or number == nanos(value)


def test_dates_and_timestamps_are_made_where_there_are_such() -> None:
    rng = random.Random(3)
    pick = lambda *odd: [rng.choice([*odd, *range(1, 29)]) for _ in range(400)]  # noqa: E731 - shorthand
    years, months, days = (
        [rng.choice([0, 1, 1900, 2000, 2023, 9999, 10_000]) for _ in range(400)],
        pick(0, 13),
        pick(29, 30, 31, 32),
    )
    hours, minutes, seconds = pick(24, -1), pick(60), pick(60, -1)

    def made(y: int, m: int, d: int) -> int | None:
        try:
            return date(y, m, d).toordinal() - 719_163
        except ValueError:
            return None

    columns = [pa.array(part, pa.int64()) for part in (years, months, days, hours, minutes, seconds)]
    references = [ColumnRef(BIGINT, i) for i in range(6)]
    found = evaluate(build_call("MAKE_DATE", references[:3]), columns, 400)
    wanted = [made(*parts) for parts in zip(years, months, days, strict=True)]
    assert [None if day is None else day.toordinal() - 719_163 for day in found] == wanted
    stamps = evaluate(build_call("MAKE_TIMESTAMP", references), columns, 400)
    micros = [None if stamp is None else int(np.datetime64(stamp, "us").astype(np.int64)) for stamp in stamps]

    def moment(day: int | None, h: int, m: int, s: int) -> int | None:
        possible = 0 <= h < 24 and m < 60 and 0 <= s < 60
        return None if day is None or not possible else (day * 86_400 + h * 3600 + m * 60 + s) * 10**6

    assert micros == [moment(*parts) for parts in zip(wanted, hours, minutes, seconds, strict=True)]
