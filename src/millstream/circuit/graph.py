"""Graphs of operators: nodes, numbered in an order in which each reads only earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from millstream.operators.base import Operator
from millstream.operators.lateness import Lateness


@dataclass(frozen=True, slots=True)
class Node:
    """An operator and the numbers of the nodes it reads; tables have no operator. `append_only`: it never retracts."""

    operator: Operator | None
    inputs: tuple[int, ...]
    label: str
    append_only: bool = False


@dataclass(frozen=True)
class Graph:
    """All nodes, the node of each table and view by name, and the waterlines of those that have LATENESS."""

    nodes: tuple[Node, ...]
    relations: dict[str, int]
    lateness: dict[str, Lateness] = field(default_factory=dict)
