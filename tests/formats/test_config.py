"""Format configurations: what is refused, with which error."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.formats import build_encoder, build_parser

from .helpers import ID_NAME


def parser_error(name: str, config: Any) -> MillstreamError:
    with pytest.raises(MillstreamError) as caught:
        build_parser(name, config, ID_NAME, "t.c")
    return caught.value


def encoder_error(name: str, config: Any, **options: Any) -> MillstreamError:
    with pytest.raises(MillstreamError) as caught:
        build_encoder(name, config, ID_NAME, "v.c", **options)
    return caught.value


def test_unknown_formats() -> None:
    error = parser_error("yaml", {})
    assert error.error_code == "ConfigError.UnknownInputFormat"
    assert error.details == {"endpoint_name": "t.c", "format_name": "yaml"}
    assert encoder_error("yaml", {}).error_code == "ConfigError.UnknownOutputFormat"


@pytest.mark.parametrize(
    "config, code",
    [
        ({"update_format": "weighted"}, "InvalidParserConfig"),
        ({"update_format": "redis"}, "InvalidParserConfig"),
        ({"update_format": "snowflake"}, "InputFormatNotSupported"),
        ({"update_format": "xml"}, "ParserConfigParseError"),
        ({"json_flavor": "Default"}, "ParserConfigParseError"),
        ({"lines": "many"}, "ParserConfigParseError"),
        ({"array": "yes"}, "ParserConfigParseError"),
        ({"colour": 1}, "ParserConfigParseError"),
        ([], "ParserConfigParseError"),
    ],
)
def test_json_parser_configurations_that_are_refused(config: Any, code: str) -> None:
    error = parser_error("json", config)
    assert error.error_code == f"ConfigError.{code}"
    assert error.details["endpoint_name"] == "t.c"


def test_parse_errors_show_the_configuration() -> None:
    assert '"xml"' in parser_error("json", {"update_format": "xml"}).message


def test_booleans_may_be_text_as_in_urls() -> None:
    build_parser("json", {"array": "true"}, ID_NAME, "t.c")


@pytest.mark.parametrize(
    "config, code",
    [
        ({"delimiter": ";;"}, "InvalidParserConfig"),
        ({"delimiter": "é"}, "InvalidParserConfig"),
        ({"delimiter": '"'}, "InvalidParserConfig"),
        ({"comment": ","}, "InvalidParserConfig"),
        ({"trim": "left"}, "ParserConfigParseError"),
        ({"flexible": 1}, "ParserConfigParseError"),
        ({"header": True}, "ParserConfigParseError"),
    ],
)
def test_csv_parser_configurations_that_are_refused(config: Any, code: str) -> None:
    assert parser_error("csv", config).error_code == f"ConfigError.{code}"


@pytest.mark.parametrize(
    "config, code",
    [
        ({"update_format": "raw"}, "InvalidEncoderConfig"),
        ({"update_format": "weighted"}, "InvalidEncoderConfig"),
        ({"update_format": "redis"}, "InvalidEncoderConfig"),
        ({"update_format": "redis", "key_fields": []}, "InvalidEncoderConfig"),
        ({"update_format": "redis", "key_fields": ["nope"]}, "InvalidEncoderConfig"),
        ({"key_fields": ["id"]}, "InvalidEncoderConfig"),
        ({"buffer_size_records": 0}, "InvalidEncoderConfig"),
        ({"buffer_size_records": "many"}, "EncoderConfigParseError"),
        ({"key_fields": "id"}, "EncoderConfigParseError"),
        ({"lines": "single"}, "EncoderConfigParseError"),
    ],
)
def test_json_encoder_configurations_that_are_refused(config: Any, code: str) -> None:
    assert encoder_error("json", config).error_code == f"ConfigError.{code}"


def test_json_encoders_take_no_index() -> None:
    assert "JSON encoder cannot be attached to an index" in encoder_error("json", {}, indexed=True).message
    build_encoder("csv", {}, ID_NAME, "v.c", indexed=True)
