"""The options of JSON parsers and encoders, checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from millstream.formats.json.flavors import FLAVORS, Flavor
from millstream.formats.options import Options
from millstream.types import Relation

_UPDATE_FORMATS = ("insert_delete", "weighted", "raw", "debezium", "snowflake", "redis")


class UpdateFormat(Enum):
    """How changes are spelt around rows."""

    INSERT_DELETE = "insert_delete"
    RAW = "raw"
    DEBEZIUM = "debezium"
    SNOWFLAKE = "snowflake"
    REDIS = "redis"


@dataclass(frozen=True, slots=True)
class JsonParserConfig:
    """`single_lines`: one event a line. `array`: every top-level value is an array of events."""

    update_format: UpdateFormat
    flavor: Flavor
    array: bool
    single_lines: bool


@dataclass(frozen=True, slots=True)
class JsonEncoderConfig:
    """`key_fields`: indices of the columns that form the key of a message; empty: the whole row or no key."""

    update_format: UpdateFormat
    flavor: Flavor
    array: bool
    buffer_size_records: int
    key_fields: tuple[int, ...]


def parser_config(config: dict[str, Any] | None, endpoint_name: str) -> JsonParserConfig:
    """Check the options of an input. Raises MillstreamError (`ConfigError.*`)."""
    options = Options("Parser", endpoint_name, config)
    name = options.choice("update_format", _UPDATE_FORMATS, "insert_delete")
    flavor = FLAVORS[options.choice("json_flavor", FLAVORS, "default")]
    array = options.boolean("array", False)
    lines = options.choice("lines", ("multiple", "single"), "multiple")
    options.finish()
    if name == "snowflake":
        raise options.unsupported("the 'snowflake' update format is for output only")
    if name in ("weighted", "redis"):
        reason = "is for output only" if name == "redis" else "is not implemented"
        raise options.invalid(f"the '{name}' update format {reason}; use insert_delete, raw or debezium")
    return JsonParserConfig(UpdateFormat(name), flavor, array, lines == "single")


_OUTPUT_FLAVORS = {"snowflake": "snowflake", "debezium": "kafka_connect_json_converter"}
_SINGLE_RECORD_FORMATS = (UpdateFormat.DEBEZIUM, UpdateFormat.SNOWFLAKE, UpdateFormat.REDIS)


def encoder_config(
    config: dict[str, Any] | None,
    relation: Relation,
    endpoint_name: str,
    for_egress: bool = False,
    indexed: bool = False,
) -> JsonEncoderConfig:
    """Check the options of an output; `for_egress` forces arrays. Raises MillstreamError
    (`ConfigError.*`)."""
    options = Options("Encoder", endpoint_name, config)
    name = options.choice("update_format", _UPDATE_FORMATS, "insert_delete")
    flavor = FLAVORS[options.choice("json_flavor", FLAVORS, _OUTPUT_FLAVORS.get(name, "default"))]
    array = options.boolean("array", False) or for_egress
    buffer_size = options.positive_integer("buffer_size_records", 10_000)
    fields = options.names("key_fields")
    options.finish()
    if name in ("raw", "weighted"):
        raise options.invalid(f"the '{name}' update format is not supported for output")
    if indexed:
        raise options.invalid("JSON encoder cannot be attached to an index")
    update_format = UpdateFormat(name)
    key_fields = _key_fields(options, fields, update_format, relation)
    if update_format in _SINGLE_RECORD_FORMATS:
        buffer_size = 1
        if array:
            raise options.invalid(f"'array' cannot be used with the '{name}' update format")
    return JsonEncoderConfig(update_format, flavor, array, buffer_size, key_fields)


def _key_fields(
    options: Options, fields: list[str] | None, update_format: UpdateFormat, relation: Relation
) -> tuple[int, ...]:
    if fields is None:
        if update_format is UpdateFormat.REDIS:
            raise options.invalid("the 'redis' update format needs 'key_fields'")
        return ()
    if update_format not in (UpdateFormat.DEBEZIUM, UpdateFormat.REDIS):
        raise options.invalid(f"'key_fields' cannot be used with the '{update_format.value}' update format")
    if not fields:
        raise options.invalid("'key_fields' must not be empty")
    positions = []
    for field in fields:
        position = find_column(relation, field)
        if position is None:
            raise options.invalid(f"key field '{field}' is not a column of '{relation.name}'")
        positions.append(position)
    return tuple(positions)


def find_column(relation: Relation, name: str) -> int | None:
    """The column that a configuration names: exact, or without regard to case if it was declared unquoted."""
    for position, column in enumerate(relation.columns):
        if column.name == name:
            return position
    for position, column in enumerate(relation.columns):
        if not column.case_sensitive and column.name.lower() == name.lower():
            return position
    return None
