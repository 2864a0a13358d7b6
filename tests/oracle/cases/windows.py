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
