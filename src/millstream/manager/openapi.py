"""The server's own description: an OpenAPI document of the routes that there are (api.md §1.2, §27).

`interface.json` is the published interface of version 0.337, without its prose: parameters, bodies, answers and schemas
of every operation. The document has the routes of the application, each with its own summary and with what the
interface says of it, and then what is different here: `PARAMETERS`, `ANSWERS`, `FIELDS` and `ADDED`, each with the
reason. `tests/manager/test_openapi.py` compares it with the interface and with the code.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import orjson
from fastapi import APIRouter
from fastapi.routing import APIRoute

from millstream import __version__
from millstream.manager.roles import least_role

OPENAPI_VERSION = "3.0.3"
SECURITY_SCHEME = "JSON web token (JWT) or API key"
P = "/v0/pipelines/{pipeline_name}"
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_STRING: dict[str, Any] = {"type": "string"}
_BOOLEAN: dict[str, Any] = {"type": "boolean"}


class Parameter(NamedTuple):
    """A query parameter that the interface does not have, or says to be required although it is not."""

    operation: str
    name: str
    schema: dict[str, Any]
    reason: str


_UPDATE_FORMATS = {"type": "string", "enum": ["insert_delete", "weighted", "raw", "debezium", "snowflake", "redis"]}
_INGRESS, _EGRESS = f"POST {P}/ingress/{{table_name}}", f"POST {P}/egress/{{table_name}}"
_CODE = "the interface asks for it, its implementation has a default"
_UNLISTED = "the implementation takes it, the interface does not list it"

PARAMETERS = (
    Parameter(_INGRESS, "format", _STRING, _CODE),
    Parameter(_INGRESS, "force", _BOOLEAN, _CODE),
    Parameter(_INGRESS, "lines", {"type": "string", "enum": ["multiple", "single"]}, _UNLISTED),
    Parameter(_INGRESS, "json_flavor", _STRING, _UNLISTED),
    Parameter(_EGRESS, "format", _STRING, _CODE),
    Parameter(_EGRESS, "update_format", _UPDATE_FORMATS, _UNLISTED),
    Parameter(_EGRESS, "json_flavor", _STRING, _UNLISTED),
    Parameter(f"GET {P}/query", "format", {"$ref": "#/components/schemas/AdHocResultFormat"}, _CODE),
    Parameter(f"GET {P}/stats", "include_connector_errors", _BOOLEAN, _UNLISTED),
    Parameter(f"GET {P}/logs", "cursor", _STRING, "clients of later versions resume the log where they were"),
    Parameter(f"POST {P}/testing", "set_platform_version", _STRING, _UNLISTED),
)


class Answer(NamedTuple):
    """An answer that is not as in the interface; `content` None: it never comes."""

    operation: str
    status: str
    content: dict[str, Any] | None
    reason: str


_ANY_TEXT = {"schema": {"type": "string"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_MESSAGE = {"application/json": {"schema": _STRING}}
_SENT = "the interface leaves out that the answer is a JSON string"

_AUTHENTICATION = {
    "anyOf": [{"$ref": "#/components/schemas/AuthProvider"}, {"type": "object", "additionalProperties": False}]
}

ANSWERS = (
    Answer("GET /config/authentication", "200", {"application/json": {"schema": _AUTHENTICATION}},
           "without authentication the implementation answers {}"),
    Answer(f"GET {P}/completion_status", "202", None, "the implementation always answers 200"),
    Answer(f"POST {P}/commit_transaction", "409", None, "the implementation answers 400 NoTransactionInProgress"),
    Answer(f"POST {P}/commit_transaction", "200", _MESSAGE, _SENT),
    *(Answer(f"POST {P}/{action}", "202", _MESSAGE, _SENT) for action in ("start", "stop", "clear")),
    Answer(f"POST {P}/dismiss_error", "200", _MESSAGE, _SENT),
    Answer(f"GET {P}/metrics", "200", {"text/plain": _ANY_TEXT, "application/json": {"schema": {}}},
           "the content type is that of the implementation"),
    Answer(f"GET {P}/query", "200",
           {"text/plain": _ANY_TEXT, "application/json": _ANY_TEXT, "application/octet-stream": _BINARY},
           "the content type depends on the format"),
    Answer(f"GET {P}/logs", "200", {"text/plain": _ANY_TEXT}, "the log is text"),
    Answer(f"POST {P}/samply_profile", "400", {**_ERROR, **_TEXT}, "durations that are no number are refused"),
)  # fmt: skip


class Fields(NamedTuple):
    """Properties of schemas that the interface does not have."""

    schemas: tuple[str, ...]
    properties: dict[str, Any]
    reason: str


FIELDS = (
    Fields(
        ("PostPutPipeline", "PatchPipeline", "PipelineInfo", "PipelineSelectedInfo", "ValidateProgramRequest",
         "PipelineDiffRequest"),
        {"udf_python": {"type": "string", "nullable": True}},
        "functions written in Python belong to a program",
    ),
    Fields(("Demo",), {"udf_python": {"type": "string"}}, "there only if the program has functions written in Python"),
)  # fmt: skip

#: Operations that the interface does not have, and why they are here.
ADDED = {
    "GET /healthz": "public in the implementation",
    "GET /robots.txt": "public in the implementation",
    f"GET {P}/stats/errors": "unlisted in the interface: pipeline processes have it",
    f"POST {P}/testing": "unlisted in the interface; for tests",
    f"POST {P}/views/{{view_name}}/connectors/{{connector_name}}/command": "unlisted in the interface; always refused",
    f"POST {P}/views/{{view_name}}/connectors/{{connector_name}}/start": "of later versions; always refused",
    f"POST {P}/views/{{view_name}}/connectors/{{connector_name}}/pause": "of later versions; always refused",
}

#: Answers that any operation below /v0 may give: a request without the form that it must have, without a credential,
#: without the right to what it asks for, or with a body that is too large; features that are not there.
_COMMON = {
    "400": {**_ERROR, **_TEXT},
    "401": _TEXT,
    "403": {**_ERROR, **_TEXT},
    "413": _ERROR,
    "500": _ERROR,
    "501": _ERROR,
}


@cache
def interface() -> dict[str, Any]:
    """The published interface: `{"operations": {"GET /path": ...}, "schemas": {...}}`. Not to be changed."""
    found: dict[str, Any] = orjson.loads(resources.files("millstream.manager").joinpath("interface.json").read_bytes())
    return found


def operations_of(routers: Iterable[APIRouter]) -> Iterator[tuple[str, APIRoute]]:
    """The operations that are served, as `GET /path`."""
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                yield f"{method} {route.path}", route


def document(title: str, description: str, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """The OpenAPI document of the routes of these routers."""
    published = copy.deepcopy(interface())
    paths: dict[str, dict[str, Any]] = {}
    for name, route in operations_of(routers):
        method, path = name.split(" ", 1)
        operation = published["operations"].get(name) or {"operationId": route.name, "responses": {"200": {}}}
        paths.setdefault(path, {})[method.lower()] = _described(name, route, operation)
    schemas = published["schemas"]
    for addition in FIELDS:
        for schema in addition.schemas:
            _object_part(schemas[schema])["properties"].update(addition.properties)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": title, "description": description, "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                SECURITY_SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An API key (made by POST /v0/api_keys), or a token of the login provider.",
                }
            },
        },
    }


def _described(name: str, route: APIRoute, operation: dict[str, Any]) -> dict[str, Any]:
    operation["tags"] = route.tags[:1]
    operation["summary"] = route.summary or (route.endpoint.__doc__ or route.name).strip().splitlines()[0].rstrip(".")
    parameters = operation.setdefault("parameters", [])
    known = {parameter["name"] for parameter in parameters}
    for part in route.path.split("/"):
        if part.startswith("{") and part[1:-1] not in known:
            parameters.append({"name": part[1:-1], "in": "path", "required": True, "schema": _STRING})
    for extra in PARAMETERS:
        if extra.operation == name:
            kept = [p for p in operation["parameters"] if p["name"] != extra.name]
            added = {"name": extra.name, "in": "query", "required": False, "schema": extra.schema}
            operation["parameters"] = [*kept, added]
    _set_answers(name, route, operation["responses"])
    role = least_role(name.partition(" ")[0], route.path)
    if role is not None:
        more = "" if role == "owner" else " or higher"
        operation["description"] = f"Required role: `{role}`{more}."
        operation["security"] = [{SECURITY_SCHEME: []}]
    return operation


def _set_answers(name: str, route: APIRoute, responses: dict[str, Any]) -> None:
    for answer in ANSWERS:
        if answer.operation == name:
            if answer.content is None:
                del responses[answer.status]
            else:
                responses[answer.status] = {"content": answer.content}
    if route.path.startswith("/v0/"):
        for status, content in _COMMON.items():
            responses.setdefault(status, {})["content"] = content
    for status, response in responses.items():
        response.setdefault("description", _MEANINGS.get(status, "An error"))


_MEANINGS = {
    "401": "No credential, or one that does not hold",
    "403": "The role of the caller is too low",
    "200": "Done",
    "201": "Created",
    "202": "Accepted; watch the state to see it happen",
    "204": "Not yet",
}


def _object_part(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a schema that has properties of its own."""
    if "properties" in schema:
        return schema
    found: dict[str, Any] = next(part for part in schema["allOf"] if "properties" in part)
    return found
