"""The transports that connector configurations may name (api.md §11.2), by direction.

The compiler checks that tables have inputs and views have outputs; what a name means, and whether this installation
has it, is decided where connectors are opened.
"""

from __future__ import annotations

INPUT_TRANSPORT_NAMES = frozenset(
    (
        "file_input", "url_input", "s3_input", "kafka_input", "nats_input", "pub_sub_input", "delta_table_input",
        "iceberg_input", "postgres_input", "postgres_cdc_input", "datagen", "nexmark", "empty_input",
    )
)  # fmt: skip
OUTPUT_TRANSPORT_NAMES = frozenset(
    (
        "file_output", "kafka_output", "delta_table_output", "postgres_output", "dynamodb_output", "redis_output",
        "null_output",
    )
)  # fmt: skip
#: Created by the system at run time, never from SQL.
INTERNAL_TRANSPORT_NAMES = frozenset(("http_input", "http_output", "ad_hoc_input", "clock_input"))
#: Transports whose configuration has no `config` member.
UNCONFIGURED_TRANSPORT_NAMES = frozenset(("null_output", "empty_input"))
