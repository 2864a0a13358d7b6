"""Settings of the server from its environment, and the options that are accepted without effect (api.md §4.1)."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.manager.services import Services
from millstream.manager.settings import WITHOUT_EFFECT, Settings, from_environment
from tests.manager.http import PREFIX, Http, error
from tests.manager.support import new_pipeline

TIMEOUT = "FELDERA_SQL_COMPILATION_TIMEOUT_SECS"
EVENTS = "FELDERA_PIPELINE_MONITOR_EVENTS_RETENTION"
INTERVAL = "FELDERA_SUPPORT_DATA_COLLECTION_FREQUENCY"
KEPT = "FELDERA_SUPPORT_DATA_RETENTION"


def test_every_variable_is_read() -> None:
    found = from_environment({TIMEOUT: "1.5", EVENTS: "10", INTERVAL: "0", KEPT: " 7 ",
                              "FELDERA_UNSTABLE_FEATURES": "testing, runtime_version"})  # fmt: skip
    assert found == Settings(1.5, 10, 0.0, 7, ("testing", "runtime_version"))
    assert from_environment({}) == from_environment({TIMEOUT: ""}) == Settings()


@pytest.mark.parametrize(("name", "value"), [
    (TIMEOUT, "soon"), (TIMEOUT, "0"), (TIMEOUT, "nan"), (TIMEOUT, "inf"), (EVENTS, "0"), (EVENTS, "1.5"),
    (INTERVAL, "-1"), (KEPT, "none"),
])  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(MillstreamError, match=f"{name} is '{value}', but must be a .*number, at least") as caught:
        from_environment({name: value})
    assert caught.value.error_code == "InvalidSetting"


def test_what_has_no_effect_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        from_environment({**dict.fromkeys(WITHOUT_EFFECT, "x"), "FELDERA_UNSTABLE_FEATURES": "warp"})
    for name in (*WITHOUT_EFFECT, "'warp'"):
        assert f"{name} has no effect" in caplog.text


@pytest.fixture
def testing(tmp_path: Path) -> Any:
    services = Services(tmp_path, settings=Settings(unstable_features=("testing",), events_kept=2))
    client = Http(services)
    with client.runner:
        yield client, services.store
        client.runner.run(services.client.aclose())
    services.store.close()


def test_the_feature_testing_sets_the_platform_version(testing: Any) -> None:
    http, store = testing
    assert http.get("/v0/config").json()["unstable_features"] == "testing"
    store.insert(replace(new_pipeline(), program_status="Success"))
    path = f"{PREFIX}/p/testing"
    assert http.post(path, params={"set_platform_version": "0.1.0"}).status_code == 200
    found = http.get(f"{PREFIX}/p").json()
    assert (found["platform_version"], found["program_status"]) == ("0.1.0", "Success")
    updated = http.post(f"{PREFIX}/p/update_runtime").json()
    assert updated["platform_version"] != "0.1.0"
    assert updated["program_status"] == "Pending"
    store.apply("p", lambda p: replace(p, resources_desired_status="Provisioned"))
    refused = error(http.post(path, params={"set_platform_version": "0.2.0"}))
    assert refused == (400, "UpdateRestrictedToStopped", None)


def test_so_many_events_are_kept(testing: Any) -> None:
    _, store = testing
    p = store.insert(new_pipeline())
    for version in (2, 3, 4):
        store.apply("p", lambda p, version=version: replace(p, version=version))
    assert len(store.events(p)) == 2


def test_options_of_other_servers_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from millstream.cli import main

    served: list[Any] = []
    monkeypatch.setattr("millstream.manager.serve.serve", lambda *args: served.append(args))
    options = ["--bind-address", "127.0.0.1", "--api-port", "8123", "--compiler-port", "8085", "--runner-port", "8089",
               "--pg-embed-working-directory", str(tmp_path), "--compiler-working-directory", "c",
               "--runner-working-directory", "r", "--auth-first-user-role", "write"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["millstream", "serve", *options])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code in (None, 0)
    ((host, port, data_dir, *_),) = served
    assert (host, port, data_dir) == ("127.0.0.1", 8123, tmp_path)


def test_the_first_users_role_must_be_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from millstream.cli import main

    monkeypatch.setenv("FELDERA_AUTH_FIRST_USER_ROLE", "owner")
    monkeypatch.setattr("sys.argv", ["millstream", "serve"])
    with pytest.raises(SystemExit):
        main.run()
    assert "must be 'read', 'write' or 'admin'" in " ".join(capsys.readouterr().err.split())
