"""Fixtures of the pipeline tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.support import ScriptedInput, ScriptedOutput, install_scripted_transports


@pytest.fixture
def scripted_transports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The transport `scripted`, for tests that say when a connector reads and writes."""
    install_scripted_transports(monkeypatch.setitem)
    yield
    ScriptedInput.instances.clear()
    ScriptedOutput.instances.clear()
