"""Tags that a rule gives, through the door: whom it finds bears them, by themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import httpx

from services.common.access import Role
from services.common.identifiers import new_id
from tests.conftest import FixedClock
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, person, place

AGED = {"field": "age", "op": "gte", "value": 80}
TAG = {"name_zh": "甲", "name_en": "A", "sensitivity": "internal"}


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.02)


async def born_by(town: Town, tag: str, *people: dict[str, Any]) -> None:
    """Wait until exactly these bear a tag."""
    wanted = {each["id"] for each in people}

    async def holds() -> bool:
        return await town.bearers(tag) == wanted

    await eventually(holds)


async def made(client: httpx.AsyncClient, code: str, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/tags", json={"code": code, **TAG, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def changed(client: httpx.AsyncClient, code: str, **change: Any) -> httpx.Response:
    return await client.patch(f"/v1/tags/{code}", json=change, headers={"If-Match": "*"})


async def events_of(client: httpx.AsyncClient, code: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = {"page_size": 2} | ({"page_token": token} if token else {})
        answer = await client.get(f"/v1/tags/{code}/membership-events", params=params | page)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if (token := answer.json()["next_page_token"]) is None:
            return found


async def test_a_rule_gives_and_takes(town: Town, clock: FixedClock) -> None:
    old, young = person(birth_date="1940-01-01"), person(birth_date="2000-01-01")
    there = person(birth_date="1930-01-01", places=[place(OTHER)])
    await town.live_here(old, young, there)
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    tag = await made(officer, "very_old", rule=AGED)
    assert tag["rule"] == AGED
    assert tag["rule_status"]["state"] == "computing"
    await born_by(town, "very_old", old, there)

    async def is_ready() -> bool:
        status = (await officer.get("/v1/tags/very_old")).json()["rule_status"]
        return bool(status == {"state": "ready", "day": "2026-11-23", "done": 3, "total": 3})

    await eventually(is_ready)
    assert await town.count({"tag": "very_old", "source": "rule"}) == 2
    # The register corrects a date; somebody comes, and somebody goes.
    new = person(birth_date="1946-11-23")
    await town.live_here(new, {**old, "version": 2, "birth_date": "1950-01-01"})
    await born_by(town, "very_old", new, there)
    await town.live_here({**there, "version": 2, "state": "moved_out", "places": []})
    await born_by(town, "very_old", new)

    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    said = await events_of(worker, "very_old")
    assert [(each["resident_id"], each["kind"], each["cause"]) for each in said] == [
        (old["id"], "entered", "rule_changed"),
        *sorted(((new["id"], "entered", "data_changed"), (old["id"], "left", "data_changed"))),
    ]
    assert len({each["id"] for each in said}) == 3
    since = said[0]["at"]
    clock.advance(timedelta(seconds=1))
    assert await events_of(worker, "very_old", since=clock.now().isoformat()) == []
    assert await events_of(worker, "very_old", since=since, area=JINSHA) == said
    outside = await worker.get("/v1/tags/very_old/membership-events", params={"area": OTHER})
    assert (outside.status_code, outside.json()["code"]) == (403, "area.forbidden")
    unknown = await worker.get("/v1/tags/petition/membership-events")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "tag.not_found")

    # Another rule, and none.
    assert (await changed(officer, "very_old", rule={"not": AGED})).status_code == 200
    await born_by(town, "very_old", old, young)
    assert (await changed(officer, "very_old", rule=None)).json()["rule"] is None
    await born_by(town, "very_old")


async def test_midnight_brings_birthdays_and_ends_of_leases(town: Town, clock: FixedClock) -> None:
    turning = person(birth_date="1946-11-24")
    lease = place() | {"lease_end_date": "2026-12-24"}
    tenant = person(places=[lease])
    baby = person(birth_date="2025-11-25")
    await town.live_here(turning, tenant, baby)
    await born_by(town, "infant", baby)
    assert await town.bearers("aged_80") == await town.bearers("lease_expiring_30") == set()
    clock.at = clock.at.replace(hour=15, minute=59)  # Shanghai is eight hours ahead
    assert await town.bearers("aged_80") == set()
    clock.advance(timedelta(minutes=1))
    await born_by(town, "aged_80", turning)
    await born_by(town, "lease_expiring_30", tenant)
    clock.advance(timedelta(days=1))
    await born_by(town, "infant")
    clock.advance(timedelta(days=30))
    await born_by(town, "lease_expiring_30")
    said = await events_of(town.tagging.as_role(Role.CITY_OFFICER), "lease_expiring_30")
    assert [(each["kind"], each["day"]) for each in said] == [
        ("entered", "2026-11-24"),
        ("left", "2026-12-25"),
    ]


async def test_who_lives_alone_depends_on_others(town: Town) -> None:
    home, other = str(new_id()), str(new_id())
    alone = person(birth_date="1950-01-01", places=[place() | {"dwelling_id": home}])
    friend = person(birth_date="1951-01-01", places=[place() | {"dwelling_id": other}])
    await town.live_here(alone, friend)
    await born_by(town, "living_alone_60", alone, friend)
    together = {**friend, "version": 2, "places": alone["places"]}
    await town.live_here(together)
    await born_by(town, "living_alone_60")
    await town.live_here({**together, "version": 3, "places": friend["places"]})
    await born_by(town, "living_alone_60", alone, friend)


async def test_rules_may_stand_on_each_other_but_not_in_a_circle(town: Town) -> None:
    old, volunteer = person(birth_date="1940-01-01"), person(labels=["志愿者"])
    await town.live_here(old, volunteer)
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    await made(officer, "base", rule={"any": [AGED, {"tag": "volunteer"}]})
    await made(officer, "above", rule={"all": [{"not": {"tag": "base"}}]})
    await born_by(town, "base", old, volunteer)
    await born_by(town, "above")
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    body = {"tag": "volunteer", "resident_ids": [volunteer["id"]]}
    assert (await worker.request("DELETE", "/v1/tag-assignments", json=body)).status_code == 200
    await born_by(town, "base", old)
    await born_by(town, "above", volunteer)

    audience = await officer.post("/v1/audiences", json={"name": "人群", "rule": AGED})
    named = {"audience": audience.json()["id"]}
    faults: list[tuple[dict[str, Any], str, str]] = [
        ({"any": [AGED, {"tag": "above"}]}, "tag.rule_cycle", "/rule/any/1/tag"),
        ({"not": {"tag": "base"}}, "tag.rule_cycle", "/rule/not/tag"),
        ({"sample": {"rule": AGED, "n": 3}}, "tag.rule_unfit", "/rule/sample"),
        ({"all": [{"not": named}]}, "tag.rule_unfit", "/rule/all/0/not/audience"),
        ({"tag": "nobody_knows"}, "tag.unknown", "/rule/tag"),
        ({"tag": "disability"}, "tag.sensitivity_too_low", "/sensitivity"),
    ]
    for rule, code, pointer in faults:
        answer = await changed(officer, "base", rule=rule)
        assert (answer.status_code, answer.json()["code"]) == (422, code), rule
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    broken = await changed(officer, "base", rule={"field": "age", "op": "gte", "value": "x"})
    assert broken.json()["errors"][0]["pointer"] == "/rule/value"
    itself = await officer.post(
        "/v1/tags", json={"code": "self", **TAG, "rule": {"not": {"tag": "self"}}}
    )
    assert (itself.status_code, itself.json()["code"]) == (422, "tag.rule_cycle")


async def test_a_rule_tag_is_as_sensitive_as_what_it_asks_for(town: Town) -> None:
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    await made(officer, "base", rule={"tag": "volunteer"})
    await made(officer, "above", rule={"not": {"tag": "base"}})
    assert (await worker.get("/v1/tags/above")).status_code == 200
    assert (await changed(officer, "volunteer", sensitivity="highest")).status_code == 200
    for code in ("volunteer", "base", "above"):
        shown = (await officer.get(f"/v1/tags/{code}")).json()
        assert shown["sensitivity"] == "highest"
        assert (await worker.get(f"/v1/tags/{code}")).status_code == 404
    lowered = await changed(officer, "above", sensitivity="public")
    assert (lowered.status_code, lowered.json()["code"]) == (422, "tag.sensitivity_too_low")
    narrow = town.tagging.as_role(Role.TOWN_OFFICER, scope="tags.read tags.write")
    secret = await narrow.post(
        "/v1/tags", json={"code": "x", **TAG, "rule": {"not": {"tag": "petition"}}}
    )
    assert (secret.status_code, secret.json()["code"]) == (422, "tag.unknown")


async def test_what_a_rule_gives_a_worker_does_not_take(town: Town) -> None:
    old = person(birth_date="1940-01-01", labels=["aged_80"])
    await town.live_here(old)
    await born_by(town, "aged_80", old)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    body = {"tag": "aged_80", "resident_ids": [old["id"]]}
    assert (await worker.post("/v1/tag-assignments", json=body)).json()["assigned"] == 1

    async def sources() -> list[str]:
        params = {"tag": "aged_80"}
        items = (await worker.get("/v1/tag-assignments", params=params)).json()["items"]
        return [item["source"] for item in items]

    async def by_all() -> bool:
        return await sources() == ["ledger", "rule", "worker"]

    await eventually(by_all)
    ended = await worker.request("DELETE", "/v1/tag-assignments", json=body)
    assert ended.json() == {"removed": 1, "not_assigned": 0, "not_found": []}
    assert await sources() == ["rule"]
    again = await worker.request("DELETE", "/v1/tag-assignments", json=body)
    assert again.json() == {"removed": 0, "not_assigned": 1, "not_found": []}
    assert await town.count({"tag": "aged_80"}) == 1


async def test_an_archived_rule_rests(town: Town, clock: FixedClock) -> None:
    turning = person(birth_date="1946-11-24")
    old = person(birth_date="1930-01-01")
    await town.live_here(turning, old)
    await born_by(town, "aged_80", old)
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    assert (await changed(officer, "aged_80", archived=True)).json()["archived"] is True
    clock.advance(timedelta(days=1))
    baby = person(birth_date=date(2026, 11, 24).isoformat())
    await town.live_here(baby)
    await born_by(town, "infant", baby)  # the keeper has been at work
    assert await town.bearers("aged_80") == {old["id"]}
    officer = town.tagging.as_role(Role.CITY_OFFICER)  # a day later, with a new token
    assert (await changed(officer, "aged_80", archived=False)).status_code == 200
    await born_by(town, "aged_80", old, turning)
