"""A server with thousands of pipelines: what is asked often costs no look into the database."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from millstream.manager.schema import pipelines
from millstream.manager.services import Services
from millstream.manager.store import _FIELDS, Store, _to_row
from tests.manager.http import PREFIX, Http
from tests.manager.support import compiled, new_pipeline

COUNT = 3000


def test_thousands_of_pipelines_are_listed_from_memory(
    http: Http, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [compiled(new_pipeline(f"p{number}", f"id-{number:06}")) for number in range(COUNT)]
    with services.engine.begin() as connection:
        connection.execute(insert(pipelines), [_to_row(p, _FIELDS) for p in made])
    services.store = Store(services.engine)  # as a server that starts finds them

    def begin() -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(services.engine, "begin", begin)
    listed = http.get(f"{PREFIX}?selector=status").json()
    assert [p["name"] for p in listed] == [p.name for p in made]
    assert len(http.get(PREFIX).json()) == COUNT
    assert http.get(f"{PREFIX}/p{COUNT - 1}").json()["id"] == made[-1].id
    assert http.get(f"{PREFIX}/nobody").status_code == 404
