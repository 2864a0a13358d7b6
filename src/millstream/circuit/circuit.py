"""The circuit: a program's operator graph, its state, and the step.

A step takes the changes of the tables and computes the change of every view, reading each node once, in the order of
the graph. Nodes none of whose inputs changed are skipped, so a step costs what it touches. All views of a step belong
to the same table contents: a snapshot taken between steps is consistent.

A failed step (EvaluationError) leaves operators half-way: the circuit must not be used afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from millstream.circuit.build import build_graph
from millstream.circuit.graph import Node
from millstream.circuit.inputs import TableInput
from millstream.circuit.parts import Change, concatenated, whole
from millstream.circuit.sharded import ShardedOperator
from millstream.circuit.snapshot import CircuitSnapshot
from millstream.circuit.spreading import Spreading
from millstream.circuit.waterlines import RunningWaterlines
from millstream.circuit.workers import SINGLE, Workers
from millstream.errors import MillstreamError
from millstream.expressions.evaluate import EvaluationContext
from millstream.expressions.nodes import Expression
from millstream.operators.final import FinalRows
from millstream.operators.index import IndexOperator
from millstream.operators.join import JoinOperator
from millstream.plan.nodes import Schema
from millstream.plan.program import ERROR_VIEW, ERROR_VIEW_SCHEMA, Program
from millstream.types import arrow_type
from millstream.zset.changes import ChangeBatch
from millstream.zset.consolidate import consolidate
from millstream.zset.delta import Delta
from millstream.zset.hashing import DEFAULT_SEEDS, Seeds
from millstream.zset.keeper import keeper_in_use, keeping
from millstream.zset.run import build_run
from millstream.zset.trace import Trace, TraceSnapshot


class RelationDeltas(Mapping[str, Delta]):
    """Consolidated changes by relation name; a relation that did not change is absent.

    A change is consolidated when it is first asked for, so relations that nobody reads cost nothing; those in `done`
    are known to be consolidated. Thread-safe: two readers at once at worst do the same work twice.
    """

    def __init__(self, raw: Mapping[str, Change], done: Mapping[str, Delta], seeds: Seeds, workers: Workers) -> None:
        self._raw = raw
        self._seeds = seeds
        self._workers = workers
        self._done = dict(done)

    def __getitem__(self, name: str) -> Delta:
        found = self._done.get(name)
        if found is None:
            found = self._done[name] = self._consolidated(self._raw[name])
        if not found.num_rows:
            raise KeyError(name)
        return found

    def _consolidated(self, change: Change) -> Delta:
        if isinstance(change, Delta) or not change.placed:
            return consolidate(change if isinstance(change, Delta) else change.whole, self._seeds)
        # Equal rows are in the same part.
        tasks = [partial(consolidate, part, self._seeds) for part in change.present]
        return concatenated(self._workers.run(tasks, change.num_rows), self._workers)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._raw if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did: the changes of every table and every non-LOCAL view, and the number of input rows."""

    deltas: Mapping[str, Delta]
    num_input_rows: int


@dataclass(slots=True)
class NodeStats:
    """Counters of one node, or of what is kept behind it, since the start."""

    calls: int = 0
    seconds: float = 0.0
    rows_in: int = 0
    rows_out: int = 0

    def add(self, start: float, rows_in: int, rows_out: int) -> None:
        """Counts a call that began at `start` (perf_counter) and ends now."""
        self.calls += 1
        self.seconds += time.perf_counter() - start
        self.rows_in += rows_in
        self.rows_out += rows_out


def _contents(schema: Schema, seeds: Seeds) -> Trace:
    """What a materialized relation is kept in."""
    return Trace([arrow_type(column.type) for column in schema], range(len(schema)), seeds)


