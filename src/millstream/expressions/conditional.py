"""CASE: typing, and evaluation in which a result fails only on the rows whose branch was chosen (sql.md §7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.expressions.attempts import attempted
from millstream.expressions.coercion import coerce, is_null_literal, least_restrictive
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.function import Node
from millstream.expressions.nodes import Case, Expression, Literal, children
from millstream.expressions.vectors import Value, broadcast, is_scalar, mask_of, scatter
from millstream.types import Kind, arrow_type
from millstream.types.sql_type import BOOLEAN, NULL


def build_case(
    branches: Sequence[tuple[Expression, Expression]], otherwise: Expression | None, what: str = "CASE"
) -> Expression:
    """`CASE WHEN c THEN r ... [ELSE otherwise] END` with all results in their least restrictive type."""
    if otherwise is None:
        otherwise = Literal(NULL, None)
    for condition, _ in branches:
        if condition.type.kind is not Kind.BOOLEAN and not is_null_literal(condition):
            raise TypeCheckError(f"Expected a boolean type in {what}, got {condition.type.sql()}")
    results = [result for _, result in branches] + [otherwise]
    common = least_restrictive([r.type for r in results], what)
    nullable = any(r.type.nullable for r in results)
    typed = [coerce(r, common) for r in results]
    conditions = [coerce(condition, BOOLEAN) for condition, _ in branches]
    return Case(common.with_nullable(nullable), tuple(zip(conditions, typed[:-1], strict=True)), typed[-1])


def implement_case(case: Case, nodes: Sequence[Node], fallible: Sequence[bool]) -> Node:
    """The node of a CASE over the nodes of its children (conditions and results in turn, ELSE last)."""
    conditions = list(zip(nodes[0:-1:2], fallible[0:-1:2], strict=True))
    results = [*nodes[1::2], nodes[-1]]
    results_fail = any(fallible[1::2]) or fallible[-1]
    data_type = arrow_type(case.type)

    def guarded(frame: Any) -> Value:
        choice = choose(frame, conditions)
        if not results_fail:
            return _gather(frame, choice, results, data_type)
        pieces = []
        for branch, node in enumerate(results):
            chosen = choice == branch
            rows = np.flatnonzero(chosen)
            if len(rows) == len(choice):
                return node(frame)
            if len(rows):
                pieces.append((rows, node(frame.narrow(chosen))))
        return scatter(pieces, len(choice), data_type)

    if len(conditions) == 1:
        eager = _if_else(conditions[0][0], results[0], results[1], data_type)
    else:
        safe = [(condition, False) for condition, _ in conditions]

        def eager(frame: Any) -> Value:
            return _gather(frame, choose(frame, safe), results, data_type)

    if not any(fallible):
        return eager
    return attempted(eager, guarded, [part for part, fails in zip(children(case), fallible, strict=True) if fails])


def _if_else(condition: Node, then: Node, otherwise: Node, data_type: pa.DataType) -> Node:
    def evaluate(frame: Any) -> Value:
        chosen = condition(frame)
        if is_scalar(chosen):
            return then(frame) if chosen.as_py() else otherwise(frame)
        if chosen.null_count:
            chosen = pc.fill_null(chosen, False)
        return pc.if_else(chosen, _typed(then(frame), data_type), _typed(otherwise(frame), data_type))

    return evaluate


def _typed(value: Value, data_type: pa.DataType) -> Value:
    return value if value.type == data_type else value.cast(data_type)


def _gather(frame: Any, choice: Any, results: Sequence[Node], data_type: pa.DataType) -> Value:
    """The chosen results when none of them fails: those that occur are evaluated on all rows and merged."""
    present = np.flatnonzero(np.bincount(choice)).tolist()
    values = [_typed(results[branch](frame), data_type) for branch in present]
    if len(values) > 1 and all(is_scalar(value) for value in values):
        position = np.zeros(present[-1] + 1, np.int64)
        position[present] = np.arange(len(present))
        return pa.concat_arrays([broadcast(value, 1) for value in values]).take(pa.array(position[choice]))
    merged = values[0]
    for branch, value in zip(present[1:], values[1:], strict=True):
        merged = pc.if_else(pa.array(choice == branch), value, merged)
    return merged


def choose(frame: Any, conditions: Sequence[tuple[Node, bool]]) -> Any:
    """The first condition that is TRUE on each row; their number where none is.

    Conditions that may fail are evaluated only on rows that no earlier condition took.
    """
    length = frame.num_rows
    choice = np.full(length, len(conditions), np.int64)
    undecided = np.ones(length, np.bool_)
    for branch, (node, may_fail) in enumerate(conditions):
        if may_fail and branch and not undecided.all():
            if not undecided.any():
                break
            rows = np.flatnonzero(undecided)
            narrowed = frame.narrow(undecided)
            taken = np.zeros(length, np.bool_)
            taken[rows[mask_of(node(narrowed), len(rows))]] = True
        else:
            taken = mask_of(node(frame), length) & undecided
        np.putmask(choice, taken, branch)
        undecided ^= taken
    return choice
