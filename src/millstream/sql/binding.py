"""The binder's frame: syntax nodes in, typed expressions and plans out.

Binding is dispatched on the class of the syntax node through tables, filled by the modules that define how a
construct is bound: `@binds_expression`, `@binds_query`, `@binds_sorted`, `@binds_relation`. A new construct of the
language is a new syntax class, a grammar rule and a module with its binder; nothing here changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from millstream.expressions.errors import TypeCheckError
from millstream.expressions.nodes import ColumnRef, Expression
from millstream.plan.nodes import AggregateCall, Plan, SortKey, WindowFrame
from millstream.plan.program import Span
from millstream.sql.context import Context
from millstream.sql.messages import SqlError, not_yet
from millstream.sql.scope import Scope
from millstream.sql.syntax import Node, Window
from millstream.types import SqlType
from millstream.udf.declarations import ExternalAggregate

#: Placeholders for aggregate results have column indices from here on; no row is that wide.
AGGREGATE_BASE = 1 << 30
#: And those for results of window functions from here on.
WINDOW_BASE = 1 << 31
#: And those for values of sub-queries.
SUBQUERY_BASE = 1 << 32


@dataclass(frozen=True)
class SortedQuery:
    """A query with its sort keys: the first `width` columns of `plan` are the result, others only sort."""

    plan: Plan
    width: int
    keys: tuple[SortKey, ...]


@dataclass(frozen=True)
class QueryEnvironment:
    """Where a query stands: WITH tables in sight, and the scope of the query around it. `top`: the query of a view."""

    context: Context
    ctes: Mapping[str, Plan] = field(default_factory=dict)
    outer: Scope | None = None
    top: bool = False

    def bind(self, query: Node) -> Plan:
        """The plan of a query."""
        binder = _QUERIES.get(type(query))
        if binder is None:
            raise not_yet(f"Query {type(query).__name__}", query.span)
        return binder(query, self)

    def bind_sorted(self, query: Node) -> SortedQuery:
        """The plan of a query whose order matters, with its sort keys."""
        binder = _SORTED.get(type(query))
        if binder is not None:
            return binder(query, self)
        plan = self.bind(query)
        return SortedQuery(plan, len(plan.schema), ())

    def bind_relation(self, relation: Node) -> tuple[Plan, Scope]:
        """The plan of a FROM item and the names that it brings."""
        binder = _RELATIONS.get(type(relation))
        if binder is None:
            raise not_yet(f"FROM item {type(relation).__name__}", relation.span)
        return binder(relation, self)

    def nested(self, **changes: Any) -> QueryEnvironment:
        return replace(self, top=False, **changes)


@dataclass
class Aggregates:
    """The aggregate calls of one SELECT, over expressions of its input rows. `calls[i].arguments` index `inputs`."""

    inputs: list[Expression] = field(default_factory=list)
    calls: list[AggregateCall] = field(default_factory=list)
    grouped: bool = False
    #: Where GROUPING is called
    places: dict[AggregateCall, Span] = field(default_factory=dict)

    def input(self, expression: Expression) -> int:
        """The position of an expression among the inputs, added if new."""
        if expression not in self.inputs:
            self.inputs.append(expression)
        return self.inputs.index(expression)


@dataclass(frozen=True)
class WindowRequest:
    """A call of a window function over expressions of the rows that the window sees; `order`: expression, descending,
    nulls first. The other members are those of plan.nodes.WindowCall."""

    function: str
    arguments: tuple[Expression, ...]
    type: SqlType
    partition: tuple[Expression, ...]
    order: tuple[tuple[Expression, bool, bool], ...]
    frame: WindowFrame | None = None
    offset: int = 1
    distinct: bool = False
    filter: Expression | None = None
    user: ExternalAggregate | None = None


@dataclass
class Windows:
    """The window functions of one SELECT, and the windows that its WINDOW clause names."""

    named: Mapping[str, Window]
    requests: list[WindowRequest] = field(default_factory=list)

    def add(self, request: WindowRequest) -> Expression:
        """The placeholder of a call; equal calls share one."""
        if request not in self.requests:
            self.requests.append(request)
        return ColumnRef(request.type, WINDOW_BASE + self.requests.index(request))


@dataclass(frozen=True)
class SubqueryRequest:
    """A sub-query whose value an expression needs. `kind`: SCALAR, EXISTS, ARRAY, MAP, IN, or the operator of a
    comparison with ANY; `operands`: what is looked for or compared, over the rows of the query around it. `order`: that
    of an ARRAY, whose last `hidden` columns only sort."""

    kind: str
    plan: Plan
    operands: tuple[Expression, ...]
    type: SqlType
    order: tuple[SortKey, ...] = ()
    hidden: int = 0


@dataclass
class Subqueries:
    """The sub-queries of one SELECT. `early`: numbers of those that are evaluated before grouping."""

    requests: list[SubqueryRequest] = field(default_factory=list)
    early: set[int] = field(default_factory=set)

    def add(self, request: SubqueryRequest, env: Environment) -> Expression:
        """The placeholder of a sub-query's value; equal sub-queries share one."""
        grouping = env.clause == "GROUP BY"
        for number, known in enumerate(self.requests):
            if known == request and (grouping or env.in_aggregate == (number in self.early)):
                break
        else:
            number = len(self.requests)
            self.requests.append(request)
        if grouping or env.in_aggregate:
            self.early.add(number)
        return ColumnRef(request.type, SUBQUERY_BASE + number)


