"""The incremental operators, one file each. See base.py for what an operator is."""
