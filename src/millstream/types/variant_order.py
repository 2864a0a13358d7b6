"""The order of VARIANTs (sql.md §4.3) as bytes: `sortable(a) < sortable(b)` where a comes before b.

What has to put VARIANTs in order but only sees columns of bytes (sorts, minima, maxima) uses these. They are the keys
of `variant.order_key`, written so that bytes compare as the keys do: each part has a fixed size or an end mark that is
smaller than anything that may follow it.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

from millstream.types.variant import decode, order_key

# All DECIMALs are integers in units of the smallest one: 38 digits before the point, 38 after it.
_SCALE = 38
_DECIMAL_BYTES = 32
_OFFSET = 1 << (8 * _DECIMAL_BYTES - 1)
_END, _ITEM = b"\x00", b"\x01"


def sortable(text: str) -> bytes:
    """The key of an encoded VARIANT."""
    return _part(order_key(decode(text)))


def _part(value: Any) -> bytes:
    if isinstance(value, tuple | list):  # parts of a key; the bytes of a BINARY
        return b"".join(_ITEM + _part(item) for item in value) + _END
    if isinstance(value, str):
        return value.encode().replace(b"\x00", b"\x00\xff") + b"\x00\x01"
    if isinstance(value, float):
        (bits,) = struct.unpack(">Q", struct.pack(">d", value))
        ordered: int = bits ^ (2**64 - 1) if bits >> 63 else bits | 2**63  # negative floats ascend with their size
        return ordered.to_bytes(8)
    return (_units(value) + _OFFSET).to_bytes(_DECIMAL_BYTES)


def _units(number: Any) -> int:
    """A number without fraction, in units of the smallest DECIMAL. Numbers of JSON may be longer: they are cut."""
    sign, digits, exponent = Decimal(number).as_tuple()
    assert isinstance(exponent, int)
    whole = int("".join(map(str, digits)))
    shift = exponent + _SCALE
    if shift > 2 * _SCALE:
        units = _OFFSET - 1 if whole else 0
    else:
        units = whole * 10**shift if shift >= 0 else whole // 10 ** min(-shift, len(digits))
    units = min(units, _OFFSET - 1)
    return -units if sign else units
