"""ORDER BY with LIMIT and OFFSET, DISTINCT ON. Ties are broken by all columns in both engines."""

from tests.oracle.harness import Case

CASES = (
    Case("o_limit", "SELECT b, id, a FROM t ORDER BY b LIMIT 3", "SELECT b, id, a FROM t ORDER BY b, id, a LIMIT 3"),
    Case("o_descending", "SELECT a, id FROM t ORDER BY a DESC LIMIT 4",
         "SELECT a, id FROM t ORDER BY a DESC, id LIMIT 4"),
    Case("o_nulls_first", "SELECT a, id FROM t ORDER BY a DESC NULLS FIRST LIMIT 4",
         "SELECT a, id FROM t ORDER BY a DESC NULLS FIRST, id LIMIT 4"),
    Case("o_nulls_last", "SELECT a, id FROM t ORDER BY a NULLS LAST LIMIT 4",
         "SELECT a, id FROM t ORDER BY a NULLS LAST, id LIMIT 4"),
    Case("o_two_keys", "SELECT s, x, id FROM t ORDER BY s DESC, x LIMIT 5",
         "SELECT s, x, id FROM t ORDER BY s DESC, x, id LIMIT 5"),
    Case("o_offset", "SELECT id, b FROM t ORDER BY id, b LIMIT 3 OFFSET 2"),
    Case("o_offset_only", "SELECT id, b FROM t ORDER BY id, b OFFSET 2 ROWS"),
    Case("o_fetch", "SELECT id, b FROM t ORDER BY id, b FETCH FIRST 2 ROWS ONLY"),
    Case("o_ordinal", "SELECT b, id FROM t ORDER BY 1 DESC, 2 LIMIT 3"),
    Case("o_alias", "SELECT a + 1 AS p, id FROM t ORDER BY p, id LIMIT 3"),
    Case("o_hidden", "SELECT id FROM t ORDER BY b, id LIMIT 3"),
    Case("o_expression", "SELECT id, b FROM t ORDER BY b * b, id, b LIMIT 4"),
    Case("o_grouped", "SELECT s, COUNT(*) AS n FROM t GROUP BY s ORDER BY COUNT(*) DESC, s LIMIT 2"),
    Case("o_grouped_hidden", "SELECT s FROM t GROUP BY s ORDER BY MAX(id) DESC, s LIMIT 2"),
    Case("o_distinct", "SELECT DISTINCT a FROM t ORDER BY a DESC LIMIT 2"),
    Case("o_union", "SELECT a FROM t UNION ALL SELECT c FROM u ORDER BY 1 LIMIT 4"),
    Case("o_without_limit", "SELECT a, s FROM t ORDER BY a"),
    Case("o_all", "SELECT a, s, id FROM t ORDER BY ALL LIMIT 3", "SELECT a, s, id FROM t ORDER BY a, s, id LIMIT 3"),
    Case("o_nested", "SELECT p.id, u.c FROM (SELECT id, a FROM t ORDER BY id, a LIMIT 3) AS p JOIN u ON p.a = u.a"),
    Case("o_filtered", "SELECT id FROM (SELECT id, a FROM t ORDER BY id, a LIMIT 4) AS p WHERE a > 0"),
    Case("o_zero", "SELECT id FROM t ORDER BY id LIMIT 0"),
    Case("o_distinct_on", "SELECT DISTINCT ON (a) a, b, id FROM t ORDER BY a, b DESC",
         "SELECT DISTINCT ON (a) a, b, id FROM t ORDER BY a, b DESC, id"),
    Case("o_keyed", "SELECT s, id FROM k ORDER BY s DESC, id LIMIT 2"),
)  # fmt: skip
