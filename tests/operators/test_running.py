"""Window functions whose frames begin with the partition: they go on from checkpoints, and nobody can tell."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from millstream.errors import EvaluationError
from millstream.expressions.evaluate import EvaluationContext
from millstream.operators.windows import running
from millstream.operators.windows.operator import WindowOperator
from millstream.plan.nodes import SortKey, WindowCall, WindowFrame
from millstream.types.sql_type import BIGINT, DOUBLE, INTEGER, VARCHAR
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS
from tests.operators.law import PRICE, TABLES, add, changes, check, circuit_of, rows_of
from tests.operators.test_window import COUNT, DOWN, RANKS, UP, window
from tests.reference.plans import evaluate, normal

RUNNING = WindowFrame(False, None, 0)
ROWS = WindowFrame(True, None, 0)
WHOLE = WindowFrame(False, None, None)


def aggregates(frame):
    return (
        WindowCall("COUNT", (), COUNT, frame),
        WindowCall("COUNT", (2,), COUNT, frame, filter=5),
        WindowCall("SUM", (0,), INTEGER, frame),
        WindowCall("SUM", (1,), BIGINT, frame, filter=5),
        WindowCall("SUM", (4,), PRICE, frame),
        WindowCall("SUM", (3,), DOUBLE, frame),
        WindowCall("AVG", (1,), BIGINT, frame),
        WindowCall("AVG", (3,), DOUBLE, frame),
        WindowCall("MIN", (2,), VARCHAR, frame),
        WindowCall("MAX", (3,), DOUBLE, frame),
        WindowCall("MIN", (4,), PRICE, frame, filter=5),
        WindowCall("FIRST_VALUE", (2,), VARCHAR, frame),
    )


EXTREMES = (WindowCall("MAX", (1,), BIGINT, RUNNING), WindowCall("MIN", (2,), VARCHAR, ROWS))
CALLS = {
    "ranks": RANKS,
    "range": aggregates(RUNNING),
    "rows": aggregates(ROWS),
    "rows up to before": aggregates(WindowFrame(True, None, -2)),
    "rows up to after": aggregates(WindowFrame(True, None, 2)),
    "extremes": EXTREMES,
    "first of all": (WindowCall("FIRST_VALUE", (4,), PRICE, WHOLE), WindowCall("FIRST_VALUE", (3,), DOUBLE, ROWS)),
    "several": (*RANKS, aggregates(RUNNING)[4], aggregates(ROWS)[8]),
    "with lag": (EXTREMES[0], WindowCall("LAG", (2,), VARCHAR, offset=3)),
    "with lead": (RANKS[1], WindowCall("LEAD", (1,), BIGINT, offset=2)),
    "with bounded rows": (RANKS[0], WindowCall("SUM", (1,), BIGINT, WindowFrame(True, -3, -1))),
    "with peers": (EXTREMES[1], WindowCall("COUNT", (), COUNT, WindowFrame(False, 0, 0)), RANKS[2]),
    "with last": (EXTREMES[0], WindowCall("LAST_VALUE", (2,), VARCHAR, RUNNING)),
}


@pytest.fixture(autouse=True)
def dense_checkpoints(monkeypatch):
    """Checkpoints every few rows, and little more is read at a time."""
    monkeypatch.setattr(running, "_SPACING", 3)
    monkeypatch.setattr(running, "_FURTHER", 2)


def long_schedule(seed, partitions, sizes=(60, 1, 1, 5, 2, 30, 1, 1, 40, 3, 1)):
    """Changes at any place of a few long partitions, with ties, duplicates and NULLs; every other step deletes more."""
    source = random.Random(seed)
    prices = [None, Decimal("1.50"), Decimal("-0.25"), Decimal("7.00")]
    doubles = [None, -0.0, 0.5, 1e16, -3.25, 0.25, float("nan"), float("inf")]

    def row():
        # Sometimes all come at the end, as times do.
        key = next(counter) if source.random() < 0.3 else source.choice([None, *range(40)])
        text = source.choice([None, "a", "b", "é"])
        partition = source.choice(partitions)
        double = source.choice(doubles[:6] if seed % 2 else doubles)
        return (partition, key, text, double, source.choice(prices), source.choice([None, True, True, False]))

    counter = iter(range(40, 10**6))
    present, steps = [], []
    for number, size in enumerate(sizes):
        fewer = min(len(present), size if number % 2 else size // 4)
        step = [("t", present.pop(source.randrange(len(present))), -1) for _ in range(fewer)]
        for _ in range(size // 2 if number % 2 else size):
            new = row()
            copies = source.choice([1, 1, 1, 2])
            present += [new] * copies
            step += [("t", new, 1)] * copies
        source.shuffle(step)
        steps.append(step)
    return steps


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize(
    "key",
    [
        pytest.param(UP, id="up"),
        pytest.param(DOWN, id="down"),
        pytest.param(SortKey(1, False, False), id="nulls last", marks=pytest.mark.slow),
    ],
)
def test_every_function_follows_changes_at_any_place(calls, key):
    for seed, partitions in enumerate([(1,), (1, 2, None)]):
        check(window((0,), (key,), *calls), long_schedule(seed, partitions))


@pytest.mark.parametrize("calls", [CALLS["several"], CALLS["with lag"]], ids=["several", "with lag"])
def test_several_keys_and_no_partition(calls):
    keys = (SortKey(5, False, True), SortKey(1, True, False), SortKey(2, False, True))
    check(window((), keys, *calls), long_schedule(4, (1, 2)))


@pytest.mark.parametrize("calls", [CALLS["several"], CALLS["with lag"]], ids=["several", "with lag"])
def test_early_deletions_are_made_up_for(calls):
    plan = window((0,), (UP,), *calls)
    for seed in range(6):
        steps = long_schedule(seed, (1, None), (30, 2, 10, 4, 10))
        source = random.Random(seed)
        early = [[change for change in step if change[2] > 0 or source.random() < 0.5] for step in steps]
        # Each of the other deletions comes first of all, before its row.
        late = [change for step, some in zip(steps, early, strict=True) for change in step if change not in some]
        circuit = circuit_of(plan)
        view, contents = Counter(), Counter()
        for step in [[change] for change in late] + early:
            delta = circuit.step(changes(TABLES, step)).deltas.get("v0")
            add(view, Counter() if delta is None else rows_of(delta))
            for _, row, weight in step:
                add(contents, {tuple(normal(v) for v in row): weight})
            if all(count > 0 for count in contents.values()):
                assert view == evaluate(plan, {"t": contents})
        assert all(count > 0 for count in contents.values())


def test_everything_goes_and_comes_again():
    rows = [("t", (1, key % 25, "x", 0.5, None, True), 1) for key in range(60)]
    steps = [rows, [(t, row, -1) for t, row, _ in rows], rows[:30], rows[30:], [(t, row, -1) for t, row, _ in rows[3:]]]
    for calls in (CALLS["several"], EXTREMES):
        check(window((0,), (UP,), *calls), steps)


def test_sums_are_checked_where_they_overflow_only():
    half = 2**30
    steps = [[("t", (half if key in (0, 40) else 0, key, None, None, None, None), 1)] for key in range(41)]
    circuit = circuit_of(window((2,), (UP,), WindowCall("SUM", (0,), INTEGER, RUNNING)))
    for step in steps[:-1]:
        circuit.step(changes(TABLES, step))
    with pytest.raises(EvaluationError, match="2147483648"):
        circuit.step(changes(TABLES, steps[-1]))


TYPES = [pa.int64(), pa.int64(), pa.int64()]


def operator_of(*calls):
    return WindowOperator(TYPES, (0,), (SortKey(1, False, True),), calls, DEFAULT_SEEDS)


def delta_of(keys, values, weight=1):
    columns = [pa.array(c, pa.int64()) for c in (np.zeros(len(keys)), keys, values)]
    return Delta(tuple(columns), np.full(len(keys), weight, np.int64))


ALL_KINDS = {
    "running sum": WindowCall("SUM", (2,), BIGINT, RUNNING),
    "running rows": WindowCall("AVG", (2,), BIGINT, ROWS),
    "running maximum": WindowCall("MAX", (2,), BIGINT, RUNNING),
    "first": WindowCall("FIRST_VALUE", (2,), BIGINT, RUNNING),
    **{call.function: call for call in RANKS},
}


@pytest.fixture
def rows_read(monkeypatch):
    """The rows of all pieces that are read, stretch by stretch."""
    monkeypatch.setattr(running, "_SPACING", 64)
    monkeypatch.setattr(running, "_FURTHER", 16)
    read = []
    original = running.RunningRows.read

    def count(self, *arguments):
        stretch = original(self, *arguments)
        read.append(stretch.pool.num_rows)
        return stretch

    monkeypatch.setattr(running.RunningRows, "read", count)
    return read


@pytest.mark.parametrize("call", ALL_KINDS.values(), ids=ALL_KINDS.keys())
def test_an_append_reads_the_last_rows_only_however_many_there_are(call, rows_read):
    for size in (1_000, 30_000):
        operator = operator_of(call)
        operator.step([delta_of(np.arange(size), np.arange(size))], EvaluationContext())
        for more in range(200):
            rows_read.clear()
            change = operator.step([delta_of([size + more], [size + more])], EvaluationContext())
            assert change.num_rows == 1
            assert sum(rows_read) <= 128


def test_a_change_that_changes_no_other_value_reads_its_surroundings_only(rows_read):
    operator = operator_of(ALL_KINDS["running maximum"], ALL_KINDS["first"])
    size = 30_000
    operator.step([delta_of(np.arange(0, 2 * size, 2), np.arange(size))], EvaluationContext())
    for weight in (1, -1):
        rows_read.clear()
        change = operator.step([delta_of([size + 1, 1_001], [3, 4], weight)], EvaluationContext())
        assert rows_of(change) == {(0, size + 1, 3, size // 2, 0): weight, (0, 1_001, 4, 500, 0): weight}
        assert sum(rows_read) <= 4 * 128


def test_ranks_change_between_a_deletion_and_an_insertion_only(rows_read):
    operator = operator_of(*RANKS)
    size = 30_000
    operator.step([delta_of(np.arange(0, 2 * size, 2), np.zeros(size))], EvaluationContext())
    rows_read.clear()
    move = [delta_of([10_000], [0], -1), delta_of([10_101], [0])]
    columns = tuple(pa.concat_arrays(pair) for pair in zip(*(part.columns for part in move), strict=True))
    change = operator.step([Delta(columns, np.array([-1, 1]))], EvaluationContext())
    # Fifty rows move up by one.
    assert change.num_rows == 2 * 50 + 2
    assert sum(rows_read) <= 6_000


def test_rows_before_a_change_are_not_read(rows_read):
    operator = operator_of(ALL_KINDS["running sum"])
    size = 30_000
    operator.step([delta_of(np.arange(size), np.ones(size))], EvaluationContext())
    rows_read.clear()
    change = operator.step([delta_of([size - 1_000], [5])], EvaluationContext())
    assert change.num_rows == 2 * 1_000 + 1
    assert sum(rows_read) <= 2_500


def test_floats_are_summed_as_if_from_scratch(rows_read):
    types = [pa.int64(), pa.int64(), pa.float64()]
    call = WindowCall("SUM", (2,), DOUBLE, RUNNING)
    source = np.random.default_rng(5)
    values = source.normal(size=3_000) * 10.0 ** source.integers(-8, 8, 3_000)

    def made(parts):
        operator = WindowOperator(types, (0,), (SortKey(1, False, True),), (call,), DEFAULT_SEEDS)
        found = {}
        for part in parts:
            columns = (pa.array(np.zeros(len(part), np.int64)), pa.array(part), pa.array(values[part]))
            change = operator.step([Delta.inserts(columns)], EvaluationContext())
            come = change.filter(change.weights > 0)
            found.update(zip(come.columns[1].to_pylist(), come.columns[3].to_pylist(), strict=True))
        return found

    keys = np.arange(3_000)
    pieces = np.array_split(keys, 40)
    assert made([keys]) == made(pieces) == made([keys[1::2], keys[::2]])
