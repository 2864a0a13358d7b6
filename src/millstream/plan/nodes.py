"""The relational algebra: frozen, typed nodes.

Every node is a query over relations that are named in the program (tables and earlier views) and has an output
`schema`. Nodes compare by value: two views that contain an equal subplan share one operator (circuit/build.py).
Bags everywhere: a row has a multiplicity. An invalid plan cannot be built: constructors assert what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from millstream.expressions.nodes import Expression
from millstream.types import SqlType
from millstream.udf.declarations import ExternalAggregate


@dataclass(frozen=True, slots=True)
class Column:
    """A named output column. `case_sensitive`: the name was written in quotes (or would need them)."""

    name: str
    type: SqlType
    case_sensitive: bool = False


Schema = tuple[Column, ...]


@dataclass(frozen=True)
class Plan:
    """Base of all plan nodes."""

    schema: Schema

    @property
    def inputs(self) -> tuple[Plan, ...]:
        """The plans that this node reads, in order."""
        return ()


@dataclass(frozen=True)
class Scan(Plan):
    """All rows of a table or of an earlier view, by canonical name."""

    relation: str


@dataclass(frozen=True)
class Values(Plan):
    """Constant rows; each expression reads no column, yet is evaluated at run time, in the first step."""

    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True)
class Project(Plan):
    """One expression per output column, over the columns of `input`."""

    input: Plan
    expressions: tuple[Expression, ...]

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Filter(Plan):
    """Rows for which `predicate` (BOOLEAN) is TRUE."""

    input: Plan
    predicate: Expression

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


class JoinKind(StrEnum):
    INNER = "inner"
    LEFT = "left"
    RIGHT = "right"
    FULL = "full"
    SEMI = "semi"
    ANTI = "anti"


@dataclass(frozen=True)
class Join(Plan):
    """Rows of left x right whose key columns are equal and for which `residual` is TRUE.

    `left_keys[i]` (a column index of left) is matched with `right_keys[i]`; both have the same type apart from
    nullability. NULL keys never match unless `null_safe[i]`. No keys: a cross join. `residual` reads the
    concatenation of left and right columns. Output: left columns, then right columns (SEMI and ANTI: left only).
    Outer sides are padded with NULLs; the schema already has those columns nullable.
    """

    kind: JoinKind
    left: Plan
    right: Plan
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    null_safe: tuple[bool, ...]
    residual: Expression | None = None

    def __post_init__(self) -> None:
        assert len(self.left_keys) == len(self.right_keys) == len(self.null_safe)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class SortKey:
    """One ORDER BY key: a column index of the input, direction and place of NULLs."""

    column: int
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class AggregateCall:
    """One aggregate: `function` is its upper-case registry name (COUNT, SUM, AVG, MIN, MAX, ...); `arguments` and
    `filter` (a BOOLEAN column: rows where it is not TRUE do not count) are column indices of the input; `type` is the
    result type. COUNT with no arguments is COUNT(*).

    `order`: what ARRAY_AGG sorts by before all columns. `within`: rows that agree in these columns count as one, whose
    arguments they all must have (WITHIN DISTINCT); before `distinct`. `user`: an aggregate that the program defines,
    `function` is its name then.
    """

    function: str
    arguments: tuple[int, ...]
    type: SqlType
    distinct: bool = False
    filter: int | None = None
    order: tuple[SortKey, ...] = ()
    within: tuple[int, ...] = ()
    user: ExternalAggregate | None = None

    @property
    def columns(self) -> set[int]:
        """All input columns that the call reads, except those that only order ties."""
        own = {*self.arguments, *self.within, *(key.column for key in self.order)}
        return own if self.filter is None else {*own, self.filter}

    def moved(self, place: Callable[[int], int]) -> AggregateCall:
        """The same call over an input in which column i is column `place(i)`."""
        return replace(
            self,
            arguments=tuple(place(a) for a in self.arguments),
            filter=None if self.filter is None else place(self.filter),
            order=tuple(replace(key, column=place(key.column)) for key in self.order),
            within=tuple(place(c) for c in self.within),
        )


@dataclass(frozen=True)
class Aggregate(Plan):
    """GROUP BY the columns `group` of input; output: those columns, then one column per call.
    With no group columns there is always exactly one output row, from the first step on."""

    input: Plan
    group: tuple[int, ...]
    calls: tuple[AggregateCall, ...]

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Distinct(Plan):
    """Each row of `input` with positive multiplicity, once."""

    input: Plan

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


@dataclass(frozen=True)
class UnionAll(Plan):
    """Multiplicities added. Operands already have the column types of `schema`, apart from nullability."""

    operands: tuple[Plan, ...]

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return self.operands


@dataclass(frozen=True)
class Except(Plan):
    """`left EXCEPT ALL right` (max(0, l - r)) or, not `all`, the distinct rows of left that right lacks."""

    left: Plan
    right: Plan
    all: bool

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right)


@dataclass(frozen=True)
class Intersect(Plan):
    """`left INTERSECT ALL right` (min(l, r)) or, not `all`, the distinct rows that both have."""

    left: Plan
    right: Plan
    all: bool

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right)


@dataclass(frozen=True)
class TopK(Plan):
    """Rows `offset` .. `offset + limit` of each partition in key order; ties broken by all columns ascending, NULL
    smallest. `limit` None: no upper bound. No partition columns: one partition."""

    input: Plan
    partition: tuple[int, ...]
    keys: tuple[SortKey, ...]
    limit: int | None
    offset: int

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Hop(Plan):
    """HOP table function: each input row once per window that holds it; output: input columns, window_start,
    window_end. `time_column` has type DATE/TIMESTAMP/TIME; sizes in microseconds. Rows with NULL time vanish."""

    input: Plan
    time_column: int
    slide_us: int
    size_us: int
    offset_us: int

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Session(Plan):
    """SESSION table function: rows with equal `partition` columns, each less than `gap` from the next in `time_column`,
    which is not NULL, form a session. The gap is in the unit of the time's Arrow type. Output: the columns `kept` of
    input, then the first and the last time of the row's session."""

    input: Plan
    partition: tuple[int, ...]
    time_column: int
    gap: int
    kept: tuple[int, ...]

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


