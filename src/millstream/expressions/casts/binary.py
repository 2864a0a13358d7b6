"""Casts with BINARY, VARBINARY and UUID (sql.md §6.2)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, Converted, failed_between, total
from millstream.expressions.vectors import valid_of, values_of
from millstream.types import Kind, SqlType
from millstream.types.sql_type import INTEGER_BITS

ROW_BY_ROW = ("CAST(x AS BINARY(n)) that changes lengths", "CAST(integer AS BINARY)", "CAST(BINARY AS UUID)")
_BINARY = pa.large_binary()


def fit_bytes(array: pa.Array, target: SqlType) -> pa.Array:
    """The first n bytes for BINARY(n) and VARBINARY(n); BINARY is padded with zeros on the right."""
    length = target.precision
    if length is None or length < 0:
        return array
    lengths = pc.binary_length(array)
    pads = target.kind is Kind.BINARY and pc.any(pc.less(lengths, length)).as_py()
    if not pads and not pc.any(pc.greater(lengths, length)).as_py():
        return array
    filler = b"\0" * length if target.kind is Kind.BINARY else b""
    fitted = [None if v is None else v[:length] + filler[len(v) :] for v in array.to_pylist()]
    return pa.array(fitted, _BINARY)


def binary_conversion(source: SqlType, target: SqlType) -> Conversion:
    """CAST(x AS BINARY(n) or VARBINARY)."""
    if source.is_integer:
        return total(lambda a: _bytes_of_integers(a, source, target))
    if source.kind is Kind.CHAR or source.kind is Kind.VARCHAR:
        return total(lambda a: fit_bytes(a.cast(_BINARY), target))
    if source.kind is Kind.UUID:
        return total(lambda a: fit_bytes(a.cast(_BINARY), target))
    return total(lambda a: fit_bytes(a, target))


def _bytes_of_integers(array: pa.Array, source: SqlType, target: SqlType) -> pa.Array:
    """Two's complement, big endian, the last n bytes; zeros on the left of shorter ones."""
    width = INTEGER_BITS[source.kind] // 8
    values = values_of(array).astype(f">{'u' if source.is_unsigned else 'i'}{width}").tobytes()
    valid = valid_of(array)
    length = target.precision if target.precision is not None and target.precision >= 0 else width
    parts: list[bytes | None] = []
    for row in range(len(array)):
        if valid is not None and not valid[row]:
            parts.append(None)
        else:
            parts.append(values[row * width : (row + 1) * width].rjust(length, b"\0")[-length:] if length else b"")
    return pa.array(parts, _BINARY)


def uuid_of_binary() -> Conversion:
    """CAST(BINARY AS UUID): exactly 16 bytes."""

    def convert(array: pa.Array) -> Converted:
        fits = [None if v is None or len(v) != 16 else v for v in array.to_pylist()]
        converted = pa.array(fits, pa.binary(16))
        return converted, failed_between(array, converted)

    return Conversion(convert, lambda _: "Need exactly 16 bytes in BINARY value to create an UUID")
