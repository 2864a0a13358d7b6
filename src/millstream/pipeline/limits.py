"""Every bound of a running pipeline, by name. Records are rows of change batches, bytes are raw input bytes."""

from __future__ import annotations

#: Input and output queues (connectors.md §1.2, §3.3); soft: one chunk may overshoot.
DEFAULT_MAX_QUEUED_RECORDS = 1_000_000
#: `max_queued_bytes` when it is not given: this many bytes per queued record.
QUEUED_BYTES_PER_RECORD = 1_000
#: Records per step and connector, times `workers`, when `max_batch_size` is not given.
DEFAULT_WORKER_BATCH_SIZE = 10_000
#: Rows that a connector without a byte format may push at once.
MAX_ROWS_PER_PUSH = 100_000

#: HTTP endpoints that exist only at run time.
INGRESS_MAX_QUEUED_RECORDS = 100_000
EGRESS_MAX_QUEUED_RECORDS = 100_000
EGRESS_MAX_CHUNKS = 100
MAX_API_CONNECTIONS = 100
MAX_REPORTED_PARSE_ERRORS = 1_000

#: A body that is pushed whole is parsed in pieces of this size, so that its first rows are visible early.
PARSE_PIECE_BYTES = 4 << 20
#: Above this many bytes without a record boundary, splitting is tried again only after some growth (input_stream.py).
EAGER_SPLIT_BYTES = 1 << 20
#: Chunks of a body that may wait while earlier ones are parsed; the client is slowed beyond that.
READ_AHEAD_CHUNKS = 64
#: Queries of one socket that may wait for those before them; the client is slowed beyond that.
MAX_WAITING_QUERIES = 100
#: Samples of the time series, one a second.
TIME_SERIES_SAMPLES = 60

#: Error lists: the most recent per tag, each message cut in the middle.
MAX_ERRORS_PER_TAG = 100
MAX_ERROR_MESSAGE_BYTES = 8 << 10
#: At most one log line per endpoint and tag in this time.
ERROR_LOG_INTERVAL_SECONDS = 10.0

#: `processing_latency_p99_micros` looks at so many samples, none older than the window.
LATENCY_SAMPLES = 10_000
LATENCY_WINDOW_SECONDS = 600.0
LATENCY_REFRESH_SECONDS = 1.0
#: Completed steps that a completion status can still name, per endpoint.
COMPLETED_STEPS_KEPT = 1_000
#: Steps with input, per endpoint, that wait for an output; beyond that, later ones count as one with the latest.
MAX_PENDING_STEPS = 10_000
#: Times of arrival, per endpoint, of what the open transaction or one such step has consumed; others are not measured.
MAX_ARRIVALS_PER_STEP = 10_000

DEFAULT_PARALLEL_CONNECTOR_INIT = 10
#: Output buffering (connectors.md §9.3).
DEFAULT_MAX_OUTPUT_BUFFER_RECORDS = 10_000_000
UNBOUNDED_MILLIS = (1 << 64) - 1

#: How long `stop` waits for a reader to return, and for an output to deliver what is queued.
READER_STOP_SECONDS = 10.0
OUTPUT_DRAIN_SECONDS = 10.0
EGRESS_DRAIN_SECONDS = 1.0
#: A step that waits for a slow output is logged after this time.
STALL_LOG_SECONDS = 1.0
