"""Whole numbers by strategy: the base of integer, date, time and timestamp columns and of lengths.

All arithmetic is modulo 2**64 in unsigned words and reinterpreted at the end; ranges and scales were checked before,
so nothing wraps that a user could see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from millstream.connectors.datagen.random import MASK_64, Lanes, Words, bounded, salt, zipf_ranks
from millstream.connectors.datagen.settings import NUMERIC_STRATEGIES, FieldSettings
from millstream.connectors.options import shown

#: Lanes to 64-bit words; two's complement where the numbers are signed.
IntegerMaker = Callable[[Lanes], Words]
_INT64_MAX = 2**63 - 1


def index_times(index: Words, scale: int, modulus: int, *, floored: bool) -> npt.NDArray[Any]:
    """`i * scale` modulo `modulus`, as words. `floored`: in 0 .. modulus - 1; else the sign follows the scale.

    Products beyond 64 bits (billions of rows with a large scale) take a slow path over Python integers."""
    if not len(index):
        return index
    largest = int(index.max())
    if largest * abs(scale) <= _INT64_MAX:
        product = index.astype(np.int64) * np.int64(scale)
        if (scale >= 0 or not floored) and largest * abs(scale) < modulus:
            return product.view(np.uint64)
        if modulus <= _INT64_MAX:
            small = np.mod(product, modulus) if floored else np.fmod(product, modulus)
            return small.view(np.uint64)
    exact = index.astype(object) * scale
    wide = exact % modulus if floored or scale >= 0 else -(-exact % modulus)
    return (wide & MASK_64).astype(np.uint64)


def require_numeric_strategy(settings: FieldSettings, type_name: str) -> None:
    """A string strategy makes no numbers. Raises OptionError."""
    if settings.strategy not in NUMERIC_STRATEGIES:
        raise settings.error(
            f"Invalid strategy `{settings.strategy}` for type {type_name}; "
            f"expected one of {', '.join(f'`{name}`' for name in NUMERIC_STRATEGIES)}"
        )


def parse_range(settings: FieldSettings, parse: Callable[[Any], int | None], what: str) -> tuple[int, int] | None:
    """The range as integers of the column's unit, None if not set. Raises OptionError for bad bounds."""
    if settings.range is None:
        return None
    bounds = []
    for bound in settings.range:
        number = parse(bound)
        if number is None:
            raise settings.error(f"range bound {shown(bound)} is not {what}")
        bounds.append(number)
    low, high = bounds
    if low > high:
        raise settings.error(
            f"invalid range [{shown(settings.range[0])}, {shown(settings.range[1])}): min is greater than max"
        )
    if low == high:
        raise settings.error(f"Empty range [{shown(settings.range[0])}, {shown(settings.range[1])}): max is exclusive")
    return low, high


def plain_integer(value: Any) -> int | None:
    """A JSON integer, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def integers(
    settings: FieldSettings,
    limits: tuple[int, int],
    given: tuple[int, int] | None,
    default: tuple[int, int] | None = None,
    type_name: str = "integer",
) -> IntegerMaker:
    """Numbers within `limits` (both inclusive) by the settings' strategy.

    `given` is the parsed range, `default` the range where there is none; without either, increment counts from 0
    modulo the largest number and the others use the whole type. Raises OptionError.
    """
    require_numeric_strategy(settings, type_name)
    lowest, highest = limits
    span = given or default
    if given is not None and not (lowest <= given[0] and given[1] - 1 <= highest):
        raise settings.error(
            f"range [{given[0]}, {given[1]}) is outside of {type_name}, which holds {lowest}..{highest}"
        )
    if settings.strategy == "increment":
        return _increment(settings, limits, span, type_name)
    if settings.strategy == "zipf":
        return _zipf(settings, span or (0, highest))
    return _uniform(settings, limits, given, span or (lowest, highest), type_name)


def _increment(
    settings: FieldSettings, limits: tuple[int, int], span: tuple[int, int] | None, type_name: str
) -> IntegerMaker:
    scale = settings.scale
    if span is None:
        if scale < 0 and limits[0] == 0:
            raise settings.error(f"a negative scale ({scale}) needs a range: {type_name} holds no negative numbers")
        return lambda lanes: index_times(lanes.index, scale, limits[1], floored=False)
    low, high = span
    offset = np.uint64(low & MASK_64)
    return lambda lanes: index_times(lanes.index, scale, high - low, floored=True) + offset


def _zipf(settings: FieldSettings, span: tuple[int, int]) -> IntegerMaker:
    place, exponent = salt("zipf"), settings.exponent
    count, offset = span[1] - span[0], np.uint64((span[0] - 1) & MASK_64)
    return lambda lanes: zipf_ranks(lanes, place, count, exponent) + offset


def _uniform(
    settings: FieldSettings,
    limits: tuple[int, int],
    given: tuple[int, int] | None,
    span: tuple[int, int],
    type_name: str,
) -> IntegerMaker:
    scale = settings.scale
    low, high = span
    products = (low * scale, (high - 1) * scale)
    if not (limits[0] <= min(products) and max(products) <= limits[1]):
        if given is not None:
            raise settings.error(
                f"values of the range [{low}, {high}) times scale {scale} do not fit {type_name}, "
                f"which holds {limits[0]}..{limits[1]}"
            )
        # Nobody chose the range, so it gives way to the scale.
        edges = sorted((_toward_zero(limits[0], scale), _toward_zero(limits[1], scale)))
        low, high = max(low, edges[0]), min(high, edges[1] + 1)
    place = salt("uniform")
    offset, factor, count = np.uint64(low & MASK_64), np.uint64(scale & MASK_64), high - low
    if scale == 1:
        return lambda lanes: bounded(lanes.draw(place), count) + offset
    return lambda lanes: (bounded(lanes.draw(place), count) + offset) * factor


def _toward_zero(number: int, divisor: int) -> int:
    quotient = abs(number) // abs(divisor)
    return quotient if (number < 0) == (divisor < 0) else -quotient
