"""Functions written in Python in pipelines of a server, with the official client where it has a part."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from feldera import FelderaClient, Pipeline

from tests.integration.conftest import Server
from tests.integration.rest import Rest, wait_for

SQL = """
CREATE TABLE t (n BIGINT, word VARCHAR);
CREATE FUNCTION inverse(n BIGINT) RETURNS DOUBLE;
CREATE FUNCTION shout(word VARCHAR) RETURNS VARCHAR;
CREATE MATERIALIZED VIEW v AS SELECT inverse(n) AS x, shout(word) AS word FROM t;
"""
CODE = """import pandas  # kept out of processes that do not ask for it
import pyarrow.compute as pc
from millstream import udf

@udf.row
def inverse(n):
    print("inverse of", n)
    return 1 / n

def shout(word):
    return pc.utf8_upper(word)
"""

Make = Callable[..., Pipeline]


@pytest.fixture
def make(client: FelderaClient, rest: Rest) -> Iterator[Make]:
    """Creates pipelines by the raw API, since the client does not know the field."""
    made: list[str] = []

    def build(name: str, **body: str) -> Pipeline:
        made.append(name)
        assert rest.http.put(f"/pipelines/{name}", json={"name": name, **body}).is_success
        rest.wait(name, lambda p: p["program_status"] == "Success", "compilation")
        return Pipeline.get(name, client)

    yield build
    for name in made:
        rest.remove(name)


def test_a_pipeline_runs_its_functions_and_takes_their_results_back(make: Make, rest: Rest) -> None:
    pipeline = make("functions", program_code=SQL, udf_python=CODE)
    pipeline.start()
    pipeline.input_json("t", [{"insert": {"n": 2, "word": "a"}}, {"insert": {"n": 4, "word": None}}],
                        update_format="insert_delete")  # fmt: skip
    rows = sorted((float(r["x"]), r["word"]) for r in pipeline.query("SELECT * FROM v"))
    assert rows == [(0.25, None), (0.5, "A")]
    pipeline.input_json("t", [{"delete": {"n": 2, "word": "a"}}], update_format="insert_delete")
    assert [float(r["x"]) for r in pipeline.query("SELECT * FROM v")] == [0.25]

    def printed() -> bool:
        with rest.http.stream("GET", "/pipelines/functions/logs", timeout=60) as answer:
            return any("inverse of 4" in line for line in answer.iter_lines())

    wait_for("what the function printed", printed)


def test_a_function_that_fails_stops_its_pipeline_with_a_reason(make: Make, rest: Rest) -> None:
    pipeline = make("failing", program_code=SQL, udf_python=CODE)
    pipeline.start()
    rest.http.post("/pipelines/failing/ingress/t?format=json", content='{"insert": {"n": 0, "word": "x"}}')
    state = rest.wait("failing", lambda p: p["deployment_error"] is not None, "the failure")
    error = state["deployment_error"]
    text = "User-defined function 'inverse' failed for inverse(0): ZeroDivisionError: division by zero"
    assert f"{text} (udf_python, line 8: return 1 / n)" in error["message"]
    assert "Traceback" not in str(error)
    rest.reaches("failing", "Stopped")


def test_the_client_shows_mistakes_in_python_code(client: FelderaClient, make: Make, rest: Rest) -> None:
    make("mistaken", program_code="")
    body = {"program_code": SQL, "udf_python": CODE.replace("def shout(word):", "def shout(word)")}
    assert rest.http.patch("/pipelines/mistaken", json=body).is_success
    rest.wait("mistaken", lambda p: p["program_status"] == "SqlError", "the error")
    with pytest.raises(RuntimeError) as caught:
        client._wait_for_compilation("mistaken", 2)
    assert str(caught.value).startswith(
        "Pipeline mistaken failed to compile:\nPython UDF error\nudf_python, line 10: SyntaxError: expected ':'\n"
        "Code snippet:\n    9|\n   10|def shout(word)\n"
    )


def test_rust_code_is_refused_with_its_text(make: Make, rest: Rest) -> None:
    make("rusty", program_code="")
    assert rest.http.patch("/pipelines/rusty", json={"udf_rust": "pub fn f() {}"}).is_success
    state = rest.wait("rusty", lambda p: p["program_status"].endswith("Error"), "the error")
    assert state["program_status"] == "RustError"
    assert "pub fn f() {}" in state["program_error"]["rust_compilation"]["stderr"]


def test_code_that_ends_or_blocks_its_process_harms_nothing(make: Make, rest: Rest) -> None:
    make("hostile", program_code="")
    assert rest.http.patch("/pipelines/hostile", json={"udf_python": "import os\nos._exit(3)"}).is_success
    state = rest.wait("hostile", lambda p: p["program_status"].endswith("Error"), "the error")
    (message,) = state["program_error"]["sql_compilation"]["messages"]
    assert message["message"] == "udf_python: executing the module ended its process with status 3"
    assert rest.http.patch("/pipelines/hostile", json={"udf_python": "while True: pass"}).is_success
    rest.wait("hostile", lambda p: p["program_status"] == "CompilingSql", "the compilation")
    assert rest.http.patch("/pipelines/hostile", json={"udf_python": ""}).is_success  # nobody waits for it any more
    rest.wait("hostile", lambda p: p["program_status"] == "Success", "the next program")


def test_the_command_line_sends_the_file_beside_the_program(server: Server, rest: Rest, tmp_path: Path) -> None:
    (tmp_path / "p.sql").write_text(SQL)
    (tmp_path / "p.udf.py").write_text(CODE)
    command = [sys.executable, "-m", "millstream.cli.main", "create", "from-file", str(tmp_path / "p.sql")]
    result = subprocess.run([*command, "--server", server.url], capture_output=True, text=True, timeout=90)
    assert result.returncode == 0, result.stderr
    assert rest.state("from-file")["udf_python"] == CODE
    rest.remove("from-file")
