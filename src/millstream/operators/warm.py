"""Warming up: compile, or load from the on-disk cache, the kernels of operators before the first step needs them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.aggregate import AggregateOperator
from millstream.operators.distinct import DistinctOperator
from millstream.operators.session import SessionOperator
from millstream.operators.topk import TopKOperator
from millstream.operators.windows.operator import WindowOperator
from millstream.plan.nodes import AggregateCall, SortKey, WindowCall, WindowFrame
from millstream.types.sql_type import BIGINT, DOUBLE, INTEGER
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS


def warm_up() -> None:
    """Runs operators that call every common kernel on a tiny input. Seconds at the first start on a machine, later
    milliseconds. The Z-set room has its own (zset/warm.py)."""
    columns = (pa.array([1, 2]), pa.array([1, 2], pa.int32()), pa.array([1.0, 2.0]))
    types = [column.type for column in columns]
    calls = (
        AggregateCall("COUNT", (), BIGINT),
        AggregateCall("COUNT", (0,), BIGINT, True),
        AggregateCall("SUM", (1,), INTEGER),
        AggregateCall("AVG", (0,), BIGINT),
        AggregateCall("SUM", (2,), DOUBLE),
        AggregateCall("MAX", (0,), BIGINT),
    )
    order = (SortKey(0, False, False),)
    frame = WindowFrame(False, None, 0)
    running = (
        WindowCall("RANK", (), BIGINT),
        WindowCall("SUM", (0,), BIGINT, frame),
        WindowCall("SUM", (2,), DOUBLE, frame),
        WindowCall("MAX", (0,), BIGINT, frame),
    )
    context = EvaluationContext()
    for operator in (
        AggregateOperator(types, (0,), calls, False, DEFAULT_SEEDS),
        DistinctOperator(DEFAULT_SEEDS),
        WindowOperator(types, (1,), order, (WindowCall("LAG", (0,), BIGINT),), DEFAULT_SEEDS),
        SessionOperator(types, (1,), 0, 1, (1,), DEFAULT_SEEDS),
        TopKOperator(types, (0,), order, 1, 0, False, DEFAULT_SEEDS),
    ):
        for weight in (1, -1):
            operator.step([Delta(columns, np.full(2, weight, np.int64))], context)
    windows = WindowOperator(types, (), order, running, DEFAULT_SEEDS)
    # So many rows that there are checkpoints, and then one before them all.
    for keys in (np.arange(1, 1_000), np.zeros(1)):
        row = tuple(pa.array(keys).cast(data_type) for data_type in types)
        windows.step([Delta.inserts(row)], context)
