"""Graphs of operators: nodes, numbered in an order in which each reads only earlier ones."""

from __future__ import annotations

from dataclasses import dataclass

from millstream.operators.base import Operator


@dataclass(frozen=True, slots=True)
class Node:
    """An operator and the numbers of the nodes it reads; tables have no operator. `append_only`: it never retracts."""

    operator: Operator | None
    inputs: tuple[int, ...]
    label: str
    append_only: bool = False


@dataclass(frozen=True)
class Graph:
    """All nodes, and the node of each table and view by name."""

    nodes: tuple[Node, ...]
    relations: dict[str, int]
