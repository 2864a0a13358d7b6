"""GROUP BY, HAVING, aggregate functions with DISTINCT and FILTER."""

from tests.oracle.harness import Case

CASES = (
    Case("g_count", "SELECT a, COUNT(*) AS n, COUNT(s) AS p, COUNT(DISTINCT s) AS q FROM t GROUP BY a"),
    Case("g_sum", "SELECT a, SUM(b) AS p, SUM(x) AS q, SUM(m) AS r FROM t GROUP BY a"),
    Case("g_sum_distinct", "SELECT a, SUM(DISTINCT b) AS p, SUM(DISTINCT m) AS q FROM t GROUP BY a"),
    Case("g_avg", "SELECT a, AVG(x) AS p FROM t GROUP BY a"),
    Case("g_avg_integer", "SELECT a, AVG(b) AS p FROM t GROUP BY a", "SELECT a, trunc(avg(b)) FROM t GROUP BY a"),
    Case("g_avg_decimal", "SELECT a, AVG(m) AS p FROM t GROUP BY a",
         "SELECT a, CAST((CAST(sum(m) * 100 AS BIGINT) // count(m)) AS DECIMAL(18, 2)) / 100 FROM t GROUP BY a"),
    Case("g_min_max", "SELECT a, MIN(b) AS p, MAX(b) AS q, MIN(s) AS r, MAX(s) AS v FROM t GROUP BY a"),
    Case("g_min_max_kinds", "SELECT a, MIN(x) AS p, MAX(m) AS q, MIN(d) AS r, MAX(ts) AS v FROM t GROUP BY a"),
    Case("g_min_booleans", "SELECT a, MIN(f) AS p, MAX(f) AS q FROM t GROUP BY a"),
    Case("g_filter", "SELECT a, COUNT(*) FILTER (WHERE b > 0) AS p, SUM(b) FILTER (WHERE f) AS q, "
         "MAX(s) FILTER (WHERE s <> 'b') AS r FROM t GROUP BY a"),
    Case("g_filter_distinct", "SELECT a, COUNT(DISTINCT s) FILTER (WHERE b > 0) AS p FROM t GROUP BY a"),
    Case("g_count_two", "SELECT a, COUNT(DISTINCT (s, b)) AS p FROM t WHERE s IS NOT NULL GROUP BY a",
         "SELECT a, count(DISTINCT (s, b)) FROM t WHERE s IS NOT NULL GROUP BY a"),
    Case("g_global", "SELECT COUNT(*) AS n, SUM(b) AS p, MIN(s) AS q, MAX(x) AS r FROM t"),
    Case("g_global_filtered", "SELECT COUNT(*) AS n, SUM(b) AS p FROM t WHERE a > 1"),
    Case("g_global_having", "SELECT COUNT(*) AS n FROM t HAVING COUNT(*) > 3"),
    Case("g_having", "SELECT s, COUNT(*) AS n FROM t GROUP BY s HAVING COUNT(*) > 1 AND MAX(b) > 0"),
    Case("g_having_alias", "SELECT s, COUNT(*) AS n FROM t GROUP BY s HAVING n > 1"),
    Case("g_two_keys", "SELECT a, s, COUNT(*) AS n FROM t GROUP BY a, s"),
    Case("g_expression_key", "SELECT a % 2 AS p, SUM(b) AS q FROM t GROUP BY a % 2"),
    Case("g_alias_key", "SELECT COALESCE(a, 0) AS p, COUNT(*) AS n FROM t GROUP BY p"),
    Case("g_ordinal", "SELECT UPPER(s) AS p, f, COUNT(*) AS n FROM t GROUP BY 1, 2"),
    Case("g_all", "SELECT a, f, COUNT(*) AS n FROM t GROUP BY ALL"),
    Case("g_key_only", "SELECT a FROM t GROUP BY a"),
    Case("g_key_not_shown", "SELECT COUNT(*) AS n FROM t GROUP BY a"),
    Case("g_empty_group", "SELECT COUNT(*) AS n FROM t GROUP BY ()", "SELECT count(*) FROM t"),
    Case("g_expression_over", "SELECT a + 1 AS p, SUM(b) * 2 + COUNT(*) AS q FROM t GROUP BY a"),
    Case("g_aggregate_of_expression", "SELECT a, SUM(b * 2 + 1) AS p, MAX(s || '!') AS q FROM t GROUP BY a"),
    Case("g_case_aggregate", "SELECT a, SUM(CASE WHEN b > 0 THEN 1 ELSE 0 END) AS p FROM t GROUP BY a"),
    Case("g_nested", "SELECT n, COUNT(*) AS p FROM (SELECT a, COUNT(*) AS n FROM t GROUP BY a) AS z GROUP BY n"),
    Case("g_join", "SELECT u.s, COUNT(*) AS n, SUM(t.b) AS p FROM t JOIN u ON t.a = u.a GROUP BY u.s"),
    Case("g_left_join", "SELECT k.id, COUNT(u.c) AS n, SUM(u.c) AS p FROM k LEFT JOIN u ON k.a = u.a GROUP BY k.id"),
    Case("g_keyed", "SELECT a, MAX(s) AS p, COUNT(*) AS n FROM k GROUP BY a"),
    Case("g_append_only", "SELECT p, MIN(o) AS q, MAX(o) AS r, COUNT(*) AS n FROM w GROUP BY p"),
    Case("g_booleans", "SELECT a, EVERY(b > 0) AS p, SOME(b > 0) AS q, COUNTIF(b > 0) AS r FROM t GROUP BY a",
         "SELECT a, bool_and(b > 0), bool_or(b > 0), count(*) FILTER (WHERE b > 0) FROM t GROUP BY a"),
    Case("g_bits", "SELECT a, BIT_AND(b) AS p, BIT_OR(b) AS q, BIT_XOR(b) AS r FROM t GROUP BY a"),
    Case("g_variance", "SELECT a, STDDEV_POP(x) AS p, VAR_SAMP(x) AS q FROM t WHERE x < 1000 GROUP BY a"),
    Case("g_times", "SELECT DATE_TRUNC(ts, HOUR) AS h, COUNT(*) AS n FROM t GROUP BY DATE_TRUNC(ts, HOUR)",
         "SELECT date_trunc('hour', ts), count(*) FROM t GROUP BY ALL"),
    Case("g_arrays", "SELECT a, ARRAY_AGG(s) AS p, ARRAY_AGG(DISTINCT s) AS q FROM t GROUP BY a",
         "SELECT a, list(s ORDER BY s), list(DISTINCT s ORDER BY s) FROM t GROUP BY a"),
    Case("g_sorted_arrays", "SELECT a, ARRAY_AGG(s ORDER BY s DESC) AS p, ARRAY_AGG(b ORDER BY s DESC NULLS FIRST, "
         "b) AS q, ARRAY_AGG(DISTINCT s ORDER BY s NULLS LAST) AS r FROM t GROUP BY a",
         "SELECT a, list(s ORDER BY s DESC NULLS LAST), list(b ORDER BY s DESC NULLS FIRST, b), "
         "list(DISTINCT s ORDER BY s NULLS LAST) FROM t GROUP BY a"),
    Case("g_arrays_without_nulls", "SELECT a, ARRAY_AGG(s IGNORE NULLS ORDER BY s) AS p, "
         "ARRAY_AGG(b ORDER BY b) FILTER (WHERE f) AS q FROM t GROUP BY a",
         "SELECT a, coalesce(list(s ORDER BY s) FILTER (WHERE s IS NOT NULL), []), "
         "coalesce(list(b ORDER BY b) FILTER (WHERE f), []) FROM t GROUP BY a"),
    Case("g_within", "SELECT a, SUM(b) WITHIN DISTINCT (b, s) AS p, COUNT(*) WITHIN DISTINCT (s) AS q, "
         "SUM(b) WITHIN DISTINCT (b) FILTER (WHERE f) AS r FROM t GROUP BY a",
         "SELECT a, (SELECT sum(z.b) FROM (SELECT DISTINCT v.b, v.s FROM t AS v WHERE v.a IS NOT DISTINCT FROM t.a) "
         "AS z), count(DISTINCT s) + max(CASE WHEN s IS NULL THEN 1 ELSE 0 END), sum(DISTINCT b) FILTER (WHERE f) "
         "FROM t GROUP BY a"),
    Case("g_distinct_rows", "SELECT DISTINCT a, COUNT(*) AS n FROM t GROUP BY a, s"),
)  # fmt: skip
