"""Evaluating user-defined aggregates.

A LINEAR one is a map from rows to numbers, which are added up for each group, and a function from the sums of a group
to its result: what a change costs does not depend on the size of groups. Any other is a function of all values of a
group, called for the groups that a step touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.types import Kind, SqlType, arrow_type
from millstream.types.sql_type import BIGINT, DOUBLE, decimal
from millstream.udf.calling import RAISED, Code, array_of, call_text, narrowed, result_column
from millstream.udf.declarations import Declaration
from millstream.udf.marks import mark_of
from millstream.udf.scalars import ScalarCode
from millstream.udf.values import Unfit, arrow_column, column_of, python_values, shown

_UBIGINT = SqlType(Kind.UBIGINT)


def sum_type(data_type: pa.DataType) -> SqlType | None:
    """The type in which numbers of an Arrow type are added up; None: it has no numbers. A map that gives only NULLs
    adds up nothing, as integers."""
    if pa.types.is_uint64(data_type):
        return _UBIGINT
    if pa.types.is_integer(data_type) or pa.types.is_boolean(data_type) or pa.types.is_null(data_type):
        return BIGINT
    if pa.types.is_floating(data_type):
        return DOUBLE
    return decimal(38, data_type.scale) if pa.types.is_decimal(data_type) else None


class LinearCode:
    """The functions of a LINEAR aggregate. `declared`: the Arrow types of the sums, if the source tells."""

    def __init__(
        self, declaration: Declaration, map_code: Code, post: Code | None, declared: Sequence[pa.DataType] | None
    ) -> None:
        self._declaration = declaration
        self._map = map_code
        self._post = post
        self._declared = None if declared is None else tuple(declared)
        self._by_row = mark_of(map_code.function).style == "row"

    def contributions(
        self, columns: Sequence[pa.Array], count: int, known: Sequence[SqlType] | None
    ) -> tuple[list[pa.Array], tuple[SqlType, ...]]:
        """What `count` > 0 rows without NULLs contribute to each sum, and the types of the sums: those `known` if there
        are any. Raises EvaluationError."""
        parts = self._mapped(columns, count)
        if known is not None and len(parts) != len(known):
            raise self._map.wrong(f"returned {len(parts)} columns to sum up, but {len(known)} before")
        arrays: list[pa.Array] = []
        types: list[SqlType] = []
        for position, part in enumerate(parts):
            found = sum_type(part.type)
            if found is None:
                raise self._map.wrong(f"returned an Arrow array of type {part.type}; only numbers can be summed up")
            wanted = found if known is None else known[position]
            try:
                arrays.append(result_column(part, count, wanted))
            except Unfit as unfit:
                hint = f"; declare {self._declaration.name}_accumulator_type if the type of a sum may vary"
                raise self._map.wrong(f"returned {unfit}{hint}") from None
            types.append(wanted)
        return arrays, tuple(types)

    def results(self, sums: Sequence[pa.Array], types: Sequence[SqlType], count: int, returns: SqlType) -> pa.Array:
        """The results of `count` > 0 groups for their sums. Raises EvaluationError."""
        names = tuple((f"sum{i}", sql_type) for i, sql_type in enumerate(types))
        if self._post is not None:
            declaration = Declaration(self._post.name, names, returns)
            return ScalarCode(declaration, self._post, returns).column(sums, count)
        if len(sums) != 1:
            raise self._map.wrong(f"returned {len(sums)} columns to sum up, so {self._declaration.name}_post is needed")
        try:
            return result_column(sums[0], count, returns)
        except Unfit as unfit:
            raise EvaluationError(f"User-defined aggregate '{self._declaration.name}' has {unfit}") from None

    def _mapped(self, columns: Sequence[pa.Array], count: int) -> list[pa.Array]:
        types = self._declaration.types
        seen = [arrow_column(c, t) for c, t in zip(columns, types, strict=True)]

        def call(start: int, stop: int) -> list[pa.Array]:
            if self._by_row:
                return self._row_by_row([c.slice(start, stop - start) for c in columns])
            return self._batch([c.slice(start, stop - start) for c in seen], stop - start)

        try:
            return call(0, count)
        except Unfit as unfit:
            raise self._map.wrong(f"returned {unfit}") from None
        except RAISED as raised:
            start, stop, error = narrowed(call, count, raised)
            where = call_text(self._map.name, columns, types, start)
            if stop - start > 1:
                where = f"{stop - start} rows together, the first of them {where}"
            raise self._map.raised(error, where) from None

    def _batch(self, columns: Sequence[pa.Array], count: int) -> list[pa.Array]:
        result = self._map(*columns)
        parts = []
        for part in result if isinstance(result, tuple | list) else (result,):
            array = array_of(part)
            if array is None:
                scalar = part if isinstance(part, pa.Scalar) else pa.scalar(part)
                array = pa.repeat(scalar, count)
            if len(array) != count:
                raise Unfit(f"{len(array)} values for {count} rows")
            parts.append(array)
        return self._as_declared(parts)

    def _row_by_row(self, columns: Sequence[pa.Array]) -> list[pa.Array]:
        assert self._declared is not None, "row functions come with types"
        values = [python_values(c, t) for c, t in zip(columns, self._declaration.types, strict=True)]
        width = len(self._declared)
        rows = [self._map(*row) for row in zip(*values, strict=True)]
        tuples = [row if isinstance(row, tuple) else (row,) for row in rows]
        for row in tuples:
            if len(row) != width:
                raise Unfit(f"{shown(row)}, but {width} numbers are declared")
        parts = zip(*tuples, strict=True)
        sums = [sum_type(data_type) or BIGINT for data_type in self._declared]
        return [column_of(part, sql_type) for part, sql_type in zip(parts, sums, strict=True)]

    def _as_declared(self, parts: list[pa.Array]) -> list[pa.Array]:
        if self._declared is None:
            return parts
        if len(parts) != len(self._declared):
            raise Unfit(f"{len(parts)} columns to sum up, but {len(self._declared)} are declared")
        wanted = [sum_type(data_type) or BIGINT for data_type in self._declared]
        return [result_column(part, len(part), sql_type) for part, sql_type in zip(parts, wanted, strict=True)]


class GroupedCode:
    """A function of all values of a group."""

    def __init__(self, declaration: Declaration, code: Code, returns: SqlType) -> None:
        """`returns`: the declared type without length."""
        self._declaration = declaration
        self._code = code
        self._returns = returns
        self._style = mark_of(code.function).style

    def results(self, columns: Sequence[pa.Array], offsets: np.ndarray[Any, Any]) -> pa.Array:
        """The results of groups: the values of group g are those from `offsets[g]` to `offsets[g + 1]`, at least one.
        Raises EvaluationError."""
        if self._style == "groups":
            result = self._together(columns, offsets)
        else:
            result = self._one_by_one(columns, offsets.tolist())
        if result.null_count and not self._returns.nullable:
            at = int(np.flatnonzero(result.is_null().to_numpy(zero_copy_only=False))[0])
            where = self._where(columns, offsets, at)
            raise self._code.wrong(f"returned NULL for {where}, but is declared to return {self._returns}")
        return result

    def _together(self, columns: Sequence[pa.Array], offsets: np.ndarray[Any, Any]) -> pa.Array:
        types = self._declaration.types
        bounds = pa.array(offsets, pa.int64())
        lists = [
            pa.LargeListArray.from_arrays(bounds, arrow_column(column, sql_type))
            for column, sql_type in zip(columns, types, strict=True)
        ]
        count = len(offsets) - 1

        def call(start: int, stop: int) -> pa.Array:
            return self._code(*(part.slice(start, stop - start) for part in lists))

        try:
            result = call(0, count)
        except RAISED as raised:
            start, stop, error = narrowed(call, count, raised)
            where = self._where(columns, offsets, start)
            if stop - start > 1:
                where = f"{stop - start} groups together, the first of them {where}"
            raise self._code.raised(error, where) from None
        try:
            return result_column(result, count, self._returns)
        except Unfit as unfit:
            raise self._code.wrong(f"returned {str(unfit).replace(' rows', ' groups')}") from None

    def _one_by_one(self, columns: Sequence[pa.Array], offsets: Sequence[int]) -> pa.Array:
        types = self._declaration.types
        given: list[Any]
        if self._style == "row":
            given = [python_values(c, t) for c, t in zip(columns, types, strict=True)]
        else:
            given = [arrow_column(c, t) for c, t in zip(columns, types, strict=True)]
        results = []
        for group, (start, stop) in enumerate(pairwise(offsets)):
            try:
                value = self._code(*(column[start:stop] for column in given))
            except RAISED as error:
                raise self._code.raised(error, self._where(columns, offsets, group)) from None
            try:
                results.append(result_column(_single(value), 1, self._returns))
            except Unfit as unfit:
                where = self._where(columns, offsets, group)
                raise self._code.wrong(f"returned for {where} {unfit}") from None
        return pa.concat_arrays(results) if results else pa.nulls(0, arrow_type(self._returns))

    def _where(self, columns: Sequence[pa.Array], offsets: Sequence[int] | np.ndarray[Any, Any], group: int) -> str:
        """`a([1, 2])`: the call for one group."""
        start, stop = int(offsets[group]), int(offsets[group + 1])
        values = [
            shown(python_values(column.slice(start, min(stop - start, 20)), sql_type), 200)
            for column, sql_type in zip(columns, self._declaration.types, strict=True)
        ]
        return f"{self._declaration.name}({', '.join(values)})"


def _single(value: Any) -> Any:
    """A value that is not taken for a column of values: arrays are those of an ARRAY result."""
    if isinstance(value, np.ndarray) and value.ndim:
        return value.tolist()
    return list(value.to_pylist()) if isinstance(value, pa.Array | pa.ChunkedArray) else value
