"""The manager's services on an empty data directory, and a client of its application."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.manager.services import Services
from tests.manager.http import Http


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def http(services: Services) -> Iterator[Http]:
    client = Http(services)
    with client.runner:
        yield client
        client.runner.run(services.client.aclose())
