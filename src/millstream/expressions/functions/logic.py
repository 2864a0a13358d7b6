"""AND, OR, NOT and the IS tests: three-valued logic that never evaluates an operand where its value cannot
matter.

AND evaluates its right operand only on rows where the left one is not FALSE, OR where it is not TRUE, so that
`b <> 0 AND a / b > 1` is safe. That costs a filter and a scatter; operands that cannot fail, or do not (attempts.py),
are evaluated on all rows with one Arrow kernel instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.attempts import attempted
from millstream.expressions.coercion import coerce, is_null_literal
from millstream.expressions.errors import cannot_apply
from millstream.expressions.function import (
    ANY,
    CONDITION,
    Function,
    LazyKernel,
    Node,
    Options,
    any_nullable,
    check_count,
    function,
    simple,
    table,
)
from millstream.expressions.nodes import Call, Expression
from millstream.expressions.vectors import Kernel, Value, broadcast, is_scalar, mask_of, scatter
from millstream.types import Kind
from millstream.types.sql_type import BOOLEAN


def _connective(name: str, combine: Kernel, absorbing: bool) -> Function:
    """AND (absorbing element FALSE) or OR (TRUE) of two or more operands."""

    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 2, None)
        if any(a.type.kind is not Kind.BOOLEAN and not is_null_literal(a) for a in arguments):
            raise cannot_apply(name, arguments, [f"<BOOLEAN> {name} <BOOLEAN>"])
        typed = tuple(coerce(a, BOOLEAN) for a in arguments)
        # `a AND b AND c` comes nested to the left, one level a term: one flat call keeps long conditions shallow
        head = typed[0]
        if isinstance(head, Call) and head.name == name:
            typed = head.arguments + typed[1:]
        return Call(BOOLEAN.with_nullable(any_nullable(typed)), name, typed)

    def implement(call: Call, nodes: Sequence[Node], fallible: Sequence[bool]) -> LazyKernel:
        guards = list(zip(nodes[1:], fallible[1:], strict=True))
        risky = [operand for operand, fails in zip(call.arguments[1:], fallible[1:], strict=True) if fails]

        def guarded(frame: Any) -> Value:
            value = nodes[0](frame)
            for node, may_fail in guards:
                if may_fail or is_scalar(value):
                    value = _guarded(frame, value, node)
                else:
                    value = combine(value, node(frame))
            return value

        def eager(frame: Any) -> Value:
            value = nodes[0](frame)
            for node in nodes[1:]:
                value = _guarded(frame, value, node) if is_scalar(value) else combine(value, node(frame))
            return value

        return attempted(eager, guarded, risky) if risky else guarded

    def _guarded(frame: Any, left: Value, node: Node) -> Value:
        """`left` combined with `node`, evaluated only where `left` does not decide."""
        if is_scalar(left):
            return left if left.as_py() is absorbing else combine(left, node(frame))
        length = len(left)
        decided = mask_of(left if absorbing else pc.invert(left), length)
        if not decided.any():
            return combine(left, node(frame))
        if decided.all():
            return pa.scalar(absorbing)
        right = node(frame.narrow(~decided))
        open_rows, closed_rows = np.flatnonzero(~decided), np.flatnonzero(decided)
        undecided = combine(left.filter(pa.array(~decided)), right)
        return scatter([(open_rows, undecided), (closed_rows, pa.scalar(absorbing))], length, pa.bool_())

    return Function(name, resolve, implement_lazily=implement, doc=f"Kleene {name}.")


def _is(name: str, test: Kernel) -> Function:
    def resolve(arguments: Sequence[Expression], _: Options) -> Expression:
        check_count(name, len(arguments), 1, 1)
        argument = arguments[0]
        if argument.type.kind is not Kind.BOOLEAN and not is_null_literal(argument):
            raise cannot_apply(name, arguments, [f"<BOOLEAN> {name}"])
        return Call(BOOLEAN.with_nullable(False), name, (coerce(argument, BOOLEAN),))

    return Function(name, resolve, simple(test), doc=f"x {name}; never NULL.")


def _filled(default: bool, *, inverted: bool = False) -> Kernel:
    def test(value: Value) -> Value:
        filled = pc.fill_null(value, default)
        return pc.invert(filled) if inverted else filled

    return test


def _null_test(name: str, test: Callable[[Value], Value]) -> Function:
    return function(name, [ANY], BOOLEAN, simple(test), nullable=False, doc=f"x {name}; never NULL.")


def _is_null(value: Value) -> Value:
    if is_scalar(value):
        return pa.scalar(not value.is_valid)
    return broadcast(pa.scalar(False), len(value)) if value.null_count == 0 else value.is_null()


def _is_not_null(value: Value) -> Value:
    if is_scalar(value):
        return pa.scalar(value.is_valid)
    return broadcast(pa.scalar(True), len(value)) if value.null_count == 0 else value.is_valid()


def _resolve_not(arguments: Sequence[Expression], _: Options) -> Expression:
    check_count("NOT", len(arguments), 1, 1)
    if CONDITION.convert(arguments[0]) is None:
        raise cannot_apply("NOT", arguments, ["NOT <BOOLEAN>"])
    argument = coerce(arguments[0], BOOLEAN)
    return Call(argument.type, "NOT", (argument,))


FUNCTIONS = table(
    _connective("AND", pc.and_kleene, absorbing=False),
    _connective("OR", pc.or_kleene, absorbing=True),
    Function("NOT", _resolve_not, simple(pc.invert), doc="Kleene NOT."),
    _is("IS TRUE", _filled(False)),
    _is("IS NOT TRUE", _filled(False, inverted=True)),
    _is("IS FALSE", _filled(True, inverted=True)),
    _is("IS NOT FALSE", _filled(True)),
    _is("IS UNKNOWN", _is_null),
    _is("IS NOT UNKNOWN", _is_not_null),
    _null_test("IS NULL", _is_null),
    _null_test("IS NOT NULL", _is_not_null),
)
