"""Reasoning about conditions: their conjuncts, where they may be evaluated, and what NULLs make of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from millstream.expressions.evaluate import is_deterministic
from millstream.expressions.evaluate import may_fail as evaluation_may_fail
from millstream.expressions.functions.user_defined import calls_user_code
from millstream.expressions.nodes import Call, Case, Cast, ColumnRef, Expression, Lambda, Literal, OuterRef, children
from millstream.expressions.registry import build_call
from millstream.types import Kind, SqlType

TRUE = Literal(SqlType(Kind.BOOLEAN, nullable=False), True)
#: Functions that are NULL when any operand is
_STRICT = frozenset(("=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "NEG", "LIKE", "NOT LIKE", "NOT"))
#: Nodes of expressions that a rewriting may make by repeating subexpressions
MAX_SIZE = 2000


@lru_cache(maxsize=4096)
def may_fail(expression: Expression) -> bool:
    """Whether some row makes an evaluation raise: such an expression must not be evaluated on more rows than those
    that it was written for."""
    return evaluation_may_fail(_local(expression))


def _local(expression: Expression) -> Expression:
    """The expression with columns of enclosing queries taken for columns of its own."""
    if isinstance(expression, OuterRef):
        return ColumnRef(expression.type, 0)
    return map_children(expression, _local)


def map_children(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The expression with each direct operand changed."""
    if isinstance(expression, Call):
        return replace(expression, arguments=tuple(change(a) for a in expression.arguments))
    if isinstance(expression, Cast):
        return replace(expression, argument=change(expression.argument))
    if isinstance(expression, Case):
        branches = tuple((change(c), change(r)) for c, r in expression.branches)
        return replace(expression, branches=branches, otherwise=change(expression.otherwise))
    if isinstance(expression, Lambda):
        return replace(expression, captures=tuple(change(c) for c in expression.captures))
    return expression


def split_conjunction(expression: Expression) -> list[Expression]:
    """The operands of nested ANDs."""
    if isinstance(expression, Call) and expression.name == "AND":
        return [part for argument in expression.arguments for part in split_conjunction(argument)]
    return [expression]


def factored(condition: Expression) -> list[Expression]:
    """The operands of its nested ANDs, with those of ORs that all their operands ask for: (a AND b) OR (a AND c) is a
    and (b OR c). What may fail stays behind the conditions that guard it."""
    parts: list[Expression] = []
    for part in split_conjunction(condition):
        options = [split_conjunction(operand) for operand in _split_disjunction(part)]
        common = [c for c in dict.fromkeys(options[0]) if all(c in o for o in options) and _may_move(c)]
        if len(options) < 2 or not common:
            parts.append(part)
            continue
        rests = [conjunction(c for c in option if c not in common) for option in options]
        parts += common
        if None not in rests:
            parts.append(build_call("OR", [rest for rest in rests if rest is not None]))
    return parts


def _split_disjunction(expression: Expression) -> list[Expression]:
    if isinstance(expression, Call) and expression.name == "OR":
        return [part for argument in expression.arguments for part in _split_disjunction(argument)]
    return [expression]


def _may_move(condition: Expression) -> bool:
    return not may_fail(condition) and is_deterministic(condition) and not calls_user_code(condition)


def conjunction(parts: Iterable[Expression]) -> Expression | None:
    """The AND of all parts, each once; None of none."""
    unique = list(dict.fromkeys(parts))
    if len(unique) < 2:
        return unique[0] if unique else None
    return build_call("AND", unique)


def is_null_for(expression: Expression, columns: Collection[int]) -> bool:
    """Whether the value is certainly NULL when all of `columns` are."""
    if isinstance(expression, ColumnRef):
        return expression.index in columns
    if isinstance(expression, Cast):
        return expression.argument.type.kind is not Kind.VARIANT and is_null_for(expression.argument, columns)
    if isinstance(expression, Call):
        if expression.name in _STRICT:
            return any(is_null_for(argument, columns) for argument in expression.arguments)
        if expression.name in ("IN", "NOT IN"):
            return is_null_for(expression.arguments[0], columns)
    return False


def rejects_nulls(condition: Expression, columns: Collection[int]) -> bool:
    """Whether a condition is certainly not TRUE when all of `columns` are NULL."""
    if is_null_for(condition, columns):
        return True
    if not isinstance(condition, Call):
        return False
    if condition.name in ("AND", "IS TRUE"):
        return any(rejects_nulls(argument, columns) for argument in condition.arguments)
    if condition.name == "OR":
        return all(rejects_nulls(argument, columns) for argument in condition.arguments)
    if condition.name in ("IS NOT NULL", "IS FALSE", "IS NOT UNKNOWN"):
        return is_null_for(condition.arguments[0], columns)
    return False


def substituted_size(expression: Expression, replacements: Sequence[Expression]) -> int:
    """The number of nodes of an expression with its columns replaced, as far as `MAX_SIZE`."""
    if isinstance(expression, ColumnRef):
        return _size(replacements[expression.index])
    total = 1
    for child in children(expression):
        total += substituted_size(child, replacements)
        if total > MAX_SIZE:
            break
    return total


def _size(expression: Expression) -> int:
    return 1 + sum(_size(child) for child in children(expression))
