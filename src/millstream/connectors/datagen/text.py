"""Columns of text: decimal counters, random letters, and joins of picks from word tables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.datagen import words
from millstream.connectors.datagen.integers import index_times, integers, parse_range, plain_integer
from millstream.connectors.datagen.random import Lanes, bounded, salt
from millstream.connectors.datagen.scalars import Generator
from millstream.connectors.datagen.settings import NUMERIC_STRATEGIES, FieldSettings
from millstream.types import SqlType

TEXT = pa.large_string()
_ALPHANUMERIC = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
_DEFAULT_LENGTHS = (0, 25)
_LENGTH_LIMITS = (0, 2**31 - 1)
_COUNTER_MODULUS = 2**63
_LETTER = salt("letter")
_PICK = salt("pick")
#: Strategies whose range counts the parts: (table of parts, separator).
_COUNTED = {"words": " ", "sentences": " ", "paragraph": " ", "paragraphs": "\n"}


def text_column(sql_type: SqlType, settings: FieldSettings) -> Generator:
    """CHAR and VARCHAR, with any strategy. Raises OptionError."""
    strategy = settings.strategy
    if strategy == "increment":
        scale = settings.scale
        return lambda lanes: pc.cast(
            pa.array(index_times(lanes.index, scale, _COUNTER_MODULUS, floored=False).view(np.int64)), TEXT
        )
    if strategy in (*NUMERIC_STRATEGIES, "password"):
        lengths = length_maker(settings, "a length")
        return lambda lanes: random_text(lanes, lengths(lanes))
    if strategy == "sentence":
        counts = length_maker(settings, "a number of words")
        return lambda lanes: _sentences(joined_picks(lanes, counts(lanes), words.table("word"), " "))
    if strategy in _COUNTED:
        parts = words.PARTS_OF[strategy]
        counts = length_maker(settings, f"a number of {parts}s")
        table, separator = words.table(parts), _COUNTED[strategy]
        return lambda lanes: joined_picks(lanes, counts(lanes), table, separator)
    return template_column(strategy)


class LengthMaker:
    """Lengths by strategy: of texts, lists and maps, and the counts of words."""

    def __init__(self, settings: FieldSettings, default: tuple[int, int], what: str) -> None:
        given = parse_range(settings, plain_integer, "an integer")
        if given is not None and given[0] < 0:
            raise settings.error(f"range bound {given[0]} is negative; it is {what}")
        self._make = integers(settings, _LENGTH_LIMITS, given, default, "a length")

    def __call__(self, lanes: Lanes) -> npt.NDArray[np.int64]:
        return self._make(lanes).view(np.int64)


def length_maker(settings: FieldSettings, what: str) -> LengthMaker:
    """Lengths of texts: uniform in the range unless the strategy is zipf; `scale` means nothing."""
    strategy = "zipf" if settings.strategy == "zipf" else "uniform"
    plain = FieldSettings(settings.path, strategy, settings.range, exponent=settings.exponent)
    return LengthMaker(plain, _DEFAULT_LENGTHS, what)


def random_text(lanes: Lanes, lengths: npt.NDArray[np.int64]) -> pa.Array:
    """Random letters and digits, `lengths[i]` of them in text i."""
    letters = lanes.elements(lengths).draw(_LETTER)
    data = _ALPHANUMERIC[bounded(letters, len(_ALPHANUMERIC)).astype(np.intp)]
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    return pa.Array.from_buffers(TEXT, len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def joined_picks(lanes: Lanes, counts: npt.NDArray[np.int64], table: pa.Array, separator: str) -> pa.Array:
    """`counts[i]` random entries of the table, joined."""
    picks = bounded(lanes.elements(counts).draw(_PICK), len(table))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), table.take(pa.array(picks)))
    return pc.binary_join(lists, pa.scalar(separator, TEXT))


def _sentences(texts: pa.Array) -> pa.Array:
    """First letter upper case, full stop at the end; an empty text stays empty."""
    full = pc.binary_join_element_wise(pc.utf8_capitalize(texts), pa.scalar(".", TEXT), pa.scalar("", TEXT))
    return pc.if_else(pc.equal(texts, ""), texts, full)


def template_column(strategy: str) -> Generator:
    """A strategy that joins one pick from each of its tables; several templates are equally likely."""
    alternatives = words.templates(strategy)
    finish = words.FINISHERS.get(strategy)

    def generate(lanes: Lanes) -> pa.Array:
        drawn = [_fill(lanes, template) for template in alternatives]
        text = drawn[0]
        if len(drawn) > 1:
            chosen = bounded(lanes.draw(salt("template")), len(drawn))
            text = pc.choose(pa.array(chosen.astype(np.int64)), *drawn)
        return text if finish is None else finish(text)

    return generate


def _fill(lanes: Lanes, template: tuple[pa.Array | str, ...]) -> pa.Array:
    pieces: list[pa.Array | pa.Scalar] = []
    for position, part in enumerate(template):
        if isinstance(part, str):
            pieces.append(pa.scalar(part, TEXT))
        else:
            picks = bounded(lanes.draw(salt(f"template part {position}")), len(part))
            pieces.append(part.take(pa.array(picks)))
    if len(pieces) == 1:
        return pieces[0]
    return pc.binary_join_element_wise(*pieces, pa.scalar("", TEXT))
