"""Why one resident is in an audience or is not: every part of the rule, and whether it holds."""

from typing import Any

import httpx
import pytest

from services.common.access import Permission, Role
from services.common.identifiers import new_id
from services.common.pagination import token_for
from services.tagging_api.schemas.rules import Rule
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, TOWN, person, place

WOMEN = {"field": "sex", "op": "eq", "value": "female"}
ADULT = {"field": "age", "op": "gte", "value": 18}
VOLUNTEER = {"tag": "volunteer"}


@pytest.fixture
def worker(town: Town) -> httpx.AsyncClient:
    return town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)


async def explained(client: httpx.AsyncClient, rule: Any, who: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(
        "/v1/audiences/explain", json={"rule": rule, "resident_id": who["id"]}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def flat(part: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Pointer, kind and whether it holds, of a part and those in it."""
    below = [each for inner in part["parts"] for each in flat(inner)]
    return [(part["pointer"], part["kind"], part["holds"]), *below]


async def test_every_part_says_whether_it_holds(town: Town, worker: httpx.AsyncClient) -> None:
    someone = person(sex="female", birth_date="2015-01-01", labels=["志愿者"])
    await town.live_here(someone)
    rule = {
        "all": [
            WOMEN,
            {"any": [ADULT, {"area": OTHER}, VOLUNTEER]},
            {"not": {"all": [ADULT, {"field": "ethnicity", "op": "ne", "value": "01"}]}},
            {"sample": {"rule": {"not": WOMEN}, "percent": 100}},
        ]
    }
    found = await explained(worker, rule, someone)
    assert (found["member"], found["lives_here"]) == (False, True)
    assert flat(found["explained"]) == [
        ("/rule", "all", False),
        ("/rule/all/0", "field", True),
        ("/rule/all/1", "any", True),
        ("/rule/all/1/any/0", "field", False),
        ("/rule/all/1/any/1", "area", False),
        ("/rule/all/1/any/2", "tag", True),
        ("/rule/all/2", "not", True),
        ("/rule/all/2/not", "all", False),
        ("/rule/all/2/not/all/0", "field", False),
        # Not known, so it does not compare.
        ("/rule/all/2/not/all/1", "field", False),
        ("/rule/all/3", "sample", False),
        ("/rule/all/3/sample/rule", "not", False),
        ("/rule/all/3/sample/rule/not", "field", True),
    ]
    for rule, member in ((WOMEN, True), ({"not": VOLUNTEER}, False), (ADULT, False)):
        found = await explained(worker, rule, someone)
        assert found["member"] == found["explained"]["holds"] == member
        assert await town.count(rule, JINSHA) == int(member)


async def test_audiences_are_explained_from_within(town: Town, worker: httpx.AsyncClient) -> None:
    someone = person(sex="female", places=[place(OTHER, tenure="tenant"), place(JINSHA)])
    await town.live_here(someone, person(sex="female"))

    async def saved(rule: Any, **values: Any) -> dict[str, Any]:
        answer = await worker.post("/v1/audiences", json={"name": "人群", "rule": rule, **values})
        assert answer.status_code == 201, answer.text
        return {"audience": answer.json()["id"]}

    tenants = await saved({"field": "tenure", "op": "eq", "value": "tenant"})
    women = await saved({"all": [WOMEN, {"not": tenants}]})
    frozen = await saved({"not": WOMEN}, kind="frozen")
    rule = {"any": [women, tenants, frozen]}
    at_name = "/rule/any/0"
    inner = [
        (at_name, "all", True),
        (at_name, "field", True),
        (at_name, "not", True),
    ]
    here = flat((await explained(worker, rule, someone))["explained"])
    assert here[:2] == [("/rule", "any", True), ("/rule/any/0", "audience", True)]
    assert here[2:5] == inner
    assert [each for each in here if each[0].startswith("/rule/any/2")] == [
        ("/rule/any/2", "audience", False)
    ]
    # The town sees the tenancy, but the audience is the village's.
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    found = await explained(officer, rule, someone)
    assert found["member"] is True
    assert [each for each in flat(found["explained"]) if each[0].startswith("/rule/any/1")] == [
        ("/rule/any/1", "audience", False),
        ("/rule/any/1", "field", False),
    ]


async def test_only_those_of_ones_areas_are_explained(
    town: Town, worker: httpx.AsyncClient
) -> None:
    here, there = person(), person(places=[place(OTHER)])
    kept = {**person(places=[]), "keeper": {"division_code": JINSHA}}
    both = {**person(places=[place(OTHER)]), "keeper": {"division_code": JINSHA}}
    await town.live_here(here, there, kept, both)
    for who in (there, both, {"id": str(new_id())}):
        answer = await worker.post(
            "/v1/audiences/explain", json={"rule": WOMEN, "resident_id": who["id"]}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "resident.unknown")
        assert answer.json()["errors"][0]["pointer"] == "/resident_id"
    # One who lives nowhere is in no audience, whatever holds.
    found = await explained(worker, {"not": WOMEN}, kept)
    assert (found["member"], found["lives_here"]) == (False, False)
    assert found["explained"]["holds"] is True
    assert (await explained(worker, {"not": WOMEN}, here))["member"] is True


async def test_tags_of_the_highest_sensitivity_are_not_explained_to_all(
    town: Town, worker: httpx.AsyncClient
) -> None:
    someone = person(labels=["信访"])
    await town.live_here(someone)
    body = {"rule": {"not": {"tag": "petition"}}, "resident_id": someone["id"]}
    answer = await worker.post("/v1/audiences/explain", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "tag.unknown")
    officer = town.tagging.as_role(Role.TOWN_OFFICER, JINSHA)
    assert (await explained(officer, body["rule"], someone))["member"] is False


async def test_a_large_rule_is_one_look_at_the_resident(
    town: Town, worker: httpx.AsyncClient
) -> None:
    someone = person(sex="female")
    await town.live_here(someone)
    counts: list[int] = []
    for rule in ({"any": [WOMEN]}, {"any": [WOMEN, {"area": JINSHA}] * 99}):
        with QueryLog() as queries:
            found = await explained(worker, rule, someone)
        assert found["member"] is True
        counts.append(len(queries))
    assert counts[0] == counts[1] == 2


async def test_many_areas_and_many_parts_go_into_one_statement(town: Town) -> None:
    villages = [f"{TOWN}{n:03}" for n in range(100, 199)]
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA, *villages)
    someone = person(places=[place(tenure="owner")])
    await town.live_here(someone)
    owns = {"field": "tenure", "op": "eq", "value": "owner"}
    found = await explained(worker, {"all": [owns] * 198}, someone)
    assert found["member"] is True


async def test_what_is_said_of_a_person_needs_leave_to_read_persons(town: Town) -> None:
    someone = person(sex="female")
    await town.live_here(someone)
    scope = f"{Permission.AUDIENCES_COUNT} {Permission.TAGS_READ}"
    counts_only = town.tagging.as_role(Role.CLIENT, JINSHA, scope=scope)
    for path, more in (("explain", {"resident_id": someone["id"]}), ("preview", {})):
        answer = await counts_only.post(f"/v1/audiences/{path}", json={"rule": WOMEN, **more})
        assert (answer.status_code, answer.json()["code"]) == (403, "role.forbidden")


async def test_a_page_begins_where_a_page_may_end(town: Town, worker: httpx.AsyncClient) -> None:
    rule = Rule.model_validate(WOMEN).model_dump_json(by_alias=True)
    for number in (-1, 2**31, 2**80):
        token = token_for(f"preview {rule}", number)
        answer = await worker.post(
            "/v1/audiences/preview", json={"rule": WOMEN, "page_token": token}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
        assert answer.json()["errors"][0]["pointer"] == "/page_token"
    token = token_for(f"preview {rule}", 2**31 - 1)
    answer = await worker.post("/v1/audiences/preview", json={"rule": WOMEN, "page_token": token})
    assert answer.json()["items"] == []


async def test_those_who_live_nowhere_are_labelled_by_who_keeps_them(
    town: Town, worker: httpx.AsyncClient
) -> None:
    kept, elsewhere = (
        {**person(places=[]), "keeper": {"division_code": code}} for code in (JINSHA, OTHER)
    )
    in_grid = {
        **person(places=[]),
        "keeper": {"division_code": JINSHA, "grid_code": f"{JINSHA}001"},
    }
    unknown = person(places=[])
    everyone = [each["id"] for each in (kept, elsewhere, in_grid, unknown)]
    await town.live_here(kept, elsewhere, in_grid, unknown)
    grid = town.tagging.as_role(Role.GRID_WORKER, f"{JINSHA}001")
    for client, seen in ((grid, [in_grid["id"]]), (worker, [kept["id"], in_grid["id"]])):
        answer = await client.post(
            "/v1/tag-assignments", json={"tag": "volunteer", "resident_ids": everyone}
        )
        assert answer.status_code == 200, answer.text
        assert set(everyone) - set(answer.json()["not_found"]) == set(seen)
        listed = (await client.get("/v1/tag-assignments", params={"tag": "volunteer"})).json()
        assert {item["resident_id"] for item in listed["items"]} == set(seen)
    assert await town.count(VOLUNTEER) == 0


async def test_without_the_register_nobody_is_shown(town: Town, worker: httpx.AsyncClient) -> None:
    # Nobody to be shown is no question.
    answer = await worker.post("/v1/audiences/preview", json={"rule": VOLUNTEER})
    assert answer.json() == {"items": [], "next_page_token": None, "suppressed": False}
    await town.live_here(person(labels=["志愿者"]))
    # The neighbour in these tests has a feed, and no residents to show.
    answer = await worker.post("/v1/audiences/preview", json={"rule": VOLUNTEER})
    assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
