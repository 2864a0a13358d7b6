"""Trying operands that may fail on all rows of a batch.

AND, OR and CASE look at an operand that may fail only on the rows for which SQL evaluates it. Narrowing the batch to
them and putting the results together again costs several times what the operand does, and operands rarely fail. So all
rows are tried first. A failure proves nothing - it may come from a row that SQL never looks at - and sends the batch,
and all later ones, the guarded way.

Only what is cheap on rows that do not matter is tried: operands that compute with numbers, times and booleans alone,
and call no code of users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.expressions.functions.user_defined import calls_user_code
from millstream.expressions.nodes import Expression, Lambda, children
from millstream.expressions.vectors import Value
from millstream.types import arrow_type

Evaluation = Callable[[Any], Value]


def attempted(eager: Evaluation, guarded: Evaluation, operands: Sequence[Expression]) -> Evaluation:
    """`eager` until it fails for the first time, `guarded` then and from then on; both take the frame. `operands` are
    those that only `guarded` narrows the frame for."""
    if not all(_is_cheap(operand) and not calls_user_code(operand) for operand in operands):
        return guarded
    failed = False

    def evaluate(frame: Any) -> Value:
        nonlocal failed
        if not failed:
            try:
                return eager(frame)
            except (EvaluationError, pa.ArrowInvalid):
                failed = True
        return guarded(frame)

    return evaluate


def _is_cheap(expression: Expression) -> bool:
    """Whether `expression` and all that it is made of are of a fixed width."""
    if isinstance(expression, Lambda):
        return False
    data_type = arrow_type(expression.type)
    if not (pa.types.is_primitive(data_type) or pa.types.is_decimal(data_type)):
        return False
    return all(_is_cheap(child) for child in children(expression))
