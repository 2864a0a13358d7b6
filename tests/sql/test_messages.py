"""Every mistake has a message that names its kind, its place and what is wrong."""

from __future__ import annotations

import pytest

from millstream.sql.compile import compile_program
from millstream.sql.messages import Message

TABLE = (
    "CREATE TABLE t (a INT, b VARCHAR, c DECIMAL(10, 2), d TIMESTAMP, e DATE, f BOOLEAN, g INT ARRAY, r ROW(p INT));\n"
)


def errors_of(text: str) -> list[Message]:
    return [message for message in compile_program(text).messages if not message.warning]


def warnings_of(text: str) -> list[tuple[str, str]]:
    return [(m.error_type, m.message) for m in compile_program(text).messages if m.warning]


#: Query, the words that the message is about, message without its position
QUERIES = [
    ("SELECT x FROM t", "x", "Column 'x' not found in any table"),
    ("SELECT t.x FROM t", "x", "Column 'x' not found in table 't'"),
    ("SELECT z.a FROM t", "z", "Table 'z' not found"),
    ("SELECT a FROM blah", "blah", "Object 'blah' not found"),
    ("SELECT blah(a) FROM t", "blah(a)", "No match found for function signature blah(<NUMERIC>)"),
    (
        "SELECT UPPER(a, b) FROM t",
        "UPPER(a, b)",
        "Invalid number of arguments to function 'UPPER'. Was expecting 1 arguments",
    ),
    (
        "SELECT ABS(f) FROM t",
        "ABS(f)",
        "Cannot apply 'ABS' to arguments of type 'ABS(<BOOLEAN>)'. Supported form(s): 'ABS(<NUMERIC>)'",
    ),
    ("SELECT a + f FROM t", "a + f", "Cannot apply '+' to arguments of type '<INTEGER> + <BOOLEAN>'"),
    ("SELECT -f FROM t", "-f", "Cannot apply '-' to arguments of type '-<BOOLEAN>'"),
    (
        "SELECT CAST(e AS INT) FROM t",
        "CAST(e AS INT)",
        "Cast function cannot convert value of type DATE to type INTEGER",
    ),
    ("SELECT a FROM t GROUP BY b", "a", "Expression 'a' is not being grouped"),
    ("SELECT COUNT(*), b FROM t", "b", "Expression 'b' is not being grouped"),
    ("SELECT b FROM t HAVING COUNT(*) > 1", "b", "Expression 'b' is not being grouped"),
    ("SELECT SUM(COUNT(*)) FROM t", "COUNT(*)", "Aggregate expressions cannot be nested"),
    ("SELECT a FROM t WHERE COUNT(*) > 1", "COUNT(*)", "Aggregate expression is illegal in WHERE clause"),
    ("SELECT a FROM t GROUP BY SUM(a)", "SUM(a)", "Aggregate expression is illegal in GROUP BY clause"),
    (
        "SELECT a FROM t GROUP BY ROLLUP (a), CUBE (b, CUBE (c))",
        "CUBE (c)",
        "No match found for function signature cube(<NUMERIC>)",
    ),
    (
        "SELECT GROUPING(b) FROM t GROUP BY a",
        "GROUPING(b)",
        "Argument to GROUPING operator must be a grouped expression",
    ),
    (
        "SELECT a FROM t WHERE GROUPING(a) = 0",
        "GROUPING(a)",
        "GROUPING operator may only occur in SELECT, HAVING or ORDER BY clause",
    ),
    ("SELECT a FROM t JOIN t AS u ON t.a = u.a", "a", "Column 'a' is ambiguous"),
    ("SELECT 1 FROM t AS p, t AS p", "t AS p!", "Duplicate relation name 'p' in FROM clause"),
    ("SELECT a FROM t WHERE b", "b", "WHERE clause must be a condition"),
    ("SELECT a FROM t UNION SELECT a, b FROM t", "SELECT a, b FROM t", "Column count mismatch in UNION"),
    (
        "SELECT f FROM t UNION SELECT e FROM t",
        "SELECT f FROM t UNION SELECT e FROM t",
        "Type mismatch in column 1 of UNION",
    ),
    (
        "SELECT f FROM t MINUS SELECT e FROM t",
        "SELECT f FROM t MINUS SELECT e FROM t",
        "Type mismatch in column 1 of EXCEPT",
    ),
    ("SELECT a FROM t ORDER BY 5", "5", "Ordinal out of range"),
    ("SELECT a IN ('x', f) FROM t", "a IN ('x', f)", "Values passed to IN operator must have compatible types"),
    ("SELECT COALESCE(e, g) FROM t", "COALESCE(e, g)", "Parameters must be of the same type"),
    (
        "SELECT GREATEST(b, f) FROM t",
        "GREATEST(b, f)",
        "Cannot infer return type for GREATEST; operand types: [VARCHAR, BOOLEAN]",
    ),
    ("VALUES (1, 2), (3)", "VALUES (1, 2), (3)", "Values passed to VALUES operator must have compatible types"),
    ("SELECT DATE '2020-13-01'", "DATE '2020-13-01'", "Illegal DATE literal '2020-13-01': not in format 'yyyy-MM-dd'"),
    ("SELECT * EXCLUDE (zz) FROM t", "zz", "SELECT * EXCLUDE/EXCEPT list contains unknown column(s): zz"),
    ("SELECT z.* FROM t", "z", "Unknown identifier 'z'"),
    ("SELECT a FROM t JOIN (SELECT e AS b FROM t) AS u USING (b, zz)", "zz", "Column 'zz' not found in any table"),
    (
        "SELECT UPPER(b) FILTER (WHERE f) FROM t",
        "UPPER(b) FILTER (WHERE f)",
        "FILTER clause must apply to an aggregate function: 'upper'",
    ),
    (
        "SELECT * FROM t WHERE r = r",
        "r = r",
        "ROW values cannot be compared using '='; consider using 'IS NOT DISTINCT FROM' "
        "(or its shorthand '<=>') instead.\n"
        "See https://docs.feldera.com/sql/comparisons#comparing-row-values",
    ),
]


