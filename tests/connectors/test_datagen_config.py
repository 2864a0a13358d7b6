"""`datagen`: configurations that are refused, and the words for it."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.types import Field, SqlType
from millstream.types import sql_type as t

from .datagen_support import error_of
from .support import make_input, refusal, relation

TABLE = relation(id=t.BIGINT, name=t.VARCHAR)


def _error(config: Any) -> str:
    with pytest.raises(MillstreamError) as caught:
        make_input("datagen", config, TABLE)
    return refusal(caught.value)


@pytest.mark.parametrize(
    "config, reason",
    [
        ({"plans": []}, "unknown option `plans`; did you mean `plan`?"),
        ({"plan": {}}, "option `plan` must be an array of plans, not {}"),
        ({"plan": [3]}, "plan[0] must be an object, not 3"),
        ({"plan": [{}, {"limits": 3}]}, "unknown option `plan[1].limits`; did you mean `limit`?"),
        ({"plan": [{"limit": -1}]}, "option `plan[0].limit` is -1; it must be at least 0"),
        ({"plan": [{"rate": 0}]}, "option `plan[0].rate` is 0; it must be in 1..4294967295"),
        ({"plan": [{"rate": 1.5}]}, "option `plan[0].rate` must be an integer, not 1.5"),
        ({"plan": [{"fields": []}]}, "option `plan[0].fields` must be an object of field settings, not []"),
        ({"plan": [{"fields": {"id": 5}}]}, "plan[0].fields.id must be an object, not 5"),
        ({"seed": 2**64}, f"option `seed` is {2**64}; it must be in 0..{2**64 - 1}"),
        ({"workers": 0}, "option `workers` is 0; it must be at least 1"),
        ({"workers": True}, "option `workers` must be an integer, not True"),
        (
            {"plan": [{"fields": {"idd": {}}}]},
            "plan[0].fields.idd: unknown field `idd`: table 't' has no such column; its columns are `id`, `name`",
        ),
        ({"plan": [{"fields": {"id": {}, "ID": {}}}]}, "field `ID` is configured twice"),
        (
            {"plan": [{"fields": {"id": {"stratgy": "zipf"}}}]},
            "unknown option `plan[0].fields.id.stratgy`; did you mean `strategy`?",
        ),
        (
            {"plan": [{"fields": {"id": {"strategy": "unifrom"}}}]},
            "unknown value 'unifrom' of option `plan[0].fields.id.strategy`; did you mean `uniform`?",
        ),
    ],
)
def test_wrong_shapes(config: Any, reason: str) -> None:
    assert reason in _error(config)


ROW = t.struct((Field("a", t.BIGINT),))


@pytest.mark.parametrize(
    "sql_type, settings, reason",
    [
        (t.BIGINT, {"strategy": "email"}, "Invalid strategy `email` for type BIGINT; expected one of `increment`"),
        (t.BOOLEAN, {"strategy": "word"}, "Invalid strategy `word` for type BOOLEAN"),
        (t.BIGINT, {"range": 5}, "must be an array [min, max), not 5"),
        (t.BIGINT, {"range": [1, 2, 3]}, "must be an array [min, max), not [1, 2, 3]"),
        (t.BIGINT, {"range": ["a", 2]}, "range bound 'a' is not an integer"),
        (t.BIGINT, {"range": [1.5, 2]}, "range bound 1.5 is not an integer"),
        (t.BIGINT, {"range": [5, 2]}, "invalid range [5, 2): min is greater than max"),
        (t.BIGINT, {"range": [5, 5]}, "Empty range [5, 5): max is exclusive"),
        (t.TINYINT, {"range": [0, 129]}, "range [0, 129) is outside of TINYINT, which holds -128..127"),
        (t.UTINYINT, {"range": [-1, 5]}, "range [-1, 5) is outside of TINYINT UNSIGNED, which holds 0..255"),
        (t.UTINYINT, {"scale": -1}, "a negative scale (-1) needs a range"),
        (t.TINYINT, {"strategy": "uniform", "range": [0, 100], "scale": 2}, "times scale 2 do not fit TINYINT"),
        (t.BIGINT, {"scale": 1.5}, "scale` must be an integer, not 1.5"),
        (t.DOUBLE, {"range": ["x", 1]}, "range bound 'x' is not a number"),
        (t.REAL, {"range": [0, 1e39]}, "range bound 1e+39 does not fit REAL"),
        (t.decimal(4, 2), {"range": [0, 1000]}, "the range does not fit DECIMAL(4, 2)"),
        (t.decimal(4, 2), {"range": [0.001, 1]}, "range bound 0.001 is not a number with at most 2 decimals"),
        (t.VARCHAR, {"strategy": "uniform", "range": [3, 3]}, "Empty range [3, 3)"),
        (t.VARCHAR, {"strategy": "uniform", "range": [-1, 3]}, "range bound -1 is negative"),
        (t.DATE, {"range": ["2024-02-01", "2024-01-01"]}, "min is greater than max"),
        (t.DATE, {"range": ["2024-13-01", "2024-01-01"]}, "is not a `YYYY-MM-DD` string"),
        (t.TIME, {"range": ["25:00:00", "26:00:00"]}, "is not an `HH:MM:SS` string"),
        (t.TIMESTAMP, {"range": ["soon", "later"]}, "is not an RFC 3339 string"),
        (t.UUID, {"range": ["x", "y"]}, "is not a UUID string"),
        (t.UUID, {"strategy": "zipf"}, "strategy `zipf` on type UUID needs `values`"),
        (t.array(t.BIGINT), {"range": [-1, 4]}, "range bound -1 is negative; it is a number of elements"),
        (t.array(t.BIGINT), {"value": {"range": [2, 1]}}, "plan[0].fields.c.value: invalid range [2, 1)"),
        (t.BIGINT, {"values": []}, "must be a non-empty array"),
        (t.BIGINT, {"values": [1, "x"]}, "values[1] is 'x', which is no BIGINT; expected an integer"),
        (t.TINYINT, {"values": [300]}, "the values do not fit TINYINT"),
        (t.UUID, {"values": [1]}, "values[0] is 1, which is no UUID; expected a UUID string"),
        (t.VARBINARY, {"values": [[256]]}, "expected an array of integers 0..255"),
        (t.BIGINT.with_nullable(False), {"values": [None]}, "NULL is not allowed"),
        (t.VARCHAR, {"values": ["a"], "strategy": "email"}, "Invalid strategy `email` for type VARCHAR"),
        (t.BIGINT, {"null_percentage": 101}, "null_percentage` is 101; it must be in 0..100"),
        (t.BIGINT.with_nullable(False), {"null_percentage": 5}, "`null_percentage` is 5, but BIGINT NOT NULL holds"),
        (t.BIGINT, {"strategy": "zipf", "e": -1}, "e` must be a number of at least 0, not -1"),
        (t.BIGINT, {"fields": {"a": {}}}, "`fields` describes the members of a ROW, but the type is BIGINT"),
        (t.BIGINT, {"key": {}}, "`key` describes the keys of a MAP"),
        (t.BIGINT, {"value": {}}, "`value` describes the elements of an ARRAY or MAP"),
        (ROW, {"fields": {"b": {}}}, "the row type has no such member; its members are `a`"),
        (ROW, {"fields": {"a": {"strategy": "name"}}}, "plan[0].fields.c.fields.a: Invalid strategy `name`"),
        (t.VARIANT.with_nullable(False), {}, "no values can be generated for VARIANT"),
    ],
)
def test_settings_that_do_not_suit_the_type(sql_type: SqlType, settings: Any, reason: str) -> None:
    assert reason in error_of(sql_type, settings)
