"""Requests made from the OpenAPI document, at random, against a real server: none may give a 5xx that is a defect, and
every answer must have a form that the document says it can have.

Schemathesis makes the requests, the same at every run; the slow share makes more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from millstream.manager.openapi import interface
from tests.integration.conftest import Server
from tests.integration.rest import Rest

PROGRAM = """CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY) WITH ('materialized' = 'true', 'connectors' = '[
  {"name": "c", "transport": {"name": "datagen", "config": {"plan": [{"limit": 5}]}}}]');
CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n FROM t;"""

#: 5xx answers that are no defects: what is not there yet, and what needs a pipeline in another state.
EXPECTED = {
    (501, "EnterpriseFeature"),
    (501, "NotSupported"),
    (503, "PipelineInteractionNotDeployed"),
}
#: Answers without end, and what would take away the pipeline that others ask, or keep them waiting.
LEFT_OUT = ("/egress/{table_name}", "/logs", "/time_series_stream", "/stop", "/clear", "/pause", "/samply_profile")
OPERATIONS = [name for name in interface()["operations"] if not name.endswith(LEFT_OUT)]
#: Names that exist, which random ones would never hit.
KNOWN = {
    "pipeline_name": "fuzzed", "table_name": "t", "view_name": "v", "connector_name": "c", "action": "start",
    "event_id": "latest",
}  # fmt: skip
CHECKS = [content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def schema(server: Server, rest: Rest) -> Iterator[Any]:
    """The served document, of a server with a running pipeline."""
    rest.create("fuzzed", PROGRAM)
    rest.start("fuzzed")
    yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    # Everything that was made is still listed, and the server is well.
    assert rest.http.get("/pipelines").status_code == 200
    assert rest.http.get("/cluster_healthz").json()["all_healthy"]
    assert "Traceback" not in (server.data_dir / "server.log").read_text()


def ask_at_random(schema: Any, name: str, examples: int) -> None:
    """Requests of one operation, valid and not, to what exists and to what does not."""
    method, path = name.split(" ")
    operation = schema[path][method]
    known = {key: value for key, value in KNOWN.items() if "{" + key + "}" in path}
    modes = schemathesis.GenerationMode
    runs = [(modes.POSITIVE, known), (modes.POSITIVE, None)]
    published = interface()["operations"][name]
    if "requestBody" in published or any(p["in"] == "query" for p in published.get("parameters", ())):
        runs.append((modes.NEGATIVE, known))  # else there is nothing that could be wrong but a name
    for mode, places in runs:
        strategy = operation.as_strategy(generation_mode=mode, path_parameters=places or None)

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=strategy)
        def ask(case: Any) -> None:
            response = case.call(timeout=60)
            if response.status_code >= 500:
                assert (response.status_code, response.json()["error_code"]) in EXPECTED, response.text
            else:
                case.validate_response(response, checks=CHECKS)

        ask()


@pytest.mark.parametrize("name", OPERATIONS)
def test_random_requests_do_no_harm(schema: Any, name: str) -> None:
    ask_at_random(schema, name, examples=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_many_random_requests_do_no_harm(schema: Any, name: str) -> None:
    ask_at_random(schema, name, examples=50)
