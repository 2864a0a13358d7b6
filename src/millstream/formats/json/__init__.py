"""The `json` format (connectors.md §13.1): configuration, splitting, parsing on two paths, encoding."""
