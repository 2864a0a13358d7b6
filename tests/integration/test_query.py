"""Ad-hoc queries over HTTP: every format, every type, every kind of statement (api.md §18.1, sql.md §14.1, §17)."""

from __future__ import annotations

import datetime
import decimal
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.rest import Rest, wait_for

#: SQL type -> JSON value, published Arrow type, Python value.
TYPES: dict[str, tuple[Any, pa.DataType, Any]] = {
    "BOOLEAN": (True, pa.bool_(), True),
    "TINYINT": (-128, pa.int8(), -128),
    "SMALLINT": (-32768, pa.int16(), -32768),
    "INT": (2147483647, pa.int32(), 2147483647),
    "BIGINT": (-9223372036854775808, pa.int64(), -9223372036854775808),
    "TINYINT UNSIGNED": (255, pa.uint8(), 255),
    "SMALLINT UNSIGNED": (65535, pa.uint16(), 65535),
    "INT UNSIGNED": (4294967295, pa.uint32(), 4294967295),
    "BIGINT UNSIGNED": (18446744073709551615, pa.uint64(), 18446744073709551615),
    "REAL": (1.5, pa.float32(), 1.5),
    "DOUBLE": (0.1, pa.float64(), 0.1),
    "DECIMAL(10, 3)": ("-1234567.890", pa.decimal128(10, 3), decimal.Decimal("-1234567.890")),
    "CHAR(3)": ("a b", pa.string(), "a b"),
    "VARCHAR": ("ä ''\n", pa.string(), "ä ''\n"),
    "VARBINARY": ([0, 255, 16], pa.large_binary(), b"\x00\xff\x10"),
    "DATE": ("1969-12-31", pa.date32(), datetime.date(1969, 12, 31)),
    "TIME": ("23:59:59.123456", pa.time64("ns"), datetime.time(23, 59, 59, 123456)),
    "TIMESTAMP": ("1969-12-31 23:59:59.5", pa.timestamp("us"), datetime.datetime(1969, 12, 31, 23, 59, 59, 500000)),
    "UUID": (
        "67e55044-10b1-426f-9247-bb680e5fe0c8", pa.string(), "67e55044-10b1-426f-9247-bb680e5fe0c8",
    ),
    "VARIANT": ({"a": [1, "x", None]}, pa.string(), '{"a":[1,"x",null]}'),
    "INT ARRAY": ([1, None, 3], pa.large_list(pa.field("item", pa.int32())), [1, None, 3]),
    "VARCHAR ARRAY ARRAY": (
        [["a"], [], None], pa.large_list(pa.field("item", pa.large_list(pa.field("item", pa.string())))),
        [["a"], [], None],
    ),
    "MAP<VARCHAR, INT>": ({"a": 1, "b": None}, pa.map_(pa.string(), pa.int32()), [("a", 1), ("b", None)]),
    "ROW(x INT, y VARCHAR)": (
        {"x": 1, "y": "z"}, pa.struct([("x", pa.int32()), ("y", pa.string())]), {"x": 1, "y": "z"},
    ),
}  # fmt: skip
COLUMNS = {f"c{index}": sql_type for index, sql_type in enumerate(TYPES)}
PROGRAM = (
    "CREATE TABLE typed (k INT NOT NULL PRIMARY KEY, "
    + ", ".join(f"{name} {sql_type}" for name, sql_type in COLUMNS.items())
    + """) WITH ('materialized' = 'true');
CREATE TABLE t (n BIGINT NOT NULL PRIMARY KEY, s VARCHAR DEFAULT 'd') WITH ('materialized' = 'true');
CREATE TABLE "Quoted" ("N" BIGINT) WITH ('materialized' = 'true');
CREATE TABLE bare (n BIGINT);
CREATE VIEW hidden AS SELECT n FROM bare;
CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n FROM t;"""
)
PATH = "/pipelines/queried/query"