@pytest.mark.parametrize(("query", "words", "message"), QUERIES, ids=[query for query, _, _ in QUERIES])
def test_mistakes_in_queries_are_named_at_their_place(query: str, words: str, message: str) -> None:
    found = errors_of(f"{TABLE}CREATE VIEW v AS\n{query};")
    assert len(found) == 1, found
    # the last occurrence where "!" says so, else the first
    start = query.rindex(words[:-1]) if words.endswith("!") else query.index(words)
    words = words.removesuffix("!")
    low, high = start + 1, start + len(words)
    place = f"At line 3, column {low}: " if low == high else f"From line 3, column {low} to line 3, column {high}: "
    assert found[0].message == place + message
    assert found[0].error_type == "Compilation error"
    span = found[0].span
    assert (span.start_line, span.start_column, span.end_line, span.end_column) == (3, low, 3, high)


STATEMENTS = [
    ("CREATE VIEW v (x, y) AS SELECT 1", "Column count mismatch",
     "View 'v' specifies 2 columns but query computes 1 columns"),
    ("CREATE VIEW t AS SELECT 1", "Duplicate declaration", "'t' already defined"),
    ("CREATE VIEW error_view AS SELECT 1", "Duplicate declaration", "'error_view' already defined"),
    ("CREATE VIEW v AS SELECT INTERVAL 1 DAY AS i", "Unsupported column type",
     "Column 'i' of view 'v' has type 'INTERVAL DAY' which is currently not allowed in a view."),
    (
        "CREATE VIEW v AS SELECT x.a FROM t AS x LEFT JOIN t AS y ON x.a = y.a AND x.d > NOW() - INTERVAL 1 DAY",
        "Not yet implemented",
        "NOW() in a condition on both sides of an outer join\nYou can suggest support for this feature by filing an "
        "issue at https://github.com/feldera/feldera/issues",
    ),
    ("SELECT 1", "Not supported", "Raw 'SELECT' statements are not supported; did you forget to CREATE VIEW?"),
    ("CREATE TABLE IF NOT EXISTS z (a INT)", "Not supported", "IF NOT EXISTS not supported for CREATE TABLE"),
    ("CREATE OR REPLACE VIEW z AS SELECT 1", "Not supported", "OR REPLACE not supported for CREATE VIEW"),
    ("CREATE OR REPLACE TABLE z (a INT)", "Not supported", "REPLACE not supported for CREATE TABLE"),
    ("CREATE VIEW v AS WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", "Not supported",
     "RECURSIVE queries in WITH are not supported; use DECLARE RECURSIVE VIEW instead. "
     "See https://docs.feldera.com/sql/recursion"),
    ("blah blah", "Error parsing SQL", "Non-query expression encountered in illegal context"),
    ("CREATE VIEW v AS SELECT FROM t", "Error parsing SQL",
     "Incorrect syntax near the keyword 'FROM' at line 2, column 25."),
    ("CREATE VIEW v AS SELECT 'a' 'b'", "Error parsing SQL", "Encountered \"'b'\" at line 2, column 29."),
    ("CREATE TABLE z (a INT PRIMARY KEY)", "PRIMARY KEY cannot be nullable",
     "PRIMARY KEY column 'a' has type INTEGER, which is nullable"),
    ("CREATE TABLE z (a INT ARRAY NOT NULL PRIMARY KEY)", "Illegal PRIMARY KEY type",
     "PRIMARY KEY column 'a' cannot have type INTEGER ARRAY"),
    ("CREATE TABLE z (a INT NOT NULL PRIMARY KEY PRIMARY KEY)", "Compilation error",
     "Column 'a' already declared a primary key"),
    ("CREATE TABLE z (a INT DEFAULT 1 DEFAULT 2)", "Compilation error", "Column 'a' already has a default value"),
    ("CREATE TABLE z (a INT NOT NULL PRIMARY KEY, PRIMARY KEY (a))", "Compilation error",
     "Column 'a' declared PRIMARY KEY in table with another PRIMARY KEY constraint"),
    ("CREATE TABLE z (a INT NOT NULL, PRIMARY KEY (a), PRIMARY KEY (a))", "Compilation error",
     "PRIMARY KEY already declared"),
    ("CREATE TABLE z (a INT NOT NULL, PRIMARY KEY (a, a))", "Compilation error", "Column 'a' already declared as key"),
    ("CREATE TABLE z (a INT NOT NULL, PRIMARY KEY (b))", "No such column",
     "Key field 'b' does not correspond to a column"),
    ("CREATE TABLE z (a INT, a INT)", "Compilation error", "Column with name 'a' already defined"),
    ("CREATE TABLE z (a FLOAT)", "Illegal type", "Do not use the FLOAT type, please use REAL or DOUBLE"),
    ("CREATE TABLE z (a DECIMAL(40, 2))", "Illegal type", "Maximum precision supported for DECIMAL is 38"),
    ("CREATE TABLE z (a DECIMAL(4, 5))", "Illegal type", "DECIMAL type must have scale <= precision"),
    ("CREATE TABLE z (a INTERVAL DAY)", "Unsupported column type",
     "Column 'a' of table 'z' has type 'INTERVAL DAY' which is currently not allowed in a table."),
    ("CREATE TABLE z (a INT NOT NULL DEFAULT NULL)", "Compilation error",
     "Nullable default value assigned to non-null column 'a'"),
    ("CREATE TABLE z (a TIMESTAMP DEFAULT NOW())", "Non-deterministic initializer",
     "Default value for column 'a' must be a compile-time constant"),
    ("CREATE TABLE z (a INT ARRAY DEFAULT 1)", "Compilation error",
     "Cannot use INTEGER as default value for column 'a' of type INTEGER ARRAY"),
    ("CREATE TABLE z (a INT DEFAULT 'x')", "Compilation error",
     "Cannot use 'x' as default value for column 'a' of type INTEGER: "
     "Error converting 'x' to INTEGER: invalid digit found in string"),
    ("CREATE TABLE z (a VARCHAR LATENESS 5.0)", "Compilation error",
     "Cannot subtract 5.0 from column 'a' of type VARCHAR"),
    ("CREATE TABLE z (a INT LATENESS 1 + 2)", "Compilation error", "Illegal expression for lateness value"),
    ("CREATE TABLE z (a INT) WITH ('x' = 'y')", "Compilation error", "Unknown table property 'x'"),
    ("CREATE VIEW z WITH ('x' = 'y') AS SELECT 1", "Compilation error", "Unknown view property 'x'"),
    ("CREATE TABLE z (a INT) WITH ('materialized' = 'y')", "Compilation error",
     "Expected a boolean value for property 'materialized'"),
    ("CREATE TABLE z (a INT) WITH ('expected_size' = 'y')", "Compilation error",
     "Expected a numeric value for property 'expected_size'"),
    ("CREATE TABLE user (a INT)", "Reserved name", "Name 'user' is reserved for the system"),
    ("CREATE TABLE abs (a INT)", "Reserved name", "Table 'abs' has the same name as a predefined function"),
    ("CREATE TYPE s AS ROW(x INT)", "Compilation error",
     "User-defined types cannot be defined to be ROW types; consider eliminating 'ROW' from this definition"),
    ("CREATE TABLE s (a INT NOT NULL PRIMARY KEY); CREATE TABLE z (x INT, y INT, FOREIGN KEY (x, y) REFERENCES s (a))",
     "Size mismatch", "FOREIGN KEY section of table 'z' contains 2 columns, which does not match the size "
     "the REFERENCES, which is 1"),
    ("CREATE TABLE z (x INT, FOREIGN KEY (x) REFERENCES t (a))", "Compilation error",
     "FOREIGN KEY column 'z.x' refers to column 't.a' which is not a PRIMARY KEY"),
    ("CREATE TABLE s (a INT NOT NULL PRIMARY KEY); CREATE TABLE z (x VARCHAR, FOREIGN KEY (x) REFERENCES s (a))",
     "Compilation error", "FOREIGN KEY column 'z.x' has type VARCHAR which does not match the type INT "
     "of the referenced column 's.a'"),
    ("CREATE TABLE z (x INT, FOREIGN KEY (y) REFERENCES t (a))", "Compilation error",
     "Table 'z' does not have a column named 'y'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error_type", "message"), STATEMENTS, ids=[text for text, _, _ in STATEMENTS])
