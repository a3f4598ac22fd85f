"""The OpenAPI document of the HTTP face, made from the table of tools."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from dataenv.serve.tools import ARGUMENTS, about

REF = "#/components/schemas/{model}"
ERRORS = {
    "400": "The body is no JSON object.",
    "401": "The token is missing or wrong.",
    "402": "The purse cannot pay; nothing was charged.",
    "404": "No such session or tool.",
    "409": "The session is at work, or its episode has ended, or no seed is left.",
    "413": "The body is too large.",
    "422": "An argument is wrong; the sentence names it.",
}


def openapi() -> dict[str, Any]:
    """The document, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""
    _, schemas = models_json_schema([(model, "validation") for model in ARGUMENTS.values()], ref_template=REF)
    known = schemas["$defs"] | {"Error": _object({"error": {"type": "string"}}, ["error"])}
    paths: dict[str, Any] = {
        "/sessions": {"post": _operation("open", "Start an episode with the next seed, and look.", None, "201")},
        "/sessions/{session}": {
            "get": _operation("status", "Which tool is at work, and for how many seconds.", None, "200")
        },
    }
    for tool, model in ARGUMENTS.items():
        body = {"content": {"application/json": {"schema": {"$ref": REF.format(model=model.__name__)}}}}
        paths[f"/sessions/{{session}}/{tool}"] = {"post": _operation(tool, about(tool), body, "200")}
    named = {"name": "session", "in": "path", "required": True, "schema": {"type": "string"}}
    for path, item in paths.items():
        if "{session}" in path:
            item["parameters"] = [named]
    return {
        "openapi": "3.1.0",
        "info": {"title": "dataenv", "version": "1", "description": "Teach a student within a budget."},
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": known, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(name: str, what: str, body: dict[str, Any] | None, done: str) -> dict[str, Any]:
    error = {"content": {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}}
    answers = {done: {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    answers |= {status: {"description": said, **error} for status, said in ERRORS.items()}
    operation = {"operationId": name, "summary": what, "responses": answers}
    return operation if body is None else operation | {"requestBody": body}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}
