"""The server's OpenAPI document against the published interface, and against the code that it describes."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from fastapi.openapi.utils import get_openapi

from millstream.manager.app import ROUTERS
from millstream.manager.edits import PatchBody, PostPutBody
from millstream.manager.openapi import (
    ADDED,
    ANSWERS,
    FIELDS,
    PARAMETERS,
    document,
    interface,
    operations_of,
)
from millstream.manager.routes.dataplane import FORWARDED
from millstream.manager.routes.programs import DiffBody, ValidateBody
from tests.manager.http import Http

DOCUMENT = document("Millstream", "", ROUTERS)
PUBLISHED = interface()
BODIES = {
    "PostPutPipeline": PostPutBody,
    "PatchPipeline": PatchBody,
    "ValidateProgramRequest": ValidateBody,
    "PipelineDiffRequest": DiffBody,
}


def described(operation: str) -> dict[str, Any]:
    method, path = operation.split(" ")
    found: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return found


def shapes(operation: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Place and necessity of the parameters by name."""
    return {p["name"]: (p["in"], bool(p.get("required"))) for p in operation.get("parameters", ())}


def test_the_operations_are_those_of_the_interface_and_the_listed_additions() -> None:
    served = {name for name, _ in operations_of(ROUTERS)}
    in_document = {f"{m.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for m in methods}
    assert served == in_document == set(PUBLISHED["operations"]) | set(ADDED)
    assert len(PUBLISHED["operations"]) == 76
    assert not set(PUBLISHED["operations"]) & set(ADDED)


@pytest.mark.parametrize("name", PUBLISHED["operations"])
def test_an_operation_is_described_as_published_but_for_the_listed_differences(name: str) -> None:
    published, ours = PUBLISHED["operations"][name], described(name)
    different = {p.name for p in PARAMETERS if p.operation == name}
    assert {n: s for n, s in shapes(ours).items() if n not in different} == {
        n: s for n, s in shapes(published).items() if n not in different
    }
    for parameter in published.get("parameters", ()):
        if parameter["name"] not in different:
            assert parameter in ours["parameters"]
    assert ours.get("requestBody") == published.get("requestBody")
    assert ours["operationId"] == published["operationId"]
    changed = {answer.status for answer in ANSWERS if answer.operation == name}
    for status, response in published["responses"].items():
        if status not in changed and status[0] in "23":
            assert ours["responses"][status].get("content") == response.get("content")
    # An operation succeeds with no other status than the published ones.
    assert {s for s in ours["responses"] if s[0] == "2"} == {s for s in published["responses"] if s[0] == "2"} - {
        answer.status for answer in ANSWERS if answer.operation == name and answer.content is None
    }


def test_the_schemas_are_the_published_ones_and_the_listed_fields() -> None:
    expected = copy.deepcopy(PUBLISHED["schemas"])
    for addition in FIELDS:
        for name in addition.schemas:
            parts = [expected[name], *expected[name].get("allOf", ())]
            next(part for part in parts if "properties" in part)["properties"].update(addition.properties)
    assert DOCUMENT["components"]["schemas"] == expected
    assert len(expected) == 233


def test_every_difference_has_a_reason_and_is_one() -> None:
    for parameter in PARAMETERS:
        assert parameter.reason
        assert parameter.operation in PUBLISHED["operations"] or parameter.operation in ADDED
        published = shapes(PUBLISHED["operations"].get(parameter.operation, {})).get(parameter.name)
        assert published in (None, ("query", True)), parameter
        assert shapes(described(parameter.operation))[parameter.name] == ("query", False)
    for answer in ANSWERS:
        assert answer.reason
        published_answer = PUBLISHED["operations"][answer.operation]["responses"].get(answer.status, {})
        assert published_answer.get("content") != answer.content or answer.content is None, answer
    assert all(ADDED.values())


def test_references_lead_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    def check(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                assert part["$ref"].removeprefix("#/components/schemas/") in schemas
            for inner in part.values():
                check(inner)
        elif isinstance(part, list):
            for inner in part:
                check(inner)

    check(DOCUMENT)


def test_parameters_are_those_that_the_code_reads() -> None:
    """What the routes of the manager declare; the pipeline process reads those of forwarded routes itself."""
    declared = get_openapi(title="", version="", routes=[route for router in ROUTERS for route in router.routes])
    forwarded = {f"{route.method} /v0/pipelines/{{pipeline_name}}{route.path}" for route in FORWARDED}
    #: Taken and not looked at: several hosts are one here, and what checkpoints and bootstrapping need is refused.
    ignored = {"silent_bootstrap", "concurrent_bootstrap", "incarnation_uuid"}
    for path, methods in declared["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            if name in forwarded:
                continue
            code = {n for n, (place, _) in shapes(operation).items() if place == "query"}
            shown = {n for n, (place, _) in shapes(described(name)).items() if place == "query"}
            assert code - ignored - {"dismiss_error"} == shown - ignored - {"dismiss_error"}, name


@pytest.mark.parametrize("name", BODIES)
def test_bodies_have_the_fields_that_the_code_reads(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    properties: set[str] = set()
    for part in [schema, *schema.get("allOf", ())]:
        resolved = DOCUMENT["components"]["schemas"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        properties |= set(resolved.get("properties", ()))
    assert properties == set(BODIES[name].__struct_fields__)


def test_the_document_is_served(http: Http) -> None:
    assert http.get("/openapi.json").json() == json.loads(json.dumps(DOCUMENT)) | {
        "info": http.get("/openapi.json").json()["info"]
    }
