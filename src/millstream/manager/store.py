"""The pipelines, kept in SQLite: every change is a pure function applied in one transaction that also records an event.

One server owns a database (`serve.py` locks its directory), so the pipelines are also held in memory: reading one costs
a look-up, in any thread, and never waits for a write. Writing takes a lock, a transaction and a sync to disk: about a
millisecond on a local disk, so callers on the event loop hand it to a worker thread. A function that raises changes
nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, create_engine, delete, event, insert, select, update

from millstream.manager import errors
from millstream.manager.ids import timestamp, uuid7
from millstream.manager.models import Pipeline, pipeline_event
from millstream.manager.schema import migrate, pipeline_events, pipelines
from millstream.manager.settings import DEFAULTS

METADATA_FIELDS = frozenset({"description", "tags", "process"})
"""Changes of these alone are no event."""

_FIELDS = tuple(field.name for field in fields(Pipeline))

Change = Callable[[Pipeline], Pipeline]
Listener = Callable[[Pipeline | None, Pipeline | None], object]


def open_database(path: Path) -> Engine:
    """The database at `path`, created or migrated as needed, for nobody but its owner to read: programs may hold
    passwords of connectors."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:
        os.fchmod(file.fileno(), 0o600)
    engine = create_engine(
        f"sqlite:///{path}",
        json_serializer=lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(),
        json_deserializer=orjson.loads,
        connect_args={"timeout": 30.0, "isolation_level": None, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    migrate(engine)
    return engine


class Store:
    """All pipelines of a server. Thread-safe."""

    def __init__(self, engine: Engine, events_kept: int = DEFAULTS.events_kept) -> None:
        self._engine = engine
        #: Events of a pipeline that are kept (api.md §22.2).
        self._events_kept = events_kept
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        with engine.begin() as connection:
            rows = connection.execute(select(pipelines).order_by(pipelines.c.id)).all()
        self._by_id = {row.id: _from_row(row) for row in rows}
        self._ids = {p.name: p.id for p in self._by_id.values()}

    def listen(self, listener: Listener) -> None:
        """Have `listener(before, after)` called after every change, in the thread that made it. It must be quick."""
        self._listeners.append(listener)

    # Reading.

    def get(self, pipeline_id: str) -> Pipeline | None:
        """The pipeline as it is now, or None."""
        return self._by_id.get(pipeline_id)

    def named(self, name: str) -> Pipeline:
        """The pipeline of that name. Raises `UnknownPipelineName`."""
        found = self.find(name)
        if found is None:
            raise errors.unknown_pipeline(name)
        return found

    def find(self, name: str) -> Pipeline | None:
        """The pipeline of that name, or None."""
        pipeline_id = self._ids.get(name)
        return None if pipeline_id is None else self._by_id.get(pipeline_id)

    def all(self) -> list[Pipeline]:
        """All pipelines in the order of their creation."""
        return [p for _, p in sorted(self._by_id.items())]

    def events(self, p: Pipeline) -> list[dict[str, Any]]:
        """The pipeline's events, newest first."""
        return [self._event(row) for row in self._select_events(p.id)]

    def event(self, p: Pipeline, event_id: str) -> dict[str, Any] | None:
        """One event by its identifier, or the newest one for `latest`; None if there is none."""
        query = select(pipeline_events.c.event).where(pipeline_events.c.pipeline_id == p.id)
        if event_id == "latest":
            query = query.order_by(pipeline_events.c.event_id.desc()).limit(1)
        else:
            query = query.where(pipeline_events.c.event_id == event_id)
        with self._engine.begin() as connection:
            found = connection.execute(query).first()
        return None if found is None else self._event(found)

    def _select_events(self, pipeline_id: str) -> Sequence[Row[Any]]:
        query = (
            select(pipeline_events.c.event)
            .where(pipeline_events.c.pipeline_id == pipeline_id)
            .order_by(pipeline_events.c.event_id.desc())
        )
        with self._engine.begin() as connection:
            return connection.execute(query).all()

    @staticmethod
    def _event(row: Row[Any]) -> dict[str, Any]:
        content: dict[str, Any] = row.event
        return content

    # Writing.

    def insert(self, p: Pipeline) -> Pipeline:
        """Add a pipeline. Raises `DuplicateName`."""
        with self._lock:
            if p.name in self._ids:
                raise errors.duplicate_name()
            with self._engine.begin() as connection:
                connection.execute(insert(pipelines).values(**_to_row(p, _FIELDS)))
                self._record_event(connection, p)
            self._by_id = {**self._by_id, p.id: p}
            self._ids = {**self._ids, p.name: p.id}
        self._tell(None, p)
        return p

    def apply(self, name: str, change: Change) -> Pipeline:
        """Replace the pipeline by `change` of it. Raises `UnknownPipelineName` and what `change` raises."""
        with self._lock:
            before = self.named(name)
            after = self._replace(before, change)
        self._tell(before, after)
        return after

    def apply_by_id(self, pipeline_id: str, change: Change) -> Pipeline | None:
        """Like `apply`, for the background services; None if the pipeline is gone."""
        with self._lock:
            before = self._by_id.get(pipeline_id)
            if before is None:
                return None
            after = self._replace(before, change)
        self._tell(before, after)
        return after

    def delete(self, name: str, check: Callable[[Pipeline], None]) -> Pipeline:
        """Remove a pipeline and its events unless `check` raises."""
        with self._lock:
            p = self.named(name)
            check(p)
            with self._engine.begin() as connection:
                connection.execute(delete(pipelines).where(pipelines.c.id == p.id))
                connection.execute(delete(pipeline_events).where(pipeline_events.c.pipeline_id == p.id))
            self._by_id = {key: value for key, value in self._by_id.items() if key != p.id}
            self._ids = {key: value for key, value in self._ids.items() if key != p.name}
        self._tell(p, None)
        return p

    def _replace(self, before: Pipeline, change: Change) -> Pipeline:
        after = change(before)
        changed = [name for name in _FIELDS if getattr(before, name) != getattr(after, name)]
        if not changed:
            return before
        if "name" in changed and after.name in self._ids:
            raise errors.duplicate_name()
        with self._engine.begin() as connection:
            connection.execute(update(pipelines).where(pipelines.c.id == before.id).values(**_to_row(after, changed)))
            if not METADATA_FIELDS.issuperset(changed):
                self._record_event(connection, after)
        self._by_id = {**self._by_id, after.id: after}
        if "name" in changed:
            self._ids = {key: value for key, value in self._ids.items() if key != before.name} | {after.name: after.id}
        return after

    def _record_event(self, connection: Connection, p: Pipeline) -> None:
        """Add the event that tells of `p` as it is now, and forget the oldest ones."""
        content = pipeline_event(p, str(uuid7()), timestamp())
        connection.execute(
            insert(pipeline_events).values(event_id=content["event_id"], pipeline_id=p.id, event=content)
        )
        oldest_kept = (
            select(pipeline_events.c.event_id)
            .where(pipeline_events.c.pipeline_id == p.id)
            .order_by(pipeline_events.c.event_id.desc())
            .limit(1)
            .offset(self._events_kept - 1)
            .scalar_subquery()
        )
        connection.execute(
            delete(pipeline_events).where(
                pipeline_events.c.pipeline_id == p.id, pipeline_events.c.event_id < oldest_kept
            )
        )

    def _tell(self, before: Pipeline | None, after: Pipeline | None) -> None:
        if before is not after:
            for listener in self._listeners:
                listener(before, after)

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()


def _to_row(p: Pipeline, names: Sequence[str]) -> dict[str, Any]:
    return {name: list(p.tags) if name == "tags" else getattr(p, name) for name in names}


def _from_row(row: Row[Any]) -> Pipeline:
    values = row._asdict()
    return Pipeline(**{**values, "tags": tuple(values["tags"])})
