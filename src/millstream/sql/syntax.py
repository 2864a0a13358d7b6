"""The syntax tree: what was written, and where. No names are resolved and no types are known here.

Every node has the span of its text. Nodes are plain frozen records (msgspec makes their classes fifty times faster than
dataclasses: a part of every start); the grammar in `parser/` builds them and the
binder (`expressions.py`, `queries/`, `statements/`) dispatches on their classes.
"""

from __future__ import annotations

from msgspec import Struct

from millstream.plan.program import Span


class Node(Struct, frozen=True):
    span: Span


class Identifier(Node, frozen=True):
    """A name in canonical form; `quoted` as written."""

    name: str
    quoted: bool = False


# ---- types ----


class TypeName(Node, frozen=True):
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


class Name(Node, frozen=True):
    """A dotted path."""

    parts: tuple[Identifier, ...]


class Star(Node, frozen=True):
    """`*`, `t.*`, with its modifiers."""

    qualifier: tuple[Identifier, ...] = ()
    exclude: tuple[Identifier, ...] = ()
    replace: tuple[tuple[Node, Identifier], ...] = ()


class Constant(Node, frozen=True):
    """A literal. `kind`: NUMBER, STRING, BINARY, BOOLEAN, NULL, or the type of a prefix form (DATE, TIME, TIMESTAMP,
    TIMESTAMP_TZ, UUID, REAL, DOUBLE, DECIMAL); `text` is its content."""

    kind: str
    text: str


#: How many digits the leading field of an interval has where the qualifier does not say.
DEFAULT_INTERVAL_DIGITS = 2


class IntervalLiteral(Node, frozen=True):
    """`INTERVAL <value> <unit>[(digits)] [TO <unit>]`: text of a quoted literal, whose first field may have so many
    digits, or an expression to multiply by one unit."""

    value: Node
    unit: str
    to_unit: str | None = None
    sign: int = 1
    digits: int = DEFAULT_INTERVAL_DIGITS


class Operation(Node, frozen=True):
    """A unary or binary operator under its registry name."""

    name: str
    operands: tuple[Node, ...]


class Between(Node, frozen=True):
    operand: Node
    low: Node
    high: Node
    negated: bool
    symmetric: bool


class InList(Node, frozen=True):
    operand: Node
    items: tuple[Node, ...]
    negated: bool


class InQuery(Node, frozen=True):
    operand: Node
    query: Node
    negated: bool


class Quantified(Node, frozen=True):
    """`x = ANY (query)`."""

    operator: str
    quantifier: str
    operand: Node
    query: Node


class Exists(Node, frozen=True):
    query: Node


class Subquery(Node, frozen=True):
    """A query in parentheses, as a scalar or, after ARRAY or MAP, collected."""

    query: Node
    collect: str = ""


class Argument(Node, frozen=True):
    """A function argument, named (`SIZE => ...`) or not."""

    value: Node
    name: Identifier | None = None


class TableArgument(Node, frozen=True):
    """`TABLE t` as an argument of a table function."""

    name: Name


class Lambda(Node, frozen=True):
    parameters: tuple[Identifier, ...]
    body: Node


class SortItem(Node, frozen=True):
    expression: Node
    descending: bool
    nulls_first: bool


class Window(Node, frozen=True):
    """The OVER clause: a name, or a specification kept as parsed parts."""

    name: Identifier | None
    partition: tuple[Node, ...] = ()
    order: tuple[SortItem, ...] = ()
    frame: Node | None = None


class Frame(Node, frozen=True):
    """`RANGE|ROWS BETWEEN low AND high`; a bound is (kind, offset)."""

    unit: str
    low: tuple[str, Node | None]
    high: tuple[str, Node | None]
    exclude: bool = False


class FunctionCall(Node, frozen=True):
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


class CastExpression(Node, frozen=True):
    operand: Node
    type: TypeName
    safe: bool


class CaseExpression(Node, frozen=True):
    operand: Node | None
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


class RowExpression(Node, frozen=True):
    items: tuple[Node, ...]


class ArrayExpression(Node, frozen=True):
    items: tuple[Node, ...]


class MapExpression(Node, frozen=True):
    items: tuple[Node, ...]


class Index(Node, frozen=True):
    operand: Node
    index: Node


class FieldAccess(Node, frozen=True):
    operand: Node
    field: Identifier


class TimeDifference(Node, frozen=True):
    """`(a - b) DAY TO SECOND`."""

    left: Node
    right: Node
    unit: str
    to_unit: str | None


# ---- relations ----


class TableAlias(Node, frozen=True):
    name: Identifier
    columns: tuple[Identifier, ...] = ()


class Hint(Node, frozen=True):
    """`name(arguments)` in `/*+ ... */`; `arguments` None: no parentheses."""

    name: Identifier
    arguments: tuple[Identifier, ...] | None


class TableReference(Node, frozen=True):
    name: Name
    alias: TableAlias | None = None
    hints: tuple[Hint, ...] = ()


class DerivedTable(Node, frozen=True):
    query: Node
    alias: TableAlias | None = None
    lateral: bool = False


class TableFunction(Node, frozen=True):
    """`TABLE(f(...))`."""

    call: FunctionCall
    alias: TableAlias | None = None


class UnnestTable(Node, frozen=True):
    items: tuple[Node, ...]
    ordinality: bool
    alias: TableAlias | None = None


class Join(Node, frozen=True):
    """`kind`: INNER, LEFT, RIGHT, FULL, CROSS (also the comma), SEMI, ASOF."""

    kind: str
    left: Node
    right: Node
    natural: bool = False
    using: tuple[Identifier, ...] = ()
    condition: Node | None = None
    match_condition: Node | None = None


