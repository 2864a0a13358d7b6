"""Runs every SQL test script; see script.py for what they look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sql.running import run_script
from tests.sql.script import parse_script

HERE = Path(__file__).parent
SCRIPTS = sorted(HERE.glob("*/*.slt"))


@pytest.mark.parametrize("path", [pytest.param(p, id=str(p.relative_to(HERE).with_suffix(""))) for p in SCRIPTS])
def test_script(path: Path) -> None:
    problems = run_script(parse_script(path))
    assert not problems, "\n".join(problems)


def write(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "s.slt"
    path.write_text(text)
    return run_script(parse_script(path))


WRONG = (
    "query\nSELECT a FROM t\n----\n2\n",
    "query (BIGINT)\nSELECT a FROM t\n----\n1\n",
    "error Column 'b' not found\nSELECT a FROM t\n",
    "error something else\nSELECT b FROM t\n",
    "error Column 'b' not found @@ a\nSELECT a, b FROM t\n",
    "error not found\nSELECT a FROM t;\n",
    "warning ORDER BY is ignored\nSELECT a FROM t\n",
    "warning ORDER BY is ignored\nSELECT b FROM t\n",
    "failure overflow\nSELECT a FROM t\n",
    "eval\n1 + 1 -> 3\n",
    "eval\n1 + 1 -> !error\n",
    "eval\n1 / 0 -> !!something else\n",
    "# pending: holds already\neval\n1 + 1 -> 2\n",
    "eval\n# pending: holds already\n1 + 1 -> 2\n",
)


def test_the_runner_notices_wrong_rows_types_and_messages(tmp_path: Path) -> None:
    statement = "statement\nCREATE TABLE t (a INT)\n\ninsert t\n[1]\n\n"
    for wrong in WRONG:
        assert write(tmp_path, statement + wrong), wrong
        if "pending" not in wrong:
            assert not write(tmp_path, statement + "# pending: a reason\n" + wrong), wrong


def test_what_is_right_is_not_reported(tmp_path: Path) -> None:
    statement = "statement\nCREATE TABLE t (a INT)\n\ninsert t\n[1]\n\n"
    for right in (
        "query (INTEGER)\nSELECT a FROM t\n----\n1\n",
        "error compilation error: ... column 'B' not found ... table @@ b\nSELECT a, b FROM t\n",
        "warning ORDER BY is ignored\nSELECT a FROM t ORDER BY a\n",
        "error Raw 'SELECT' statements are not supported\nSELECT a FROM t;\n",
        "eval\n1 + 1 -> 2\n# pending: not two\n1 + 1 -> 3\n1 + 2 -> 3\n",
    ):
        assert not write(tmp_path, statement + right), right


def test_a_script_that_is_not_understood_says_where(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"s\.slt:3: a block begins with"):
        write(tmp_path, "# comment\n\nnonsense\n")
