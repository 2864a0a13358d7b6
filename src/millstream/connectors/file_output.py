"""`file_output`: appends encoded buffers to a local file, truncated at the start (connectors.md §12.2).

A batch is flushed and synced to disk at its end: a step that counts as delivered survives a crash.
"""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from millstream.connectors.base import OutputConnector
from millstream.connectors.file_input import local_path
from millstream.connectors.options import OptionError, Options, invalid_transport
from millstream.types import Relation

#: Small encoder buffers are gathered into writes of this size.
WRITE_BUFFER_BYTES = 1 << 20


class FileOutput(OutputConnector):
    """Options: `path` (required)."""

    name = "file_output"

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        self.endpoint_name = endpoint_name
        try:
            options = Options(config)
            self.path = local_path(options.required_text("path"))
            options.finish()
        except OptionError as error:
            raise invalid_transport(endpoint_name, self.name, str(error)) from error
        self._file: BinaryIO | None = None

    def open(self) -> None:
        try:
            self._file = open(self.path, "wb", buffering=WRITE_BUFFER_BYTES)  # noqa: SIM115 - closed by close()
        except OSError as error:
            reason = f"cannot create file `{self.path}`: {error.strerror}"
            raise invalid_transport(self.endpoint_name, self.name, reason) from error

    def write(self, data: bytes, num_records: int) -> None:
        assert self._file is not None, "open() comes first"
        self._file.write(data)

    def batch_end(self) -> None:
        if self._file is not None:
            self._file.flush()
            if os.path.isfile(self.path):
                # Pipes and devices such as /dev/stdout cannot be synced.
                os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
