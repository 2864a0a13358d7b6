"""PIVOT and UNPIVOT."""

from tests.oracle.harness import Case

CASES = (
    Case("v_pivot",
         "SELECT * FROM (SELECT a, s, b FROM t) PIVOT (SUM(b) AS p, COUNT(*) AS n FOR s IN ('a' AS x, 'b' AS y))",
         "SELECT a, SUM(b) FILTER (WHERE s = 'a'), count(*) FILTER (WHERE s = 'a'), SUM(b) FILTER (WHERE s = 'b'), "
         "count(*) FILTER (WHERE s = 'b') FROM t GROUP BY a"),
    Case("v_pivot_global", "SELECT * FROM (SELECT s, b FROM t) PIVOT (MAX(b) FOR s IN ('a', NULL, 'b'))",
         "SELECT MAX(b) FILTER (WHERE s = 'a'), MAX(b) FILTER (WHERE s IS NULL), MAX(b) FILTER (WHERE s = 'b') FROM t"),
    Case("v_pivot_two", "SELECT * FROM (SELECT a, s, f, b FROM t) PIVOT (COUNT(DISTINCT b) FOR (s, f) IN (('a', TRUE), "
         "('b', FALSE)))",
         "SELECT a, count(DISTINCT b) FILTER (WHERE s = 'a' AND f), count(DISTINCT b) FILTER (WHERE s = 'b' AND NOT f) "
         "FROM t GROUP BY a"),
    Case("v_pivot_join",
         "SELECT k.id, p.x FROM k JOIN (SELECT a, c FROM u) PIVOT (COUNT(*) FOR c IN (1 AS x, 2 AS y)) "
         "AS p ON k.a = p.a",
         "SELECT k.id, p.x FROM k JOIN (SELECT a, count(*) FILTER (WHERE c = 1) AS x FROM u GROUP BY a) AS p "
         "ON k.a = p.a"),
    Case("v_unpivot", "SELECT * FROM (SELECT id, a, b FROM t) UNPIVOT (v FOR c IN (a AS 'first', b))",
         "SELECT id, 'first', a FROM t WHERE a IS NOT NULL UNION ALL SELECT id, 'b', b FROM t"),
    Case("v_unpivot_nulls",
         "SELECT * FROM (SELECT id, a, b FROM t) UNPIVOT INCLUDING NULLS (v FOR c IN (a AS 1, b AS 2))",
         "SELECT id, 1, a FROM t UNION ALL SELECT id, 2, b FROM t"),
    Case("v_unpivot_two",
         "SELECT * FROM (SELECT id, a, s FROM k) UNPIVOT ((x, y) FOR c IN ((id, s) AS 'p', (a, s) AS 'q'))",
         "SELECT 'p', id, s FROM k UNION ALL SELECT 'q', a, s FROM k"),
    Case("v_unpivot_count",
         "SELECT c, COUNT(*) AS n FROM (SELECT id, a, b FROM t) UNPIVOT (v FOR c IN (a, b)) GROUP BY c",
         "SELECT 'a', count(a) FROM t HAVING count(a) > 0 UNION ALL SELECT 'b', count(b) FROM t HAVING count(b) > 0"),
)  # fmt: skip
