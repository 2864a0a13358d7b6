"""What a server tells of its pipelines beyond their state: measurements, logs, profiles, support bundles, demos (api.md
§13, §22-§24)."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Create
from tests.integration.rest import Rest, wait_for

PROGRAM = """CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY) WITH ('materialized' = 'true');
CREATE MATERIALIZED VIEW v AS SELECT n % 10 AS k, COUNT(*) AS n FROM t GROUP BY n % 10;"""
PARTS = (
    "circuit_profile", "heap_profile", "metrics", "logs", "stats", "pipeline_config", "system_config", "dataflow_graph",
    "pipeline_events",
)  # fmt: skip


@pytest.fixture(scope="module")
def watched(rest: Rest) -> Iterator[str]:
    """A running pipeline that has processed some rows, and its path."""
    rest.create("watched", PROGRAM)
    rest.start("watched")
    token = rest.push("watched", *range(100)).json()["token"]
    wait_for("the rows", lambda: rest.completed("watched", token))
    yield "/pipelines/watched"
    rest.remove("watched")


def archive(response: httpx.Response) -> dict[str, bytes]:
    """The files of a ZIP answer."""
    assert (response.status_code, response.headers["content-type"]) == (200, "application/zip")
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    with zipfile.ZipFile(io.BytesIO(response.content)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_profile_of_operators(rest: Rest, watched: str) -> None:
    response = rest.http.get(f"{watched}/circuit_json_profile", headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-disposition"] == 'attachment; filename="profile.json"'
    assert response.headers["transfer-encoding"] == "chunked"
    again = rest.http.get(f"{watched}/circuit_json_profile", headers={"Accept-Encoding": "identity"})
    assert response.json() == again.json()  # the pipeline is idle
    operators = response.json()["operators"]
    (table,) = (o for o in operators if o["kind"] == "table")
    assert (table["rows_out"], table["state_rows"]) == (100, 100)
    assert {o["kind"] for o in operators} > {"table"}
    files = archive(rest.http.get(f"{watched}/circuit_profile"))
    assert json.loads(files["profile.json"]) == response.json()
    assert set(json.loads(files["dataflow.json"])["calcite_plan"]) == {"v"}


def test_no_heap_profile(rest: Rest, watched: str) -> None:
    response = rest.http.get(f"{watched}/heap_profile")
    assert (response.status_code, response.json()["error_code"]) == (400, "HeapProfilerError")


def test_a_profile_of_threads(create: Create, rest: Rest) -> None:
    create("sampled", PROGRAM, "running")
    path = "/pipelines/sampled/samply_profile"
    response = rest.http.get(path)
    assert (response.status_code, response.json()["error_code"]) == (400, "NoSamplyProfile")
    for bad in ("0", "-1", "x", "601"):
        assert rest.http.post(path, params={"duration_secs": bad}).status_code == 400
    assert rest.http.post(path, params={"duration_secs": 1}).status_code == 202
    response = rest.http.post(path, params={"duration_secs": 1})
    assert (response.status_code, response.json()["error_code"]) == (409, "SamplyProfilingInProgress")
    response = rest.http.get(path, params={"latest": "true"})
    assert (response.status_code, response.content) == (204, b"")
    assert int(response.headers["retry-after"]) >= 1
    wait_for("the profile", lambda: rest.http.get(path).status_code == 200)
    response = rest.http.get(path, params={"latest": "true"})
    assert response.headers["content-type"] == "application/gzip"
    profile = json.loads(gzip.decompress(response.content))
    names = {p["name"] for p in profile["profiles"]}
    assert "engine" in names
    frames = profile["shared"]["frames"]
    for thread in profile["profiles"]:
        assert len(thread["samples"]) == len(thread["weights"])
        assert all(0 <= i < len(frames) for stack in thread["samples"] for i in stack)


def test_measurements_are_replayed_then_streamed_until_the_pipeline_stops(create: Create, rest: Rest) -> None:
    create("measured", PROGRAM, "running")
    wait_for("a sample", lambda: bool(rest.http.get("/pipelines/measured/time_series").json()["samples"]))
    token = rest.push("measured", *range(100)).json()["token"]
    wait_for("the rows", lambda: rest.completed("measured", token))
    series = rest.http.get("/pipelines/measured/time_series").json()
    assert set(series) == {"now", "samples"}
    with rest.http.stream("GET", "/pipelines/measured/time_series_stream") as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
        lines = response.iter_lines()
        seen = [json.loads(next(lines)) for _ in series["samples"]]
        assert seen == series["samples"]  # none is lost: 60 are kept, one a second
        seen += [json.loads(next(lines)) for _ in range(2)]
        assert seen[-1]["t"] > series["now"]
        assert rest.http.post("/pipelines/measured/stop?force=true").is_success
        seen += [json.loads(line) for line in lines if line]
    for sample in seen:
        assert set(sample) == {"t", "r", "m", "s"}
        assert [type(sample[key]) for key in "trms"] == [str, int, int, int]
        assert sample["m"] > 0
    assert [sample["t"] for sample in seen] == sorted({sample["t"] for sample in seen})
    assert [sample["r"] for sample in seen] == sorted(sample["r"] for sample in seen)
    assert seen[-1]["r"] == 100


def test_a_log_goes_on_over_restarts_and_clearing(create: Create, rest: Rest) -> None:
    create("logged", PROGRAM)
    with rest.http.stream("GET", "/pipelines/logged/logs") as response:  # one reader sees it all happen
        assert response.headers["content-type"] == "text/plain"
        assert response.headers["content-encoding"] == "identity"
        lines = response.iter_lines()
        seen = [next(lines)]
        for times in (1, 2):
            rest.start("logged")
            assert rest.http.post("/pipelines/logged/stop?force=true").is_success
            rest.reaches("logged", "Stopped")
            assert rest.http.post("/pipelines/logged/clear").is_success
            rest.wait("logged", lambda p: p["storage_status"] == "Cleared", "cleared storage")
            while sum("Pipeline is stopped" in line for line in seen) < times:
                seen.append(next(lines))
            assert sum("pipeline is ready" in line for line in seen) == times
    with rest.http.stream("GET", "/pipelines/logged/logs") as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in seen] == seen  # a late reader is told the same
    assert sum("Fresh start of pipeline logs" in line for line in seen) == 1


def metadata(files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["metadata.json"])
    assert found["pipeline"]["name"] in files["metadata.txt"].decode()
    return found


def test_a_bundle_of_a_running_pipeline(rest: Rest, watched: str) -> None:
    files = archive(rest.http.get(f"{watched}/support_bundle"))
    (collection,) = metadata(files)["collections"]
    assert set(collection["collected"]) == set(PARTS) - {"heap_profile"}
    assert (set(collection["failed"]), collection["skipped"]) == ({"heap_profile"}, [])
    assert ":" not in collection["directory"]
    found = {
        name.removeprefix(collection["directory"] + "/"): content for name, content in files.items() if "/" in name
    }
    assert set(found) == {
        "circuit_profile.zip", "circuit_profile.json", "metrics.txt", "logs.txt", "stats.json",
        "pipeline_config.json.gz", "system_config.json", "dataflow_graph.json", "pipeline_events.json",
    }  # fmt: skip
    assert json.loads(gzip.decompress(found["pipeline_config.json.gz"]))["program_code"] == PROGRAM
    assert b"records_processed_total" in found["metrics.txt"]
    assert b"Fresh start of pipeline logs" in found["logs.txt"]
    assert json.loads(found["stats.json"])["global_metrics"]["total_processed_records"] == 100
    assert len(json.loads(found["pipeline_events.json"])) > 5


def test_the_parts_of_a_bundle_are_chosen(rest: Rest, watched: str) -> None:
    off = dict.fromkeys(PARTS, "false")
    assert set(archive(rest.http.get(f"{watched}/support_bundle", params=off))) == {"metadata.txt", "metadata.json"}
    files = archive(rest.http.get(f"{watched}/support_bundle", params={**off, "stats": "true"}))
    assert sorted(name.rpartition("/")[2] for name in files) == ["metadata.json", "metadata.txt", "stats.json"]
    files = archive(rest.http.get(f"{watched}/support_bundle", params={"collect": "false"}))
    assert metadata(files)["collections"] == []
    files = archive(rest.http.get(f"{watched}/support_bundle", params={"limit": 1}))
    assert len({name.partition("/")[0] for name in files if "/" in name}) == 1
    response = rest.http.get(f"{watched}/support_bundle", params={"limit": 0})
    assert (response.status_code, response.json()["error_code"]) == (400, "InvalidSupportBundleParameter")
    assert rest.http.get(f"{watched}/support_bundle", params={"limit": "x"}).status_code == 400


def test_a_bundle_of_a_pipeline_that_does_not_run(create: Create, rest: Rest) -> None:
    create("resting", PROGRAM)
    files = archive(rest.http.get("/pipelines/resting/support_bundle"))
    (collection,) = metadata(files)["collections"]
    assert {"circuit_profile", "heap_profile", "metrics", "stats"} == set(collection["failed"])
    assert "PipelineInteractionNotDeployed" in collection["failed"]["stats"]
    assert rest.http.get("/pipelines/nobody/support_bundle").json()["error_code"] == "UnknownPipelineName"


def test_the_demos_run(create: Create, rest: Rest) -> None:
    demos = rest.http.get("/config/demos").json()
    assert len(demos) >= 3
    for demo in demos:
        assert set(demo) == {"name", "title", "description", "program_code", "udf_rust", "udf_toml"}
        assert demo["title"]
        assert demo["description"]
        create(demo["name"], demo["program_code"], "running")
        outputs = rest.state(demo["name"])["program_info"]["schema"]["outputs"]
        for view in [relation["name"] for relation in outputs if relation["materialized"]]:
            wait_for(f"rows in {view} of {demo['name']}", lambda n=demo["name"], v=view: _rows(rest, n, v) > 0)


def _rows(rest: Rest, pipeline: str, view: str) -> int:
    query = {"sql": f"SELECT COUNT(*) AS n FROM {view}", "format": "json"}
    return int(rest.http.get(f"/pipelines/{pipeline}/query", params=query).json()["n"])
