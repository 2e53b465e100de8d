"""A sent campaign puts one message into the inbox of every member, once, and of nobody else."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx

from services.common.access import Role
from services.common.identifiers import new_id
from tests.conftest import FixedClock
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, TOWN, compounds, person, place

TEXT = {"title": "义诊通知", "body": "本周六上午九点，社区服务中心。"}
WOMEN = {"field": "sex", "op": "eq", "value": "female"}


async def drafted(client: httpx.AsyncClient, rule: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/campaigns", json={"rule": rule, **TEXT, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/campaigns/{answer.json()['id']}"
    body: dict[str, Any] = answer.json()
    return body


async def ended(client: httpx.AsyncClient, campaign_id: str) -> dict[str, Any]:
    """The campaign once nothing more is being sent."""
    while True:
        answer = await client.get(f"/v1/campaigns/{campaign_id}")
        assert answer.status_code == 200, answer.text
        if (body := answer.json())["state"] != "sending":
            return dict(body)
        await asyncio.sleep(0.01)


async def sent(client: httpx.AsyncClient, rule: dict[str, Any], **more: Any) -> dict[str, Any]:
    campaign = await drafted(client, rule, **more)
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/send")
    assert (answer.status_code, answer.json()["state"]) == (202, "sending"), answer.text
    return await ended(client, campaign["id"])


async def inbox(town: Town, resident_id: str) -> list[dict[str, Any]]:
    answer = await town.tagging.as_role(Role.RESIDENT, resident_id=resident_id).get(
        "/v1/me/messages"
    )
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_every_member_gets_one_message_and_nobody_else(town: Town, clock: FixedClock) -> None:
    women = [person(sex="female") for _ in range(120)]
    men = [person(sex="male") for _ in range(3)]
    await town.live_here(*women, *men)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    draft = await drafted(worker, WOMEN, topic="clinic")
    assert draft == {
        "id": draft["id"],
        "state": "draft",
        **TEXT,
        "topic": "clinic",
        "rule": WOMEN,
        "channels": ["in_app"],
        "webhook_endpoint_id": None,
        "emergency": False,
        "holdout_percent": 0,
        "created_by": "account:test",
        "scheduled_at": None,
        "approved_by": None,
        "approved_at": None,
        "rejected_by": None,
        "rejection": None,
        "recipients": None,
        "delivered": 0,
        "created_at": clock.now().isoformat().replace("+00:00", "Z"),
        "sent_at": None,
    }
    assert (await inbox(town, women[0]["id"])) == []

    done = await sent(worker, WOMEN, topic="clinic")
    assert (done["state"], done["recipients"], done["delivered"]) == ("sent", 120, 120)
    assert done["sent_at"] is not None
    for woman in women:
        [message] = await inbox(town, woman["id"])
    assert message == {
        "id": message["id"],
        **TEXT,
        "topic": "clinic",
        "subject_type": "campaign",
        "subject_id": done["id"],
        "created_at": clock.now().isoformat().replace("+00:00", "Z"),
        "read_at": None,
    }
    for man in men:
        assert await inbox(town, man["id"]) == []


async def test_it_is_sent_once(town: Town) -> None:
    someone = person()
    await town.live_here(someone)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    campaign = await drafted(worker, {"area": JINSHA})
    path = f"/v1/campaigns/{campaign['id']}/send"
    key = {"Idempotency-Key": "send-it"}
    first = await worker.post(path, headers=key)
    assert first.status_code == 202
    again = await worker.post(path, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = await worker.post(path)
    assert (other.status_code, other.json()["code"]) == (409, "campaign.already_sent")
    await ended(worker, campaign["id"])
    late = await worker.post(path, headers={"Idempotency-Key": "another"})
    assert (late.status_code, late.json()["code"]) == (409, "campaign.already_sent")
    assert len(await inbox(town, someone["id"])) == 1


async def test_clicks_at_once_send_once(town: Town) -> None:
    someone = person()
    await town.live_here(someone)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    campaign = await drafted(worker, {"area": JINSHA})
    path = f"/v1/campaigns/{campaign['id']}/send"
    answers = await asyncio.gather(*(worker.post(path) for _ in range(6)))
    assert sorted(each.status_code for each in answers) == [202, 409, 409, 409, 409, 409]
    await ended(worker, campaign["id"])
    assert len(await inbox(town, someone["id"])) == 1


async def test_the_audience_is_taken_at_sending_within_the_creators_areas(town: Town) -> None:
    leaves, stays, comes = person(), person(), person(places=[place(OTHER)])
    outside = person(places=[place(OTHER)])
    await town.live_here(leaves, stays, comes, outside)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    campaign = await drafted(worker, {"area": TOWN})
    await town.live_here(
        {**leaves, "version": 2, "places": [place(OTHER)]},
        {**comes, "version": 2, "places": [place(JINSHA)]},
    )
    # Whoever sends it: the areas are those of whoever wrote it.
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    assert (await officer.post(f"/v1/campaigns/{campaign['id']}/send")).status_code == 202
    assert (await ended(officer, campaign["id"]))["delivered"] == 2
    found = [len(await inbox(town, p["id"])) for p in (leaves, stays, comes, outside)]
    assert found == [0, 1, 1, 0]


async def test_nobody_under_14_is_reached(town: Town) -> None:
    births = {"2012-11-23": 1, "2012-11-24": 0, "2026-11-23": 0, "1940-01-01": 1, None: 1}
    people = [person(birth_date=born) for born in births]
    await town.live_here(*people)
    done = await sent(town.tagging.as_role(Role.COMMUNITY_WORKER), {"area": JINSHA})
    assert (done["recipients"], done["delivered"]) == (3, 3)
    assert [len(await inbox(town, p["id"])) for p in people] == list(births.values())


async def test_an_empty_audience_is_sent_to_nobody(town: Town) -> None:
    done = await sent(town.tagging.as_role(Role.COMMUNITY_WORKER), {"not": {"area": "51"}})
    assert (done["state"], done["recipients"], done["delivered"]) == ("sent", 0, 0)


async def test_whole_batches_end_too(town: Town) -> None:
    await town.live_here(*(person() for _ in range(100)))
    done = await sent(town.tagging.as_role(Role.COMMUNITY_WORKER), {"area": JINSHA})
    assert (done["state"], done["recipients"], done["delivered"]) == ("sent", 100, 100)


async def test_a_rule_with_a_tag_of_the_highest_sensitivity_is_refused(town: Town) -> None:
    highest = {"tag": "community_correction"}
    rules = {
        "/rule/tag": highest,
        "/rule/not/tag": {"not": highest},
        "/rule/all/1/any/0/not/not/tag": {
            "all": [{"area": TOWN}, {"any": [{"not": {"not": highest}}, {"tag": "volunteer"}]}]
        },
    }
    for role in (Role.COMMUNITY_WORKER, Role.TOWN_OFFICER, Role.CITY_OFFICER):
        for pointer, rule in rules.items():
            answer = await town.tagging.as_role(role).post(
                "/v1/campaigns", json={"rule": rule, **TEXT}
            )
            assert answer.status_code == 422
            # Who may not see such a tag is not told that there is one.
            unseen = role is Role.COMMUNITY_WORKER
            code = "tag.unknown" if unseen else "campaign.sensitive_rule"
            assert answer.json()["code"] == code
            assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    assert (await town.tagging.as_role(Role.CITY_OFFICER).get("/v1/campaigns")).json()[
        "items"
    ] == []


async def test_a_tag_that_became_the_highest_stops_the_sending(town: Town) -> None:
    await town.live_here(person(labels=["志愿者"]))
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    campaign = await drafted(officer, {"any": [{"tag": "elderly"}, {"not": {"tag": "volunteer"}}]})
    raised = await officer.patch(
        "/v1/tags/volunteer", json={"sensitivity": "highest"}, headers={"If-Match": '"1"'}
    )
    assert raised.status_code == 200
    refused = await officer.post(f"/v1/campaigns/{campaign['id']}/send")
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.sensitive_rule")
    assert refused.json()["errors"][0]["pointer"] == "/rule/any/1/not/tag"
    assert (await ended(officer, campaign["id"]))["state"] == "draft"


async def test_a_campaign_is_seen_by_who_is_responsible_for_all_its_areas(town: Town) -> None:
    compound, grid = new_id(), f"{JINSHA}001"
    await town.arrived(town.register, compounds(**{str(compound): JINSHA}))
    written: dict[tuple[str, ...], str] = {}
    for areas in ((TOWN,), (JINSHA,), (JINSHA, OTHER), (grid,), (str(compound),), (str(new_id()),)):
        client = town.tagging.as_role(Role.COMMUNITY_WORKER, *areas)
        written[areas] = (await drafted(client, WOMEN))["id"]

    async def seen(*areas: str) -> set[tuple[str, ...]]:
        client = town.tagging.as_role(Role.COMMUNITY_WORKER, *areas)
        listed = {i["id"] for i in (await client.get("/v1/campaigns")).json()["items"]}
        for key, campaign_id in written.items():
            expected = 200 if campaign_id in listed else 404
            assert (await client.get(f"/v1/campaigns/{campaign_id}")).status_code == expected, key
            if expected == 404:
                refused = await client.post(f"/v1/campaigns/{campaign_id}/send")
                assert (refused.status_code, refused.json()["code"]) == (404, "campaign.not_found")
        return {key for key, campaign_id in written.items() if campaign_id in listed}

    unknown_compound = list(written)[-1]
    assert await seen("510182") == set(written) - {unknown_compound}
    assert await seen(JINSHA) == {(JINSHA,), (grid,), (str(compound),)}
    assert await seen(JINSHA, OTHER) == {(JINSHA,), (JINSHA, OTHER), (grid,), (str(compound),)}
    assert await seen(grid) == {(grid,)}
    assert await seen(str(compound)) == {(str(compound),)}
    assert await seen(*unknown_compound) == {unknown_compound}
    assert await seen("510183") == set()
    nowhere = town.tagging.client(
        town.tagging._identity.token(Role.COMMUNITY_WORKER, areas=())  # noqa: SLF001
    )
    assert (await nowhere.get("/v1/campaigns")).json()["items"] == []
    refused = await nowhere.post("/v1/campaigns", json={"rule": WOMEN, **TEXT})
    assert (refused.status_code, refused.json()["code"]) == (403, "area.forbidden")


async def test_the_list_is_newest_first_in_one_statement(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    ids = [(await drafted(worker, WOMEN))["id"] for _ in range(5)]
    found: list[str] = []
    token: str | None = None
    while True:
        params = {"page_size": 2} | ({"page_token": token} if token else {})
        page = (await worker.get("/v1/campaigns", params=params)).json()
        found += [item["id"] for item in page["items"]]
        if (token := page["next_page_token"]) is None:
            break
    assert found == ids[::-1]
    with QueryLog() as queries:
        await worker.get("/v1/campaigns", params={"page_size": 200})
    own = [each for each in queries.statements if "campaign_area" in each]
    assert len(own) == 1


async def test_what_is_no_campaign_is_refused(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    faults: list[tuple[dict[str, Any], str]] = [
        ({"title": ""}, "/title"),
        ({"title": "长" * 201}, "/title"),
        ({"body": "a\x00b"}, "/body"),
        ({"body": "长" * 4001}, "/body"),
        ({"topic": "长" * 65}, "/topic"),
        ({"channel": "sms"}, "/channel"),
        ({"rule": {"tag": "no_such_tag"}}, "/rule/tag"),
        ({"rule": {"all": []}}, "/rule/all"),
    ]
    for change, pointer in faults:
        answer = await worker.post("/v1/campaigns", json={"rule": WOMEN, **TEXT} | change)
        assert answer.status_code == 422
        assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    for method, path in (
        ("GET", f"/v1/campaigns/{uuid4()}"),
        ("POST", f"/v1/campaigns/{uuid4()}/send"),
    ):
        answer = await worker.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (404, "campaign.not_found")
    assert (await worker.get("/v1/campaigns/one")).status_code == 422
