"""ROLLUP, CUBE, GROUPING SETS and GROUPING."""

from tests.oracle.harness import Case

CASES = (
    Case("r_rollup", "SELECT a, f, COUNT(*) AS n, SUM(b) AS p FROM t GROUP BY ROLLUP (a, f)"),
    Case("r_cube", "SELECT a, f, MAX(s) AS p FROM t GROUP BY CUBE (a, f)"),
    Case("r_sets", "SELECT a, s, COUNT(*) AS n FROM t GROUP BY GROUPING SETS ((a, s), (s), ())"),
    Case("r_sets_plain", "SELECT a, s, COUNT(*) AS n FROM t GROUP BY GROUPING SETS (a, s)"),
    Case("r_mixed", "SELECT a, f, b, COUNT(*) AS n FROM t GROUP BY a, ROLLUP (f, b)"),
    Case("r_composite", "SELECT a, f, b, COUNT(*) AS n FROM t GROUP BY ROLLUP ((a, f), b)"),
    Case("r_nested", "SELECT a, f, COUNT(*) AS n FROM t GROUP BY GROUPING SETS (ROLLUP (a, f), f)"),
    Case("r_product", "SELECT a, f, COUNT(*) AS n FROM t GROUP BY ROLLUP (a), ROLLUP (f)"),
    Case("r_grouping", "SELECT a, f, GROUPING(a) AS p, GROUPING(a, f) AS q, COUNT(*) AS n FROM t GROUP BY CUBE (a, f)"),
    Case("r_grouping_plain", "SELECT a, GROUPING(a) AS p FROM t GROUP BY a"),
    Case("r_having", "SELECT a, COUNT(*) AS n FROM t GROUP BY ROLLUP (a) HAVING GROUPING(a) = 1 OR COUNT(*) > 1"),
    Case("r_expression", "SELECT b % 2 AS p, COUNT(*) AS n FROM t GROUP BY ROLLUP (b % 2)"),
    Case("r_value", "SELECT b + 1 AS p, COALESCE(b, -9) AS q, COUNT(*) AS n FROM t GROUP BY ROLLUP (b)"),
    Case("r_case", "SELECT CASE WHEN GROUPING(s) = 1 THEN 'all' ELSE s END AS p, SUM(b) AS q FROM t "
         "GROUP BY ROLLUP (s)"),
    Case("r_distinct", "SELECT a, COUNT(*) AS n FROM t GROUP BY DISTINCT GROUPING SETS (a, a, ())",
         "SELECT a, count(*) FROM t GROUP BY GROUPING SETS (a, ())"),
    Case("r_twice", "SELECT a, COUNT(*) AS n FROM t GROUP BY GROUPING SETS (a, a)",
         "SELECT a, count(*) FROM t GROUP BY a UNION ALL SELECT a, count(*) FROM t GROUP BY a"),
    Case("r_order", "SELECT a, COUNT(*) AS n FROM t GROUP BY ROLLUP (a) ORDER BY COUNT(*) DESC, GROUPING(a), "
         "a LIMIT 3"),
    Case("r_filtered", "SELECT a, n FROM (SELECT a, f, COUNT(*) AS n FROM t GROUP BY CUBE (a, f)) AS z WHERE a > 0"),
    Case("r_filtered_null", "SELECT n FROM (SELECT b, COUNT(*) AS n FROM t GROUP BY ROLLUP (b)) AS z WHERE b IS NULL"),
    Case("r_subquery", "SELECT a, COUNT(*) AS n, (SELECT MAX(c) FROM u WHERE u.a = t.a) AS p FROM t "
         "GROUP BY ROLLUP (a)"),
    Case("r_distinct_aggregate", "SELECT f, COUNT(DISTINCT a) AS n FROM t GROUP BY ROLLUP (f)"),
)  # fmt: skip
