"""The inbox beyond the list: what is unread, what is wanted, and who can sign in to see it."""

from typing import Any
from uuid import UUID

import httpx
import sqlalchemy as sa

from services.common import outbox
from services.common.access import Role
from services.common.identifiers import new_id
from services.common.outbox import Event
from services.tagging_api.models import Resident
from services.tagging_api.repository import reach
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import Neighbour, person
from tests.tagging_api.test_messages import written

ACCOUNT_CHANGED = "cn.shequ.gateway.account.changed"


async def listed(client: httpx.AsyncClient, **filters: Any) -> list[str]:
    answer = await client.get("/v1/me/messages", params=filters)
    assert answer.status_code == 200, answer.text
    return [item["title"] for item in answer.json()["items"]]


async def test_unread_messages_are_counted_listed_and_marked(town: Town) -> None:
    mine = new_id()
    await written(town, mine, 4)
    await written(town, new_id(), 1)
    client = town.tagging.as_role(Role.RESIDENT, resident_id=mine)
    items = (await client.get("/v1/me/messages")).json()["items"]
    assert (await client.get("/v1/me/messages/unread-count")).json() == {"unread": 4}
    await client.post(f"/v1/me/messages/{items[0]['id']}/read")
    await client.post(f"/v1/me/messages/{items[1]['id']}/click")
    assert (await client.get("/v1/me/messages/unread-count")).json() == {"unread": 2}
    assert await listed(client, unread=True) == ["第1条", "第0条"]
    assert await listed(client, unread=False) == ["第3条", "第2条"]
    assert await listed(client, topic="health") == []
    assert (await client.post("/v1/me/messages/read")).json() == {"marked": 2}
    assert (await client.post("/v1/me/messages/read")).json() == {"marked": 0}
    assert await listed(client, unread=True) == []
    stranger = town.tagging.as_role(Role.RESIDENT, resident_id=new_id())
    refused = await stranger.post(f"/v1/me/messages/{items[0]['id']}/click")
    assert (refused.status_code, refused.json()["code"]) == (404, "message.not_found")


async def test_a_page_of_a_filter_is_none_of_another(town: Town) -> None:
    mine = new_id()
    await written(town, mine, 3)
    client = town.tagging.as_role(Role.RESIDENT, resident_id=mine)
    params: dict[str, Any] = {"page_size": 1, "unread": True}
    token = (await client.get("/v1/me/messages", params=params)).json()["next_page_token"]
    other = await client.get("/v1/me/messages", params={"page_size": 1, "page_token": token})
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "page_token.invalid")


async def test_an_account_without_a_resident_has_no_preferences_to_keep(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    assert (await worker.get("/v1/me/messages/unread-count")).json() == {"unread": 0}
    assert (await worker.post("/v1/me/messages/read")).json() == {"marked": 0}
    assert (await worker.get("/v1/me/preferences")).json()["opted_out"] == []
    refused = await worker.put("/v1/me/preferences", json={"opted_out": []})
    assert refused.status_code == 404


async def test_topics_have_names_in_both_languages(town: Town) -> None:
    items = (await town.tagging.as_role(Role.CLIENT).get("/v1/topics")).json()["items"]
    found = {item["code"]: item for item in items}
    assert found["emergency"] == {
        "code": "emergency",
        "name_zh": "紧急通知",
        "name_en": "Emergencies",
        "mandatory": True,
    }
    assert {code for code, item in found.items() if item["mandatory"]} == {"emergency", "reports"}


async def test_preferences_are_replaced_as_a_whole(town: Town) -> None:
    client = town.tagging.as_role(Role.RESIDENT, resident_id=new_id())
    other = town.tagging.as_role(Role.RESIDENT, resident_id=new_id())
    said = await client.put("/v1/me/preferences", json={"opted_out": ["health", "舞蹈", "health"]})
    assert said.status_code == 200, said.text
    assert said.json()["opted_out"] == ["health", "舞蹈"]
    said = await client.put("/v1/me/preferences", json={"opted_out": ["culture"]})
    read = (await client.get("/v1/me/preferences")).json()
    assert read == said.json()
    assert read["opted_out"] == ["culture"]
    assert {topic["code"]: topic["opted_in"] for topic in read["topics"]}["culture"] is False
    assert {topic["code"]: topic["opted_in"] for topic in read["topics"]}["health"] is True
    assert (await other.get("/v1/me/preferences")).json()["opted_out"] == []
    refused = await client.put("/v1/me/preferences", json={"opted_out": ["health", "emergency"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "topic.mandatory")
    assert [e["pointer"] for e in refused.json()["errors"]] == ["/opted_out/1"]
    assert (await client.get("/v1/me/preferences")).json()["opted_out"] == ["culture"]
    for body in ({}, {"opted_out": ["x"] * 101}, {"opted_out": [""]}, {"opted_out": None}):
        assert (await client.put("/v1/me/preferences", json=body)).status_code == 422


def account(
    resident_id: UUID | str | None, *, version: int = 1, active: bool = True
) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "version": version,
        "resident_id": str(resident_id) if resident_id else None,
        "active": active,
    }


def said(*states: dict[str, Any]) -> Event:
    return Event(ACCOUNT_CHANGED, {"accounts": list(states)})


async def reachable(town: Town) -> set[str]:
    async with town.tagging.state["sessions"].read() as session:
        numbers = await reach.with_account(session)
        found = await session.scalars(
            sa.select(Resident.id).where(Resident.number.in_(list(numbers)))
        )
        return {str(each) for each in found}


async def test_who_can_sign_in_is_known_by_the_gateways_feed(
    town: Town, accounts: Neighbour
) -> None:
    one, two, three = person(), person(), person()
    await town.live_here(one, two, three)
    mine, theirs = account(one["id"]), account(two["id"])
    await town.arrived(
        accounts, said(mine, theirs, account(None), account(three["id"], active=False))
    )
    assert await reachable(town) == {one["id"], two["id"]}
    await town.arrived(
        accounts, said({**mine, "version": 3, "active": False}), said({**mine, "version": 2})
    )
    assert await reachable(town) == {two["id"]}
    # The gateway's database is restored: what its snapshot does not mention is gone.
    accounts.now = [said({**mine, "version": 1})]
    async with accounts.open.state["sessions"].write() as session:
        await session.execute(sa.update(outbox.HEAD).values(epoch="e" * 16))
    await town.arrived(accounts, said())
    assert await reachable(town) == {one["id"]}
