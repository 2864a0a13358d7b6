"""Recursion: reachability and relatives, mutual recursion, bodies that are not monotone, deletions from cycles."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.expressions.nodes import ColumnRef, Literal
from millstream.expressions.registry import build_call
from millstream.operators.recursive import LevelledOperator, UnrolledOperator
from millstream.plan.nodes import (
    Aggregate,
    AggregateCall,
    Definition,
    Distinct,
    Except,
    Filter,
    Intersect,
    Join,
    JoinKind,
    Project,
    Recursive,
    Scan,
    UnionAll,
)
from millstream.types.sql_type import INTEGER
from tests.operators.law import check, circuit_of, schema, table

TABLES = (table("e", [INTEGER, INTEGER]), table("s", [INTEGER]))
PAIR, ONE = schema([INTEGER, INTEGER]), schema([INTEGER])
E, S = Scan(PAIR, "e"), Scan(ONE, "s")
V, W = Scan(PAIR, "v"), Scan(PAIR, "w")
N = Scan(ONE, "n")


def columns(plan, *indices):
    """The plan with only those columns."""
    picked = tuple(ColumnRef(INTEGER, i) for i in indices)
    return Project(schema([INTEGER] * len(indices)), plan, picked)


def compose(left, right):
    """Pairs (a, c) with (a, b) on the left and (b, c) on the right."""
    joined = Join(left.schema + right.schema, JoinKind.INNER, left, right, (1,), (0,), (False,))
    return columns(joined, 0, 3)


def union(*plans):
    return UnionAll(plans[0].schema, plans)


def alone(plan, name="v"):
    return Recursive(plan.schema, (Definition(name, plan),), 0)


def targets(source):
    """Where edges from the nodes of `source` lead."""
    return columns(Join(source.schema + PAIR, JoinKind.INNER, source, E, (0,), (0,), (False,)), 2)


def join_on_all(kind, left, right):
    keys = tuple(range(len(left.schema)))
    output = left.schema if kind in (JoinKind.SEMI, JoinKind.ANTI) else left.schema + right.schema
    return Join(output, kind, left, right, keys, keys, (True,) * len(keys))


less = build_call("<", (ColumnRef(INTEGER, 0), ColumnRef(INTEGER, 1)))
small = build_call("<", (ColumnRef(INTEGER, 1), Literal(INTEGER, 4)))
step_back = columns(E, 1, 0)
MONOTONE = {
    "transitive closure": alone(union(E, compose(V, E))),
    "doubling": alone(union(E, compose(V, V))),
    "reachable nodes": alone(union(S, targets(N)), "n"),
    "distinct inside": alone(union(E, Distinct(PAIR, compose(V, E)), Distinct(PAIR, V))),
    "filter inside": alone(union(E, Filter(PAIR, compose(V, E), less))),
    "semi-join with a member": alone(union(S, columns(Join(PAIR, JoinKind.SEMI, E, N, (0,), (0,), (False,)), 1)), "n"),
    "semi-join with a residual": alone(
        union(S, columns(Join(PAIR, JoinKind.SEMI, E, N, (0,), (0,), (False,), less), 1)), "n"
    ),
    "anti-join with a table": alone(
        union(S, Join(ONE, JoinKind.ANTI, targets(N), columns(step_back, 1), (0,), (0,), (False,))), "n"
    ),
    "left join with a table": alone(
        union(E, columns(Filter(PAIR * 2, Join(PAIR * 2, JoinKind.LEFT, V, E, (1,), (0,), (False,)), small), 0, 3))
    ),
    "intersection": alone(union(E, Intersect(PAIR, compose(V, E), compose(V, V), False))),
    "intersection of bags": alone(union(E, Intersect(PAIR, step_back, compose(V, V), True))),
    "difference from a table": alone(union(E, Except(PAIR, compose(V, E), step_back, False))),
}  # fmt: skip
EVEN_ODD = (
    Definition("v", union(E, compose(W, E))),
    Definition("w", union(compose(V, E))),
)
MONOTONE["mutual, first"] = Recursive(PAIR, EVEN_ODD, 0)
MONOTONE["mutual, second"] = Recursive(PAIR, EVEN_ODD, 1)


def shortest():
    """The least of the nodes that lead to each node: MIN over a member."""
    grouped = union(columns(S, 0, 0), compose(V, E))
    reversed_pairs = columns(grouped, 1, 0)
    least = Aggregate(PAIR, reversed_pairs, (0,), (AggregateCall("MIN", (1,), INTEGER),))
    return alone(columns(least, 1, 0))


OTHERS = {
    "aggregate inside": shortest(),
    "anti-join with a member that grows once": alone(
        union(S, Join(ONE, JoinKind.ANTI, columns(E, 1), N, (0,), (0,), (False,)), N), "n"
    ),
    "difference of members": Recursive(
        ONE, (Definition("n", union(S, targets(N))), Definition("m", Except(ONE, columns(E, 0), N, False))), 1
    ),
    "full join": alone(
        union(S, columns(Join(ONE + ONE, JoinKind.FULL, N, columns(E, 1), (0,), (0,), (False,)), 1)), "n"
    ),
}


@st.composite
def schedules(draw, nodes=5, max_steps=5, max_changes=7):
    present, steps = [], []
    node = st.integers(0, nodes - 1) | st.none()
    for _ in range(draw(st.integers(1, max_steps))):
        step = []
        for _ in range(draw(st.integers(0, max_changes))):
            if present and draw(st.integers(0, 2)) == 0:
                step.append((*present.pop(draw(st.integers(0, len(present) - 1))), -1))
            else:
                name = draw(st.sampled_from("eees"))
                row = (draw(node), draw(node)) if name == "e" else (draw(node),)
                present.append((name, row))
                step.append((name, row, 1))
        steps.append(step)
    return steps


def operator_of(plan):
    circuit = circuit_of(plan, tables=TABLES)
    return next(n.operator for n in circuit._graph.nodes if n.label == "recursive")


@pytest.mark.parametrize("name", list(MONOTONE))
@settings(max_examples=40, deadline=None, derandomize=True)
@given(schedules())
def test_monotone_bodies(name, steps):
    check(MONOTONE[name], steps, tables=TABLES)


@pytest.mark.parametrize("name", list(MONOTONE))
def test_monotone_bodies_are_evaluated_by_levels(name):
    assert isinstance(operator_of(MONOTONE[name]), LevelledOperator)


@pytest.mark.parametrize("name", list(OTHERS))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(schedules())
def test_other_bodies(name, steps):
    assert isinstance(operator_of(OTHERS[name]), UnrolledOperator)
    check(OTHERS[name], steps, tables=TABLES)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["transitive closure", "doubling", "mutual, second", "reachable nodes"])
def test_larger_graphs_with_cycles(name, seed):
    source = random.Random(seed)
    present, steps = [], []
    for _ in range(12):
        step = []
        for _ in range(6):
            if present and source.random() < 0.4:
                step.append((*present.pop(source.randrange(len(present))), -1))
            else:
                row = (source.randrange(14), source.randrange(14))
                present.append(("e", row) if source.random() < 0.9 else ("s", row[:1]))
                step.append((*present[-1], 1))
        steps.append(step)
    check(MONOTONE[name], steps, tables=TABLES)


def test_a_cycle_that_loses_its_only_way_in_disappears():
    cycle = [("e", (1, 2), 1), ("e", (2, 3), 1), ("e", (3, 1), 1)]
    steps = [[*cycle, ("s", (0,), 1), ("e", (0, 1), 1)], [("e", (0, 1), -1)], [("e", (0, 3), 1)], [("s", (0,), -1)]]
    check(MONOTONE["reachable nodes"], steps, tables=TABLES)
