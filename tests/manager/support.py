"""Pipelines in given states, made by the same functions that the server uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from millstream.manager import edits, lifecycle, program
from millstream.manager.edits import PostPutBody
from millstream.manager.lifecycle import StartRequest
from millstream.manager.models import Pipeline
from millstream.manager.program import CompileOutcome

NOW = "2026-01-01T00:00:00.000000Z"
LATER = "2026-01-01T00:00:01.000000Z"
VERSION = "1.2.3"
PROCESS = {"pid": 1, "started": "x", "port": 1}
INFO: dict[str, Any] = {"schema": {"inputs": [], "outputs": []}}


def new_pipeline(name: str = "p", pipeline_id: str = "id-1", **body: Any) -> Pipeline:
    """A pipeline as POST makes it."""
    edit = edits.parse_post_put(PostPutBody(**{"name": name, "program_code": "", **body}))
    return edits.create(edit, pipeline_id, VERSION, NOW)


def compiled(p: Pipeline) -> Pipeline:
    """`p` with its program compiled."""
    version = p.program_version
    p = program.begin_sql(p, version, NOW)
    p = program.finish_sql(p, version, CompileOutcome(info=INFO), NOW)
    return program.finish_rust(program.begin_rust(p, version, NOW), version, NOW)


def failed(p: Pipeline) -> Pipeline:
    """`p` with a program that does not compile."""
    message = {"message": "no such table", "warning": False}
    p = program.begin_sql(p, p.program_version, NOW)
    return program.finish_sql(p, p.program_version, CompileOutcome(messages=(message,)), NOW)


def wanted(p: Pipeline, **request: Any) -> Pipeline:
    """`p` after a start request."""
    return lifecycle.start(p, StartRequest(**request), NOW)


def provisioning(p: Pipeline, **request: Any) -> Pipeline:
    """`p` with its process coming up."""
    return lifecycle.provisioning(lifecycle.use_storage(wanted(p, **request)), "deployment-1", NOW)


def initializing(p: Pipeline, **request: Any) -> Pipeline:
    """`p` with a process that opens its connectors."""
    return lifecycle.provisioned(provisioning(p, **request), PROCESS, {"pid": 1}, NOW)


def running(p: Pipeline) -> Pipeline:
    """`p` as it runs."""
    return lifecycle.observe_runtime(initializing(p), "Running", {"connector_stats": {"num_errors": 0}}, NOW)


def stopping(p: Pipeline) -> Pipeline:
    """A running `p` that is being stopped."""
    return lifecycle.stopping(lifecycle.stop(running(p), LATER), None, LATER)


def stopped(p: Pipeline) -> Pipeline:
    """`p` after it has run: storage is in use."""
    return lifecycle.stopped(stopping(p), LATER)


def with_error(p: Pipeline) -> Pipeline:
    """`p` after a run that ended in an error."""
    error = {"message": "boom", "error_code": "RuntimeError.WorkerPanic", "details": None}
    return replace(stopped(p), deployment_error=error)
