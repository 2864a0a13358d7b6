"""From expressions to closures over Arrow kernels.

Problem. A projection or filter runs on every delta, on batches from one row to a hundred thousand. Walking
the expression tree for each batch is cheap next to the kernels, but repeated subexpressions, casts of
constants and errors on rows that SQL says are never looked at are not.

Representation. `compile_*` turns each distinct subexpression into one *node*, a function from a `Frame` (the
batch) to a value: an Arrow array, or an Arrow scalar that stands for a constant column. Equal subexpressions
share a node, and nodes used more than once remember their value in the frame. Lazy functions (AND, OR, CASE,
COALESCE ...) evaluate operands that may fail on a *narrowed* frame that holds only the rows for which SQL
evaluates them; columns and remembered values are filtered when first read there.

Invariants. Nothing is evaluated on a frame without rows, so constant expressions that fail do so only when a
row needs them. Constants are folded at compile time, but only those whose evaluation succeeds: an error stays
where it was. A result always has exactly `arrow_type(expression.type)` and the length of the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.errors import EvaluationError
from millstream.expressions.casts import cast_is_fallible, cast_kernel
from millstream.expressions.conditional import implement_case
from millstream.expressions.function import Node
from millstream.expressions.nodes import Call, Case, Cast, ColumnRef, Expression, Lambda, Literal, children
from millstream.expressions.registry import FUNCTIONS
from millstream.expressions.vectors import Bools, Kernel, Value, broadcast, is_scalar, mask_of
from millstream.types import SqlType, arrow_type

__all__ = [
    "EvaluationContext",
    "EvaluationError",
    "compile_predicate",
    "compile_projection",
    "evaluate_constant",
    "is_deterministic",
    "literal_scalar",
    "may_fail",
]


@dataclass(frozen=True, slots=True)
class EvaluationContext:
    """What an evaluation may read besides the rows.

    `now_us` is the time of the step in microseconds, None outside of steps. `metadata` is what the connector knows
    about each row, a column of VARIANT texts; None where rows come from no connector.
    """

    now_us: int | None = None
    metadata: pa.Array | None = None


Projection = Callable[[Sequence[pa.Array], int, EvaluationContext], tuple[pa.Array, ...]]
Rows = npt.NDArray[np.int64]
Predicate = Callable[[Sequence[pa.Array], int, EvaluationContext], Bools]


class BatchFrame:
    """The rows of one batch, or those of them that a lazy operand is evaluated on."""

    __slots__ = ("_chosen", "_columns", "_metadata", "_parent", "memo", "now_us", "num_rows", "source")

    def __init__(
        self,
        source: Sequence[pa.Array],
        num_rows: int,
        now_us: int | None,
        parent: BatchFrame | None = None,
        chosen: pa.Array | None = None,
        metadata: pa.Array | None = None,
    ) -> None:
        self.source = source
        self.num_rows = num_rows
        self.now_us = now_us
        self._parent = parent
        self._chosen = chosen
        self._metadata = metadata
        self._columns: dict[int, pa.Array] = {}
        self.memo: dict[int, Value] = {}

    def column(self, index: int) -> pa.Array:
        if self._parent is None:
            return self.source[index]
        found = self._columns.get(index)
        if found is None:
            found = self._columns[index] = self._parent.column(index).filter(self._chosen)
        return found

    @property
    def metadata(self) -> Value:
        """What connectors know about the rows, as VARIANTs."""
        if self._parent is not None and self._metadata is None:
            found = self._parent.metadata
            if is_scalar(found):
                return found
            self._metadata = found.filter(self._chosen)
        return pa.scalar(None, pa.large_string()) if self._metadata is None else self._metadata

    def recall(self, slot: int) -> Value | None:
        """The remembered value of node `slot`, if it was computed here or on the frame this one narrows."""
        found = self.memo.get(slot)
        if found is None and self._parent is not None:
            found = self._parent.recall(slot)
            if found is not None and not is_scalar(found):
                found = self.memo[slot] = found.filter(self._chosen)
        return found

    def narrow(self, chosen: Bools) -> BatchFrame:
        """The frame of the rows where `chosen` is true."""
        return BatchFrame(self.source, int(np.count_nonzero(chosen)), self.now_us, self, pa.array(chosen))


class _Compiler:
    """Builds the nodes of a set of expressions; lives only during `compile_*`."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self._uses: Counter[Expression] = Counter()
        self._nodes: dict[Expression, tuple[Node, bool]] = {}
        for expression in expressions:
            self._count(expression)

    def _count(self, expression: Expression) -> None:
        self._uses[expression] += 1
        if self._uses[expression] == 1:
            for child in children(expression):
                self._count(child)

    def node(self, expression: Expression) -> tuple[Node, bool]:
        """The node of `expression` and whether it can fail."""
        if isinstance(expression, Literal):  # not shared: 0.0 and -0.0 are equal, yet not the same
            return self._build(expression)
        found = self._nodes.get(expression)
        if found is None:
            node, fallible = self._build(expression)
            if self._uses[expression] > 1 and not isinstance(expression, ColumnRef | Literal | Lambda):
                node = _remembering(node, len(self._nodes))
            found = self._nodes[expression] = (node, fallible)
        return found

    def _build(self, expression: Expression) -> tuple[Node, bool]:
        if isinstance(expression, ColumnRef):
            index = expression.index
            return (lambda frame: frame.column(index)), False
        if isinstance(expression, Literal):
            return _Constant(literal_scalar(expression.value, expression.type)), False
        built = [self.node(child) for child in children(expression)]
        nodes = [node for node, _ in built]
        fallible = [fails for _, fails in built]
        if isinstance(expression, Lambda):
            body, body_fails = _Compiler([expression.body]).node(expression.body)
            return _LambdaNode(expression, body, nodes), any(fallible) or body_fails
        if isinstance(expression, Case):
            node: Node = implement_case(expression, nodes, fallible)
            return self._folded(expression, nodes, node, any(fallible))
        if isinstance(expression, Cast):
            kernel = cast_kernel(expression.argument.type, expression.type, safe=expression.safe)
            fails = any(fallible) or cast_is_fallible(expression)
            return self._folded(expression, nodes, _applied(kernel, nodes), fails)
        assert isinstance(expression, Call), expression
        entry = FUNCTIONS[expression.name]
        fails = any(fallible) or entry.fallible(expression)
        if entry.implement_lazily is not None:
            node = entry.implement_lazily(expression, nodes, fallible)
        else:
            assert entry.implement is not None, f"{expression.name} should have been rewritten when it was resolved"
            node = _applied(entry.implement(expression), nodes)
        if not (entry.deterministic and entry.foldable):
            return node, fails
        return self._folded(expression, nodes, node, fails)

    def _folded(self, expression: Expression, nodes: Sequence[Node], node: Node, fallible: bool) -> tuple[Node, bool]:
        """A constant node if the operands are constant and the evaluation succeeds, else the node itself."""
        if not all(isinstance(operand, _Constant) for operand in nodes):
            return node, fallible
        try:
            value = node(BatchFrame((), 1, None))
        except (EvaluationError, pa.ArrowInvalid):
            return node, fallible
        return _Constant(_exact(value if is_scalar(value) else value[0], expression.type)), False


