"""TUMBLE and HOP."""

from tests.oracle.harness import Case

_TUMBLE = "make_timestamp((epoch_us(ts) // 3600000000) * 3600000000)"

CASES = (
    Case("w_tumble", "SELECT a, ts, window_start, window_end "
         "FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(ts), INTERVAL 1 HOUR))",
         f"SELECT a, ts, {_TUMBLE}, {_TUMBLE} + INTERVAL 1 HOUR FROM u"),
    Case("w_tumble_group", "SELECT window_start, COUNT(*) AS n, SUM(c) AS p FROM TABLE(TUMBLE(DATA => TABLE u, "
         "TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '1' HOUR)) GROUP BY window_start",
         f"SELECT {_TUMBLE}, count(*), sum(c) FROM u GROUP BY 1"),
    Case("w_tumble_offset", "SELECT a, window_start FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(ts), INTERVAL 1 HOUR, "
         "INTERVAL 10 MINUTE))",
         "SELECT a, make_timestamp(((epoch_us(ts) - 600000000) // 3600000000) * 3600000000 + 600000000) FROM u"),
    Case("w_hop", "SELECT a, window_start, window_end FROM TABLE(HOP(TABLE u, DESCRIPTOR(ts), INTERVAL 20 MINUTE, "
         "INTERVAL 1 HOUR))",
         "SELECT a, st, st + INTERVAL 1 HOUR FROM (SELECT a, make_timestamp((epoch_us(ts) // 1200000000 - i) * "
         "1200000000) AS st FROM u, (VALUES (0), (1), (2)) AS g(i))"),
    Case("w_hop_group", "SELECT window_start, s, MAX(c) AS p FROM TABLE(HOP(TABLE u, DESCRIPTOR(ts), INTERVAL 30 "
         "MINUTE, INTERVAL 1 HOUR)) GROUP BY window_start, s",
         "SELECT st, s, max(c) FROM (SELECT s, c, make_timestamp((epoch_us(ts) // 1800000000 - i) * 1800000000) AS st "
         "FROM u, (VALUES (0), (1)) AS g(i)) GROUP BY 1, 2"),
    Case("w_tumble_query", "SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE((SELECT ts FROM u WHERE c > 0), "
         "DESCRIPTOR(ts), INTERVAL 1 HOUR)) GROUP BY window_start",
         f"SELECT {_TUMBLE}, count(*) FROM u WHERE c > 0 GROUP BY 1"),
)  # fmt: skip

_RANGE = "RANGE BETWEEN INTERVAL 30 MINUTE PRECEDING AND INTERVAL 5 MINUTE FOLLOWING"
_SESSION = (
    "SELECT a, ts, min(ts) OVER q, max(ts) OVER q + INTERVAL 40 MINUTE FROM (SELECT *, sum(n) OVER (PARTITION BY {0} "
    "ORDER BY ts) AS i FROM (SELECT *, CASE WHEN ts - lag(ts) OVER (PARTITION BY {0} ORDER BY ts) < INTERVAL 40 MINUTE "
    "THEN 0 ELSE 1 END AS n FROM u)) WINDOW q AS (PARTITION BY {0}, i)"
)

CASES += (
    Case("o_ranks", "SELECT a, s, id, RANK() OVER (PARTITION BY a ORDER BY s) r, "
         "DENSE_RANK() OVER (PARTITION BY a ORDER BY s) d FROM t"),
    Case("o_row_number", "SELECT a, id, b, ROW_NUMBER() OVER (PARTITION BY a ORDER BY b DESC, id, s, x, m, d, ts, f) r "
         "FROM t"),
    Case("o_lag", "SELECT id, p, LAG(o) OVER (PARTITION BY p ORDER BY id, o) v, "
         "LEAD(o, 2, id) OVER (PARTITION BY p ORDER BY id, o) n FROM w"),
    Case("o_whole", "SELECT id, a, SUM(b) OVER (PARTITION BY a) s, COUNT(*) OVER () n, MAX(s) OVER (PARTITION BY a) m, "
         "COUNT(DISTINCT b) OVER (PARTITION BY a) c FROM t"),
    Case("o_running", "SELECT p, id, SUM(o) OVER (PARTITION BY p ORDER BY id) s, COUNT(*) OVER (PARTITION BY p "
         "ORDER BY id DESC) n, MIN(o) OVER (PARTITION BY p ORDER BY id) m FROM w"),
    Case("o_range", f"SELECT a, ts, c, SUM(c) OVER (PARTITION BY a ORDER BY ts {_RANGE}) s, "
         f"COUNT(c) OVER (PARTITION BY a ORDER BY ts {_RANGE}) n, MAX(s) OVER (PARTITION BY a ORDER BY ts {_RANGE}) x "
         "FROM u"),
    Case("o_range_down", "SELECT id, o, SUM(o) OVER (ORDER BY id DESC RANGE BETWEEN 3 PRECEDING AND 1 PRECEDING) s "
         "FROM w"),
    Case("o_rows", "SELECT id, o, SUM(o) OVER (ORDER BY id, p, o ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) s, "
         "MAX(o) OVER (ORDER BY id, p, o ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING) m FROM w"),
    Case("o_edges", "SELECT p, id, FIRST_VALUE(o) OVER (PARTITION BY p ORDER BY id, o) f, LAST_VALUE(o) OVER ("
         "PARTITION BY p ORDER BY id, o RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) l FROM w"),
    Case("o_grouped", "SELECT a, SUM(b) AS t, RANK() OVER (ORDER BY SUM(b) DESC) r, SUM(COUNT(*)) OVER () n "
         "FROM t GROUP BY a"),
    Case("o_qualify", "SELECT id, p, o FROM w QUALIFY ROW_NUMBER() OVER (PARTITION BY p ORDER BY o DESC, id) <= 2"),
    Case("o_top_rank", "SELECT * FROM (SELECT id, p, o, RANK() OVER (PARTITION BY p ORDER BY o) AS r FROM w) "
         "WHERE r <= 2"),
    Case("o_top_dense", "SELECT id, p, o FROM (SELECT *, DENSE_RANK() OVER (PARTITION BY p ORDER BY o DESC) AS r "
         "FROM w) WHERE r < 3 AND id > 1"),
    Case("o_second", "SELECT id, p, o, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY p ORDER BY o, id) AS n "
         "FROM w) WHERE n = 2"),
    Case("o_named", "SELECT id, SUM(o) OVER q s, COUNT(*) OVER q n FROM w WINDOW q AS (PARTITION BY p ORDER BY id)"),
    Case("o_session", "SELECT a, ts, window_start, window_end FROM TABLE(SESSION(TABLE u, DESCRIPTOR(ts), "
         "DESCRIPTOR(a), INTERVAL 40 MINUTE))", _SESSION.format("a")),
    Case("o_session_all", "SELECT a, ts, window_start, window_end FROM TABLE(SESSION(TABLE u, DESCRIPTOR(ts), "
         "INTERVAL 18 MINUTE))", _SESSION.format("1").replace("40", "18")),
    Case("o_share", "SELECT id, m, m / NULLIF(SUM(m) OVER (PARTITION BY a), 0) IS NULL AS z FROM t"),
)  # fmt: skip
