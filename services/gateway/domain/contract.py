"""One OpenAPI document out of those of all services.

Schemas that are the same in every service that has them collapse into one. A name that means
different things is prefixed by its service (`ReportsStatus`), and so is, in turn, every shared
schema that refers to it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from services.common.access import Permission
from services.gateway.domain.routes import METHODS, PUBLIC
from services.gateway.errors import RoutesConflict

Document = Mapping[str, Any]

_SCHEMAS = "#/components/schemas/"
SIGN_IN = "sign_in"
_INFO = {
    "title": "社区平台 Shequ",
    "version": "1",
    "description": (
        "The community platform's services, as one API. Sign in with `POST /oauth/token` and send "
        "the access token as a bearer token. Refusals are `application/problem+json` (RFC 9457): "
        "branch on `code`. Lists are paged by `page_token`; a POST may carry an `Idempotency-Key`."
    ),
}
_SCOPES = {permission.value: permission.value.replace(".", ": ") for permission in Permission}
_PASSWORD_FLOW = {
    "type": "oauth2",
    "description": "Sign in by name and password, or as a client.",
    "flows": {
        "password": {
            "tokenUrl": "/oauth/token",
            "refreshUrl": "/oauth/token",
            "scopes": _SCOPES,
        },
        "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": _SCOPES},
    },
}


def merged(documents: Mapping[str, Document]) -> dict[str, Any]:
    """The document of all services' public paths. Raises RoutesConflict."""
    paths: dict[str, Any] = {}
    operations: dict[str, str] = {}
    components: dict[str, dict[str, Any]] = {}
    tags: dict[str, str] = {}
    renamed = _clashes(documents)
    for service, document in documents.items():
        changed: Document = _with_references(document, renamed[service])
        sections: Mapping[str, Mapping[str, Any]] = changed.get("components", {})
        for section, entries in sections.items():
            names: Mapping[str, str] = renamed[service] if section == "schemas" else {}
            collected = components.setdefault(section, {})
            for name, entry in entries.items():
                _collect(collected, names.get(name, name), entry)
        for path, item in changed["paths"].items():
            if path.split("/")[1] in PUBLIC:
                paths[path] = item
                _check_operations(operations, service, path, item)
        tags |= _tags(document)
    components.setdefault("securitySchemes", {})[SIGN_IN] = _PASSWORD_FLOW
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/", "description": "This gateway"}],
        "tags": [{"name": name, "description": said} for name, said in sorted(tags.items())],
        "paths": {path: _signed_in(item) for path, item in sorted(paths.items())},
        "components": {name: dict(sorted(items.items())) for name, items in components.items()},
    }


def _schemas(document: Document) -> Mapping[str, Any]:
    return document.get("components", {}).get("schemas", {})


def _clashes(documents: Mapping[str, Document]) -> dict[str, dict[str, str]]:
    """By service: which schema gets which new name."""
    held: dict[str, list[tuple[str, Any]]] = {}
    for service, document in documents.items():
        for name, schema in _schemas(document).items():
            held.setdefault(name, []).append((service, schema))
    clashing = {
        name for name, found in held.items() if any(schema != found[0][1] for _, schema in found)
    }
    # What refers to a clashing schema means something else in every service, too.
    while follows := {
        name
        for name, found in held.items()
        if name not in clashing and len(found) > 1 and clashing & _references(found[0][1])
    }:
        clashing |= follows
    return {
        service: {name: _prefix(service) + name for name in _schemas(document) if name in clashing}
        for service, document in documents.items()
    }


def _prefix(service: str) -> str:
    return "".join(part.capitalize() for part in re.sub("_api$", "", service).split("_"))


def _references(value: Any) -> set[str]:
    return {text.removeprefix(_SCHEMAS) for text in _texts(value) if text.startswith(_SCHEMAS)}


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():  # pyright: ignore[reportUnknownVariableType] - JSON
                yield from _texts(item)
        case list():
            for item in value:  # pyright: ignore[reportUnknownVariableType] - JSON
                yield from _texts(item)
        case _:
            return


def _with_references(value: Any, renamed: Mapping[str, str]) -> Any:
    """A copy whose references, a discriminator's mapping included, have the new names."""
    match value:
        case str() if value.startswith(_SCHEMAS):
            name = value.removeprefix(_SCHEMAS)
            return _SCHEMAS + renamed.get(name, name)
        case Mapping():
            return {key: _with_references(item, renamed) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
        case list():
            return [_with_references(item, renamed) for item in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        case _:
            return value


def _collect(into: dict[str, Any], name: str, entry: Any) -> None:
    if into.setdefault(name, entry) != entry:
        raise RoutesConflict(f"Two services define the component {name} differently.")


def _check_operations(
    seen: dict[str, str], service: str, path: str, item: Mapping[str, Any]
) -> None:
    for method, operation in item.items():
        if method not in METHODS:
            continue
        operation_id = operation.get("operationId", "")
        place = f"{service} ({method.upper()} {path})"
        if seen.setdefault(operation_id, place) != place:
            raise RoutesConflict(
                f"The operation id {operation_id!r} is used twice: by {seen[operation_id]} "
                f"and by {place}."
            )


def _tags(document: Document) -> dict[str, str]:
    """The service's own descriptions; for a tag without one, which service it belongs to."""
    used = {
        tag: document["info"]["title"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in METHODS
        for tag in operation.get("tags", ())
    }
    described = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    return {**used, **described}


def _signed_in(item: Mapping[str, Any]) -> dict[str, Any]:
    """Wherever a bearer token opens an operation, so does signing in through OAuth 2."""
    changed = dict(item)
    for method in METHODS:
        operation = changed.get(method)
        if operation and {"bearer": []} in operation.get("security", ()):
            scopes = [operation["x-permission"]] if "x-permission" in operation else []
            changed[method] = {
                **operation,
                "security": [*operation["security"], {SIGN_IN: scopes}],
            }
    return changed
