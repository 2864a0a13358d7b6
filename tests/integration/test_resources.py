"""Limits of a pipeline's process, as its users see them."""

from __future__ import annotations

from tests.integration.conftest import Rest

TEXTS = """
CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, s VARCHAR);
CREATE MATERIALIZED VIEW v AS SELECT id, UPPER(s) AS s FROM t;
"""


def _start(rest: Rest, name: str, memory_mb: int) -> None:
    body = {
        "name": name,
        "program_code": TEXTS,
        "runtime_config": {"resources": {"memory_mb_max": memory_mb, "cpu_cores_max": 1}},
    }
    assert rest.http.put(f"/pipelines/{name}", json=body).is_success
    rest.wait(name, lambda p: p["program_status"] == "Success", "compilation")
    assert rest.http.post(f"/pipelines/{name}/start").status_code == 202


def _ended(rest: Rest, name: str, memory_mb: int) -> None:
    p = rest.wait(name, lambda p: p["deployment_error"] is not None, "the error")
    error = p["deployment_error"]
    assert error["error_code"] == "MemoryLimitExceeded", error
    assert f"more than its limit of {memory_mb} MB (runtime_config.resources.memory_mb_max)" in error["message"]
    rest.wait(name, lambda p: p["deployment_status"] == "Stopped", "Stopped")


def test_a_pipeline_that_outgrows_its_memory_is_stopped_and_says_so(rest: Rest) -> None:
    _start(rest, "growing", 1000)
    rest.wait("growing", lambda p: p["deployment_status"] == "Running", "Running")
    assert rest.http.get("/pipelines/growing/stats").json()["global_metrics"]["rss_bytes"] < 1_000_000_000
    for number in range(200):  # of 10 MB, which the table and the view both keep
        lines = "".join(f'{{"id": {number * 1000 + i}, "s": "{i:010000}"}}\n' for i in range(1000))
        answer = rest.http.post("/pipelines/growing/ingress/t?format=json&update_format=raw", content=lines)
        if not answer.is_success:
            break
    _ended(rest, "growing", 1000)


def test_a_limit_that_no_pipeline_fits_into_is_found_at_the_start(rest: Rest) -> None:
    _start(rest, "narrow", 20)
    _ended(rest, "narrow", 20)
    assert rest.http.patch("/pipelines/narrow", json={"runtime_config": {}}).is_success
    assert rest.http.post("/pipelines/narrow/start").status_code == 202
    rest.wait("narrow", lambda p: p["deployment_status"] == "Running", "Running")
