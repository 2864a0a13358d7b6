"""The syntax tree: what was written, and where. No names are resolved and no types are known here.

Every node has the span of its text. Nodes are plain frozen records; the grammar in `parser/` builds them and the
binder (`expressions.py`, `queries/`, `statements/`) dispatches on their classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from millstream.plan.program import Span


@dataclass(frozen=True, slots=True)
class Node:
    span: Span


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A name in canonical form; `quoted` as written."""

    name: str
    quoted: bool = False


# ---- types ----


@dataclass(frozen=True, slots=True)
class TypeName(Node):
    """A type as written. `name`: upper case for built-in types (with words normalised: `DOUBLE`, `TIMESTAMP_TZ`,
    `INTEGER UNSIGNED`), or the identifier of a user type. `nullable` None: not stated."""

    name: str
    arguments: tuple[int, ...] = ()
    nullable: bool | None = None
    user: Identifier | None = None
    element: TypeName | None = None
    key: TypeName | None = None
    value: TypeName | None = None
    fields: tuple[tuple[Identifier, TypeName], ...] = ()


# ---- expressions ----


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A dotted path."""

    parts: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Star(Node):
    """`*`, `t.*`, with its modifiers."""

    qualifier: tuple[Identifier, ...] = ()
    exclude: tuple[Identifier, ...] = ()
    replace: tuple[tuple[Node, Identifier], ...] = ()


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A literal. `kind`: NUMBER, STRING, BINARY, BOOLEAN, NULL, or the type of a prefix form (DATE, TIME, TIMESTAMP,
    TIMESTAMP_TZ, UUID, REAL, DOUBLE, DECIMAL); `text` is its content."""

    kind: str
    text: str


#: How many digits the leading field of an interval has where the qualifier does not say.
DEFAULT_INTERVAL_DIGITS = 2


@dataclass(frozen=True, slots=True)
class IntervalLiteral(Node):
    """`INTERVAL <value> <unit>[(digits)] [TO <unit>]`: text of a quoted literal, whose first field may have so many
    digits, or an expression to multiply by one unit."""

    value: Node
    unit: str
    to_unit: str | None = None
    sign: int = 1
    digits: int = DEFAULT_INTERVAL_DIGITS


@dataclass(frozen=True, slots=True)
class Operation(Node):
    """A unary or binary operator under its registry name."""

    name: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Between(Node):
    operand: Node
    low: Node
    high: Node
    negated: bool
    symmetric: bool


@dataclass(frozen=True, slots=True)
class InList(Node):
    operand: Node
    items: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class InQuery(Node):
    operand: Node
    query: Node
    negated: bool


@dataclass(frozen=True, slots=True)
class Quantified(Node):
    """`x = ANY (query)`."""

    operator: str
    quantifier: str
    operand: Node
    query: Node


@dataclass(frozen=True, slots=True)
class Exists(Node):
    query: Node


@dataclass(frozen=True, slots=True)
class Subquery(Node):
    """A query in parentheses, as a scalar or, after ARRAY or MAP, collected."""

    query: Node
    collect: str = ""


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """A function argument, named (`SIZE => ...`) or not."""

    value: Node
    name: Identifier | None = None


@dataclass(frozen=True, slots=True)
class TableArgument(Node):
    """`TABLE t` as an argument of a table function."""

    name: Name


