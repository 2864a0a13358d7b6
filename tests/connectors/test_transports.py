"""Transports by name, formats required and forbidden, and `empty_input`."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.connectors import build_input, build_output, check_format
from millstream.errors import MillstreamError

from .nexmark_support import bids
from .support import ID_S, MemorySink, make_input, make_output, run


def _error(build: Any, transport: dict[str, Any]) -> MillstreamError:
    with pytest.raises(MillstreamError) as caught:
        build("t.c", transport, ID_S)
    error: MillstreamError = caught.value
    return error


@pytest.mark.parametrize(
    "name, reason",
    [
        ("file_inptu", "did you mean `file_input`?"),
        ("kafka_input", "it is not supported yet; supported are "),
        ("http_input", "it is internal and cannot be configured; supported are "),
        ("file_output", "it works in the other direction; supported are "),
        ("zzz", "supported are `datagen`, `empty_input`, `file_input`, `nexmark`, `url_input`"),
    ],
)
def test_unknown_input_transports(name: str, reason: str) -> None:
    error = _error(build_input, {"name": name, "config": {}})
    assert error.error_code == "ConfigError.UnknownInputTransport"
    assert error.details == {"endpoint_name": "t.c", "transport_name": name}
    assert reason in error.message


@pytest.mark.parametrize(
    "name, reason",
    [
        ("file_ouptut", "did you mean `file_output`?"),
        ("redis_output", "it is not supported yet; supported are `file_output`, `null_output`"),
        ("datagen", "it works in the other direction"),
    ],
)
def test_unknown_output_transports(name: str, reason: str) -> None:
    error = _error(build_output, {"name": name})
    assert error.error_code == "ConfigError.UnknownOutputTransport"
    assert reason in error.message


def test_nexmark_is_csv() -> None:
    connector = make_input("nexmark", {"table": "bid"}, bids())
    check_format("t.c", connector, "csv")
    for format_name, code in ((None, "InputFormatNotSpecified"), ("json", "InvalidTransportConfig")):
        with pytest.raises(MillstreamError) as caught:
            check_format("t.c", connector, format_name)
        assert caught.value.error_code == f"ConfigError.{code}"


def test_formats_are_required_or_forbidden() -> None:
    file_input, datagen = make_input("file_input", {"path": "x"}), make_input("datagen", {})
    check_format("t.c", file_input, "csv")
    check_format("t.c", datagen, None)
    check_format("v.c", make_output("null_output", {}), "json")
    for connector, format_name, code in (
        (file_input, None, "InputFormatNotSpecified"),
        (make_output("null_output", {}), None, "OutputFormatNotSpecified"),
        (datagen, "json", "InvalidTransportConfig"),
    ):
        with pytest.raises(MillstreamError) as caught:
            check_format("t.c", connector, format_name)
        assert caught.value.error_code == f"ConfigError.{code}"
        assert connector.name in caught.value.message


def test_empty_input_ends_when_it_may_read() -> None:
    sink = run(make_input("empty_input", None), MemorySink(activity=[False, False, True]))
    assert (sink.inputs_ended, sink.data, sink.batches) == (1, b"", [])
    assert sink.clock > 1_000_000.0, "it waited"


def test_empty_input_takes_no_options() -> None:
    error = _error(build_input, {"name": "empty_input", "config": {"x": 1}})
    assert "unknown option `x`, it takes no options" in error.message
