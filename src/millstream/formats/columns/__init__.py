"""The fast path's middle: spans of text to Arrow columns.

A scanner (`json.scan`, `csv.scan`) walks a block once and notes, for every row and column, where the value's text lies
and what it looks like. Kernels then convert a column's spans at once; a value that a kernel is not certain of is
converted by the exact converter, so that the result is the exact path's result by construction.
"""