@dataclass(frozen=True, slots=True)
class _Constant:
    """The node of a value known at compile time."""

    value: pa.Scalar

    def __call__(self, _: object) -> Value:
        return self.value


@dataclass(frozen=True, slots=True)
class _LambdaNode:
    """The node of a lambda: its value on a frame is a function."""

    expression: Lambda
    body: Node
    captures: Sequence[Node]

    def __call__(self, frame: BatchFrame) -> AppliedLambda:
        return AppliedLambda(self, frame)


@dataclass(frozen=True, slots=True)
class AppliedLambda:
    """A lambda over the rows of a frame, for the kernels of functions that take one."""

    node: _LambdaNode
    frame: BatchFrame

    @property
    def num_rows(self) -> int | None:
        """The number of rows if the lambda reads them, so that it is no constant."""
        return self.frame.num_rows if self.node.captures else None

    def __call__(self, parameters: Sequence[pa.Array], owners: Rows) -> pa.Array:
        """The body for each combination of parameters; `owners` are the rows that they belong to."""
        wanted = arrow_type(self.node.expression.type)
        if len(owners) == 0:
            return pa.nulls(0, wanted)
        rows = pa.array(owners)
        captured = [broadcast(node(self.frame), self.frame.num_rows).take(rows) for node in self.node.captures]
        frame = BatchFrame((*parameters, *captured), len(owners), self.frame.now_us)
        return broadcast(_exact(self.node.body(frame), self.node.expression.type), len(owners))