@pytest.fixture(scope="module")
def ask(rest: Rest) -> Iterator[Any]:
    """Runs a query in a format, against a pipeline with a row of every type, and one of NULLs."""
    rest.create("queried", PROGRAM)
    rest.start("queried")
    rows = [
        {"k": 1, **{name: TYPES[sql_type][0] for name, sql_type in COLUMNS.items()}},
        {"k": 2, **dict.fromkeys(COLUMNS)},
    ]
    body = "\n".join(json.dumps({"insert": row}) for row in rows)
    response = rest.http.post("/pipelines/queried/ingress/typed?format=json", content=body)
    assert response.status_code == 200, response.text
    token = response.json()["token"]
    wait_for("the rows", lambda: rest.completed("queried", token))
    yield lambda sql, form=None: rest.http.get(PATH, params={"sql": sql, **({"format": form} if form else {})})
    rest.remove("queried")


def arrow(response: httpx.Response) -> pa.Table:
    assert (response.status_code, response.headers["content-type"]) == (200, "application/octet-stream")
    return pa.ipc.open_stream(response.content).read_all()


def json_rows(response: httpx.Response) -> list[Any]:
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json"), response.text
    return [json.loads(line) for line in response.text.splitlines()]


@pytest.mark.parametrize("name", COLUMNS, ids=COLUMNS.values())
def test_every_type_comes_out_as_arrow_and_parquet(ask: Any, name: str) -> None:
    _, published, value = TYPES[COLUMNS[name]]
    sql = f"SELECT {name} FROM typed ORDER BY k"
    table = arrow(ask(sql, "arrow_ipc"))
    assert table.schema.field(name).type == published
    assert table.column(name).to_pylist() == [value, None]
    parquet = ask(sql, "parquet")
    assert re.fullmatch(r'attachment; filename="results_\d{8}_\d{6}.parquet"', parquet.headers["content-disposition"])
    assert pq.read_table(pa.BufferReader(parquet.content)).column(name).to_pylist() == [value, None]


@pytest.mark.parametrize("name", COLUMNS, ids=COLUMNS.values())
def test_every_type_goes_in_by_insert(ask: Any, name: str) -> None:
    """Rows that a query gives can be inserted again: nothing changes on the way."""
    before = arrow(ask(f"SELECT {name} FROM typed WHERE k = 1", "arrow_ipc"))
    key = 100 + int(name[1:])
    assert json_rows(ask(f"INSERT INTO typed (k, {name}) SELECT {key}, {name} FROM typed WHERE k = 1", "json")) == [
        {"count": 1}
    ]
    assert arrow(ask(f"SELECT {name} FROM typed WHERE k = {key}", "arrow_ipc")) == before


def test_text_is_a_table(ask: Any) -> None:
    response = ask("SELECT 1 AS a, 'x' AS b")
    assert (response.headers["content-type"], response.text) == (
        "text/plain",
        "+---+---+\n| a | b |\n+---+---+\n| 1 | x |\n+---+---+\n",
    )
    assert ask("SELECT repeat('x', 65) AS s").text.count("x") == 64
    assert "..." in ask("SELECT repeat('x', 65) AS s").text
    assert ask("SELECT n FROM t WHERE false").status_code == 200


def test_json_keeps_nulls_and_has_no_nan(ask: Any) -> None:
    sql = "SELECT NULL AS a, CAST('NaN' AS DOUBLE) AS b, CAST('Infinity' AS DOUBLE) AS c, 1.5 AS d"
    assert json_rows(ask(sql, "json")) == [{"a": None, "b": None, "c": None, "d": 1.5}]


def test_the_hash_does_not_depend_on_order(ask: Any) -> None:
    up, down = (ask(f"SELECT k FROM typed ORDER BY k {way}", "hash") for way in ("ASC", "DESC"))
    assert up.text == down.text
    assert re.fullmatch("[0-9A-F]{64}", up.text)
    assert ask("SELECT k + 1 AS k FROM typed", "hash").text != up.text


def test_empty_results_keep_their_schema(ask: Any) -> None:
    table = arrow(ask("SELECT n, s FROM t WHERE n < 0", "arrow_ipc"))
    assert (table.num_rows, table.schema.names) == (0, ["n", "s"])
    assert json_rows(ask("SELECT n FROM t WHERE n < 0", "json")) == []


def test_columns_of_equal_names_stay_two(ask: Any) -> None:
    table = arrow(ask("SELECT a.k, b.k FROM typed a JOIN typed b ON a.k = b.k WHERE a.k = 1", "arrow_ipc"))
    assert (table.schema.names, table.num_rows) == (["k", "k"], 1)


