"""`docs/access.md`: who may do what, written from the table and the routes themselves."""

from collections.abc import Iterable, Iterator, Sequence

from fastapi import APIRouter
from fastapi.routing import APIRoute

from services.common.access import GRANTS, Permission, Role
from services.common.routing import UnitOfWorkRoute
from services.gateway.endpoints import routers as gateway
from services.reports_api.endpoints import routers as reports_api
from services.residents_api.endpoints import routers as residents_api
from services.tagging_api.endpoints import routers as tagging_api

_ROUTERS: dict[str, Sequence[APIRouter]] = {
    "residents_api": residents_api,
    "tagging_api": tagging_api,
    "reports_api": reports_api,
    "gateway": gateway,
}


def document() -> str:
    """The whole file. Made by `shequ access`; a test holds it to the code."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Who may do what"
    yield ""
    yield "Made by `shequ access` from `services/common/access.py` and the routes of every service;"
    yield "a permission says *what*, the caller's areas say *where*. An API client has, of its column,"
    yield "only the scopes of its registration."
    yield ""
    yield "## Permissions by role"
    yield ""
    yield from _table(
        ["permission", *(role.value for role in Role)],
        (
            [f"`{permission}`", *("●" if permission in GRANTS[role] else "" for role in Role)]
            for permission in Permission
        ),
    )
    yield ""
    yield "## Routes by service"
    for service, routers in _ROUTERS.items():
        yield ""
        yield f"### {service}"
        yield ""
        yield from _table(["route", "permission"], _routes(routers))


def _routes(routers: Sequence[APIRouter]) -> list[list[str]]:
    found = [
        (route.path, method, _needed(route))
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
    ]
    return [[f"`{method} {path}`", needed] for path, method, needed in sorted(found)]


def _needed(route: APIRoute) -> str:
    if isinstance(route, UnitOfWorkRoute) and route.permission is not None:
        return f"`{route.permission}`"
    # Such a route says in the contract that it wants a token all the same.
    return "any account or client" if (route.openapi_extra or {}).get("security") else "none"


def _table(head: Sequence[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
