"""Calling user code: what it gives becomes a column of the declared type, what it raises an EvaluationError.

An error names the function, the arguments of the row that it is about, the Python exception with its text, and the
line of the UDF source. For functions that see many rows at once that row is searched by calling them again with one
half of the rows and then the other, then with halves of the half that fails, and so on: at most two calls for each time
that the number of rows can be halved, and altogether with twice the rows of the call that failed.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.types import Kind, SqlType, arrow_type
from millstream.udf.library import Library, describe_error, line_of
from millstream.udf.values import Unfit, column_of, python_values, shown, variant_texts

#: What user code may raise. SystemExit: `sys.exit` in a function must not end the process without a word.
RAISED = (Exception, SystemExit)
_ARGUMENTS_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Code:
    """A function of a library: `kind` (function, aggregate) and `name` are those of messages."""

    kind: str
    name: str
    function: Callable[..., Any]
    library: Library

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def raised(self, error: BaseException, where: str) -> EvaluationError:
        """The error for an exception that it raised for the rows `where`."""
        source = self.library
        line = line_of(error, source.filename) if source.filename is not None else None
        place = ""
        if line is not None:
            place = f" ({source.label}, line {line}: {_text_of(source, line)})"
        elif source.filename is None:
            own = getattr(getattr(self.function, "__code__", None), "co_filename", None)
            line = line_of(error, own) if own is not None else None
            place = "" if line is None else f" ({own}, line {line})"
        return EvaluationError(f"{self} failed for {where}: {describe_error(error)}{place}")

    def wrong(self, text: str) -> EvaluationError:
        """The error for a result that cannot be used."""
        return EvaluationError(f"{self} {text}")

    def __str__(self) -> str:
        return f"User-defined {self.kind} '{self.name}'"


def _text_of(library: Library, line: int) -> str:
    return linecache.getline(library.filename or "", line).strip()


def call_text(name: str, columns: Sequence[pa.Array], types: Sequence[SqlType], row: int) -> str:
    """`f(1, 'x', NULL)`: the call for one row."""
    values = [shown(python_values(c.slice(row, 1), t)[0]) for c, t in zip(columns, types, strict=True)]
    text = ", ".join(values)
    return f"{name}({text if len(text) <= _ARGUMENTS_SHOWN else text[:_ARGUMENTS_SHOWN] + '...'})"


def narrowed(call: Callable[[int, int], object], count: int, error: BaseException) -> tuple[int, int, BaseException]:
    """A smallest range of 0..count-1, found by halving, for which `call(start, stop)` still raises, and what it raises
    there: `error` if it only raises for all rows together."""
    start, stop = 0, count
    while stop - start > 1:
        middle = (start + stop) // 2
        for half in ((start, middle), (middle, stop)):
            try:
                call(*half)
            except RAISED as raised:
                (start, stop), error = half, raised
                break
        else:
            break
    return start, stop, error


# ---- results -----------------------------------------------------------------------------------------------------


def result_column(result: Any, count: int, sql_type: SqlType) -> pa.Array:
    """What an Arrow function gave, as a column of `count` values: an array of that length, anything that exports one,
    or one value for all rows. Raises Unfit, whose text follows `returned`."""
    wanted = arrow_type(sql_type)
    try:
        array = array_of(result)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise Unfit(f"a {type(result).__name__} that is no Arrow array: {error}") from None
    if array is None:
        value = result
        if isinstance(result, pa.Scalar | np.ndarray):
            value = result.as_py() if isinstance(result, pa.Scalar) else result.item()
        if isinstance(result, pa.Scalar) and sql_type.kind is not Kind.VARIANT:
            return pa.repeat(_cast(pa.array([value], result.type), sql_type)[0], count)
        if value is None:
            return pa.nulls(count, wanted)
        return pa.repeat(column_of([value], sql_type)[0], count)
    if len(array) != count:
        raise Unfit(f"{len(array)} values for {count} rows")
    if sql_type.kind is Kind.VARIANT and not pa.types.is_null(array.type):
        if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            raise Unfit(f"an Arrow array of type {array.type} for VARIANT, which is given as JSON texts")
        return column_of(variant_texts(array), sql_type)
    return _cast(array, sql_type)


def array_of(result: Any) -> pa.Array | None:
    """The one array that a result is or exports; None for a single value."""
    if isinstance(result, pa.Array):
        return result
    if isinstance(result, np.ndarray):
        if result.ndim == 0:
            return None
        if result.ndim > 1:
            raise Unfit(f"a numpy array of {result.ndim} dimensions")
        return pa.array(result)
    elif hasattr(result, "__arrow_c_stream__") and not isinstance(result, pa.ChunkedArray):
        result = pa.chunked_array(result)
    elif hasattr(result, "__arrow_c_array__"):
        return pa.array(result)
    elif hasattr(result, "__array__") and getattr(result, "ndim", 0) == 1:
        return pa.array(np.asarray(result))
    if isinstance(result, pa.ChunkedArray):
        combined = result.combine_chunks()
        return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)
    return result if isinstance(result, pa.Array) else None


def _cast(array: pa.Array, sql_type: SqlType) -> pa.Array:
    """The array in the type's Arrow form. Raises Unfit for values that it cannot hold."""
    wanted = arrow_type(sql_type)
    if array.type == wanted:
        return array
    if isinstance(array.type, pa.BaseExtensionType):
        return _cast(array.storage, sql_type)
    if pa.types.is_dictionary(array.type):
        return _cast(array.dictionary_decode(), sql_type)
    try:
        if pa.types.is_integer(array.type) and pa.types.is_decimal(wanted):
            array = array.cast(pa.decimal128(38, wanted.scale))  # a step that has room for any integer
        return array.cast(wanted)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise Unfit(f"an Arrow array of type {array.type} that is not {sql_type.sql()}: {error}") from None


def first_null(column: pa.Array) -> int:
    """The position of the first NULL of a column that has one."""
    return int(pc.index(column.is_null(), True).as_py())
