"""Creating, editing and deleting: validation, versions, and what is frozen when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from millstream.errors import MillstreamError
from millstream.manager import edits
from millstream.manager.edits import PatchBody, PostPutBody
from millstream.manager.models import Pipeline, pipeline_event, pipeline_info, selected_info
from tests.manager.support import LATER, VERSION, compiled, new_pipeline, running, stopped, wanted

READY = compiled(new_pipeline())


def patch(p: Pipeline, **body: Any) -> Pipeline:
    return edits.edit_pipeline(p, edits.parse_patch(PatchBody(**body)), VERSION, LATER)


def error_of(action: Callable[[], object]) -> MillstreamError:
    with pytest.raises(MillstreamError) as caught:
        action()
    return caught.value


@pytest.mark.parametrize("name", ["a", "A1", "a-b_c", "0", "x" * 63])
def test_good_names(name: str) -> None:
    edits.check_name(name)


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "EmptyName"), ("x" * 64, "TooLongName")]
    + [(name, "NameDoesNotMatchPattern") for name in ("-a", "a-", "_a", "a_", "a b", "a/b", "ä", "a.b", "a\n")],
)
def test_bad_names(name: str, code: str) -> None:
    assert error_of(lambda: edits.check_name(name)).error_code == code


def test_name_errors_have_their_details() -> None:
    assert error_of(lambda: edits.check_name("x" * 64)).details == {"name": "x" * 64, "length": 64, "maximum": 63}
    assert error_of(lambda: edits.check_name("a#")).details == {
        "name": "a#",
        "pattern": "^([A-Za-z0-9][-A-Za-z0-9_]*)?[A-Za-z0-9]$",
        "pattern_description": "be non-empty and only contain lowercase (a-z), uppercase (A-Z), number (0-9), "
        "underscore (_) or hyphen (-) characters, but cannot start or end with hyphen or underscore",
    }


def test_a_new_pipeline_has_every_default() -> None:
    p = new_pipeline()
    assert (p.version, p.program_version, p.refresh_version) == (1, 1, 1)
    assert (p.program_status, p.storage_status, p.deployment_status) == ("Pending", "Cleared", "Stopped")
    assert (p.description, p.tags, p.udf_rust, p.udf_toml) == ("", (), "", "")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"description": "x" * 301}, "TooLongDescription"),
        ({"tags": ["x"] * 51}, "TooManyTags"),
        ({"tags": [""]}, "InvalidTag"),
        ({"tags": ["x" * 51]}, "InvalidTag"),
        ({"tags": ["a;b"]}, "InvalidTag"),
    ],
)
def test_bad_metadata(body: dict[str, Any], code: str) -> None:
    assert error_of(lambda: new_pipeline(**body)).error_code == code
    assert error_of(lambda: patch(READY, **body)).error_code == code


def test_metadata_may_change_in_every_state_and_moves_no_counter() -> None:
    for p in (READY, wanted(READY), running(READY), stopped(READY)):
        after = patch(p, description="what it does", tags=["b", "a"])
        assert (after.description, after.tags) == ("what it does", ("b", "a"))
        assert (after.version, after.program_version, after.refresh_version) == (
            p.version, p.program_version, p.refresh_version
        )  # fmt: skip
        assert after.program_status == "Success"


def test_a_program_edit_starts_compilation_anew() -> None:
    after = patch(READY, program_code="CREATE TABLE t (a INT);")
    assert (after.version, after.program_version, after.refresh_version) == (2, 2, 4)
    assert after.program_status == "Pending"
    assert after.program_info is None
    assert after.program_error == {"sql_compilation": None, "rust_compilation": None, "system_error": None}
    assert compiled(after).refresh_version == 6


def test_python_code_is_a_program_field() -> None:
    after = patch(READY, udf_python="def f(): ...")
    assert (after.version, after.program_version, after.program_status) == (2, 2, "Pending")
    assert patch(after, udf_python=None) == after
    again = edits.edit_pipeline(after, edits.parse_post_put(PostPutBody(name="p", program_code="")), "1", LATER)
    assert (again.udf_python, again.program_version) == ("", 3)


def test_a_runtime_edit_keeps_the_compiled_program() -> None:
    after = patch(READY, runtime_config={"workers": 2})
    assert (after.version, after.program_version, after.refresh_version) == (2, 1, 4)
    assert after.program_status == "Success"
    assert after.runtime_config["workers"] == 2


def test_a_configuration_is_replaced_whole() -> None:
    p = patch(READY, runtime_config={"workers": 2, "hosts": 1, "max_rss_mb": 10})
    assert patch(p, runtime_config={"workers": 1}).runtime_config["max_rss_mb"] is None


@pytest.mark.parametrize("p", [wanted(READY), running(READY)])
def test_core_edits_need_a_stopped_pipeline(p: Pipeline) -> None:
    assert error_of(lambda: patch(p, program_code="x")).error_code == "UpdateRestrictedToStopped"
    assert patch(p, program_code="", name="p", runtime_config={}) == p  # nothing really changes


def test_storage_in_use_freezes_name_and_layout() -> None:
    p = stopped(READY)
    error = error_of(lambda: patch(p, name="q", runtime_config={"workers": 3, "resources": {"storage_mb_max": 5}}))
    assert error.error_code == "EditRestrictedToClearedStorage"
    assert error.details == {
        "not_allowed": ["`name`", "`runtime_config.workers`", "`runtime_config.resources.storage_mb_max`"]
    }
    assert patch(p, program_code="CREATE TABLE t (a INT);").program_status == "Pending"
    assert patch(p, runtime_config={"max_rss_mb": 7}).runtime_config["max_rss_mb"] == 7


def test_deletion_needs_a_stopped_pipeline_with_cleared_storage() -> None:
    edits.check_delete(READY)
    assert error_of(lambda: edits.check_delete(running(READY))).error_code == "DeleteRestrictedToFullyStopped"
    assert error_of(lambda: edits.check_delete(wanted(READY))).error_code == "DeleteRestrictedToFullyStopped"
    assert error_of(lambda: edits.check_delete(stopped(READY))).error_code == "DeleteRestrictedToClearedStorage"


def test_the_configurations_are_checked_after_the_name() -> None:
    body = PostPutBody(name="", program_code="", runtime_config=1, program_config=1)
    assert error_of(lambda: edits.parse_post_put(body)).error_code == "EmptyName"
    body = PostPutBody(name="a", program_code="", runtime_config=1, program_config=1)
    assert error_of(lambda: edits.parse_post_put(body)).error_code == "InvalidRuntimeConfig"
    body = PostPutBody(name="a", program_code="", program_config=1)
    assert error_of(lambda: edits.parse_post_put(body)).error_code == "InvalidProgramConfig"


def test_answers_have_the_keys_of_their_selector() -> None:
    for p in (READY, running(READY), stopped(READY)):
        assert len(selected_info(p, "all")) == 41
        assert len(selected_info(p, "status")) == 33
        assert len(selected_info(p, "status_with_connectors")) == 34
        assert len(pipeline_info(p)) == 38
        assert len(pipeline_event(p, "e", LATER)) == 13
    assert selected_info(running(READY), "status_with_connectors")["connectors"] == {"num_errors": 0}
    assert not any("process" in key or "token" in key for key in selected_info(running(READY), "all"))
