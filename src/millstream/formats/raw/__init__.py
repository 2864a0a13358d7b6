"""The `raw` format: bytes as they come, into one column (connectors.md §13.5)."""
