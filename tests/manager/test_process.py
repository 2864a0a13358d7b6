"""Processes: recognised by identifier and start, and ended with their whole group."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from millstream.manager.process import ProcessHandle, describe_exit, read_json, write_json

PARENT = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def sleeping() -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, with a child."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_process_is_known_by_its_start(sleeping: subprocess.Popen[str]) -> None:
    handle = ProcessHandle.of(sleeping.pid)
    assert handle.alive
    assert ProcessHandle.from_json(handle.to_json()) == handle
    assert not replace(handle, started=handle.started + "1").alive
    assert not replace(handle, started="").alive
    for other in (None, {}, {"pid": "1", "started": "x"}, {"pid": 1}):
        assert ProcessHandle.from_json(other) is None


def test_killing_takes_the_group(sleeping: subprocess.Popen[str]) -> None:
    children = psutil.Process(sleeping.pid).children()
    assert len(children) == 1
    handle = ProcessHandle.of(sleeping.pid)
    handle.kill_group()
    asyncio.run(asyncio.wait_for(handle.ended(), 10))
    assert not handle.alive  # although nobody has waited for it yet
    assert sleeping.wait(10) == -9
    assert psutil.wait_procs(children, 10)[1] == []


def test_a_stranger_with_the_same_identifier_is_left_alone(sleeping: subprocess.Popen[str]) -> None:
    stranger = replace(ProcessHandle.of(sleeping.pid), started="another start")
    stranger.kill_group()
    asyncio.run(asyncio.wait_for(stranger.ended(), 10))
    time.sleep(0.05)
    assert sleeping.poll() is None


def test_the_end_is_announced(sleeping: subprocess.Popen[str]) -> None:
    async def scenario() -> float:
        handle = ProcessHandle.of(sleeping.pid)
        ended = asyncio.create_task(handle.ended())
        await asyncio.sleep(0.05)
        assert not ended.done()
        sleeping.kill()
        killed = time.monotonic()
        await asyncio.wait_for(ended, 10)
        return time.monotonic() - killed

    assert asyncio.run(scenario()) < 1.0


def test_descriptions_of_ends() -> None:
    assert describe_exit(-9) == "it was killed by signal 9 (SIGKILL)"
    assert describe_exit(3) == "it exited with status 3"
    assert describe_exit(None) == "it is gone"


def test_json_files(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("[1]")
    assert read_json(path) is None
    path.write_text("{")
    assert read_json(path) is None
