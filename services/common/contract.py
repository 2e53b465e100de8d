"""The OpenAPI contract of a service: what every route can refuse is declared on every route."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from services.common.errors import MEDIA_TYPE, refuses
from services.common.problems import (
    IdempotencyKeyReused,
    Malformed,
    Problem,
    RequestInvalid,
    RoleForbidden,
    TokenInvalid,
    TokenMissing,
    TooLarge,
    Unavailable,
)
from services.common.routing import UnitOfWorkRoute
from services.common.schemas import ProblemRead

BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token of `POST /oauth/token`.",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Send the same key again after a lost answer: the act happens once.",
    "schema": {"type": "string", "maxLength": 200},
}
_FASTAPI_SCHEMAS = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Replace the app's OpenAPI document by ours, made once on first demand."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, routes=app.routes, tags=app.openapi_tags or None
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _FASTAPI_SCHEMAS:
        schemas.pop(name, None)
    # FastAPI files it under the name of the class, and only where a route declares a refusal.
    schemas.pop(ProblemRead.__name__, None)
    problem = ProblemRead.model_json_schema(ref_template="#/components/schemas/{model}")
    problem["properties"]["errors"].pop("default")  # null, which an array is not: it is left out
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    components["securitySchemes"] = {"bearer": BEARER}
    for operation, method, route in _operations(app, document):
        _declare(operation, method, route)
    return document


def _operations(
    app: FastAPI, document: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], str, UnitOfWorkRoute]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, UnitOfWorkRoute):
            continue
        for method in route.methods or ():
            found = document["paths"].get(context.path_format, {}).get(method.lower())
            if found is not None:
                yield found, method, route


def _declare(operation: dict[str, Any], method: str, route: UnitOfWorkRoute) -> None:
    responses: dict[str, Any] = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    common: list[type[Problem]] = [RequestInvalid, Unavailable]
    if "requestBody" in operation:
        common += [Malformed, TooLarge]
    if route.permission is not None:
        common += [TokenMissing, TokenInvalid, RoleForbidden]
        operation["security"] = [{"bearer": []}]
        operation["x-permission"] = route.permission.value
    if method == "POST" and route.happens_once:
        common.append(IdempotencyKeyReused)
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    for status, response in refuses(*common).items():
        declared = responses.setdefault(
            str(status), {"description": response["description"], "content": {MEDIA_TYPE: {}}}
        )
        content = declared["content"]
        content.pop("application/json", None)
        problem = content.setdefault(MEDIA_TYPE, {})
        problem["schema"] = {"$ref": "#/components/schemas/Problem"}
        examples = response["content"][MEDIA_TYPE]["examples"]
        problem["examples"] = {**examples, **problem.get("examples", {})}
    for status, response in responses.items():
        if int(status) >= 400 and MEDIA_TYPE in response.get("content", {}):
            # FastAPI adds the media type of the route's success, an event stream's too.
            problem = response["content"][MEDIA_TYPE]
            problem["schema"] = {"$ref": "#/components/schemas/Problem"}
            response["content"] = {MEDIA_TYPE: problem}
