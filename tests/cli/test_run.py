"""`millstream run`: views printed, written to files or as JSON; errors on standard error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest


def millstream(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "millstream.cli.main", *arguments], capture_output=True, text=True, timeout=90
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "words.csv").write_text("a,1\nb,2\nnot a number,x\na,5\n")
    path = tmp_path / "words.sql"
    connector = {
        "name": "words",
        "transport": {"name": "file_input", "config": {"path": str(tmp_path / "words.csv")}},
        "format": {"name": "csv"},
    }
    path.write_text(
        f"CREATE TABLE words (word VARCHAR, n BIGINT) WITH ('connectors' = '{json.dumps([connector])}');\n"
        "CREATE VIEW totals AS SELECT word, SUM(n) AS total FROM words GROUP BY word;\n"
        "CREATE VIEW pairs AS SELECT word, ARRAY_AGG(n) AS ns FROM words WHERE word = 'b' GROUP BY word;\n"
    )
    return path


def test_views_are_printed_as_tables_and_bad_records_reported(program: Path) -> None:
    result = millstream("run", str(program))
    assert result.returncode == 0, result.stderr
    assert "totals (2 rows)" in result.stdout
    assert "finished after" in result.stdout
    assert "words.words" in result.stderr


def test_json_is_one_document(program: Path) -> None:
    result = millstream("run", str(program), "--json")
    document = json.loads(result.stdout)
    assert sorted(map(repr, document["views"]["totals"])) == ["{'word': 'a', 'total': 6}", "{'word': 'b', 'total': 2}"]
    assert document["complete"] is True
    (connector,) = document["connectors"]
    assert (connector["name"], connector["rows"], connector["errors"]) == ("words.words", 3, 1)


def test_views_are_written_one_file_each(program: Path, tmp_path: Path) -> None:
    result = millstream("run", str(program), "--output", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "out" / "totals.csv").read_text().splitlines()
    assert sorted(lines[1:]) == ['"a",6', '"b",2']
    assert (tmp_path / "out" / "pairs.csv").read_text().splitlines()[1] == '"b","[2]"'
    millstream("run", str(program), "--output", str(tmp_path / "out"), "--format", "parquet")
    assert pq.read_table(tmp_path / "out" / "totals.parquet").num_rows == 2


def test_a_program_with_a_mistake_shows_its_place_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "bad.sql"
    path.write_text("CREATE TABLE t (a INT);\nCREATE VIEW v AS SELECT nothing FROM t;\n")
    result = millstream("run", str(path))
    assert result.returncode == 1
    assert "SELECT nothing FROM t" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_program_is_an_ordinary_error(tmp_path: Path) -> None:
    result = millstream("run", str(tmp_path / "none.sql"))
    assert result.returncode != 0
    assert "Traceback" not in result.stderr


def test_an_endless_program_stops_after_the_given_time(tmp_path: Path) -> None:
    path = tmp_path / "endless.sql"
    path.write_text(
        """CREATE TABLE t (n BIGINT) WITH ('connectors' = '[{"name": "c", "transport": {"name": "datagen",
        "config": {"plan": [{"rate": 1000}]}}}]');
        CREATE VIEW v AS SELECT COUNT(*) AS n FROM t;"""
    )
    result = millstream("run", str(path), "--seconds", "1", "--json")
    document = json.loads(result.stdout)
    assert document["complete"] is False
    assert document["views"]["v"][0]["n"] > 0


def test_functions_come_from_the_file_beside_the_program_or_the_one_given(tmp_path: Path) -> None:
    program = tmp_path / "p.sql"
    program.write_text("CREATE FUNCTION f() RETURNS INT; CREATE VIEW v AS SELECT f() AS x;")
    missing = millstream("run", str(program), "--json")
    assert missing.returncode == 1
    assert "comes without udf_python" in missing.stderr
    assert "Traceback" not in missing.stderr
    (tmp_path / "p.udf.py").write_text("def f(): return 1\n")
    assert json.loads(millstream("run", str(program), "--json").stdout)["views"] == {"v": [{"x": 1}]}
    other = tmp_path / "other.py"
    other.write_text("def f(): return 2\n")
    told = millstream("run", str(program), "--json", "--udf", str(other))
    assert json.loads(told.stdout)["views"] == {"v": [{"x": 2}]}