@dataclass(frozen=True)
class Alias:
    """A select item that later items may name, and the aliases that it sees itself."""

    expression: Node
    aliases: Mapping[str, Alias]


@dataclass(frozen=True)
class Environment:
    """Where an expression stands.

    `aliases`: select aliases in sight. `aggregates`, `windows`: collect aggregate calls and calls of window functions;
    None where none may stand.
    `references`: the first place where each input column was named, for messages about grouping.
    `overrides`: expressions that stand for syntax written exactly so (group window functions).
    """

    query: QueryEnvironment
    scope: Scope = field(default_factory=Scope)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    aggregates: Aggregates | None = None
    windows: Windows | None = None
    #: Collects sub-queries; None where none may stand
    subqueries: Subqueries | None = None
    references: dict[int, tuple[str, Span]] = field(default_factory=dict)
    clause: str = ""
    #: Aliases win over columns (ORDER BY)
    alias_first: bool = False
    in_aggregate: bool = False

    @property
    def context(self) -> Context:
        return self.query.context

    def bind(self, node: Node) -> Expression:
        """The typed expression that a node denotes."""
        binder = _EXPRESSIONS.get(type(node))
        if binder is None:
            raise not_yet(f"Expression {type(node).__name__}", node.span)
        return binder(node, self)

    def bind_all(self, nodes: tuple[Node, ...]) -> list[Expression]:
        return [self.bind(node) for node in nodes]


ExpressionBinder = Callable[[Any, Environment], Expression]
QueryBinder = Callable[[Any, QueryEnvironment], Plan]
SortedBinder = Callable[[Any, QueryEnvironment], SortedQuery]
RelationBinder = Callable[[Any, QueryEnvironment], tuple[Plan, Scope]]

_EXPRESSIONS: dict[type[Node], ExpressionBinder] = {}
_QUERIES: dict[type[Node], QueryBinder] = {}
_SORTED: dict[type[Node], SortedBinder] = {}
_RELATIONS: dict[type[Node], RelationBinder] = {}

F = TypeVar("F", bound=Callable[..., Any])


def binds_expression(*classes: type[Node]) -> Callable[[F], F]:
    """Registers the function that binds expression nodes of these classes."""

    def register(function: F) -> F:
        _EXPRESSIONS.update(dict.fromkeys(classes, function))
        return function

    return register


def binds_query(*classes: type[Node]) -> Callable[[F], F]:
    """Registers the function that binds queries of these classes."""

    def register(function: F) -> F:
        _QUERIES.update(dict.fromkeys(classes, function))
        return function

    return register


def binds_sorted(*classes: type[Node]) -> Callable[[F], F]:
    """Registers the function that binds queries of these classes where their order matters."""

    def register(function: F) -> F:
        _SORTED.update(dict.fromkeys(classes, function))
        return function

    return register


def binds_relation(*classes: type[Node]) -> Callable[[F], F]:
    """Registers the function that binds FROM items of these classes."""

    def register(function: F) -> F:
        _RELATIONS.update(dict.fromkeys(classes, function))
        return function

    return register


def at_place(error: TypeCheckError, span: Span) -> SqlError:
    """A type error as a message about a place."""
    positioned = error.error_type == "Compilation error"
    return SqlError(error.message, span, error_type=error.error_type, positioned=positioned)
