"""On what terms tags are given: for how long, by whom, why; who may see them, give them, ask for them."""

import json
from datetime import timedelta
from typing import Any

import httpx
import sqlalchemy as sa

from services.common.access import Role
from services.common.outbox import OUTBOX
from tests.conftest import FixedClock
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, person
from tests.tagging_api.test_tag_rules import born_by, changed, eventually, made

PATH = "/v1/tag-assignments"


async def given(client: httpx.AsyncClient, tag: str, *ids: str, **terms: Any) -> httpx.Response:
    return await client.post(PATH, json={"tag": tag, "resident_ids": ids, **terms})


async def listed(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def last_told(town: Town) -> dict[str, Any]:
    async with town.tagging.state["sessions"].read() as session:
        statement = (
            sa.select(OUTBOX.c.data)
            .where(OUTBOX.c.type == "cn.shequ.tagging.assignment.changed")
            .order_by(OUTBOX.c.id.desc())
            .limit(1)
        )
        return dict(await session.scalar(statement))


async def test_a_period_begins_and_ends_at_midnight(town: Town, clock: FixedClock) -> None:
    someone = person()
    await town.live_here(someone)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    period = {"valid_from": "2026-11-24", "valid_until": "2026-11-26"}
    answer = await given(worker, "elderly_allowance", someone["id"], **period)
    assert answer.json() == {"assigned": 1, "already_assigned": 0, "not_found": []}
    rule = {"tag": "elderly_allowance"}
    told = {"tag": "elderly_allowance", "resident_ids": [someone["id"]]}
    assert await town.count(rule) == 0
    assert await last_told(town) == told | {"assigned": False}
    for count, assigned in ((1, True), (1, True), (0, False)):
        clock.advance(timedelta(days=1))
        wanted = told | {"assigned": assigned}

        async def is_told(wanted: dict[str, Any] = wanted) -> bool:
            return await last_told(town) == wanted

        await eventually(is_told)
        assert await town.count(rule) == count
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)  # days later, with a new token
    assert await listed(worker, tag="elderly_allowance") == []
    [over] = await listed(worker, tag="elderly_allowance", ended=True)
    assert (over["valid_from"], over["valid_until"]) == ("2026-11-24", "2026-11-26")
    # What is over begins anew.
    assert (await given(worker, "elderly_allowance", someone["id"])).json()["assigned"] == 1
    [new] = await listed(worker, tag="elderly_allowance")
    assert (new["valid_from"], new["valid_until"]) == (None, None)
    assert new["created_at"] > over["created_at"]
    assert await town.count(rule) == 1


async def test_terms_that_are_not_sent_stay(town: Town) -> None:
    someone = person()
    await town.live_here(someone)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    for terms, assigned in (
        ({"valid_until": "2027-01-01", "note": "证件已核对"}, 1),
        ({}, 0),
        ({"valid_until": "2027-01-01", "note": "证件已核对"}, 0),
        ({"valid_until": "2028-01-01"}, 1),
    ):
        answer = (await given(worker, "volunteer", someone["id"], **terms)).json()
        assert (answer["assigned"], answer["already_assigned"]) == (assigned, 1 - assigned)
    [item] = await listed(worker, tag="volunteer")
    assert (item["valid_until"], item["note"]) == ("2028-01-01", None)
    for terms, pointer, code in (
        (
            {"valid_from": "2027-01-02", "valid_until": "2027-01-02"},
            "/valid_until",
            "tag_assignment.no_period",
        ),
        ({"valid_until": "2026-11-23"}, "/valid_until", "tag_assignment.over"),
        ({"note": "字" * 501}, "/note", "too_long"),
        ({"valid_from": "x"}, "/valid_from", "date_from_datetime_parsing"),
    ):
        answer = await given(worker, "volunteer", someone["id"], **terms)
        assert answer.status_code == 422
        assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


async def test_notes_and_accounts_are_not_for_everybody(town: Town) -> None:
    someone = person()
    await town.live_here(someone)
    writer = town.tagging.as_role(Role.GRID_WORKER, sub="account:0123456789abcdef")
    note = "独子在外地，行动不便"
    await given(writer, "elderly_alone", someone["id"], note=note)
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    colleague = town.tagging.as_role(Role.GRID_WORKER, JINSHA)
    platform = town.tagging.as_role(Role.CLIENT)
    shown = [
        ((item := (await listed(each))[0])["note"], item["assigned_by"])
        for each in (writer, officer, colleague, platform)
    ]
    assert shown == [
        (note, "account:0123456789abcdef"),
        (note, "account:0123456789abcdef"),
        (note, "…89abcdef"),
        (None, "…89abcdef"),
    ]
    async with town.tagging.state["sessions"].read() as session:
        said = [
            json.dumps(each, ensure_ascii=False)
            for each in await session.scalars(sa.select(OUTBOX.c.data))
        ]
    assert said
    assert not any(note in each or "0123456789abcdef" in each for each in said)


