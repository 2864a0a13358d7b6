"""The shape of a cast between two types.

A *conversion* maps an array to the converted array and a mask of the elements that could not be converted
(None: no such element). What happens to those is decided in one place: a plain CAST raises the conversion's
own message for the first of them, a safe cast makes them NULL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.errors import EvaluationError
from millstream.expressions.vectors import Bools, Kernel, Value, broadcast, is_scalar

Converted = tuple[pa.Array, Bools | None]


@dataclass(frozen=True, slots=True)
class Conversion:
    """`convert` never raises for bad values if `explain` is given; `explain(value)` is then the message for
    one."""

    convert: Callable[[pa.Array], Converted]
    explain: Callable[[Any], str] | None = None


def total(convert: Callable[[pa.Array], pa.Array]) -> Conversion:
    """A conversion that cannot fail."""
    return Conversion(lambda array: (convert(array), None))


def kernel_of(conversion: Conversion, *, safe: bool) -> Kernel:
    """The evaluator's kernel of a conversion."""

    def kernel(value: Value) -> Value:
        array = broadcast(value, 1) if is_scalar(value) else value
        converted, failed = conversion.convert(array)
        if failed is not None and failed.any():
            if not safe:
                assert conversion.explain is not None
                raise EvaluationError(conversion.explain(array[int(np.argmax(failed))]))
            converted = pc.if_else(pa.array(failed), pa.scalar(None, converted.type), converted)
        return converted[0] if is_scalar(value) else converted

    return kernel


def failed_between(source: pa.Array, converted: pa.Array) -> Bools | None:
    """Elements that are NULL after a conversion but were not before."""
    if converted.null_count == source.null_count:
        return None
    return np.asarray(pc.and_(converted.is_null(), source.is_valid()).to_numpy(zero_copy_only=False))
