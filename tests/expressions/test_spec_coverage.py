"""Every operator, scalar function and aggregate that sql.md names is in the registry, or listed here with a reason.

The tables repeat the dialect section by section. The lists of what is not built go stale in both directions: building
one of those names without taking it off the list fails, and so does a registry name that no table mentions.
"""

from __future__ import annotations

import pytest

from millstream.expressions.aggregates import AGGREGATES, is_aggregate, resolve_aggregate
from millstream.expressions.nodes import ColumnRef
from millstream.expressions.registry import FUNCTIONS, NOT_BUILT, TypeCheckError, build_call, is_scalar_function
from millstream.types.sql_type import INTEGER

SPEC: dict[str, str] = {
    "5.1 integer arithmetic": "+ - * / % DIV_NULL",
    "7.1 comparison": "= <> != < <= > >= <=> IS_DISTINCT_FROM IS_NOT_DISTINCT_FROM IN NOT_IN",
    "7.1 conditional": "COALESCE IFNULL NULLIF IF GREATEST LEAST GREATEST_IGNORE_NULLS LEAST_IGNORE_NULLS",
    "4.4 logic": """AND OR NOT IS_NULL IS_NOT_NULL IS_TRUE IS_NOT_TRUE IS_FALSE IS_NOT_FALSE IS_UNKNOWN
        IS_NOT_UNKNOWN""",
    "7.2 numeric": """ABS MOD SIGN CEIL CEILING FLOOR ROUND TRUNCATE TRUNC BROUND DIV_NULL FINITE_OR_NULL IS_INF IS_NAN
        SQRT CBRT EXP LN LOG10 LOG POWER SIN COS TAN SINH COSH TANH COTH COT ASIN ACOS ATAN ATAN2 ASINH ACOSH ATANH SEC
        CSC SECH CSCH DEGREES RADIANS PI SEQUENCE BLACKBOX WRITELOG""",
    "7.3 strings": """|| CONCAT CONCAT_WS LENGTH LEN CHAR_LENGTH CHARACTER_LENGTH OCTET_LENGTH UPPER LOWER INITCAP
        INITCAP_SPACES TRIM SUBSTRING SUBSTR LEFT RIGHT POSITION OVERLAY REPLACE REPEAT REVERSE ASCII CHR SPLIT
        SPLIT_PART LIKE NOT_LIKE ILIKE NOT_ILIKE RLIKE NOT_RLIKE REGEXP_REPLACE MD5 XXHASH TRANSLATE CONVERT SIMILAR_TO
        NOT_SIMILAR_TO""",
    "7.4 binary": "BIN2UTF8 GUNZIP TO_HEX TO_INT",
    "7.5 system": "NOW CONNECTOR_METADATA TYPEOF VARIANTNULL ST_POINT ST_DISTANCE",
    "7.6 date and time": """EXTRACT DATE_PART YEAR QUARTER MONTH WEEK DOY DAYOFYEAR DAYOFMONTH DOW DAYOFWEEK HOUR MINUTE
        SECOND FLOOR_TO CEIL_TO DATE_TRUNC TIMESTAMP_TRUNC TIME_TRUNC TIMESTAMPADD DATE_ADD DATE_SUB TIMESTAMPDIFF
        DATEDIFF MAKE_DATE MAKE_TIME MAKE_TIMESTAMP CONVERT_TIMEZONE FORMAT_DATE FORMAT_TIME FORMAT_TIMESTAMP PARSE_DATE
        PARSE_TIME PARSE_TIMESTAMP DATE TIME TIMESTAMP""",
    "7.7 periods": "CONTAINS OVERLAPS EQUALS PRECEDES SUCCEEDS IMMEDIATELY_PRECEDES IMMEDIATELY_SUCCEEDS",
    "7.8 arrays": """
        ITEM ARRAY CARDINALITY ARRAY_LENGTH ARRAY_SIZE ARRAY_APPEND ARRAY_PREPEND ARRAY_CONCAT ARRAY_COMPACT
        ARRAY_CONTAINS ARRAY_POSITION ARRAY_REMOVE ARRAY_DISTINCT ARRAY_EXCEPT ARRAY_UNION ARRAY_INTERSECT
        ARRAYS_OVERLAP ARRAY_INSERT ARRAY_MIN ARRAY_MAX ARRAY_REPEAT ARRAY_REVERSE ARRAY_TO_STRING ARRAY_JOIN SORT_ARRAY
        ELEMENT ARRAY_EXISTS TRANSFORM""",
    "7.9 maps": "MAP MAP_CONCAT MAP_CONTAINS_KEY MAP_KEYS MAP_VALUES",
    "11 VARIANT": """
        PARSE_JSON TO_JSON JSON_EACH_BIGINT JSON_EACH_STRING JSON_EACH_BOOLEAN JSON_EACH_DATE JSON_EACH_TIME
        JSON_EACH_TIMESTAMP JSON_OBJECT_KEYS JSON_KEYS VARIANT_FILTER VARIANT_DEEP_FILTER VARIANT_MAP VARIANT_DEEP_MAP
        VARIANT_MERGE""",
}
"""Scalar functions by section; `_` stands for the blank of operator names, as in IS_NOT_NULL."""

