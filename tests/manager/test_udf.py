"""The Python code of a pipeline's functions over the API: stored, checked in a process of its own, compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from millstream.manager.compile_worker import check_program
from millstream.manager.services import Services
from tests.manager.http import PREFIX, Http
from tests.manager.support import compiled, new_pipeline

SQL = """CREATE TABLE t (a INT);
CREATE FUNCTION f(a INT) RETURNS INT;
CREATE VIEW v AS SELECT f(a) AS x FROM t;
CREATE VIEW w AS SELECT a FROM t;"""
CODE = "def f(a):\n    return a\n"


def errors_of(sql: str, code: str) -> list[dict[str, Any]]:
    answer = check_program({"text": sql, "udf_python": code})
    assert answer["info"] is None
    return [message for message in answer["messages"] if not message["warning"]]


def test_a_program_over_its_code_compiles() -> None:
    answer = check_program({"text": SQL, "udf_python": CODE})
    assert answer["messages"] == []
    assert [view["name"] for view in answer["info"]["schema"]["outputs"]] == ["error_view", "v", "w"]


def test_without_functions_or_code_there_is_nothing_to_check() -> None:
    assert check_program({"text": "CREATE TABLE t (a INT);", "udf_python": " \n"})["info"] is not None
    assert check_program({"text": "", "udf_python": "x = 1"})["info"] is not None


def test_a_missing_function_is_an_error_at_its_declaration() -> None:
    for code in ("", "def g(a): ...\n"):
        (message,) = errors_of(SQL, code)
        assert message["error_type"] == "Python UDF error"
        assert message["message"].startswith("Function 'f' has no body, and ")
        assert message["message"].endswith("def f(a):  # takes Arrow arrays (a: int32), returns int32")
        assert (message["start_line_number"], message["start_column"], message["end_column"]) == (2, 17, 17)
        assert "    2|CREATE FUNCTION f(a INT) RETURNS INT;\n                      ^\n" in message["snippet"]


def test_code_that_is_no_python_is_shown_in_its_line() -> None:
    (message,) = errors_of(SQL, "def f(a)\n    return a\n")
    assert message == {
        "start_line_number": 0, "start_column": 0, "end_line_number": 0, "end_column": 0, "warning": False,
        "error_type": "Python UDF error", "message": "udf_python, line 1: SyntaxError: expected ':'",
        "snippet": "    1|def f(a)\n              ^\n",
    }  # fmt: skip
    (message,) = errors_of("", "import absent_module")
    assert message["message"] == "udf_python, line 1: ModuleNotFoundError: No module named 'absent_module'"


def test_mistakes_of_sql_come_first_and_execute_no_code(tmp_path: Any) -> None:
    mark = tmp_path / "executed"
    code = f"open({str(mark)!r}, 'w').close()\n{CODE}"
    (message,) = errors_of(SQL + "CREATE VIEW x AS SELECT b FROM t;", code)
    assert "Column 'b' not found" in message["message"]
    assert not mark.exists()
    assert check_program({"text": SQL, "udf_python": code})["info"] is not None
    assert mark.exists()


def test_a_graph_needs_no_code(tmp_path: Any) -> None:
    answer = check_program({"text": SQL, "udf_python": None, "dataflow": True})
    assert answer["info"] is not None
    assert answer["dataflow"]


# ---- over HTTP ----


@pytest.fixture
def ready(http: Http, services: Services) -> Iterator[Http]:
    services.store.insert(compiled(new_pipeline(program_code=SQL, udf_python=CODE)))
    yield http
    http.runner.run(services.compiler.worker.close())


def test_code_is_stored_and_shown_and_replaced(http: Http) -> None:
    made = http.post(PREFIX, json={"name": "p", "program_code": "", "udf_python": CODE}).json()
    assert (made["udf_python"], made["version"], made["program_version"]) == (CODE, 1, 1)
    assert http.get(f"{PREFIX}/p").json()["udf_python"] == CODE
    assert "udf_python" not in http.get(f"{PREFIX}/p?selector=status").json()
    kept = http.patch(f"{PREFIX}/p", json={"description": "x", "udf_python": None}).json()
    assert (kept["udf_python"], kept["program_version"]) == (CODE, 1)
    changed = http.patch(f"{PREFIX}/p", json={"udf_python": "x = 1"}).json()
    assert (changed["udf_python"], changed["version"], changed["program_version"]) == ("x = 1", 2, 2)
    replaced = http.put(f"{PREFIX}/p", json={"name": "p", "program_code": ""}).json()
    assert (replaced["udf_python"], replaced["program_version"]) == ("", 3)
    assert http.post(PREFIX, json={"name": "q", "program_code": "", "udf_python": 1}).status_code == 400


def test_programs_are_validated_with_their_code(ready: Http) -> None:
    def validate(**body: Any) -> dict[str, Any]:
        found: dict[str, Any] = ready.post("/v0/validate_program", json=body).json()
        return found

    assert "Success" in validate(program_code=SQL, udf_python=CODE)
    assert "missing in udf_python" in str(validate(program_code=SQL, udf_python="x = 1")["SqlError"])
    assert "comes without udf_python" in str(validate(program_code=SQL)["SqlError"])


def test_views_over_changed_code_are_changed(ready: Http) -> None:
    def modified(**body: Any) -> list[str]:
        answer = ready.post(f"{PREFIX}/p/diff", json=body)
        assert answer.status_code == 200, answer.text
        found: list[str] = answer.json()["program_diff"]["modified_views"]
        return found

    assert modified() == []
    assert modified(program_code=SQL) == []
    assert modified(udf_python=CODE) == []
    assert modified(udf_python=CODE.replace("return a", "return -a")) == ["v"]


def test_the_graph_shows_the_function(ready: Http) -> None:
    answer = ready.get(f"{PREFIX}/p/dataflow_graph")
    assert answer.status_code == 200, answer.text
    assert "f(" in answer.text