class PivotValue(Node, frozen=True):
    """A value of the axes of PIVOT, as it is written, and its alias."""

    constants: tuple[Node, ...]
    text: str
    alias: Identifier | None = None


class Pivot(Node, frozen=True):
    source: Node
    measures: tuple[SelectItem, ...]
    axes: tuple[Name, ...]
    values: tuple[PivotValue, ...]
    alias: TableAlias | None = None


class UnpivotColumns(Node, frozen=True):
    """An entry of the list of UNPIVOT: the columns that become measures, and constants for the axes, if given."""

    names: tuple[Name, ...]
    constants: tuple[Node, ...] = ()


class Unpivot(Node, frozen=True):
    """`nulls`: rows whose measures are all NULL stay."""

    source: Node
    nulls: bool
    measures: tuple[Identifier, ...]
    axes: tuple[Identifier, ...]
    columns: tuple[UnpivotColumns, ...]
    alias: TableAlias | None = None


class Unbuilt(Node, frozen=True):
    """A clause that the grammar knows and the binder does not build: `what` is named in the message."""

    what: str


# ---- queries ----


class SelectItem(Node, frozen=True):
    expression: Node
    alias: Identifier | None = None


class GroupBy(Node, frozen=True):
    """`items`: expressions and GroupingSets; `all`: GROUP BY ALL; `distinct`: equal grouping sets count once. An item
    `()` is an empty RowExpression."""

    items: tuple[Node, ...]
    all: bool = False
    distinct: bool = False


class GroupingSets(Node, frozen=True):
    """`kind`: GROUPING SETS, CUBE or ROLLUP; a RowExpression among the items is one composite item."""

    kind: str
    items: tuple[Node, ...]


class Select(Node, frozen=True):
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


class ValuesQuery(Node, frozen=True):
    rows: tuple[tuple[Node, ...], ...]


class SetOperation(Node, frozen=True):
    """`operator`: UNION, EXCEPT, INTERSECT."""

    operator: str
    all: bool
    left: Node
    right: Node


class Ordered(Node, frozen=True):
    """A query with ORDER BY, LIMIT, OFFSET. `order_all`: ORDER BY ALL, whose direction is that of the one item."""

    query: Node
    order: tuple[SortItem, ...] = ()
    order_all: bool = False
    limit: Node | None = None
    offset: Node | None = None


class CommonTable(Node, frozen=True):
    name: Identifier
    columns: tuple[Identifier, ...]
    query: Node


class WithQuery(Node, frozen=True):
    tables: tuple[CommonTable, ...]
    query: Node


# ---- statements ----


class PropertyItem(Node, frozen=True):
    key: Constant
    value: Constant


class ForeignKey(Node, frozen=True):
    columns: tuple[Identifier, ...]
    table: Identifier
    targets: tuple[Identifier, ...]


class ColumnAttribute(Node, frozen=True):
    """`kind`: PRIMARY KEY, DEFAULT, LATENESS, WATERMARK, INTERNED, FOREIGN KEY."""

    kind: str
    value: Node | None = None


class ColumnDeclaration(Node, frozen=True):
    name: Identifier
    type: TypeName
    attributes: tuple[ColumnAttribute, ...] = ()


class KeyDeclaration(Node, frozen=True):
    """Table-level PRIMARY KEY."""

    columns: tuple[Identifier, ...]


class CreateTable(Node, frozen=True):
    name: Identifier
    columns: tuple[ColumnDeclaration, ...]
    keys: tuple[KeyDeclaration, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    properties: tuple[PropertyItem, ...] = ()


class CreateView(Node, frozen=True):
    name: Identifier
    query: Node
    kind: str = ""
    columns: tuple[Identifier, ...] = ()
    properties: tuple[PropertyItem, ...] = ()


class DeclareRecursiveView(Node, frozen=True):
    """`DECLARE RECURSIVE VIEW name(column type, ...)`."""

    name: Identifier
    columns: tuple[ColumnDeclaration, ...]


class CreateType(Node, frozen=True):
    name: Identifier
    type: TypeName | None = None
    fields: tuple[tuple[Identifier, TypeName], ...] = ()


class IgnoredStatement(Node, frozen=True):
    """INSERT, REMOVE: parsed away, with a warning."""

    what: str


class QueryStatement(Node, frozen=True):
    """A query where a statement belongs."""

    query: Node


class SetOption(Node, frozen=True):
    """`value`: a Constant, or a Name for ON, OFF and the like."""

    name: Identifier
    value: Node


class CreateFunction(Node, frozen=True):
    """`body`: None for a function that is defined outside of the program."""

    name: Identifier
    parameters: tuple[tuple[Identifier, TypeName], ...]
    returns: TypeName
    body: Node | None = None


class CreateAggregate(Node, frozen=True):
    name: Identifier
    parameters: tuple[tuple[Identifier, TypeName], ...]
    returns: TypeName
    linear: bool = False


class CreateIndex(Node, frozen=True):
    """`CREATE INDEX name ON relation (columns)`."""

    name: Identifier
    relation: Identifier
    columns: tuple[Identifier, ...]


class ViewLateness(Node, frozen=True):
    """`LATENESS view.column value`."""

    view: Identifier
    column: Identifier
    value: Node


class DropStatement(Node, frozen=True):
    """`kind`: TABLE or VIEW."""

    kind: str
    name: Identifier
    if_exists: bool = False


class OtherStatement(Node, frozen=True):
    """A statement that has no place in a program."""

    what: str
