"""Data formats: bytes to change batches, deltas to bytes.

A format is a module behind two interfaces (`base.Parser`, `base.Encoder`). Parsers work on whole blocks of
bytes and yield columns; records that are wrong are reported and skipped, never raised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.errors import config_error
from millstream.formats.base import (
    TEXT_ENVELOPE_ERROR,
    TEXT_EVENT_ERROR,
    EncodedBuffer,
    Encoder,
    ParsedBlock,
    ParseError,
    Parser,
)
from millstream.formats.csv import config as csv_config
from millstream.formats.csv.encode import CsvEncoder
from millstream.formats.csv.parser import CsvParser
from millstream.formats.json import config as json_config
from millstream.formats.json.encode import JsonEncoder
from millstream.formats.json.parser import JsonParser
from millstream.formats.raw import config as raw_config
from millstream.formats.raw.parser import RawParser
from millstream.types import Relation

__all__ = [
    "TEXT_ENVELOPE_ERROR",
    "TEXT_EVENT_ERROR",
    "EncodedBuffer",
    "Encoder",
    "ParseError",
    "ParsedBlock",
    "Parser",
    "build_encoder",
    "build_parser",
]

Config = dict[str, Any] | None


def _json_parser(config: Config, relation: Relation, endpoint_name: str) -> Parser:
    return JsonParser(relation, json_config.parser_config(config, endpoint_name))


def _csv_parser(config: Config, relation: Relation, endpoint_name: str) -> Parser:
    return CsvParser(relation, csv_config.parser_config(config, endpoint_name))


def _raw_parser(config: Config, relation: Relation, endpoint_name: str) -> Parser:
    return RawParser(relation, raw_config.parser_config(config, relation, endpoint_name))


PARSERS: dict[str, Callable[[Config, Relation, str], Parser]] = {
    "json": _json_parser,
    "csv": _csv_parser,
    "raw": _raw_parser,
}
ENCODERS = ("csv", "json")


def build_parser(format_name: str, config: Config, relation: Relation, endpoint_name: str) -> Parser:
    """A parser for one byte stream into table `relation`. Raises `ConfigError.UnknownInputFormat`,
    `.ParserConfigParseError`, `.InvalidParserConfig`, `.InputFormatNotSupported`."""
    build = PARSERS.get(format_name)
    if build is None:
        raise config_error(
            "UnknownInputFormat",
            f"input endpoint '{endpoint_name}' specifies unknown input format '{format_name}'; "
            f"known formats: {', '.join(sorted(PARSERS))}",
            endpoint_name=endpoint_name,
            format_name=format_name,
        )
    return build(config, relation, endpoint_name)


def build_encoder(
    format_name: str,
    config: Config,
    relation: Relation,
    endpoint_name: str,
    *,
    for_egress: bool = False,
    indexed: bool = False,
    key_separator: str = ":",
    max_buffer_bytes: int | None = None,
) -> Encoder:
    """An encoder for the changes of `relation`. Raises `ConfigError.UnknownOutputFormat`,
    `.EncoderConfigParseError`, `.InvalidEncoderConfig`.

    `for_egress`: the forms of HTTP egress: every JSON buffer is one array of `{"insert": row}` and
    `{"delete": row}`, CSV weights are spelt out as repeated rows. `indexed`: the connector has an `index`
    (JSON refuses). `key_separator` joins the columns of redis keys. `max_buffer_bytes`: no buffer is larger; a record
    that does not fit is an encode error (for keyed formats, key and value count together).
    """
    if format_name == "csv":
        return CsvEncoder(
            relation,
            csv_config.encoder_config(config, endpoint_name, for_egress),
            max_buffer_bytes=max_buffer_bytes,
        )
    if format_name == "json":
        checked = json_config.encoder_config(config, relation, endpoint_name, for_egress, indexed)
        return JsonEncoder(relation, checked, key_separator=key_separator, max_buffer_bytes=max_buffer_bytes)
    raise config_error(
        "UnknownOutputFormat",
        f"output endpoint '{endpoint_name}' specifies unknown output format '{format_name}'; "
        f"known formats: {', '.join(ENCODERS)}",
        endpoint_name=endpoint_name,
        format_name=format_name,
    )
