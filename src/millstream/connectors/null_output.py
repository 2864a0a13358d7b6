"""`null_output`: discards what it is given; the endpoint's statistics still count it (connectors.md §12.11)."""

from __future__ import annotations

from typing import Any

from millstream.connectors.base import OutputConnector
from millstream.connectors.options import OptionError, Options, invalid_transport
from millstream.types import Relation


class NullOutput(OutputConnector):
    """No options."""

    name = "null_output"

    def __init__(self, endpoint_name: str, config: dict[str, Any], relation: Relation) -> None:
        try:
            Options(config).finish()
        except OptionError as error:
            raise invalid_transport(endpoint_name, self.name, str(error)) from error

    def write(self, data: bytes, num_records: int) -> None:
        """Discard."""
