"""Sub-queries: scalar, EXISTS, IN, ANY, ALL; correlated and not; in every clause."""

from tests.oracle.harness import Case

CASES = (
    Case("q_scalar", "SELECT id, (SELECT MAX(c) FROM u) AS p FROM t"),
    Case("q_scalar_empty", "SELECT id, (SELECT a FROM k WHERE FALSE) AS p FROM t"),
    Case("q_scalar_first", "SELECT id, (SELECT id FROM k ORDER BY s DESC, id LIMIT 1) AS p FROM t"),
    Case("q_scalar_correlated", "SELECT id, (SELECT MAX(c) FROM u WHERE u.a = t.a) AS p FROM t"),
    Case("q_scalar_count", "SELECT id, (SELECT COUNT(*) FROM u WHERE u.a = t.a) AS p FROM t"),
    Case("q_scalar_count_plus", "SELECT id, (SELECT COUNT(c) + 1 FROM u WHERE u.a = t.a AND u.c > 0) AS p FROM t"),
    Case("q_scalar_coalesce", "SELECT id, (SELECT COALESCE(SUM(c), -1) FROM u WHERE u.a = t.a) AS p FROM t"),
    Case("q_scalar_key", "SELECT id, (SELECT k.s FROM k WHERE k.id = t.id) AS p FROM t"),
    Case("q_scalar_theta", "SELECT id, (SELECT SUM(c) FROM u WHERE u.c < t.b) AS p FROM t"),
    Case("q_scalar_theta_count", "SELECT id, (SELECT COUNT(*) FROM u WHERE u.c < t.b AND u.a = t.a) AS p FROM t"),
    Case("q_scalar_outer_value", "SELECT id, (SELECT MAX(c + t.b) FROM u WHERE u.a = t.a) AS p FROM t"),
    Case("q_scalar_outer_only", "SELECT id, (SELECT t.a + 1) AS p FROM t"),
    Case("q_scalar_limit", "SELECT id, (SELECT c FROM u WHERE u.a = t.a ORDER BY c LIMIT 1) AS p FROM t"),
    Case("q_scalar_join", "SELECT id, (SELECT MAX(k.id) FROM k JOIN u ON k.s = u.s WHERE u.a = t.a) AS p FROM t"),
    Case("q_scalar_left_join", "SELECT id, (SELECT COUNT(*) FROM k LEFT JOIN u ON k.s = u.s AND u.a = t.a) "
         "AS p FROM t"),
    Case("q_scalar_union", "SELECT id, (SELECT MAX(p) FROM (SELECT c AS p FROM u WHERE u.a = t.a UNION ALL "
         "SELECT id FROM k WHERE k.a = t.a) AS z) AS p FROM t"),
    Case("q_scalar_having", "SELECT id, (SELECT COUNT(*) FROM u WHERE u.a = t.a HAVING COUNT(*) > 1) AS p FROM t"),
    Case("q_scalar_where", "SELECT id FROM t WHERE b > (SELECT AVG(x) FROM u WHERE u.a = t.a)"),
    Case("q_scalar_where_count", "SELECT id FROM t WHERE (SELECT COUNT(*) FROM u WHERE u.a = t.a) = 0"),
    Case("q_scalar_twice", "SELECT id, (SELECT MAX(c) FROM u) - (SELECT MIN(c) FROM u WHERE u.s = t.s) AS p FROM t"),
    Case("q_scalar_case", "SELECT CASE WHEN a > 0 THEN (SELECT MIN(id) FROM k) ELSE b END AS p FROM t"),
    Case("q_scalar_nested", "SELECT id, (SELECT MAX(c) FROM u WHERE u.a = (SELECT MIN(k.a) FROM k WHERE k.id = t.id)) "
         "AS p FROM t"),
    Case("q_scalar_deep", "SELECT id, (SELECT COUNT(*) FROM u WHERE EXISTS (SELECT 1 FROM k WHERE k.id = t.id AND "
         "k.a = u.a)) AS p FROM t"),
    Case("q_exists", "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)"),
    Case("q_exists_uncorrelated", "SELECT id FROM t WHERE EXISTS (SELECT * FROM u WHERE c > 5)"),
    Case("q_exists_more", "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND u.c > t.b) AND b > 0"),
    Case("q_exists_join", "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u JOIN k ON u.s = k.s WHERE u.a = t.a)"),
    Case("q_exists_group", "SELECT id FROM t WHERE EXISTS (SELECT s FROM u WHERE u.a = t.a GROUP BY s "
         "HAVING COUNT(*) > 1)"),
    Case("q_exists_union", "SELECT id FROM t WHERE EXISTS (SELECT c FROM u WHERE u.a = t.a UNION SELECT id FROM k "
         "WHERE k.a = t.b)"),
    Case("q_not_exists", "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.a = t.a)"),
    Case("q_not_exists_theta", "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.c > t.b AND u.s = t.s)"),
    Case("q_exists_value", "SELECT id, EXISTS (SELECT 1 FROM u WHERE u.a = t.a) AS p FROM t"),
    Case("q_exists_or", "SELECT id FROM t WHERE b > 2 OR EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND u.c > t.b)"),
    Case("q_exists_two_levels", "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND EXISTS "
         "(SELECT 1 FROM k WHERE k.a = u.a AND k.id < t.b))"),
    Case("q_in", "SELECT id FROM t WHERE a IN (SELECT a FROM u)"),
    Case("q_in_types", "SELECT id FROM t WHERE b IN (SELECT c FROM u WHERE c IS NOT NULL)"),
    Case("q_in_correlated", "SELECT id FROM t WHERE b IN (SELECT c FROM u WHERE u.s = t.s)"),
    Case("q_in_row", "SELECT id FROM t WHERE (a, s) IN (SELECT a, s FROM u)"),
    Case("q_in_value", "SELECT id, a IN (SELECT a FROM u) AS p, a IN (SELECT id FROM k) AS q FROM t"),
    Case("q_in_value_empty", "SELECT id, a IN (SELECT a FROM u WHERE FALSE) AS p FROM t"),
    Case("q_in_value_correlated", "SELECT id, a IN (SELECT c FROM u WHERE u.s = t.s) AS p FROM t"),
    Case("q_not_in", "SELECT id FROM t WHERE a NOT IN (SELECT a FROM u WHERE c > 0)"),
    Case("q_not_in_safe", "SELECT id FROM t WHERE id NOT IN (SELECT id FROM k)"),
    Case("q_not_in_correlated", "SELECT id FROM t WHERE a NOT IN (SELECT u.a FROM u WHERE u.s = t.s)"),
    Case("q_not_in_value", "SELECT id, a NOT IN (SELECT c FROM u) AS p FROM t"),
    Case("q_any", "SELECT id, a < ANY (SELECT c FROM u) AS p, a = ANY (SELECT a FROM k) AS q FROM t"),
    Case("q_all", "SELECT id, b >= ALL (SELECT c FROM u WHERE u.a = t.a) AS p, "
         "b <> ALL (SELECT id FROM k) AS q FROM t"),
    Case("q_all_equal", "SELECT id, a = ALL (SELECT c FROM u WHERE u.s = t.s) AS p FROM t"),
    Case("q_any_different", "SELECT id, a <> ANY (SELECT c FROM u WHERE u.s = t.s) AS p FROM t"),
    Case("q_having", "SELECT a, SUM(b) AS p FROM t GROUP BY a HAVING SUM(b) > (SELECT AVG(x) FROM u)"),
    Case("q_having_correlated", "SELECT a, COUNT(*) AS n FROM t GROUP BY a HAVING COUNT(*) >= (SELECT COUNT(*) FROM u "
         "WHERE u.a = t.a)"),
    Case("q_grouped_value", "SELECT a, COUNT(*) AS n, (SELECT MAX(c) FROM u WHERE u.a = t.a) AS p FROM t GROUP BY a"),
    Case("q_group_by", "SELECT (SELECT MAX(id) FROM k WHERE k.a = t.a) AS p, COUNT(*) AS n FROM t GROUP BY "
         "(SELECT MAX(id) FROM k WHERE k.a = t.a)",
         "SELECT p, count(*) FROM (SELECT (SELECT MAX(id) FROM k WHERE k.a = t.a) AS p FROM t) GROUP BY p"),
    Case("q_in_aggregate", "SELECT a, SUM(b + (SELECT COUNT(*) FROM k)) AS p FROM t GROUP BY a",
         "SELECT a, SUM(b + n) FROM t, (SELECT COUNT(*) AS n FROM k) GROUP BY a"),
    Case("q_in_aggregate_correlated", "SELECT a, SUM((SELECT COUNT(*) FROM u WHERE u.s = t.s)) AS p FROM t GROUP BY a",
         "SELECT a, SUM(n) FROM (SELECT a, (SELECT COUNT(*) FROM u WHERE u.s = t.s) AS n FROM t) GROUP BY a"),
    Case("q_order_by", "SELECT id, b FROM t ORDER BY (SELECT MAX(c) FROM u WHERE u.a = t.a), id, b LIMIT 3"),
    Case("q_derived", "SELECT id FROM t WHERE a IN (SELECT p FROM (SELECT u.a + 0 AS p, c FROM u) AS z "
         "WHERE z.c < t.b)"),
    Case("q_with", "WITH z AS (SELECT a, COUNT(*) AS n FROM u GROUP BY a) SELECT id FROM t WHERE b < "
         "(SELECT n FROM z WHERE z.a = t.a) OR a NOT IN (SELECT a FROM z)"),
    Case("q_distinct", "SELECT id, (SELECT COUNT(*) FROM (SELECT DISTINCT u.s FROM u WHERE u.a = t.a) "
         "AS z) AS p FROM t"),
    Case("q_window", "SELECT id FROM t WHERE b IN (SELECT r FROM (SELECT RANK() OVER (ORDER BY c) AS r, c FROM u "
         "WHERE u.a = t.a) AS z)"),
    Case("q_row_in", "SELECT id, (a, s) IN (SELECT a, s FROM u) AS p FROM t",
         "SELECT id, CASE WHEN EXISTS (SELECT 1 FROM u WHERE u.a = t.a AND u.s = t.s) THEN TRUE WHEN EXISTS (SELECT 1 "
         "FROM u WHERE (u.a = t.a OR u.a IS NULL OR t.a IS NULL) AND (u.s = t.s OR u.s IS NULL OR t.s IS NULL)) "
         "THEN NULL ELSE FALSE END FROM t"),
    Case("q_row_not_in", "SELECT id FROM t WHERE (a, b) NOT IN (SELECT a, c FROM u WHERE u.s = t.s)",
         "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.s = t.s AND (u.a = t.a OR u.a IS NULL OR t.a IS "
         "NULL) AND (u.c = t.b OR u.c IS NULL))"),
    Case("q_on", "SELECT t.id, u.c FROM t JOIN u ON t.a = u.a AND t.b > (SELECT COUNT(*) FROM k WHERE k.a = u.a)",
         "SELECT t.id, u.c FROM t JOIN u ON t.a = u.a WHERE t.b > (SELECT COUNT(*) FROM k WHERE k.a = u.a)"),
    Case("q_on_left", "SELECT t.id, u.c FROM t LEFT JOIN u ON t.a = u.a AND EXISTS (SELECT 1 FROM k WHERE k.s = t.s)",
         "SELECT t.id, u.c FROM (SELECT *, EXISTS (SELECT 1 FROM k WHERE k.s = t.s) AS e FROM t) AS t LEFT JOIN u "
         "ON t.a = u.a AND t.e"),
    Case("q_on_right", "SELECT t.id, u.c FROM t FULL JOIN u ON t.a = u.a AND u.c IN (SELECT id FROM k)",
         "SELECT t.id, u.c FROM t FULL JOIN (SELECT *, c IN (SELECT id FROM k) AS e FROM u) AS u ON t.a = u.a AND u.e"),
    Case("q_on_both", "SELECT t.id, u.c FROM t JOIN u ON t.s = u.s AND (SELECT COUNT(*) FROM k WHERE k.a = t.a "
         "OR k.a = u.a) > 1",
         "SELECT t.id, u.c FROM t JOIN u ON t.s = u.s WHERE (SELECT COUNT(*) FROM k WHERE k.a = t.a OR k.a = u.a) > 1"),
    Case("q_array", "SELECT id, ARRAY(SELECT u.s FROM u WHERE u.a = t.a ORDER BY u.s DESC) AS p FROM t",
         "SELECT id, coalesce((SELECT list(u.s ORDER BY u.s DESC NULLS LAST) FROM u WHERE u.a = t.a), []) FROM t"),
    Case("q_array_top", "SELECT id, ARRAY(SELECT c FROM u ORDER BY c LIMIT 3) AS p FROM t",
         "SELECT id, coalesce((SELECT list(c ORDER BY c) FROM (SELECT c FROM u ORDER BY c LIMIT 3)), []) FROM t"),
    Case("q_map", "SELECT id, CAST(MAP(SELECT c, s FROM u WHERE u.a = t.a) AS VARIANT) IS NULL AS p, "
         "CARDINALITY(MAP(SELECT c, s FROM u WHERE u.a = t.a)) AS q FROM t",
         "SELECT id, FALSE, (SELECT count(DISTINCT c) FROM u WHERE u.a = t.a) FROM t"),
    Case("q_lateral", "SELECT t.id, z.c FROM t, LATERAL (SELECT c FROM u WHERE u.a = t.a) AS z"),
    Case("q_lateral_left", "SELECT t.id, z.c FROM t LEFT JOIN LATERAL (SELECT c FROM u WHERE u.a = t.a AND u.c > 0) "
         "AS z ON TRUE"),
    Case("q_lateral_top", "SELECT t.id, z.c FROM t, LATERAL (SELECT c FROM u WHERE u.a = t.a ORDER BY c DESC LIMIT 2) "
         "AS z"),
    Case("q_lateral_count", "SELECT t.id, z.n FROM t, LATERAL (SELECT COUNT(*) AS n FROM u WHERE u.c > t.b) AS z"),
    Case("q_lateral_value", "SELECT t.id, z.p FROM t, LATERAL (SELECT t.a + t.b AS p) AS z"),
)  # fmt: skip
