"""`datagen`: rows made to a plan (connectors.md §11.13).

The reader makes whole Arrow columns, a chunk at a time. Its position is the number of the next row; pausing keeps it,
and since a row depends on nothing but seed and number, neither pausing nor chunk sizes change what comes out.

A limited rate is kept by due times: rows are due 1 / rate seconds after each other, a chunk goes out when its rows are
due, or what is due after half a second. After a pause the next row is due at once, and no rows are owed for the pause.

`workers` says how many threads upstream uses; one vectorised thread is faster here, and the rows are the same for any
number, so it has no effect. With `transaction_size` every so many rows are a transaction; the last may be smaller.
"""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from millstream.connectors.base import InputConnector, InputSink
from millstream.connectors.datagen.generator import row_generators
from millstream.connectors.datagen.random import row_lanes
from millstream.connectors.datagen.scalars import Generator
from millstream.connectors.datagen.settings import Plan, parse_config
from millstream.connectors.options import OptionError, invalid_transport
from millstream.types import Relation
from millstream.zset.changes import ChangeBatch

#: What the statistics count for a record, whatever its columns.
BYTES_PER_RECORD = 8
#: A slow plan delivers what is due at least this often.
FLUSH_INTERVAL_SECONDS = 0.5
#: A generator that cannot keep up forgets a lag beyond this.
MAX_LAG_SECONDS = 1.0
#: At the lowest rate a row is due every second; to wait longer means that the clock was set back.
MAX_WAIT_SECONDS = 2.0
#: Rounding must not turn waiting into spinning.
MIN_SLEEP_SECONDS = 1e-3


class DatagenInput(InputConnector):
    """Options: `plan`, `seed`, `workers`, `transaction_size`."""

    name = "datagen"
    format: ClassVar[str] = "forbidden"

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        try:
            parsed = parse_config(config)
            self._plans: list[tuple[Plan, tuple[Generator, ...]]] = [
                (plan, row_generators(relation, plan.fields, f"plan[{i}].fields"))
                for i, plan in enumerate(parsed.plans)
            ]
        except OptionError as error:
            raise invalid_transport(endpoint_name, self.name, str(error)) from error
        #: The seed in use; a random one unless configured.
        self.seed = secrets.randbits(64) if parsed.seed is None else parsed.seed
        #: Number of the next row, over all plans.
        self.next_row = 0
        self._transaction_size = parsed.transaction_size
        #: Rows of the transaction that is open.
        self._rows_in_transaction = 0

    def run(self, sink: InputSink) -> None:
        for plan, generators in self._plans:
            if not self._run_plan(plan, generators, sink):
                return
        while not sink.closing:
            if sink.wait_until_active():
                sink.end_of_input()
                return

    def _run_plan(self, plan: Plan, generators: tuple[Generator, ...], sink: InputSink) -> bool:
        """Deliver the plan's rows; False if closing came first."""
        pace = None if plan.rate is None else Pace(plan.rate)
        left = plan.limit
        while left is None or left > 0:
            if sink.closing:
                return False
            if not sink.active:
                if pace is not None:
                    pace.restart()
                sink.wait_until_active()
                continue
            wanted = min(plan.chunk_rows, max(1, sink.max_batch_rows))
            wanted = wanted if left is None else min(wanted, left)
            if self._transaction_size is not None:
                wanted = min(wanted, self._transaction_size - self._rows_in_transaction)
            count = wanted if pace is None else pace.take(sink, wanted)
            if count:
                self._deliver(generators, count, sink)
                left = None if left is None else left - count
        return True

    def _deliver(self, generators: tuple[Generator, ...], count: int, sink: InputSink) -> None:
        lanes = row_lanes(self.seed, self.next_row, count)
        batch = ChangeBatch(tuple(generate(lanes) for generate in generators), count)
        first, self.next_row = self.next_row, self.next_row + count
        if self._transaction_size is not None and not self._rows_in_transaction:
            sink.start_transaction()
        sink.push_batch(batch, count * BYTES_PER_RECORD, {"rows": {"start": first, "end": self.next_row}})
        if self._transaction_size is not None:
            self._rows_in_transaction += count
            if self._rows_in_transaction == self._transaction_size:
                self._rows_in_transaction = 0
                sink.commit_transaction()


class Pace:
    """When rows are due at `rate` per second: the next one at `_next_due`, the others behind it at equal distances."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._next_due: float | None = None

    def restart(self) -> None:
        """Forget the past: the next row is due at once."""
        self._next_due = None

    def take(self, sink: InputSink, wanted: int) -> int:
        """How many rows go out now, at most `wanted`; if it is too early, sleeps once and answers 0."""
        now = sink.now()
        if self._next_due is None or self._next_due - now > MAX_WAIT_SECONDS:
            self._next_due = now
        self._next_due = max(self._next_due, now - MAX_LAG_SECONDS)
        waited = now - self._next_due
        # The small term forgives a clock that rounds the due time down.
        ready = int(waited * self._rate + 1e-3) + 1 if waited * self._rate >= -1e-3 else 0
        gathering = min((wanted - 1) / self._rate, FLUSH_INTERVAL_SECONDS)
        if ready >= wanted or (ready and waited >= gathering):
            count = min(ready, wanted)
            self._next_due += count / self._rate
            return count
        sink.sleep(max(MIN_SLEEP_SECONDS, gathering - waited))
        return 0
