"""The HTTP surface without any process behind it: routes, statuses, error objects, shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from millstream.manager.platform import API_VERSION
from millstream.manager.routes import common
from millstream.manager.services import Services
from tests.manager.http import PREFIX, Http, error, plain
from tests.manager.support import compiled, failed, new_pipeline, running, stopped, with_error


def test_create_read_list_delete(http: Http) -> None:
    made = http.post(PREFIX, json={"name": "p", "program_code": "-- x", "tags": ["a"], "runtime_config": None})
    assert made.status_code == 201
    assert len(made.json()) == 38
    assert made.json()["platform_version"] == API_VERSION
    got = http.get(f"{PREFIX}/p")
    assert len(got.json()) == 41
    assert got.headers["cache-control"] == "no-cache"
    assert http.get(f"{PREFIX}/p?selector=status").json().keys() < got.json().keys()
    assert [p["name"] for p in http.get(PREFIX).json()] == ["p"]
    deleted = http.delete(f"{PREFIX}/p")
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert error(http.get(f"{PREFIX}/p")) == (404, "UnknownPipelineName", {"pipeline_name": "p"})


def test_put_creates_replaces_and_renames(http: Http) -> None:
    assert http.put(f"{PREFIX}/p", json={"name": "p", "program_code": "", "tags": ["x"]}).status_code == 201
    replaced = http.put(f"{PREFIX}/p", json={"name": "p", "program_code": ""})
    assert (replaced.status_code, replaced.json()["tags"], replaced.json()["version"]) == (200, [], 1)
    renamed = http.put(f"{PREFIX}/p", json={"name": "q", "program_code": ""})
    assert (renamed.status_code, renamed.json()["name"], renamed.json()["version"]) == (200, "q", 2)
    body = {"name": "other", "program_code": ""}
    assert error(http.put(f"{PREFIX}/p", json=body)) == (400, "CannotRenameNonExistingPipeline", None)
    http.post(PREFIX, json={"name": "r", "program_code": ""})
    assert error(http.put(f"{PREFIX}/r", json={"name": "q", "program_code": ""})) == (409, "DuplicateName", None)


def test_integers_beyond_64_bits_become_floats(http: Http) -> None:
    tweaks = {"large": 1 << 70, "largest": (1 << 64) - 1, "below": -(1 << 63) - 1, "text": str(1 << 70)}
    body = {"name": "p", "program_code": "", "runtime_config": {"dev_tweaks": tweaks}}
    assert http.post(PREFIX, json=body).status_code == 201
    kept = http.get(f"{PREFIX}/p").json()["runtime_config"]["dev_tweaks"]
    expected = {**tweaks, "large": float(1 << 70), "below": float(-(1 << 63) - 1)}
    assert kept == expected
    assert [type(value) for value in kept.values()] == [float, int, float, str]
    refused = http.put(f"{PREFIX}/p", json={**body, "runtime_config": {"workers": 1 << 70}})
    assert error(refused)[:2] == (400, "InvalidRuntimeConfig")


def test_patch_takes_null_for_absent(http: Http) -> None:
    http.post(PREFIX, json={"name": "p", "program_code": "-- x", "description": "d"})
    body = {"program_code": None, "description": None, "runtime_config": None, "tags": ["t"]}
    patched = http.patch(f"{PREFIX}/p", json=body)
    assert patched.status_code == 200
    assert (patched.json()["description"], patched.json()["tags"], patched.json()["version"]) == ("d", ["t"], 1)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "", "program_code": ""}, 400, "EmptyName"),
        ({"name": "a#", "program_code": ""}, 400, "NameDoesNotMatchPattern"),
        ({"name": "a", "program_code": "", "runtime_config": {"workers": "x"}}, 400, "InvalidRuntimeConfig"),
        ({"name": "a", "program_code": "", "program_config": {"profile": "x"}}, 400, "InvalidProgramConfig"),
        ({"name": "a", "program_code": "", "tags": ["?"]}, 400, "InvalidTag"),
        ({"name": "taken", "program_code": ""}, 409, "DuplicateName"),
    ],
)
def test_refused_creations(http: Http, services: Services, body: Any, status: int, code: str) -> None:
    services.store.insert(new_pipeline("taken", "0"))
    assert error(http.post(PREFIX, json=body))[:2] == (status, code)


def test_what_the_framework_rejects_is_plain_text(http: Http, services: Services) -> None:
    services.store.insert(new_pipeline())
    assert plain(http.post(PREFIX, content="{nope"))[0] == 400
    assert "program_code" in plain(http.post(PREFIX, json={"name": "x"}))[1]
    assert plain(http.post(PREFIX, json={"name": 1, "program_code": ""}))[0] == 400
    assert plain(http.post(PREFIX))[0] == 400
    assert "selector" in plain(http.get(f"{PREFIX}?selector=some"))[1]
    assert "force" in plain(http.post(f"{PREFIX}/p/stop?force=True"))[1]
    assert plain(http.get("/v0/nope"))[0] == 404
    assert plain(http.get("/v0/pipelines/"))[0] == 404
    assert plain(http.post(f"{PREFIX}/p/Start"))[0] == 404
    assert plain(http.delete(PREFIX))[0] == 404


def test_a_body_that_is_too_large(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "MAX_BODY_BYTES", 1000)
    assert error(http.post(PREFIX, content=b"x" * 1001)) == (413, "PayloadTooLarge", {"maximum": 1000})

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"x" * 600

    assert error(http.post(PREFIX, content=chunks())) == (413, "PayloadTooLarge", {"maximum": 1000})


def test_a_defect_gives_the_error_object_without_a_traceback(
    http: Http, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(services.store, "all", fail)
    response = http.get(PREFIX)
    assert error(response)[:2] == (500, "InternalError")
    assert "secret detail" not in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "pause"),
        ("POST", "resume"),
        ("GET", "stats"),
        ("GET", "metrics"),
        ("GET", "time_series"),
        ("GET", "query?sql=SELECT%201"),
        ("GET", "completion_status?token=x"),
        ("POST", "ingress/t"),
        ("POST", "egress/t"),
        ("POST", "start_transaction"),
        ("POST", "commit_transaction"),
        ("POST", "clock/advance"),
        ("POST", "tables/t/connectors/c/start"),
        ("POST", "tables/%22a%2Fb%22/connectors/c/pause"),
        ("GET", "tables/t/connectors/c/stats"),
        ("GET", "tables/t/connectors/c/completion_token"),
        ("GET", "views/v/connectors/c/stats"),
        ("POST", "rebalance"),
        ("POST", "start_compaction"),
        ("GET", "heap_profile"),
        ("GET", "circuit_profile"),
    ],
)
def test_what_needs_a_process_says_so(http: Http, services: Services, method: str, path: str) -> None:
    assert error(http.request(method, f"{PREFIX}/p/{path}")) == (404, "UnknownPipelineName", {"pipeline_name": "p"})
    services.store.insert(new_pipeline())
    response = http.request(method, f"{PREFIX}/p/{path}")
    details = {"pipeline_name": "p", "status": "Stopped", "desired_status": "Stopped"}
    assert error(response) == (503, "PipelineInteractionNotDeployed", details)
    assert response.headers["retry-after"] == "5"


def test_a_process_that_does_not_answer(http: Http, services: Services) -> None:
    p = running(compiled(new_pipeline()))  # on a port where nobody listens
    services.store.insert(p)
    status, code, details = error(http.get(f"{PREFIX}/p/stats?x=1"))
    assert (status, code) == (503, "PipelineInteractionUnreachable")
    assert (details["pipeline_name"], details["request"]) == ("p", "/stats")
    assert error(http.post(f"{PREFIX}/p/pause"))[1] == "PipelineInteractionUnreachable"
    assert services.store.named("p") == p


def test_a_socket_to_a_process_that_does_not_answer(http: Http, services: Services) -> None:
    services.store.insert(running(compiled(new_pipeline())))
    status, body = http.refused_socket(f"{PREFIX}/p/query")
    assert (status, body["error_code"], set(body["details"])) == (400, "UnableToConnect", {"reason"})


@pytest.mark.parametrize("action", ["START", "stop", "resume", "stats", "%73tar", "start%2F"])
def test_the_connector_action_is_checked_first(http: Http, action: str) -> None:
    response = http.post(f"{PREFIX}/nobody/tables/t/connectors/c/{action}")
    decoded = action.replace("%73", "s").replace("%2F", "/")
    assert error(response) == (400, "InvalidConnectorAction", {"action": decoded})
    assert response.json()["message"] == (
        f"Invalid connector action '{decoded}'; valid actions are: 'start' or 'pause'"
    )


def test_start_and_stop_record_a_wish(http: Http, services: Services) -> None:
    services.store.insert(compiled(new_pipeline()))
    for _ in range(2):
        response = http.post(f"{PREFIX}/p/start?initial=paused&dismiss_error=false&unknown=1", content=b"null")
        assert (response.status_code, response.json()) == (202, "Pipeline is starting")
    shown = http.get(f"{PREFIX}/p").json()
    assert (shown["deployment_desired_status"], shown["deployment_status"]) == ("Paused", "Stopped")
    assert (shown["bootstrap_policy"], shown["silent_bootstrap"]) == ("await_approval", False)
    assert error(http.post(f"{PREFIX}/p/start"))[1] == "InitialImmutableUnlessStopped"
    response = http.post(f"{PREFIX}/p/stop?force=true")
    assert (response.status_code, response.json()) == (202, "Pipeline is forcefully stopping")
    assert http.get(f"{PREFIX}/p").json()["deployment_desired_status"] == "Stopped"


def test_refused_starts(http: Http, services: Services) -> None:
    services.store.insert(failed(new_pipeline()))
    assert error(http.post(f"{PREFIX}/p/start"))[1] == "CannotStartWithCompilationError"
    status, code, details = error(http.post(f"{PREFIX}/p/start?initial=fast"))
    assert (status, code, details["action"]) == (405, "UnsupportedPipelineAction", "start")
    both = "silent_bootstrap=true&concurrent_bootstrap=true"
    assert error(http.post(f"{PREFIX}/p/start?{both}"))[:2] == (400, "InvalidBootstrapConfig")
    assert plain(http.post(f"{PREFIX}/p/start?bootstrap_policy=maybe"))[0] == 400


def test_a_graceful_stop_of_a_running_pipeline_is_not_in_this_edition(http: Http, services: Services) -> None:
    p = running(compiled(new_pipeline()))
    services.store.insert(p)
    assert error(http.post(f"{PREFIX}/p/stop"))[:2] == (501, "EnterpriseFeature")
    assert services.store.named("p") == p


def test_clear_and_dismiss(http: Http, services: Services) -> None:
    services.store.insert(stopped(compiled(new_pipeline())))
    assert error(http.delete(f"{PREFIX}/p"))[1] == "DeleteRestrictedToClearedStorage"
    assert http.post(f"{PREFIX}/p/clear").status_code == 202
    assert http.get(f"{PREFIX}/p").json()["storage_status"] == "Clearing"
    services.store.insert(with_error(compiled(new_pipeline("q", "2"))))
    assert http.get(f"{PREFIX}/q").json()["deployment_error"]["message"] == "boom"
    assert http.post(f"{PREFIX}/q/dismiss_error").status_code == 200
    assert http.get(f"{PREFIX}/q").json()["deployment_error"] is None
    services.store.insert(running(compiled(new_pipeline("r", "3"))))
    assert error(http.post(f"{PREFIX}/r/clear"))[1] == "StorageStatusImmutableUnlessStopped"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "checkpoint"), ("POST", "checkpoint/sync"), ("GET", "checkpoints"), ("POST", "activate"),
     ("POST", "approve")],
)  # fmt: skip
def test_features_of_the_other_edition(http: Http, services: Services, method: str, path: str) -> None:
    services.store.insert(new_pipeline())
    status, code, details = error(http.request(method, f"{PREFIX}/p/{path}"))
    assert (status, code, set(details)) == (501, "EnterpriseFeature", {"feature"})


def test_events(http: Http, services: Services) -> None:
    http.post(PREFIX, json={"name": "p", "program_code": ""})
    http.post(f"{PREFIX}/p/start")
    events = http.get(f"{PREFIX}/p/events").json()
    assert [e["deployment_resources_desired_status"] for e in events] == ["Provisioned", "Stopped"]
    assert len(events[0]) == 9
    assert len(http.get(f"{PREFIX}/p/events?selector=all").json()[0]) == 13
    assert http.get(f"{PREFIX}/p/events/latest").json() == events[0]
    assert http.get(f"{PREFIX}/p/events/{events[1]['event_id']}").json() == events[1]
    assert error(http.get(f"{PREFIX}/p/events/x"))[:2] == (400, "InvalidUuidParam")
    unknown = "00000000-0000-0000-0000-000000000000"
    assert error(http.get(f"{PREFIX}/p/events/{unknown}")) == (
        404, "UnknownPipelineMonitorEvent", {"event_id": unknown}
    )  # fmt: skip


def test_api_keys(http: Http) -> None:
    made = http.post("/v0/api_keys", json={"name": "k"})
    assert made.status_code == 201
    key = made.json()["api_key"]
    assert key.startswith("apikey:")
    assert len(key) == 7 + 128
    assert key[7:].isalnum()
    listed = http.get("/v0/api_keys").json()
    assert listed == [{"id": made.json()["id"], "name": "k", "role": "read"}]
    assert http.get("/v0/api_keys/k").json() == listed
    assert error(http.post("/v0/api_keys", json={"name": "k"})) == (409, "DuplicateName", None)
    assert error(http.post("/v0/api_keys", json={"name": "a b"}))[1] == "NameDoesNotMatchPattern"
    assert error(http.post("/v0/api_keys", json={"name": ""}))[1] == "EmptyName"
    assert plain(http.post("/v0/api_keys", json={"name": "x", "role": "owner"}))[0] == 400
    assert http.delete("/v0/api_keys/k").content == b""
    assert error(http.delete("/v0/api_keys/k")) == (404, "UnknownApiKey", {"name": "k"})


def test_the_server_itself(http: Http) -> None:
    assert http.get("/healthz").json() == {"status": "healthy"}
    assert http.get("/config/authentication").json() == {}
    config = http.get("/v0/config").json()
    assert (config["edition"], config["version"]) == ("Open source", API_VERSION)
    session = http.get("/v0/config/session").json()
    assert (session["tenant_name"], session["role"], session["memberships"]) == ("default", "admin", [])
    assert error(http.get("/v0/tenants")) == (403, "InsufficientPermissions", {"required": "owner", "actual": "admin"})
    assert error(http.get("/v0/oidc_trust"))[:2] == (501, "NotSupported")
    assert http.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
    assert http.get("/v0/metrics").headers["content-type"] == "text/plain"


def test_cluster_health_and_its_events(http: Http) -> None:
    assert error(http.get("/v0/cluster/events/latest")) == (404, "NoClusterMonitorEventsAvailable", None)
    health = http.get("/v0/cluster_healthz")
    assert health.status_code == 503  # neither compiler nor runner has been started here
    body = health.json()
    assert (body["all_healthy"], body["api"]["healthy"], body["runner"]["healthy"]) == (False, True, False)
    assert set(body["api"]) == {"healthy", "message", "unchanged_since", "checked_at"}
    events = http.get("/v0/cluster/events").json()
    assert set(events[0]) == {"id", "recorded_at", "all_healthy", "api_status", "compiler_status", "runner_status"}
    assert http.get("/v0/cluster/events/latest").json() == events[0]
    assert len(http.get(f"/v0/cluster/events/{events[0]['id']}?selector=all").json()) == 12
    assert error(http.get("/v0/cluster/events/x"))[1] == "InvalidUuidParam"
