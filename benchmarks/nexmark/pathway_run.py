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
DAY = 86_400_000_000


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


def q8(t: Tables) -> pw.Table:
    persons = t["person"].select(pw.this.key, pw.this.name, start=pw.this.date_time // TEN_SECONDS * TEN_SECONDS)
    persons = persons.groupby(pw.this.key, pw.this.name, pw.this.start).reduce(pw.this.key, pw.this.name, pw.this.start)
    sellers = t["auction"].select(pw.this.seller, start=pw.this.date_time // TEN_SECONDS * TEN_SECONDS)
    sellers = sellers.groupby(pw.this.seller, pw.this.start).reduce(pw.this.seller, pw.this.start)
    joined = persons.join(sellers, pw.left.key == pw.right.seller, pw.left.start == pw.right.start)
    return joined.select(pw.left.key, pw.left.name, window_start=pw.left.start)


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
    "q2": (("bid",), q2),
    "q3": (("auction", "person"), q3),
    "q4": (("auction", "bid"), q4),
    "q8": (("person", "auction"), q8),
    "q12": (("bid",), q12),
    "q13": (("bid", "side_input"), q13),
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
