"""The options of CSV parsers and encoders, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from millstream.formats.options import Options


@dataclass(frozen=True, slots=True)
class CsvParserConfig:
    """A CSV dialect. Characters are single ASCII characters; None switches the feature off.

    `quote` is None when quotes are data (`quoting = false`).
    """

    delimiter: str = ","
    headers: bool = False
    quote: str | None = '"'
    escape: str | None = None
    double_quote: bool = True
    comment: str | None = None
    flexible: bool = True
    trim_headers: bool = False
    trim_fields: bool = False


@dataclass(frozen=True, slots=True)
class CsvEncoderConfig:
    """`expand_weights`: a row of weight n is written n times with weight 1 (or -1), not once with weight
    n."""

    delimiter: str = ","
    buffer_size_records: int = 10_000
    expand_weights: bool = False


def parser_config(config: dict[str, Any] | None, endpoint_name: str) -> CsvParserConfig:
    """Check the options of an input. Raises MillstreamError (`ConfigError.*`)."""
    options = Options("Parser", endpoint_name, config)
    delimiter = options.character("delimiter", ",")
    quote = options.character("quote", '"')
    quoting = options.boolean("quoting", True)
    trim = options.choice("trim", ("none", "headers", "fields", "all"), "none")
    assert delimiter is not None
    result = CsvParserConfig(
        delimiter=delimiter,
        headers=options.boolean("headers", False),
        quote=quote if quoting else None,
        escape=options.character("escape", None),
        double_quote=options.boolean("double_quote", True),
        comment=options.character("comment", None),
        flexible=options.boolean("flexible", True),
        trim_headers=trim in ("headers", "all"),
        trim_fields=trim in ("fields", "all"),
    )
    options.finish()
    special = [delimiter, *(c for c in (result.quote, result.comment) if c is not None)]
    if len(set(special)) != len(special) or set(special) & {"\n", "\r"}:
        raise options.invalid("'delimiter', 'quote' and 'comment' must differ and cannot be line ends")
    return result


def encoder_config(config: dict[str, Any] | None, endpoint_name: str, for_egress: bool) -> CsvEncoderConfig:
    """Check the options of an output. Raises MillstreamError (`ConfigError.*`)."""
    options = Options("Encoder", endpoint_name, config)
    delimiter = options.character("delimiter", ",")
    buffer_size = options.positive_integer("buffer_size_records", 10_000)
    options.finish()
    assert delimiter is not None
    if delimiter in '"\r\n':
        raise options.invalid("'delimiter' cannot be a quote or a line end")
    return CsvEncoderConfig(delimiter, buffer_size, expand_weights=for_egress)
