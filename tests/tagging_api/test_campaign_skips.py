"""Who gets nothing, and why: each is written down, can be listed, and is counted."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.identifiers import new_id
from services.tagging_api.models import Resident
from services.tagging_api.repository import reach
from services.tagging_api.repository.reach import Caps
from services.tagging_api.settings import CampaignSettings, Settings
from tests.conftest import FixedClock
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, person
from tests.tagging_api.test_campaigns import TEXT, drafted, ended, inbox, sent
from tests.tagging_api.test_channels import deliveries

HERE = {"area": JINSHA}
FAR = 4_102_444_800


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """No provider is set up, and caps are low."""
    return settings.model_copy(
        update={
            "outbox_directory": None,
            "campaigns": CampaignSettings(cap_days=7, cap_all_topics=3, cap_one_topic=2),
        }
    )


@pytest.fixture
def worker(town: Town) -> httpx.AsyncClient:
    return town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA, exp=FAR)


async def opt_out(town: Town, resident: dict[str, Any], *topics: str) -> None:
    mine = town.tagging.as_role(Role.RESIDENT, resident_id=resident["id"])
    answer = await mine.put("/v1/me/preferences", json={"opted_out": list(topics)})
    assert answer.status_code == 200, answer.text


async def test_reasons_are_listed_and_counted(town: Town, worker: httpx.AsyncClient) -> None:
    told, child, not_wanting, dead = (
        person(),
        person(birth_date="2020-01-01"),
        person(),
        person(),
    )
    await town.live_here(told, child, not_wanting, dead)
    await opt_out(town, not_wanting, "health")
    # The register tells of the death before it tells of the place.
    async with town.tagging.state["sessions"].write() as session:
        await session.execute(
            sa.update(Resident).where(Resident.id == UUID(dead["id"])).values(state="deceased")
        )
    done = await sent(worker, HERE, topic="health")
    assert (done["recipients"], done["delivered"], done["failed"]) == (1, 1, 0)
    assert done["skipped"] == [
        {"reason": "deceased", "count": 1},
        {"reason": "opted_out", "count": 1},
        {"reason": "under_14", "count": 1},
    ]
    listed = await deliveries(worker, done, state="skipped")
    assert {each["resident_id"]: each["reason"] for each in listed} == {
        child["id"]: "under_14",
        not_wanting["id"]: "opted_out",
        dead["id"]: "deceased",
    }
    assert set(listed[0]) == {
        *("resident_id", "area", "channel", "state", "reason"),
        *("attempts", "failure", "delivered_at"),
    }
    [only] = await deliveries(worker, done, reason="opted_out")
    assert only["resident_id"] == not_wanting["id"]
    other = town.tagging.as_role(Role.COMMUNITY_WORKER, "510183")
    refused = await other.get(f"/v1/campaigns/{done['id']}/deliveries")
    assert refused.status_code == 404


async def test_an_opt_out_holds_for_its_topic_and_an_emergency_passes(
    town: Town, worker: httpx.AsyncClient
) -> None:
    someone, child = person(), person(birth_date="2020-01-01")
    await town.live_here(someone, child)
    await opt_out(town, someone, "health", "a_topic_of_its_own")
    for topic, expected in (("health", 0), ("a_topic_of_its_own", 0), ("culture", 1), (None, 1)):
        done = await sent(worker, HERE, **({"topic": topic} if topic else {}))
        assert done["delivered"] == expected, topic
    body = {"rule": HERE, **TEXT, "emergency": True, "topic": "health"}
    assert (await worker.post("/v1/campaigns", json=body)).status_code == 403
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    done = await sent(officer, HERE, emergency=True, topic="health")
    # Not even an emergency reaches those who are too young.
    assert (done["delivered"], done["skipped"]) == (1, [{"reason": "under_14", "count": 1}])


async def test_a_topic_that_nobody_can_opt_out_of_is_for_emergencies(
    town: Town, worker: httpx.AsyncClient
) -> None:
    for topic in ("emergency", "reports"):
        refused = await worker.post("/v1/campaigns", json={"rule": HERE, **TEXT, "topic": topic})
        assert (refused.status_code, refused.json()["code"]) == (422, "topic.reserved")
        assert refused.json()["errors"][0]["pointer"] == "/topic"


async def test_nobody_gets_more_than_the_caps_say(
    town: Town, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    someone = person()
    await town.live_here(someone)
    counts = [(await sent(worker, HERE, topic="health"))["delivered"] for _ in range(3)]
    assert counts == [1, 1, 0]
    # One more of another topic, and then the cap of all is reached.
    counts = [(await sent(worker, HERE, topic="culture"))["delivered"] for _ in range(2)]
    assert counts == [1, 0]
    last = await sent(worker, HERE)
    assert last["skipped"] == [{"reason": "frequency_cap", "count": 1}]
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    assert (await sent(officer, HERE, emergency=True))["delivered"] == 1
    clock.advance(timedelta(days=7, seconds=1))
    assert (await sent(worker, HERE, topic="health"))["delivered"] == 1
    assert len(await inbox(town, someone["id"])) == 5


async def test_the_same_are_held_out_of_a_campaign_and_others_of_another(
    town: Town, worker: httpx.AsyncClient
) -> None:
    people = [person() for _ in range(200)]
    await town.live_here(*people)
    refused = await worker.post("/v1/campaigns", json={"rule": HERE, **TEXT, "holdout_percent": 51})
    assert refused.status_code == 422
    held: list[set[str]] = []
    for _ in range(2):
        done = await sent(worker, HERE, holdout_percent=25)
        found = {each["resident_id"] for each in await deliveries(worker, done, reason="held_out")}
        assert done["skipped"] == [{"reason": "held_out", "count": len(found)}]
        assert done["delivered"] == done["recipients"] == 200 - len(found)
        assert 20 < len(found) < 85  # five deviations from 50
        messages = Counter(
            [
                len([m for m in await inbox(town, each) if m["subject_id"] == done["id"]])
                for each in found
            ]
        )
        assert messages == {0: len(found)}
        held.append(found)
    assert held[0] != held[1]


async def test_nobody_is_held_out_of_an_emergency(town: Town) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    refused = await officer.post(
        "/v1/campaigns", json={"rule": HERE, **TEXT, "emergency": True, "holdout_percent": 5}
    )
    assert refused.json()["errors"][0]["code"] == "campaign.emergency_holdout"


async def test_a_channel_that_is_not_set_up_is_refused(
    town: Town, worker: httpx.AsyncClient
) -> None:
    body = {"rule": HERE, **TEXT, "channels": ["in_app", "sms"]}
    refused = await worker.post("/v1/campaigns", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "campaign.channel_unavailable")
    assert refused.json()["errors"][0]["pointer"] == "/channels/1"


async def test_reads_and_clicks_are_counted(town: Town, worker: httpx.AsyncClient) -> None:
    people = [person() for _ in range(3)]
    await town.live_here(*people)
    done = await sent(worker, HERE)
    for someone, steps in zip(
        people, (("read",), ("click",), ("read", "click", "click")), strict=True
    ):
        [message] = await inbox(town, someone["id"])
        mine = town.tagging.as_role(Role.RESIDENT, resident_id=someone["id"])
        for name in steps:
            answer = await mine.post(f"/v1/me/messages/{message['id']}/{name}")
            assert answer.status_code == 204
    counted = await ended(worker, done["id"])
    assert (counted["read"], counted["clicked"]) == (3, 2)


async def test_who_cannot_be_reached_as_numbers(
    town: Town, worker: httpx.AsyncClient, clock: FixedClock
) -> None:
    """What the count of those who can be reached is made of."""
    people = [person() for _ in range(4)]
    await town.live_here(*people)
    await opt_out(town, people[0], "health")
    for _ in range(2):
        await sent(worker, HERE, topic="health")
    caps = Caps(days=7, all_topics=3, one_topic=2)
    async with town.tagging.state["sessions"].read() as session:
        numbers = {
            str(row.id): row.number
            for row in await session.execute(sa.select(Resident.id, Resident.number))
        }
        opted_out = await reach.opted_out(session, "health")
        capped = await reach.frequency_capped(session, "health", caps=caps, now=clock.now())
        other = await reach.frequency_capped(session, "culture", caps=caps, now=clock.now())
        with_account = await reach.with_account(session)
    assert set(opted_out) == {numbers[people[0]["id"]]}
    assert set(capped) == {numbers[each["id"]] for each in people[1:]}
    assert set(other) == set()
    assert set(with_account) == set()


async def test_a_draft_of_somebody_elses_is_not_there(
    town: Town, worker: httpx.AsyncClient
) -> None:
    campaign = await drafted(town.tagging.as_role(Role.CITY_OFFICER), HERE)
    for method, name in (
        ("GET", ""),
        ("PATCH", ""),
        ("POST", "/pause"),
        ("POST", "/cancel"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/resend"),
    ):
        answer = await worker.request(
            method, f"/v1/campaigns/{campaign['id']}{name}", headers={"If-Match": '"1"'}
        )
        assert answer.status_code == 404, (method, name)
    assert (await worker.get(f"/v1/campaigns/{new_id()}/deliveries")).status_code == 404
