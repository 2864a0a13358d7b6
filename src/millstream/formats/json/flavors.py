"""JSON flavours: how each SQL type is spelt by the systems at the other end (connectors.md §14.1).

A flavour is data; the value conversions (`values`), the columnar kernels and the encoders read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TimeForm(Enum):
    """TIME: text, or an integer since midnight."""

    TEXT = 0
    MILLIS = 1_000_000
    MICROS = 1_000
    NANOS = 1


class TimestampForm(Enum):
    """TIMESTAMP: text with `separator` and `suffix` (output; input takes any of them), or epoch
    milliseconds."""

    DEFAULT = "default"
    RFC3339 = "rfc3339"
    ZONE_DESIGNATOR = "zone_designator"
    OFFSET = "offset"
    MILLIS = "millis"


class BinaryForm(Enum):
    """BINARY and VARBINARY."""

    ARRAY = "array"
    BASE58 = "base58"
    HEX_0X = "0x"
    HEX_BACKSLASH = "\\x"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class Flavor:
    """One column of the table of §14.1. `integer_strings`: integers may come as strings of digits."""

    name: str
    time: TimeForm = TimeForm.TEXT
    date_as_days: bool = False
    date_as_millis: bool = False
    timestamp: TimestampForm = TimestampForm.DEFAULT
    decimal_as_string: bool = False
    variant_as_string: bool = False
    binary: BinaryForm = BinaryForm.ARRAY
    integer_strings: bool = False
    unsigned_bigint_as_string: bool = False


DEFAULT = Flavor("default")
FLAVORS: dict[str, Flavor] = {
    flavor.name: flavor
    for flavor in (
        DEFAULT,
        Flavor("datagen", timestamp=TimestampForm.RFC3339),
        Flavor(
            "debezium_mysql",
            time=TimeForm.MICROS,
            date_as_days=True,
            timestamp=TimestampForm.ZONE_DESIGNATOR,
            decimal_as_string=True,
            variant_as_string=True,
            integer_strings=True,
        ),
        Flavor(
            "debezium_postgres",
            time=TimeForm.MICROS,
            date_as_days=True,
            timestamp=TimestampForm.MILLIS,
            decimal_as_string=True,
            variant_as_string=True,
            integer_strings=True,
        ),
        Flavor(
            "kafka_connect_json_converter",
            time=TimeForm.MILLIS,
            date_as_days=True,
            timestamp=TimestampForm.MILLIS,
            decimal_as_string=True,
            variant_as_string=True,
            integer_strings=True,
            unsigned_bigint_as_string=True,
        ),
        Flavor(
            "snowflake",
            timestamp=TimestampForm.OFFSET,
            decimal_as_string=True,
            variant_as_string=True,
            integer_strings=True,
        ),
        Flavor(
            "pandas",
            date_as_millis=True,
            timestamp=TimestampForm.MILLIS,
            decimal_as_string=True,
            variant_as_string=True,
        ),
        Flavor("blockchain", variant_as_string=True, binary=BinaryForm.BASE58),
        Flavor("c_hex", binary=BinaryForm.HEX_0X),
        Flavor("postgres", decimal_as_string=True, binary=BinaryForm.HEX_BACKSLASH),
        Flavor("parquet", time=TimeForm.NANOS, binary=BinaryForm.BASE64),
        Flavor("clock_input", timestamp=TimestampForm.MILLIS),
        Flavor("ClockInput", timestamp=TimestampForm.MILLIS),
    )
}
