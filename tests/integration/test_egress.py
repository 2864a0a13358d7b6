"""`POST /egress/{relation}` over HTTP: how it is asked for, and what comes (api.md §17)."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.rest import Rest, wait_for

SQL = """
CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY, s VARCHAR, b VARBINARY) WITH ('materialized' = 'true');
CREATE TABLE "Bag" (n BIGINT);
CREATE VIEW v AS SELECT n, s FROM t;
CREATE LOCAL VIEW hidden AS SELECT n FROM t;
CREATE VIEW seen AS SELECT n FROM hidden;
"""
JSON = {"name": "json", "config": {"array": True}}
CSV = {"name": "csv"}


@pytest.fixture(scope="module")
def followed(rest: Rest) -> Iterator[str]:
    rest.create("followed", SQL)
    rest.start("followed")
    yield "/pipelines/followed"
    rest.remove("followed")


class Reader:
    """What arrives, chunk by chunk; keep-alives are kept apart."""

    def __init__(self, response: httpx.Response) -> None:
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        self._parts = response.iter_bytes()
        self._rest = b""

    def line(self) -> dict[str, Any]:
        """The next line, which must end in CR LF."""
        while b"\r\n" not in self._rest:
            self._rest += next(self._parts)
        line, _, self._rest = self._rest.partition(b"\r\n")
        parsed: dict[str, Any] = json.loads(line)
        return parsed

    def chunk(self) -> dict[str, Any]:
        """The next line with data; fails after half a minute of keep-alives."""
        for _ in range(10):
            line = self.line()
            if len(line) > 1:
                return line
        raise AssertionError("no chunk with data came")


@contextlib.contextmanager
def subscribed(rest: Rest, path: str, relation: str, body: Any = None, **query: str) -> Iterator[Reader]:
    content = b"" if body is None else json.dumps(body).encode()
    with rest.http.stream("POST", f"{path}/egress/{relation}", params=query, content=content) as response:
        yield Reader(response)


def push(rest: Rest, path: str, table: str, *updates: dict[str, Any]) -> None:
    content = "\n".join(map(json.dumps, updates))
    answer = rest.http.post(f"{path}/ingress/{table}?format=json", content=content)
    token = answer.json()["token"]
    wait_for("the rows", lambda: rest.completed(path.rpartition("/")[2], token))


def test_json_deletes_come_before_inserts_and_in_order(rest: Rest, followed: str) -> None:
    with subscribed(rest, followed, "v", format="json") as reader:
        push(rest, followed, "t", {"insert": {"n": 2, "s": "b"}}, {"insert": {"n": 1, "s": None}})
        first = reader.chunk()
        assert first == {
            "sequence_number": first["sequence_number"],
            "snapshot": False,
            "json_data": [{"insert": {"n": 1, "s": None}}, {"insert": {"n": 2, "s": "b"}}],
        }
        push(rest, followed, "t", {"insert": {"n": 2, "s": "c"}}, {"delete": {"n": 1}})
        chunk = reader.chunk()
        assert chunk["sequence_number"] > first["sequence_number"]
        assert chunk["json_data"] == [
            {"delete": {"n": 1, "s": None}},
            {"delete": {"n": 2, "s": "b"}},
            {"insert": {"n": 2, "s": "c"}},
        ]
        push(rest, followed, "t", {"delete": {"n": 2}})
        assert reader.chunk()["json_data"] == [{"delete": {"n": 2, "s": "c"}}]


@pytest.mark.parametrize("asked", [{}, {"format": "csv"}, {"format": "csv", "array": "true", "json_flavor": "c_hex"}])
def test_csv_has_the_weight_last_and_a_row_for_each_copy(rest: Rest, followed: str, asked: dict[str, str]) -> None:
    with subscribed(rest, followed, "%22Bag%22", **asked) as reader:
        push(rest, followed, "%22Bag%22", *[{"insert": {"n": 7}}] * 2, {"insert": {"n": None}})
        chunk = reader.chunk()
        assert set(chunk) == {"sequence_number", "snapshot", "text_data"}
        assert sorted(chunk["text_data"].splitlines()) == [",1", "7,1", "7,1"]
        push(rest, followed, "%22Bag%22", *[{"delete": {"n": 7}}] * 2, {"delete": {"n": None}})
        assert sorted(reader.chunk()["text_data"].splitlines()) == [",-1", "7,-1", "7,-1"]


@pytest.mark.parametrize(("flavor", "spelt"), [(None, [1, 255]), ("default", [1, 255]), ("c_hex", "0x01ff")])
@pytest.mark.parametrize("in_body", [False, True])
def test_json_flavors(rest: Rest, followed: str, flavor: str | None, spelt: Any, in_body: bool) -> None:
    chosen = {} if flavor is None else {"json_flavor": flavor}
    body = {"format": {"name": "json", "config": {"array": True, **chosen}}} if in_body else None
    query = {} if in_body else {"format": "json", "array": "false", "update_format": "insert_delete", **chosen}
    with subscribed(rest, followed, "t", body, **query) as reader:
        push(rest, followed, "t", {"insert": {"n": 1, "b": [1, 255]}})
        assert reader.chunk()["json_data"] == [{"insert": {"n": 1, "s": None, "b": spelt}}]
        push(rest, followed, "t", {"delete": {"n": 1}})


def test_a_body_is_a_connector_configuration(rest: Rest, followed: str) -> None:
    transport = {"name": "http_output", "config": {"backpressure": True}}
    semicolons = {"name": "csv", "config": {"delimiter": ";"}}
    with subscribed(
        rest, followed, "v", {"transport": transport, "format": semicolons, "send_snapshot": False}
    ) as reader:
        push(rest, followed, "t", {"insert": {"n": 1, "s": "x"}})
        assert reader.chunk()["text_data"] == "1;x;1\n"
        push(rest, followed, "t", {"delete": {"n": 1}})


def test_a_paused_pipeline_gives_the_snapshot_then_keep_alives_then_changes(rest: Rest, followed: str) -> None:
    push(rest, followed, "t", {"insert": {"n": 1, "s": "a"}}, {"insert": {"n": 2, "s": "b"}})
    assert rest.http.post(f"{followed}/pause").is_success
    rest.reaches("followed", "Paused")
    with (
        subscribed(rest, followed, "t", format="json", send_snapshot="true", backpressure="true") as by_query,
        subscribed(rest, followed, "t", {"format": CSV, "send_snapshot": True}) as by_body,
    ):
        opened = time.monotonic()
        first = by_query.line()
        assert (first["sequence_number"], first["snapshot"]) == (0, True)
        assert [(kind, row["n"]) for update in first["json_data"] for kind, row in update.items()] == [
            ("insert", 1),
            ("insert", 2),
        ]
        other = by_body.line()
        assert other["snapshot"] is True
        assert len(other["text_data"].splitlines()) == 2
        silent = [by_query.line()]
        assert time.monotonic() - opened >= 2.9  # an early keep-alive is a failure for some clients
        assert silent == [{"sequence_number": 1}]
        assert rest.http.post(f"{followed}/resume").is_success
        push(rest, followed, "t", {"delete": {"n": 1}})
        numbers = [1]
        for line in itertools.count():
            change = by_query.line()
            numbers.append(change["sequence_number"])
            if len(change) > 1:
                break
            assert line < 20
        assert numbers == list(range(1, len(numbers) + 1))
        assert change["snapshot"] is False
        assert [*change["json_data"][0]] == ["delete"]
    push(rest, followed, "t", {"delete": {"n": 2}})


def test_an_empty_snapshot_is_no_chunk_of_data(rest: Rest, followed: str) -> None:
    with subscribed(rest, followed, "t", format="json", send_snapshot="true") as reader:
        push(rest, followed, "t", {"insert": {"n": 5}})
        chunk = reader.chunk()
        while chunk["json_data"] == []:
            chunk = reader.chunk()
        assert (chunk["snapshot"], len(chunk["json_data"])) == (False, 1)
        push(rest, followed, "t", {"delete": {"n": 5}})


@pytest.mark.parametrize(
    ("relation", "query", "body", "code"),
    [
        ("nowhere", {}, None, "ConfigError.UnknownOutputStream"),
        ("hidden", {}, None, "ConfigError.UnknownOutputStream"),
        ("Bag", {}, None, "ConfigError.UnknownOutputStream"),
        ("no%20name%22", {}, None, "ConfigError.UnknownOutputStream"),
        ("nowhere", {}, {"format": CSV}, "ConfigError.UnknownOutputStream"),
        ("v", {"format": "yaml"}, None, "ConfigError.UnknownOutputFormat"),
        ("v", {"format": ""}, None, "ConfigError.UnknownOutputFormat"),
        ("v", {"format": "json", "send_snapshot": "true"}, None, "ConfigError.InvalidTransportConfig"),
        ("v", {}, {"format": JSON, "send_snapshot": True}, "ConfigError.InvalidTransportConfig"),
        ("v", {"format": "json", "json_flavor": "mine"}, None, "ConfigError.EncoderConfigParseError"),
        ("v", {"format": "json", "update_format": "mine"}, None, "ConfigError.EncoderConfigParseError"),
        ("v", {"format": "json", "update_format": "raw"}, None, "ConfigError.InvalidEncoderConfig"),
        ("v", {"format": "json", "update_format": "debezium"}, None, "ConfigError.InvalidEncoderConfig"),
        ("v", {"format": "csv"}, {"format": CSV}, "InvalidParam"),
        ("v", {"backpressure": "true"}, {"format": CSV}, "InvalidParam"),
        ("v", {}, [], "InvalidParam"),
        ("v", {}, {}, "InvalidParam"),
        ("v", {}, {"format": "csv"}, "InvalidParam"),
        ("v", {}, {"format": {"name": "raw"}}, "InvalidParam"),
        ("v", {}, {"format": {"name": ["csv"]}}, "InvalidParam"),
        ("v", {}, {"format": {"name": "json"}}, "InvalidParam"),
        ("v", {}, {"format": {"name": "json", "config": {"array": False}}}, "InvalidParam"),
        ("v", {}, {"format": {"name": "json", "config": [1]}}, "InvalidParam"),
        ("v", {}, {"format": {"name": "csv", "config": {"colour": 1}}}, "ConfigError.EncoderConfigParseError"),
        ("v", {}, {"format": CSV, "transport": {"name": "file_output"}}, "InvalidParam"),
        ("v", {}, {"format": CSV, "transport": "http_output"}, "InvalidParam"),
        ("v", {}, {"format": CSV, "transport": {"name": "http_output", "config": [1]}}, "InvalidParam"),
        ("v", {}, {"format": CSV, "transport": {"name": "http_output", "config": {"backpressure": 1}}}, "InvalidParam"),
        ("v", {}, {"format": CSV, "transport": {"name": "http_output", "config": {"speed": 1}}}, "InvalidParam"),
        ("v", {}, {"format": CSV, "send_snapshot": "no"}, "ConfigError.PipelineConfigParseError"),
        ("v", {}, {"format": CSV, "max_queued_records": -1}, "ConfigError.PipelineConfigParseError"),
        ("v", {}, {"format": CSV, "soft_delete": True}, "ConfigError.InvalidSoftDeleteConfig"),
        ("v", {}, {"format": CSV, "enable_output_buffer": True}, "InvalidParam"),
        ("v", {}, {"format": CSV, "index": "i"}, "InvalidParam"),
    ],
)
def test_what_cannot_be_followed(
    rest: Rest, followed: str, relation: str, query: dict[str, str], body: Any, code: str
) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    answer = rest.http.post(f"{followed}/egress/{relation}", params=query, content=content)
    assert answer.json()["error_code"] == code
    assert answer.status_code == (404 if code.endswith("UnknownOutputStream") else 400)
    assert answer.json()["message"]
    assert rest.http.get(f"{followed}/stats").json()["outputs"] == []


@pytest.mark.parametrize("name", ["backpressure", "send_snapshot", "array"])
def test_switches_are_true_or_false(rest: Rest, followed: str, name: str) -> None:
    answer = rest.http.post(f"{followed}/egress/v", params={"format": "json", name: "maybe"})
    assert answer.status_code == 400
    assert name in answer.text


def test_a_body_that_is_no_json(rest: Rest, followed: str) -> None:
    answer = rest.http.post(f"{followed}/egress/v", content=b"{")
    assert (answer.status_code, "not valid JSON" in answer.text) == (400, True)
