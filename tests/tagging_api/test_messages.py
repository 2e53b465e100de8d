"""The inbox: one's own messages, newest first, and one for each answer to a report."""

from datetime import timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa

from services.common import outbox
from services.common.access import Role
from services.common.identifiers import new_id
from services.common.pagination import token_for
from services.tagging_api.repository import messages as repository
from tests.conftest import FixedClock
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import report
from tests.tagging_api.test_campaigns import inbox


async def written(town: Town, resident_id: UUID, count: int) -> None:
    rows = [
        {
            "resident_id": resident_id,
            "cause_id": new_id(),
            "title": f"第{n}条",
            "body": "内容",
            "topic": None,
            "subject_type": "campaign",
            "subject_id": new_id(),
            "created_at": town.tagging.state["clock"].now(),
        }
        for n in range(count)
    ]
    async with town.tagging.state["sessions"].write() as session:
        for row in rows:
            await repository.add(session, [row])


async def test_an_answer_is_one_message_however_often_it_is_stated(town: Town) -> None:
    resident_id, report_id, reply, resolution = (new_id() for _ in range(4))
    first = report(resident_id, (reply, "reply"), report_id=report_id)
    both = report(
        resident_id, (reply, "reply"), (resolution, "resolution"), report_id=report_id, version=2
    )
    await town.arrived(town.reports, first)
    [message] = await inbox(town, str(resident_id))
    assert message["title"] == "您的随手拍有了新的回复"
    assert (message["topic"], message["subject_type"]) == ("reports", "report")
    assert message["subject_id"] == str(report_id)
    await town.arrived(town.reports, first, both, both)
    titles = [item["title"] for item in await inbox(town, str(resident_id))]
    assert titles == ["您的随手拍已办结", "您的随手拍有了新的回复"]

    # The reports' database is restored and told again from its snapshot.
    town.reports.now = [both]
    async with town.reports.open.state["sessions"].write() as session:
        await session.execute(sa.update(outbox.HEAD).values(epoch="e" * 16))
    await town.arrived(town.reports, report(None, report_id=new_id()))
    assert len(await inbox(town, str(resident_id))) == 2


async def test_a_report_of_nobody_or_with_news_of_another_kind_is_no_message(town: Town) -> None:
    resident_id = new_id()
    await town.arrived(
        town.reports,
        report(None, (new_id(), "reply"), report_id=new_id()),
        report(resident_id, report_id=new_id()),
        report(resident_id, (new_id(), "internal_note"), report_id=new_id()),
    )
    assert await inbox(town, str(resident_id)) == []


async def test_the_inbox_is_ones_own_newest_first_in_pages(town: Town) -> None:
    mine, theirs = new_id(), new_id()
    await written(town, mine, 7)
    await written(town, theirs, 2)
    client = town.tagging.as_role(Role.RESIDENT, resident_id=mine)
    found: list[str] = []
    token: str | None = None
    while True:
        params = {"page_size": 3} | ({"page_token": token} if token else {})
        page = (await client.get("/v1/me/messages", params=params)).json()
        found += [item["title"] for item in page["items"]]
        if (token := page["next_page_token"]) is None:
            break
    assert found == [f"第{n}条" for n in range(6, -1, -1)]
    assert len(await inbox(town, str(theirs))) == 2
    for size in (1, 200):
        with QueryLog() as queries:
            await client.get("/v1/me/messages", params={"page_size": size})
        assert sum("FROM message" in each for each in queries.statements) == 1


async def test_reading_is_noted_the_first_time(town: Town, clock: FixedClock) -> None:
    mine = new_id()
    await written(town, mine, 1)
    [message] = await inbox(town, str(mine))
    path = f"/v1/me/messages/{message['id']}/read"
    client = town.tagging.as_role(Role.RESIDENT, resident_id=mine)
    other = town.tagging.as_role(Role.RESIDENT, resident_id=new_id())
    for stranger in (other, town.tagging.as_role(Role.COMMUNITY_WORKER)):
        refused = await stranger.post(path)
        assert (refused.status_code, refused.json()["code"]) == (404, "message.not_found")
    assert (await inbox(town, str(mine)))[0]["read_at"] is None
    for _ in range(2):
        answer = await client.post(path)
        assert (answer.status_code, answer.content) == (204, b"")
    read_at = (await inbox(town, str(mine)))[0]["read_at"]
    clock.advance(timedelta(minutes=5))
    keyed = {"Idempotency-Key": "read"}
    assert (await client.post(path, headers=keyed)).status_code == 204
    assert (await client.post(path, headers=keyed)).status_code == 204
    assert (await inbox(town, str(mine)))[0]["read_at"] == read_at
    assert (await client.post(f"/v1/me/messages/{uuid4()}/read")).status_code == 404
    assert (await client.post("/v1/me/messages/one/read")).status_code == 422


async def test_an_account_without_a_resident_has_an_empty_inbox(town: Town) -> None:
    for role in (Role.RESIDENT, Role.COMMUNITY_WORKER):
        answer = await town.tagging.as_role(role).get("/v1/me/messages")
        assert answer.json() == {"items": [], "next_page_token": None}


async def test_a_page_token_of_another_list_is_refused(town: Town) -> None:
    client = town.tagging.as_role(Role.RESIDENT, resident_id=new_id())
    own = [token_for("/v1/me/messages?", *keys) for keys in ((), ("a",), ("a", "b"))]
    for token in ("x", "W10", "é", *own):
        answer = await client.get("/v1/me/messages", params={"page_token": token})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == "page_token.invalid"
