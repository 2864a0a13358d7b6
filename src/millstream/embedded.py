"""`millstream.Pipeline`: the engine inside a program or notebook, without a server.

The same controller as in a pipeline process, with two ways to drive it. At first nothing moves by itself: `push` queues
changes, `step` computes what follows from them. After `start`, connectors read and steps run in the background as
input arrives; `pause` holds the connectors, and each connector is started and paused on its own.
Contents are kept for every table and view, so all of them can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from millstream.errors import MillstreamError
from millstream.pipeline import precompile
from millstream.pipeline.adhoc import AdhocEngine
from millstream.pipeline.controller import Controller
from millstream.pipeline.frames import FrameFormat, from_arrow, to_arrow
from millstream.pipeline.publish import publish_table
from millstream.pipeline.rows import changes_from_table, invalid
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.plan.program import ERROR_VIEW, ERROR_VIEW_SCHEMA, Program, Table, View
from millstream.sql.compile import compile_program
from millstream.sql.identifiers import canonical_name
from millstream.types import arrow_schema
from millstream.types.variant import untagged
from millstream.udf.library import LABEL, NO_LIBRARY, Library, SourceError, library_of, load_source
from millstream.zset.changes import Operation
from millstream.zset.delta import Delta

WEIGHT_COLUMN = "__weight"

Udf = str | PathLike[str] | Mapping[str, Any]
"""Code of user-defined functions: source text, the path of a file, or functions by name."""


class Pipeline:
    """A SQL program, compiled, opened and ready to be fed. Methods may be called from any thread.

    `udf`: the Python code of functions and aggregates that the program declares without an SQL body: source text, the
    path of a file (a str without line breaks that ends in `.py` is one), or the functions themselves by name; see
    docs/udf.md. `workers`: how many threads compute a step, no more than processors (None: one, unless
    `runtime_config` says otherwise); results do not depend on it. `runtime_config`: as in the REST API.
    Raises MillstreamError `ProgramError` with the compiler's messages, or what is wrong with a connector's
    configuration. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        sql: str,
        *,
        udf: Udf | None = None,
        workers: int | None = None,
        runtime_config: dict[str, Any] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        precompile.start()
        self.program = _compiled(sql, _library(udf))
        if workers is not None:
            runtime_config = {**(runtime_config or {}), "workers": workers}
        config = RuntimeConfig.from_json(runtime_config)
        if workers is not None:
            config = replace(config, circuit_workers=workers)  # whoever says 8 here means it
        self._controller = Controller(self.program, config, manual_stepping=True, log=log)
        self._adhoc = AdhocEngine(self.program, self._insert)
        self._last: dict[str, Delta] = {}
        self._stepped_by_hand = True
        self._controller.start("paused")

    # ---- feeding and stepping -------------------------------------------------------------------------------------

    def push(self, table: str, rows: Any, *, delete: bool = False) -> int:
        """Queue rows for insertion into a table, or with `delete` for deletion; returns their number.

        `rows`: a list of dicts (or one dict), a pandas or polars DataFrame, an Arrow table or batch. Columns are
        matched by name; those left out take their DEFAULT or NULL. In a table with a PRIMARY KEY an insertion replaces
        the row of the same key, and a deletion needs the key columns only. Raises MillstreamError `InvalidInput`.
        """
        target = self._table(table)
        if delete and target.append_only and not target.primary_key:
            raise invalid(f"table '{target.name}' is append-only: rows cannot be deleted from it")
        arrow = to_arrow(target, rows)
        operations = np.full(arrow.num_rows, Operation.DELETE, np.int8) if delete else None
        by_key = delete and bool(target.primary_key)
        self._controller.push(target.name, changes_from_table(target, arrow, operations, deletes_by_key=by_key))
        return arrow.num_rows

    def step(self) -> int:
        """Bring all views up to date with what is queued; returns the number of rows that were taken in.

        Connectors contribute what they have queued, up to their `max_batch_size`. Raises the run-time error (overflow,
        failed cast, ...) that a view met; the pipeline has ended then.
        """
        result = self._controller.step()
        if result is None:
            return 0
        self._last = dict(result.deltas) if self._stepped_by_hand else {}
        return result.num_input_rows

    def changes(self, relation: str, format: FrameFormat = "arrow") -> Any:
        """What the last `step` changed in a view or table: its columns and `__weight`, the number of times that the
        row was inserted (positive) or deleted (negative). Not while steps run in the background: use `listen`."""
        name = self._relation(relation)
        if not self._stepped_by_hand:
            error = "steps run in the background since `start`: use `listen` to receive every change"
            raise MillstreamError("InvalidParam", error, {"error": error})
        return from_arrow(self._weighted(name, self._last.get(name)), format)

    def listen(self, relation: str, callback: Callable[[pa.Table], object]) -> Callable[[], None]:
        """Call `callback(changes)` after every step that changes the relation, with an Arrow table like that of
        `changes`, in the thread that runs the step. The result, when called, ends it."""
        name = self._relation(relation)

        def listener(_step: int, delta: Delta) -> None:
            callback(self._weighted(name, delta))

        return self._controller.listen(name, listener)

    # ---- reading --------------------------------------------------------------------------------------------------

    def snapshot(self, relation: str, format: FrameFormat = "arrow") -> Any:
        """The present contents of a view or table, as an Arrow table, `pandas` or `polars` DataFrame, or `dicts`.
        A consistent state after some whole step, also while steps run."""
        name = self._relation(relation)
        return from_arrow(publish_table(self._controller.snapshot().table(name)), format)

    def query(self, sql: str, format: FrameFormat = "arrow") -> Any:
        """The result of an ad-hoc query over the present contents (DataFusion's SQL)."""
        result = self._adhoc.execute(sql, self._controller.snapshot())
        return from_arrow(pa.Table.from_batches(list(result.batches), result.schema), format)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(table.name for table in self.program.tables)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that are not LOCAL."""
        return tuple(view.name for view in self.program.views if not view.local)

    # ---- running in the background ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Let connectors read (those that are not paused themselves) and steps run as input arrives. Idempotent."""
        self._stepped_by_hand = False
        self._last = {}
        self._controller.run_steps()
        self._controller.resume()

    def pause(self) -> None:
        """Stop all connectors where they are; what they have queued is still processed. `start` resumes."""
        self._controller.pause()

    def connector(self, name: str) -> Connector:
        """The input connector `table.connector`, or just `connector` where that is unique."""
        names = [full for table in self.program.tables for full in table.connectors]
        found = [full for full in names if name in (full, full.partition(".")[2])]
        if len(found) == 1:
            return Connector(self._controller, found[0])
        known = ", ".join(names) or "none"
        what = f"'{name}' could be {' or '.join(found)}" if found else f"there is no input connector '{name}'"
        raise MillstreamError(
            "UnknownInputEndpoint", f"{what}; the input connectors are: {known}", {"endpoint_name": name}, 404
        )

    @property
    def connectors(self) -> tuple[Connector, ...]:
        """All input connectors, in declaration order."""
        return tuple(Connector(self._controller, key) for table in self.program.tables for key in table.connectors)

    def wait_for_completion(self, timeout: float | None = None) -> bool:
        """Wait until every connector has reached the end of its input and all effects are visible; False if `timeout`
        seconds passed before. Raises the run-time error that ended the pipeline."""
        controller = self._controller
        done = controller.wait_for(
            lambda: controller.state == "Terminated" or controller.snapshot_stats().global_metrics.pipeline_complete,
            timeout,
        )
        if controller.error is not None:
            raise controller.error
        return done

    def stats(self) -> dict[str, Any]:
        """Statistics as `GET /stats` gives them, connector errors included."""
        return self._controller.stats(include_connector_errors=True)

    @property
    def error(self) -> MillstreamError | None:
        """The run-time error that ended the pipeline; None while it is well."""
        return self._controller.error

    def close(self) -> None:
        """Stop reading and stepping, let outputs deliver what they have, release everything. Idempotent."""
        self._controller.stop()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- names ------------------------------------------------------------------------------------------------------

    def _table(self, name: str) -> Table:
        table = self.program.table(_canonical(name))
        if table is None:
            known = ", ".join(self.tables) or "none"
            raise MillstreamError(
                "UnknownRelation", f"there is no table '{name}'; the tables are: {known}", {"relation": name}, 404
            )
        return table

    def _relation(self, name: str) -> str:
        canonical = _canonical(name)
        if canonical not in self.tables and canonical not in self.views and canonical != ERROR_VIEW:
            known = ", ".join((*self.tables, *self.views)) or "none"
            raise MillstreamError(
                "UnknownRelation",
                f"there is no table or view '{name}'; there are: {known}",
                {"relation": name},
                404,
            )
        return canonical

    def _weighted(self, name: str, delta: Delta | None) -> pa.Table:
        relation: Table | View | None = self.program.table(name) or self.program.view(name)
        declared = ERROR_VIEW_SCHEMA if relation is None else relation.schema
        columns = [(column.name, column.type) for column in declared]
        schema = arrow_schema(columns)
        if delta is None:
            delta = Delta.empty(schema.types)
        data = [untagged(values, sql_type) for values, (_, sql_type) in zip(delta.columns, columns, strict=True)]
        rows = publish_table(pa.Table.from_arrays(data, schema=schema))
        return rows.append_column(WEIGHT_COLUMN, pa.array(delta.weights, pa.int64()))

    def _insert(self, table: Table, rows: pa.Table) -> int:
        """An ad-hoc INSERT: done when the rows show in the views."""
        controller = self._controller
        controller.push(table.name, changes_from_table(table, rows))
        if self._stepped_by_hand:
            self.step()
        else:
            token = controller.completion_token(f"{table.name}.push")
            controller.wait_for(
                lambda: controller.error is not None or controller.completion_status(token)["status"] == "complete"
            )
        if controller.error is not None:
            raise controller.error
        return rows.num_rows


