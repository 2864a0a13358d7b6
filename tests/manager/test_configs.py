"""`runtime_config` and `program_config`: defaults, spellings, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.manager.program_config import normalise_program_config
from millstream.manager.runtime_config import normalise_runtime_config


def test_every_default_is_filled_in() -> None:
    config = normalise_runtime_config(None)
    assert len(config) == 25
    assert config == normalise_runtime_config({})
    assert config["workers"] == 8
    assert config["storage"]["backend"] == {"name": "default"}
    assert config["fault_tolerance"] == {"model": "none", "checkpoint_interval_secs": 60}
    assert config["clock_resolution_usecs"] == 1_000_000
    assert set(config["resources"].values()) == {None}
    assert len(config["resources"]) == 8


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"workers": 123}, "workers", 123),
        ({"storage": False}, "storage", None),
        ({"storage": None}, "storage", None),
        ({"fault_tolerance": None}, "fault_tolerance", {"model": "none", "checkpoint_interval_secs": 60}),
        ({"fault_tolerance": {}}, "fault_tolerance", {"model": "exactly_once", "checkpoint_interval_secs": 60}),
        ({"fault_tolerance": "latest_checkpoint"}, "fault_tolerance",
         {"model": "exactly_once", "checkpoint_interval_secs": 60}),
        ({"fault_tolerance": {"model": "at_least_once", "checkpoint_interval_secs": 0}}, "fault_tolerance",
         {"model": "at_least_once", "checkpoint_interval_secs": 1}),
        ({"fault_tolerance": {"checkpoint_interval_secs": 99999}}, "fault_tolerance",
         {"model": "exactly_once", "checkpoint_interval_secs": 3600}),
        ({"fault_tolerance": {"checkpoint_interval_secs": None}}, "fault_tolerance",
         {"model": "exactly_once", "checkpoint_interval_secs": None}),
        ({"dev_tweaks": {"anything": {"kept": 1}}}, "dev_tweaks", {"anything": {"kept": 1}}),
        ({"clock_timezone_offset": "+05:30"}, "clock_timezone_offset", "+05:30"),
        ({"clock_resolution_usecs": None}, "clock_resolution_usecs", None),
        ({"env": {"A": "b"}}, "env", {"A": "b"}),
        ({"unheard_of": 1}, "workers", 8),
    ],
)  # fmt: skip
def test_values_and_spellings(given: dict[str, Any], field: str, value: Any) -> None:
    assert normalise_runtime_config(given)[field] == value


def test_storage_true_is_the_default_storage() -> None:
    assert normalise_runtime_config({"storage": True}) == normalise_runtime_config({})


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (5, "expected an object"),
        ([], "expected an object"),
        ({"workers": "4"}, "workers"),
        ({"workers": True}, "workers"),
        ({"workers": -1}, "workers"),
        ({"workers": 70000}, "workers"),
        ({"storage": {"backend": {"name": "tape"}}}, "backend"),
        ({"fault_tolerance": "sometimes"}, "fault_tolerance"),
        ({"fault_tolerance": {"model": "twice"}}, "model"),
        ({"env": {"RUST_LOG": "x"}}, "reserved and cannot be overridden"),
        ({"env": {"FELDERA_X": "x"}}, "reserved and cannot be overridden"),
        ({"env": {"a=b": "x"}}, "environment variable"),
        ({"clock_timezone_offset": "Berlin"}, "clock_timezone_offset"),
        ({"clock_timezone_offset": "+25:00"}, "clock_timezone_offset"),
    ],
)
def test_what_is_refused(value: Any, part: str) -> None:
    with pytest.raises(MillstreamError) as caught:
        normalise_runtime_config(value)
    assert caught.value.error_code == "InvalidRuntimeConfig"
    assert part in caught.value.message
    assert caught.value.details["value"] == value


def test_program_config() -> None:
    default = {"profile": None, "cache": True, "runtime_version": None, "use_platform_compiler": False}
    assert normalise_program_config(None) == default
    assert normalise_program_config({"profile": "dev", "x": 1}) == {**default, "profile": "dev"}
    assert normalise_program_config({"runtime_version": "v1.2.3"})["runtime_version"] == "v1.2.3"
    for bad in ({"profile": "fast"}, {"cache": "yes"}, {"runtime_version": "1"}, 3):
        with pytest.raises(MillstreamError) as caught:
            normalise_program_config(bad)
        assert caught.value.error_code == "InvalidProgramConfig"
