"""`file_output` and `null_output`."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream.connectors.base import OutputConnector
from millstream.errors import MillstreamError

from .support import make_output


def _write(connector: OutputConnector, *batches: tuple[bytes, ...]) -> None:
    connector.open()
    for step, buffers in enumerate(batches):
        connector.batch_start(step)
        for buffer in buffers:
            connector.write(buffer, 1)
        connector.batch_end()


def test_buffers_follow_each_other_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    connector = make_output("file_output", {"path": str(path)})
    _write(connector, (b"a\n", b"b\n"), (b"c\n",))
    assert path.read_bytes() == b"a\nb\nc\n", "a batch that has ended is in the file"
    connector.close()
    connector.close()


def test_an_existing_file_is_truncated_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old contents")
    connector = make_output("file_output", {"path": path.as_uri()})
    assert path.read_bytes() == b"old contents", "only opening truncates"
    connector.open()
    assert path.read_bytes() == b""
    connector.close()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none" / "out"
    with pytest.raises(MillstreamError) as caught:
        make_output("file_output", {"path": str(path)}).open()
    assert caught.value.error_code == "ConfigError.InvalidTransportConfig"
    assert f"cannot create file `{path}`: No such file or directory" in caught.value.message


def test_a_device_may_be_written() -> None:
    connector = make_output("file_output", {"path": "/dev/null"})
    _write(connector, (b"a",))
    connector.close()


def test_null_output_discards() -> None:
    connector = make_output("null_output", None)
    _write(connector, (b"a",))
    connector.close()


@pytest.mark.parametrize(
    "transport, config, reason",
    [
        ("file_output", {}, "missing option `path`"),
        ("file_output", {"path": "x", "append": True}, "unknown option `append`, expected `path`"),
        ("null_output", {"path": "x"}, "unknown option `path`, it takes no options"),
    ],
)
def test_wrong_options_are_explained(transport: str, config: object, reason: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        make_output(transport, config)
    assert caught.value.error_code == "ConfigError.InvalidTransportConfig"
    assert reason in caught.value.message
