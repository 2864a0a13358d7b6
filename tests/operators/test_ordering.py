"""Codes order values as sql.md §4.3 does, for every type."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pyarrow as pa
import pytest

from millstream.operators.ordering import from_word_codes, has_word_codes, sort_codes, word_codes

NAN, INF = float("nan"), float("inf")
ASCENDING = {
    "boolean": ([None, False, True], pa.bool_()),
    "tinyint": ([None, -128, -1, 0, 1, 127], pa.int8()),
    "bigint": ([None, -(2**63), -1, 0, 2**63 - 1], pa.int64()),
    "unsigned": ([None, 0, 1, 2**64 - 1], pa.uint64()),
    "real": ([None, -INF, -1.5, 0.0, 1e-30, 2.0, INF, NAN], pa.float32()),
    "double": ([None, -INF, -1.5, 0.0, 5e-324, 2.0, INF, NAN], pa.float64()),
    "short decimal": ([None, Decimal("-1.50"), Decimal("0.00"), Decimal("2.25")], pa.decimal128(10, 2)),
    "long decimal": ([None, Decimal(-(10**30)), Decimal(-1), Decimal(0), Decimal(10**30)], pa.decimal128(38, 0)),
    "varchar": ([None, "", "B", "a", "ab", "b", "é", "￿", "\U0001f600"], pa.large_string()),
    "varbinary": ([None, b"", b"\x00", b"\x7f", b"\x80", b"\xff"], pa.large_binary()),
    "date": ([None, -1, 0, 5], pa.date32()),
    "timestamp": ([None, -5, 0, 7], pa.timestamp("us")),
    "uuid": ([None, uuid.UUID(int=1).bytes, uuid.UUID(int=2**127).bytes], pa.binary(16)),
    "array": ([None, [], [None], [1], [1, None], [1, 2], [2]], pa.large_list(pa.int32())),
    "struct": (
        [None, {"a": None, "b": "z"}, {"a": 1, "b": None}, {"a": 1, "b": "a"}, {"a": 2, "b": None}],
        pa.struct([("a", pa.int32()), ("b", pa.large_string())]),
    ),
    "map": ([None, [], [("a", 1)], [("a", 1), ("b", 0)], [("a", 2)], [("b", 0)]], pa.map_(pa.string(), pa.int32())),
    "nested": ([None, [], [[]], [[1]], [[1], []], [[2]]], pa.large_list(pa.large_list(pa.int8()))),
}


@pytest.mark.parametrize("values, data_type", list(ASCENDING.values()), ids=list(ASCENDING))
def test_codes_ascend_with_values(values, data_type):
    # Reversed and repeated, and as a slice, so that neither position nor offset matter.
    column = pa.array([values[-1], *reversed(values), *values], data_type).slice(1)
    codes = sort_codes(column).tolist()
    assert codes == list(reversed(codes))
    ascending = codes[len(values) :]
    assert sorted(set(ascending)) == ascending


@pytest.mark.parametrize(
    "values, data_type", [v for v in ASCENDING.values() if has_word_codes(v[1])], ids=lambda v: str(v)[:20]
)
def test_word_codes_can_be_turned_back(values, data_type):
    column = pa.array(values[1:], data_type)
    back = from_word_codes(data_type, word_codes(column))
    assert str(back.to_pylist()) == str(column.to_pylist())
    back.validate(full=True)


def test_equal_floats_have_equal_codes():
    codes = sort_codes(pa.array([0.0, -0.0, NAN, -NAN]))
    assert codes[0] == codes[1]
    assert codes[2] == codes[3]
