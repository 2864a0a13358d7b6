"""Evaluating a user-defined function on columns.

Cost: one call a batch for Arrow functions. Row functions are called for each row, with values that are made for them:
about a microsecond a row besides the function itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.types import SqlType, arrow_type
from millstream.udf.calling import RAISED, Code, call_text, first_null, narrowed, result_column
from millstream.udf.declarations import Declaration
from millstream.udf.marks import mark_of
from millstream.udf.values import Unfit, arrow_column, column_of, first_unfit, python_values


class ScalarCode:
    """A function that is ready to be called for what SQL declares."""

    def __init__(self, declaration: Declaration, code: Code, returns: SqlType) -> None:
        """`returns`: the declared type without length; lengths are for casts that follow."""
        self._code = code
        self._name = declaration.name
        self._types = declaration.types
        self._returns = returns
        mark = mark_of(code.function)
        self._strict = mark.strict
        self._by_row = mark.style == "row"

    def column(self, arguments: Sequence[pa.Array], count: int) -> pa.Array:
        """The results for `count` > 0 rows of arguments. Raises EvaluationError."""
        present = self._present(arguments, count) if self._strict else None
        if present is None:
            result = self._evaluate(arguments, count)
        elif not len(present):
            result = pa.nulls(count, arrow_type(self._returns))
        else:
            rows = pa.array(present)
            found = self._evaluate([argument.take(rows) for argument in arguments], len(present))
            at = np.full(count, -1, np.int64)
            at[present] = np.arange(len(present))
            result = found.take(pa.array(at, mask=at < 0))
        if result.null_count and not self._returns.nullable:
            where = call_text(self._name, arguments, self._types, first_null(result))
            raise self._code.wrong(f"returned NULL for {where}, but is declared to return {self._returns}")
        return result

    def _present(self, arguments: Sequence[pa.Array], count: int) -> np.ndarray[Any, Any] | None:
        """The rows without NULL arguments; None if all are."""
        with_nulls = [argument for argument in arguments if argument.null_count]
        if not with_nulls:
            return None
        valid = np.ones(count, np.bool_)
        for argument in with_nulls:
            valid &= argument.is_valid().to_numpy(zero_copy_only=False)
        return np.flatnonzero(valid)

    def _evaluate(self, arguments: Sequence[pa.Array], count: int) -> pa.Array:
        return self._rows(arguments, count) if self._by_row else self._batch(arguments, count)

    # ---- Arrow functions ----

    def _batch(self, arguments: Sequence[pa.Array], count: int) -> pa.Array:
        columns = [arrow_column(c, t) for c, t in zip(arguments, self._types, strict=True)]

        def call(start: int, stop: int) -> Any:
            return self._code(*(column.slice(start, stop - start) for column in columns))

        try:
            result = self._code(*columns)
        except RAISED as raised:
            start, stop, error = narrowed(call, count, raised)
            raise self._code.raised(error, self._where(arguments, start, stop)) from None
        try:
            return result_column(result, count, self._returns)
        except Unfit as unfit:
            raise self._code.wrong(f"returned {unfit}{self._owner(arguments, result, count)}") from None

    def _where(self, arguments: Sequence[pa.Array], start: int, stop: int) -> str:
        first = call_text(self._name, arguments, self._types, start)
        return first if stop - start == 1 else f"{stop - start} rows together, the first of them {first}"

    def _owner(self, arguments: Sequence[pa.Array], result: Any, count: int) -> str:
        """`, for f(1)`: the row whose result does not fit, if it is a matter of single results."""
        arrays = isinstance(result, pa.Array | pa.ChunkedArray) or (isinstance(result, np.ndarray) and result.ndim)
        if not arrays or len(result) != count:
            return ""

        def check(start: int, stop: int) -> None:
            result_column(result[start:stop], stop - start, self._returns)

        start, stop, _ = narrowed(check, count, Unfit())
        return f", for {call_text(self._name, arguments, self._types, start)}" if stop - start == 1 < count else ""

    # ---- row functions ----

    def _rows(self, arguments: Sequence[pa.Array], count: int) -> pa.Array:
        values = [python_values(c, t) for c, t in zip(arguments, self._types, strict=True)]
        function = self._code.function
        results: list[Any] = []
        try:
            for row in zip(*values, strict=True) if values else repeat((), count):
                results.append(function(*row))  # noqa: PERF401 - their number tells the row that failed
        except RAISED as error:
            raise self._failed(arguments, len(results), error) from None
        try:
            return column_of(results, self._returns)
        except Unfit as unfit:
            at = first_unfit(results, self._returns)
            where = f" for {call_text(self._name, arguments, self._types, at)}" if at < count else ""
            raise self._code.wrong(f"returned{where} {unfit}") from None

    def _failed(self, arguments: Sequence[pa.Array], row: int, error: BaseException) -> EvaluationError:
        return self._code.raised(error, call_text(self._name, arguments, self._types, row))
