"""Decimals, floats, integers, UUIDs and byte strings: text to storage values and back."""

from __future__ import annotations

import math
import re
import struct
from base64 import b64decode
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from millstream.types.sql_type import INTEGER_BITS, UNSIGNED_INTEGERS, SqlType

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CSV_FLOAT = re.compile(r"[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,32}")
_UUID = re.compile(r"(?:[0-9a-fA-F]{4}-?){8}")
_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = {character: value for value, character in enumerate(_BASE58)}
_BLANKS = " \t\r\n"


def integer_bounds(sql_type: SqlType) -> tuple[int, int]:
    """The smallest and largest value of an integer type."""
    bits = INTEGER_BITS[sql_type.kind]
    if sql_type.kind in UNSIGNED_INTEGERS:
        return 0, (1 << bits) - 1
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def check_integer(value: int, sql_type: SqlType) -> int:
    """`value` if it fits the type."""
    low, high = integer_bounds(sql_type)
    if not low <= value <= high:
        raise ValueError(f"number {value} is out of range for {sql_type.sql()}")
    return value


def parse_integer(text: str, sql_type: SqlType, hexadecimal: bool = False) -> int:
    """An integer from its decimal digits (or `0x` digits, where allowed)."""
    if _INTEGER.fullmatch(text):
        return check_integer(int(text), sql_type)
    if hexadecimal and _HEXADECIMAL.fullmatch(text):
        return check_integer(int(text, 16), sql_type)
    raise ValueError(f"invalid {sql_type.sql()} '{text}'")


def fit_decimal(value: Decimal, sql_type: SqlType) -> Decimal:
    """`value` at the type's scale, rounded half to even; too many digits before the point are an error."""
    assert sql_type.precision is not None
    assert sql_type.scale is not None
    if value.is_finite() and value and value.adjusted() > 60:
        raise ValueError(f"number {value} is out of range for {sql_type.sql()}")
    if value and value.adjusted() < -60:
        value = Decimal(0)
    try:
        scaled = value.quantize(Decimal(1).scaleb(-sql_type.scale), context=_EXACT)
    except InvalidOperation:
        raise ValueError(f"invalid {sql_type.sql()} '{value}'") from None
    if scaled and scaled.adjusted() + sql_type.scale >= sql_type.precision:
        raise ValueError(f"number {value} is out of range for {sql_type.sql()}")
    return scaled if scaled else scaled.copy_abs()


def parse_decimal(text: str, sql_type: SqlType) -> Decimal:
    """A DECIMAL from its digits, exponents allowed."""
    stripped = text.strip(_BLANKS)
    if not _DECIMAL.fullmatch(stripped):
        raise ValueError(f"invalid {sql_type.sql()} '{text}'")
    try:
        return fit_decimal(Decimal(stripped), sql_type)
    except InvalidOperation:
        raise ValueError(f"number {text} is out of range for {sql_type.sql()}") from None


def to_float32(value: float) -> float:
    """The nearest REAL; overflow gives an infinity."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def parse_float(text: str, sql_type: SqlType, infinities: bool) -> float:
    """A REAL or DOUBLE; `infinities`: also `NaN`, `Inf` and numbers that overflow to an infinity."""
    pattern = _CSV_FLOAT if infinities else _DECIMAL
    stripped = text.strip(_BLANKS)
    if not pattern.fullmatch(stripped):
        raise ValueError(f"invalid {sql_type.sql()} '{text}'")
    return finite_float(float(stripped), text, sql_type, infinities)


def finite_float(value: float, text: object, sql_type: SqlType, infinities: bool = False) -> float:
    """`value` rounded to the type; an error if that is not finite, unless `infinities`."""
    rounded = to_float32(value) if sql_type.kind == "REAL" else value
    if not infinities and not math.isfinite(rounded):
        raise ValueError(f"number {text} is out of range for {sql_type.sql()}")
    return rounded


def parse_uuid(text: str) -> bytes:
    """The 16 bytes of a UUID: 32 hex digits, hyphens allowed after any group of 4, optional braces."""
    digits = text[1:-1] if text[:1] == "{" and text[-1:] == "}" else text
    if not _UUID.fullmatch(digits) or digits[-1] == "-":
        raise ValueError(f"invalid UUID '{text}'")
    return bytes.fromhex(digits.replace("-", ""))


def format_uuid(value: bytes) -> str:
    """Canonical lower-case form."""
    h = value.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def format_decimal(value: Decimal) -> str:
    """Plain notation with trailing fractional zeros removed."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def parse_hexadecimal(text: str, prefix: str) -> bytes:
    """Bytes from hex digits of any case, with or without `prefix`."""
    digits = text.removeprefix(prefix)
    if prefix == "0x":
        digits = digits.removeprefix("0X")
    try:
        if digits != digits.strip() or " " in digits:
            raise ValueError
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"invalid hexadecimal string '{text}'") from None


def parse_base58(text: str) -> bytes:
    """Bytes from base 58 (the alphabet without 0, O, I and l); leading `1`s are zero bytes."""
    number = 0
    for character in text:
        digit = _BASE58_VALUES.get(character)
        if digit is None:
            raise ValueError(f"invalid base58 string '{text}'")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def format_base58(value: bytes) -> str:
    """Base 58 text of `value`."""
    number = int.from_bytes(value, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    zeros = len(value) - len(value.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def parse_base64(text: str) -> bytes:
    """Bytes from standard base 64."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError(f"invalid base64 string '{text}'") from None