@dataclass(frozen=True, slots=True)
class Lambda(Node):
    parameters: tuple[Identifier, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class SortItem(Node):
    expression: Node
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Window(Node):
    """The OVER clause: a name, or a specification kept as parsed parts."""

    name: Identifier | None
    partition: tuple[Node, ...] = ()
    order: tuple[SortItem, ...] = ()
    frame: Node | None = None


@dataclass(frozen=True, slots=True)
class Frame(Node):
    """`RANGE|ROWS BETWEEN low AND high`; a bound is (kind, offset)."""

    unit: str
    low: tuple[str, Node | None]
    high: tuple[str, Node | None]
    exclude: bool = False


@dataclass(frozen=True, slots=True)
class FunctionCall(Node):
    """`name(arguments)`, with `options` for syntax that is no value (the unit of EXTRACT, ...).
    `over` None: not over a window."""

    name: Identifier
    arguments: tuple[Argument, ...] = ()
    options: tuple[str, ...] = ()
    star: bool = False
    distinct: bool = False
    filter: Node | None = None
    order: tuple[SortItem, ...] = ()
    nulls: str | None = None
    over: Window | None = None
    within_distinct: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class CastExpression(Node):
    operand: Node
    type: TypeName
    safe: bool


@dataclass(frozen=True, slots=True)
class CaseExpression(Node):
    operand: Node | None
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class RowExpression(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ArrayExpression(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapExpression(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Index(Node):
    operand: Node
    index: Node


@dataclass(frozen=True, slots=True)
class FieldAccess(Node):
    operand: Node
    field: Identifier


@dataclass(frozen=True, slots=True)
class TimeDifference(Node):
    """`(a - b) DAY TO SECOND`."""

    left: Node
    right: Node
    unit: str
    to_unit: str | None


# ---- relations ----


@dataclass(frozen=True, slots=True)
class TableAlias(Node):
    name: Identifier
    columns: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Hint(Node):
    """`name(arguments)` in `/*+ ... */`; `arguments` None: no parentheses."""

    name: Identifier
    arguments: tuple[Identifier, ...] | None


@dataclass(frozen=True, slots=True)
class TableReference(Node):
    name: Name
    alias: TableAlias | None = None
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class DerivedTable(Node):
    query: Node
    alias: TableAlias | None = None
    lateral: bool = False


@dataclass(frozen=True, slots=True)
class TableFunction(Node):
    """`TABLE(f(...))`."""

    call: FunctionCall
    alias: TableAlias | None = None


@dataclass(frozen=True, slots=True)
class UnnestTable(Node):
    items: tuple[Node, ...]
    ordinality: bool
    alias: TableAlias | None = None


@dataclass(frozen=True, slots=True)
class Join(Node):
    """`kind`: INNER, LEFT, RIGHT, FULL, CROSS (also the comma), SEMI, ASOF."""

    kind: str
    left: Node
    right: Node
    natural: bool = False
    using: tuple[Identifier, ...] = ()
    condition: Node | None = None
    match_condition: Node | None = None


@dataclass(frozen=True, slots=True)
class PivotValue(Node):
    """A value of the axes of PIVOT, as it is written, and its alias."""

    constants: tuple[Node, ...]
    text: str
    alias: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Pivot(Node):
    source: Node
    measures: tuple[SelectItem, ...]
    axes: tuple[Name, ...]
    values: tuple[PivotValue, ...]
    alias: TableAlias | None = None


@dataclass(frozen=True, slots=True)
class UnpivotColumns(Node):
    """An entry of the list of UNPIVOT: the columns that become measures, and constants for the axes, if given."""

    names: tuple[Name, ...]
    constants: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Unpivot(Node):
    """`nulls`: rows whose measures are all NULL stay."""

    source: Node
    nulls: bool
    measures: tuple[Identifier, ...]
    axes: tuple[Identifier, ...]
    columns: tuple[UnpivotColumns, ...]
    alias: TableAlias | None = None


@dataclass(frozen=True, slots=True)
class Unbuilt(Node):
    """A clause that the grammar knows and the binder does not build: `what` is named in the message."""

    what: str


# ---- queries ----


@dataclass(frozen=True, slots=True)
class SelectItem(Node):
    expression: Node
    alias: Identifier | None = None


@dataclass(frozen=True, slots=True)
class GroupBy(Node):
    """`items`: expressions and GroupingSets; `all`: GROUP BY ALL; `distinct`: equal grouping sets count once. An item
    `()` is an empty RowExpression."""

    items: tuple[Node, ...]
    all: bool = False
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class GroupingSets(Node):
    """`kind`: GROUPING SETS, CUBE or ROLLUP; a RowExpression among the items is one composite item."""

    kind: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Select(Node):
    items: tuple[SelectItem, ...]
    distinct: bool = False
    distinct_on: tuple[Node, ...] = ()
    source: Node | None = None
    where: Node | None = None
    group: GroupBy | None = None
    having: Node | None = None
    qualify: Node | None = None
    windows: tuple[tuple[Identifier, Window], ...] = ()
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class ValuesQuery(Node):
    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class SetOperation(Node):
    """`operator`: UNION, EXCEPT, INTERSECT."""

    operator: str
    all: bool
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Ordered(Node):
    """A query with ORDER BY, LIMIT, OFFSET. `order_all`: ORDER BY ALL, whose direction is that of the one item."""

    query: Node
    order: tuple[SortItem, ...] = ()
    order_all: bool = False
    limit: Node | None = None
    offset: Node | None = None


@dataclass(frozen=True, slots=True)
class CommonTable(Node):
    name: Identifier
    columns: tuple[Identifier, ...]
    query: Node


@dataclass(frozen=True, slots=True)
class WithQuery(Node):
    tables: tuple[CommonTable, ...]
    query: Node


# ---- statements ----


@dataclass(frozen=True, slots=True)
class PropertyItem(Node):
    key: Constant
    value: Constant


@dataclass(frozen=True, slots=True)
class ForeignKey(Node):
    columns: tuple[Identifier, ...]
    table: Identifier
    targets: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class ColumnAttribute(Node):
    """`kind`: PRIMARY KEY, DEFAULT, LATENESS, WATERMARK, INTERNED, FOREIGN KEY."""

    kind: str
    value: Node | None = None


@dataclass(frozen=True, slots=True)
class ColumnDeclaration(Node):
    name: Identifier
    type: TypeName
    attributes: tuple[ColumnAttribute, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyDeclaration(Node):
    """Table-level PRIMARY KEY."""

    columns: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class CreateTable(Node):
    name: Identifier
    columns: tuple[ColumnDeclaration, ...]
    keys: tuple[KeyDeclaration, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    properties: tuple[PropertyItem, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateView(Node):
    name: Identifier
    query: Node
    kind: str = ""
    columns: tuple[Identifier, ...] = ()
    properties: tuple[PropertyItem, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclareRecursiveView(Node):
    """`DECLARE RECURSIVE VIEW name(column type, ...)`."""

    name: Identifier
    columns: tuple[ColumnDeclaration, ...]


@dataclass(frozen=True, slots=True)
class CreateType(Node):
    name: Identifier
    type: TypeName | None = None
    fields: tuple[tuple[Identifier, TypeName], ...] = ()


@dataclass(frozen=True, slots=True)
class IgnoredStatement(Node):
    """INSERT, REMOVE: parsed away, with a warning."""

    what: str


@dataclass(frozen=True, slots=True)
class QueryStatement(Node):
    """A query where a statement belongs."""

    query: Node


@dataclass(frozen=True, slots=True)
class SetOption(Node):
    """`value`: a Constant, or a Name for ON, OFF and the like."""

    name: Identifier
    value: Node


@dataclass(frozen=True, slots=True)
class CreateFunction(Node):
    """`body`: None for a function that is defined outside of the program."""

    name: Identifier
    parameters: tuple[tuple[Identifier, TypeName], ...]
    returns: TypeName
    body: Node | None = None


@dataclass(frozen=True, slots=True)
class CreateAggregate(Node):
    name: Identifier
    parameters: tuple[tuple[Identifier, TypeName], ...]
    returns: TypeName
    linear: bool = False


@dataclass(frozen=True, slots=True)
class CreateIndex(Node):
    """`CREATE INDEX name ON relation (columns)`."""

    name: Identifier
    relation: Identifier
    columns: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class ViewLateness(Node):
    """`LATENESS view.column value`."""

    view: Identifier
    column: Identifier
    value: Node


@dataclass(frozen=True, slots=True)
class DropStatement(Node):
    """`kind`: TABLE or VIEW."""

    kind: str
    name: Identifier
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class OtherStatement(Node):
    """A statement that has no place in a program."""

    what: str
