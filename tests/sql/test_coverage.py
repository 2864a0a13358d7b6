"""Nothing in the dialect is without a test case, and docs/coverage.md tells the present state."""

from __future__ import annotations

from tests.sql.coverage import PAGE, Case, covered, page


def test_every_construct_has_enough_cases() -> None:
    short = [
        f"{r.row.section}: {r.row.name} has {r.cases} of {r.row.least} cases"
        for r in covered()
        if r.cases + r.pending < r.row.least
    ]
    assert not short, "\n".join(short)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.sql.coverage`"


def test_a_construct_is_found_only_where_it_is() -> None:
    cases = [Case("a/b.slt", "SELECT ABS(-3) AS x", False), Case("a/b.slt", "SELECT '' || ABS(ROUND(2))", True)]
    found = {r.row.name: r for r in covered(cases)}
    assert (found["ABS"].cases, found["ABS"].pending) == (1, 1)
    assert (found["ROUND"].cases, found["ROUND"].pending) == (0, 1)
    assert found["SQRT"].cases == 0
