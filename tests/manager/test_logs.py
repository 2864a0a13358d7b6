"""The log buffer: what a process writes, what the runner adds, and cursors into it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from millstream.manager import logs
from millstream.manager.logs import LogBuffer
from millstream.manager.services import Services
from tests.manager.http import PREFIX, Http


def lines_of(buffer: LogBuffer, after: int = 0) -> list[str]:
    """All lines after one, of a buffer that is closed for it."""

    async def read() -> bytes:
        buffer.close()
        return b"".join([part async for part in buffer.follow(after)])

    return asyncio.run(read()).decode().splitlines()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pipeline.log"


def test_lines_of_process_and_runner_in_order(path: Path) -> None:
    buffer = LogBuffer(path, "id-1")
    path.write_text("one\ntw")
    buffer.catch_up()
    with path.open("a") as file:
        file.write("o\n\nfour\n")
    buffer.note("INFO", "noted\nhere", "name")
    found = lines_of(buffer)
    assert "INFO  runner: Fresh start of pipeline logs pipeline-id=" in found[0]
    assert found[0].startswith("[manager] ")
    assert found[1:5] == ["one", "two", "", "four"]
    assert found[5].endswith('INFO  runner: noted here pipeline-id="id-1" pipeline-name="name"')


def test_a_process_that_ends_within_a_line(path: Path) -> None:
    buffer = LogBuffer(path, "id-1")
    path.write_bytes(b"cut\xff")
    buffer.next_file()
    path.write_bytes(b"new process\n")
    buffer.restart_file()
    assert lines_of(buffer)[1:] == ["cut\N{REPLACEMENT CHARACTER}", "new process"]


def test_old_lines_are_discarded_and_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LINES", 10)
    buffer = LogBuffer(path, "id-1")
    path.write_text("".join(f"{n}\n" for n in range(30)))
    assert buffer.position(None) == logs.Position(21, 0)
    assert b"21 prior log lines were discarded due to buffer constraints" in buffer.discarded_notice()
    assert lines_of(buffer) == [str(n) for n in range(20, 30)]


def test_bytes_are_bounded(path: Path) -> None:
    buffer = LogBuffer(path, "id-1")
    path.write_text(("x" * 999 + "\n") * 3000)
    assert len(lines_of(buffer)) == 1000


def test_a_line_that_does_not_end_is_cut(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "READ_BYTES", 10)
    monkeypatch.setattr(logs, "MAX_LINE_BYTES", 25)
    buffer = LogBuffer(path, "id-1")
    path.write_text("x" * 70 + "\ny\n")
    buffer.catch_up()
    assert lines_of(buffer)[1:] == ["x" * 30, "x" * 30, "x" * 10, "y"]


def test_cursors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LINES", 10)
    buffer = LogBuffer(path, "id-1")
    path.write_text("".join(f"{n}\n" for n in range(30)))
    position = buffer.position(f"{buffer.epoch}:25")
    assert (position.seq, position.gap) == (25, 0)
    assert lines_of(buffer, position.seq) == ["24", "25", "26", "27", "28", "29"]
    assert buffer.position(f"{buffer.epoch}:5") == logs.Position(21, 16)
    assert buffer.position("") == logs.Position(21, 21)
    assert buffer.position("another-epoch:30") == logs.Position(21, 21)
    assert buffer.position(f"{buffer.epoch}:999") == logs.Position(31, 0)


def test_a_reader_follows(path: Path) -> None:
    async def follow() -> list[bytes]:
        buffer = LogBuffer(path, "id-1")
        seen = []
        async for part in buffer.follow(0):
            seen.append(part)
            if len(seen) == 1:
                path.write_text("later\n")
            else:
                buffer.close()
        return seen

    assert asyncio.run(follow())[1:] == [b"later\n"]


def test_a_large_file_is_emptied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_FILE_BYTES", 100)
    buffer = LogBuffer(path, "id-1")
    with path.open("a") as file:
        file.write("x" * 200 + "\n")
        file.flush()
        buffer.catch_up()
        assert path.stat().st_size == 0
        file.write("after\n")
        file.flush()
        assert lines_of(buffer)[1:] == ["x" * 200, "after"]


def test_a_reader_is_told_of_lines_that_are_gone(
    services: Services, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_LINES", 10)
    assert http.post(PREFIX, json={"name": "p", "program_code": ""}).status_code == 201
    buffer = services.runner.logs(services.store.named("p"))
    for number in range(30):
        buffer.note("INFO", f"line {number}")
    buffer.close()
    whole = http.get(f"{PREFIX}/p/logs")
    notice, *kept = whole.text.splitlines()
    assert notice.startswith("[manager] ")
    assert "21 prior log lines were discarded due to buffer constraints" in notice
    assert [line.partition("runner: ")[2].partition(" pipeline-id")[0] for line in kept] == [
        f"line {number}" for number in range(20, 30)
    ]
    assert whole.headers["feldera-logs-epoch"] == buffer.epoch
    resumed = http.get(f"{PREFIX}/p/logs?cursor={buffer.epoch}:5")
    assert (resumed.headers["feldera-logs-seq"], resumed.headers["feldera-logs-gap"]) == ("21", "16")
    assert resumed.text.splitlines() == kept
