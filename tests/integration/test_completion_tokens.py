"""Completion tokens over the API: what a token stands for is visible and has been written by every output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.conftest import Rest, wait_for

SINKS = 4
TOKENS = 200


def _program(folder: Path) -> str:
    sinks: list[dict[str, Any]] = [
        {
            "name": f"sink{i}",
            "transport": {"name": "file_output", "config": {"path": str(folder / f"{i}.csv")}},
            "format": {"name": "csv"},
        }
        for i in range(SINKS)
    ]
    views = "".join(
        f"CREATE MATERIALIZED VIEW v{i} WITH ('connectors' = '{json.dumps([sink])}') AS SELECT n FROM t;"
        for i, sink in enumerate(sinks)
    )
    return f"CREATE TABLE t (n BIGINT NOT NULL); {views}"


def test_a_complete_token_means_visible_and_written_everywhere(rest: Rest, tmp_path: Path) -> None:
    rest.create("tokens", _program(tmp_path))
    rest.start("tokens")
    for number in range(TOKENS):
        token = rest.push("tokens", number).json()["token"]
        wait_for(f"token {number}", lambda token=token: rest.completed("tokens", token))  # type: ignore[misc]  # a default binds the loop's value
        for i in range(SINKS):
            assert (tmp_path / f"{i}.csv").read_text().endswith(f"{number},1\n")
        if number % 20 == 0:
            answer = rest.http.get(
                "/pipelines/tokens/query", params={"sql": "SELECT COUNT(*) AS n FROM v3", "format": "json"}
            )
            assert answer.json() == {"n": number + 1}
    for i in range(SINKS):
        assert (tmp_path / f"{i}.csv").read_text() == "".join(f"{n},1\n" for n in range(TOKENS))


def test_the_token_of_a_generator_covers_what_it_has_made(rest: Rest) -> None:
    plan = [{"limit": 1000, "fields": {"n": {"range": [0, 1000]}}}]
    source = {"name": "gen", "paused": True, "transport": {"name": "datagen", "config": {"plan": plan}}}
    rest.create(
        "generated",
        f"CREATE TABLE t (n BIGINT) WITH ('connectors' = '{json.dumps([source])}');"
        "CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n FROM t;",
    )
    rest.start("generated")
    connector = "/pipelines/generated/tables/t/connectors/gen"
    nothing = rest.http.get(f"{connector}/completion_token").json()["token"]
    assert rest.completed("generated", nothing)
    assert rest.http.post(f"{connector}/start").status_code == 200
    wait_for("all rows", lambda: rest.received("generated") == 1000)
    token = rest.http.get(f"{connector}/completion_token").json()["token"]
    wait_for("the token", lambda: rest.completed("generated", token))
    answer = rest.http.get("/pipelines/generated/query", params={"sql": "SELECT n FROM v", "format": "json"})
    assert answer.json() == {"n": 1000}
    assert rest.http.get("/pipelines/generated/stats/errors").json() == {
        "inputs": [{"metrics": {"endpoint_name": "t.gen", "num_transport_errors": 0, "num_parse_errors": 0}}],
        "outputs": [],
    }
