"""`file_input`: what is read, in which order, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.connectors.file_input import FOLLOW_INTERVAL_SECONDS, FileInput
from millstream.errors import MillstreamError

from .support import MemorySink, make_input, quick, refusal, run


def _refused(config: object) -> str:
    with pytest.raises(MillstreamError) as caught:
        make_input("file_input", config).open()
    return refusal(caught.value)


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"1,a\n2,b\n")
    sink = run(make_input("file_input", {"path": str(path)}))
    assert sink.data == b"1,a\n2,b\n"
    assert (sink.byte_stream_ended, sink.inputs_ended, sink.errors) == (1, 1, [])


def test_file_urls_name_local_files(tmp_path: Path) -> None:
    path = tmp_path / "with blank.csv"
    path.write_bytes(b"x")
    assert run(make_input("file_input", {"path": path.as_uri()})).data == b"x"
    assert run(make_input("file_input", {"path": path.as_uri().replace("file://", "file://localhost")})).data == b"x"


def test_an_empty_file_ends_at_once(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    sink = run(make_input("file_input", {"path": str(path)}))
    assert (sink.data, sink.inputs_ended) == (b"", 1)


@quick
@given(
    data=st.binary(max_size=300),
    block=st.integers(1, 64),
    activity=st.lists(st.booleans(), max_size=60),
)
def test_pausing_at_any_moment_loses_and_repeats_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, block: int, activity: list[bool]
) -> None:
    path = tmp_path_factory.mktemp("file") / "data"
    path.write_bytes(data)
    sink = run(make_input("file_input", {"path": str(path), "buffer_size_bytes": block}), MemorySink(activity=activity))
    assert sink.data == data
    assert sink.inputs_ended == 1


def test_stopping_ends_without_end_of_input(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    sink = run(make_input("file_input", {"path": str(path), "buffer_size_bytes": 2}), MemorySink(close_after=3))
    assert (sink.data, sink.inputs_ended, sink.byte_stream_ended) == (b"012345", 0, 0)


class _Growing(MemorySink):
    """A sink during whose sleeps the file changes."""

    def __init__(self, path: Path, changes: list[bytes | None]) -> None:
        super().__init__()
        self._path = path
        self._changes = changes

    def sleep(self, seconds: float) -> None:
        assert seconds == FOLLOW_INTERVAL_SECONDS
        if not self._changes:
            self.closing = True
            return
        change = self._changes.pop(0)
        if change is None:
            os.truncate(self._path, 1)
            return
        with self._path.open("ab") as file:
            file.write(change)


def test_a_followed_file_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    sink = run(make_input("file_input", {"path": str(path), "follow": True}), _Growing(path, [b"tw", b"", b"o\n"]))
    assert sink.data == b"one\ntwo\n"
    assert (sink.byte_stream_ended, sink.inputs_ended, sink.errors) == (0, 0, [])


def test_a_followed_file_that_shrinks_is_reported_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    sink = run(make_input("file_input", {"path": str(path), "follow": True}), _Growing(path, [None, b"", b"x" * 9]))
    assert sink.data == b"one\ntwo\n" + b"xx"
    assert [(tag, fatal) for tag, _, fatal in sink.errors] == [("file_input", False)]
    assert "became shorter than the 8 bytes" in sink.errors[0][1]


def test_what_cannot_be_opened_fails_the_start(tmp_path: Path) -> None:
    assert (
        _refused({"path": str(tmp_path / "none")}) == f"cannot open file `{tmp_path}/none`: No such file or directory"
    )
    assert _refused({"path": str(tmp_path)}) == f"`{tmp_path}` is not a regular file"
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in _refused({"path": str(tmp_path / "pipe")})


@pytest.mark.parametrize(
    "config, reason",
    [
        ({}, "missing option `path`"),
        ({"path": ""}, "option `path` must not be empty"),
        ({"path": 7}, "option `path` must be a string, not 7"),
        ({"path": "x", "follow": "yes"}, "option `follow` must be true or false, not 'yes'"),
        ({"path": "x", "buffer_size_bytes": 0}, "option `buffer_size_bytes` is 0; it must be at least 1"),
        ({"path": "x", "folow": True}, "unknown option `folow`; did you mean `follow`?"),
        ({"path": "s3://bucket/key"}, "only plain paths and file:// URLs"),
        ({"path": "file://host/x"}, "must not name a host: file:///host/x"),
        ([], "`config` must be an object, not []"),
    ],
)
def test_wrong_options_are_explained(config: object, reason: str) -> None:
    assert reason in _refused(config)


def test_the_spelling_of_the_manual_is_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    connector = make_input("file_input", {"path": "x", "buffer_size_byte": 10})
    assert isinstance(connector, FileInput)
    assert connector.block_bytes > 10
    assert "`buffer_size_bytes`" in caplog.text