def test_mistakes_in_statements_have_a_type_and_a_message(text: str, error_type: str, message: str) -> None:
    (found,) = errors_of(TABLE + text)
    assert (found.error_type, found.message.split("\nWas expecting")[0]) == (error_type, message)
    assert found.snippet


WARNINGS = [
    ("CREATE VIEW v AS SELECT a FROM t ORDER BY a", "ORDER BY is ignored", "ORDER BY clause is currently ignored"),
    ("CREATE VIEW v AS SELECT 1", "View is constant", "View 'v' does not depend on any input data"),
    ("CREATE TABLE z (a DECIMAL)", "DECIMAL precision and scale unspecified", "interpreted as DECIMAL(38, 0)"),
    ("CREATE TABLE z (a TIMESTAMP(3))", "TIMESTAMP precision ignored", "6 is used instead"),
    ("CREATE TABLE z (a TIME(0))", "TIME precision ignored", "9 is used instead"),
    ("INSERT INTO t VALUES (1)", "Statement ignored", "has no effect in a pipeline definition"),
    ("SET nothing = 'x'", "Unknown setting", "Variable 'nothing' does not control any known settings"),
    ("CREATE TABLE z (a INT, FOREIGN KEY (a) REFERENCES s (b))", "Table not found",
     "Table 's', referred in FOREIGN KEY constraint of table 'z', does not exist"),
    ("CREATE VIEW v WITH ('materialized' = 'true') AS SELECT a FROM t", "Materialized property not used",
     "please use 'CREATE MATERIALIZED VIEW' instead"),
    ("CREATE TABLE z (a INT INTERNED)", "Illegal type interned", "only strings are"),
    ("CREATE VIEW v AS SELECT a FROM t", "Unused column", "Column 'b' of table 't' is unused"),
    ("CREATE TABLE z (a INT)", "Unused", "Table 'z' is not used"),
    ("CREATE TABLE z (a INT) WITH ('connectors' = '[{\"transport\": {\"name\": \"datagen\"}}]')", "Unnamed connector",
     "Connector 0 of table 'z' does not have a name"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error_type", "message"), WARNINGS, ids=[text for text, _, _ in WARNINGS])
def test_what_is_suspicious_compiles_with_a_warning(text: str, error_type: str, message: str) -> None:
    result = compile_program(TABLE + text)
    assert result.program is not None
    assert any(m.error_type == error_type and message in m.message for m in result.messages), result.messages


def test_the_message_about_an_unknown_table_is_exactly_the_one_that_clients_pin() -> None:
    (found,) = errors_of("CREATE TABLE t (\n    a INT,\n    b INT\n);\nCREATE VIEW s AS SELECT * FROM blah;\n")
    assert found.to_json() == {
        "start_line_number": 5,
        "start_column": 32,
        "end_line_number": 5,
        "end_column": 35,
        "warning": False,
        "error_type": "Compilation error",
        "message": "From line 5, column 32 to line 5, column 35: Object 'blah' not found",
        "snippet": "    4|);\n    5|CREATE VIEW s AS SELECT * FROM blah;\n                                     ^^^^\n",
    }


def test_independent_mistakes_are_all_reported_in_the_order_of_the_text() -> None:
    text = f"{TABLE}CREATE VIEW v AS SELECT x FROM t;\nCREATE VIEW w AS SELECT FROM t;\nCREATE TABLE z (a FLOAT);\n"
    assert [(m.span.start_line, m.error_type) for m in errors_of(text)] == [
        (2, "Compilation error"),
        (3, "Error parsing SQL"),
        (4, "Illegal type"),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        "CREATE VIEW v AS SELECT x FROM t",
        "CREATE VIEW v AS SELECT FROM t",
        "CREATE TABLE v (a FLOAT)",
        'CREATE VIEW "v" AS SELECT x FROM t',
    ],
)
def test_what_reads_a_broken_relation_is_skipped_silently(broken: str) -> None:
    text = f"{TABLE}{broken};\nCREATE VIEW w AS SELECT * FROM v;\nCREATE VIEW x AS SELECT * FROM w JOIN t ON w.a = t.a;"
    assert len(errors_of(text)) == 1


def test_a_second_declaration_leaves_the_first_one_usable() -> None:
    text = f"{TABLE}CREATE TABLE t (z INT);\nCREATE VIEW v AS SELECT a FROM t;"
    assert [m.error_type for m in errors_of(text)] == ["Duplicate declaration"]


def test_equal_warnings_are_reported_once() -> None:
    text = f"{TABLE}CREATE VIEW v AS WITH q AS (SELECT CAST(a AS DECIMAL) AS x FROM t) SELECT p.x FROM q AS p, q AS r;"
    assert [kind for kind, _ in warnings_of(text)].count("DECIMAL precision and scale unspecified") == 1


def test_an_unterminated_string_is_reported_where_it_begins() -> None:
    (found,) = errors_of(f"{TABLE}CREATE VIEW v AS\nSELECT 'abc")
    assert (found.error_type, found.span.start_line, found.span.start_column) == ("Error parsing SQL", 3, 8)


def test_a_snippet_shows_the_line_and_the_one_that_follows() -> None:
    (found,) = errors_of(f"{TABLE}CREATE VIEW v AS\nSELECT bad\nFROM t;\n")
    assert found.snippet == "    3|SELECT bad\n             ^^^\n    4|FROM t;\n"


def test_a_snippet_of_the_last_line_shows_the_one_before() -> None:
    for end in ("", "\n"):  # a line break at the end begins no line
        (found,) = errors_of(f"{TABLE}CREATE VIEW v AS\nSELECT bad FROM t;{end}")
        assert found.snippet == "    2|CREATE VIEW v AS\n    3|SELECT bad FROM t;\n             ^^^\n"


def test_a_program_of_one_line_is_its_snippet() -> None:
    (found,) = errors_of("CREATE VIEW v AS SELECT bad;")
    assert found.snippet == "    1|CREATE VIEW v AS SELECT bad;\n                              ^^^\n"


def test_a_snippet_of_a_range_of_lines_shows_them_all() -> None:
    (found,) = errors_of(f"{TABLE}CREATE VIEW v AS SELECT f FROM t\nUNION\nSELECT e\nFROM t;")
    lines = ["    2|CREATE VIEW v AS SELECT f FROM t", "    3|UNION", "    4|SELECT e", "    5|FROM t;", ""]
    assert found.snippet is not None
    assert found.snippet.split("\n") == lines


def test_a_statement_that_does_not_end_is_reported_once() -> None:
    (found,) = errors_of(f"{TABLE}CREATE VIEW v AS SELECT nothing FROM t u v;")
    assert found.message.startswith('Encountered "v"')


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    (found,) = errors_of(f"{TABLE}CREATE VIEW v AS SELECT {'(' * 5000}a{')' * 5000} FROM t;")
    assert "too deep" in found.message


def test_long_conditions_are_not_deep() -> None:
    condition = " OR ".join(f"a = {i}" for i in range(3000))
    assert compile_program(f"{TABLE}CREATE VIEW v AS SELECT a FROM t WHERE {condition};").program is not None


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t WHERE ts > NOW() - INTERVAL 1 DAY AND a > 5",
        "SELECT a FROM t WHERE ts BETWEEN NOW() - INTERVAL 1 DAY AND NOW()",
        "SELECT p.a FROM t AS p JOIN t AS q ON p.a = q.a AND p.ts > NOW()",
        "SELECT NOW() AS n",
    ],
)
def test_filters_by_time_and_constants_are_not_inefficient(query: str) -> None:
    text = f"CREATE TABLE t (a INT, ts TIMESTAMP); CREATE VIEW v AS {query};"
    assert "Inefficient pattern" not in [kind for kind, _ in warnings_of(text)]
