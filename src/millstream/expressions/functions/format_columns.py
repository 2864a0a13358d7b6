"""Dates and times in a chrono format, a column at a time.

A format is a list of parts, and so is the text: each part is a column, and the columns are joined. Numbers below 1000
come out of tables of texts. Letters that are rare, `column_parts` does not know; then formats.py writes row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[np.int64]
_TEXT = pa.large_string()
_NS = 1_000_000_000
_HOUR_NS, _MINUTE_NS, _DAY_NS = 3_600 * _NS, 60 * _NS, 86_400 * _NS
_MONTHS = pa.array(["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                    "November", "December"], _TEXT)  # fmt: skip
_DAYS = pa.array(["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"], _TEXT)
_HALVES = {"p": pa.array(["AM", "PM"], _TEXT), "P": pa.array(["am", "pm"], _TEXT)}


class Moments:
    """A column of days since 1970-01-01 and nanoseconds of the day, whose parts are computed when asked for."""

    def __init__(self, days: Integers, nanos: Integers) -> None:
        self.days = days
        self.nanos = nanos
        self._parts: dict[str, Integers] = {}

    def part(self, name: str) -> Integers:
        """The year, month, day or day_of_year of each row."""
        found = self._parts.get(name)
        if found is None:
            dates = pa.array(self.days.astype(np.int32)).cast(pa.date32())
            found = self._parts[name] = np.asarray(getattr(pc, name)(dates)).astype(np.int64)
        return found


def _hour12(m: Moments) -> Integers:
    return (m.nanos // _HOUR_NS + 11) % 12 + 1


#: Letter: the number, its width and how it is filled up.
_NUMBERS: dict[str, tuple[Callable[[Moments], Integers], int, str]] = {
    "Y": (lambda m: m.part("year"), 4, "0"), "C": (lambda m: m.part("year") // 100, 2, "0"),
    "y": (lambda m: m.part("year") % 100, 2, "0"), "m": (lambda m: m.part("month"), 2, "0"),
    "d": (lambda m: m.part("day"), 2, "0"), "e": (lambda m: m.part("day"), 2, " "),
    "j": (lambda m: m.part("day_of_year"), 3, "0"), "H": (lambda m: m.nanos // _HOUR_NS, 2, "0"),
    "k": (lambda m: m.nanos // _HOUR_NS, 2, " "), "I": (_hour12, 2, "0"), "l": (_hour12, 2, " "),
    "M": (lambda m: m.nanos // _MINUTE_NS % 60, 2, "0"), "S": (lambda m: m.nanos // _NS % 60, 2, "0"),
    "f": (lambda m: m.nanos % _NS, 9, "0"), "s": (lambda m: m.days * 86_400 + m.nanos // _NS, 1, "0"),
    "w": (lambda m: (m.days + 4) % 7, 1, "0"), "u": (lambda m: (m.days + 3) % 7 + 1, 1, "0"),
}  # fmt: skip
_WORDS: dict[str, Callable[[Moments], pa.Array]] = {
    "B": lambda m: _MONTHS.take(pa.array(m.part("month") - 1)), "A": lambda m: _DAYS.take(pa.array(m.days % 7)),
    "p": lambda m: _HALVES["p"].take(pa.array(m.nanos // (12 * _HOUR_NS))),
    "P": lambda m: _HALVES["P"].take(pa.array(m.nanos // (12 * _HOUR_NS))),
    "b": lambda m: pc.utf8_slice_codeunits(_MONTHS, 0, 3).take(pa.array(m.part("month") - 1)),
    "h": lambda m: pc.utf8_slice_codeunits(_MONTHS, 0, 3).take(pa.array(m.part("month") - 1)),
    "a": lambda m: pc.utf8_slice_codeunits(_DAYS, 0, 3).take(pa.array(m.days % 7)),
}  # fmt: skip


@lru_cache(maxsize=16)
def _table(limit: int, width: int, fill: str) -> pa.Array:
    """The texts of 0 .. limit - 1."""
    return pa.array([str(i).rjust(width, fill) if fill else str(i) for i in range(limit)], _TEXT)


def _padded(numbers: Integers, width: int, fill: str) -> pa.Array:
    if len(numbers) and numbers.min() >= 0 and numbers.max() < 1000:
        return _table(1000, width, fill).take(pa.array(numbers))
    texts = pa.array(numbers).cast(_TEXT)
    return pc.utf8_lpad(texts, width, fill) if fill else texts


def _fraction(letter: str, m: Moments) -> pa.Array:
    """`%.f` (0, 3, 6 or 9 digits), `%.3f`, `%3f` ..."""
    digits = _padded(m.nanos % _NS, 9, "0")
    dot, length = "." if letter.startswith(".") else "", letter.strip(".f")
    if length:
        cut = pc.utf8_slice_codeunits(digits, 0, int(length))
        return pc.binary_join_element_wise(pa.scalar(dot, _TEXT), cut, pa.scalar("", _TEXT))
    fraction = m.nanos % _NS
    kept = np.where(fraction == 0, 0, np.where(fraction % 1_000_000 == 0, 3, np.where(fraction % 1000 == 0, 6, 9)))
    found = pa.array([""] * len(fraction), _TEXT)
    for length_kept in (3, 6, 9):
        shown = pc.binary_join_element_wise(
            pa.scalar(dot, _TEXT), pc.utf8_slice_codeunits(digits, 0, length_kept), pa.scalar("", _TEXT)
        )
        found = pc.if_else(pa.array(kept == length_kept), shown, found)
    return found


def formatted(tokens: Sequence[tuple[str, str, str]], days: Integers, nanos: Integers) -> pa.Array | None:
    """The texts of moments; None when a token needs the row-by-row way. Tokens are (padding, letter, literal)."""
    moments = Moments(days, nanos)
    parts: list[Any] = []
    for padding, letter, literal in tokens:
        if literal:
            parts.append(pa.scalar(literal, _TEXT))
        elif letter in _NUMBERS:
            compute, width, fill = _NUMBERS[letter]
            parts.append(_padded(compute(moments), width, {"": fill, "0": "0", "_": " ", "-": ""}[padding]))
        elif letter in _WORDS:
            parts.append(_WORDS[letter](moments))
        elif letter.endswith("f"):
            parts.append(_fraction(letter, moments))
        else:
            return None
    if not any(isinstance(part, pa.Array) for part in parts):
        return pa.array(["".join(part.as_py() for part in parts)] * len(days), _TEXT)
    return pc.binary_join_element_wise(*parts, pa.scalar("", _TEXT))
