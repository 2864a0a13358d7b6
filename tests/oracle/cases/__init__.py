"""Queries by family. Each is a view of ours and a query of DuckDB."""
