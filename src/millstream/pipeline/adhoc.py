"""Ad-hoc queries: DataFusion over a snapshot of the materialized relations (api.md §18, sql.md §17).

A request sees one snapshot, taken between two steps, for all its statements. Only relations whose name occurs in
the text are handed to DataFusion, as Arrow tables without copying where the representation allows. `INSERT` is ours:
its source query runs on the snapshot, and the rows go through the table's input queue like any other input. The JSON
functions are ours, too: json_calls.py and json_functions.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pyarrow as pa

from millstream.circuit.snapshot import CircuitSnapshot
from millstream.errors import MillstreamError
from millstream.pipeline.json_calls import rewrite_json_calls
from millstream.pipeline.json_functions import register_json_functions
from millstream.pipeline.publish import publish_table, publish_type
from millstream.plan.program import ERROR_VIEW, Program, Table
from millstream.sql.identifiers import canonical_name
from millstream.types import arrow_type

_PIECES = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | ; | [^'";/-]+ | [/-]""", re.VERBOSE | re.DOTALL
)
_INSERT = re.compile(
    r"""\s*INSERT\s+INTO\s+(?P<table>"(?:[^"]|"")+"|[\w$]+)\s*(?:\((?P<columns>[^()]*)\))?\s*(?P<source>.+)""",
    re.IGNORECASE | re.DOTALL,
)
_STARTS_A_QUERY = re.compile(r"\s*(SELECT|WITH|VALUES|EXPLAIN|EXECUTE|PREPARE|INSERT|SHOW|DESCRIBE|\()", re.IGNORECASE)
_MISSING_TABLE = re.compile(r"table '(?:[^'.]*\.)*([^']+)' not found")

Insert = Callable[[Table, pa.Table], int]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The rows of a request's last statement: their schema, and batches as they are computed. Iterating raises
    MillstreamError when evaluation fails."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def datafusion_module() -> ModuleType:
    """DataFusion, imported on first use: it takes longer to load than a pipeline takes to start."""
    import datafusion

    module: ModuleType = datafusion
    return module


def query_error(message: str) -> MillstreamError:
    """400 `AdHocQueryError`."""
    text = message.strip()
    return MillstreamError("AdHocQueryError", f"Error executing the query: {text}", {"error": text}, 400)


def split_statements(text: str) -> list[str]:
    """The statements of `text`, without comments and empty ones; quotes and comments hide semicolons."""
    statements, current = [], ""
    for piece in _PIECES.findall(text):
        if piece == ";":
            statements.append(current)
            current = ""
        elif piece.startswith(("--", "/*")):
            current += " "
        else:
            current += piece
    return [s.strip() for s in [*statements, current] if s.strip()]


class AdhocEngine:
    """Runs the ad-hoc queries of one pipeline. Methods block and are called from worker threads; each request has a
    session of its own."""

    def __init__(self, program: Program, insert: Insert) -> None:
        self._program = program
        self._insert = insert
        self._relations = {ERROR_VIEW: program.keeps_errors, **{t.name: t.queryable for t in program.tables}}
        self._relations.update({v.name: v.materialized for v in program.views if not v.local})

    def execute(self, text: str, snapshot: CircuitSnapshot) -> QueryResult:
        """Run every statement of `text`; the rows are those of the last.

        Raises `AdHocQueryError` for anything wrong before the first row.
        """
        statements = split_statements(text)
        if not statements:
            raise query_error("the query is empty")
        for statement in statements:
            if not _STARTS_A_QUERY.match(statement):
                verb = statement.split(None, 1)[0]
                raise query_error(f"'{verb}' statements are not supported: only SELECT, VALUES, EXPLAIN, PREPARE, "
                                  "EXECUTE and INSERT INTO are")  # fmt: skip
        datafusion = datafusion_module()
        context = datafusion.SessionContext()
        register_json_functions(context, datafusion.udf)
        self._register(context, text, snapshot)
        for statement in statements[:-1]:
            for _ in self._run(context, statement).batches:
                pass
        return self._run(context, statements[-1])

    def _register(self, context: Any, text: str, snapshot: CircuitSnapshot) -> None:
        folded = text.lower()
        for name, queryable in self._relations.items():
            if queryable and name.lower() in folded:
                table = publish_table(snapshot.table(name))
                batches = table.combine_chunks().to_batches() or [
                    pa.RecordBatch.from_arrays([pa.array([], f.type) for f in table.schema], schema=table.schema)
                ]
                context.register_record_batches('"' + name.replace('"', '""') + '"', [batches])

    def _run(self, context: Any, statement: str) -> QueryResult:
        insert = _INSERT.match(statement)
        if insert:
            return self._run_insert(context, insert)
        try:
            frame = context.sql(rewrite_json_calls(statement))
            schema = frame.schema()
            stream = frame.execute_stream()
        except Exception as failure:  # noqa: BLE001 - DataFusion raises bare Exceptions
            raise self._explain(str(failure)) from None
        return QueryResult(schema, _batches(stream, schema))

    def _explain(self, message: str) -> MillstreamError:
        missing = _MISSING_TABLE.search(message)
        if missing and self._relations.get(missing.group(1)) is False:
            name = missing.group(1)
            return query_error(
                f"Tried to SELECT from a non-materialized source: '{name}' is not materialized. Declare it as a "
                "MATERIALIZED VIEW, or as a table WITH ('materialized' = 'true') or with a PRIMARY KEY"
            )
        return query_error(message)

    def _run_insert(self, context: Any, match: re.Match[str]) -> QueryResult:
        name = canonical_name(match["table"])
        table = None if name is None else self._program.table(name)
        if table is None:
            raise query_error(f"table '{match['table']}' not found: INSERT needs a table of the program")
        names = [c.name for c in table.columns]
        targets = names
        if match["columns"] is not None:
            targets = [canonical_name(c.strip()) or c.strip() for c in match["columns"].split(",")]
            unknown = [c for c in targets if c not in names]
            if unknown:
                raise query_error(f"column '{unknown[0]}' not found in table '{table.name}'")
        source = self._run(context, match["source"])
        rows = pa.Table.from_batches(list(source.batches), source.schema)
        if rows.num_columns != len(targets):
            raise query_error(
                f"INSERT INTO {table.name} has {len(targets)} target columns but {rows.num_columns} values a row"
            )
        inserted = self._insert(table, _fit(table, targets, rows))
        result = pa.table({"count": pa.array([inserted], pa.uint64())})
        return QueryResult(result.schema, iter(result.to_batches()))


def _fit(table: Table, targets: list[str], rows: pa.Table) -> pa.Table:
    """`rows` as columns of `table` in declaration order; columns that are not targets are left out."""
    arrays, fields = [], []
    for column in table.columns:
        if column.name not in targets:
            continue
        values = rows.column(targets.index(column.name))
        published = publish_type(arrow_type(column.type))
        try:
            cast = values.cast(published)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as failure:
            raise query_error(
                f"column '{column.name}' of table '{table.name}' has type {column.type}: {failure}"
            ) from None
        if not column.type.nullable and cast.null_count:
            raise query_error(f"column '{column.name}' of table '{table.name}' is NOT NULL, but a row has NULL there")
        arrays.append(cast)
        fields.append(pa.field(column.name, published))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _batches(stream: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches, under the schema that the plan has: those of constants are narrower in what may be NULL."""
    try:
        for batch in stream:
            columns = batch.to_pyarrow().columns
            typed = [c if c.type == f.type else c.cast(f.type) for c, f in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(typed, schema=schema)
    except Exception as failure:  # noqa: BLE001 - DataFusion raises bare Exceptions
        raise query_error(str(failure)) from None
