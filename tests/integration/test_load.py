"""The load script, for a moment: all its checks, and what it prints. How fast the answers are is not looked at."""

from __future__ import annotations

import shutil

import pytest
from benchmarks import load
from benchmarks.server import server


@pytest.mark.slow
@pytest.mark.parametrize("has_wrk", [False, True])
def test_a_moment_of_load(has_wrk: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if has_wrk and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    if not has_wrk:
        monkeypatch.setattr(load.shutil, "which", lambda _: None)
    with server() as api:
        api.put(load.NAME, load.PROGRAM)
        api.post(f"/pipelines/{load.NAME}/start")
        api.wait(load.NAME, "deployment_status", "Running")
        results = load.load(api, connections=2, seconds=1)
    assert [result.kind for result in results] == ["stats", "ingress", "start/pause"]
    assert all(result.requests and result.p50_ms <= result.p99_ms for result in results)
    assert "failures 0" in results[0].line(1)
