"""The health of the server's services, looked at every ten seconds; changes become cluster events (api.md §22.3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from millstream.manager.background import Background
from millstream.manager.ids import timestamp, uuid7
from millstream.manager.schema import cluster_events

INTERVAL_S = 10.0
STORE_INTERVAL_S = 600.0
EVENTS_KEPT = 1000
SERVICES = ("api", "compiler", "runner")


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """What was found of a service."""

    healthy: bool
    message: str
    unchanged_since: str
    checked_at: str

    def to_json(self) -> dict[str, Any]:
        """The API's object."""
        return {
            "healthy": self.healthy,
            "message": self.message,
            "unchanged_since": self.unchanged_since,
            "checked_at": self.checked_at,
        }


class Health:
    """Checks the services. `checks` has a function for each that gives whether it is well and what there is to say.
    Lives on the event loop."""

    def __init__(self, engine: Engine, checks: dict[str, Callable[[], tuple[bool, str]]]) -> None:
        self._engine = engine
        self._checks = checks
        self._found: dict[str, ServiceHealth] = {}
        self._stored_at = 0.0
        self._work = Background("health", self._run)

    async def start(self) -> None:
        """Check now, then go on checking."""
        await self.check()
        self._work.start()

    async def close(self) -> None:
        """Stop checking."""
        await self._work.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self.check()

    async def check(self) -> None:
        """Look at every service; a change of health is stored as an event."""
        before, now = self._found, timestamp()
        found = {}
        for name in SERVICES:
            healthy, message = self._checks[name]()
            old = before.get(name)
            since = old.unchanged_since if old is not None and old.healthy == healthy else now
            found[name] = ServiceHealth(healthy, message, since, now)
        self._found = found
        changed = {n: h.healthy for n, h in before.items()} != {n: h.healthy for n, h in found.items()}
        if changed or time.monotonic() - self._stored_at > STORE_INTERVAL_S:
            self._stored_at = time.monotonic()
            await asyncio.to_thread(self._store, found, now)

    def _store(self, found: dict[str, ServiceHealth], now: str) -> None:
        event: dict[str, Any] = {
            "id": str(uuid7()),
            "recorded_at": now,
            "all_healthy": all(health.healthy for health in found.values()),
        }
        for name, health in found.items():
            event[f"{name}_status"] = "Healthy" if health.healthy else "Unhealthy"
            event[f"{name}_self_info"] = health.message
            event[f"{name}_resources_info"] = ""
        oldest = select(cluster_events.c.id).order_by(cluster_events.c.id.desc()).limit(1).offset(EVENTS_KEPT - 1)
        with self._engine.begin() as connection:
            connection.execute(insert(cluster_events).values(id=event["id"], recorded_at=now, event=event))
            connection.execute(delete(cluster_events).where(cluster_events.c.id < oldest.scalar_subquery()))

    def report(self) -> dict[str, Any]:
        """The answer of `GET /v0/cluster_healthz`."""
        services = {name: health.to_json() for name, health in self._found.items()}
        return {"all_healthy": all(health.healthy for health in self._found.values()), **services}

    def events(self) -> list[dict[str, Any]]:
        """All events with every field, newest first."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(cluster_events.c.event).order_by(cluster_events.c.id.desc())).all()
        return [row.event for row in rows]
