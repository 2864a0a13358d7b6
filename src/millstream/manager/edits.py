"""Creating, editing and deleting a pipeline: validation and the rules of api.md §5.3 and §6, as pure functions.

The order of checks is part of the contract: name, runtime configuration and program configuration are checked
before the pipeline is looked up (`parse_*`), everything else after (`create`, `edit`, `check_delete`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from millstream.manager import errors
from millstream.manager.models import NO_PROGRAM_ERROR, Pipeline
from millstream.manager.program_config import normalise_program_config
from millstream.manager.runtime_config import frozen_changes, normalise_runtime_config

MAX_NAME_LENGTH = 63
MAX_TAGS = 50
MAX_TAG_LENGTH = 50
MAX_DESCRIPTION_LENGTH = 300

NAME_PATTERN = "^([A-Za-z0-9][-A-Za-z0-9_]*)?[A-Za-z0-9]$"
NAME_DESCRIPTION = (
    "be non-empty and only contain lowercase (a-z), uppercase (A-Z), number (0-9), underscore (_) or hyphen (-) "
    "characters, but cannot start or end with hyphen or underscore"
)
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_]*)?[A-Za-z0-9]")
_TAG = re.compile(r"[a-zA-Z0-9 ._/|\\:=-]+")

PROGRAM_FIELDS = ("program_code", "udf_rust", "udf_toml", "udf_python", "program_config", "platform_version")
CORE_FIELDS = ("name", "runtime_config", *PROGRAM_FIELDS)


class PostPutBody(msgspec.Struct, kw_only=True):
    """Body of POST and PUT. The two configurations are checked apart, because their errors are JSON."""

    name: str
    program_code: str
    description: str | None = None
    tags: list[str] | None = None
    runtime_config: Any = None
    program_config: Any = None
    udf_rust: str | None = None
    udf_toml: str | None = None
    udf_python: str | None = None


class PatchBody(msgspec.Struct, kw_only=True):
    """Body of PATCH: null is the same as absent."""

    name: str | None = None
    program_code: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    runtime_config: Any = None
    program_config: Any = None
    udf_rust: str | None = None
    udf_toml: str | None = None
    udf_python: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """New values, with names and configurations already valid; None leaves a field as it is."""

    name: str | None = None
    program_code: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    runtime_config: dict[str, Any] | None = None
    program_config: dict[str, Any] | None = None
    udf_rust: str | None = None
    udf_toml: str | None = None
    udf_python: str | None = None
    platform_version: str | None = None


def check_name(name: str) -> None:
    """Raises unless this is a legal pipeline name."""
    if not name:
        raise errors.empty_name()
    if len(name) > MAX_NAME_LENGTH:
        raise errors.too_long_name(name, MAX_NAME_LENGTH)
    if not _NAME.fullmatch(name):
        raise errors.name_does_not_match(name, NAME_PATTERN, NAME_DESCRIPTION)


def parse_post_put(body: PostPutBody) -> Edit:
    """The full replacement that a POST or PUT body means: absent optionals become their defaults."""
    check_name(body.name)
    runtime_config = normalise_runtime_config(body.runtime_config)
    program_config = normalise_program_config(body.program_config)
    return Edit(
        name=body.name,
        program_code=body.program_code,
        description=body.description or "",
        tags=tuple(body.tags or ()),
        runtime_config=runtime_config,
        program_config=program_config,
        udf_rust=body.udf_rust or "",
        udf_toml=body.udf_toml or "",
        udf_python=body.udf_python or "",
    )


def parse_patch(body: PatchBody) -> Edit:
    """The partial change that a PATCH body means."""
    if body.name is not None:
        check_name(body.name)
    return Edit(
        name=body.name,
        program_code=body.program_code,
        description=body.description,
        tags=None if body.tags is None else tuple(body.tags),
        runtime_config=None if body.runtime_config is None else normalise_runtime_config(body.runtime_config),
        program_config=None if body.program_config is None else normalise_program_config(body.program_config),
        udf_rust=body.udf_rust,
        udf_toml=body.udf_toml,
        udf_python=body.udf_python,
    )


def check_metadata(edit: Edit) -> None:
    """Checks the client metadata that is supplied."""
    if edit.description is not None and len(edit.description) > MAX_DESCRIPTION_LENGTH:
        raise errors.too_long_description(len(edit.description), MAX_DESCRIPTION_LENGTH)
    tags = edit.tags or ()
    if len(tags) > MAX_TAGS:
        raise errors.too_many_tags(len(tags), MAX_TAGS)
    for tag in tags:
        if not 1 <= len(tag) <= MAX_TAG_LENGTH:
            raise errors.invalid_tag(tag, f"it must have 1 to {MAX_TAG_LENGTH} characters")
        if not _TAG.fullmatch(tag):
            raise errors.invalid_tag(tag, "it may only contain letters, digits, spaces and any of . _ / | \\ : = -")


def create(edit: Edit, pipeline_id: str, platform_version: str, now: str) -> Pipeline:
    """A new pipeline from a full edit (`parse_post_put`). Its name must be free: the store sees to that."""
    check_metadata(edit)
    assert edit.name is not None
    assert edit.program_code is not None
    assert edit.runtime_config is not None
    assert edit.program_config is not None
    return Pipeline(
        id=pipeline_id,
        name=edit.name,
        description=edit.description or "",
        tags=edit.tags or (),
        created_at=now,
        platform_version=platform_version,
        runtime_config=edit.runtime_config,
        program_code=edit.program_code,
        udf_rust=edit.udf_rust or "",
        udf_toml=edit.udf_toml or "",
        udf_python=edit.udf_python or "",
        program_config=edit.program_config,
        program_status_since=now,
        resources_status_since=now,
        resources_desired_status_since=now,
    )


def edit_pipeline(p: Pipeline, edit: Edit, platform_version: str, now: str) -> Pipeline:
    """`p` with the edit applied. A program edit starts compilation anew, on the current platform version."""
    check_metadata(edit)
    changes = {
        name: getattr(edit, name)
        for name in (*CORE_FIELDS, "description", "tags")
        if getattr(edit, name) is not None and getattr(edit, name) != getattr(p, name)
    }
    core = [name for name in CORE_FIELDS if name in changes]
    if not core:
        return replace(p, **changes) if changes else p
    if not p.fully_stopped:
        raise errors.update_restricted_to_stopped()
    if p.storage_status != "Cleared":
        frozen = ["name"] if "name" in changes else []
        frozen += frozen_changes(p.runtime_config, changes.get("runtime_config", p.runtime_config))
        if frozen:
            raise errors.edit_restricted_to_cleared_storage(frozen)
    changes["version"] = p.version + 1
    changes["refresh_version"] = p.refresh_version + 1
    if any(name in changes for name in PROGRAM_FIELDS):
        changes |= {
            "program_version": p.program_version + 1,
            "program_status": "Pending",
            "program_status_since": now,
            "program_error": dict(NO_PROGRAM_ERROR),
            "program_info": None,
            "platform_version": platform_version,
        }
    return replace(p, **changes)


def set_platform_version(p: Pipeline, platform_version: str) -> Pipeline:
    """`p` as if that version had compiled it."""
    if not p.fully_stopped:
        raise errors.update_restricted_to_stopped()
    return replace(p, platform_version=platform_version)


def check_delete(p: Pipeline) -> None:
    """Raises unless the pipeline may be deleted."""
    if not p.fully_stopped:
        raise errors.delete_restricted_to_stopped()
    if p.storage_status != "Cleared":
        raise errors.delete_restricted_to_cleared()