class Connector:
    """One input connector of a pipeline. It reads while the pipeline is started *and* it is started itself."""

    def __init__(self, controller: Controller, name: str) -> None:
        self.name = name
        self._controller = controller

    def start(self) -> None:
        """Clear its pause flag. Idempotent."""
        self._controller.start_connector(self.name)

    def pause(self) -> None:
        """Set its pause flag: it stops reading at once and keeps its position. Idempotent."""
        self._controller.pause_connector(self.name)

    @property
    def paused(self) -> bool:
        """Its pause flag."""
        return bool(self.stats()["paused"])

    def stats(self) -> dict[str, Any]:
        """Its element of `inputs[]` in the statistics."""
        return self._controller.input_stats(self.name)

    def __repr__(self) -> str:
        return f"Connector({self.name!r}, paused={self.paused})"


def _canonical(name: str) -> str:
    return canonical_name(name) or name


def _library(udf: Udf | None) -> Library:
    if udf is None:
        return NO_LIBRARY
    if isinstance(udf, Mapping):
        return library_of(udf)
    label = LABEL
    if isinstance(udf, PathLike) or (udf.endswith(".py") and "\n" not in udf):
        path = Path(udf)
        label = path.name
        try:
            udf = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as failure:
            raise MillstreamError("ProgramError", f"cannot read '{path}': {failure}") from None
    try:
        return load_source(udf, label)
    except SourceError as error:
        text = f"{error.message}\n{error.snippet or ''}".rstrip()
        raise MillstreamError("ProgramError", f"the program does not compile:\n{text}") from None


def _compiled(sql: str, udf: Library) -> Program:
    result = compile_program(sql, True, udf)
    if result.program is None:
        messages = [message for message in result.messages if not message.warning]
        text = "\n".join(f"{m.message}\n{m.snippet or ''}".rstrip() for m in messages)
        raise MillstreamError(
            "ProgramError",
            f"the program does not compile:\n{text}",
            {"messages": [message.to_json() for message in result.messages]},
        )
    return result.program
