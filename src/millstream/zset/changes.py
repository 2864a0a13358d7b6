"""Change batches: what connectors deliver to a table, before primary keys are resolved.

A table without primary key takes INSERT and DELETE rows as weights +1 and -1. A table with one treats INSERT as
upsert, DELETE by key alone, and UPDATE as a patch of the columns that are present; there the order of rows matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Operation(IntEnum):
    """What a row of a change batch does."""

    DELETE = -1
    INSERT = 1
    UPDATE = 2


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Rows for one table, in arrival order.

    `columns` has one array per table column, in declaration order, of the column's Arrow type. `operations` holds an
    `Operation` per row, or None when all are INSERT. `present[c]`, for batches with UPDATE rows, is a boolean per row
    (or None: present in all) that says whether the row gives a value for column c; other rows ignore it.
    """

    columns: tuple[pa.Array, ...]
    num_rows: int
    operations: npt.NDArray[np.int8] | None = None
    present: tuple[npt.NDArray[np.bool_] | None, ...] | None = None

    def slice(self, offset: int, length: int) -> ChangeBatch:
        """Rows offset .. offset + length, without copying values."""
        end = offset + length
        return ChangeBatch(
            tuple(c.slice(offset, length) for c in self.columns),
            max(0, min(length, self.num_rows - offset)),
            None if self.operations is None else self.operations[offset:end],
            None
            if self.present is None
            else tuple(None if mask is None else mask[offset:end] for mask in self.present),
        )
