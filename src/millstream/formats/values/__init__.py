"""Text <-> value conversions shared by the formats, one value at a time: the exact twins of the columnar
kernels.

Values are in *storage form*: what `pa.array(values, arrow_type)` takes for the column's type. That is int for
integers, DATE (days), TIME (nanoseconds) and timestamps (microseconds), float, str, bytes (binary, UUID),
`decimal.Decimal` at the column's scale, list for ARRAY, list of (key, value) pairs in key order for MAP, dict
for ROW, canonical JSON text for VARIANT. Every conversion raises ValueError with a text fit for a user.
"""
