"""Several workers in a running pipeline: same answers, statistics and snapshots as with one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import millstream
from millstream import MillstreamError
from millstream.circuit import workers as circuit_workers
from millstream.pipeline.controller import Controller
from millstream.pipeline.metrics import collect
from millstream.pipeline.runtime_config import RuntimeConfig
from tests.pipeline.support import running, simple_program

PROGRAM = """
CREATE TABLE orders (id BIGINT NOT NULL, customer BIGINT NOT NULL, amount BIGINT NOT NULL);
CREATE TABLE customers (id BIGINT NOT NULL PRIMARY KEY, city VARCHAR);
CREATE VIEW spent AS SELECT customer, SUM(amount) AS total, COUNT(*) AS n FROM orders GROUP BY customer;
CREATE MATERIALIZED VIEW cities AS
    SELECT c.city, s.total FROM spent s JOIN customers c ON s.customer = c.id WHERE s.n > 3;
"""
ROWS = 30_000


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were four, however many there are."""
    monkeypatch.setattr(circuit_workers, "usable_processors", lambda cores=None: 4 if cores is None else int(cores))


def orders(seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    amounts = random.integers(0, 100, ROWS)
    return pa.table({"id": np.arange(ROWS), "customer": random.integers(0, 5_000, ROWS), "amount": amounts})


def answers(workers: int) -> tuple[list[Counter[Any]], list[dict[str, Any]]]:
    with millstream.Pipeline(PROGRAM, workers=workers) as pipeline:
        customers = pa.table({"id": np.arange(5_000), "city": [f"city {i % 7}" for i in range(5_000)]})
        pipeline.push("customers", customers)
        pipeline.push("orders", orders(1))
        found = []
        for push in (
            lambda: None,
            lambda: pipeline.push("orders", orders(2)),
            lambda: pipeline.push("orders", orders(1), delete=True),
            lambda: pipeline.push("orders", [{"id": 1, "customer": 1, "amount": 5}]),
        ):
            push()
            pipeline.step()
            for view in ("spent", "cities"):
                found.append(Counter(tuple(row.values()) for row in pipeline.snapshot(view, "dicts")))
                found.append(Counter(tuple(row.values()) for row in pipeline.changes(view, "dicts")))
        assert pipeline.stats()["global_metrics"]["total_processed_records"] == 5_000 + 3 * ROWS + 1
        return found, pipeline._controller.profile()


@pytest.mark.usefixtures("processors")
def test_answers_and_statistics_are_those_of_one_worker() -> None:
    (one, alone), (three, shared) = answers(1), answers(3)
    assert one == three
    assert [entry["workers"] for entry in alone] == [1] * len(alone)
    assert {entry["workers"] for entry in shared if entry["kind"] == "aggregate"} == {3}
    for entry, other in zip(alone, shared, strict=True):
        for key in ("operator", "kind", "inputs", "calls", "rows_in", "rows_out"):
            assert entry[key] == other[key]
    aggregates = [[e["state_rows"] for e in profile if e["kind"] == "aggregate"] for profile in (alone, shared)]
    assert aggregates[0] == aggregates[1]


@pytest.mark.usefixtures("processors")
@pytest.mark.parametrize(
    "config, expected",
    [
        (None, 1),
        ({"workers": 8}, 1),
        ({"workers": 2}, 2),
        ({"workers": 0}, 1),
        ({"workers": 64}, 4),
        ({"workers": 64, "resources": {"cpu_cores_max": 3}}, 3),
    ],
)
def test_there_are_as_many_workers_as_configured_but_no_more_than_processors(config: Any, expected: int) -> None:
    with running(simple_program(), RuntimeConfig.from_json(config)) as controller:
        assert controller.workers == expected
        families = collect(controller.stats(), controller.measurements())
        (samples,) = [family.samples for family in families if family.name == "workers"]
        assert samples == [({}, expected)]


@pytest.mark.usefixtures("processors")
def test_a_program_gets_the_eight_workers_that_it_asks_for() -> None:
    with millstream.Pipeline(PROGRAM, workers=8) as pipeline:
        assert pipeline._controller.workers == 4
    with millstream.Pipeline(PROGRAM) as pipeline:
        assert pipeline._controller.workers == 1


def test_the_number_of_workers_is_checked() -> None:
    with pytest.raises(MillstreamError, match="'workers' must be an unsigned integer, not -1"):
        millstream.Pipeline(PROGRAM, workers=-1)


@pytest.mark.usefixtures("processors")
def test_an_error_of_a_worker_ends_the_pipeline_as_any_other() -> None:
    text = "CREATE TABLE t (k BIGINT, v BIGINT); CREATE VIEW w AS SELECT k, SUM(v) AS s FROM t GROUP BY k;"
    messages = []
    for workers in (1, 2):
        with millstream.Pipeline(text, workers=workers) as pipeline:
            rows = np.arange(40_000)
            pipeline.push("t", pa.table({"k": rows, "v": rows}))
            pipeline.step()
            pipeline.push("t", pa.table({"k": rows, "v": np.where(rows == 777, (1 << 63) - 1, 1)}))
            with pytest.raises(MillstreamError) as caught:
                pipeline.step()
            messages.append((caught.value.error_code, str(caught.value)))
    assert messages[0] == messages[1]


def test_the_step_limit_follows_what_is_configured() -> None:
    assert RuntimeConfig.from_json(None).workers == RuntimeConfig().workers == 8
    assert Controller(simple_program(), RuntimeConfig(workers=3)).config.workers == 3
