"""DISTINCT, UNION, EXCEPT, INTERSECT."""

from tests.oracle.harness import Case

CASES = (
    Case("s_distinct", "SELECT DISTINCT a, s FROM t"),
    Case("s_distinct_expression", "SELECT DISTINCT a % 2 AS p FROM t"),
    Case("s_distinct_star", "SELECT DISTINCT * FROM u"),
    Case("s_union_all", "SELECT a, s FROM t UNION ALL SELECT a, s FROM u"),
    Case("s_union", "SELECT a, s FROM t UNION SELECT a, s FROM u"),
    Case("s_union_same", "SELECT a FROM t UNION ALL SELECT a FROM t"),
    Case("s_union_three", "SELECT a FROM t UNION ALL SELECT a FROM u UNION ALL SELECT a FROM k"),
    Case("s_union_types", "SELECT a FROM t UNION ALL SELECT c FROM u UNION SELECT b FROM t"),
    Case("s_union_decimal", "SELECT m FROM t UNION ALL SELECT m FROM u"),
    Case("s_union_double", "SELECT x FROM t UNION ALL SELECT a FROM u"),
    Case("s_union_null", "SELECT a, NULL AS p FROM t UNION ALL SELECT a, c FROM u"),
    Case("s_except", "SELECT a, s FROM t EXCEPT SELECT a, s FROM u"),
    Case("s_except_all", "SELECT a FROM t EXCEPT ALL SELECT a FROM u"),
    Case("s_intersect", "SELECT a, s FROM t INTERSECT SELECT a, s FROM u"),
    Case("s_intersect_all", "SELECT a FROM t INTERSECT ALL SELECT a FROM u"),
    Case("s_minus", "SELECT a FROM t MINUS SELECT a FROM k", "SELECT a FROM t EXCEPT SELECT a FROM k"),
    Case("s_precedence", "SELECT a FROM t UNION SELECT a FROM u INTERSECT SELECT a FROM k"),
    Case("s_parentheses", "(SELECT a FROM t UNION SELECT a FROM u) EXCEPT (SELECT a FROM k WHERE a > 0)"),
    Case("s_filtered", "SELECT p FROM (SELECT a AS p FROM t UNION ALL SELECT c FROM u) AS z WHERE p > 0"),
    Case("s_filtered_guard", "SELECT 12 / p AS q FROM (SELECT a AS p FROM t WHERE a > 0 UNION ALL SELECT c FROM u "
         "WHERE c > 0) AS z WHERE 12 / p > 3",
         "SELECT 12 // p FROM (SELECT a AS p FROM t WHERE a > 0 UNION ALL SELECT c FROM u WHERE c > 0) AS z "
         "WHERE 12 // p > 3"),
    Case("s_filtered_except", "SELECT p FROM (SELECT a AS p FROM t EXCEPT SELECT c FROM u) AS z WHERE p > 0"),
    Case("s_values", "SELECT a FROM t UNION VALUES (1), (77)",
         "SELECT a FROM t UNION SELECT * FROM (VALUES (1), (77))"),
    Case("s_distinct_of_join", "SELECT DISTINCT t.a, u.s FROM t JOIN u ON t.a = u.a"),
)  # fmt: skip
