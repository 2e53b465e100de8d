"""`/v1/me`, and the administrators' `/v1/accounts`."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from services.common.access import Permission, Role
from services.common.problems import RequestInvalid
from services.gateway.errors import AccountNameTaken, ClientIdTaken
from services.gateway.models import Account
from services.gateway.service import accounts
from tests.gateway.conftest import PASSWORD, SECRET, MakeAccount, SignIn
from tests.houses import App
from tests.queries import QueryLog

COMPOUND = "01932c07-0000-7000-8000-000000000001"


async def test_me_is_who_the_token_is_about(
    gateway: App, make_account: MakeAccount, sign_in: SignIn
) -> None:
    resident = await make_account("li.hua", roles=(Role.RESIDENT,), areas=("510182104006",))
    token = (await sign_in.password("li.hua")).json()["access_token"]
    answer = await gateway.client(token).get("/v1/me")
    assert answer.status_code == 200
    assert answer.json() == {
        "account": "li.hua",
        "roles": ["resident"],
        "areas": ["510182104006"],
        "resident_id": str(resident.resident_id),
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_client_is_known_by_its_id(gateway: App, platform: str, sign_in: SignIn) -> None:
    issued = await sign_in(grant_type="client_credentials", auth=(platform, quote(SECRET)))
    answer = await gateway.client(issued.json()["access_token"]).get("/v1/me")
    assert (answer.json()["account"], answer.json()["roles"]) == ("platform", ["client"])


@pytest.mark.parametrize("sub", ["account:not-a-uuid", f"account:{COMPOUND}", "account:"])
async def test_a_token_of_no_account(gateway: App, sub: str) -> None:
    answer = await gateway.as_role(Role.AUDITOR, sub=sub).get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token.invalid")


def new(**changed: Any) -> dict[str, Any]:
    return {"name": "zhao.min", "roles": ["grid_worker"], "areas": ["510182104006001"], **changed}


async def test_an_administrator_makes_an_account(gateway: App, sign_in: SignIn) -> None:
    admin = gateway.as_role(Role.ADMIN)
    created = await admin.post("/v1/accounts", json=new())
    assert created.status_code == 201
    body = created.json()
    password = body.pop("password")
    read = await admin.get(created.headers["location"])
    assert read.json() == body
    assert body["roles"] == ["grid_worker"]
    assert (await sign_in.password("zhao.min", password)).status_code == 200


async def test_the_password_is_shown_once(gateway: App) -> None:
    admin = gateway.as_role(Role.ADMIN)
    password = (await admin.post("/v1/accounts", json=new())).json()["password"]
    for path in ("/v1/accounts", "/v1/accounts?page_size=1"):
        listed = await admin.get(path)
        assert password not in listed.text
        assert "password" not in listed.text


async def test_a_password_is_never_stored_for_replay(gateway: App) -> None:
    admin = gateway.as_role(Role.ADMIN)
    key = {"Idempotency-Key": "once"}
    assert (await admin.post("/v1/accounts", json=new(), headers=key)).status_code == 201
    again = await admin.post("/v1/accounts", json=new(), headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "account.name_taken")


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"name": "Zhao"}, "/name", "string_pattern_mismatch"),
        ({"name": "张三"}, "/name", "string_pattern_mismatch"),
        ({"name": "a" * 65}, "/name", "string_pattern_mismatch"),
        ({"name": "zhao\n"}, "/name", "string_pattern_mismatch"),
        ({"name": ""}, "/name", "string_pattern_mismatch"),
        ({"roles": []}, "/roles", "too_short"),
        ({"roles": ["king"]}, "/roles/0", "enum"),
        ({"roles": ["client"]}, "/roles", "roles.client"),
        ({"roles": ["resident"]}, "/resident_id", "resident_id.missing"),
        ({"resident_id": COMPOUND}, "/resident_id", "resident_id.without_role"),
        ({"areas": []}, "/areas", "areas.missing"),
        ({"areas": ["51018"]}, "/areas/0", "area.malformed"),
        ({"areas": ["510182"] * 101}, "/areas", "too_long"),
        ({"password": "chosen by me"}, "/password", "extra_forbidden"),
    ],
)
async def test_what_an_account_may_not_be(
    gateway: App, changed: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await gateway.as_role(Role.ADMIN).post("/v1/accounts", json=new(**changed))
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


@pytest.mark.parametrize("area", ["5101", "510183", "51010", "510182105", COMPOUND])
async def test_nobody_gives_what_they_have_not(gateway: App, area: str) -> None:
    admin = gateway.as_role(Role.ADMIN, "510182104")
    answer = await admin.post("/v1/accounts", json=new(areas=["510182104006", area]))
    assert answer.status_code in {403, 422}
    if answer.status_code == 403:
        assert answer.json()["code"] == "area.forbidden"


async def test_a_name_is_taken_once(gateway: App, account: Account) -> None:
    answer = await gateway.as_role(Role.ADMIN).post("/v1/accounts", json=new(name="wang.li"))
    assert (answer.status_code, answer.json()["code"]) == (409, "account.name_taken")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_administrators(gateway: App, role: Role) -> None:
    caller = gateway.as_role(role)
    for answer in (
        await caller.get("/v1/accounts"),
        await caller.post("/v1/accounts", json=new()),
        await caller.get(f"/v1/accounts/{uuid4()}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden")


async def test_an_administrator_sees_the_accounts_of_their_areas(
    gateway: App, make_account: MakeAccount
) -> None:
    inside = {
        "village": ("510182104006",),
        "grid": ("510182104006001",),
        "two": ("510182104", "510182104006"),
    }
    outside = {
        "elsewhere": ("510182105001",),
        "above": ("510182",),
        "both": ("510182104006", "510182105001"),
        # A compound's id that happens to start as the area does.
        "compound": ("51018210-4000-7000-8000-000000000001",),
    }
    made = {
        name: await make_account(name, areas=areas) for name, areas in (inside | outside).items()
    }
    await make_account("resident", roles=(Role.RESIDENT,), areas=())
    admin = gateway.as_role(Role.ADMIN, "510182104")
    listed = (await admin.get("/v1/accounts")).json()
    assert {item["name"] for item in listed["items"]} == inside.keys()
    for name in made:
        answer = await admin.get(f"/v1/accounts/{made[name].id}")
        assert answer.status_code == (200 if name in inside else 404)
    compound = outside["compound"][0]
    for areas, more in (
        (("510182104", compound), {"compound"}),
        (("510182",), {"elsewhere", "above", "both"}),
    ):
        admin = gateway.as_role(Role.ADMIN, *areas)
        items = (await admin.get("/v1/accounts")).json()["items"]
        assert {item["name"] for item in items} == inside.keys() | more


async def test_accounts_come_in_pages(gateway: App, make_account: MakeAccount) -> None:
    for number in range(5):
        await make_account(f"worker{number}")
    admin = gateway.as_role(Role.ADMIN)
    names: list[str] = []
    token: str | None = None
    while True:
        params = {"page_size": 2} | ({"page_token": token} if token else {})
        with QueryLog() as queries:
            page = (await admin.get("/v1/accounts", params=params)).json()
        assert len(queries) == 1
        names += [item["name"] for item in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert names == [f"worker{number}" for number in range(5)]


async def test_an_account_that_is_not(gateway: App) -> None:
    admin = gateway.as_role(Role.ADMIN)
    missing = await admin.get(f"/v1/accounts/{uuid4()}")
    assert (missing.status_code, missing.json()["code"]) == (404, "account.not_found")
    malformed = await admin.get("/v1/accounts/1")
    assert (malformed.status_code, malformed.json()["code"]) == (422, "request.invalid")


async def test_the_command_line_gets_the_same_refusals(gateway: App, account: Account) -> None:
    sessions = gateway.state["sessions"]
    with pytest.raises(AccountNameTaken):
        async with sessions.write() as session:
            await accounts.create_account(
                session, name="wang.li", password=PASSWORD, roles=[Role.ADMIN], areas=["51"]
            )
    with pytest.raises(RequestInvalid) as refused:
        async with sessions.write() as session:
            await accounts.create_account(
                session, name="new one", password="short", roles=[Role.ADMIN], areas=["51"]
            )
    assert [error.pointer for error in refused.value.errors] == ["/name", "/password"]


async def test_a_client_needs_a_free_id_and_a_secret_and_what_clients_may(
    gateway: App, platform: str
) -> None:
    sessions = gateway.state["sessions"]
    good: dict[str, Any] = {
        "client_id": platform,
        "secret": SECRET,
        "name": "x",
        "scopes": [Permission.REPORTS_READ],
        "areas": ["51"],
    }
    with pytest.raises(ClientIdTaken):
        async with sessions.write() as session:
            await accounts.create_client(session, **good)
    bad = {"secret": "short", "scopes": [Permission.RESIDENTS_REVEAL], "areas": []}
    with pytest.raises(RequestInvalid) as refused:
        async with sessions.write() as session:
            await accounts.create_client(session, **(good | bad))
    assert [error.pointer for error in refused.value.errors] == ["/secret", "/scopes", "/areas"]


def test_an_account_does_not_show_itself(account: Account) -> None:
    assert repr(account) == f"Account({account.id})"
