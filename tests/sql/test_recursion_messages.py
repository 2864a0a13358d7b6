"""Messages about recursive views that concern several statements."""

from __future__ import annotations

import pytest

from millstream.plan.nodes import Recursive
from millstream.sql.compile import compile_program

EDGES = "CREATE TABLE e (a INT, b INT);"
DECLARE = "DECLARE RECURSIVE VIEW v (a INT, b INT);"
STEP = "SELECT v.a, e.b FROM v JOIN e ON v.b = e.a"


@pytest.mark.parametrize(
    ("program", "error_type", "message"),
    [
        (DECLARE + "CREATE VIEW v AS SELECT a, 1.5 AS b FROM e", "Type mismatch", "Type inferred for view 'v'"),
        (DECLARE + "CREATE VIEW v AS SELECT a AS c, b FROM e", "Type mismatch", "does not match the declared type"),
        (DECLARE + "CREATE VIEW v AS SELECT a FROM e", "Type mismatch", "does not match the declared type"),
        (
            DECLARE + f"CREATE VIEW step AS {STEP}; CREATE VIEW v AS SELECT * FROM e UNION SELECT * FROM step",
            "Compilation error",
            "View 'step' must be declared either as LOCAL or as RECURSIVE",
        ),
        (
            "DECLARE RECURSIVE VIEW v (a BIGINT NOT NULL);"
            "CREATE VIEW v AS SELECT ROW_NUMBER() OVER (ORDER BY a) AS a FROM v",
            "Not yet implemented",
            "Unsupported operation 'OVER' in recursive code",
        ),
        (DECLARE + "CREATE VIEW w AS SELECT * FROM v", "Compilation error", "declared as RECURSIVE but not created"),
    ],
)  # fmt: skip
def test_mistakes(program, error_type, message):
    (error,) = [m for m in compile_program(EDGES + program).messages if not m.warning]
    assert error.error_type == error_type
    assert message in error.message


@pytest.mark.parametrize(
    ("program", "warning"),
    [(DECLARE, "Unused view declaration"), (DECLARE + "CREATE VIEW v AS SELECT * FROM e", "View is not recursive")],
)
def test_warnings(program, warning):
    assert warning in [m.error_type for m in compile_program(EDGES + program).messages if m.warning]


def test_views_that_read_a_recursive_view_early_come_after_it():
    program = EDGES + DECLARE + f"CREATE VIEW w AS SELECT a FROM v; CREATE VIEW v AS SELECT * FROM e UNION ALL {STEP}"
    views = compile_program(program).program.views
    assert [view.name for view in views] == ["v", "w"]
    assert isinstance(views[0].plan, Recursive)


def test_a_null_column_takes_the_declared_type():
    program = EDGES + "DECLARE RECURSIVE VIEW v (a INT, b DATE); CREATE VIEW v AS SELECT a, NULL AS b FROM e"
    assert not [m for m in compile_program(program).messages if not m.warning]