@dataclass
class Circuit:
    """The running form of `program`. Not thread-safe, apart from snapshots and step results. `workers` compute a step
    together; what it gives does not depend on them."""

    program: Program
    seeds: Seeds = DEFAULT_SEEDS
    workers: Workers = SINGLE
    _started: bool = field(default=False, init=False)
    _now_us: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        program = self.program
        # That of the traces made now, and of those that operators make in steps.
        self._keeper = keeper_in_use()
        self._graph = build_graph(program, self.seeds, self.workers)
        self._spreading = None if self.workers.count == 1 else Spreading(self._graph.nodes, self.workers)
        self._lateness = self._graph.lateness
        self._inputs = {
            table.name: TableInput(
                table, self.seeds, self._lateness.get(table.name), self._graph.indexes.get(table.name)
            )
            for table in program.tables
        }
        self._indexes = list(self._graph.indexes.values())
        self._indexes += [node.operator.index for node in self._graph.nodes if isinstance(node.operator, IndexOperator)]
        self._forgetful = [self._inputs[t.name] for t in program.tables if t.late_keys and not t.queryable]
        self._waterlines: RunningWaterlines | None = None
        self._floored = [node for node in self._graph.nodes if any(bound is not None for bound in node.floors)]
        self._final: dict[str, tuple[FinalRows, Expression]] = {}
        if self._graph.waterlines is not None:
            for view in program.views:
                if view.emit_final is not None:
                    bound = self._graph.waterlines.relation(view.name)[view.emit_final]
                    self._final[view.name] = (FinalRows(view.emit_final, self.seeds), bound)
        if self._graph.waterlines is not None and (self._floored or self._final):
            bounds = [bound for node in self._floored for bound in node.floors if bound is not None]
            bounds += [bound for _, bound in self._final.values()]
            self._waterlines = RunningWaterlines(self._graph.waterlines.sources, self._lateness, bounds)
        self._stats = [NodeStats() for _ in self._graph.nodes]
        self._materialized = {
            view.name: _contents(view.schema, self.seeds) for view in program.views if view.materialized
        }
        if program.keeps_errors:
            self._materialized[ERROR_VIEW] = _contents(ERROR_VIEW_SCHEMA, self.seeds)
        self._kept_stats = {("final", name): NodeStats() for name in self._final}
        self._kept_stats.update({("contents", name): NodeStats() for name in self._materialized})
        self._kept_tables = [table.name for table in program.tables if table.queryable]
        self._outputs = [ERROR_VIEW] if ERROR_VIEW in self._graph.relations else []
        self._outputs += [table.name for table in program.tables]
        self._outputs += [view.name for view in program.views if not view.local]
        self._schemas = {ERROR_VIEW: ERROR_VIEW_SCHEMA, **{table.name: table.schema for table in program.tables}}
        self._schemas.update((view.name, view.schema) for view in program.views)

    def step(self, changes: Mapping[str, Sequence[ChangeBatch]], now_us: int | None = None) -> StepResult:
        """Applies the changes, by table name, as one step at time `now_us`. A time before that of the last step
        counts as the same: the clock of a program does not go back.

        The first step, which may have no changes, also makes constant views and global aggregates appear.
        Raises EvaluationError (the circuit is then unusable) and MillstreamError for unknown tables.
        """
        with keeping(self._keeper):
            result = self._step(changes, now_us)
        self._keeper.end_step()
        return result

    def _step(self, changes: Mapping[str, Sequence[ChangeBatch]], now_us: int | None) -> StepResult:
        if now_us is not None:
            now_us = self._now_us = now_us if self._now_us is None else max(now_us, self._now_us)
        context = EvaluationContext(now_us)
        nodes = self._graph.nodes
        deltas: list[Change | None] = [None] * len(nodes)
        num_input_rows = 0
        for name, batches in changes.items():
            table = self._inputs.get(name)
            if table is None:
                raise MillstreamError("UnknownRelation", f"unknown table '{name}'", {"relation": name}, 404)
            count = sum(batch.num_rows for batch in batches)
            if count:
                num_input_rows += count
                deltas[self._graph.relations[name]] = self._load(name, table, batches, count)
        for number, node in enumerate(nodes):
            operator = node.operator
            if operator is None:
                continue
            inputs = [deltas[i] for i in node.inputs]
            if any(d is not None for d in inputs) or operator.volatile or (operator.initial and not self._started):
                start = time.perf_counter()
                delta = self._call(number, node, inputs, context)
                rows_out = 0
                if delta is not None and delta.num_rows:
                    deltas[number] = delta
                    rows_out = delta.num_rows
                self._stats[number].add(start, sum(d.num_rows for d in inputs if d is not None), rows_out)
        self._started = True
        for index in self._indexes:
            index.end_step()
        final: dict[str, Delta | None] = {}
        if self._waterlines is not None:
            if self._waterlines.advance(now_us):
                self._discard(self._waterlines)
            final = self._let_out(deltas, self._waterlines)
        for table in self._forgetful:
            table.discard()
        return StepResult(self._collect(deltas, final), num_input_rows)

    def _call(
        self, number: int, node: Node, inputs: Sequence[Change | None], context: EvaluationContext
    ) -> Change | None:
        if self._spreading is not None:
            return self._spreading.step(number, node, inputs, context)
        assert node.operator is not None
        return node.operator.step([whole(change) for change in inputs], context)

    def _discard(self, waterlines: RunningWaterlines) -> None:
        """Lets operators forget what no later change can touch."""
        for node in self._floored:
            assert node.operator is not None
            node.operator.discard([waterlines.code(bound) for bound in node.floors])

    def _let_out(self, deltas: Sequence[Change | None], waterlines: RunningWaterlines) -> dict[str, Delta | None]:
        """The output changes of views of which only what is final is let out."""
        final = {}
        for name, (rows, bound) in self._final.items():
            start = time.perf_counter()
            delta = whole(deltas[self._graph.relations[name]])
            out = final[name] = rows.advance(delta, waterlines.code(bound))
            sizes = [0 if change is None else change.num_rows for change in (delta, out)]
            self._kept_stats["final", name].add(start, *sizes)
        return final

    def _load(self, name: str, table: TableInput, batches: Sequence[ChangeBatch], count: int) -> Delta | None:
        start = time.perf_counter()
        delta = table.change(batches)
        self._stats[self._graph.relations[name]].add(start, count, delta.num_rows)
        return delta if delta.num_rows else None

    def _collect(self, deltas: Sequence[Change | None], final: Mapping[str, Delta | None]) -> RelationDeltas:
        raw: dict[str, Change] = {}
        for name in self._outputs:
            delta = final[name] if name in final else deltas[self._graph.relations[name]]
            if delta is not None:
                raw[name] = delta
        done = {name: delta for name in self._kept_tables if isinstance(delta := raw.get(name), Delta)}
        for name, trace in self._materialized.items():
            change = final[name] if name in final else deltas[self._graph.relations[name]]
            if change is not None:
                # Building a run consolidates: the view's readers need not do it again.
                start = time.perf_counter()
                consolidated = self._keep(trace, change)
                self._kept_stats["contents", name].add(start, change.num_rows, consolidated.num_rows)
                if name in raw:
                    done[name] = consolidated
        return RelationDeltas(raw, done, self.seeds, self.workers)

    def _keep(self, trace: Trace, change: Change) -> Delta:
        """Adds a change to the contents of a view; gives it back consolidated."""
        if isinstance(change, Delta) or not change.placed or change.num_rows < self.workers.thread_rows:
            return trace.insert(change if isinstance(change, Delta) else change.whole)
        # Equal rows are in the same part.
        tasks = [partial(build_run, part, trace.key, self.seeds) for part in change.present]
        runs = self.workers.run(tasks, change.num_rows)
        for run in runs:
            trace.insert_run(run)
        parts = zip(change.present, runs, strict=True)
        return concatenated([p if p.num_rows == run.num_rows else run.delta for p, run in parts], self.workers)

    def snapshot(self) -> CircuitSnapshot:
        """The contents of all materialized relations after the last step. O(relations)."""
        contents: dict[str, TraceSnapshot] = {}
        for name, table in self._inputs.items():
            snapshot = table.snapshot()
            if snapshot is not None:
                contents[name] = snapshot
        contents.update((name, trace.snapshot()) for name, trace in self._materialized.items())
        return CircuitSnapshot(self._schemas, contents)

    @property
    def num_late_rows(self) -> int:
        """Rows of tables and views that came late, since the start."""
        return sum(lateness.count for lateness in self._lateness.values())

    @property
    def state_rows(self) -> int:
        """Entries kept in all tables, operators and materialized views."""
        return sum(entry["state_rows"] for entry in self.profile())

    @property
    def state_bytes(self) -> int:
        """Bytes of memory of the same."""
        return sum(entry["state_bytes"] for entry in self.profile())

    def profile(self) -> list[dict[str, Any]]:
        """One entry per node: operator, kind, inputs, calls, seconds, rows_in, rows_out, state_rows, state_bytes,
        workers: how many share its state, and indexes: the nodes whose state it reads, which counts there. After the
        nodes one entry for the contents of each materialized view, and for what each `emit_final` view withholds."""
        keepers = {id(index): self._graph.relations[name] for name, index in self._graph.indexes.items()}
        for number, node in enumerate(self._graph.nodes):
            if isinstance(node.operator, IndexOperator):
                keepers[id(node.operator.index)] = number
        entries = []
        for number, (node, stats) in enumerate(zip(self._graph.nodes, self._stats, strict=True)):
            state = self._inputs[node.label] if node.operator is None else node.operator
            read = state.indexes if isinstance(state, JoinOperator) else []
            entries.append(
                {
                    "operator": f"{number}: {node.label}",
                    "kind": "table" if node.operator is None else node.operator.kind,
                    "inputs": list(node.inputs),
                    **asdict(stats),
                    "state_rows": state.state_rows,
                    "state_bytes": state.state_bytes,
                    "workers": state.replicas if isinstance(state, ShardedOperator) else 1,
                    "indexes": [keepers[id(index)] for index in read],
                }
            )
        for (kind, name), stats in self._kept_stats.items():
            kept = self._materialized[name] if kind == "contents" else self._final[name][0]
            entries.append(
                {
                    "operator": f"{len(entries)}: {kind} of {name}",
                    "kind": kind,
                    "inputs": [self._graph.relations[name]],
                    **asdict(stats),
                    "state_rows": kept.num_rows if isinstance(kept, Trace) else kept.state_rows,
                    "state_bytes": kept.nbytes if isinstance(kept, Trace) else kept.state_bytes,
                    "workers": 1,
                    "indexes": [],
                }
            )
        return entries