@dataclass(frozen=True)
class Unnest(Plan):
    """UNNEST of the array or map `column` of input: each row once per element. Output: the columns `kept` of input,
    then the element (its fields if it is a struct; key and value of a map), then, with `ordinality`, its position from
    1. NULL and empty collections give no row, NULL elements are kept."""

    input: Plan
    column: int
    kept: tuple[int, ...]
    ordinality: bool = False

    def __post_init__(self) -> None:
        assert not (self.ordinality and self.input.schema[self.column].type.key is not None)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """The rows of a partition that a row's window function sees, by their distance from the row.

    `rows`: distances are numbers of rows. Otherwise (RANGE) they are differences of the only order key, in the unit of
    its Arrow type (days, microseconds, units of the last decimal); 0 means the peers, the rows with equal keys, for any
    keys. Negative: preceding. None: unbounded. Where the key is NULL, a bounded RANGE ends at the other NULLs.
    """

    rows: bool
    low: int | None
    high: int | None

    @property
    def whole(self) -> bool:
        """Whether it is the whole partition."""
        return self.low is None and self.high is None


@dataclass(frozen=True, slots=True)
class WindowCall:
    """One window function: an upper-case name and column indices of the input.

    ROW_NUMBER, RANK, DENSE_RANK have neither arguments nor frame. LAG and LEAD take the value and, where there is no
    row `offset` rows away, a default of the same type (without: NULL). FIRST_VALUE, LAST_VALUE and all aggregates
    work on `frame`. `user` is as in AggregateCall.
    """

    function: str
    arguments: tuple[int, ...]
    type: SqlType
    frame: WindowFrame | None = None
    offset: int = 1
    distinct: bool = False
    filter: int | None = None
    user: ExternalAggregate | None = None


@dataclass(frozen=True)
class Window(Plan):
    """Window functions over the partitions of input, each in the order of `keys`; ties are ordered by all columns
    ascending, NULL smallest, where order matters. Output: the input columns, then one column per call."""

    input: Plan
    partition: tuple[int, ...]
    keys: tuple[SortKey, ...]
    calls: tuple[WindowCall, ...]

    def __post_init__(self) -> None:
        for call in self.calls:
            frame = call.frame
            distances = frame is not None and not frame.rows and bool(frame.low or frame.high)
            assert len(self.keys) == 1 or not distances

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.input,)

    @property
    def numbers_limited(self) -> bool:
        """Whether all it does is to number the rows of a TopK in the order by which that chose them."""
        top = self.input
        if not isinstance(top, TopK) or (top.partition, top.keys) != (self.partition, self.keys):
            return False
        return [call.function for call in self.calls] == ["ROW_NUMBER"]


@dataclass(frozen=True)
class AsofJoin(Plan):
    """Each row of left with the one row of right that has equal keys and the greatest `right_time` not above
    `left_time`; of several, the greatest row by all columns. Without such a row, or with NULL in `left_time`, the
    columns of right are NULL; they are nullable in the schema. Rows of right with NULL in `right_time` never match.
    Keys are as in Join; both times have the same type."""

    left: Plan
    right: Plan
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    null_safe: tuple[bool, ...]
    left_time: int
    right_time: int

    def __post_init__(self) -> None:
        assert len(self.left_keys) == len(self.right_keys) == len(self.null_safe)

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Definition:
    """One of several mutually recursive relations; plans of the same Recursive node scan it by `name`."""

    name: str
    plan: Plan


@dataclass(frozen=True)
class Recursive(Plan):
    """Relation number `member` of mutually recursive `definitions`: all are empty at first, and each becomes the
    distinct rows of its plan over the others, again and again, until none changes: the least fixed point if the plans
    are monotone. Within the definitions their names hide relations of the program that are called the same."""

    definitions: tuple[Definition, ...]
    member: int

    @property
    def inputs(self) -> tuple[Plan, ...]:
        return tuple(definition.plan for definition in self.definitions)
