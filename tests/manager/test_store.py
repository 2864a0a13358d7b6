"""The store: what is written is there after a restart, what fails changes nothing, every change is an event."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect

from millstream.errors import MillstreamError
from millstream.manager import lifecycle
from millstream.manager.edits import check_delete
from millstream.manager.lifecycle import StartRequest
from millstream.manager.models import Pipeline
from millstream.manager.schema import MIGRATIONS, metadata
from millstream.manager.settings import DEFAULTS
from millstream.manager.store import Store, open_database
from tests.manager.support import LATER, compiled, new_pipeline, running, stopped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(open_database(path))
    yield opened
    opened.close()


def reopened(path: Path) -> list[Pipeline]:
    again = Store(open_database(path))
    try:
        return again.all()
    finally:
        again.close()


def test_pipelines_survive_a_restart_field_by_field(store: Store, path: Path) -> None:
    made = [
        new_pipeline("a", "1", tags=["x", "y"], description="dä", runtime_config={"dev_tweaks": {"k": [1, None]}}),
        running(compiled(new_pipeline("b", "2", program_code="-- täxt\n", udf_toml="t", udf_python="def f(): ...\n"))),
        replace(stopped(compiled(new_pipeline("c", "3"))), deployment_error={"message": "m", "details": None}),
    ]
    for p in made:
        store.insert(p)
    assert store.all() == made
    assert reopened(path) == made


def test_a_change_is_stored(store: Store, path: Path) -> None:
    store.insert(compiled(new_pipeline()))
    after = store.apply("p", lambda p: lifecycle.start(p, StartRequest(), LATER))
    assert after.resources_desired_status == "Provisioned"
    assert store.named("p") == after
    assert reopened(path) == [after]


def test_a_change_that_fails_changes_nothing(store: Store, path: Path) -> None:
    before = store.insert(new_pipeline())
    with pytest.raises(MillstreamError):
        store.apply("p", lambda p: lifecycle.clear(running(p)))
    assert store.named("p") == before
    assert reopened(path) == [before]
    assert len(store.events(before)) == 1


def test_unknown_names(store: Store) -> None:
    for action in (
        lambda: store.named("x"),
        lambda: store.apply("x", lambda p: p),
        lambda: store.delete("x", check_delete),
    ):
        with pytest.raises(MillstreamError) as caught:
            action()
        assert (caught.value.error_code, caught.value.status) == ("UnknownPipelineName", 404)
        assert caught.value.details == {"pipeline_name": "x"}
    assert store.find("x") is None
    assert store.apply_by_id("x", lambda p: p) is None


def test_names_are_unique(store: Store) -> None:
    store.insert(new_pipeline("a", "1"))
    store.insert(new_pipeline("b", "2"))
    for action in (
        lambda: store.insert(new_pipeline("a", "3")),
        lambda: store.apply("b", lambda p: replace(p, name="a")),
    ):
        with pytest.raises(MillstreamError) as caught:
            action()
        assert (caught.value.error_code, caught.value.status) == ("DuplicateName", 409)
    assert [p.name for p in store.all()] == ["a", "b"]


def test_renaming_moves_the_name(store: Store, path: Path) -> None:
    store.insert(new_pipeline("a", "1"))
    store.apply("a", lambda p: replace(p, name="b"))
    assert store.find("a") is None
    assert store.named("b").id == "1"
    store.insert(new_pipeline("a", "2"))
    assert [p.name for p in reopened(path)] == ["b", "a"]


def test_every_change_but_metadata_is_an_event_newest_first(store: Store) -> None:
    p = store.insert(compiled(new_pipeline()))
    store.apply("p", lambda p: lifecycle.start(p, StartRequest(), LATER))
    store.apply("p", lambda p: lifecycle.start(p, StartRequest(), LATER))  # changes nothing
    store.apply("p", lambda p: replace(p, description="x"))
    store.apply("p", lifecycle.use_storage)
    events = store.events(p)
    assert [(e["deployment_resources_desired_status"], e["storage_status"]) for e in events] == [
        ("Provisioned", "InUse"), ("Provisioned", "Cleared"), ("Stopped", "Cleared")
    ]  # fmt: skip
    assert store.event(p, "latest") == events[0]
    assert store.event(p, events[2]["event_id"]) == events[2]
    assert store.event(p, "00000000-0000-0000-0000-000000000000") is None


def test_only_the_latest_events_are_kept(store: Store) -> None:
    p = store.insert(new_pipeline())
    for number in range(DEFAULTS.events_kept + 5):
        store.apply("p", lambda p, number=number: replace(p, version=number + 2))
    events = store.events(p)
    assert len(events) == DEFAULTS.events_kept == 720
    assert [e["event_id"] for e in events] == sorted((e["event_id"] for e in events), reverse=True)


def test_deletion_takes_the_events_along(store: Store, path: Path) -> None:
    p = store.insert(new_pipeline())
    other = store.insert(new_pipeline("q", "2"))
    store.delete("p", check_delete)
    assert store.events(p) == []
    assert len(store.events(other)) == 1
    assert reopened(path) == [other]


def test_deletion_is_checked(store: Store) -> None:
    store.insert(running(compiled(new_pipeline())))
    with pytest.raises(MillstreamError):
        store.delete("p", check_delete)
    assert store.find("p") is not None


def test_listeners_hear_of_changes_and_only_of_changes(store: Store) -> None:
    heard: list[tuple[str | None, str | None]] = []
    store.listen(lambda before, after: heard.append((before and before.name, after and after.name)))
    store.insert(new_pipeline("a", "1"))
    store.apply("a", lambda p: p)
    store.apply("a", lambda p: replace(p, name="b"))
    store.delete("b", check_delete)
    assert heard == [(None, "a"), ("a", "b"), ("b", None)]


def test_concurrent_changes_are_all_applied(store: Store, path: Path) -> None:
    store.insert(new_pipeline())

    def count() -> None:
        for _ in range(50):
            store.apply("p", lambda p: replace(p, version=p.version + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.named("p").version == 201
    assert reopened(path)[0].version == 201


def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    engine = open_database(path)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    engine.dispose()
    with pytest.raises(MillstreamError) as caught:
        open_database(path)
    assert caught.value.error_code == "IncompatibleDataDirectory"


def test_migration_gives_the_tables_that_the_code_expects(path: Path) -> None:
    engine = open_database(path)
    found = inspect(engine)
    for table in metadata.sorted_tables:
        assert {c["name"] for c in found.get_columns(table.name)} == {c.name for c in table.columns}
    engine.dispose()


def test_a_database_without_python_code_is_migrated(path: Path) -> None:
    engine = open_database(path)
    store = Store(engine)
    made = store.insert(new_pipeline())
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE pipelines DROP COLUMN udf_python")
        connection.exec_driver_sql("PRAGMA user_version = 1")
    store.close()
    assert reopened(path) == [made]
    store = Store(open_database(path))
    store.apply("p", lambda p: replace(p, udf_python="def f(): ..."))
    store.close()
    assert reopened(path)[0].udf_python == "def f(): ..."
