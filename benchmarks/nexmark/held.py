"""What a query must remember, as queries: the size of their answers in Arrow's memory is what state is compared with.

Rows may be deleted and either side of a join may grow, so that any evaluation that does not read its input again must
hold (a) of the input rows of joins, top-k, windows over rows, MIN and MAX the columns that are used, after filters, and
(b) of each group of an aggregate or DISTINCT a row: its key, its counts, sums and the like. What follows from those is
not counted: rows of a join, places, the view's own rows; nor are weights, hashes and indexes. Text has offsets of four
bytes here (DuckDB's export), in the engine of eight.
"""

from __future__ import annotations

import duckdb

from benchmarks.nexmark.program import oracle_of

#: Rows of a batch of an answer whose size is taken.
ROWS = 500_000
_DAY = "CAST(date_time AS DATE)"
_OPEN_AUCTIONS = "SELECT id, {of_auction}, date_time, expires FROM auction"
_PRICES = "SELECT auction, price, date_time FROM bid"
_FINAL = """SELECT a.id, {of_auction}, MAX(b.price) AS final FROM auction a JOIN bid b ON a.id = b.auction
    WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY ALL"""
_WINDOW = "time_bucket(INTERVAL 10 SECONDS, date_time) AS window_start"
#: How many bids there are in each range of prices; their sum is known from them.
_RANGES = """COUNT(*) FILTER (price < 10000) AS low, COUNT(*) FILTER (price >= 10000 AND price < 1000000) AS middle,
    COUNT(*) FILTER (price >= 1000000) AS high"""
_COUNTED = """SELECT auction, COUNT(*) AS num, start + to_seconds(2 * back) AS window_start
    FROM (SELECT auction, time_bucket(INTERVAL 2 SECONDS, date_time) AS start FROM bid), range(-4, 1) b(back)
    GROUP BY ALL"""


def _distinct(group: str) -> tuple[str, ...]:
    """Of each group: its counts, and the counts of each bidder and each auction in it."""
    return tuple(f"SELECT {group}{more}, {_RANGES} FROM bid GROUP BY ALL" for more in ("", ", bidder", ", auction"))


#: By query; queries that are not here work on each row alone and hold nothing.
HELD: dict[str, tuple[str, ...]] = {
    "q3": (
        "SELECT id, seller FROM auction WHERE category = 10",
        "SELECT id, name, city, state FROM person WHERE state IN ('OR', 'ID', 'CA')",
    ),
    "q4": (
        _OPEN_AUCTIONS.format(of_auction="category"),
        _PRICES,
        _FINAL.format(of_auction="a.category"),
        "SELECT category, SUM(final)::BIGINT AS total, COUNT(*) AS n FROM "
        f"({_FINAL.format(of_auction='a.category')}) GROUP BY ALL",
    ),
    "q5": (_COUNTED, f"SELECT window_start, MAX(num) AS num FROM ({_COUNTED}) GROUP BY ALL"),
    "q6": (_OPEN_AUCTIONS.format(of_auction="seller"), _PRICES, _FINAL.format(of_auction="a.seller")),
    "q7": (
        "SELECT auction, price, bidder, date_time, extra FROM bid",
        f"SELECT {_WINDOW}, MAX(price) AS price FROM bid GROUP BY ALL",
    ),
    "q8": (
        f"SELECT id, name, {_WINDOW}, COUNT(*) AS n FROM person GROUP BY ALL",
        f"SELECT seller, {_WINDOW}, COUNT(*) AS n FROM auction GROUP BY ALL",
    ),
    "q9": ("FROM auction", "SELECT auction, bidder, price, date_time, extra FROM bid"),
    "q11": ("SELECT bidder, date_time FROM bid", oracle_of("q11")),
    "q12": (f"SELECT bidder, {_WINDOW}, COUNT(*) AS n FROM bid GROUP BY ALL",),
    "q13": ("SELECT auction, bidder, price, date_time FROM bid", "FROM side_input"),
    "q15": _distinct(_DAY),
    "q16": _distinct(f"channel, {_DAY}"),
    "q17": (
        f"SELECT auction, {_DAY}, price FROM bid",
        f"SELECT auction, {_DAY}, {_RANGES}, SUM(price)::BIGINT AS total, MIN(price) AS low_price, "
        "MAX(price) AS high_price FROM bid GROUP BY ALL",
    ),
    "q18": ("FROM bid",),
    "q19": ("FROM bid",),
    "q20": ("FROM bid", "FROM auction WHERE category = 10"),
}


def held_bytes(database: duckdb.DuckDBPyConnection, query: str) -> int:
    """Bytes of Arrow memory of the rows that the query must hold of the tables of the database."""
    return sum(int(b.nbytes) for sql in HELD.get(query, ()) for b in database.sql(sql).to_arrow_reader(ROWS))