def _remembering(node: Node, slot: int) -> Node:
    if isinstance(node, _Constant):
        return node

    def remembered(frame: BatchFrame) -> Value:
        value = frame.recall(slot)
        if value is None:
            value = frame.memo[slot] = node(frame)
        return value

    return remembered


def _applied(kernel: Kernel, nodes: Sequence[Node]) -> Node:
    """The node that applies a kernel to the values of `nodes`."""
    if len(nodes) == 1:
        only = nodes[0]
        return lambda frame: kernel(only(frame))
    if len(nodes) == 2:
        left, right = nodes
        return lambda frame: kernel(left(frame), right(frame))
    return lambda frame: kernel(*[node(frame) for node in nodes])


def literal_scalar(value: object, sql_type: SqlType) -> pa.Scalar:
    """The Arrow scalar of a `Literal`'s value."""
    return pa.scalar(value, arrow_type(sql_type))


def _exact(value: Value, sql_type: SqlType) -> Value:
    """`value` in the Arrow type of `sql_type`; kernels may give an untyped NULL."""
    wanted = arrow_type(sql_type)
    if value.type == wanted:
        return value
    if pa.types.is_null(value.type):
        return pa.scalar(None, wanted) if is_scalar(value) else pa.nulls(len(value), wanted)
    return value.cast(wanted)


def may_fail(expression: Expression) -> bool:
    """Whether some rows make the evaluation of `expression` raise EvaluationError."""
    return _Compiler([expression]).node(expression)[1]


def is_deterministic(expression: Expression, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether equal rows always give equal values, apart from calls of the functions `allowed`."""
    if isinstance(expression, Call) and expression.name not in allowed and not FUNCTIONS[expression.name].deterministic:
        return False
    if isinstance(expression, Lambda) and not is_deterministic(expression.body, allowed):
        return False
    return all(is_deterministic(child, allowed) for child in children(expression))


def compile_projection(expressions: Sequence[Expression]) -> Projection:
    """The function from input columns to one column per expression. It raises EvaluationError."""
    compiler = _Compiler(expressions)
    parts = [(compiler.node(e)[0], e.type, arrow_type(e.type)) for e in expressions]

    def project(columns: Sequence[pa.Array], num_rows: int, context: EvaluationContext) -> tuple[pa.Array, ...]:
        if num_rows == 0:
            return tuple(pa.nulls(0, wanted) for _, _, wanted in parts)
        frame = BatchFrame(columns, num_rows, context.now_us, metadata=context.metadata)
        try:
            return tuple(_column(node(frame), num_rows, sql_type) for node, sql_type, _ in parts)
        except pa.ArrowInvalid as error:
            raise _refusal(error) from error

    return project


def _refusal(error: pa.ArrowInvalid) -> EvaluationError:
    """Values that no kernel of ours refuses but Arrow does (a text of too many gigabytes, ...)."""
    return EvaluationError(f"Cannot evaluate expression: {error}")


def _column(value: Value, num_rows: int, sql_type: SqlType) -> pa.Array:
    exact = _exact(value, sql_type)
    return broadcast(exact, num_rows)


def compile_predicate(expression: Expression) -> Predicate:
    """The function from input columns to the rows where a BOOLEAN expression is TRUE. It raises
    EvaluationError."""
    node, _ = _Compiler([expression]).node(expression)

    def decide(columns: Sequence[pa.Array], num_rows: int, context: EvaluationContext) -> Bools:
        if num_rows == 0:
            return np.zeros(0, np.bool_)
        try:
            return mask_of(node(BatchFrame(columns, num_rows, context.now_us, metadata=context.metadata)), num_rows)
        except pa.ArrowInvalid as error:
            raise _refusal(error) from error

    return decide


def evaluate_constant(expression: Expression, metadata: str | None = None) -> pa.Scalar:
    """The value of an expression without columns, for a row with that metadata (a VARIANT's text). Raises
    EvaluationError."""
    known = None if metadata is None else pa.array([metadata], pa.large_string())
    return compile_projection([expression])((), 1, EvaluationContext(metadata=known))[0][0]
