"""Random numbers that depend on nothing but seed and row.

Problem: the same seed must give the same rows however they are cut into batches or spread over workers, at millions
of rows per second. A sequential generator cannot do that; a counter-based one can: every number is a hash of (seed,
row, column, draw).

Representation: `Lanes` is a vector of values to be made. Each has an `index` (the `i` of the increment strategy) and
a 64-bit `key`; a draw mixes the key with a constant of the place that asks. The mixer is the finaliser of splitmix64
(Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014), vectorised with numpy.

Cost: about 5 ns per draw; keys are made only if somebody draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
MASK_64 = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_SHIFT_32 = np.uint64(32)
_LOW_32 = np.uint64(0xFFFFFFFF)
#: Zipf sampling accepts well over half of the proposals, so this many rounds are never needed.
_MAX_ZIPF_ROUNDS = 200


def mix(words: Words) -> Words:
    """A bijection of 64-bit words in which every input bit affects every output bit."""
    z = words + np.uint64(_GOLDEN)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def salt(place: str) -> int:
    """The 64-bit constant of a place that draws."""
    return int.from_bytes(hashlib.blake2b(place.encode(), digest_size=8).digest(), "little")


class Lanes:
    """Values to be made: their indices, and the keys of their random draws."""

    def __init__(self, index: Words, make_keys: Callable[[], Words]) -> None:
        self.index = index
        self._make_keys = make_keys

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def keys(self) -> Words:
        return self._make_keys()

    def draw(self, place: int) -> Words:
        """64 random bits per value; different for each `place`."""
        return mix(self.keys ^ np.uint64(place & MASK_64))

    def elements(self, lengths: npt.NDArray[np.int64]) -> Lanes:
        """The elements of lists of those lengths, one list per value, indexed from 0 inside each list."""
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        starts = ends - lengths
        index = (np.arange(total) - np.repeat(starts, lengths)).astype(np.uint64)
        return Lanes(index, lambda: mix(np.repeat(self.keys, lengths) + index * np.uint64(_GOLDEN)))


def row_lanes(seed: int, first_row: int, count: int) -> Lanes:
    """The lanes of rows first_row .. first_row + count."""
    index = np.arange(first_row, first_row + count, dtype=np.uint64)
    return Lanes(index, lambda: mix(index + np.uint64(seed & MASK_64)))


def multiply_high(a: Words, b: np.uint64) -> Words:
    """The upper 64 bits of the 128-bit products."""
    a_low, a_high = a & _LOW_32, a >> _SHIFT_32
    b_low, b_high = b & _LOW_32, b >> _SHIFT_32
    middle = a_high * b_low + (a_low * b_low >> _SHIFT_32)
    lower = a_low * b_high + (middle & _LOW_32)
    return a_high * b_high + (middle >> _SHIFT_32) + (lower >> _SHIFT_32)


def bounded(words: Words, span: int) -> Words:
    """Random words scaled to 0 .. span - 1, for 1 <= span <= 2**64."""
    if span >= 2**64:
        return words
    if span <= 2**32:
        return (words >> _SHIFT_32) * np.uint64(span) >> _SHIFT_32
    return multiply_high(words, np.uint64(span))


def unit_interval(words: Words) -> npt.NDArray[np.float64]:
    """Random words as floats in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def zipf_ranks(lanes: Lanes, place: int, n: int, exponent: float) -> Words:
    """Ranks k = 1 .. n with probability proportional to k ** -exponent (exponent >= 0).

    Rejection from the continuous density min(1, x ** -exponent) on [0, n], whose distribution function has a closed
    inverse: x is accepted as rank floor(x) + 1 with the ratio of the two densities.
    """
    total = _zipf_area(float(n), exponent)
    ranks = np.zeros(len(lanes), np.uint64)
    pending = np.arange(len(lanes))
    for attempt in range(_MAX_ZIPF_ROUNDS):
        keys = lanes.keys[pending]
        area = unit_interval(mix(keys ^ np.uint64((place + 2 * attempt + 1) & MASK_64))) * total
        x = _zipf_inverse_area(area, exponent)
        rank = np.floor(x) + 1.0
        accept = (rank / np.maximum(x, 1.0)) ** -exponent
        accepted = (rank <= 1.0) | (unit_interval(mix(keys ^ np.uint64((place + 2 * attempt + 2) & MASK_64))) < accept)
        capped = np.minimum(rank[accepted], min(float(n), 2.0**63))
        ranks[pending[accepted]] = np.minimum(capped.astype(np.uint64), np.uint64(n))
        pending = pending[~accepted]
        if not len(pending):
            return ranks
    raise AssertionError("Zipf rejection sampling did not converge")


def _zipf_area(x: float, exponent: float) -> float:
    if exponent == 1.0:
        return 1.0 + float(np.log(x))
    return float(1.0 + (np.power(x, 1.0 - exponent) - 1.0) / (1.0 - exponent))


def _zipf_inverse_area(area: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    beyond = np.maximum(area - 1.0, 0.0)
    if exponent == 1.0:
        tail = np.exp(beyond)
    else:
        tail = np.maximum(1.0 + beyond * (1.0 - exponent), np.finfo(np.float64).tiny) ** (1.0 / (1.0 - exponent))
    return np.where(area <= 1.0, area, tail)
