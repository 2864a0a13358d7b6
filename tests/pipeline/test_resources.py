"""Limits of memory and processors."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading

import pytest

from millstream.errors import MillstreamError
from millstream.pipeline.resources import MemoryWatch, limit_processors
from millstream.pipeline.runtime_config import RuntimeConfig
from tests.pipeline.support import TIMEOUT, running, simple_program, totals

MB = 10**6


def test_memory_above_the_limit_is_reported_once() -> None:
    used = [99 * MB]
    looks: queue.Queue[int] = queue.Queue()
    found: queue.Queue[MillstreamError] = queue.Queue()

    def look() -> int:
        looks.put(used[0])
        return used[0]

    watch = MemoryWatch(100, found.put, look)
    watch.start()
    assert looks.get(timeout=TIMEOUT) == looks.get(timeout=TIMEOUT) == 99 * MB
    assert found.empty()
    used[0] = 100 * MB + 1
    error = found.get(timeout=TIMEOUT)
    assert error.error_code == "MemoryLimitExceeded"
    assert "used 101 MB of memory, more than its limit of 100 MB" in error.message
    assert error.details == {"used_bytes": 100 * MB + 1, "memory_mb_max": 100}
    watch.stop()
    assert found.empty()


def test_a_watch_that_was_stopped_reports_nothing() -> None:
    found: list[MillstreamError] = []
    looked = threading.Event()

    def look() -> int:
        looked.set()
        watch.stop()
        return 0

    watch = MemoryWatch(1, found.append, look)
    watch.start()
    assert looked.wait(TIMEOUT)
    assert found == []


_THREADS = """
import os, psutil, threading
from millstream.pipeline.resources import limit_processors
end = threading.Event()
threading.Thread(target=end.wait).start()
print(limit_processors({cores}))
threading.Thread(target=end.wait).start()
print({{len(os.sched_getaffinity(thread.id)) for thread in psutil.Process().threads()}})
end.set()
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot bind threads to processors")
@pytest.mark.parametrize("cores", [0.3, 1])
def test_all_threads_keep_to_the_processors_allowed(cores: float) -> None:
    """In a process of its own: the limit cannot be taken back."""
    program = _THREADS.format(cores=cores)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["1", "{1}"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot bind threads to processors")
def test_more_processors_than_there_are_limit_nothing() -> None:
    before = os.sched_getaffinity(0)
    assert limit_processors(100_000) == len(before)
    assert os.sched_getaffinity(0) == before


def test_limits_are_read_from_the_resources_of_the_configuration() -> None:
    config = RuntimeConfig.from_json({"resources": {"memory_mb_max": 2000, "cpu_cores_max": 1.5, "memory_mb_min": 1}})
    assert (config.memory_mb_max, config.cpu_cores_max, config.memory_budget_mb) == (2000, 1.5, 2000)
    both = RuntimeConfig.from_json({"max_rss_mb": 500, "resources": {"memory_mb_max": 2000}})
    assert both.memory_budget_mb == 500


@pytest.mark.parametrize("bad", [{"memory_mb_max": -1}, {"cpu_cores_max": 0}, {"cpu_cores_max": "2"}, 5])
def test_limits_that_are_none_are_refused(bad: object) -> None:
    with pytest.raises(MillstreamError, match=r"resources|memory_mb_max") as caught:
        RuntimeConfig.from_json({"resources": bad})
    assert caught.value.error_code == "ConfigError.PipelineConfigParseError"


def test_memory_pressure_follows_the_limit_of_the_process() -> None:
    with running(simple_program(), RuntimeConfig(memory_mb_max=1)) as controller:
        assert totals(controller)["memory_pressure"] == "critical"
