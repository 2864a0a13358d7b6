"""What can be wrong with the configuration of a pipeline and its connectors, and defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millstream.connectors.base import InputConnector
from millstream.errors import MillstreamError
from millstream.pipeline.connector_config import parse_connector_config
from millstream.pipeline.controller import Controller
from millstream.pipeline.limits import UNBOUNDED_MILLIS
from millstream.pipeline.runtime_config import RuntimeConfig
from millstream.plan.program import Index, Program
from tests.pipeline.support import (
    ScriptedInput,
    ScriptedOutput,
    file_input,
    ids,
    metrics,
    ndjson,
    rows,
    running,
    scripted,
    scripted_output,
    simple_program,
    totals,
    wait,
)

pytestmark = pytest.mark.usefixtures("scripted_transports")


def test_runtime_config_defaults() -> None:
    for source in (None, {}, {"workers": None, "storage": True, "unknown": 1, "fault_tolerance": {"model": "none"}}):
        assert RuntimeConfig.from_json(source) == RuntimeConfig()


def test_runtime_config_fields() -> None:
    config = RuntimeConfig.from_json(
        {
            "workers": 3,
            "min_batch_size_records": 10,
            "max_buffering_delay_usecs": 20,
            "clock_resolution_usecs": 1,
            "clock_timezone_offset": "-01:30",
            "max_parallel_connector_init": 0,
            "env": {"A": "b"},
            "dev_tweaks": {"now_http_driven": True, "now_offset": "1970-01-01T01:00:00+01:00"},
        }
    )
    assert (config.workers, config.min_batch_size_records, config.max_buffering_delay_us) == (3, 10, 20)
    assert config.clock_resolution_us == 1000
    assert config.clock_timezone_offset_us == -90 * 60_000_000
    assert config.max_parallel_connector_init == 1
    assert config.env == {"A": "b"}
    assert (config.now_http_driven, config.now_start_us) == (True, 0)
    assert RuntimeConfig.from_json({"clock_resolution_usecs": None}).clock_resolution_us is None


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ([], "ConfigError.PipelineConfigParseError", "object"),
        ({"workers": "8"}, "ConfigError.PipelineConfigParseError", "workers"),
        ({"workers": -1}, "ConfigError.PipelineConfigParseError", "workers"),
        ({"clock_timezone_offset": "1h"}, "ConfigError.PipelineConfigParseError", "clock_timezone_offset"),
        ({"dev_tweaks": {"now_offset": "soon"}}, "ConfigError.PipelineConfigParseError", "now_offset"),
        ({"fault_tolerance": {}}, "NotSupported", "exactly_once"),
        ({"fault_tolerance": {"model": "at_least_once"}}, "NotSupported", "at_least_once"),
        ({"fault_tolerance": "latest_checkpoint"}, "NotSupported", "exactly_once"),
        ({"max_rss_mb": 10, "datafusion_memory_mb": 11}, "ConfigError.DatafusionMemoryExceedsBudget", "11"),
    ],
)
def test_bad_runtime_configs_are_refused(source: Any, code: str, text: str) -> None:
    with pytest.raises(MillstreamError, match=text) as caught:
        RuntimeConfig.from_json(source)
    assert caught.value.error_code == code


def test_connector_defaults() -> None:
    config = parse_connector_config("t.c", {"transport": {"name": "x"}}, output=False)
    assert (config.paused, config.labels, config.start_after) == (False, (), None)
    assert config.initially_paused is False
    assert (config.max_queued_records, config.max_queued_bytes) == (1_000_000, 1_000_000_000)
    assert (config.step_limit(8), config.step_limit(1)) == (80_000, 10_000)
    tiny = parse_connector_config("t.c", {"transport": {"name": "x"}, "max_queued_records": 5}, output=False)
    assert tiny.max_queued_bytes == 5000


@pytest.mark.parametrize(
    ("connector", "code"),
    [
        ({"transport": {"name": "nope"}}, "ConfigError.UnknownInputTransport"),
        ({"transport": {"name": "kafka_input"}}, "ConfigError.UnknownInputTransport"),
        ({}, "ConfigError.PipelineConfigParseError"),
        ({"transport": {"name": "empty_input"}}, "ConfigError.InputFormatNotSpecified"),
        (scripted(format={"name": "json"}), "ConfigError.InvalidTransportConfig"),
        ({"transport": {"name": "empty_input"}, "format": {"name": "x"}}, "ConfigError.UnknownInputFormat"),
        (scripted(max_batch_size=-1), "ConfigError.PipelineConfigParseError"),
        (scripted(max_queued_bytes=1 << 64), "ConfigError.PipelineConfigParseError"),
        (scripted(max_queued_records=1.5), "ConfigError.PipelineConfigParseError"),
        (scripted(max_worker_batch_size=True), "ConfigError.PipelineConfigParseError"),
        (scripted(paused=0), "ConfigError.PipelineConfigParseError"),
        (scripted(labels="x"), "ConfigError.PipelineConfigParseError"),
        (scripted(preprocessor=[{"name": "x"}]), "NotSupported"),
    ],
)
def test_bad_input_connectors_fail_the_start(connector: dict[str, Any], code: str) -> None:
    controller = Controller(simple_program({"good": scripted(), "bad": connector}))
    with pytest.raises(MillstreamError) as caught:
        controller.start()
    assert caught.value.error_code == code
    assert controller.state == "Terminated"


@pytest.mark.parametrize(
    ("connector", "code"),
    [
        ({"transport": {"name": "nope"}, "format": {"name": "json"}}, "ConfigError.UnknownOutputTransport"),
        ({"transport": {"name": "null_output"}}, "ConfigError.OutputFormatNotSpecified"),
        ({"transport": {"name": "null_output"}, "format": {"name": "x"}}, "ConfigError.UnknownOutputFormat"),
        (scripted_output(soft_delete=True), "ConfigError.InvalidSoftDeleteConfig"),
        (scripted_output(index="i"), "ConfigError.UnknownIndex"),
        (scripted_output(index="not a name"), "ConfigError.UnknownIndex"),
        (scripted_output(index="v"), "ConfigError.NotAnIndex"),
        (scripted_output(index="t"), "ConfigError.NotAnIndex"),
        (scripted_output(index="of_n"), "ConfigError.NotAnIndex"),
        (scripted_output(index=1), "ConfigError.PipelineConfigParseError"),
        (scripted_output(index="of_v"), "ConfigError.InvalidEncoderConfig"),
        (scripted_output(postprocessor=[{"name": "x"}]), "NotSupported"),
        (
            scripted_output(enable_output_buffer=True, max_output_buffer_size_records=UNBOUNDED_MILLIS),
            "ConfigError.InvalidOutputBufferConfig",
        ),
    ],
)
def test_bad_output_connectors_fail_the_start(connector: dict[str, Any], code: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        Controller(with_indexes(simple_program(None, {"bad": connector}))).start()
    assert caught.value.error_code == code


def with_indexes(relations: Program) -> Program:
    """The program with an index of each of its views."""
    return replace(relations, indexes=(Index("of_v", "v", (0,)), Index("of_n", "n", (0,))))


@pytest.mark.parametrize("index", ["of_v", "OF_V", '"of_v"'])
def test_csv_rows_are_the_same_with_and_without_an_index(index: str, tmp_path: Path) -> None:
    def output(name: str, **options: str) -> dict[str, Any]:
        transport = {"name": "file_output", "config": {"path": str(tmp_path / name)}}
        return {"transport": transport, "format": {"name": "csv"}, **options}

    outputs = {"plain": output("plain"), "keyed": output("keyed", index=index)}
    with running(with_indexes(simple_program(None, outputs))) as controller:
        controller.push("t", rows(0, 3))
        wait(controller, lambda: totals(controller)["total_completed_records"] == 3)
    assert (tmp_path / "keyed").read_text() == (tmp_path / "plain").read_text() == "0,s0,1\n1,s1,1\n2,s2,1\n"


def test_an_output_buffer_may_be_bounded_by_time_or_by_size() -> None:
    unbounded: dict[str, Any] = {"enable_output_buffer": True, "max_output_buffer_size_records": UNBOUNDED_MILLIS}
    transport = {"transport": {"name": "x"}, "format": {"name": "csv"}}
    by_time = parse_connector_config("v.c", {**transport, **unbounded, "max_output_buffer_time_millis": 1}, output=True)
    assert by_time.max_output_buffer_time_millis == 1
    by_size = parse_connector_config("v.c", {**transport, "enable_output_buffer": True}, output=True)
    assert by_size.max_output_buffer_size_records == 10_000_000
    inert = {**unbounded, "enable_output_buffer": False}
    assert not parse_connector_config("v.c", {**transport, **inert}, output=True).enable_output_buffer


def test_queues_for_nothing_take_one_record_at_a_time(tmp_path: Path) -> None:
    """A queue of no records would never be filled, and an output of that kind would stop all steps."""
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, 10))
    source = file_input(path, max_queued_records=0, max_queued_bytes=0, max_batch_size=0)
    with running(simple_program({"c": source}, {"out": scripted_output(max_queued_records=0)})) as controller:
        wait(controller, lambda: totals(controller)["pipeline_complete"])
        assert sorted(ids(controller)) == list(range(10))


def test_a_connector_that_cannot_open_fails_the_start_and_the_others_are_closed(tmp_path: Path) -> None:
    sources = {"a": scripted(), "missing": file_input(tmp_path / "missing"), "z": scripted()}
    with pytest.raises(MillstreamError, match="missing"):
        Controller(simple_program(sources, {"out": scripted_output()})).start()
    for name in ("t.a", "t.z"):
        assert ScriptedInput.instances[name].closed
    assert ScriptedOutput.instances["v.out"].closed


def test_an_unexpected_failure_to_open_names_the_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(self: InputConnector) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(ScriptedInput, "open", explode)
    with pytest.raises(MillstreamError, match=r"'t.a'.*no route to host") as caught:
        Controller(simple_program({"a": scripted()})).start()
    assert caught.value.error_code == "InputTransportError"
    assert caught.value.details["endpoint_name"] == "t.a"


def test_references_are_resolved_from_the_configured_environment(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, 3))
    source = file_input(path)
    source["transport"]["config"]["path"] = "${env:SOURCE_PATH}"
    with running(simple_program({"c": source}), RuntimeConfig(env={"SOURCE_PATH": str(path)})) as controller:
        wait(controller, lambda: totals(controller)["pipeline_complete"])
        assert len(ids(controller)) == 3
    with pytest.raises(MillstreamError, match="SOURCE_PATH"):
        Controller(simple_program({"c": source})).start()


def test_memory_pressure_follows_the_limit() -> None:
    with running(simple_program(), RuntimeConfig(max_rss_mb=1)) as controller:
        assert totals(controller)["memory_pressure"] == "critical"
    with running(simple_program(), RuntimeConfig(max_rss_mb=1_000_000)) as controller:
        assert totals(controller)["memory_pressure"] == "low"


def test_a_finished_file_counts_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(ndjson(0, 10) + b'{"id":"bad"}\n\n')
    with running(simple_program({"c": file_input(path)})) as controller:
        wait(controller, lambda: totals(controller)["pipeline_complete"])
        found = metrics(controller, "t.c")
        assert found["num_parse_errors"] == 1
        assert found["total_records"] == 10
        assert found["total_bytes"] == path.stat().st_size
        assert found["buffered_bytes"] == 0
