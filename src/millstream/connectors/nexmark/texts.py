"""The texts of Nexmark events: picks from tables that are made once, so that a value costs a copy.

Queries of the benchmark look at some of them: the states of persons, the channels of bids, the folders and the
`channel_id` of their URLs. The others only give rows their size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.datagen.random import Lanes, bounded, row_lanes, salt
from millstream.connectors.datagen.text import random_text

TEXT = pa.large_string()
FIRST_NAMES = ("Deiter", "John", "Julie", "Kate", "Luke", "Paul", "Peter", "Sarah", "Saul", "Vicky", "Walter")
LAST_NAMES = ("Abrams", "Bartels", "Jones", "Noris", "Shultz", "Smith", "Spencer", "Walton", "White")
CITIES = (
    "Bend", "Boise", "Cheyenne", "Kent", "Los Angeles", "Phoenix", "Portland", "Redmond", "San Francisco", "Seattle",
)  # fmt: skip
STATES = ("AZ", "CA", "ID", "OR", "WA", "WY")
HOT_CHANNELS = ("Google", "Facebook", "Baidu", "Apple")
#: Half of the bids come through a hot channel, the others through one of these.
CHANNELS = 10_000
#: Different texts per table, and the seed that they are drawn with.
TABLE_SIZE = 4096
TABLE_SEED = 2002


def pick(lanes: Lanes, place: str, entries: tuple[str, ...]) -> pa.Array:
    """One of the entries."""
    return _pick(lanes, place, pa.array(entries, TEXT))


def names(lanes: Lanes) -> pa.Array:
    """First and last name."""
    first, last = pick(lanes, "first name", FIRST_NAMES), pick(lanes, "last name", LAST_NAMES)
    return pc.binary_join_element_wise(first, last, pa.scalar(" ", TEXT))


def email_addresses(lanes: Lanes) -> pa.Array:
    """`login@host.com`."""
    login, host = _pick(lanes, "login", _random_table(3, 8)), _pick(lanes, "host", _random_table(3, 6))
    address = pc.binary_join_element_wise(login, host, pa.scalar("@", TEXT))
    return pc.binary_join_element_wise(address, pa.scalar(".com", TEXT), pa.scalar("", TEXT))


def credit_cards(lanes: Lanes) -> pa.Array:
    """Four groups of four digits."""
    table = _four_digits()
    groups = [_pick(lanes, f"credit card {i}", table) for i in range(4)]
    return pc.binary_join_element_wise(*groups, pa.scalar(" ", TEXT))


def item_names(lanes: Lanes) -> pa.Array:
    """3 to 20 characters."""
    return _pick(lanes, "item name", _random_table(3, 21))


def descriptions(lanes: Lanes) -> pa.Array:
    """3 to 100 characters."""
    return _pick(lanes, "description", _random_table(3, 101))


def extra(lanes: Lanes, shortest: int, longest: int) -> pa.Array:
    """Padding."""
    return _pick(lanes, "extra", _random_table(shortest, longest + 1))


def channels_and_urls(lanes: Lanes) -> tuple[pa.Array, pa.Array]:
    """The channel of a bid, and a URL that belongs to it."""
    channels, urls = _channel_tables()
    hot = bounded(lanes.draw(salt("channel is hot")), 2) == 1
    which = lanes.draw(salt("channel"))
    position = np.where(hot, bounded(which, len(HOT_CHANNELS)), bounded(which, CHANNELS) + np.uint64(len(HOT_CHANNELS)))
    positions = pa.array(position)
    return channels.take(positions), urls.take(positions)


def _pick(lanes: Lanes, place: str, table: pa.Array) -> pa.Array:
    return table.take(pa.array(bounded(lanes.draw(salt(place)), len(table))))


def _lengths(shortest: int, beyond: int) -> Callable[[Lanes], pa.Array]:
    def make(lanes: Lanes) -> pa.Array:
        drawn = bounded(lanes.draw(salt("length")), beyond - shortest).astype(np.int64) + shortest
        return random_text(lanes, drawn)

    return make


@cache
def _random_table(shortest: int, beyond: int) -> pa.Array:
    """Texts of random letters and digits, shortest .. beyond - 1 long."""
    return _lengths(shortest, beyond)(row_lanes(TABLE_SEED, 0, TABLE_SIZE))


@cache
def _four_digits() -> pa.Array:
    return pa.array([f"{number:04}" for number in range(10_000)], TEXT)


@cache
def _channel_tables() -> tuple[pa.Array, pa.Array]:
    """Channels, the hot ones first, and a URL of each. One in ten has no `channel_id`, nor have hot ones."""
    channels = [*HOT_CHANNELS, *(f"channel-{number}" for number in range(CHANNELS))]
    lanes = row_lanes(TABLE_SEED, 0, len(channels))
    folders = [_folder(lanes, i) for i in range(3)]
    ids = bounded(lanes.draw(salt("channel id")), 2**31).tolist()
    with_id = (bounded(lanes.draw(salt("has channel id")), 10) > 0).tolist()
    urls = []
    for number, path in enumerate(zip(*folders, strict=True)):
        url = f"https://www.nexmark.com/{'/'.join(path)}/item.htm?query=1"
        identified = number >= len(HOT_CHANNELS) and with_id[number]
        urls.append(f"{url}&channel_id={ids[number]}" if identified else url)
    return pa.array(channels, TEXT), pa.array(urls, TEXT)


def _folder(lanes: Lanes, depth: int) -> list[str]:
    shifted = Lanes(lanes.index, lambda: lanes.draw(salt(f"folder {depth}")))
    texts: list[str] = _lengths(3, 6)(shifted).to_pylist()
    return texts
