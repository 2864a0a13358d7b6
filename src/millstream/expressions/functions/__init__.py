"""The scalar functions, one family a file; registry.py collects their tables."""
