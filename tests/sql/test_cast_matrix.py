"""Which types are cast to which: every pair of kinds, with CAST and SAFE_CAST, against the table of the dialect."""

from __future__ import annotations

import itertools

import pyarrow as pa

from millstream.circuit import Circuit
from millstream.sql.compile import compile_program
from millstream.types import arrow_type
from millstream.zset.changes import ChangeBatch

#: Source types by kind. Kinds of one group have the same row and column in the table.
TYPES = {
    "boolean": ("BOOLEAN",),
    "integer": (
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "TINYINT UNSIGNED", "SMALLINT UNSIGNED", "INTEGER UNSIGNED",
        "BIGINT UNSIGNED",
    ),
    "decimal": ("DECIMAL(10, 2)",),
    "float": ("REAL", "DOUBLE"),
    "string": ("CHAR(5)", "VARCHAR", "VARCHAR(3)"),
    "binary": ("BINARY(4)", "VARBINARY"),
    "date": ("DATE",),
    "time": ("TIME",),
    "timestamp": ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
    "short": ("INTERVAL DAY", "INTERVAL SECOND"),
    "short compound": ("INTERVAL DAY TO SECOND", "INTERVAL HOUR TO MINUTE"),
    "long": ("INTERVAL MONTH", "INTERVAL YEAR"),
    "long compound": ("INTERVAL YEAR TO MONTH",),
    "uuid": ("UUID",),
    "variant": ("VARIANT",),
    "array": ("INTEGER ARRAY",),
    "map": ("MAP<VARCHAR, INTEGER>",),
    "row": ("ROW(a INTEGER, b VARCHAR)",),
    "geometry": ("GEOMETRY",),
}  # fmt: skip
_SHORT, _LONG = {"short", "short compound"}, {"long", "long compound"}
_NUMBERS = {"integer", "decimal", "float"}
LEGAL = {
    "boolean": {"boolean", "string", "variant"} | _NUMBERS,
    "integer": {"boolean", "string", "binary", "timestamp", "variant"} | _NUMBERS | _SHORT | _LONG,
    "decimal": {"boolean", "string", "timestamp", "variant"} | _NUMBERS | _SHORT | _LONG,
    "float": {"boolean", "string", "timestamp", "variant"} | _NUMBERS,
    "string": TYPES.keys() - {"array", "map", "row", "geometry"},
    "binary": {"string", "binary", "uuid", "variant"},
    "date": {"string", "date", "timestamp", "variant"},
    "time": {"string", "time", "timestamp", "variant"},
    "timestamp": {"string", "date", "time", "timestamp", "variant"} | _NUMBERS,
    "short": {"integer", "decimal", "string", "variant"} | _SHORT,
    "short compound": {"string", "variant"} | _SHORT,
    "long": {"integer", "decimal", "string", "variant"} | _LONG,
    "long compound": {"string", "variant"} | _LONG,
    "uuid": {"string", "binary", "uuid", "variant"},
    "variant": set(TYPES),
    "array": {"array", "variant"},
    "map": {"map", "variant"},
    "row": {"row", "variant"},
    "geometry": {"geometry", "variant"},
}
PAIRS = [
    (source, target, to_kind in LEGAL[from_kind])
    for from_kind, to_kind in itertools.product(TYPES, TYPES)
    for source, target in itertools.product(TYPES[from_kind], TYPES[to_kind])
]
SOURCES = [source for sources in TYPES.values() for source in sources]


def _columns() -> tuple[str, dict[str, str]]:
    """The declaration of a table with a column of each type, and the expression of each type over it: tables have no
    intervals, so these are cast from text."""
    declared, expressions = [], {}
    for number, source in enumerate(SOURCES):
        name = f"c{number}"
        declared.append(f"{name} {'VARCHAR' if source.startswith('INTERVAL') else source}")
        expressions[source] = f"CAST({name} AS {source})" if source.startswith("INTERVAL") else name
    return f"CREATE TABLE t ({', '.join(declared)});\n", expressions


TABLE, VALUES = _columns()
#: A SAFE_CAST to a row must not change anything.
UNSAFE = {("SAFE_CAST", "VARIANT", target) for target in TYPES["row"]}


def test_every_legal_cast_is_typed_as_asked_and_takes_null_to_null() -> None:
    """One view with a column for each cast, over a row of NULLs. A VARIANT holds NULL as a value."""
    casts = [
        (function, source, target)
        for source, target, legal in PAIRS
        for function in ("CAST", "SAFE_CAST")
        if legal and (function, source, target) not in UNSAFE
    ]
    items = [f"{f}({VALUES[source]} AS {target}) AS x{i}" for i, (f, source, target) in enumerate(casts)]
    tests = [
        f"TYPEOF(x{i}) IN ('NULL', 'VARIANT')" if target == "VARIANT" and source != "VARIANT" else f"x{i} IS NULL"
        for i, (_, source, target) in enumerate(casts)
    ]
    text = (
        f"{TABLE}CREATE LOCAL VIEW v AS SELECT {', '.join(items)} FROM t;\n"
        f"CREATE VIEW w AS SELECT {', '.join(f'{test} AS x{i}' for i, test in enumerate(tests))} FROM v;"
    )
    result = compile_program(text, materialize_all=True)
    assert result.program is not None, [m.message for m in result.messages if not m.warning]
    (view,) = (v for v in result.program.views if v.name == "v")
    wrong = [
        (cast, column.type.sql())
        for cast, column in zip(casts, view.schema, strict=True)
        if not column.type.nullable or not column.type.sql().startswith(cast[2].partition("(")[0])
    ]
    assert not wrong
    circuit = Circuit(result.program)
    columns = tuple(pa.nulls(1, arrow_type(column.type)) for column in result.program.tables[0].columns)
    circuit.step({"t": [ChangeBatch(columns, 1)]})
    (row,) = circuit.snapshot().table("w").to_pylist()
    assert [cast for cast, value in zip(casts, row.values(), strict=True) if value is not True] == []


def test_every_other_cast_is_refused_with_its_types() -> None:
    """One view for each cast, so that each has its own error."""
    casts = [
        (function, source, target)
        for source, target, legal in PAIRS
        for function in ("CAST", "SAFE_CAST")
        if not legal or (function, source, target) in UNSAFE
    ]
    views = [
        f"CREATE VIEW v{i} AS SELECT {f}({VALUES[source]} AS {target}) IS NULL AS x FROM t;"
        for i, (f, source, target) in enumerate(casts)
    ]
    result = compile_program(TABLE + "\n".join(views))
    errors = {m.span.start_line - 2: m for m in result.messages if not m.warning}
    assert [cast for i, cast in enumerate(casts) if i not in errors] == []
    for i, (function, source, target) in enumerate(casts):
        message = errors[i].message.lower().partition(": ")[2]
        assert message in _refusals(function, source, target), (function, source, target, message)


def _refusals(function: str, source: str, target: str) -> tuple[str, str]:
    """The two texts: for what has no conversion, and for collections next to scalars."""
    a, b = (text.replace("(a INTEGER, b VARCHAR)", "(INTEGER a, VARCHAR b)") for text in (source, target))
    short_a, short_b = (text.replace("INTEGER a, VARCHAR b", "INT, VARCHAR") for text in (a, b))
    short_a, short_b = ("INT" if text == "INTEGER" else text for text in (short_a, short_b))
    return (
        f"cast function cannot convert value of type {a} to type {b}".lower(),
        f"{function} cannot be used to convert {short_a} to {short_b}".lower(),
    )
