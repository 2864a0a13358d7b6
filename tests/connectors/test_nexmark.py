"""`nexmark`: proportions, references between the tables, determinism, and three connectors as one stream."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.connectors import build_input
from millstream.connectors.nexmark import NexmarkInput
from millstream.connectors.nexmark.model import COLUMNS, KINDS, columns_of
from millstream.connectors.nexmark.texts import HOT_CHANNELS, STATES
from millstream.errors import MillstreamError
from millstream.types import Relation
from millstream.types import sql_type as t

from .nexmark_support import TABLES
from .support import MemorySink, quick, relation

EVENTS = 50_000


@pytest.fixture(scope="module")
def events() -> dict[str, dict[str, Any]]:
    """All columns of the first events by table and name, as numpy arrays."""
    made: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        columns = columns_of(kind, 0, EVENTS)
        for column, declared in zip(columns, COLUMNS[kind], strict=True):
            column.validate(full=True)
            assert column.type == declared.type
            assert column.null_count == 0
        named = zip(COLUMNS[kind], columns, strict=True)
        made[kind] = {declared.name: column.to_numpy(zero_copy_only=False) for declared, column in named}
    return made


def test_proportions(events: dict[str, dict[str, Any]]) -> None:
    counts = [len(next(iter(events[kind].values()))) for kind in KINDS]
    assert counts == [EVENTS // 50, EVENTS * 3 // 50, EVENTS * 46 // 50]


def test_events_are_ten_milliseconds_apart(events: dict[str, dict[str, Any]]) -> None:
    times = np.sort(np.concatenate([events[kind]["date_time"] for kind in KINDS])).astype("datetime64[us]")
    assert times[0] == np.datetime64("1970-01-01", "us")
    assert set(np.diff(times).astype(np.int64)) == {10_000}


def test_ids_count_from_1000(events: dict[str, dict[str, Any]]) -> None:
    for kind in ("person", "auction"):
        ids = events[kind]["id"]
        assert (ids == np.arange(1000, 1000 + len(ids))).all()


def test_references_are_recent_and_often_hot(events: dict[str, dict[str, Any]]) -> None:
    bids, auctions, persons = events["bid"], events["auction"], events["person"]
    epoch = np.arange(len(bids["auction"])) // 46
    newest_auction = 1000 + 3 * epoch + 2
    assert (bids["auction"] >= np.maximum(newest_auction - 200, 1000)).all()
    assert (bids["auction"] <= newest_auction + 10).all()
    assert (bids["bidder"] <= 1000 + epoch + 10).all()
    hot = np.maximum((newest_auction - 1000) // 100 * 100 + 1000, 1000)
    assert 0.45 < (bids["auction"] == hot).mean() < 0.55
    assert 0.7 < (bids["bidder"] == (epoch // 100 * 100 + 1001)).mean() < 0.8
    seller_epoch = np.arange(len(auctions["seller"])) // 3
    assert 0.7 < (auctions["seller"] == seller_epoch // 100 * 100 + 1000).mean() < 0.8
    assert np.isin(bids["bidder"], persons["id"]).mean() > 0.95, "few bidders are not there yet"
    assert not np.isin(bids["bidder"], persons["id"]).all()


def test_values(events: dict[str, dict[str, Any]]) -> None:
    bids, auctions, persons = events["bid"], events["auction"], events["person"]
    assert set(persons["state"]) == set(STATES)
    assert all(len(card) == 19 and card.replace(" ", "").isdigit() for card in persons["credit_card"])
    assert all("@" in address and address.endswith(".com") for address in persons["email_address"])
    assert set(auctions["category"]) == {10, 11, 12, 13, 14}
    assert (auctions["reserve"] > auctions["initial_bid"]).all()
    assert (auctions["expires"] > auctions["date_time"]).all()
    assert bids["price"].min() >= 100
    assert 10**7 < bids["price"].max() <= 10**8
    channels = Counter(bids["channel"])
    assert 0.45 < sum(channels[name] for name in HOT_CHANNELS) / len(bids["channel"]) < 0.55
    urls = bids["url"]
    assert all(len(url.split("/")) == 7 for url in urls[:100])
    assert 0.4 < np.mean(["channel_id=" in url for url in urls]) < 0.5


@quick
@given(cuts=st.lists(st.integers(0, 300), max_size=6), first=st.integers(0, 10**9), kind=st.sampled_from(KINDS))
def test_any_range_of_events_can_be_made_on_its_own(cuts: list[int], first: int, kind: str) -> None:
    whole = columns_of(kind, first, first + 300)
    parts = [columns_of(kind, first + low, first + high) for low, high in pairwise(sorted({0, 300, *cuts}))]
    for position, column in enumerate(whole):
        assert pa.concat_arrays([part[position] for part in parts]).equals(column)


# ---- connectors ------------------------------------------------------------------------------------------------------


def _connectors(
    options: dict[str, Any] | None = None, *, carrier: str = "bid", tables: dict[str, Relation] = TABLES
) -> list[NexmarkInput]:
    made = []
    for kind, table in tables.items():
        config: dict[str, Any] = {"table": kind}
        if options is not None and kind == carrier:
            config["options"] = options
        connector = build_input(f"{kind}.c", {"name": "nexmark", "config": config}, table)
        assert isinstance(connector, NexmarkInput)
        made.append(connector)
    return made


def _run_all(connectors: list[NexmarkInput], sinks: dict[str, MemorySink] | None = None) -> dict[str, MemorySink]:
    sinks = {connector.table: MemorySink() for connector in connectors} if sinks is None else sinks
    for connector in connectors:
        connector.meet(connectors)
    threads = [threading.Thread(target=connector.run, args=(sinks[connector.table],)) for connector in connectors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return sinks


@pytest.mark.parametrize("carrier", KINDS)
@pytest.mark.parametrize("chunk", [7, 100, 40_000])
def test_three_connectors_deliver_one_stream(carrier: str, chunk: int) -> None:
    sinks = _run_all(_connectors({"events": 1234, "threads": 1, "max_step_size_per_thread": chunk}, carrier=carrier))
    for kind in KINDS:
        assert sinks[kind].columns == [column.to_pylist() for column in columns_of(kind, 0, 1234)]
        assert sinks[kind].inputs_ended == 1
        assert sinks[kind].num_bytes > 0


def test_what_a_bid_refers_to_has_been_pushed_before_it() -> None:
    sinks = {kind: MemorySink() for kind in KINDS}
    problems = []

    class BidSink(MemorySink):
        def _pushed(self) -> None:
            super()._pushed()
            if sinks["person"].num_rows < self.num_rows // 46 or sinks["auction"].num_rows < self.num_rows // 46 * 3:
                problems.append(self.num_rows)

    sinks["bid"] = BidSink()
    _run_all(_connectors({"events": 5000, "threads": 2, "max_step_size_per_thread": 50}), sinks)
    assert (problems, sinks["bid"].num_rows) == ([], 4600)


@quick
@given(activity=st.lists(st.booleans(), max_size=40), batch=st.integers(1, 120))
def test_pausing_the_bids_at_any_moment_loses_and_repeats_nothing(activity: list[bool], batch: int) -> None:
    sinks = {kind: MemorySink(max_batch_rows=batch) for kind in KINDS}
    sinks["bid"] = MemorySink(activity=activity, max_batch_rows=batch)
    _run_all(_connectors({"events": 400, "threads": 1, "max_step_size_per_thread": 60}), sinks)
    for kind in KINDS:
        assert sinks[kind].columns == [column.to_pylist() for column in columns_of(kind, 0, 400)]


def test_pausing_persons_has_no_effect() -> None:
    sinks = {kind: MemorySink() for kind in KINDS}
    sinks["person"] = MemorySink(activity=[False] * 1_000_000)
    _run_all(_connectors({"events": 500}), sinks)
    assert [sinks[kind].num_rows for kind in KINDS] == [10, 30, 460]


def test_stopping() -> None:
    sinks = {kind: MemorySink(close_after=3) for kind in KINDS}
    _run_all(_connectors({"threads": 1, "max_step_size_per_thread": 50}), sinks)
    assert all(sink.inputs_ended == 0 for sink in sinks.values())
    assert all(sink.num_rows for sink in sinks.values())


def test_tables_may_have_other_columns() -> None:
    tables = TABLES | {
        "person": relation(id=t.INTEGER, name=t.char(30)),
        "bid": Relation("t", (*TABLES["bid"].columns, *relation(more=t.DATE).columns)),
        "auction": relation(id=t.UBIGINT, a=t.VARCHAR, b=t.VARCHAR, c=t.BIGINT, d=t.BIGINT, e=t.TIMESTAMP_TZ),
    }
    sinks = _run_all(_connectors({"events": 50}, tables=tables))
    assert sinks["person"].columns[0] == [1000]
    assert [len(sinks[kind].columns) for kind in KINDS] == [2, 6, 8]
    assert set(sinks["bid"].columns[-1]) == {None}


def _refusal(action: Any) -> str:
    with pytest.raises(MillstreamError) as caught:
        action()
    assert caught.value.error_code == "ConfigError.InvalidTransportConfig"
    return caught.value.message


@pytest.mark.parametrize(
    "config, reason",
    [
        ({}, "missing option `table`, one of `person`, `auction`, `bid`"),
        ({"table": "bids"}, "unknown value 'bids' of option `table`; did you mean `bid`?"),
        ({"table": "bid", "events": 5}, "unknown option `events`, expected one of `table`, `options`"),
        ({"table": "bid", "options": {"event": 5}}, "unknown option `options.event`; did you mean `events`?"),
        ({"table": "bid", "options": {"threads": 0}}, "option `options.threads` is 0; it must be in 1..4294967295"),
        ({"table": "bid", "options": 5}, "options must be an object, not 5"),
        ({"table": "person"}, "column `bidder` is BIGINT, but column 2 of `person` events is `name`, a VARCHAR"),
    ],
)
def test_wrong_options_are_explained(config: object, reason: str) -> None:
    assert reason in _refusal(lambda: build_input("bid.c", {"name": "nexmark", "config": config}, TABLES["bid"]))


def test_a_column_that_no_event_fills_must_be_nullable() -> None:
    columns = (*TABLES["bid"].columns, *relation(more=t.BIGINT.with_nullable(False)).columns)
    config = {"name": "nexmark", "config": {"table": "bid"}}
    assert "column `more` is number 8 and NOT NULL" in _refusal(
        lambda: build_input("bid.c", config, Relation("t", columns))
    )


def test_all_three_tables_are_needed_once() -> None:
    person, auction, bid = _connectors()
    assert "must have the table `auction`; none has it" in _refusal(lambda: bid.meet([person, bid]))
    assert "`bid.c` and `bid.c` have it" in _refusal(lambda: bid.meet([person, auction, bid, bid]))


def test_only_one_connector_may_have_options() -> None:
    _, auction, bid = _connectors({"events": 5})
    (other,) = (one for one in _connectors({"events": 5}, carrier="person") if one.table == "person")
    reason = _refusal(lambda: bid.meet([other, auction, bid]))
    assert "only one of the three connectors may have `options`, but `person.c` and `bid.c` have them" in reason
