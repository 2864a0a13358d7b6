"""Vectors of 128-bit numbers, as pairs of 64-bit words: DECIMAL and UUID columns.

Arithmetic is modulo 2**128, so signed numbers are their two's complement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.datagen.random import MASK_64, Lanes, Words, bounded, multiply_high, salt

MASK_128 = 2**128 - 1
_UNIFORM_HIGH = salt("wide uniform, high")
_UNIFORM_LOW = salt("wide uniform, low")


@dataclass(frozen=True)
class Wide:
    """Numbers high * 2**64 + low."""

    high: Words
    low: Words

    @staticmethod
    def of(low: Words) -> Wide:
        """Unsigned 64-bit words."""
        return Wide(np.zeros_like(low), low)

    @staticmethod
    def of_objects(numbers: npt.NDArray[Any]) -> Wide:
        """An object array of Python integers."""
        high = ((numbers >> 64) & MASK_64).astype(np.uint64)
        return Wide(high, (numbers & MASK_64).astype(np.uint64))

    def plus(self, constant: int) -> Wide:
        low = self.low + np.uint64(constant & MASK_64)
        carry = (low < self.low).astype(np.uint64)
        return Wide(self.high + np.uint64(constant >> 64 & MASK_64) + carry, low)

    def times(self, constant: int) -> Wide:
        low, high = np.uint64(constant & MASK_64), np.uint64(constant >> 64 & MASK_64)
        upper = multiply_high(self.low, low) + self.high * low + self.low * high
        return Wide(upper, self.low * low)

    def words(self) -> npt.NDArray[np.uint64]:
        """Shape (n, 2): low and high words, the layout of a 128-bit integer in memory."""
        return np.stack((self.low, self.high), axis=1)

    def to_decimals(self, decimal_type: pa.DataType) -> pa.Array:
        """As unscaled values of `decimal_type`."""
        return pa.Array.from_buffers(decimal_type, len(self.low), [None, pa.py_buffer(self.words().tobytes())])

    def to_uuids(self) -> pa.Array:
        """As 16 bytes, most significant first."""
        data = np.stack((self.high, self.low), axis=1).astype(">u8").tobytes()
        return pa.Array.from_buffers(pa.binary(16), len(self.low), [None, pa.py_buffer(data)])


def wide_index_times(index: Words, factor: int, modulus: int) -> Wide:
    """`i * factor` modulo `modulus`, floored. Slow (Python integers) only where the product exceeds the modulus."""
    largest = int(index.max()) if len(index) else 0
    if factor >= 0 and largest * factor < modulus:
        return Wide.of(index).times(factor)
    return Wide.of_objects(index.astype(object) * factor % modulus)


def wide_uniform(lanes: Lanes, span: int) -> Wide:
    """Uniform numbers 0 .. span - 1, for 1 <= span <= 2**128.

    A bucket of 2**k numbers is drawn, then a number in it; the last bucket may be cut short, what falls outside moves
    one bucket down. With at least 2**62 buckets nobody will notice.
    """
    if span <= 2**64:
        return Wide.of(bounded(lanes.draw(_UNIFORM_HIGH), span))
    k = min(span.bit_length() - 63, 64)
    bucket = bounded(lanes.draw(_UNIFORM_HIGH), -(-span >> k))
    inside = lanes.draw(_UNIFORM_LOW)
    if k == 64:
        number = Wide(bucket, inside)
    else:
        shift, rest = np.uint64(k), np.uint64(64 - k)
        number = Wide(bucket >> rest, (bucket << shift) | (inside >> rest))
    if span == 2**128:
        return number
    top_high, top_low = np.uint64(span >> 64), np.uint64(span & MASK_64)
    beyond = (number.high > top_high) | ((number.high == top_high) & (number.low >= top_low))
    moved = number.plus((-(1 << k)) & MASK_128)
    return Wide(np.where(beyond, moved.high, number.high), np.where(beyond, moved.low, number.low))
