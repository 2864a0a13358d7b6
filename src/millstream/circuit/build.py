"""From plans to a graph of operators.

Nodes are numbered in an order in which each reads only earlier ones. Plans are built bottom-up and a node is found
again by what it computes: its operator's parameters and the numbers of the nodes that it reads. So equal subplans are
shared, within a view and between views, whatever their columns are called; a scan of a view is that view's node.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from millstream.circuit.distribution import Distribution, moved, projected, sharding
from millstream.circuit.floors import floored
from millstream.circuit.graph import Graph, Node
from millstream.circuit.keyed import keyed, types_of
from millstream.circuit.nested import NestedCircuit
from millstream.circuit.sharded import ShardedOperator
from millstream.circuit.sharing import share_traces
from millstream.circuit.workers import SINGLE, Workers
from millstream.errors import MillstreamError
from millstream.expressions.nodes import Call, ColumnRef, Expression, children, columns_used, remap_columns
from millstream.operators.base import KeyedOperator, Operator
from millstream.operators.error_view import ErrorViewOperator
from millstream.operators.filter import FilterOperator
from millstream.operators.hop import HopOperator
from millstream.operators.join import JoinOperator
from millstream.operators.lateness import Lateness, LatenessOperator
from millstream.operators.project import ProjectOperator, column_order
from millstream.operators.recursive import LevelledOperator, MemberOperator, RecursiveOperator, UnrolledOperator
from millstream.operators.temporal import TemporalOperator
from millstream.operators.union import UnionOperator
from millstream.operators.unnest import UnnestOperator
from millstream.operators.values import ValuesOperator
from millstream.operators.volatile import VolatileOperator
from millstream.plan.nodes import (
    Filter,
    Hop,
    Join,
    JoinKind,
    Plan,
    Project,
    Recursive,
    Scan,
    TopK,
    UnionAll,
    Unnest,
    Values,
    Window,
)
from millstream.plan.program import ERROR_VIEW, Delay, Program, View
from millstream.plan.recursion import NotMonotoneError, Recursion, external_name, levelled, split
from millstream.plan.temporal import required_guards, split_guards
from millstream.plan.walk import reads_relation
from millstream.plan.waterlines import Waterlines
from millstream.types import SqlType, arrow_type
from millstream.zset.hashing import Seeds


def build_graph(program: Program, seeds: Seeds, workers: Workers = SINGLE) -> Graph:
    """The graph of all views of `program`, for so many workers. MillstreamError for what no operator supports."""
    delayed = any(table.delays for table in program.tables) or any(view.delays for view in program.views)
    waterlines = Waterlines(program) if delayed or program.uses_now else None
    builder = _Builder(seeds, waterlines, workers)
    for table in program.tables:
        append_only = table.append_only and not table.primary_key
        builder.relations[table.name] = builder.add(Node(None, (), table.name, append_only))
        if table.delays:
            builder.lateness[table.name] = _lateness([column.type for column in table.columns], table.delays)
    by_name = {view.name: view for view in program.views}
    # What reads error_view comes after everything that writes it.
    readers = {view.name for view in program.views if reads_relation(view, ERROR_VIEW, by_name)}
    for view in program.views:
        if view.name not in readers:
            builder.relations[view.name] = builder.view(view)
    if readers or builder.lateness or program.keeps_errors:
        builder.relations[ERROR_VIEW] = builder.error_view(program)
    for view in program.views:
        if view.name in readers:
            builder.relations[view.name] = builder.view(view)
    graph = Graph(tuple(builder.nodes), builder.relations, builder.lateness, waterlines)
    return graph if workers.count > 1 else share_traces(graph, program.tables, seeds)


def _lateness(types: Sequence[SqlType], delays: Sequence[Delay]) -> Lateness:
    return Lateness([(delay.column, types[delay.column], delay.lateness) for delay in delays])


def uses_now(expression: Expression) -> bool:
    """Whether the value of `expression` depends on the time of the step."""
    if isinstance(expression, Call) and expression.name == "NOW":
        return True
    return any(uses_now(child) for child in children(expression))


@dataclass
class _Builder:
    seeds: Seeds
    waterlines: Waterlines | None = None
    workers: Workers = SINGLE
    nodes: list[Node] = field(default_factory=list)
    relations: dict[str, int] = field(default_factory=dict)
    lateness: dict[str, Lateness] = field(default_factory=dict)
    _found: dict[Hashable, int] = field(default_factory=dict)

    def view(self, view: View) -> int:
        """The number of the node whose output is the view."""
        node = self.build(view.plan)
        if not view.delays:
            return node
        lateness = self.lateness[view.name] = _lateness([column.type for column in view.schema], view.delays)
        return self.add(Node(LatenessOperator(lateness, self.seeds), (node,), "lateness", self.nodes[node].append_only))

    def error_view(self, program: Program) -> int:
        """The node that gathers late rows."""
        schemas = {table.name: table.schema for table in program.tables}
        schemas.update((view.name, view.schema) for view in program.views)
        sources = [(name, schemas[name], lateness) for name, lateness in self.lateness.items()]
        inputs = tuple(self.relations[name] for name in self.lateness)
        operator = ErrorViewOperator(sources) if sources else UnionOperator()
        return self.add(Node(operator, inputs, "error view", append_only=True))

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def build(self, plan: Plan) -> int:
        """The number of the node that computes `plan`."""
        if isinstance(plan, Scan):
            return self.relations[plan.relation]
        if isinstance(plan, Join):
            return self._join(plan)
        if isinstance(plan, Recursive):
            return self._recursive(plan)
        if isinstance(plan, Project) and isinstance(plan.input, Hop):
            order = column_order(plan.expressions)
            if order is not None and plan.input.time_column not in order:
                return self._hop(plan.input, order)
        if isinstance(plan, Window) and isinstance(plan.input, TopK) and plan.numbers_limited:
            return self._stateful(plan.input, (self.build(plan.input.input),), numbered=True)
        if isinstance(plan, Project) and isinstance(plan.input, Filter):
            found = self._filtered_project(plan, plan.input)
            if found is not None:
                return found
        inputs = tuple(self.build(child) for child in plan.inputs)
        if isinstance(plan, Project):
            return self._project(plan, inputs[0])
        if isinstance(plan, Filter):
            return self._filter(plan.predicate, inputs[0], types_of(plan.input))
        if isinstance(plan, UnionAll):
            append_only = all(self.nodes[i].append_only for i in inputs)
            return self._node("union", (), inputs, UnionOperator, append_only)
        if isinstance(plan, Values):
            return self._values(plan)
        if isinstance(plan, Hop):
            return self._hop(plan, None)
        if isinstance(plan, Unnest):
            return self._unnest(plan, inputs[0])
        return self._stateful(plan, inputs)

    def _node(
        self,
        kind: str,
        parameters: Hashable,
        inputs: Sequence[int],
        make: Callable[[], Operator],
        append_only: bool = False,
        floors: tuple[Expression | None, ...] = (),
        distribution: Distribution | None = None,
    ) -> int:
        """The node with those parameters and inputs, made if there is none."""
        key = (kind, parameters, tuple(inputs))
        if key not in self._found:
            self._found[key] = self.add(Node(make(), tuple(inputs), kind, append_only, floors, distribution))
        return self._found[key]

    def _keyed(
        self,
        plan: Plan,
        kind: str,
        parameters: Hashable,
        inputs: Sequence[int],
        make: Callable[[], KeyedOperator],
        append_only: bool = False,
        floors: tuple[Expression | None, ...] = (),
    ) -> int:
        """The same for an operator with state, sharded where there are workers and it has a key."""
        workers, seeds = self.workers, self.seeds
        how = None if workers.count == 1 else sharding(plan, [self.nodes[i].distribution for i in inputs])
        if how is None:
            return self._node(kind, parameters, inputs, make, append_only, floors)
        return self._node(
            kind,
            parameters,
            inputs,
            lambda: ShardedOperator(make, how, workers, seeds),
            append_only,
            floors,
            how.output,
        )

    def _project(self, plan: Project, source: int) -> int:
        order = column_order(plan.expressions)
        if order is not None and order == tuple(range(len(plan.input.schema))):
            return source
        if any(uses_now(e) for e in plan.expressions):
            return self._node("project", plan.expressions, (source,), lambda: self._timed_project(plan))
        return self._projection(plan.expressions, source)

    def _projection(self, expressions: tuple[Expression, ...], source: int) -> int:
        node = self.nodes[source]
        return self._node(
            "project",
            expressions,
            (source,),
            lambda: ProjectOperator(expressions, self.seeds),
            node.append_only,
            distribution=projected(node.distribution, expressions),
        )

    def _filter(self, predicate: Expression, source: int, types: tuple[pa.DataType, ...]) -> int:
        if uses_now(predicate):
            return self._node("filter", predicate, (source,), lambda: self._timed_filter(predicate, types))
        node = self.nodes[source]
        return self._node(
            "filter",
            predicate,
            (source,),
            lambda: FilterOperator(predicate, self.seeds),
            node.append_only,
            distribution=node.distribution,
        )

    def _filtered_project(self, plan: Project, filtered: Filter) -> int | None:
        """The projection of a filter that moves only the columns that the projection reads. None where it reads all,
        for what depends on the time, and where the filter is there already, for another view."""
        used = sorted(set().union(*(columns_used(e) for e in plan.expressions)))
        order = column_order(plan.expressions)
        if order is not None and len(set(order)) == len(order):
            used = list(order)
        predicate = filtered.predicate
        whole = not used or used == list(range(len(filtered.schema)))
        if whole or any(uses_now(e) for e in (predicate, *plan.expressions)):
            return None
        source = self.build(filtered.input)
        if ("filter", predicate, (source,)) in self._found:
            return None
        node = self.nodes[source]
        kept = self._node(
            "filter",
            (predicate, tuple(used)),
            (source,),
            lambda: FilterOperator(predicate, self.seeds, used),
            node.append_only,
            distribution=moved(node.distribution, used),
        )
        if order is not None and list(order) == used:
            return kept
        places = {column: place for place, column in enumerate(used)}
        return self._projection(tuple(remap_columns(e, places) for e in plan.expressions), kept)

    def _timed_project(self, plan: Project) -> Operator:
        guarded = split_guards(plan.expressions, len(plan.input.schema))
        if guarded is None:
            return VolatileOperator(ProjectOperator(plan.expressions, self.seeds), types_of(plan.input), self.seeds)
        project = ProjectOperator(guarded.expressions, self.seeds)
        return TemporalOperator(project, guarded.guards, (), self.seeds)

    def _timed_filter(self, predicate: Expression, types: tuple[pa.DataType, ...]) -> Operator:
        width = len(types)
        guarded = split_guards([predicate], width)
        if guarded is None:
            return VolatileOperator(FilterOperator(predicate, self.seeds), types, self.seeds)
        (condition,) = guarded.expressions
        chosen = FilterOperator(condition, self.seeds, range(width))
        return TemporalOperator(chosen, guarded.guards, required_guards(condition, width), self.seeds)

    def _values(self, plan: Values) -> int:
        types = tuple(column.type for column in plan.schema)
        volatile = any(uses_now(e) for row in plan.rows for e in row)
        return self._node(
            "values", (plan.rows, types), (), lambda: ValuesOperator(plan.rows, types, volatile), not volatile
        )

    def _hop(self, plan: Hop, kept: tuple[int, ...] | None) -> int:
        """The node of those columns of `plan`; None: all."""
        source = self.build(plan.input)
        parameters = (plan.time_column, plan.slide_us, plan.size_us, plan.offset_us, kept)
        width = len(plan.input.schema)
        places = range(width + 2) if kept is None else kept
        distribution = moved(self.nodes[source].distribution, [c if c < width else None for c in places])
        return self._node(
            "hop",
            parameters,
            (source,),
            lambda: HopOperator(*parameters, self.seeds),
            self.nodes[source].append_only,
            distribution=distribution,
        )

    def _unnest(self, plan: Unnest, source: int) -> int:
        ordinality = arrow_type(plan.schema[-1].type) if plan.ordinality else None
        return self._node(
            "unnest",
            (plan.column, plan.kept, plan.ordinality),
            (source,),
            lambda: UnnestOperator(plan.column, plan.kept, ordinality),
            self.nodes[source].append_only,
            distribution=moved(self.nodes[source].distribution, plan.kept),
        )

    def _join(self, plan: Join) -> int:
        if plan.kind is JoinKind.RIGHT:
            return self._right_join(plan)
        left, right = self.build(plan.left), self.build(plan.right)
        residual = plan.residual
        late: Expression | None = None
        if residual is not None and uses_now(residual):
            if plan.kind is not JoinKind.INNER:
                message = "NOW() in the condition of a join is supported for inner joins only"
                raise MillstreamError("UnsupportedJoin", message, {"kind": plan.kind})
            late, residual = residual, None
        append_only = plan.kind in (JoinKind.INNER, JoinKind.SEMI) and all(
            self.nodes[i].append_only for i in (left, right)
        )
        found = floored(plan, self.waterlines)
        node = self._keyed(
            plan,
            "join",
            (plan.kind, plan.left_keys, plan.right_keys, plan.null_safe, residual),
            (left, right),
            lambda: JoinOperator(
                plan.kind,
                types_of(plan.left),
                types_of(plan.right),
                plan.left_keys,
                plan.right_keys,
                plan.null_safe,
                residual,
                self.seeds,
                found.columns,
            ),
            append_only,
            found.bounds,
        )
        return node if late is None else self._filter(late, node, types_of(plan.left) + types_of(plan.right))

    def _right_join(self, plan: Join) -> int:
        """A right join is a left join with the sides swapped and the columns put back in order."""
        split, width = len(plan.left.schema), len(plan.left.schema) + len(plan.right.schema)
        moved = {i: i + width - split if i < split else i - split for i in range(width)}
        swapped = Join(
            plan.schema[split:] + plan.schema[:split],
            JoinKind.LEFT,
            plan.right,
            plan.left,
            plan.right_keys,
            plan.left_keys,
            plan.null_safe,
            None if plan.residual is None else remap_columns(plan.residual, moved),
        )
        return self._reorder(self._join(swapped), [moved[i] for i in range(width)], plan)

    def _reorder(self, source: int, order: Sequence[int], plan: Plan) -> int:
        columns = tuple(ColumnRef(column.type, index) for column, index in zip(plan.schema, order, strict=True))
        return self._projection(columns, source)

    def _stateful(self, plan: Plan, inputs: tuple[int, ...], numbered: bool = False) -> int:
        found = floored(plan, self.waterlines)
        made = keyed(plan, self.nodes[inputs[0]].append_only, found, self.seeds, numbered)
        return self._keyed(plan, made.kind, made.parameters, inputs, made.make, made.append_only, found.bounds)

    def _recursive(self, plan: Recursive) -> int:
        """The node of one member. The first one that is built brings the operator, others read its answer."""
        recursion = split(plan.definitions)
        inputs = tuple(self.build(external) for external in recursion.externals)
        key = ("recursive", recursion.names, recursion.bodies, inputs)
        if key not in self._found:
            operator = _recursive_operator(recursion, self.seeds)
            self._found[key] = self.add(Node(operator, inputs, "recursive"))
        first = self._found[key]
        if not plan.member:
            return first
        recursive = self.nodes[first].operator
        assert isinstance(recursive, RecursiveOperator)
        return self._node("member", (first, plan.member), inputs, lambda: MemberOperator(recursive, plan.member))


def _recursive_operator(recursion: Recursion, seeds: Seeds) -> RecursiveOperator:
    """The operator of a recursion: by levels if its bodies are monotone."""
    member_types = [types_of(body) for body in recursion.bodies]
    try:
        bodies = [levelled(body, recursion.names) for body in recursion.bodies]
    except NotMonotoneError:
        external_types = [types_of(external) for external in recursion.externals]

        def make() -> NestedCircuit:
            return _nested(recursion, recursion.bodies, seeds)

        return UnrolledOperator(make, external_types, member_types, seeds)
    return LevelledOperator(_nested(recursion, bodies, seeds), member_types, seeds)


def _nested(recursion: Recursion, bodies: Sequence[Plan], seeds: Seeds) -> NestedCircuit:
    builder = _Builder(seeds)
    names = [external_name(i) for i in range(len(recursion.externals))]
    for name in (*names, *recursion.names):
        builder.relations[name] = builder.add(Node(None, (), name))
    numbers = [builder.build(body) for body in bodies]
    return NestedCircuit(builder.nodes, len(names), len(recursion.names), numbers)
