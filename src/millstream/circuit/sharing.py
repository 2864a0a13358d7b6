"""Which joins share the traces of their inputs.

A join keeps a trace of each input by its join key. Where several keep one of the same stream by the same key, whichever
columns of it they want, they read an index instead (operators/index.py) that keeps the columns of all. One that wants
nothing but the key stays by itself: its trace has a row a key, and that of the others one for every row of the stream.
A join by a table's primary key reads the table's own trace.

Joins share only where they forget at the same time, that is, are told the same floors. Joins whose condition may fail
do not share, for they take their changes in several rounds, nor do the bodies of recursive views and, with several
workers, the replicas of operators.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from millstream.circuit.graph import Graph, Node
from millstream.expressions.nodes import Expression
from millstream.operators.index import Index, IndexOperator, IndexReader
from millstream.operators.join import JoinOperator
from millstream.operators.project import ProjectOperator
from millstream.plan.program import Table
from millstream.types import arrow_type
from millstream.zset.hashing import Seeds


@dataclass(frozen=True, slots=True)
class _Use:
    """One side of the join of a node: it wants `columns`, of these types, of the stream `source`, by the columns `key`
    of that. `floors`: for columns of the key what no change to come is below."""

    node: int
    operator: JoinOperator
    is_left: bool
    source: int
    columns: tuple[int, ...]
    types: tuple[pa.DataType, ...]
    key: tuple[int, ...]
    floors: tuple[tuple[int, Expression], ...]

    @property
    def group(self) -> Hashable:
        """Uses with the same can share."""
        return self.source, self.key, self.operator.null_safe, self.floors

    def read(self, index: Index, kept: Sequence[int]) -> None:
        """Makes the join read an index that has the columns `kept` of the stream."""
        places = [kept.index(column) for column in self.columns]
        # A step is two: first the right side changes, then the left one.
        self.operator.share(self.is_left, IndexReader(index, places, before=self.is_left))


def share_traces(graph: Graph, tables: Sequence[Table], seeds: Seeds) -> Graph:
    """The graph, with indexes where joins can share their traces."""
    groups: dict[Hashable, list[_Use]] = {}
    indexes: dict[str, Index] = {}
    by_node = {graph.relations[table.name]: table for table in tables}
    for use in _uses(graph.nodes):
        table = by_node.get(use.source)
        if use.key and table is not None and table.primary_key == use.key and not _forgets(table):
            index = indexes.get(table.name)
            if index is None:
                types = [arrow_type(column.type) for column in table.columns]
                index = indexes[table.name] = Index(types, table.primary_key, seeds)
            use.read(index, range(len(table.columns)))
        elif set(use.columns) - set(use.key):
            groups.setdefault(use.group, []).append(use)
    added: dict[int, list[Node]] = {}
    for uses in groups.values():
        if len(uses) > 1:
            added.setdefault(uses[0].source, []).append(_shared(uses, seeds))
    return replace(_with_indexes(graph, added), indexes=indexes)


def _forgets(table: Table) -> bool:
    """Whether the table forgets rows that joins may still ask for."""
    return bool(table.late_keys) and not table.queryable


def _uses(nodes: Sequence[Node]) -> list[_Use]:
    """The sides of joins that could share their traces."""
    found = []
    for number, node in enumerate(nodes):
        join = node.operator
        if not isinstance(join, JoinOperator):
            continue
        for is_left, types, keys in join.sides_to_share:
            source = node.inputs[0 if is_left else 1]
            columns = tuple(range(len(types)))
            while isinstance(project := nodes[source].operator, ProjectOperator) and project.order is not None:
                columns = tuple(project.order[column] for column in columns)
                (source,) = nodes[source].inputs
            key = tuple(columns[k] for k in keys)
            # A trace is only probed by changes of the other side.
            bounds = node.floors[1::2] if is_left else node.floors[0::2]
            floors = [(key[k], bound) for k, bound in zip(join.floors, bounds, strict=True) if bound is not None]
            found.append(_Use(number, join, is_left, source, columns, types, key, tuple(floors)))
    return found


def _shared(uses: Sequence[_Use], seeds: Seeds) -> Node:
    """The index that they share, which they are made to read."""
    first = uses[0]
    types = {column: data_type for use in uses for column, data_type in zip(use.columns, use.types, strict=True)}
    kept = sorted(types)
    operator = IndexOperator(
        [types[column] for column in kept],
        kept,
        [kept.index(column) for column in first.key],
        first.operator.null_safe,
        [kept.index(column) for column, _ in first.floors],
        seeds,
    )
    for use in uses:
        use.read(operator.index, kept)
    return Node(operator, (first.source,), "index", floors=tuple(bound for _, bound in first.floors))


def _with_indexes(graph: Graph, added: dict[int, list[Node]]) -> Graph:
    """The graph with the nodes `added`, each behind the node that it reads, and so before all others that do."""
    places: list[int] = []
    count = 0
    for number in range(len(graph.nodes)):
        places.append(count)
        count += 1 + len(added.get(number, ()))
    nodes: list[Node] = []
    for number, node in enumerate(graph.nodes):
        here = (node, *added.get(number, ()))
        nodes.extend(replace(one, inputs=tuple(places[i] for i in one.inputs)) for one in here)
    relations = {name: places[number] for name, number in graph.relations.items()}
    return replace(graph, nodes=tuple(nodes), relations=relations)
