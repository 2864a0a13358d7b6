"""The API's own description (`/openapi.json`): what FastAPI finds out, and who may use each operation."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from fastapi import FastAPI

from millstream.manager.authentication import GUARDED
from millstream.manager.roles import least_role

SECURITY_SCHEME = "JSON web token (JWT) or API key"


class Application(FastAPI):
    """An application that describes its access control, too."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe_access(super().openapi())
        return self.openapi_schema


def describe_access(document: dict[str, Any]) -> dict[str, Any]:
    """Add the way to authenticate, and to every operation of `/v0` that it is needed and the least role."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[SECURITY_SCHEME] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An API key (made by POST /v0/api_keys), or a token of the login provider.",
    }
    for path, operations in document["paths"].items():
        if not path.startswith(GUARDED + "/"):
            continue
        for method, operation in operations.items():
            role = least_role(method.upper(), path)
            more = "" if role == "owner" else " or higher"
            operation["security"] = [{SECURITY_SCHEME: []}]
            operation["description"] = f"Required role: `{role}`{more}.\n\n{operation.get('description', '')}".strip()
            operation["responses"].setdefault("401", {"description": "No credential, or one that does not hold."})
            operation["responses"].setdefault("403", {"description": "The caller's role is too low."})
    return document


def answer(kind: type, description: str, *, listed: bool = False) -> dict[str, Any]:
    """What a route documents of an answer: an object of `kind`, or a list of them."""
    _, components = msgspec.json.schema_components([kind])
    schema = cast(dict[str, Any], components[kind.__name__])
    schema = {"type": "array", "items": schema} if listed else schema
    return {"description": description, "content": {"application/json": {"schema": schema}}}