INTERNAL: dict[str, str] = {
    "NEG": "the unary minus",
    "UNARY PLUS": "the unary plus",
    "ROW": "the constructor ROW(a, b)",
    "FIELD": "x.f",
    "AS DECLARED": "parameters and results of SQL-defined functions",
    "FIELD NAMES": "jsonstring_as_<type>",
    "USER FUNCTION": "functions without a body",
    "WIDEN": "CHAR to VARCHAR without losing blanks",
    "SINGLE VALUE": "the value of a scalar sub-query",
    "UNITS": "an interval as a number of its unit",
    "TIMESTAMP_DIFF_INTERVAL": "(a - b) UNIT",
    "SPLIT ITEM": "SPLIT(s, separator)[i]",
    "TUMBLE_START": "the window that a time falls into",
    "TRUNC TO": "DATE_TRUNC and its relatives",
    "DAY": "a synonym of DAYOFMONTH",
}
"""Registry entries that stand for syntax, or are what other entries are rewritten to."""

REFUSED: dict[str, str] = {
    "TRANSLATE": "section 7.3: parsed, not implemented",
    "CONVERT": "section 7.3: parsed, not implemented",
    "SIMILAR TO": "section 7.3: parsed, not implemented",
    "NOT SIMILAR TO": "section 7.3: parsed, not implemented",
    "DATE": "section 7.6: parsed as a BigQuery function, not implemented",
    "TIME": "section 7.6: parsed as a BigQuery function, not implemented",
    "TIMESTAMP": "section 7.6: parsed as a BigQuery function, not implemented",
}
"""Scalar functions that the dialect names in order to refuse them."""

MISSING: dict[str, str] = {}
"""Scalar functions that the dialect has and this registry lacks."""

SPEC_AGGREGATES = """COUNT COUNTIF SUM AVG MIN MAX ARG_MIN ARG_MAX EVERY BOOL_AND LOGICAL_AND SOME BOOL_OR LOGICAL_OR
    BIT_AND BIT_OR BIT_XOR ARRAY_AGG MODE STDDEV STDDEV_SAMP STDDEV_POP VARIANCE VAR_SAMP VAR_POP COVAR_POP COVAR_SAMP
    REGR_COUNT REGR_SXX REGR_SYY PERCENTILE_CONT PERCENTILE_DISC CORR REGR_SLOPE REGR_INTERCEPT REGR_R2 REGR_AVGX
    REGR_AVGY LISTAGG JSON_AGG JSON_OBJECT_AGG FUSION COLLECT""".split()  # noqa: SIM905 - a table of words
_UNBUILT = """PERCENTILE_CONT PERCENTILE_DISC CORR REGR_SLOPE REGR_INTERCEPT REGR_R2 REGR_AVGX REGR_AVGY LISTAGG
    JSON_AGG JSON_OBJECT_AGG FUSION COLLECT""".split()  # noqa: SIM905 - a table of words
REFUSED_AGGREGATES = dict.fromkeys(_UNBUILT, "section 8: not implemented")

_UNDERSCORED = frozenset(("IS", "NOT", "IMMEDIATELY", "FLOOR_TO", "CEIL_TO", "SIMILAR_TO"))


def _registry_name(word: str) -> str:
    spaced = word.split("_")[0] in _UNDERSCORED or word in _UNDERSCORED
    return word if word in ("IS_INF", "IS_NAN") or not spaced else word.replace("_", " ")


NAMES = sorted({_registry_name(word) for words in SPEC.values() for word in words.split()})


@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_the_dialect_is_built_or_listed(name: str) -> None:
    assert is_scalar_function(name), f"{name} is unknown"
    listed = name in REFUSED or name in MISSING
    state = "listed as not built" if listed else "neither built nor listed"
    assert (name in FUNCTIONS) is not listed, f"{name} is {state}"
    if listed:
        with pytest.raises(TypeCheckError, match="not yet implemented"):
            build_call(name, [ColumnRef(INTEGER, 0)])


def test_lists_name_only_functions_of_the_dialect() -> None:
    assert set(REFUSED) | set(MISSING) == set(NOT_BUILT)
    assert set(REFUSED) | set(MISSING) <= set(NAMES)


def test_no_registry_name_is_unknown_to_the_dialect() -> None:
    assert set(FUNCTIONS) - set(NAMES) == set(INTERNAL)


@pytest.mark.parametrize("name", SPEC_AGGREGATES)
def test_every_aggregate_of_the_dialect_is_built_or_listed(name: str) -> None:
    assert is_aggregate(name)
    assert (name in AGGREGATES) is (name not in REFUSED_AGGREGATES)
    if name in REFUSED_AGGREGATES:
        with pytest.raises(TypeCheckError, match="not yet implemented"):
            resolve_aggregate(name, [ColumnRef(INTEGER, 0)])


def test_no_aggregate_is_unknown_to_the_dialect() -> None:
    assert set(AGGREGATES) | set(REFUSED_AGGREGATES) == set(SPEC_AGGREGATES)
