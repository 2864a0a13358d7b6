"""Rows in the shape of TPC-H: its schema, key relations and value distributions, from numpy's random numbers.

Not the official generator: values differ from dbgen's, so results cannot be compared with published answers, only with
another engine on the same rows. One order in 500 is made large (seven lines of 40 to 50 pieces), so that q18 finds
orders at small scales, too. The same scale and seed always give the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]


def _words(text: str) -> list[str]:
    return text.split()


START, END = 8035, 10440  # 1992-01-01 and 1998-08-02, in days since 1970
TODAY = 9298  # 1995-06-17
NATIONS = _words(
    "ALGERIA ARGENTINA BRAZIL CANADA EGYPT ETHIOPIA FRANCE GERMANY INDIA INDONESIA IRAN IRAQ JAPAN JORDAN KENYA "
    "MOROCCO MOZAMBIQUE PERU CHINA ROMANIA SAUDI_ARABIA VIETNAM RUSSIA UNITED_KINGDOM UNITED_STATES"
)
REGION_OF_NATION = (0, 1, 1, 1, 4, 0, 3, 3, 2, 2, 4, 4, 2, 4, 0, 0, 0, 1, 2, 3, 4, 2, 3, 3, 1)
REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
COLORS = _words(
    "almond antique aquamarine azure beige bisque black blanched blue blush brown burlywood burnished chartreuse "
    "chiffon chocolate coral cornflower cornsilk cream cyan dark deep dim dodger drab firebrick floral forest frosted "
    "gainsboro ghost goldenrod green grey honeydew hot hotpink indian ivory khaki lace lavender lawn lemon light lime "
    "linen magenta maroon medium metallic midnight mint misty moccasin navajo navy olive orange orchid pale papaya "
    "peach peru pink plum powder puff purple red rose rosy royal saddle salmon sandy seashell sienna sky slate smoke "
    "snow spring steel tan thistle tomato turquoise violet wheat white yellow"
)
TYPES = (
    ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"),
    ("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"),
    ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER"),
)
CONTAINERS = (
    ("SM", "LG", "MED", "JUMBO", "WRAP"),
    ("CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"),
)
SEGMENTS = ("AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD")
PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")
INSTRUCTIONS = ("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN")
MODES = ("REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB")
WORDS = _words(
    "the furiously quickly carefully special pending express final ironic regular silent bold even accounts deposits "
    "requests packages foxes theodolites pinto beans instructions dependencies sleep haggle nag wake cajole detect "
    "integrate among above across against according to slyly blithely daringly"
)
COMMENTS = 4_000


@dataclass(frozen=True)
class Data:
    """All tables: those loaded once, and orders and lines, with the number of orders that belong to the load.

    Orders are sorted by arrival; the lines of order i are rows `line_starts[i]` to `line_starts[i + 1]`. Orders from
    `num_loaded` on are for the refresh streams.
    """

    tables: dict[str, pa.Table]
    line_starts: Ints
    num_loaded: int

    @property
    def num_orders(self) -> int:
        return len(self.line_starts) - 1

    def lines(self, orders: Ints) -> Ints:
        """Row numbers of the lines of orders."""
        counts = self.line_starts[orders + 1] - self.line_starts[orders]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(self.line_starts[orders], counts) + within


def generate(scale: float, *, num_refresh_orders: int = 0, seed: int = 1) -> Data:
    """All rows at a scale (1: 1,500,000 orders and 6,000,000 lines), and orders of refresh streams in addition."""
    rng = np.random.default_rng(seed)
    words = _comments(rng)
    num_suppliers, num_parts = max(25, round(10_000 * scale)), max(100, round(200_000 * scale))
    num_customers = max(50, round(150_000 * scale))
    prices = _prices(np.arange(1, num_parts + 1))
    tables = {
        "region": _region(rng, words),
        "nation": _nation(rng, words),
        "supplier": _supplier(rng, words, num_suppliers),
        "part": _part(rng, words, prices),
        "partsupp": _partsupp(rng, words, num_parts, num_suppliers),
        "customer": _customer(rng, words, num_customers),
    }
    loaded = 10 * num_customers
    orders, lines, starts = _orders(rng, words, loaded + num_refresh_orders, num_customers, num_suppliers, prices)
    return Data({**tables, "orders": orders, "lineitem": lines}, starts, loaded)


def decimals(hundredths: Ints) -> pa.Array:
    """DECIMAL(15, 2) of numbers of hundredths."""
    words = np.empty((len(hundredths), 2), np.int64)
    words[:, 0] = hundredths
    words[:, 1] = np.where(hundredths < 0, -1, 0)
    return pa.Array.from_buffers(pa.decimal128(15, 2), len(hundredths), [None, pa.py_buffer(words)])


def _ints(values: npt.ArrayLike) -> pa.Array:
    return pa.array(np.asarray(values, np.int32))


def _dates(days: Ints) -> pa.Array:
    return pa.array(days.astype(np.int32)).view(pa.date32())


def _pick(rng: np.random.Generator, values: Sequence[str] | pa.Array, count: int) -> pa.Array:
    return _take(values, rng.integers(0, len(values), count))


def _take(values: Sequence[str] | pa.Array, indices: Ints) -> pa.Array:
    pool = (
        values if isinstance(values, pa.Array) else pa.array([v.replace("_", " ") for v in values], pa.large_string())
    )
    return pool.take(pa.array(indices))


def _join(separator: str, *parts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, pa.scalar(separator, pa.large_string()))


def _digits(values: Ints, width: int) -> pa.Array:
    return pc.utf8_lpad(pc.cast(pa.array(values), pa.large_string()), width, "0")


def _named(prefix: str, keys: Ints) -> pa.Array:
    return _join("#", pa.array([prefix] * len(keys), pa.large_string()), _digits(keys, 9))


def _phone(rng: np.random.Generator, nations: Ints) -> pa.Array:
    count = len(nations)
    return _join(
        "-",
        _digits(nations + 10, 2),
        *(_digits(rng.integers(low, high, count), 3) for low, high in ((100, 1000), (100, 1000), (1000, 10_000))),
    )


def _comments(rng: np.random.Generator) -> pa.Array:
    return _join(" ", *(_pick(rng, WORDS, COMMENTS) for _ in range(6)))


def _address(rng: np.random.Generator, count: int) -> pa.Array:
    return _join(" ", _digits(rng.integers(0, 10**8, count), 8), _pick(rng, WORDS, count))


def _region(rng: np.random.Generator, words: pa.Array) -> pa.Table:
    names = pa.array(REGIONS, pa.large_string())
    return pa.table({"r_regionkey": _ints(np.arange(5)), "r_name": names, "r_comment": _pick(rng, words, 5)})


def _nation(rng: np.random.Generator, words: pa.Array) -> pa.Table:
    keys = np.arange(len(NATIONS))
    return pa.table(
        {
            "n_nationkey": _ints(keys),
            "n_name": _take(NATIONS, keys),
            "n_regionkey": _ints(REGION_OF_NATION),
            "n_comment": _pick(rng, words, len(keys)),
        }
    )


def _supplier(rng: np.random.Generator, words: pa.Array, count: int) -> pa.Table:
    keys = np.arange(1, count + 1)
    nations = keys % 25  # every nation has some, at every scale
    comments = pc.if_else(
        pa.array(rng.random(count) < 0.02),
        pa.scalar("Customer slow Complaints", pa.large_string()),
        _pick(rng, words, count),
    )
    return pa.table(
        {
            "s_suppkey": _ints(keys),
            "s_name": _named("Supplier", keys),
            "s_address": _address(rng, count),
            "s_nationkey": _ints(nations),
            "s_phone": _phone(rng, nations),
            "s_acctbal": decimals(rng.integers(-99_999, 1_000_000, count)),
            "s_comment": comments,
        }
    )


def _prices(keys: Ints) -> Ints:
    """Retail prices of parts, in cents (TPC-H 4.2.3)."""
    return 90_000 + (keys // 10) % 20_001 + 100 * (keys % 1_000)


def _part(rng: np.random.Generator, words: pa.Array, prices: Ints) -> pa.Table:
    count = len(prices)
    brands = rng.integers(0, 25, count)
    maker, brand = brands // 5 + 1, (brands // 5 + 1) * 10 + brands % 5 + 1
    return pa.table(
        {
            "p_partkey": _ints(np.arange(1, count + 1)),
            "p_name": _join(" ", *(_pick(rng, COLORS, count) for _ in range(5))),
            "p_mfgr": _take([f"Manufacturer#{n}" for n in range(6)], maker),
            "p_brand": _take([f"Brand#{n}" for n in range(56)], brand),
            "p_type": _join(" ", *(_pick(rng, syllables, count) for syllables in TYPES)),
            "p_size": _ints(rng.integers(1, 51, count)),
            "p_container": _join(" ", *(_pick(rng, syllables, count) for syllables in CONTAINERS)),
            "p_retailprice": decimals(prices),
            "p_comment": _pick(rng, words, count),
        }
    )


def _supplier_of(parts: Ints, which: Ints, num_suppliers: int) -> Ints:
    """One of the four suppliers of each part."""
    return (parts * 7 + parts // num_suppliers + which * (num_suppliers // 4)) % num_suppliers + 1


def _partsupp(rng: np.random.Generator, words: pa.Array, num_parts: int, num_suppliers: int) -> pa.Table:
    parts = np.repeat(np.arange(1, num_parts + 1), 4)
    return pa.table(
        {
            "ps_partkey": _ints(parts),
            "ps_suppkey": _ints(_supplier_of(parts, np.tile(np.arange(4), num_parts), num_suppliers)),
            "ps_availqty": _ints(rng.integers(1, 10_000, len(parts))),
            "ps_supplycost": decimals(rng.integers(100, 100_001, len(parts))),
            "ps_comment": _pick(rng, words, len(parts)),
        }
    )


def _customer(rng: np.random.Generator, words: pa.Array, count: int) -> pa.Table:
    keys = np.arange(1, count + 1)
    nations = rng.integers(0, 25, count)
    return pa.table(
        {
            "c_custkey": _ints(keys),
            "c_name": _named("Customer", keys),
            "c_address": _address(rng, count),
            "c_nationkey": _ints(nations),
            "c_phone": _phone(rng, nations),
            "c_acctbal": decimals(rng.integers(-99_999, 1_000_000, count)),
            "c_mktsegment": _pick(rng, SEGMENTS, count),
            "c_comment": _pick(rng, words, count),
        }
    )


def _orders(
    rng: np.random.Generator, words: pa.Array, count: int, num_customers: int, num_suppliers: int, prices: Ints
) -> tuple[pa.Table, pa.Table, Ints]:
    """Orders, their lines, and where the lines of each order start."""
    index = np.arange(count)
    keys = index // 8 * 32 + index % 8 + 1  # of 32 keys 8 are used
    customers = rng.integers(0, num_customers, count)
    customers = customers - (customers % 3 == 2) + 1  # a third of the customers never orders
    days = rng.integers(START, END - 151 + 1, count)
    large = rng.random(count) < 0.002
    counts = np.where(large, 7, rng.integers(1, 8, count))
    starts = np.concatenate([[0], np.cumsum(counts)])
    of = np.repeat(index, counts)
    total = len(of)
    parts = rng.integers(1, len(prices) + 1, total)
    quantity = np.where(large[of], rng.integers(40, 51, total), rng.integers(1, 51, total))
    price = quantity * prices[parts - 1]
    discount, tax = rng.integers(0, 11, total), rng.integers(0, 9, total)
    shipped = days[of] + rng.integers(1, 122, total)
    received = shipped + rng.integers(1, 31, total)
    is_open = shipped > TODAY
    charged = price * (100 - discount) // 100 * (100 + tax) // 100
    num_open = np.add.reduceat(is_open.astype(np.int64), starts[:-1])
    lines = pa.table(
        {
            "l_orderkey": _ints(keys[of]),
            "l_partkey": _ints(parts),
            "l_suppkey": _ints(_supplier_of(parts, rng.integers(0, 4, total), num_suppliers)),
            "l_linenumber": _ints(np.arange(total) - starts[of] + 1),
            "l_quantity": decimals(quantity * 100),
            "l_extendedprice": decimals(price),
            "l_discount": decimals(discount),
            "l_tax": decimals(tax),
            "l_returnflag": _take(("R", "A", "N"), np.where(received <= TODAY, rng.integers(0, 2, total), 2)),
            "l_linestatus": _take(("F", "O"), is_open.astype(np.int64)),
            "l_shipdate": _dates(shipped),
            "l_commitdate": _dates(days[of] + rng.integers(30, 91, total)),
            "l_receiptdate": _dates(received),
            "l_shipinstruct": _pick(rng, INSTRUCTIONS, total),
            "l_shipmode": _pick(rng, MODES, total),
            "l_comment": _pick(rng, words, total),
        }
    )
    status = np.where(num_open == 0, 0, np.where(num_open == counts, 1, 2))
    orders = pa.table(
        {
            "o_orderkey": _ints(keys),
            "o_custkey": _ints(customers),
            "o_orderstatus": _take(("F", "O", "P"), status),
            "o_totalprice": decimals(np.add.reduceat(charged, starts[:-1])),
            "o_orderdate": _dates(days),
            "o_orderpriority": _pick(rng, PRIORITIES, count),
            "o_clerk": _named("Clerk", rng.integers(1, 1_001, count)),
            "o_shippriority": _ints(np.zeros(count)),
            "o_comment": _pick(rng, words, count),
        }
    )
    return orders, lines, starts