async def test_roles_of_a_tag(town: Town) -> None:
    someone = person()
    await town.live_here(someone)
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    grid = town.tagging.as_role(Role.GRID_WORKER)
    roles = ["community_worker", "city_officer"]
    tag = await made(
        officer, "quiet", may_see=[*roles, "city_officer"], may_target=["city_officer"]
    )
    assert (tag["may_see"], tag["may_assign"]) == (sorted(roles, reverse=False), None)
    await given(officer, "quiet", someone["id"])
    assert [item["tag"] for item in await listed(worker)] == ["quiet"]

    rule = {"rule": {"not": {"tag": "quiet"}}}
    campaign = rule | {"title": "甲", "body": "乙"}
    audience = rule | {"name": "人群"}
    # Whoever may not see it is told what they are told of a tag that there is not.
    assert await listed(grid) == []
    assert (await grid.get("/v1/tags/quiet")).status_code == 404
    assert (await grid.get("/v1/tags/quiet/membership-events")).status_code == 404
    assert "quiet" not in (await grid.get("/v1/tags", params={"page_size": 200})).text
    for answer in (
        await given(grid, "quiet", someone["id"]),
        await grid.post("/v1/audiences/count", json=rule),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "tag.unknown")
    # Seen, but not to be asked for.
    for path, body in (
        ("/v1/audiences/count", rule),
        ("/v1/audiences", audience),
        ("/v1/campaigns", campaign),
    ):
        answer = await worker.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden"), path
    assert (await officer.post("/v1/audiences/count", json=rule)).status_code == 200
    # Seen, but not to be given.
    assert (await changed(officer, "quiet", may_assign=["town_officer"])).status_code == 200
    for method in ("POST", "DELETE"):
        body = {"tag": "quiet", "resident_ids": [someone["id"]]}
        answer = await worker.request(method, PATH, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden")
    opened = await changed(officer, "quiet", may_see=None, may_assign=None, may_target=None)
    assert opened.json()["may_see"] is None
    assert (await given(grid, "quiet", someone["id"])).json()["already_assigned"] == 1


async def test_an_archived_tag_is_kept_and_not_given(town: Town) -> None:
    bearer = person(labels=["志愿者"])
    await town.live_here(bearer)
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    assert (await changed(officer, "volunteer", archived=True)).json()["archived"] is True
    later = person(labels=["志愿者", "书法"])
    await town.live_here(later)
    await born_by(town, "hobby_calligraphy", later)
    assert await town.bearers("volunteer") == {bearer["id"]}
    refused = await given(officer, "volunteer", later["id"])
    assert (refused.status_code, refused.json()["code"]) == (422, "tag.archived")
    assert refused.json()["errors"][0]["pointer"] == "/tag"
    assert await town.count({"tag": "volunteer"}) == 1
    codes = [
        {item["code"] for item in (await officer.get("/v1/tags", params=params)).json()["items"]}
        for params in ({"archived": True}, {"archived": False, "page_size": 200})
    ]
    assert codes[0] == {"volunteer"}
    assert "volunteer" not in codes[1]
    body = {"tag": "volunteer", "resident_ids": [bearer["id"]]}
    ended = await officer.request("DELETE", PATH, json=body)
    assert ended.json()["removed"] == 1
    assert (await changed(officer, "volunteer", archived=False)).status_code == 200
    assert (await given(officer, "volunteer", later["id"])).json()["assigned"] == 1


async def test_categories_are_a_tree(town: Town) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER)
    seeded = (await officer.get("/v1/tag-categories")).json()["items"]
    assert {"volunteers", "party", "talents", "hobbies", "veterans", "elderly_care"} <= {
        each["code"] for each in seeded
    }
    new = {"code": "sports", "name_zh": "体育", "name_en": "Sports", "parent_code": "hobbies"}
    answer = await officer.post("/v1/tag-categories", json=new)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/tag-categories/sports"
    assert answer.json() | new == answer.json()
    again = await officer.post("/v1/tag-categories", json=new)
    assert (again.status_code, again.json()["code"]) == (409, "tag_category.code_taken")

    async def moved(code: str, parent: str | None, version: str = "*") -> httpx.Response:
        return await officer.patch(
            f"/v1/tag-categories/{code}",
            json={"parent_code": parent},
            headers={"If-Match": version},
        )

    for code, parent, problem in (
        ("hobbies", "sports", "tag_category.cycle"),
        ("hobbies", "hobbies", "tag_category.cycle"),
        ("hobbies", "no_such", "tag_category.unknown"),
    ):
        refused = await moved(code, parent)
        assert (refused.status_code, refused.json()["code"]) == (422, problem)
        assert refused.json()["errors"][0]["pointer"] == "/parent_code"
    unknown = await officer.post("/v1/tag-categories", json=new | {"code": "x", "parent_code": "y"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "tag_category.unknown")
    itself = await officer.post("/v1/tag-categories", json=new | {"code": "x", "parent_code": "x"})
    assert (itself.status_code, itself.json()["code"]) == (422, "tag_category.cycle")
    assert (await moved("nowhere", None)).status_code == 404
    assert (await moved("sports", "talents", '"7"')).status_code == 412
    read = await officer.get("/v1/tag-categories/sports")
    assert (await moved("sports", "talents", read.headers["etag"])).headers["etag"] == '"2"'

    # Old clients send any word: it becomes a category at the top of the tree.
    await made(officer, "football", category="sports")
    await made(officer, "tea", category="茶 道")
    assert (await officer.get("/v1/tag-categories/茶 道")).json()["parent_code"] is None
    found = {
        category: {
            item["code"]
            for item in (await officer.get("/v1/tags", params={"category": category})).json()[
                "items"
            ]
        }
        for category in ("talents", "sports", "茶 道", "no_such")
    }
    assert "football" in found["talents"]
    assert "industry_talent" in found["talents"]
    assert (found["sports"], found["茶 道"], found["no_such"]) == ({"football"}, {"tea"}, set())
