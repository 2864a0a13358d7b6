"""Numbers and booleans out of text (sql.md §6.2).

The usual case, every string a plain number that Arrow reads, costs Arrow's own parser and a check that no
string uses a spelling that Arrow accepts and SQL does not. Only columns with a doubtful string are read one
by one.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.casts.conversion import Conversion, Converted, failed_between
from millstream.expressions.casts.numbers import integer_limits
from millstream.expressions.vectors import Bools
from millstream.types import Kind, SqlType, arrow_type

ROW_BY_ROW = ("CAST(string AS DECIMAL) of texts with an exponent, blanks or excess digits",)
_WIDE = Context(prec=400, rounding=ROUND_HALF_EVEN, Emax=10**6, Emin=-(10**6))
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FLOAT = r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))$"


def booleans_of_text(array: pa.Array) -> Converted:
    """`true` and `false` in any case, blanks around them ignored."""
    folded = pc.utf8_lower(pc.utf8_trim_whitespace(array))
    is_true, is_false = pc.equal(folded, "true"), pc.equal(folded, "false")
    known = pc.or_(is_true, is_false)
    return is_true, _failures(pc.invert(known))


def _failures(failed: pa.Array) -> Bools | None:
    if not pc.any(failed).as_py():
        return None
    return np.asarray(pc.fill_null(failed, False).to_numpy(zero_copy_only=False))


def boolean_of_text() -> Conversion:
    """CAST(string AS BOOLEAN)."""
    return Conversion(booleans_of_text, lambda v: f"Cannot convert string '{v.as_py()}' to BOOLEAN")


def integer_of_text(target: SqlType) -> Conversion:
    """CAST(string AS integer type): optional sign and digits."""
    data_type = arrow_type(target)
    low, high = integer_limits(target)
    sign = "[+]?" if target.is_unsigned else "[+-]?"

    def convert(array: pa.Array) -> Converted:
        trimmed = pc.utf8_trim_whitespace(array)
        digits = pc.match_substring_regex(trimmed, f"^{sign}[0-9]+$")
        if pc.all(digits, min_count=0).as_py():
            try:
                return pc.utf8_ltrim(trimmed, "+").cast(data_type), None
            except pa.ArrowInvalid:
                pass
        parsed = [
            _integer(text, ok, low, high) for text, ok in zip(trimmed.to_pylist(), digits.to_pylist(), strict=True)
        ]
        converted = pa.array(parsed, data_type)
        return converted, failed_between(array, converted)

    def explain(value: Any) -> str:
        text = value.as_py()
        stripped = text.strip()
        if not stripped:
            reason = "cannot parse integer from empty string"
        elif re.fullmatch(f"{sign}[0-9]+", stripped):
            reason = f"number too {'small' if stripped.startswith('-') else 'large'} to fit in target type"
        else:
            reason = "invalid digit found in string"
        return f"Error converting '{text}' to {target.sql()}: {reason}"

    return Conversion(convert, explain)


def _integer(text: str | None, ok: bool | None, low: int, high: int) -> int | None:
    if text is None or not ok:
        return None
    value = int(text)
    return value if low <= value <= high else None


def float_of_text(target: SqlType) -> Conversion:
    """CAST(string AS REAL or DOUBLE): decimal notation, `inf`, `infinity`, `nan`; too large gives
    infinity."""
    data_type = arrow_type(target)

    def convert(array: pa.Array) -> Converted:
        trimmed = pc.utf8_trim_whitespace(array)
        fits = pc.match_substring_regex(trimmed, _FLOAT)
        failed = _failures(pc.invert(fits))
        usable = trimmed if failed is None else pc.if_else(fits, trimmed, pa.scalar(None, array.type))
        try:
            return usable.cast(data_type), failed
        except pa.ArrowInvalid:
            numbers = [None if text is None else float(text) for text in usable.to_pylist()]
            with np.errstate(over="ignore"):
                return pa.array(numbers, pa.float64()).cast(data_type, safe=False), failed

    def explain(value: Any) -> str:
        text = value.as_py()
        reason = "invalid float literal" if text.strip() else "cannot parse float from empty string"
        return f"Parse error during conversion of '{text}' to {target.sql()}: {reason}"

    return Conversion(convert, explain)


def decimal_of_text(target: SqlType) -> Conversion:
    """CAST(string AS DECIMAL): rounded half to even; a nullable target does not ignore blanks."""
    data_type = arrow_type(target)
    trims = not target.nullable

    def convert(array: pa.Array) -> Converted:
        texts = pc.utf8_trim_whitespace(array) if trims else array
        plain = pc.all(pc.match_substring_regex(texts, r"^[+-]?[0-9]+(\.[0-9]+)?$"), min_count=0).as_py()
        if plain:
            try:
                return texts.cast(data_type), None
            except pa.ArrowInvalid:
                pass
        converted = pa.array([_decimal(text, target) for text in texts.to_pylist()], data_type)
        return converted, failed_between(array, converted)

    def explain(value: Any) -> str:
        text = value.as_py()
        if trims:
            return f"While converting '{text}' to DECIMAL: parse error"
        return f"Cannot parse {text} into a {target.sql()}"

    return Conversion(convert, explain)


def _decimal(text: str | None, target: SqlType) -> Decimal | None:
    if text is None or not _DECIMAL.fullmatch(text):
        return None
    assert target.precision is not None
    assert target.scale is not None
    try:
        value = Decimal(text).quantize(Decimal(1).scaleb(-target.scale), context=_WIDE)
    except InvalidOperation:
        return None
    return value if abs(value) < Decimal(10) ** (target.precision - target.scale) else None


def number_of_text(target: SqlType) -> Conversion:
    """CAST(string AS BOOLEAN or a numeric type)."""
    if target.kind is Kind.BOOLEAN:
        return boolean_of_text()
    if target.is_integer:
        return integer_of_text(target)
    return float_of_text(target) if target.is_float else decimal_of_text(target)
