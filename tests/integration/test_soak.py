"""A short soak: soak.py says what it does; a long one is `python -m tests.integration.soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Server
from tests.integration.soak import soak


def test_no_row_is_lost_or_doubled_while_connectors_start_and_pause(server: Server, tmp_path: Path) -> None:
    soak(server, tmp_path, pipelines=2, seconds=4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ten_pipelines_keep_every_row_for_a_minute(server: Server, tmp_path: Path) -> None:
    soak(server, tmp_path, pipelines=10, seconds=60, seed=2)
