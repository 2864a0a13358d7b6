"""Aggregate functions as state per group: one file a family, `registry.py` says which function is which."""
