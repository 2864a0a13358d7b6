"""Window functions: rows in order (ordered.py), frames (frames.py), functions (functions.py) and the operator."""
