"""JSON text <-> Python objects without losing a digit, and the text that VARIANT columns hold (types/variant.py).

Numbers with a fraction or exponent decode to `Decimal`, integers to `int` of any size; text without either goes through
orjson, which is several times faster. NaN, Infinity, lone
surrogates and control characters in strings are syntax errors, as in RFC 8259.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation

import orjson

from millstream.formats.values.scalars import format_decimal
from millstream.types.variant import encode

#: Never rounds a number that a record can hold, and never traps.
_WIDE = Context(prec=100_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
#: Arrays and objects within one another, in a whole event. The scanner of the fast path stops short of it.
MAX_DEPTH = 128
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
#: What orjson would not keep exactly: fractions, exponents, integers near or beyond 64 bits, negative zero. Matches in
#: strings are harmless.
_DELICATE = re.compile(r"[0-9][.eE]|[0-9]{18}|-0")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
#: Beyond so many digits plain notation is not worth its length.
_MAX_PLAIN_EXPONENT = 60


def _number(text: str) -> Decimal:
    """The number; one whose exponent no decimal can hold becomes zero or infinite, which no column takes."""
    try:
        return Decimal(text)
    except InvalidOperation:
        mantissa, _, exponent = text.lower().partition("e")
        if exponent.startswith("-") or not mantissa.strip("-0."):
            return Decimal(0)
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")


def _constant(text: str) -> object:
    raise ValueError(f"{text} is not a JSON value")


DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_constant)
_quote: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


def decode(text: str) -> object:
    """The one value in `text`. Raises ValueError."""
    check_depth(text)
    if not _DELICATE.search(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # the exact decoder has the last word, and the better message
    try:
        value = DECODER.decode(text)
    except RecursionError:
        raise ValueError("JSON value is nested too deeply") from None
    if "\\u" in text:
        check_surrogates(value)
    return value


def canonical_text(text: str) -> str:
    """The text of the VARIANT that JSON text denotes. Raises ValueError."""
    check_depth(text)
    if not _DELICATE.search(text):
        try:
            return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass
    return encode(decode(text))


def check_depth(text: str) -> None:
    """Raise ValueError for a value nested so deeply that recursive code could not handle it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _BRACKETS.finditer(text):
        bracket = token[0]
        if bracket in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError("JSON value is nested too deeply")
        elif bracket in ("]", "}"):
            depth -= 1


def check_surrogates(value: object) -> None:
    """Raise ValueError if a string inside `value` has half a surrogate pair, which has no UTF-8 form."""
    if isinstance(value, str):
        if _LONE_SURROGATE.search(value):
            raise ValueError("lone surrogate in a JSON string")
    elif isinstance(value, list):
        for item in value:
            check_surrogates(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_surrogates(key)
            check_surrogates(item)


def number_text(value: Decimal) -> str:
    """A decimal as a JSON number: plain notation, without trailing zeros; `d.dE+n` only for extreme
    exponents. Raises ValueError for an infinity."""
    if not value.is_finite():
        raise ValueError("number is out of range")
    if value and abs(value.adjusted()) > _MAX_PLAIN_EXPONENT:
        return str(_WIDE.normalize(value))
    return format_decimal(value)


def canonical(value: object) -> str:
    """Compact JSON with object keys sorted; equal values have equal texts."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, list):
        return "[" + ",".join([canonical(item) for item in value]) + "]"
    assert isinstance(value, dict)
    return "{" + ",".join([f"{_quote(key)}:{canonical(value[key])}" for key in sorted(value)]) + "}"


def quote(text: str) -> str:
    """`text` as a JSON string."""
    return _quote(text)
