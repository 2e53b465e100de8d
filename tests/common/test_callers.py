"""What a believed caller may do, and where; and who is a neighbour."""

from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from services.common import security
from services.common.access import GRANTS, Permission, Role
from services.common.areas import Area, Place
from services.common.problems import AreaForbidden, TokenInvalid, TokenMissing
from services.common.security import Caller, token_hash
from tests.houses import SERVICE_TOKEN, App


def _presented(token: str) -> HTTPConnection:
    header = (b"authorization", f"Bearer {token}".encode("latin-1"))
    return HTTPConnection({"type": "http", "headers": [header]})


@settings(max_examples=100, deadline=None)
@given(
    roles=st.sets(st.sampled_from(Role)),
    scope=st.lists(
        st.sampled_from([p.value for p in Permission]) | st.sampled_from(["*", "all", "admin", ""])
    ),
)
def test_a_scope_narrows_and_never_widens(roles: set[Role], scope: list[str]) -> None:
    body = {"sub": "a", "roles": [role.value for role in roles], "scope": " ".join(scope)}
    caller = security._caller(body)  # noqa: SLF001
    table = {permission for role in roles for permission in GRANTS[role]}
    assert caller.permissions == {p for p in table if p.value in scope}
    for permission in Permission:
        assert caller.may(permission) == (permission in table and permission.value in scope)


def test_without_a_scope_nothing_may_be_done() -> None:
    body = {"sub": "a", "roles": ["city_officer"]}
    assert security._caller(body).permissions == frozenset()  # noqa: SLF001


def test_a_list_is_narrowed_to_what_one_may_see() -> None:
    caller = Caller(
        sub="a",
        roles=frozenset(),
        areas=(Area.parse("510182104"), Area.parse("510182105001002")),
        permissions=frozenset(),
    )
    compound = str(uuid4())
    assert caller.narrowed(None) == caller.areas
    assert caller.narrowed("510182104006") == (Area.parse("510182104006"),)
    assert caller.narrowed("510182104006001") == (Area.parse("510182104006001"),)
    assert caller.narrowed("510182105001002") == (Area.parse("510182105001002"),)
    assert caller.narrowed(compound, village_code="510182104006") == (Area.parse(compound),)
    for outside in ("510182", "510182105", "510182105001", "510182105001003", compound):
        with pytest.raises(AreaForbidden):
            caller.narrowed(outside)
    assert caller.sees(Place("510182104006"))
    assert caller.sees(Place("510182105001", grid_code="510182105001002"))
    assert not caller.sees(Place("510182105001"))


def test_neighbours_are_known_by_the_hash_of_their_token() -> None:
    accepted = {"gateway": token_hash("g"), "tagging_api": token_hash("t")}
    assert security.service_caller(_presented("g"), accepted) == "gateway"
    assert security.service_caller(_presented("t"), accepted) == "tagging_api"
    for wrong in ("x", token_hash("g"), "\xe9"):
        with pytest.raises(TokenInvalid):
            security.service_caller(_presented(wrong), accepted)
    with pytest.raises(TokenMissing):
        security.service_caller(HTTPConnection({"type": "http", "headers": []}), accepted)
    with pytest.raises(TokenInvalid):
        security.service_caller(_presented("g"), {})


async def test_a_service_token_opens_no_route_for_people(board: App) -> None:
    answer = await board.as_service().get("/v1/notes")
    assert (answer.status_code, answer.json()["code"]) == (401, "token.invalid")


async def test_metrics_are_for_neighbours(board: App) -> None:
    for client, status in (
        (board.client(), 401),
        (board.as_role(Role.ADMIN), 401),
        (board.client(SERVICE_TOKEN), 200),
    ):
        assert (await client.get("/metrics")).status_code == status
    assert (await board.client().get("/internal/openapi.json")).status_code == 401
    assert (await board.as_service().get("/internal/openapi.json")).json()["openapi"] == "3.1.0"
