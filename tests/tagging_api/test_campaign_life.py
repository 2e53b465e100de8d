"""A campaign's way from a draft to its end: approved, scheduled, paused, changed, called off."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.identifiers import new_id
from services.common.outbox import OUTBOX
from services.tagging_api.models import Campaign
from services.tagging_api.settings import CampaignSettings, Settings
from tests.conftest import FixedClock
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, TOWN, person, place
from tests.tagging_api.test_campaigns import TEXT, WOMEN, drafted, ended, inbox

HERE = {"area": JINSHA}
# Tokens outlive the hours that these tests let pass.
FAR = 4_102_444_800


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Three people are many."""
    return settings.model_copy(update={"campaigns": CampaignSettings(approval_above=2)})


@pytest.fixture
async def worker(town: Town) -> AsyncGenerator[httpx.AsyncClient]:
    async with town.tagging.as_role(
        Role.COMMUNITY_WORKER, JINSHA, sub="account:worker", exp=FAR
    ) as client:
        yield client


@pytest.fixture
async def officer(town: Town) -> AsyncGenerator[httpx.AsyncClient]:
    async with town.tagging.as_role(
        Role.TOWN_OFFICER, TOWN, sub="account:officer", exp=FAR
    ) as client:
        yield client


async def step(
    client: httpx.AsyncClient, campaign: dict[str, Any], name: str, body: Any = None
) -> tuple[int, Any]:
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/{name}", json=body)
    return answer.status_code, answer.json()


async def state_of(client: httpx.AsyncClient, campaign: dict[str, Any]) -> str:
    found: str = (await client.get(f"/v1/campaigns/{campaign['id']}")).json()["state"]
    return found


async def test_many_people_need_a_second_person(
    town: Town, worker: httpx.AsyncClient, officer: httpx.AsyncClient, clock: FixedClock
) -> None:
    people = [person() for _ in range(3)]
    await town.live_here(*people)
    campaign = await drafted(worker, HERE)
    status, body = await step(worker, campaign, "send")
    assert (status, body["state"]) == (202, "awaiting_approval")
    await asyncio.sleep(0.1)
    assert await inbox(town, people[0]["id"]) == []
    # A worker may not at all, an officer not their own, and nobody twice.
    assert (await step(worker, campaign, "approve"))[0] == 403
    same = town.tagging.as_role(Role.TOWN_OFFICER, TOWN, sub="account:worker")
    status, body = await step(same, campaign, "approve")
    assert (status, body["code"]) == (403, "campaign.second_person")
    elsewhere = town.tagging.as_role(Role.TOWN_OFFICER, "510183", sub="account:other")
    assert (await step(elsewhere, campaign, "approve"))[0] == 404
    status, body = await step(officer, campaign, "approve")
    assert (status, body["state"]) == (200, "sending")
    assert body["approved_by"] == "account:officer"
    assert body["approved_at"] == clock.now().isoformat().replace("+00:00", "Z")
    done = await ended(worker, campaign["id"])
    assert (done["state"], done["recipients"], done["delivered"]) == ("sent", 3, 3)
    status, body = await step(officer, campaign, "approve")
    assert (status, body["code"]) == (409, "campaign.state_conflict")


async def test_a_rejected_campaign_is_a_draft_again_with_the_reason(
    town: Town, worker: httpx.AsyncClient, officer: httpx.AsyncClient
) -> None:
    await town.live_here(*(person() for _ in range(3)))
    campaign = await drafted(worker, HERE)
    await step(worker, campaign, "send")
    assert (await step(officer, campaign, "reject", {}))[0] == 422
    status, body = await step(officer, campaign, "reject", {"reason": "请改期"})
    assert (status, body["state"], body["rejection"]) == (200, "draft", "请改期")
    assert body["rejected_by"] == "account:officer"
    status, body = await step(worker, campaign, "send")
    assert (status, body["state"], body["rejection"]) == (202, "awaiting_approval", None)


