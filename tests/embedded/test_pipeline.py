"""`millstream.Pipeline`: pushing every kind of rows, stepping, reading, connectors, and the mistakes users make."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import millstream
from millstream import MillstreamError, Pipeline
from tests.integration.rest import wait_for

ORDERS = """
CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, customer VARCHAR, amount DECIMAL(10, 2) DEFAULT 1.5);
CREATE VIEW spending AS SELECT customer, SUM(amount) AS total, COUNT(*) AS n FROM orders GROUP BY customer;
"""
LOG = """
CREATE TABLE words (word VARCHAR, n BIGINT);
CREATE VIEW counts AS SELECT word, SUM(n) AS n FROM words GROUP BY word;
CREATE LOCAL VIEW hidden AS SELECT * FROM words;
"""


def contents(pipeline: Pipeline, relation: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.values()) for row in pipeline.snapshot(relation, "dicts")), key=repr)


def test_pushed_rows_show_after_the_step_and_changes_have_weights() -> None:
    with Pipeline(ORDERS) as pipeline:
        assert pipeline.push("orders", [{"id": 1, "customer": "ada", "amount": 10}, {"id": 2, "customer": "bob"}]) == 2
        assert contents(pipeline, "spending") == []
        assert pipeline.step() == 2
        # A column that one dict leaves out is NULL when another dict gives it.
        assert contents(pipeline, "spending") == [("ada", Decimal("10.00"), 1), ("bob", None, 1)]
        pipeline.push("orders", {"id": 2, "customer": "ada", "amount": Decimal("2.50")})
        pipeline.step()
        changes = pipeline.changes("spending", "dicts")
        assert sorted((c["customer"], c["total"], c["__weight"]) for c in changes if c["total"] is not None) == [
            ("ada", Decimal("10.00"), -1),
            ("ada", Decimal("12.50"), 1),
        ]
        assert [c["customer"] for c in changes if c["total"] is None] == ["bob"]


def test_columns_left_out_by_all_rows_take_their_default() -> None:
    with Pipeline(ORDERS) as pipeline:
        pipeline.push("orders", [{"id": 1}])
        pipeline.step()
        assert contents(pipeline, "orders") == [(1, None, Decimal("1.50"))]


def test_rows_are_deleted_by_key() -> None:
    with Pipeline(ORDERS) as pipeline:
        pipeline.push("orders", [{"id": i, "customer": "c", "amount": i} for i in range(5)])
        pipeline.step()
        pipeline.push("orders", [{"id": 1}, {"id": 4}], delete=True)
        pipeline.step()
        assert contents(pipeline, "spending") == [("c", Decimal("5.00"), 3)]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda columns: pa.table(columns), id="arrow table"),
        pytest.param(lambda columns: pa.RecordBatch.from_pydict(columns), id="arrow batch"),
        pytest.param(lambda columns: pd.DataFrame(columns), id="pandas"),
        pytest.param(lambda columns: pl.DataFrame(columns), id="polars"),
    ],
)
def test_every_kind_of_frame_is_read(make: Any) -> None:
    with Pipeline(LOG) as pipeline:
        assert pipeline.push("WORDS", make({"word": ["a", "b", "a", None], "n": [1, 2, 3, 4]})) == 4
        pipeline.push("words", make({"N": [1], "WORD": ["a"]}), delete=True)
        pipeline.step()
        assert contents(pipeline, "counts") == [("a", 3), ("b", 2), (None, 4)]


def test_snapshots_come_as_frames() -> None:
    with Pipeline(LOG) as pipeline:
        pipeline.push("words", [{"word": "a", "n": 1}])
        pipeline.step()
        assert pipeline.snapshot("counts").to_pylist() == [{"word": "a", "n": 1}]
        assert pipeline.snapshot("counts", "pandas").to_dict("records") == [{"word": "a", "n": 1}]
        assert pipeline.snapshot("counts", "polars").to_dicts() == [{"word": "a", "n": 1}]
        with pytest.raises(MillstreamError, match="unknown format 'csv'"):
            pipeline.snapshot("counts", "csv")  # type: ignore[arg-type]


def test_queries_see_tables_and_views() -> None:
    with Pipeline(LOG) as pipeline:
        pipeline.push("words", [{"word": w, "n": 1} for w in "aab"])
        pipeline.step()
        assert pipeline.query("SELECT word FROM counts WHERE n > 1", "dicts") == [{"word": "a"}]
        assert pipeline.query("SELECT COUNT(*) AS n FROM words", "dicts") == [{"n": 3}]
        pipeline.query("INSERT INTO words VALUES ('c', 7)")
        assert ("c", 7) in contents(pipeline, "counts")


def test_listeners_get_every_change() -> None:
    seen: list[list[dict[str, Any]]] = []
    with Pipeline(LOG) as pipeline:
        end = pipeline.listen("counts", lambda changes: seen.append(changes.to_pylist()))
        pipeline.push("words", [{"word": "a", "n": 1}])
        pipeline.step()
        pipeline.step()
        assert seen == [[{"word": "a", "n": 1, "__weight": 1}]]
        end()
        pipeline.push("words", [{"word": "a", "n": 1}])
        pipeline.step()
        assert len(seen) == 1


def files_program(tmp_path: Path) -> str:
    for name, values in (("first", range(1000)), ("second", range(1000, 1500))):
        (tmp_path / f"{name}.csv").write_text("".join(f"{v}\n" for v in values))
    connectors = ",".join(
        f'{{"name": "{name}", "paused": {paused}, "transport": {{"name": "file_input", '
        f'"config": {{"path": "{tmp_path / name}.csv"}}}}, "format": {{"name": "csv"}}}}'
        for name, paused in (("first", "false"), ("second", "true"))
    )
    return f"""
    CREATE TABLE numbers (n BIGINT) WITH ('connectors' = '[{connectors}]');
    CREATE VIEW total AS SELECT COUNT(*) AS n, SUM(n) AS s FROM numbers;
    """


def test_connectors_are_started_and_paused_on_their_own(tmp_path: Path) -> None:
    with Pipeline(files_program(tmp_path)) as pipeline:
        first, second = pipeline.connectors
        assert (first.name, first.paused, second.paused) == ("numbers.first", False, True)
        assert first.stats()["metrics"]["total_records"] == 0, "nothing is read before start"
        pipeline.start()
        wait_for("the first file", lambda: contents(pipeline, "total") == [(1000, 499500)])
        assert not pipeline.wait_for_completion(0.1), "a paused connector is not at its end"
        assert second.stats()["metrics"]["total_records"] == 0
        pipeline.connector("second").start()
        assert pipeline.wait_for_completion(20)
        assert contents(pipeline, "total") == [(1500, 1124250)]


def test_a_paused_pipeline_reads_nothing_until_it_is_started_again(tmp_path: Path) -> None:
    with Pipeline(files_program(tmp_path)) as pipeline:
        pipeline.start()
        pipeline.pause()
        pipeline.connector("numbers.second").start()
        assert pipeline.connector("second").stats()["metrics"]["total_records"] == 0
        pipeline.start()
        assert pipeline.wait_for_completion(20)
        assert contents(pipeline, "total") == [(1500, 1124250)]


def test_rows_can_be_pushed_while_steps_run_in_the_background() -> None:
    with Pipeline(LOG) as pipeline:
        pipeline.start()
        threads = [
            threading.Thread(target=lambda: [pipeline.push("words", [{"word": "w", "n": 1}]) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert pipeline.wait_for_completion(20)
        assert contents(pipeline, "counts") == [("w", 200)]
        with pytest.raises(MillstreamError, match="use `listen`"):
            pipeline.changes("counts")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": 1, "cust": "x"}], "table 'orders' has no column 'cust'; its columns are id, customer, amount"),
        ([{"customer": "x"}], "column 'id' of table 'orders' is NOT NULL and has no DEFAULT"),
        ([{"id": None}], "column 'id' of table 'orders' is NOT NULL, but a row has NULL there"),
        ([{"id": 2**40}], "column 'id' of table 'orders' has type INTEGER"),
        ([{"id": "one"}], "column 'id' of table 'orders' has type INTEGER"),
        ([{"id": 1, "amount": 10**12}], "column 'amount' of table 'orders' has type DECIMAL"),
        ([[1, 2]], "row 0 is not a dict but list"),
        (17, "cannot read rows from int"),
    ],
)
def test_bad_rows_are_refused_and_change_nothing(rows: Any, message: str) -> None:
    with Pipeline(ORDERS) as pipeline:
        with pytest.raises(MillstreamError) as caught:
            pipeline.push("orders", rows)
        assert caught.value.error_code == "InvalidInput"
        assert message in caught.value.message
        pipeline.step()
        assert contents(pipeline, "orders") == []


def test_nothing_is_deleted_from_an_append_only_table() -> None:
    sql = "CREATE TABLE t (a INT) WITH ('append_only' = 'true'); CREATE VIEW v AS SELECT a FROM t;"
    with Pipeline(sql) as pipeline:
        pipeline.push("t", [{"a": 1}])
        with pytest.raises(MillstreamError, match="table 't' is append-only"):
            pipeline.push("t", [{"a": 1}], delete=True)
        pipeline.step()
        assert contents(pipeline, "v") == [(1,)]


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with Pipeline(LOG) as pipeline:
        with pytest.raises(MillstreamError, match="there is no table 'logs'; the tables are: words"):
            pipeline.push("logs", [])
        with pytest.raises(MillstreamError, match="there is no table or view 'hidden'"):
            pipeline.snapshot("hidden")
        with pytest.raises(MillstreamError, match="there is no input connector 'c'; the input connectors are: none"):
            pipeline.connector("c")


def test_a_program_that_does_not_compile_says_where() -> None:
    with pytest.raises(MillstreamError) as caught:
        Pipeline("CREATE TABLE t (a INT);\nCREATE VIEW v AS SELECT b FROM t;")
    assert caught.value.error_code == "ProgramError"
    assert "SELECT b FROM t" in caught.value.message
    assert caught.value.details["messages"][0]["start_line_number"] == 2


def test_a_run_time_error_ends_the_pipeline_and_is_kept() -> None:
    with Pipeline("CREATE TABLE t (a INT); CREATE VIEW v AS SELECT 1 / a AS x FROM t;") as pipeline:
        pipeline.push("t", [{"a": 0}])
        with pytest.raises(millstream.EvaluationError, match="causes overflow"):
            pipeline.step()
        assert isinstance(pipeline.error, MillstreamError)
        with pytest.raises(MillstreamError):
            pipeline.push("t", [{"a": 1}])


def test_variant_columns_take_any_json() -> None:
    with Pipeline("CREATE TABLE t (v VARIANT); CREATE VIEW w AS SELECT v FROM t;") as pipeline:
        pipeline.push("t", [{"v": {"b": [1, "x"], "a": None}}, {"v": "text"}, {"v": None}])
        pipeline.step()
        assert contents(pipeline, "w") == [('"text"',), ('{"a":null,"b":[1,"x"]}',), (None,)]


def test_equal_json_is_one_variant_however_it_is_spelt() -> None:
    program = """CREATE TABLE t (v VARIANT);
        CREATE MATERIALIZED VIEW w AS SELECT v, TYPEOF(v) AS type, COUNT(*) AS n FROM t GROUP BY v;"""
    with Pipeline(program) as pipeline:
        pipeline.push("t", [{"v": {"b": 1, "a": 2.50}}, {"v": 1.0}])
        pipeline.push("t", pa.table({"v": ['{"a": 2.5,"b":1}', "1.00"]}))
        pipeline.step()
        assert sorted(contents(pipeline, "w")) == [("1", "DECIMAL", 2), ('{"a":2.5,"b":1}', "MAP", 2)]
        with pytest.raises(MillstreamError, match="no JSON: 'nonsense'"):
            pipeline.push("t", pa.table({"v": ["nonsense"]}))


def test_late_rows_and_final_rows_of_a_program_in_a_notebook() -> None:
    sql = """
        CREATE TABLE t (id INT, ts BIGINT LATENESS 5);
        CREATE VIEW counts WITH ('emit_final' = 'b') AS SELECT ts / 10 AS b, COUNT(*) AS n FROM t GROUP BY ts / 10;
    """
    with Pipeline(sql) as pipeline:
        pipeline.push("t", [{"id": 1, "ts": 1}, {"id": 2, "ts": 12}])
        pipeline.step()
        assert contents(pipeline, "counts") == []
        pipeline.push("t", [{"id": 3, "ts": 6}, {"id": 4, "ts": 7}, {"id": 5, "ts": 15}])
        pipeline.step()
        assert contents(pipeline, "counts") == [(0, 2)]
        assert pipeline.changes("counts").to_pylist() == [{"b": 0, "n": 2, "__weight": 1}]
        (late,) = pipeline.changes("error_view").to_pylist()
        assert (late["table_or_view_name"], late["metadata"]) == ("t", '{"id":3,"ts":6}')
        assert pipeline.snapshot("error_view").num_rows == 1
        assert pipeline.query("SELECT COUNT(*) AS n FROM error_view").to_pylist() == [{"n": 1}]
