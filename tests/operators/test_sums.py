"""SUM and AVG at the edges of their types: exactness, overflow messages, truncation, special floats."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from millstream.errors import EvaluationError
from millstream.plan.nodes import Aggregate, AggregateCall, Scan
from millstream.types import arrow_type
from millstream.types.sql_type import (
    BIGINT,
    DOUBLE,
    INTEGER,
    REAL,
    SMALLINT,
    TINYINT,
    UBIGINT,
    UINTEGER,
    UTINYINT,
    decimal,
)
from millstream.zset.changes import ChangeBatch
from tests.operators.law import circuit_of, schema, table


class Totals:
    """A view of SUM and AVG over a one-column table, as its present row."""

    def __init__(self, data_type):
        source = Scan(schema([data_type]), "x")
        calls = (AggregateCall("SUM", (0,), data_type), AggregateCall("AVG", (0,), data_type))
        self.type = arrow_type(data_type)
        self.circuit = circuit_of(
            Aggregate(schema([data_type] * 2), source, (), calls), tables=[table("x", [data_type])]
        )
        self.row = (None, None)

    def change(self, values, weight=1):
        operations = np.full(len(values), weight, np.int8)
        batch = ChangeBatch((pa.array(values, self.type),), len(values), operations)
        delta = self.circuit.step({"x": [batch]}).deltas.get("v0")
        if delta is not None:
            columns = [column.to_pylist() for column in delta.columns]
            rows = dict(zip(delta.weights.tolist(), zip(*columns, strict=True), strict=True))
            assert rows.get(-1, self.row) == pytest.approx(self.row, nan_ok=True)
            self.row = rows[1]
        return self.row


def values_of(data_type, *values):
    return Totals(data_type).change(list(values))


@pytest.mark.parametrize(
    "data_type, name, low, high",
    [
        (TINYINT, "TINYINT", -(2**7), 2**7 - 1),
        (SMALLINT, "SMALLINT", -(2**15), 2**15 - 1),
        (INTEGER, "INTEGER", -(2**31), 2**31 - 1),
        (BIGINT, "BIGINT", -(2**63), 2**63 - 1),
        (UTINYINT, "TINYINT UNSIGNED", 0, 2**8 - 1),
        (UINTEGER, "INTEGER UNSIGNED", 0, 2**32 - 1),
        (UBIGINT, "BIGINT UNSIGNED", 0, 2**64 - 1),
    ],
)
def test_a_sum_outside_its_type_is_an_error_that_names_value_and_type(data_type, name, low, high):
    assert values_of(data_type, high)[0] == high
    assert values_of(data_type, low)[0] == low
    text = f"Error converting {high + 1} to {name}: out of range integral type conversion attempted"
    with pytest.raises(EvaluationError) as caught:
        values_of(data_type, high, 1)
    assert caught.value.message == text
    if low:
        with pytest.raises(EvaluationError, match=f"converting {low - 1} to"):
            values_of(data_type, low, -1)


def test_sums_that_overflow_only_on_the_way_are_exact():
    big = 2**63 - 1
    assert values_of(BIGINT, big, big, big, -big, -big) == (big, big // 5)
    assert values_of(BIGINT, -big - 1, -big - 1, big, big) == (-2, 0)


def test_weights_multiply_wide_values():
    totals = Totals(BIGINT)
    assert totals.change([2**62, 2**62, -(2**62), 5])[0] == 2**62 + 5
    assert totals.change([2**62, 2**62], -1)[0] == 5 - 2**62
    assert totals.change([5, -(2**62)], -1) == (None, None)


@pytest.mark.parametrize("data_type", [INTEGER, BIGINT, SMALLINT])
def test_integer_averages_truncate_towards_zero(data_type):
    assert values_of(data_type, -12, -1)[1] == -6
    assert values_of(data_type, 12, 1)[1] == 6
    assert values_of(data_type, -1, 0)[1] == 0


def test_decimals_are_exact_to_38_digits():
    wide = decimal(38, 2)
    largest = Decimal(f"{10**36 - 1}.99")
    smallest = largest.copy_negate()
    assert values_of(wide, largest, smallest, Decimal("0.01")) == (Decimal("0.01"), Decimal("0.00"))
    assert values_of(wide, largest, largest, largest, smallest, smallest)[0] == largest


def test_a_decimal_sum_with_too_many_digits_is_an_error():
    with pytest.raises(EvaluationError, match=r"Cannot represent 1000 as DECIMAL\(5, 2\)"):
        values_of(decimal(5, 2), Decimal("999.99"), Decimal("0.01"))
    with pytest.raises(EvaluationError, match=r"Cannot represent -1\.06 as DECIMAL\(2, 2\)"):
        values_of(decimal(2, 2), Decimal("-0.07"), Decimal("-0.99"))


def test_decimal_averages_truncate_at_the_scale_of_the_column():
    assert values_of(decimal(10, 2), Decimal("-0.02"), Decimal("-0.05"))[1] == Decimal("-0.03")


def test_large_decimals_divide_by_counts():
    third = values_of(decimal(38, 0), *[Decimal(10**37)] * 3, Decimal(1))[1]
    assert third == (3 * 10**37 + 1) // 4


def test_floats_return_to_what_they_were_when_deleted():
    totals = Totals(DOUBLE)
    assert totals.change([1.0, 0.1])[0] == 1.1
    assert totals.change([1e16, 3.3])[0] == 1e16 + 4.4
    assert totals.change([1e16, 3.3], -1) == (1.1, 0.55)
    assert totals.change([1.0, 0.1], -1) == (None, None)


def test_special_floats_can_be_deleted_again():
    totals = Totals(REAL)
    inf, nan = float("inf"), float("nan")
    assert totals.change([1.5]) == (1.5, 1.5)
    assert totals.change([inf]) == (inf, inf)
    assert np.isnan(totals.change([-inf])).all()
    assert np.isnan(totals.change([inf, -inf, nan], 1)).all()
    totals.change([nan, -inf, -inf, inf], -1)
    assert totals.row == (inf, inf)
    assert totals.change([inf], -1) == (1.5, 1.5)


def test_a_float_sum_is_rounded_to_its_type_once():
    assert values_of(REAL, 2**24, 1.0, 1.0)[0] == 2**24 + 2