async def test_what_grows_beyond_the_limit_until_it_is_due_is_asked_for_again(
    town: Town, worker: httpx.AsyncClient, officer: httpx.AsyncClient, clock: FixedClock
) -> None:
    await town.live_here(person(), person())
    campaign = await drafted(worker, HERE)
    at = (clock.now() + timedelta(hours=1)).isoformat()
    status, body = await step(worker, campaign, "send", {"schedule_at": at})
    assert (status, body["state"]) == (202, "scheduled")
    await town.live_here(person())
    clock.advance(timedelta(hours=1))
    while await state_of(worker, campaign) == "scheduled":
        await asyncio.sleep(0.05)
    assert await state_of(worker, campaign) == "awaiting_approval"
    await step(officer, campaign, "approve")
    assert (await ended(worker, campaign["id"]))["delivered"] == 3


async def test_a_scheduled_campaign_waits_and_takes_its_audience_then(
    town: Town, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    stays, leaves = person(), person()
    await town.live_here(stays, leaves)
    campaign = await drafted(worker, HERE)
    far = (clock.now() + timedelta(days=400)).isoformat()
    status, body = await step(worker, campaign, "send", {"schedule_at": far})
    assert (status, body["errors"][0]["code"]) == (422, "schedule.too_far")
    at = (clock.now() + timedelta(days=1)).isoformat()
    await step(worker, campaign, "send", {"schedule_at": at})
    await town.live_here({**leaves, "version": 2, "places": [place(OTHER)]})
    clock.advance(timedelta(hours=23))
    await asyncio.sleep(1.2)  # longer than a sender waits for a notification
    assert await state_of(worker, campaign) == "scheduled"
    clock.advance(timedelta(hours=1))
    while await state_of(worker, campaign) != "sent":
        await asyncio.sleep(0.05)
    assert [len(await inbox(town, each["id"])) for each in (stays, leaves)] == [1, 0]


async def test_pausing_holds_and_cancelling_ends(
    town: Town, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    someone = person()
    await town.live_here(someone)
    # Held by quiet hours, so that there is time to pause it.
    clock.advance(timedelta(hours=10))
    campaign = await drafted(worker, HERE, channels=["sms"])
    for name in ("pause", "resume"):
        status, body = await step(worker, campaign, name)
        assert (status, body["code"]) == (409, "campaign.state_conflict")
    await step(worker, campaign, "send")
    status, body = await step(worker, campaign, "pause")
    assert (status, body["state"]) == (200, "paused")
    clock.advance(timedelta(hours=12))
    await asyncio.sleep(1.2)
    assert await state_of(worker, campaign) == "paused"
    status, body = await step(worker, campaign, "resume")
    assert (status, body["state"]) == (200, "sending")
    assert (await ended(worker, campaign["id"]))["delivered"] == 1

    again = await drafted(worker, HERE)
    status, body = await step(worker, again, "cancel")
    assert (status, body["state"]) == (200, "cancelled")
    status, body = await step(worker, again, "send")
    assert (status, body["code"]) == (409, "campaign.already_sent")
    assert (await step(worker, again, "cancel"))[0] == 409


async def test_a_draft_is_changed_by_who_has_read_it(
    town: Town, worker: httpx.AsyncClient, officer: httpx.AsyncClient
) -> None:
    await town.live_here(person(sex="female"), person(sex="male"))
    campaign = await drafted(worker, HERE, topic="clinic")
    path = f"/v1/campaigns/{campaign['id']}"
    tag = (await worker.get(path)).headers["etag"]
    assert (await worker.patch(path, json={"title": "新"})).status_code == 428
    changed = await worker.patch(path, json={"title": "新"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["title"]) == (200, "新")
    assert {k: changed.json()[k] for k in ("body", "topic", "rule")} == {
        "body": TEXT["body"],
        "topic": "clinic",
        "rule": HERE,
    }
    stale = await officer.patch(path, json={"title": "旧"}, headers={"If-Match": tag})
    assert stale.status_code == 412
    tag = changed.headers["etag"]
    headers = {"If-Match": tag}
    for body, pointer in (
        ({"title": None}, "/title"),
        ({"title": "{{name}}"}, "/title"),
        ({"channels": ["webhook"]}, ""),
        ({"rule": HERE, "audience_id": str(new_id())}, ""),
        ({"audience_id": str(new_id())}, "/rule/audience"),
        ({"state": "sent"}, "/state"),
    ):
        refused = await worker.patch(path, json=body, headers=headers)
        assert refused.status_code == 422, body
        assert [e["pointer"] for e in refused.json()["errors"]] == [pointer]
    changed = await worker.patch(path, json={"rule": WOMEN, "topic": None}, headers=headers)
    assert (changed.json()["rule"], changed.json()["topic"]) == (WOMEN, None)
    await step(worker, campaign, "send")
    done = await ended(worker, campaign["id"])
    assert done["delivered"] == 1
    late = await worker.patch(
        path,
        json={"title": "晚"},
        headers={"If-Match": (await worker.get(path)).headers["etag"]},
    )
    assert (late.status_code, late.json()["code"]) == (409, "campaign.not_draft")


async def test_a_saved_audience_instead_of_a_rule(town: Town, worker: httpx.AsyncClient) -> None:
    woman, man = person(sex="female"), person(sex="male")
    await town.live_here(woman, man)
    saved = await worker.post(
        "/v1/audiences", json={"name": "妇女", "rule": WOMEN, "kind": "dynamic"}
    )
    assert saved.status_code == 201, saved.text
    audience_id = saved.json()["id"]
    both = {"rule": WOMEN, "audience_id": audience_id}
    for body in (both, {}):
        refused = await worker.post("/v1/campaigns", json={**TEXT, **body})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["code"] == "campaign.one_audience"
    answer = await worker.post("/v1/campaigns", json={**TEXT, "audience_id": audience_id})
    assert answer.status_code == 201, answer.text
    assert answer.json()["rule"] == {"audience": audience_id}
    await step(worker, answer.json(), "send")
    assert (await ended(worker, answer.json()["id"]))["delivered"] == 1
    assert [len(await inbox(town, each["id"])) for each in (woman, man)] == [1, 0]


async def test_a_rule_that_is_not_understood_any_more_is_no_fault(
    town: Town, worker: httpx.AsyncClient
) -> None:
    campaign = await drafted(worker, HERE)
    async with town.tagging.state["sessions"].write() as session:
        await session.execute(
            sa.update(Campaign)
            .where(Campaign.id == UUID(campaign["id"]))
            .values(rule={"field": "shoe_size", "op": "eq", "value": 43})
        )
    listed = await worker.get("/v1/campaigns")
    assert (listed.status_code, listed.json()["items"][0]["rule"]) == (200, None)
    read = await worker.get(f"/v1/campaigns/{campaign['id']}")
    assert (read.status_code, read.json()["rule"]) == (200, None)
    status, body = await step(worker, campaign, "send")
    assert (status, body["code"]) == (409, "campaign.rule_unreadable")
    mended = await worker.patch(
        f"/v1/campaigns/{campaign['id']}",
        json={"rule": HERE},
        headers={"If-Match": read.headers["etag"]},
    )
    assert mended.json()["rule"] == HERE


async def test_neighbours_are_told_states_and_counts_and_nothing_else(
    town: Town, worker: httpx.AsyncClient
) -> None:
    await town.live_here(person())
    campaign = await drafted(worker, HERE)
    await step(worker, campaign, "send")
    await ended(worker, campaign["id"])
    async with town.tagging.state["sessions"].read() as session:
        told = (
            await session.scalars(
                sa.select(OUTBOX.c.data)
                .where(OUTBOX.c.type == "cn.shequ.tagging.campaign.changed")
                .order_by(OUTBOX.c.id)
            )
        ).all()
    states = [state for data in told for state in data["campaigns"]]
    assert [state["state"] for state in states] == ["sending", "sent"]
    assert set(states[1]) == {"id", "version", "state", "recipients", "delivered"}
    assert (states[1]["recipients"], states[1]["delivered"]) == (1, 1)
