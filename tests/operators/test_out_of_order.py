"""Deletions that arrive before their insertions: once these have come, a view is as if they never had been early."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from millstream.plan.nodes import Distinct, Except, Intersect, JoinKind, SortKey, TopK
from tests.operators.law import TABLES, T, U, add, changes, circuit_of, random_schedule, rows_of
from tests.operators.test_aggregate import CALLS, aggregate
from tests.operators.test_asof_join import SHAPES, asof
from tests.operators.test_join import LESS, join
from tests.operators.test_sets import LEFT, PAIR, RIGHT
from tests.operators.test_window import FRAMES, RANKS, UP, aggregates, window
from tests.reference.plans import evaluate, normal

KEYS = (SortKey(1, True, False),)
PLANS = {
    **{f"{kind} join": join(kind) for kind in JoinKind},
    **{f"{kind} join with residual": join(kind, residual=LESS) for kind in JoinKind},
    **{f"{name} of groups": aggregate((0,), *calls) for name, calls in CALLS.items()},
    **{name: aggregate((), *calls) for name, calls in CALLS.items()},
    "distinct": Distinct(T.schema, T),
    "except": Except(PAIR, LEFT, RIGHT, False),
    "except all": Except(PAIR, LEFT, RIGHT, True),
    "intersect": Intersect(PAIR, LEFT, RIGHT, False),
    "intersect all": Intersect(PAIR, LEFT, RIGHT, True),
    **{f"asof join with {name}": asof(name) for name in SHAPES},
    "ranks": window((0,), (UP,), *RANKS),
    **{f"window of {name}": window((), (UP,), *aggregates(FRAMES[name])) for name in ("running", "range around")},
    "top-k": TopK(T.schema, T, (), KEYS, 2, 1),
    "top-k of partitions": TopK(U.schema, U, (0,), KEYS, 1, 0),
}


def shuffled(seed):
    """A schedule in which half of all changes come at another time than they should."""
    source = random.Random(seed)
    steps = random_schedule(seed, both=True)
    displaced = []
    for step in steps:
        for change in list(step):
            if source.random() < 0.5:
                step.remove(change)
                displaced.append(change)
    for change in displaced:
        source.choice(steps).append(change)
    # At least one change a step, and then everything is there.
    return [[change] for step in steps for change in step] if seed % 2 else steps


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_early_deletions_are_made_up_for(plan):
    for seed in range(25):
        circuit = circuit_of(plan)
        contents = {t.name: Counter() for t in TABLES}
        view = Counter()
        circuit_started = [[], *shuffled(seed)]
        for step in circuit_started:
            delta = circuit.step(changes(TABLES, step)).deltas.get("v0")
            for name, row, weight in step:
                add(contents[name], {tuple(normal(v) for v in row): weight})
            if delta is not None:
                add(view, rows_of(delta))
            if all(count > 0 for bag in contents.values() for count in bag.values()):
                assert view == evaluate(plan, contents), seed
