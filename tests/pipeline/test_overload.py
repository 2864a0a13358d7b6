"""Sources that are faster than the engine, and an engine that is faster than an output: all wait, nothing grows."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from millstream.pipeline.controller import Controller
from millstream.plan.program import Program
from millstream.sql.compile import compile_program
from millstream.udf.library import load_source
from tests.pipeline.support import ScriptedOutput, file_input, ids, metrics, ndjson, running, scripted_output, wait

pytestmark = pytest.mark.usefixtures("scripted_transports")

COUNT, CHUNK = 1_500, 50
MAX_QUEUED, MAX_BATCH, MAX_OUT = 60, 20, 90
SLOW = "import time\ndef slow(n):\n    time.sleep(0.002)\n    return n\n"


def overloaded(tmp_path: Path) -> Program:
    """A table with a file and a generator, a view by a slow function, and an output that takes nothing yet."""
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, COUNT))
    bounds = {"max_queued_records": MAX_QUEUED, "max_batch_size": MAX_BATCH}
    file = file_input(path, **bounds)
    file["transport"]["config"]["buffer_size_bytes"] = 1_000  # about 50 rows
    fields = {"id": {"range": [COUNT, 2 * COUNT], "strategy": "increment"}}
    plan = [{"limit": COUNT, "worker_chunk_size": CHUNK, "fields": fields}]
    generator = {"transport": {"name": "datagen", "config": {"plan": plan}}, **bounds}
    sources = json.dumps([{"name": "file", **file}, {"name": "generator", **generator}])
    text = f"""CREATE FUNCTION slow(n BIGINT) RETURNS BIGINT;
        CREATE TABLE t (id BIGINT NOT NULL, s VARCHAR) WITH ('connectors' = '{sources}');
        CREATE MATERIALIZED VIEW v AS SELECT slow(id) AS id, s FROM t;"""
    result = compile_program(text, udf=load_source(SLOW))
    assert result.program is not None, result.messages
    (view,) = result.program.views
    sinks = {"v.out": scripted_output(blocked=True, max_queued_records=MAX_OUT)}
    return replace(result.program, views=(replace(view, connectors=sinks),))


def send(controller: Controller, failures: list[Exception]) -> None:
    """Bodies over HTTP, as fast as they are taken."""
    request = controller.ingress_endpoint("t", "json", {"update_format": "raw"})
    try:
        for first in range(2 * COUNT, 3 * COUNT, CHUNK):
            request.push(ndjson(first, CHUNK))
        request.finish()
    except Exception as error:  # noqa: BLE001 - told to the test
        failures.append(error)


def test_an_overloaded_pipeline_slows_its_sources_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millstream.pipeline.inlets.INGRESS_MAX_QUEUED_RECORDS", MAX_QUEUED)
    failures: list[Exception] = []
    with running(overloaded(tmp_path)) as controller:
        sender = threading.Thread(target=send, args=(controller, failures))
        sender.start()

        def stays_bounded() -> None:
            stats = controller.stats()
            for status in stats["inputs"]:
                assert status["metrics"]["buffered_records"] < MAX_QUEUED + 2 * CHUNK, status
                assert status["metrics"]["buffered_bytes"] < 1_000 * MAX_QUEUED, status
            (output,) = stats["outputs"]
            # A step may overshoot, and one batch is with the sink.
            assert output["metrics"]["queued_records"] < MAX_OUT + 2 * (3 * (MAX_QUEUED + 2 * CHUNK)), output

        def full() -> bool:
            stays_bounded()
            (output,) = controller.stats()["outputs"]
            waiting = [status["metrics"]["buffered_records"] >= MAX_QUEUED for status in controller.stats()["inputs"]]
            return output["metrics"]["queued_records"] >= MAX_OUT and waiting == [True] * 3

        wait(controller, full)
        assert sender.is_alive()
        for name in ("t.file", "t.generator"):
            controller.pause_connector(name)
            assert metrics(controller, name)["paused"]
            controller.start_connector(name)
            assert not metrics(controller, name)["paused"]
        ScriptedOutput.instances["v.out"].open_gate.set()

        def finished() -> bool:
            stays_bounded()
            (output,) = controller.stats()["outputs"]
            return bool(output["metrics"]["transmitted_records"] == 3 * COUNT)

        wait(controller, finished)
        sender.join()
        assert failures == []
        assert ids(controller) == Counter(range(3 * COUNT))
