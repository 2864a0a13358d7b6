"""How far window functions reach along their order key: which rows a new one may change, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from millstream.plan.nodes import Window, WindowCall

_NEIGHBOURS = frozenset(("LAG", "LEAD"))
_RANKS = frozenset(("ROW_NUMBER", "RANK", "DENSE_RANK"))


@dataclass(frozen=True, slots=True)
class Reach:
    """What a row with order key v may do to the rows of its partition, along the key `column`.

    `changes`: only rows with keys from v - changes on get other values; None: any row may. Those values depend on rows
    with keys from v - needs on; or, where `needs` is None, on the last `rows` rows before v - changes, whatever their
    keys; or, where both are None, on the whole partition. Distances have the unit of the key's Arrow type.
    """

    column: int
    changes: int | None
    needs: int | None = None
    rows: int | None = None


def window_reach(plan: Window) -> Reach | None:
    """The reach of all functions of a window together; None if it has not one order key.

    Rows without a key come at any time, and are neighbours of those at one end: then only bounded ranges, which end at
    NULLs, have a reach.
    """
    if len(plan.keys) != 1:
        return None
    frames = [call.frame for call in plan.calls]
    if frames and all(frame is not None and not frame.rows for frame in frames):
        return _of_ranges(plan)
    return None if plan.input.schema[plan.keys[0].column].type.nullable else _of_rows(plan)


def _of_rows(plan: Window) -> Reach:
    """Functions that count rows. Rows with equal keys are in the order of their other columns."""
    key = plan.keys[0]
    before: float = 0
    after: float = 0
    for call in plan.calls:
        low, high = _distances(call)
        before, after = max(before, -low), max(after, high)
    if key.descending:
        before, after = after, before
    rows = None if before + after == inf else int(before + after)
    return Reach(key.column, None if after else 0, None, rows)


def _distances(call: WindowCall) -> tuple[float, float]:
    """The first and last row that a call sees, by their distance in rows."""
    if call.function in _NEIGHBOURS:
        return (-call.offset, 0) if call.function == "LAG" else (0, call.offset)
    if call.function in _RANKS:
        return -inf, 0
    frame = call.frame
    if frame is None or not frame.rows:
        return -inf, inf
    return -inf if frame.low is None else frame.low, inf if frame.high is None else frame.high


def _of_ranges(plan: Window) -> Reach | None:
    key = plan.keys[0]
    low: float = 0
    high: float = 0
    for call in plan.calls:
        frame = call.frame
        assert frame is not None
        near = -inf if frame.low is None else frame.low
        far = inf if frame.high is None else frame.high
        if key.descending:
            near, far = -far, -near
        low, high = min(low, near), max(high, far)
    if (low == -inf or high == inf) and plan.input.schema[key.column].type.nullable:
        return None
    return Reach(key.column, None if high == inf else int(high), None if high - low == inf else int(high - low))
