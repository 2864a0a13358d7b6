"""Programs apart from their deployment: checked, compared, shown as graphs (api.md §9.6-§9.8)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from millstream.manager.compiler import Worker
from millstream.manager.services import Services
from tests.manager.http import PREFIX, Http, error
from tests.manager.support import compiled, new_pipeline

PROGRAM = """CREATE TABLE t (a INT NOT NULL PRIMARY KEY, b VARCHAR) WITH ('connectors' = '[
  {"name": "c", "transport": {"name": "empty_input"}, "format": {"name": "csv"}}]');
CREATE TABLE u (a INT);
CREATE LOCAL VIEW l AS SELECT a, b FROM t WHERE a > 1;
CREATE VIEW v AS SELECT b, COUNT(*) AS n FROM l GROUP BY b;
CREATE VIEW w WITH ('connectors' = '[{"name": "o", "transport": {"name": "null_output"}}]') AS SELECT a FROM u;"""


@pytest.fixture
def ready(http: Http, services: Services) -> Iterator[Http]:
    """A pipeline `p` with `PROGRAM`, and a compiler at work."""
    services.store.insert(compiled(new_pipeline(program_code=PROGRAM)))
    yield http
    http.runner.run(services.compiler.worker.close())


def diff(http: Http, program: str | None = None) -> dict[str, Any]:
    """What a program would change, without what stays."""
    response = http.post(f"{PREFIX}/p/diff", json={"program_code": program})
    assert response.status_code == 200, response.text
    body = response.json()
    assert (len(body), len(body["program_diff"]), body["program_diff_error"]) == (8, 6, None)
    found = {**body.pop("program_diff"), **body}
    return {key: value for key, value in found.items() if value}


def test_programs_are_compared_by_what_they_mean(ready: Http) -> None:
    assert diff(ready) == {}
    assert diff(ready, PROGRAM) == {}
    assert diff(ready, PROGRAM.replace("SELECT a, b FROM t WHERE a > 1", "SELECT a, b\n\nFROM t WHERE a > 1")) == {}
    assert diff(ready, PROGRAM.replace("a > 1", "a > 2")) == {"modified_views": ["v"]}
    assert diff(ready, PROGRAM.replace("CREATE VIEW w", "CREATE MATERIALIZED VIEW w")) == {"modified_views": ["w"]}
    assert diff(ready, PROGRAM.replace("VIEW v", "VIEW x")) == {"added_views": ["x"], "removed_views": ["v"]}
    assert diff(ready, PROGRAM.replace("b VARCHAR)", "b VARCHAR, c INT)")) == {
        "modified_tables": ["t"],
        "modified_views": ["v"],
    }
    assert diff(ready, PROGRAM + "CREATE TABLE z (a INT);") == {"added_tables": ["z"]}
    assert diff(ready, "CREATE TABLE u (a INT);") == {
        "removed_tables": ["t"],
        "removed_views": ["v", "w"],
        "removed_input_connectors": ["t.c"],
        "removed_output_connectors": ["w.o"],
    }


def test_connectors_are_compared_apart_from_their_relations(ready: Http) -> None:
    assert diff(ready, PROGRAM.replace('"empty_input"}', '"empty_input"}, "paused": true')) == {
        "modified_input_connectors": ["t.c"]
    }
    assert diff(ready, PROGRAM.replace('"name": "o"', '"name": "x"')) == {
        "added_output_connectors": ["w.x"],
        "removed_output_connectors": ["w.o"],
    }


def test_a_new_program_that_does_not_compile(ready: Http) -> None:
    status, code, details = error(ready.post(f"{PREFIX}/p/diff", json={"program_code": "CREATE VIEW v AS SELECT 1 +"}))
    assert (status, code) == (400, "InvalidNewProgramSql")
    assert details["error"]


def test_the_graph_of_a_program(ready: Http) -> None:
    graph = ready.get(f"{PREFIX}/p/dataflow_graph").json()
    assert set(graph) == {"calcite_plan", "mir"}
    assert set(graph["calcite_plan"]) == {"l", "v", "w"}
    for plan in graph["calcite_plan"].values():
        assert [rel["id"] for rel in plan["rels"]] == list(range(len(plan["rels"])))
        assert all(i < rel["id"] for rel in plan["rels"] for i in rel["inputs"])
    mir = graph["mir"]
    assert {n["table"] for n in mir.values() if n["operation"] == "table"} == {"t", "u"}
    views = {n["view"]: n for n in mir.values() if n["operation"] == "view"}
    assert set(views) == {"l", "v", "w"}

    def reached(name: str) -> set[str]:
        return {name}.union(*(reached(i["node"]) for i in mir[name]["inputs"]))

    sources = {
        v: {mir[n].get("table") for i in node["inputs"] for n in reached(i["node"])} for v, node in views.items()
    }
    assert {v: found - {None} for v, found in sources.items()} == {"l": {"t"}, "v": {"t"}, "w": {"u"}}


def test_equal_subplans_are_one_node(http: Http, services: Services) -> None:
    same = "SELECT a, COUNT(*) AS n FROM t GROUP BY a"
    program = f"CREATE TABLE t (a INT); CREATE VIEW v AS {same}; CREATE VIEW w AS {same};"
    services.store.insert(compiled(new_pipeline(program_code=program)))
    mir = http.get(f"{PREFIX}/p/dataflow_graph").json()["mir"]
    http.runner.run(services.compiler.worker.close())
    assert [n["operation"] for n in mir.values()].count("aggregate") == 1


def test_validation_gives_one_of_three_answers(ready: Http) -> None:
    def validate(**body: Any) -> Any:
        return ready.post("/v0/validate_program", json=body).json()

    plain = validate(program_code=PROGRAM)["Success"]["program_info"]
    assert (set(plain["input_connectors"]), plain["dataflow"]) == ({"t.c"}, None)
    assert set(validate(program_code=PROGRAM, ir=True)["Success"]["program_info"]["dataflow"]) == {
        "calcite_plan",
        "mir",
    }
    info = validate(program_code="CREATE VIEW v AS SELECT * FROM nowhere;")["SqlError"]["info"]
    assert (info["exit_code"], info["messages"][0]["warning"]) == (1, False)
    assert set(validate(program_code="", runtime_version="v1.2.3")) == {"Success"}


def test_a_compilation_that_takes_too_long(http: Http, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    http.runner.run(services.compiler.worker.warm())
    monkeypatch.setattr(services.compiler.worker, "timeout_s", 0.0)
    response = http.post("/v0/validate_program", json={"program_code": PROGRAM})
    assert error(response) == (504, "CompilerTimeout", {"timeout_secs": 0.0})
    http.runner.run(services.compiler.worker.close())


def test_no_compiler(http: Http, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(services.compiler, "worker", Worker(1.0))
    status, code, details = error(http.post("/v0/validate_program", json={"program_code": ""}))
    assert (status, code, set(details)) == (503, "CompilerUnavailable", {"reason"})
    http.runner.run(services.compiler.worker.close())
