"""Pathway in the engine's place. Runs in an environment of its own (benchmarks/rivals.lock), without Millstream.

`python pathway_run.py QUERY FOLDER [--output FILE]` reads `<kind>.csv` from FOLDER, the fastest of Pathway's inputs
here (rows handed over from Python are six times slower); times are microseconds as integers, and `id`, which is
Pathway's own, is called `key`. Prints the seconds of the
run as JSON; the query "read:KINDS" only reads. With `--output` the result is written, for a check, instead of counted.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import pathway as pw

TEN_SECONDS = 10_000_000
HOUR = 3_600_000_000
DAY = 24 * HOUR


class Person(pw.Schema):
    key: int
    name: str
    city: str
    state: str
    date_time: int


class Auction(pw.Schema):
    key: int
    item_name: str
    description: str
    initial_bid: int
    reserve: int
    date_time: int
    expires: int
    seller: int
    category: int
    extra: str


class Bid(pw.Schema):
    auction: int
    bidder: int
    price: int
    channel: str
    url: str
    date_time: int
    extra: str


class SideInput(pw.Schema):
    key: int
    label: str


SCHEMAS = {"person": Person, "auction": Auction, "bid": Bid, "side_input": SideInput}
Tables = dict[str, pw.Table]


def q0(t: Tables) -> pw.Table:
    return t["bid"].select(*pw.this)


def q1(t: Tables) -> pw.Table:
    names = (pw.this.auction, pw.this.bidder, pw.this.date_time, pw.this.extra)
    return t["bid"].select(*names, price=pw.this.price * 89 // 100)


def q2(t: Tables) -> pw.Table:
    return t["bid"].filter(pw.this.auction % 123 == 0).select(pw.this.auction, pw.this.price)


def q3(t: Tables) -> pw.Table:
    auctions = t["auction"].filter(pw.this.category == 10)
    states = (pw.this.state == "OR") | (pw.this.state == "ID") | (pw.this.state == "CA")
    persons = t["person"].filter(states)
    joined = auctions.join(persons, pw.left.seller == pw.right.key)
    return joined.select(pw.right.name, pw.right.city, pw.right.state, key=pw.left.key)


def _open_bids(t: Tables) -> pw.Table:
    joined = t["auction"].join(t["bid"], pw.left.key == pw.right.auction)
    bids = joined.select(
        pw.left.key, pw.left.category, pw.left.seller, pw.right.price, pw.left.expires,
        opened=pw.left.date_time, bid_at=pw.right.date_time,
    )  # fmt: skip
    return bids.filter((pw.this.bid_at >= pw.this.opened) & (pw.this.bid_at <= pw.this.expires))


def q4(t: Tables) -> pw.Table:
    best = _open_bids(t).groupby(pw.this.key, pw.this.category)
    final = best.reduce(pw.this.category, final=pw.reducers.max(pw.this.price))
    sums = final.groupby(pw.this.category).reduce(
        pw.this.category, total=pw.reducers.sum(pw.this.final), n=pw.reducers.count()
    )
    return sums.select(pw.this.category, average=pw.this.total // pw.this.n)


def q5(t: Tables) -> pw.Table:
    sliding = pw.temporal.sliding(hop=TEN_SECONDS // 5, duration=TEN_SECONDS)
    windows = t["bid"].windowby(pw.this.date_time, window=sliding, instance=pw.this.auction)
    counted = windows.reduce(
        auction=pw.this._pw_instance, num=pw.reducers.count(),
        window_start=pw.this._pw_window_start, window_end=pw.this._pw_window_end,
    )  # fmt: skip
    most = counted.groupby(pw.this.window_start).reduce(pw.this.window_start, num=pw.reducers.max(pw.this.num))
    joined = counted.join(most, pw.left.window_start == pw.right.window_start, pw.left.num == pw.right.num)
    return joined.select(pw.left.auction, pw.left.num, pw.left.window_start, pw.left.window_end)


def q7(t: Tables) -> pw.Table:
    bids = t["bid"].with_columns(start=pw.this.date_time // TEN_SECONDS * TEN_SECONDS)
    highest = bids.groupby(pw.this.start).reduce(pw.this.start, price=pw.reducers.max(pw.this.price))
    joined = bids.join(highest, pw.left.start == pw.right.start, pw.left.price == pw.right.price)
    return joined.select(pw.left.auction, pw.left.price, pw.left.bidder, pw.left.date_time, pw.left.extra)


def q8(t: Tables) -> pw.Table:
    persons = t["person"].select(pw.this.key, pw.this.name, start=pw.this.date_time // TEN_SECONDS * TEN_SECONDS)
    persons = persons.groupby(pw.this.key, pw.this.name, pw.this.start).reduce(pw.this.key, pw.this.name, pw.this.start)
    sellers = t["auction"].select(pw.this.seller, start=pw.this.date_time // TEN_SECONDS * TEN_SECONDS)
    sellers = sellers.groupby(pw.this.seller, pw.this.start).reduce(pw.this.seller, pw.this.start)
    joined = persons.join(sellers, pw.left.key == pw.right.seller, pw.left.start == pw.right.start)
    return joined.select(pw.left.key, pw.left.name, window_start=pw.left.start)


def q9(t: Tables) -> pw.Table:
    joined = t["auction"].join(t["bid"], pw.left.key == pw.right.auction)
    bids = joined.select(
        pw.left.key, pw.left.item_name, pw.left.description, pw.left.initial_bid, pw.left.reserve, pw.left.date_time,
        pw.left.expires, pw.left.seller, pw.left.category, pw.left.extra, pw.right.auction, pw.right.bidder,
        pw.right.price, bid_date_time=pw.right.date_time, bid_extra=pw.right.extra,
    )  # fmt: skip
    bids = bids.filter((pw.this.bid_date_time >= pw.this.date_time) & (pw.this.bid_date_time <= pw.this.expires))
    best = pw.reducers.argmax(pw.make_tuple(pw.this.price, -pw.this.bid_date_time))
    rows = bids.groupby(pw.this.key).reduce(row=best)
    found = bids.ix(rows.row)
    return rows.select(**{name: found[name] for name in bids.column_names()})


def q11(t: Tables) -> pw.Table:
    session = pw.temporal.session(max_gap=TEN_SECONDS)
    windows = t["bid"].windowby(pw.this.date_time, window=session, instance=pw.this.bidder)
    made = windows.reduce(
        bidder=pw.this._pw_instance, bid_count=pw.reducers.count(),
        window_start=pw.this._pw_window_start, last=pw.this._pw_window_end,
    )  # fmt: skip
    return made.select(pw.this.bidder, pw.this.bid_count, pw.this.window_start, window_end=pw.this.last + TEN_SECONDS)


def q12(t: Tables) -> pw.Table:
    bids = t["bid"].select(pw.this.bidder, start=pw.this.date_time // TEN_SECONDS * TEN_SECONDS)
    counted = bids.groupby(pw.this.bidder, pw.this.start).reduce(
        pw.this.bidder, pw.this.start, bid_count=pw.reducers.count()
    )
    return counted.select(
        pw.this.bidder, pw.this.bid_count, window_start=pw.this.start, window_end=pw.this.start + TEN_SECONDS
    )


def q13(t: Tables) -> pw.Table:
    bids = t["bid"].with_columns(side=pw.this.auction % 10000)
    joined = bids.join(t["side_input"], pw.left.side == pw.right.key)
    return joined.select(pw.left.auction, pw.left.bidder, pw.left.price, pw.left.date_time, pw.right.label)


def q14(t: Tables) -> pw.Table:
    hour = pw.this.date_time // HOUR % 24
    kind = pw.if_else(
        (hour >= 8) & (hour <= 18), "dayTime", pw.if_else((hour <= 6) | (hour >= 20), "nightTime", "otherTime")
    )
    bids = t["bid"].select(
        pw.this.auction, pw.this.bidder, pw.this.date_time, pw.this.extra,
        price=pw.this.price * 89 // 100, bid_time_type=kind,
        c_counts=pw.this.extra.str.len() - pw.this.extra.str.replace("c", "").str.len(),
    )  # fmt: skip
    return bids.filter((pw.this.price > 1000000) & (pw.this.price < 50000000))


def _distinct_counts(t: Tables, *groups: str) -> pw.Table:
    """q15 and q16. Those whom a FILTER leaves out are nobody (0, which is no id), who is not counted."""
    low, high = pw.this.price < 10000, pw.this.price >= 1000000
    ranks = {"rank1": low, "rank2": ~low & ~high, "rank3": high}
    flags = {name: pw.if_else(condition, 1, 0) for name, condition in ranks.items()}
    bids = t["bid"].with_columns(bid_day=pw.this.date_time // DAY * DAY, **flags)
    some = {f"{rank}_{who}": bids[who] * bids[rank] for rank in ranks for who in ("bidder", "auction")}
    bids = bids.with_columns(**some)
    counts = {f"{rank}_bids": pw.reducers.sum(bids[rank]) for rank in ranks}
    distinct = {f"{name}s": pw.reducers.count_distinct(bids[name]) for name in some}
    totals = {f"total_{who}s": pw.reducers.count_distinct(bids[who]) for who in ("bidder", "auction")}
    keys = [bids[name] for name in groups]
    made = bids.groupby(*keys).reduce(*keys, total_bids=pw.reducers.count(), **counts, **totals, **distinct)
    corrected = {name: made[name] - pw.if_else(made[f"{name[:5]}_bids"] < made.total_bids, 1, 0) for name in distinct}
    return made.select(*(made[name] for name in (*groups, "total_bids", *counts, *totals)), **corrected)


def q15(t: Tables) -> pw.Table:
    return _distinct_counts(t, "bid_day")


def q16(t: Tables) -> pw.Table:
    return _distinct_counts(t, "channel", "bid_day")


def q17(t: Tables) -> pw.Table:
    one = pw.if_else
    bids = t["bid"].select(
        pw.this.auction, pw.this.price, day=pw.this.date_time // DAY * DAY,
        low=one(pw.this.price < 10000, 1, 0),
        middle=one((pw.this.price >= 10000) & (pw.this.price < 1000000), 1, 0),
        high=one(pw.this.price >= 1000000, 1, 0),
    )  # fmt: skip
    made = bids.groupby(pw.this.auction, pw.this.day).reduce(
        pw.this.auction, bid_day=pw.this.day, total_bids=pw.reducers.count(),
        rank1_bids=pw.reducers.sum(pw.this.low), rank2_bids=pw.reducers.sum(pw.this.middle),
        rank3_bids=pw.reducers.sum(pw.this.high), min_price=pw.reducers.min(pw.this.price),
        max_price=pw.reducers.max(pw.this.price), sum_price=pw.reducers.sum(pw.this.price),
    )  # fmt: skip
    return made.select(
        *[made[name] for name in ("auction", "bid_day", "total_bids", "rank1_bids", "rank2_bids", "rank3_bids")],
        pw.this.min_price, pw.this.max_price, avg_price=pw.this.sum_price // pw.this.total_bids,
        sum_price=pw.this.sum_price,
    )  # fmt: skip


def q18(t: Tables) -> pw.Table:
    last = t["bid"].groupby(pw.this.bidder, pw.this.auction).reduce(row=pw.reducers.argmax(pw.this.date_time))
    found = t["bid"].ix(last.row)
    names = ("auction", "bidder", "price", "channel", "url", "date_time", "extra")
    return last.select(**{name: found[name] for name in names})


def q20(t: Tables) -> pw.Table:
    auctions = t["auction"].filter(pw.this.category == 10)
    joined = t["bid"].join(auctions, pw.left.auction == pw.right.key)
    return joined.select(
        pw.left.auction, pw.left.bidder, pw.left.price, pw.left.channel, pw.left.url, pw.left.date_time,
        pw.left.extra, pw.right.item_name, pw.right.description, pw.right.initial_bid, pw.right.reserve,
        auction_date_time=pw.right.date_time, expires=pw.right.expires, seller=pw.right.seller,
        category=pw.right.category, auction_extra=pw.right.extra,
    )  # fmt: skip


QUERIES: dict[str, tuple[tuple[str, ...], Callable[[Tables], pw.Table]]] = {
    "q0": (("bid",), q0),
    "q1": (("bid",), q1),
    "q2": (("bid",), q2),
    "q3": (("auction", "person"), q3),
    "q4": (("auction", "bid"), q4),
    "q5": (("bid",), q5),
    "q7": (("bid",), q7),
    "q8": (("person", "auction"), q8),
    "q9": (("auction", "bid"), q9),
    "q11": (("bid",), q11),
    "q12": (("bid",), q12),
    "q13": (("bid", "side_input"), q13),
    "q14": (("bid",), q14),
    "q15": (("bid",), q15),
    "q16": (("bid",), q16),
    "q17": (("bid",), q17),
    "q18": (("bid",), q18),
    "q20": (("bid", "auction"), q20),
}


def main() -> None:
    """Run one query over the files of a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("query")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    only_read = arguments.query.startswith("read:")
    kinds = arguments.query.removeprefix("read:").split(",") if only_read else QUERIES[arguments.query][0]
    tables = {k: pw.io.csv.read(arguments.folder / f"{k}.csv", schema=SCHEMAS[k], mode="static") for k in kinds}
    results = list(tables.values()) if only_read else [QUERIES[arguments.query][1](tables)]
    for result in results:
        if arguments.output:
            pw.io.csv.write(result, arguments.output)
        else:
            pw.io.null.write(result)
    begin = time.perf_counter()
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    print(json.dumps({"seconds": time.perf_counter() - begin, "version": pw.__version__}))


if __name__ == "__main__":
    main()
