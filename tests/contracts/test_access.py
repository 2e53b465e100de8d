"""Every route of every service × every role: who lacks the permission is refused, before the body."""

import re

import pytest
from fastapi.routing import iter_route_contexts

from services.common.access import GRANTS, Permission, Role
from services.common.routing import UnitOfWorkRoute
from tests.contracts.conftest import Town
from tests.houses import App

_ID = "01a20ae3-01c6-7520-9c89-40f9f02377f6"


def routes(app: App) -> list[tuple[str, str, Permission]]:
    found: list[tuple[str, str, Permission]] = []
    for context in iter_route_contexts(app.app.routes):
        route = context.original_route
        if isinstance(route, UnitOfWorkRoute) and route.permission is not None:
            path = re.sub(r"\{[^}]+\}", _ID, str(context.path_format))
            found += [(method, path, route.permission) for method in route.methods or ()]
    return found


@pytest.mark.parametrize("service", ["register", "reports", "tagging"])
async def test_without_the_permission_nobody_comes_in(town: Town, service: str) -> None:
    app: App = getattr(town, service)
    asked = routes(app)
    assert len(asked) > 5
    for method, path, permission in asked:
        anonymous = await app.client().request(method, path)
        assert (anonymous.status_code, anonymous.json()["code"]) == (401, "token.missing"), path
        for role in Role:
            answer = await app.as_role(role).request(method, path, content=b"not even json")
            if permission in GRANTS[role]:
                assert answer.status_code not in {401, 500}, (role, method, path)
                assert answer.status_code != 403 or answer.json()["code"] != "role.forbidden"
            else:
                refused = (answer.status_code, answer.json()["code"])
                assert refused == (403, "role.forbidden"), (role, method, path)


@pytest.mark.parametrize("service", ["register", "reports", "tagging"])
async def test_a_scope_takes_away(town: Town, service: str) -> None:
    app: App = getattr(town, service)
    for method, path, permission in routes(app):
        role = next(role for role in Role if permission in GRANTS[role])
        answer = await app.as_role(role, scope="nothing.at_all").request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden"), path


def test_auditor_and_admin_see_no_person() -> None:
    persons = {
        permission
        for permission in Permission
        if permission.value.startswith(("residents.", "tag_assignments.", "audiences."))
    }
    for role in (Role.AUDITOR, Role.ADMIN):
        assert not persons & GRANTS[role]
