"""Graphs of operators: nodes, numbered in an order in which each reads only earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from millstream.circuit.distribution import Distribution
from millstream.expressions.nodes import Expression
from millstream.operators.base import Operator
from millstream.operators.index import Index
from millstream.operators.lateness import Lateness
from millstream.plan.waterlines import Waterlines


@dataclass(frozen=True, slots=True)
class Node:
    """An operator and the numbers of the nodes it reads; tables have no operator. `append_only`: it never retracts.
    `floors`: the waterlines of which the operator is told, in its order. `distribution`: by which columns its output is
    sharded, where it is."""

    operator: Operator | None
    inputs: tuple[int, ...]
    label: str
    append_only: bool = False
    floors: tuple[Expression | None, ...] = ()
    distribution: Distribution | None = None


@dataclass(frozen=True)
class Graph:
    """All nodes, the node of each table and view by name, the lateness filters of those that have LATENESS,
    what follows from it, and the traces of tables that joins read."""

    nodes: tuple[Node, ...]
    relations: dict[str, int]
    lateness: dict[str, Lateness] = field(default_factory=dict)
    waterlines: Waterlines | None = None
    indexes: dict[str, Index] = field(default_factory=dict)
