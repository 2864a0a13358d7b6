"""What can be wrong with the configuration of a pipeline and its connectors, and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millstream.connectors.base import InputConnector
from millstream.errors import MillstreamError
from millstream.pipeline.connector_config import parse_connector_config
from millstream.pipeline.controller import Controller
from millstream.pipeline.runtime_config import RuntimeConfig
from tests.pipeline.support import (
    ScriptedInput,
    ScriptedOutput,
    file_input,
    ids,
    metrics,
    ndjson,
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
    ],
)
def test_bad_output_connectors_fail_the_start(connector: dict[str, Any], code: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        Controller(simple_program(None, {"bad": connector})).start()
    assert caught.value.error_code == code


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
