"""The event stream of the Nexmark benchmark, as columns.

Events are numbered from 0; of every 50, the first is a person, the next three are auctions, 46 are bids, 10 ms apart.
An event depends on nothing but its number: random parts are hashes of it (datagen/random.py), and which persons and
auctions exist before it follows from the proportions. So any range of events of any kind can be made on its own.

The shape follows the published benchmark (Tucker, Tufte, Papadimos, Maier: NEXMark, 2002) in the variant that stream
processors use: auctions and bids refer to recent persons and auctions, most of them to a few hot ones; sellers and
bidders may be a little ahead of the persons, bids of the auctions, so that joins also meet what does not exist yet.

Cost: about half a microsecond per event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.datagen.random import Lanes, bounded, mix, salt, unit_interval
from millstream.connectors.nexmark import texts

Numbers = npt.NDArray[np.int64]

KINDS = ("person", "auction", "bid")
#: Of so many consecutive events, the first ones are persons, then come auctions, the others are bids.
EPOCH_EVENTS, EPOCH_PERSONS, EPOCH_AUCTIONS = 50, 1, 3
#: First event number within an epoch, and events per epoch, of each kind.
_PLACES = {"person": (0, 1), "auction": (1, 3), "bid": (4, 46)}
EVENT_INTERVAL_US = 10_000

FIRST_PERSON_ID = FIRST_AUCTION_ID = 1000
FIRST_CATEGORY_ID = 10
CATEGORIES = 5
#: References go to this many of the latest persons and auctions, and a little beyond.
ACTIVE_PERSONS = 1000
OPEN_AUCTIONS = 100
ID_LEAD = 10
#: All but one of so many references go to the hot one; a hot one is the first (bidders: second) of a hundred.
HOT_SELLER_RATIO, HOT_AUCTION_RATIO, HOT_BIDDER_RATIO = 4, 2, 4
HOT_GROUP = 100


@dataclass(frozen=True)
class Column:
    """A column of the model: `type` is int64, large_string or timestamp[us]."""

    name: str
    type: pa.DataType


_ID, _TEXT, _TIME = pa.int64(), pa.large_string(), pa.timestamp("us")
COLUMNS: dict[str, tuple[Column, ...]] = {
    "person": (
        Column("id", _ID), Column("name", _TEXT), Column("email_address", _TEXT), Column("credit_card", _TEXT),
        Column("city", _TEXT), Column("state", _TEXT), Column("date_time", _TIME), Column("extra", _TEXT),
    ),
    "auction": (
        Column("id", _ID), Column("item_name", _TEXT), Column("description", _TEXT), Column("initial_bid", _ID),
        Column("reserve", _ID), Column("date_time", _TIME), Column("expires", _TIME), Column("seller", _ID),
        Column("category", _ID), Column("extra", _TEXT),
    ),
    "bid": (
        Column("auction", _ID), Column("bidder", _ID), Column("price", _ID), Column("channel", _TEXT),
        Column("url", _TEXT), Column("date_time", _TIME), Column("extra", _TEXT),
    ),
}  # fmt: skip


def numbers_of(kind: str, first: int, end: int) -> Numbers:
    """The numbers of the events of that kind among events first .. end - 1."""
    start, count = _PLACES[kind]
    epochs = np.arange(first // EPOCH_EVENTS, -(-end // EPOCH_EVENTS), dtype=np.int64)
    numbers = (epochs[:, None] * EPOCH_EVENTS + np.arange(start, start + count)).ravel()
    return numbers[(numbers >= first) & (numbers < end)]


def columns_of(kind: str, first: int, end: int) -> tuple[pa.Array, ...]:
    """The rows of that kind among events first .. end - 1, as the columns of `COLUMNS`."""
    numbers = numbers_of(kind, first, end)
    index = numbers.astype(np.uint64)
    make = {"person": _persons, "auction": _auctions, "bid": _bids}[kind]
    return make(numbers, Lanes(index, lambda: mix(index)))


def _persons(numbers: Numbers, lanes: Lanes) -> tuple[pa.Array, ...]:
    return (
        pa.array(_last_person(numbers) + FIRST_PERSON_ID),
        texts.names(lanes),
        texts.email_addresses(lanes),
        texts.credit_cards(lanes),
        texts.pick(lanes, "city", texts.CITIES),
        texts.pick(lanes, "state", texts.STATES),
        _times(numbers),
        texts.extra(lanes, 100, 160),
    )


def _auctions(numbers: Numbers, lanes: Lanes) -> tuple[pa.Array, ...]:
    initial = _prices(lanes, "initial bid")
    hot = _last_person(numbers) // HOT_GROUP * HOT_GROUP
    seller = np.where(_is_hot(lanes, "hot seller", HOT_SELLER_RATIO), hot, _some_person(numbers, lanes, "seller"))
    # Long enough for the auctions that are open at a time to overlap: up to twice their span.
    span_us = OPEN_AUCTIONS * EPOCH_EVENTS // EPOCH_AUCTIONS * EVENT_INTERVAL_US
    length_ms = 1 + _below(lanes, "length", 2 * span_us // 1000)
    category = FIRST_CATEGORY_ID + _below(lanes, "category", CATEGORIES)
    return (
        pa.array(_last_auction(numbers) + FIRST_AUCTION_ID),
        texts.item_names(lanes),
        texts.descriptions(lanes),
        pa.array(initial),
        pa.array(initial + _prices(lanes, "reserve")),
        _times(numbers),
        pa.array(numbers * EVENT_INTERVAL_US + length_ms * 1000).view(_TIME),
        pa.array(seller + FIRST_PERSON_ID),
        pa.array(category),
        texts.extra(lanes, 260, 400),
    )


def _bids(numbers: Numbers, lanes: Lanes) -> tuple[pa.Array, ...]:
    hot_auction = _last_auction(numbers) // HOT_GROUP * HOT_GROUP
    auction = np.where(_is_hot(lanes, "hot auction", HOT_AUCTION_RATIO), hot_auction, _some_auction(numbers, lanes))
    hot_bidder = _last_person(numbers) // HOT_GROUP * HOT_GROUP + 1
    bidder = np.where(
        _is_hot(lanes, "hot bidder", HOT_BIDDER_RATIO), hot_bidder, _some_person(numbers, lanes, "bidder")
    )
    channel, url = texts.channels_and_urls(lanes)
    return (
        pa.array(auction + FIRST_AUCTION_ID),
        pa.array(bidder + FIRST_PERSON_ID),
        pa.array(_prices(lanes, "price")),
        channel,
        url,
        _times(numbers),
        texts.extra(lanes, 54, 82),
    )


def _times(numbers: Numbers) -> pa.Array:
    return pa.array(numbers * EVENT_INTERVAL_US).view(_TIME)


def _last_person(numbers: Numbers) -> Numbers:
    """How many persons came before the latest one, up to and including each event."""
    epoch, offset = np.divmod(numbers, EPOCH_EVENTS)
    return epoch * EPOCH_PERSONS + np.minimum(offset, EPOCH_PERSONS - 1)


def _last_auction(numbers: Numbers) -> Numbers:
    """Same for auctions; -1 before the first one."""
    epoch, offset = np.divmod(numbers, EPOCH_EVENTS)
    return epoch * EPOCH_AUCTIONS + np.clip(offset - EPOCH_PERSONS, -1, EPOCH_AUCTIONS - 1)


def _some_person(numbers: Numbers, lanes: Lanes, place: str) -> Numbers:
    """One of the active persons, or one of the next."""
    count = _last_person(numbers) + 1
    active = np.minimum(count, ACTIVE_PERSONS)
    return count - active + _below(lanes, place, active + ID_LEAD)


def _some_auction(numbers: Numbers, lanes: Lanes) -> Numbers:
    """One of the open auctions, or one of the next."""
    last = _last_auction(numbers)
    oldest = np.maximum(last - OPEN_AUCTIONS, 0)
    return oldest + _below(lanes, "auction", last - oldest + 1 + ID_LEAD)


def _is_hot(lanes: Lanes, place: str, ratio: int) -> npt.NDArray[np.bool_]:
    return bounded(lanes.draw(salt(place)), ratio) > 0


def _below(lanes: Lanes, place: str, limit: int | Numbers) -> Numbers:
    """Uniform numbers 0 .. limit - 1; `limit` may differ per event."""
    drawn = lanes.draw(salt(place))
    if isinstance(limit, int):
        return bounded(drawn, limit).astype(np.int64)
    return ((drawn >> np.uint64(32)) * limit.astype(np.uint64) >> np.uint64(32)).astype(np.int64)


def _prices(lanes: Lanes, place: str) -> Numbers:
    """Cents, evenly distributed over six orders of magnitude."""
    return np.rint(10.0 ** (unit_interval(lanes.draw(salt(place))) * 6.0) * 100.0).astype(np.int64)
