"""Which window functions run along their partitions, and how far the others that stand beside them see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from millstream.operators.ordering import NO_VARIANTS, Variants
from millstream.operators.windows.functions import compile_call
from millstream.operators.windows.places import ALL_ROWS
from millstream.operators.windows.running_functions import (
    CountFunction,
    ExtremeFunction,
    FirstFunction,
    NearFunction,
    RankFunction,
    RunningFunction,
    SumFunction,
)
from millstream.plan.nodes import WindowCall
from millstream.zset.hashing import Seeds


@dataclass(frozen=True, slots=True)
class RunningCalls:
    """The functions of the calls, and how many rows before and after a row they see, apart from their states.

    `to_end`: values may change up to those rows after one behind which all states are what they were, so that a place
    with these states is no end of a change.
    """

    functions: tuple[RunningFunction, ...]
    reach: int
    to_end: bool


def running_calls(
    calls: Sequence[WindowCall], types: Sequence[pa.DataType], seeds: Seeds, variants: Variants = NO_VARIANTS
) -> RunningCalls | None:
    """The functions; None if one has no state of bounded size, or none has a state at all."""
    functions = []
    back = ahead = 0
    to_end = False
    for call in calls:
        reach = _reach(call)
        if reach is None:
            return None
        back, ahead = max(back, min(reach[0], ALL_ROWS)), max(ahead, min(reach[1], ALL_ROWS))
        function = _function(call, types, seeds, variants)
        if function is None:
            return None
        functions.append(function)
        to_end |= reach[1] > 0 or (bool(function.types) and reach[0] > 0)
    if not any(function.types for function in functions):
        return None
    return RunningCalls(tuple(functions), back + ahead, to_end)


def _reach(call: WindowCall) -> tuple[int, int] | None:
    """How many rows before and after a row are seen, apart from those that its state stands for."""
    if call.function in ("LAG", "LEAD"):
        return (call.offset, 0) if call.function == "LAG" else (0, call.offset)
    frame = call.frame
    if frame is None or (call.function == "FIRST_VALUE" and frame.whole):
        return 0, 0
    if frame.high is None:
        return None
    if not frame.rows:
        # All peers are at one place; where other distances are, in rows, is not known.
        return (0, 0) if frame.high == 0 and frame.low in (None, 0) else None
    return max(-frame.high, -(frame.low or 0), 0), max(frame.high, frame.low or 0, 0)


def _function(
    call: WindowCall, types: Sequence[pa.DataType], seeds: Seeds, variants: Variants
) -> RunningFunction | None:
    name, frame = call.function, call.frame
    if name in ("ROW_NUMBER", "RANK", "DENSE_RANK"):
        return RankFunction(name)
    # The last row of a frame is near by, wherever that begins.
    if frame is None or frame.low is not None or (name == "LAST_VALUE" and frame.high is not None):
        return NearFunction(compile_call(call, types, seeds, variants))
    if call.user is not None:
        return None
    if name == "FIRST_VALUE":
        return FirstFunction(call, types)
    if name in ("MIN", "MAX"):
        return ExtremeFunction(call, types, variants)
    if call.distinct and call.arguments:
        return None
    if name == "COUNT":
        return CountFunction(call)
    return SumFunction(call) if name in ("SUM", "AVG") else None
