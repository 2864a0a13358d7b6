"""Types of aggregate functions (sql.md §8)."""

from __future__ import annotations

import pytest

from millstream.expressions.aggregates import AGGREGATES, is_aggregate, resolve_aggregate
from millstream.expressions.nodes import Cast, ColumnRef
from millstream.expressions.registry import TypeCheckError
from millstream.types import Field, SqlType
from millstream.types.sql_type import BIGINT, BOOLEAN, DOUBLE, INTEGER, NULL, VARBINARY, VARCHAR, array, decimal, struct

REQUIRED = INTEGER.with_nullable(False)


@pytest.mark.parametrize(
    ("name", "types", "result"),
    [
        ("COUNT", (), BIGINT.with_nullable(False)), ("count", (VARCHAR, INTEGER), BIGINT.with_nullable(False)),
        ("SUM", (INTEGER,), INTEGER),
        ("SUM", (REQUIRED,), REQUIRED), ("AVG", (DOUBLE,), DOUBLE), ("AVG", (decimal(5, 2),), decimal(5, 2)),
        ("SUM", (VARCHAR,), decimal(38, 19)),
        ("MIN", (VARCHAR,), VARCHAR), ("MAX", (array(INTEGER),), array(INTEGER)),
        ("BOOL_AND", (BOOLEAN,), BOOLEAN), ("COUNTIF", (BOOLEAN,), BIGINT.with_nullable(False)),
        ("BIT_OR", (VARBINARY,), VARBINARY), ("ARRAY_AGG", (INTEGER,), array(INTEGER, False)),
        ("STDDEV", (REQUIRED,), INTEGER), ("ARG_MIN", (REQUIRED, VARCHAR), INTEGER),
    ],
)  # fmt: skip
def test_result_types(name: str, types: tuple[SqlType, ...], result: SqlType) -> None:
    arguments, found = resolve_aggregate(name, [ColumnRef(t, i) for i, t in enumerate(types)])
    assert found == result
    assert len(arguments) == len(types)


def test_strings_are_summed_as_decimals() -> None:
    (argument,), _ = resolve_aggregate("AVG", [ColumnRef(VARCHAR, 0)])
    assert isinstance(argument, Cast)


def test_aliases_have_one_canonical_name() -> None:
    assert {AGGREGATES[name].name for name in ("EVERY", "BOOL_AND", "LOGICAL_AND")} == {"EVERY"}
    assert is_aggregate("Sum")
    assert not is_aggregate("UPPER")


@pytest.mark.parametrize(
    ("name", "types", "message"),
    [
        ("EVERY", (INTEGER,),
         "Cannot apply 'EVERY' to arguments of type 'EVERY(<INTEGER>)'. Supported form(s): 'EVERY(<BOOLEAN>)'"),
        ("AVG", (BOOLEAN,),
         "Cannot apply 'AVG' to arguments of type 'AVG(<BOOLEAN>)'. Supported form(s): 'AVG(<NUMERIC>)'"),
        ("SUM", (struct((Field("a", INTEGER),)),),
         "Cannot apply 'SUM' to arguments of type 'SUM(<ROW(INTEGER a)>)'. Supported form(s): 'SUM(<NUMERIC>)'"),
        ("MAX", (INTEGER, INTEGER), "Invalid number of arguments to function 'MAX'. Was expecting 1 arguments"),
        ("ARG_MAX", (INTEGER,), "Invalid number of arguments to function 'ARG_MAX'. Was expecting 2 arguments"),
        ("MIN", (NULL,), "Argument of aggregate has NULL type"),
        ("LISTAGG", (VARCHAR,), "Aggregate function not yet implemented: LISTAGG"),
    ],
)  # fmt: skip
def test_refused_arguments(name: str, types: tuple[SqlType, ...], message: str) -> None:
    with pytest.raises(TypeCheckError) as caught:
        resolve_aggregate(name, [ColumnRef(t, i) for i, t in enumerate(types)])
    assert caught.value.message == message
