"""Values of ARRAY, MAP and ROW type compared and ordered (sql.md §4.3).

Arrow has no kernels that compare nested values, so these go through Python, one row at a time. They are rare
in queries; `ROW_BY_ROW` names the operations concerned, and docs repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from millstream.expressions.vectors import Kernel, on_arrays

ROW_BY_ROW = ("=", "<>", "<", "<=", ">", ">=", "<=>", "IS DISTINCT FROM", "IN", "GREATEST", "LEAST")
"""Operations that loop in Python when their operands are ARRAY, MAP or ROW."""


def order_key(value: Any) -> Any:
    """A key whose Python order is the SQL order: NULL first inside values, NaN last, maps by sorted
    entries."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (1, 1, 0.0) if math.isnan(value) else (1, 0, value + 0.0)
    if isinstance(value, dict):
        return (1, tuple(order_key(member) for member in value.values()))
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) for item in value):
            return (1, tuple(sorted((order_key(k), order_key(v)) for k, v in value)))
        return (1, tuple(order_key(item) for item in value))
    return (1, value)


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def compare_nested(operator: str) -> Kernel:
    """Comparison of nested values: NULL operands give NULL, NULL elements equal each other."""
    test = _TESTS[operator]

    def kernel(a: pa.Array, b: pa.Array) -> pa.Array:
        return pa.array(
            [
                None if x is None or y is None else test(order_key(x), order_key(y))
                for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True)
            ],
            pa.bool_(),
        )

    return on_arrays(kernel)
