"""Splitting byte streams: any cutting gives the same records, and long records do not cost quadratic time."""

from __future__ import annotations

import random

import pytest

from millstream.formats.base import ParsedBlock, Parser
from millstream.pipeline import input_stream
from millstream.pipeline.clock import ManualClock
from millstream.pipeline.connector_config import ConnectorConfig
from millstream.pipeline.control import Control
from millstream.pipeline.error_log import ErrorLog, shorten
from millstream.pipeline.input_endpoint import InputEndpoint
from millstream.pipeline.input_stream import InputStream, attribute_bytes
from millstream.pipeline.latency import LatencySamples
from millstream.pipeline.reader import ReaderSink
from tests.pipeline.support import rows


class LineParser(Parser):
    """Remembers the lines and how many bytes it was asked to look at."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.looked_at = 0
        self.restarts = 0

    def split(self, buffer: bytes, end_of_input: bool = False) -> int:
        self.looked_at += len(buffer)
        return len(buffer) if end_of_input else buffer.rfind(b"\n") + 1

    def parse(self, block: bytes) -> ParsedBlock:
        self.lines += block.splitlines()
        return ParsedBlock((rows(0, block.count(b"\n")),))

    def restart(self) -> None:
        self.restarts += 1


@pytest.mark.parametrize("seed", range(5))
def test_any_cutting_gives_the_same_lines_and_counts_every_byte_once(seed: int) -> None:
    rng = random.Random(seed)
    body = b"\n".join(b"%d" % rng.getrandbits(rng.choice((8, 60))) for _ in range(200))
    parser = LineParser()
    stream = InputStream(parser)
    taken, at = 0, 0
    while at < len(body):
        size = rng.randint(1, 40)
        taken += stream.feed(body[at : at + size]).num_bytes
        taken += stream.flush().num_bytes
        at += size
    taken += stream.feed(b"", end=True).num_bytes
    assert parser.lines == body.splitlines()
    assert taken == len(body)
    assert parser.restarts == 1
    assert stream.pending_bytes == 0


def test_a_long_record_is_not_looked_at_again_for_every_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_stream, "EAGER_SPLIT_BYTES", 1000)
    parser = LineParser()
    stream = InputStream(parser)
    size = 200_000
    for _ in range(size // 100):
        stream.feed(b"x" * 100)
    assert parser.looked_at < 12 * size
    # What is complete but not looked at yet is found when the reader has nothing better to do.
    stream.feed(b"\n")
    assert len(parser.lines) + len(stream.flush().block.batches) >= 1
    assert parser.lines == [b"x" * size]


def test_an_idle_reader_delivers_what_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_stream, "EAGER_SPLIT_BYTES", 1000)
    for idle in (lambda sink: sink.sleep(0), lambda sink: sink.wait_until_active(0), lambda sink: sink.end_of_input()):
        control = Control(ManualClock(), lambda _: None)
        endpoint = InputEndpoint(control, 1, "t.c", "t", ConnectorConfig({"name": "x"}), None)
        sink = ReaderSink(control, endpoint, LineParser())
        sink.push_bytes(b"x" * 10_000)
        sink.push_bytes(b"\n")
        assert endpoint.total_records == 0
        idle(sink)
        assert (endpoint.total_records, endpoint.total_bytes) == (1, 10_001)


def test_bytes_are_shared_among_batches_without_loss() -> None:
    batches = (rows(0, 3), rows(0, 0), rows(0, 4))
    assert [size for _, size in attribute_bytes(batches, 100)] == [42, 0, 58]
    assert attribute_bytes((), 5) == []


def test_an_error_log_counts_all_and_keeps_the_latest_per_tag() -> None:
    clock, log = ManualClock(), list[str]()
    errors = ErrorLog("endpoint", clock, log.append)
    for i in range(250):
        errors.add("a" if i % 2 else "b", f"error {i}")
    errors.add_many("a", ["last"], count=1000)
    kept = errors.latest()
    assert errors.count == 1250
    assert [sum(e.tag == tag for e in kept) for tag in ("a", "b")] == [100, 100]
    assert (kept[-1].message, kept[-1].index) == ("last", 1250)
    assert kept[-1].to_json()["timestamp"] == "2023-11-14T22:13:20.000000Z"
    # One line per tag and interval.
    assert len(log) == 2
    clock.advance(11)
    errors.add("a", "again")
    assert len(log) == 3


def test_long_messages_lose_their_middle() -> None:
    text = "ä" * 10_000
    short = shorten(text, 1000)
    assert len(short.encode()) <= 1000
    assert short.startswith("ää")
    assert "..." in short
    assert short.endswith("ää")
    assert shorten("short") == "short"


def test_the_latency_percentile_looks_at_recent_samples_only() -> None:
    samples = LatencySamples()
    assert samples.p99_micros(0.0) is None
    samples.add([10.0 - i / 1000 for i in range(1, 101)], 10.0)
    assert samples.p99_micros(10.0) == pytest.approx(100_000, abs=1001)
    for _ in range(300):
        samples.add([19.999] * 100, 20.0)
    assert samples.p99_micros(20.0) == pytest.approx(1000, abs=1)
    assert samples.p99_micros(700.0) is None