def test_insertions(ask: Any) -> None:
    assert json_rows(ask("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "json")) == [{"count": 2}]
    assert json_rows(ask("insert into T (n) select n + 10 from t", "json")) == [{"count": 2}]
    assert json_rows(ask("SELECT * FROM t ORDER BY n", "json")) == [
        {"n": 1, "s": "a"}, {"n": 2, "s": "b"}, {"n": 11, "s": "d"}, {"n": 12, "s": "d"},
    ]  # fmt: skip
    assert json_rows(ask('INSERT INTO "Quoted" VALUES (7)', "json")) == [{"count": 1}]
    assert json_rows(ask('SELECT "N" FROM "Quoted"', "json")) == [{"N": 7}]
    assert json_rows(ask("INSERT INTO bare VALUES (1)", "json")) == [{"count": 1}]  # it need not be materialized
    assert json_rows(ask("SELECT n FROM v", "json")) == [{"n": 4}]
    # All statements of a request see what there was when it came.
    both = json_rows(ask("INSERT INTO t VALUES (99, 'z'); SELECT COUNT(*) AS n FROM t", "json"))
    assert both == [{"n": 4}]
    assert json_rows(ask("SELECT COUNT(*) AS n FROM t", "json")) == [{"n": 5}]


def test_prepared_statements_live_for_a_request(ask: Any) -> None:
    text = "PREPARE p(BIGINT, VARCHAR) AS SELECT $1 + 1 AS a, $2 AS b; EXECUTE p(41, 'x')"
    assert json_rows(ask(text, "json")) == [{"a": 42, "b": "x"}]
    assert json_rows(ask("PREPARE p AS SELECT n FROM v WHERE n > $1; EXECUTE p(-1)", "json"))[0]["n"] >= 0
    assert ask("EXECUTE p(1, 'x')").json()["error_code"] == "AdHocQueryError"


@pytest.mark.parametrize(
    ("sql", "fragment"),
    [
        ("SELECT * FROM hidden", "materialized"),
        ("SELECT * FROM bare", "materialized"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT nothing FROM t", "nothing"),
        ("SELEKT 1", "SELEKT"),
        ("CREATE TABLE x (a INT)", "CREATE"),
        ("DROP TABLE t", "DROP"),
        ("UPDATE t SET n = 1", "UPDATE"),
        ("", "empty"),
        (" ; -- nothing\n", "empty"),
        ("INSERT INTO nowhere VALUES (1)", "nowhere"),
        ("INSERT INTO t VALUES (1, 'a', 2)", "columns"),
        ("INSERT INTO t (nothing) VALUES (1)", "nothing"),
        ("INSERT INTO t VALUES (NULL, 'a')", "NOT NULL"),
        ("INSERT INTO t VALUES ('x', 'a')", "BIGINT"),
    ],
)
def test_what_is_wrong_is_said(ask: Any, sql: str, fragment: str) -> None:
    response = ask(sql, "json")
    assert (response.status_code, response.json()["error_code"]) == (400, "AdHocQueryError")
    assert fragment in response.json()["message"]


def test_failures_while_rows_come(ask: Any) -> None:
    assert "ERROR" in ask("SELECT 1 / (k - 1) FROM typed").text.upper()
    response = ask("SELECT 1 / (k - 1) AS q FROM typed", "json")
    assert json.loads(response.text.splitlines()[-1])["error_code"] == "AdHocQueryError"


def test_requests_without_form_are_plain(rest: Rest, ask: Any) -> None:
    assert ask("SELECT 1", "yaml").status_code == 400
    response = rest.http.get(PATH)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (400, "text/plain")


def test_paused_pipelines_answer_and_hold_insertions_back(rest: Rest, ask: Any) -> None:
    rest.http.post("/pipelines/queried/pause")
    assert json_rows(ask("SELECT 1 AS n", "json")) == [{"n": 1}]
    with pytest.raises(httpx.ReadTimeout):
        rest.http.get(PATH, params={"sql": "INSERT INTO t VALUES (1000, 'x')"}, timeout=0.5)
    rest.http.post("/pipelines/queried/resume")
    assert json_rows(ask("INSERT INTO t VALUES (1001, 'x')", "json")) == [{"count": 1}]
