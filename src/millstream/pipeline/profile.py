"""Profiles of a pipeline: what its operators have done, and where its threads spend their time (api.md §23).

The circuit profile is a snapshot of counters; while no step runs, it does not change. The sampler looks at the Python
stacks of all threads at a fixed rate; its result is a file of the format of https://www.speedscope.app, gzipped. Time
inside compiled kernels shows as that of the function that called them.
"""

from __future__ import annotations

import gzip
import io
import sys
import threading
import time
import zipfile
from types import FrameType
from typing import Any

import orjson

from millstream.errors import MillstreamError
from millstream.plan.dataflow import dataflow_graph
from millstream.plan.program import Program

SAMPLE_INTERVAL_S = 0.01
DEFAULT_SAMPLING_S = 30.0
MAX_SAMPLING_S = 600.0
MAX_STACKS = 200_000
"""Samples kept at most; a long profile of many threads ends early."""


def circuit_profile(operators: list[dict[str, Any]]) -> dict[str, Any]:
    """`{"profile_version", "operators"}`, an entry an operator: label, kind, inputs (positions in this list), calls,
    seconds, rows in and out, rows and bytes of state, how many workers share the
    state, and the positions of the operators whose state it reads."""
    return {"profile_version": 1, "operators": operators}


def circuit_profile_archive(profile: dict[str, Any], program: Program) -> bytes:
    """A ZIP with the profile, and with the graph of the program that it belongs to."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("profile.json", profile), ("dataflow.json", dataflow_graph(program))):
            archive.writestr(name, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    return buffer.getvalue()


class Sampler:
    """Takes one profile at a time and keeps the last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = False
        self._ends_at = 0.0
        self._last: bytes | None = None

    def start(self, seconds: float) -> None:
        """Sample in the background for so long. Raises `SamplyProfilingInProgress` (409)."""
        with self._lock:
            if self._running:
                raise MillstreamError("SamplyProfilingInProgress", "A profile is being taken already", None, 409)
            self._running = True
            self._ends_at = time.monotonic() + seconds
        threading.Thread(target=self._run, args=(seconds,), name="sampler", daemon=True).start()

    @property
    def seconds_left(self) -> float | None:
        """How long the profile that is being taken will take; None if none is."""
        with self._lock:
            return max(0.0, self._ends_at - time.monotonic()) if self._running else None

    def last(self) -> bytes:
        """The last profile that is complete, gzipped. Raises `NoSamplyProfile` (400)."""
        with self._lock:
            if self._last is None:
                raise MillstreamError(
                    "NoSamplyProfile", "There is no profile yet: take one by POST /samply_profile", None, 400
                )
            return self._last

    def _run(self, seconds: float) -> None:
        recording = _Recording()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and recording.size < MAX_STACKS:
            recording.sample()
            time.sleep(SAMPLE_INTERVAL_S)
        profile = gzip.compress(orjson.dumps(recording.to_json()))
        with self._lock:
            self._last, self._running = profile, False


class _Recording:
    """Stacks by thread, with each function named once."""

    def __init__(self) -> None:
        self.size = 0
        self._frames: dict[tuple[str, str, int], int] = {}
        self._stacks: dict[int, list[list[int]]] = {}
        self._names: dict[int, str] = {}

    def sample(self) -> None:
        self._names.update({t.ident: t.name for t in threading.enumerate() if t.ident is not None})
        for ident, frame in sys._current_frames().items():
            if ident != threading.get_ident():
                self._stacks.setdefault(ident, []).append(self._stack(frame))
                self.size += 1

    def _stack(self, frame: FrameType | None) -> list[int]:
        stack = []
        while frame is not None:
            code = frame.f_code
            key = (code.co_qualname, code.co_filename, code.co_firstlineno)
            stack.append(self._frames.setdefault(key, len(self._frames)))
            frame = frame.f_back
        return stack[::-1]

    def to_json(self) -> dict[str, Any]:
        frames = [{"name": name, "file": file, "line": line} for name, file, line in self._frames]
        profiles = [
            {
                "type": "sampled",
                "name": self._names.get(ident, f"thread {ident}"),
                "unit": "seconds",
                "startValue": 0,
                "endValue": len(stacks) * SAMPLE_INTERVAL_S,
                "samples": stacks,
                "weights": [SAMPLE_INTERVAL_S] * len(stacks),
            }
            for ident, stacks in self._stacks.items()
        ]
        return {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "shared": {"frames": frames},
            "profiles": profiles,
        }
