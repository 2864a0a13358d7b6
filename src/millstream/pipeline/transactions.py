"""Transactions: input is taken in but nothing changes until the commit, which is one step (connectors.md §3.5).

Clients of the API and connectors open them. There is one at a time: who opens one while another is open takes part in
that one, and it is committed when every participant has committed its part. Once a connector has, nothing more is
taken from its queue until the whole is over: what follows belongs to its next transaction. A connector that ends or
fails commits what it has; one that is paused in the middle keeps the transaction open.

While a transaction is open, what steps would have consumed is held here, in order, as references to the queued batches.
The commit takes everything that was queued before it and runs one step over all of it: one delta per view. Not
thread-safe: used under the control lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


class Part(StrEnum):
    """How far a participant is."""

    STARTED = "Started"
    COMMITTED = "Committed"


@dataclass(frozen=True, slots=True)
class ConnectorPart:
    """A connector's part in the open transaction; `label` is its own name for it."""

    phase: Part
    label: str | None


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
        self._api: Part | None = None
        self._connectors: dict[str, ConnectorPart] = {}
        self._held: dict[str, list[ChangeBatch]] = {}
        self._records = 0

    @property
    def concerns_api(self) -> bool:
        """Whether a client of the API takes part."""
        return self._api is not None

    @property
    def agreed(self) -> bool:
        """Whether all participants of the open transaction have committed."""
        parts = [part.phase for part in self._connectors.values()]
        return self.phase is Phase.OPEN and Part.STARTED not in (self._api, *parts)

    def has_committed(self, endpoint: str) -> bool:
        """Whether the connector waits for the others."""
        part = self._connectors.get(endpoint)
        return part is not None and part.phase is Part.COMMITTED

    @property
    def committed_endpoints(self) -> list[str]:
        """The connectors that wait for the others."""
        return [name for name, part in self._connectors.items() if part.phase is Part.COMMITTED]

    def begin(self) -> int:
        """Open one for the API, or take part in that of connectors; its id."""
        if self.phase is Phase.COMMITTING or self._api is not None:
            raise MillstreamError("TransactionInProgress", "a transaction is already in progress", None, 409)
        self._open()
        self._api = Part.STARTED
        return self._id

    def join(self, endpoint: str, label: str | None) -> None:
        """A connector opens one, or takes part in the open one. Not during a commit."""
        self._open()
        self._connectors[endpoint] = ConnectorPart(Part.STARTED, label)

    def _open(self) -> None:
        if self.phase is Phase.NONE:
            self._id += 1
            self._began = self._clock.monotonic()
            self.phase = Phase.OPEN

    def commit_by_api(self) -> None:
        """The API's part is complete."""
        if self.phase is not Phase.OPEN or self._api is not Part.STARTED:
            raise MillstreamError("NoTransactionInProgress", "no transaction is in progress")
        self._api = Part.COMMITTED

    def commit_by_connector(self, endpoint: str) -> None:
        """The connector's part is complete."""
        self._connectors[endpoint] = ConnectorPart(Part.COMMITTED, self._connectors[endpoint].label)

    def hold(self, table: str, batches: Sequence[ChangeBatch]) -> None:
        """Keep batches for the commit."""
        self._held.setdefault(table, []).extend(batches)
        self._records += sum(batch.num_rows for batch in batches)

    def begin_commit(self) -> None:
        """All have agreed: from now on nothing is taken in until `end`."""
        assert self.agreed, "a participant has not committed"
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
        self._api = None
        self._connectors = {}
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
            None if self._api is None else self._api.value,
            {name: (part.phase.value, part.label) for name, part in self._connectors.items()},
        )
