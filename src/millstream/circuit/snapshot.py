"""Snapshots: the contents of materialized relations after one step. References only: nothing is copied."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from millstream.errors import MillstreamError
from millstream.plan.nodes import Schema
from millstream.types import arrow_schema
from millstream.types.variant import untagged
from millstream.zset.delta import Delta
from millstream.zset.trace import TraceSnapshot


class CircuitSnapshot:
    """What every materialized relation held after the same step. Immutable, and safe to read from any thread."""

    def __init__(self, schemas: Mapping[str, Schema], contents: Mapping[str, TraceSnapshot]) -> None:
        self._schemas = schemas
        self._contents = contents

    @property
    def relations(self) -> tuple[str, ...]:
        """Names of the relations whose contents are kept."""
        return tuple(self._contents)

    def delta(self, name: str) -> Delta:
        """The rows of a relation and their multiplicities, consolidated. O(state).

        MillstreamError if the relation is unknown or not materialized.
        """
        found = self._contents.get(name)
        if found is not None:
            return found.to_delta()
        if name in self._schemas:
            raise MillstreamError(
                "RelationNotMaterialized", f"relation '{name}' is not materialized", {"relation": name}
            )
        raise MillstreamError("UnknownRelation", f"unknown relation '{name}'", {"relation": name}, 404)

    def table(self, name: str) -> pa.Table:
        """The relation as an Arrow table with the columns' SQL names and VARIANTs as JSON; a row of multiplicity n
        occurs n times."""
        delta = self.delta(name)
        if len(delta.weights) and (delta.weights.min() < 1 or delta.weights.max() > 1):
            delta = delta.take(np.repeat(np.arange(delta.num_rows), np.maximum(delta.weights, 0)))
        schema = arrow_schema((column.name, column.type) for column in self._schemas[name])
        columns = [untagged(data, c.type) for data, c in zip(delta.columns, self._schemas[name], strict=True)]
        return pa.Table.from_arrays(columns, schema=schema)
