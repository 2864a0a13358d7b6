"""Collections of support data that are kept on disk."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from millstream.manager.services import Services
from tests.manager.http import PREFIX, Http
from tests.manager.support import new_pipeline


def collections(http: Http, **parameters: Any) -> list[str]:
    """The directories in a bundle of pipeline `p`, newest first; each is named in the metadata, and is there."""
    query = "&".join(f"{key}={value}" for key, value in parameters.items())
    response = http.get(f"{PREFIX}/p/support_bundle?{query}")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        named = [c["directory"] for c in json.loads(archive.read("metadata.json"))["collections"]]
        assert {name.partition("/")[0] for name in archive.namelist() if "/" in name} == set(named)
    return named


def test_the_latest_collections_are_kept(http: Http, services: Services) -> None:
    p = services.store.insert(new_pipeline())
    taken = []
    for _ in range(5):
        http.runner.run(services.support.keep(p))
        taken += collections(http, collect="false", limit=1)
    assert taken == sorted(set(taken))
    assert collections(http, collect="false") == taken[:1:-1]
    assert collections(http, collect="false", limit=2) == taken[:2:-1]
    with_a_new_one = collections(http)
    assert with_a_new_one[1:] == taken[:1:-1]
    assert with_a_new_one[0] > taken[-1]
    assert collections(http, collect="false") == taken[:1:-1], "what a request collects is not kept"


def test_only_the_parts_that_are_asked_for_leave_what_is_kept(http: Http, services: Services) -> None:
    http.runner.run(services.support.keep(services.store.insert(new_pipeline())))
    response = http.get(f"{PREFIX}/p/support_bundle?collect=false&logs=false&pipeline_config=false")
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
    assert "pipeline_events.json" in names
    assert not names & {"logs.txt", "pipeline_config.json.gz"}


def test_a_half_written_collection_is_left_out(http: Http, services: Services) -> None:
    p = services.store.insert(new_pipeline())
    http.runner.run(services.support.keep(p))
    (kept,) = collections(http, collect="false")
    (services.support._directory / p.id / "2999-01-01T00-00-00").mkdir()
    assert collections(http, collect="false") == [kept]


def test_what_was_collected_goes_with_the_pipeline(http: Http, services: Services) -> None:
    p = services.store.insert(new_pipeline())
    http.runner.run(services.support.keep(p))
    assert http.delete(f"{PREFIX}/p").status_code == 200
    assert not (services.support._directory / p.id).exists()
