"""TPC-H, kept incrementally: data, queries, and how they are run."""
