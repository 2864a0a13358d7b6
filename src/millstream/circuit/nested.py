"""Circuits inside operators: the bodies of recursive definitions, run once an iteration."""

from __future__ import annotations

from collections.abc import Sequence

from millstream.circuit.graph import Node
from millstream.expressions.evaluate import EvaluationContext
from millstream.zset.delta import Delta


class NestedCircuit:
    """A graph whose first nodes are `externals` external relations and `members` members; `bodies` are the numbers of
    the nodes that compute the members' bodies. It is what operators/recursive.py calls a Body."""

    def __init__(self, nodes: Sequence[Node], externals: int, members: int, bodies: Sequence[int]) -> None:
        self._nodes = tuple(nodes)
        self._sources = externals + members
        self._bodies = tuple(bodies)
        self._started = False

    def step(
        self, externals: Sequence[Delta | None], members: Sequence[Delta | None], context: EvaluationContext
    ) -> list[Delta | None]:
        """The changes of all bodies."""
        deltas: list[Delta | None] = [*externals, *members]
        for node in self._nodes[self._sources :]:
            assert node.operator is not None
            inputs = [deltas[i] for i in node.inputs]
            delta = None
            if any(d is not None for d in inputs) or (node.operator.initial and not self._started):
                delta = node.operator.step(inputs, context)
            deltas.append(delta if delta is not None and delta.num_rows else None)
        self._started = True
        return [deltas[number] for number in self._bodies]

    @property
    def state_rows(self) -> int:
        """Entries kept."""
        return sum(node.operator.state_rows for node in self._nodes if node.operator is not None)

    @property
    def state_bytes(self) -> int:
        """Bytes of memory."""
        return sum(node.operator.state_bytes for node in self._nodes if node.operator is not None)
