"""Looking through plans: the expressions of a node, and rebuilding a node over other inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from millstream.expressions.nodes import Call, Expression, children
from millstream.plan.nodes import (
    AsofJoin,
    Except,
    Filter,
    Intersect,
    Join,
    Plan,
    Project,
    Recursive,
    Scan,
    UnionAll,
    Values,
)
from millstream.plan.program import View


def expressions_of(plan: Plan) -> tuple[Expression, ...]:
    """The expressions that a node itself evaluates."""
    if isinstance(plan, Project):
        return plan.expressions
    if isinstance(plan, Filter):
        return (plan.predicate,)
    if isinstance(plan, Join):
        return () if plan.residual is None else (plan.residual,)
    if isinstance(plan, Values):
        return tuple(cell for row in plan.rows for cell in row)
    return ()


def nodes(plan: Plan) -> Iterator[Plan]:
    """The node and all below it."""
    yield plan
    for child in plan.inputs:
        yield from nodes(child)


def with_inputs(plan: Plan, inputs: Sequence[Plan]) -> Plan:
    """The node over other inputs with the same column types; the node itself if they are its own."""
    if all(new is old for new, old in zip(inputs, plan.inputs, strict=True)):
        return plan
    if isinstance(plan, UnionAll):
        return replace(plan, operands=tuple(inputs))
    if isinstance(plan, Recursive):
        pairs = zip(plan.definitions, inputs, strict=True)
        return replace(plan, definitions=tuple(replace(definition, plan=new) for definition, new in pairs))
    if isinstance(plan, Join | AsofJoin | Except | Intersect):
        left, right = inputs
        return replace(plan, left=left, right=right)
    (only,) = inputs
    return replace(plan, input=only)  # type: ignore[call-arg] # every other node with inputs has one, called so


def map_expressions(plan: Plan, change: Callable[[Expression], Expression]) -> Plan:
    """The plan with every expression in it changed; the types of their values must stay."""
    plan = with_inputs(plan, [map_expressions(child, change) for child in plan.inputs])
    if isinstance(plan, Project):
        return replace(plan, expressions=tuple(change(e) for e in plan.expressions))
    if isinstance(plan, Filter):
        return replace(plan, predicate=change(plan.predicate))
    if isinstance(plan, Join) and plan.residual is not None:
        return replace(plan, residual=change(plan.residual))
    if isinstance(plan, Values):
        return replace(plan, rows=tuple(tuple(change(cell) for cell in row) for row in plan.rows))
    return plan


def calls_function(expression: Expression, name: str) -> bool:
    """Whether a function is called anywhere in an expression."""
    if isinstance(expression, Call) and expression.name == name:
        return True
    return any(calls_function(child, name) for child in children(expression))


def uses_now(plan: Plan) -> bool:
    """Whether the result depends on the time of the step."""
    return any(calls_function(e, "NOW") for node in nodes(plan) for e in expressions_of(node))


def reads_relation(view: View, name: str, views: Mapping[str, View]) -> bool:
    """Whether a view reads a relation, itself or through other views."""
    seen: set[str] = set()
    todo = [view]
    while todo:
        scanned = {node.relation for node in nodes(todo.pop().plan) if isinstance(node, Scan)} - seen
        if name in scanned:
            return True
        seen |= scanned
        todo += [views[relation] for relation in scanned if relation in views]
    return False
