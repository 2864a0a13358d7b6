"""Aggregate functions in the function catalog."""

from __future__ import annotations

from millstream.expressions.catalog.entry import NEVER, Entry, Family, entry

_EMPTY = "ignores NULLs; NULL for no values"


def _of_two(name: str, description: str) -> Entry:
    return entry(
        name, f"`{name}(y, x)`", "type of y", description, nulls="ignores pairs with a NULL; NULL for no pairs"
    )


AGGREGATES = Family(
    "Aggregate functions",
    "`agg([DISTINCT] x) [FILTER (WHERE condition)]`. SUM, AVG and the variances have the type of their argument; AVG "
    "of integers truncates.",
    (
        entry("COUNT", "`COUNT(*)`, `COUNT(x, ...)`", "BIGINT", "The number of rows, or of rows without NULL.",
              nulls=NEVER),
        entry("COUNTIF", "`COUNTIF(b)`", "BIGINT", "The number of rows where b is TRUE.", nulls=NEVER),
        entry("SUM", "`SUM(x)`", "type of x", "The sum; fails if it does not fit the type.", nulls=_EMPTY),
        entry("AVG", "`AVG(x)`", "type of x", "The mean.", nulls=_EMPTY),
        entry("MIN", "`MIN(x)`", "type of x", "The least value, of any type.", nulls=_EMPTY),
        entry("MAX", "`MAX(x)`", "type of x", "The greatest value, of any type.", nulls=_EMPTY),
        entry("ARG_MIN", "`ARG_MIN(v, x)`", "type of v", "v where x is least.", nulls="ignores rows where x is NULL"),
        entry("ARG_MAX", "`ARG_MAX(v, x)`", "type of v", "v where x is greatest.",
              nulls="ignores rows where x is NULL"),
        entry("EVERY, BOOL_AND, LOGICAL_AND", "`EVERY(b)`", "BOOLEAN", "Whether b is always TRUE.", nulls=_EMPTY),
        entry("SOME, BOOL_OR, LOGICAL_OR", "`SOME(b)`", "BOOLEAN", "Whether b is TRUE for some row.", nulls=_EMPTY),
        entry("BIT_AND", "`BIT_AND(x)`", "type of x", "Bitwise conjunction of integers or binaries.", nulls=_EMPTY),
        entry("BIT_OR", "`BIT_OR(x)`", "type of x", "Bitwise disjunction.", nulls=_EMPTY),
        entry("BIT_XOR", "`BIT_XOR(x)`", "type of x", "Bitwise exclusive disjunction.", nulls=_EMPTY),
        entry("ARRAY_AGG", "`ARRAY_AGG([DISTINCT] x [ORDER BY ...])`", "ARRAY",
              "All values, by default in the order of the rows' columns.", nulls="keeps NULLs; empty for no rows"),
        entry("MODE", "`MODE(x)`", "type of x", "The most frequent value.", nulls=_EMPTY),
        entry("STDDEV_SAMP, STDDEV", "`STDDEV_SAMP(x)`", "type of x", "Standard deviation of a sample.",
              nulls="ignores NULLs; NULL for fewer than two values"),
        entry("STDDEV_POP", "`STDDEV_POP(x)`", "type of x", "Standard deviation of a population.", nulls=_EMPTY),
        entry("VAR_SAMP, VARIANCE", "`VAR_SAMP(x)`", "type of x", "Variance of a sample.",
              nulls="ignores NULLs; NULL for fewer than two values"),
        entry("VAR_POP", "`VAR_POP(x)`", "type of x", "Variance of a population.", nulls=_EMPTY),
        _of_two("COVAR_SAMP", "Covariance of a sample."),
        _of_two("COVAR_POP", "Covariance of a population."),
        _of_two("REGR_SXX", "The number of pairs times the variance of x."),
        _of_two("REGR_SYY", "The number of pairs times the variance of y."),
        entry("REGR_COUNT", "`REGR_COUNT(y, x)`", "BIGINT", "The number of pairs without NULL.", nulls=NEVER),
    ),
)  # fmt: skip
