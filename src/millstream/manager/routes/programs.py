"""Programs apart from their deployment: check one, compare two, show the graph of one (api.md §9.6-§9.8)."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from millstream.manager import errors
from millstream.manager.program import CompileOutcome, failed_messages
from millstream.manager.program_config import is_runtime_version
from millstream.manager.routes.common import Named, Server, body_schema, decode_body, json_response
from millstream.manager.services import Services

router = APIRouter(prefix="/v0", tags=["Programs"])


class ValidateBody(msgspec.Struct, kw_only=True):
    """Body of /validate_program."""

    program_code: str
    udf_python: str | None = None
    ir: bool = False
    runtime_version: str | None = None


class DiffBody(msgspec.Struct, kw_only=True):
    """Body of /diff; what is absent is as it is in the pipeline."""

    program_code: str | None = None
    udf_python: str | None = None
    runtime_version: str | None = None


async def _check(services: Services, text: str, runtime_version: str | None, **asked: Any) -> CompileOutcome:
    if runtime_version is not None and not is_runtime_version(runtime_version):
        raise errors.invalid_runtime_version(runtime_version)
    return await services.compiler.look_at(text, **asked)


@router.post("/validate_program", openapi_extra=body_schema(ValidateBody))
async def validate_program(request: Request, services: Server) -> Response:
    """Compile a program without making a pipeline of it."""
    body = await decode_body(request, ValidateBody)
    outcome = await _check(
        services, body.program_code, body.runtime_version, udf_python=body.udf_python or "", dataflow=body.ir
    )
    answer: dict[str, Any]
    if outcome.system_error is not None:
        answer = {"SystemError": {"error": outcome.system_error}}
    elif outcome.info is None:
        answer = {"SqlError": {"info": {"exit_code": outcome.exit_code, "messages": outcome.messages}}}
    else:
        answer = {"Success": {"program_info": {**outcome.info, "dataflow": outcome.dataflow}}}
    return json_response(answer)


@router.post("/pipelines/{pipeline_name}/diff", openapi_extra=body_schema(DiffBody))
async def diff(p: Named, request: Request, services: Server) -> Response:
    """What a new program would change in a pipeline whose program is compiled."""
    # The official client sends null for an object without fields.
    body = await decode_body(request, DiffBody | None) or DiffBody()
    if p.program_status != "Success":
        raise errors.program_not_compiled(p.name)
    text = p.program_code if body.program_code is None else body.program_code
    code = p.udf_python if body.udf_python is None else body.udf_python
    baseline = (p.program_code, p.udf_python)
    outcome = await _check(services, text, body.runtime_version, udf_python=code, baseline=baseline)
    if outcome.system_error is not None:
        raise errors.new_program_failed(outcome.system_error)
    if outcome.differences is None:
        raise errors.invalid_new_program(failed_messages(outcome.messages))
    return json_response(outcome.differences)


@router.get("/pipelines/{pipeline_name}/dataflow_graph")
async def dataflow_graph(p: Named, services: Server) -> Response:
    """The graph of the compiled program."""
    return json_response(await services.dataflow(p))
