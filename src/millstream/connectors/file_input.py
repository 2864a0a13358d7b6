"""`file_input`: reads a local file, optionally waiting for appended data (connectors.md §11.3).

The position is the open file's own; pausing just stops reading, so nothing is lost or read twice. Blocks are large
because formats parse whole blocks at once; `buffer_size_bytes` overrides that. At the end of a followed file the
reader sleeps between looks.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from millstream.connectors.base import InputConnector, InputSink
from millstream.connectors.options import OptionError, Options, invalid_transport
from millstream.types import Relation

DEFAULT_BLOCK_BYTES = 1 << 20
FOLLOW_INTERVAL_SECONDS = 0.2

_log = logging.getLogger(__name__)


def local_path(text: str) -> Path:
    """The path that a plain path or `file://` URL names. Raises OptionError for another host or scheme."""
    if "://" not in text:
        return Path(text)
    url = urlsplit(text)
    if url.scheme != "file":
        raise OptionError(f"`path` is `{text}`; only plain paths and file:// URLs are local files")
    if url.netloc not in ("", "localhost"):
        raise OptionError(f"`path` is `{text}`; a file:// URL must not name a host: file:///{url.netloc}{url.path}")
    return Path(unquote(url.path))


class FileInput(InputConnector):
    """Options: `path` (required), `follow` (false), `buffer_size_bytes` (1 MiB)."""

    name = "file_input"
    single_stream = True

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        self.endpoint_name = endpoint_name
        try:
            options = Options(config)
            self.path = local_path(options.required_text("path"))
            self.follow = options.flag("follow", False)
            self.block_bytes = options.sure_integer("buffer_size_bytes", DEFAULT_BLOCK_BYTES, minimum=1)
            if options.take("buffer_size_byte") is not None:
                # A spelling that circulates in manuals; it never had an effect.
                _log.warning("%s: option `buffer_size_byte` is ignored; it is `buffer_size_bytes`", endpoint_name)
            options.finish()
        except OptionError as error:
            raise invalid_transport(endpoint_name, self.name, str(error)) from error
        self._file: BinaryIO | None = None

    def open(self) -> None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._unusable(f"cannot open file `{self.path}`: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._unusable(f"`{self.path}` is not a regular file")
        # Unbuffered: blocks are as large as the parser wants them already.
        self._file = os.fdopen(descriptor, "rb", buffering=0)

    def run(self, sink: InputSink) -> None:
        file = self._file
        assert file is not None, "open() comes first"
        shrunk = False
        while not sink.closing:
            if not sink.wait_until_active():
                continue
            block = file.read(self.block_bytes)
            if block:
                sink.push_bytes(block)
            elif not self.follow:
                sink.push_bytes(b"", end=True)
                sink.end_of_input()
                return
            else:
                if not shrunk and os.fstat(file.fileno()).st_size < file.tell():
                    shrunk = True
                    sink.error(
                        self.name,
                        f"file `{self.path}` became shorter than the {file.tell()} bytes already read; "
                        "reading goes on when it is longer again",
                    )
                sink.sleep(FOLLOW_INTERVAL_SECONDS)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _unusable(self, error: str) -> Exception:
        return invalid_transport(self.endpoint_name, self.name, error)
