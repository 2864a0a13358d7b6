"""Transactions: input is taken in but nothing changes until the commit, which is one step (connectors.md §3.5).

While a transaction is open, what steps would have consumed is held here, in order, as references to the queued batches.
The commit takes everything that was queued before it and runs one step over all of it: one delta per view. Not
thread-safe: used under the control lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from millstream.errors import MillstreamError
from millstream.pipeline.clock import Clock
from millstream.pipeline.histogram import Histogram
from millstream.pipeline.stats import TransactionStatus
from millstream.zset.changes import ChangeBatch


class Phase(StrEnum):
    """The value of `transaction_status`."""

    NONE = "NoTransaction"
    OPEN = "TransactionInProgress"
    COMMITTING = "CommitInProgress"


class Transaction:
    """The pipeline's only transaction, over and over: ids start at 1."""

    def __init__(self, clock: Clock) -> None:
        self.phase = Phase.NONE
        self._clock = clock
        self._id = 0
        self._began = 0.0
        self._commit_began = 0.0
        #: How long transactions were open, and how long their commits took.
        self.ingest, self.commit = Histogram(), Histogram()
        self._held: dict[str, list[ChangeBatch]] = {}
        self._records = 0

    def begin(self) -> int:
        """Open one; its id."""
        if self.phase is not Phase.NONE:
            raise MillstreamError("TransactionInProgress", "a transaction is already in progress", None, 409)
        self._id += 1
        self._began = self._clock.monotonic()
        self.phase = Phase.OPEN
        return self._id

    def hold(self, table: str, batches: Sequence[ChangeBatch]) -> None:
        """Keep batches for the commit."""
        self._held.setdefault(table, []).extend(batches)
        self._records += sum(batch.num_rows for batch in batches)

    def begin_commit(self) -> None:
        """From now on nothing is taken in until `end`."""
        if self.phase is not Phase.OPEN:
            raise MillstreamError("NoTransactionInProgress", "no transaction is in progress")
        self._commit_began = self._clock.monotonic()
        self.ingest.add([self._commit_began - self._began])
        self.phase = Phase.COMMITTING

    @property
    def empty(self) -> bool:
        return not self._records

    def take(self) -> dict[str, list[ChangeBatch]]:
        """What the commit's step consumes."""
        held, self._held = self._held, {}
        return held

    def end(self) -> None:
        """The commit's step has happened."""
        self.commit.add([self._clock.monotonic() - self._commit_began])
        self.phase = Phase.NONE
        self._held = {}
        self._records = 0

    def status(self) -> TransactionStatus:
        if self.phase is Phase.NONE:
            return TransactionStatus(self.phase.value)
        return TransactionStatus(
            self.phase.value,
            self._id,
            int((self._clock.monotonic() - self._began) * 1000),
            self._records,
            "Started" if self.phase is Phase.OPEN else "Committed",
        )
