"""API keys: making, listing and deleting them, and what a request with or without one is answered."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.manager.access import TENANT_ID, Access
from millstream.manager.keys import ApiKeys, digest
from millstream.manager.roles import LEAST_ROLE
from millstream.manager.services import DATABASE_FILE, Services, create_key_offline
from millstream.manager.store import open_database
from tests.manager.access_support import Caller

UNAUTHORIZED_KEY = b'{"message":"Unauthorized API key","error_code":"AuthenticationFailed"}'
ABSENT = "apikey:" + "x" * 128


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(tmp_path, Access(provider="api-keys"))


@pytest.fixture
def call(services: Services) -> Iterator[Caller]:
    caller = Caller(services)
    yield caller
    caller.close()


@pytest.fixture
def writer(services: Services) -> str:
    return str(services.keys.create("writer", "write")["api_key"])


@pytest.fixture
def reader(services: Services) -> str:
    return str(services.keys.create("reader", "read")["api_key"])


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", ABSENT, "Token " + ABSENT],
    ids=["none", "empty", "bare", "no token", "basic", "no scheme", "other scheme"],
)
def test_a_request_without_credentials_is_challenged(call: Caller, header: str | None) -> None:
    answer = call("GET", "/v0/pipelines", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"].startswith("text/plain")


def test_two_credentials_are_none(call: Caller, writer: str) -> None:
    twice = [("Authorization", f"Bearer {writer}"), ("Authorization", f"Bearer {writer}")]
    assert call.runner.run(call._client.get("/v0/config", headers=twice)).status_code == 401


@pytest.mark.parametrize("token", [ABSENT, "apikey:", "apikey:short", ABSENT + "y", "apikey:" + "é" * 128])
def test_a_wrong_key_is_refused(call: Caller, writer: str, token: str) -> None:
    answer = call("GET", "/v0/pipelines", headers=[(b"Authorization", f"Bearer {token}".encode())])
    assert (answer.status_code, answer.content) == (401, UNAUTHORIZED_KEY)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_lets_in(call: Caller, reader: str, scheme: str) -> None:
    assert call("GET", "/v0/pipelines", headers={"Authorization": f"{scheme} {reader}"}).json() == []


def test_a_token_that_is_no_key_is_refused_where_there_are_no_logins(call: Caller) -> None:
    answer = call("GET", "/v0/config", "eyJhbGciOiJub25lIn0.e30.")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description="only API')


@pytest.mark.parametrize("path", ["/healthz", "/robots.txt", "/config/authentication"])
def test_public_routes_ask_for_nothing(call: Caller, path: str) -> None:
    assert call("GET", path).status_code == 200


def test_authentication_comes_before_routing_and_routing_before_authorization(
    call: Caller, reader: str, writer: str
) -> None:
    for method, path in [("GET", "/v0/nothing"), ("GET", "/v0/"), ("GET", "/v0"), ("PUT", "/v0/config")]:
        assert call(method, path).status_code == 401
        assert call(method, path, reader).status_code == 404
    garbage = {"content": b"{garbage"}
    assert call("POST", "/v0/pipelines", **garbage).status_code == 401
    refused = call("POST", "/v0/pipelines", reader, **garbage)
    assert refused.status_code == 403
    assert refused.json() == {
        "message": refused.json()["message"],
        "error_code": "InsufficientPermissions",
        "details": {"required": "write", "actual": "read"},
    }
    assert call("POST", "/v0/pipelines", writer, **garbage).status_code == 400


def test_a_malformed_parameter_is_found_after_the_role(call: Caller, reader: str, writer: str) -> None:
    path = "/v0/pipelines/p/start?dismiss_error=maybe"
    assert call("POST", path, reader).status_code == 403
    assert call("POST", path, writer).status_code == 400


def test_a_path_is_routed_as_it_is_guarded(call: Caller) -> None:
    """No spelling of a path reaches a route without passing the guard."""
    for path in ("/%76%30/config", "//v0/config", "/./v0/config", "/V0/config", "/v0%2Fconfig"):
        assert call("GET", path).status_code in (401, 404)


def test_keys_hold_only_what_their_role_allows(call: Caller, reader: str, writer: str) -> None:
    """Every operation, with a path that leads to its route: 403 exactly where the role is too low."""
    for (method, template), role in LEAST_ROLE.items():
        path = template.replace("{}", "start")
        assert call(method, path).status_code == 401, (method, path)
        for token, allowed in ((reader, role == "read"), (writer, role in ("read", "write"))):
            answer = call(method, path, token)
            refused = answer.status_code == 403 and answer.json()["error_code"] == "InsufficientPermissions"
            assert refused != allowed, (method, path, answer.status_code)


def test_every_route_has_a_least_role(services: Services, call: Caller) -> None:
    document = call("GET", "/openapi.json").json()
    public = {"/healthz", "/robots.txt", "/config/authentication"}
    shown = [(method.upper(), path) for path, item in document["paths"].items() for method in item]
    assert ("GET", "/v0/api_keys") in shown
    for method, path in shown:
        if path not in public:
            template = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
            assert (method, template) in LEAST_ROLE, (method, path)


def test_the_description_says_who_may_use_an_operation(call: Caller) -> None:
    document = call("GET", "/openapi.json").json()
    (scheme,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            guarded = path.startswith("/v0/")
            assert operation.get("security") == ([{scheme: []}] if guarded else None), path
            assert ("401" in operation["responses"]) == guarded, path
    listing, making = document["paths"]["/v0/api_keys"]["get"], document["paths"]["/v0/api_keys"]["post"]
    assert listing["description"].startswith("Required role: `write` or higher.")

    def schema(content: Any) -> Any:
        reference = content["content"]["application/json"]["schema"]
        return document["components"]["schemas"][reference.get("items", reference)["$ref"].rpartition("/")[2]]

    assert set(schema(listing["responses"]["200"])["properties"]) == {"id", "name", "role"}
    assert set(schema(making["responses"]["201"])["required"]) == {"id", "name", "api_key"}
    assert schema(making["requestBody"])["required"] == ["name"]


def test_totals_of_the_role_table() -> None:
    count = {role: list(LEAST_ROLE.values()).count(role) for role in ("read", "write", "admin", "owner")}
    of_later_versions = 2  # starting and pausing output connectors
    of_pipelines = 1  # counters of errors, which only pipelines serve upstream
    assert count == {"read": 30 + of_pipelines, "write": 33 + of_later_versions, "admin": 8, "owner": 6}


def test_make_list_get_delete(call: Caller, writer: str) -> None:
    made = call("POST", "/v0/api_keys", writer, json={"name": "k"})
    assert (made.status_code, set(made.json())) == (201, {"id", "name", "api_key"})
    described = {"id": made.json()["id"], "name": "k", "role": "read"}
    assert described in call("GET", "/v0/api_keys", writer).json()
    assert call("GET", "/v0/api_keys/k", writer).json() == [described]
    key = made.json()["api_key"]
    assert len(key) == len("apikey:") + 128
    assert call("GET", "/v0/config", key).status_code == 200
    deleted = call("DELETE", "/v0/api_keys/k", writer)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert call("GET", "/v0/config", key).content == UNAUTHORIZED_KEY
    assert call("DELETE", "/v0/api_keys/k", writer).json()["error_code"] == "UnknownApiKey"
    assert call("GET", "/v0/api_keys/k", writer).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": ""}, 400, "EmptyName"),
        ({"name": "a b"}, 400, "NameDoesNotMatchPattern"),
        ({"name": "a\n"}, 400, "NameDoesNotMatchPattern"),
        ({"name": "n" * 101}, 400, "TooLongName"),
        ({"name": "writer", "role": "write"}, 409, "DuplicateName"),
        ({"name": "k", "role": "admin"}, 400, None),
        ({"name": "k", "role": "owner"}, 400, None),
        ({"role": "read"}, 400, None),
        ([], 400, None),
    ],
)
def test_bad_requests_for_keys(call: Caller, writer: str, body: Any, status: int, code: str | None) -> None:
    answer = call("POST", "/v0/api_keys", writer, json=body)
    assert answer.status_code == status
    if code is None:
        assert answer.headers["content-type"].startswith("text/plain")
    else:
        assert answer.json()["error_code"] == code
    assert [key["name"] for key in call("GET", "/v0/api_keys", writer).json()] == ["writer"]


@pytest.mark.parametrize(("given", "kept"), [({}, "read"), ({"role": None}, "read"), ({"role": "write"}, "write")])
def test_the_role_of_a_key(call: Caller, writer: str, given: dict[str, Any], kept: str) -> None:
    key = call("POST", "/v0/api_keys", writer, json={"name": "k", **given}).json()["api_key"]
    session = call("GET", "/v0/config/session", key).json()
    assert session == {"tenant_id": TENANT_ID, "tenant_name": "default", "role": kept, "memberships": []}


def test_the_log_tells_who_made_and_deleted_which_key(
    call: Caller, writer: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "millstream.auth"):
        made = call("POST", "/v0/api_keys", writer, json={"name": "k", "role": "write"}).json()["api_key"]
        call("DELETE", "/v0/api_keys/k", writer)
        call("DELETE", "/v0/api_keys/absent", writer)
    assert caplog.messages == [
        "\"API key 'writer'\" made the API key 'k' with the role 'write'",
        "\"API key 'writer'\" deleted the API key 'k'",
    ]
    assert made[7:] not in caplog.text


def test_the_tenant_header_is_ignored_with_a_key(call: Caller, reader: str) -> None:
    assert call("GET", "/v0/config", reader, headers={"Feldera-Tenant": "other"}).status_code == 200


def test_a_key_made_beside_the_server_is_found(call: Caller, tmp_path: Path) -> None:
    assert call("GET", "/v0/config", ABSENT).status_code == 401
    key = create_key_offline(tmp_path, "first", "write")
    assert call("GET", "/v0/config", key).status_code == 200


def test_many_wrong_keys_share_one_reading(services: Services, call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = []
    load = services.keys._load
    monkeypatch.setattr(services.keys, "_load", lambda: (readings.append(1), load()))

    async def hammer() -> list[object]:
        import asyncio

        return await asyncio.gather(*(services.keys.find("apikey:" + str(n) * 128) for n in range(10)))

    assert call.runner.run(hammer()) == [None] * 10
    assert len(readings) <= 2


def test_keys_survive_the_server_and_only_their_digest_is_stored(tmp_path: Path) -> None:
    key = create_key_offline(tmp_path, "k", "read")
    with sqlite3.connect(tmp_path / DATABASE_FILE) as connection:
        rows = connection.execute("SELECT name, role, digest FROM api_keys").fetchall()
    connection.close()
    assert rows == [("k", "read", digest(key))]
    assert all(key[7:].encode() not in file.read_bytes() for file in tmp_path.iterdir())
    assert (tmp_path / DATABASE_FILE).stat().st_mode & 0o077 == 0
    engine = open_database(tmp_path / DATABASE_FILE)
    assert [known["name"] for known in ApiKeys(engine).all()] == ["k"]
    engine.dispose()


def test_without_authentication_credentials_are_ignored_and_everybody_is_admin(tmp_path: Path) -> None:
    caller = Caller(Services(tmp_path))
    session = caller("GET", "/v0/config/session", "nonsense")
    assert (session.json()["role"], session.json()["memberships"]) == ("admin", [])
    assert caller("GET", "/v0/tenants").json()["details"] == {"required": "owner", "actual": "admin"}
    assert caller("GET", "/v0/tenant/users").json()["error_code"] == "NotSupported"
    caller.close()
