"""What a pipeline measures for its metrics and does not show among its statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from millstream.pipeline.histogram import HistogramSnapshot


@dataclass(frozen=True, slots=True)
class Measurements:
    """Since the start of the process. `late_records`: rows that were left out because they came late. `workers`: the
    number of threads that compute steps. Durations in seconds: of steps, of transactions until their commit and of
    commits, and by input endpoint from the moment that records are queued to the end of the step that processes them,
    and until every output has delivered that step."""

    late_records: int
    workers: int
    max_rss_mb: int | None
    step_latency: HistogramSnapshot
    transaction_ingest: HistogramSnapshot
    transaction_commit: HistogramSnapshot
    processing_latency: Mapping[str, HistogramSnapshot]
    completion_latency: Mapping[str, HistogramSnapshot]
