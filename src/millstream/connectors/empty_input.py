"""`empty_input`: no data; the input ends as soon as the connector runs (connectors.md §11.16).

It keeps a table without data, or carries a label that other connectors start after.
"""

from __future__ import annotations

from typing import Any

from millstream.connectors.base import InputConnector, InputSink
from millstream.connectors.options import OptionError, Options, invalid_transport
from millstream.types import Relation


class EmptyInput(InputConnector):
    """No options."""

    name = "empty_input"

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        try:
            Options(config).finish()
        except OptionError as error:
            raise invalid_transport(endpoint_name, self.name, str(error)) from error

    def run(self, sink: InputSink) -> None:
        while not sink.closing:
            if sink.wait_until_active():
                sink.end_of_input()
                return
