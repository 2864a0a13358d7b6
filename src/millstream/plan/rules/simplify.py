"""Conditions that are known beforehand: TRUE is dropped, FALSE leaves no rows. And what all operands of an OR ask for
stands before it, where it may become a key of a join.

A condition without columns is evaluated here if that succeeds; one that fails stays, to fail when a row needs it.
"""

from __future__ import annotations

from dataclasses import replace

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import evaluate_constant, is_deterministic
from millstream.expressions.functions.user_defined import calls_user_code
from millstream.expressions.nodes import Expression, Literal, columns_used
from millstream.plan.conditions import TRUE, conjunction, factored, may_fail
from millstream.plan.nodes import Filter, Join, JoinKind, Plan, Values


def simplify(plan: Plan) -> Plan:
    """Fold the conditions of one node."""
    if isinstance(plan, Filter):
        predicate = folded(plan.predicate)
        if predicate is None:
            return plan.input
        if _is_false(predicate):
            return Values(plan.schema, ())
        return plan if predicate == plan.predicate else replace(plan, predicate=predicate)
    if isinstance(plan, Join) and plan.residual is not None:
        residual = folded(plan.residual)
        if residual is not None and _is_false(residual) and plan.kind in (JoinKind.INNER, JoinKind.SEMI):
            return Values(plan.schema, ())
        return plan if residual == plan.residual else replace(plan, residual=residual)
    return plan


def folded(condition: Expression) -> Expression | None:
    """The condition without constant conjuncts; None if it is TRUE, a literal FALSE if it never holds."""
    kept: list[Expression] = []
    for part in factored(condition):
        value = _constant(part)
        if value is True:
            continue
        if value is not None and not any(may_fail(c) for c in kept):
            return replace(TRUE, value=False)
        kept.append(part if value is None else replace(TRUE, value=False))
    return conjunction(kept)


def _is_false(condition: Expression) -> bool:
    return isinstance(condition, Literal) and condition.value is not True


def _constant(condition: Expression) -> bool | None:
    """Whether a condition without columns is TRUE; None if that is not known now."""
    if columns_used(condition) or not is_deterministic(condition) or calls_user_code(condition):
        return None
    try:
        return evaluate_constant(condition).as_py() is True
    except EvaluationError:
        return None
