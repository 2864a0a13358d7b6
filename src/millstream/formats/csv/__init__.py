"""The `csv` format (connectors.md §13.2): configuration, splitting, parsing on two paths, encoding."""
