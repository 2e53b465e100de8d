"""A survey is written, drawn once, and seen by those responsible for all of its areas."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from services.common.access import Role
from tests.conftest import FixedClock
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, TOWN, person, place
from tests.tagging_api.polls import (
    NEED,
    POLL,
    WOMEN,
    Worker,
    drawn,
    settle,
    visits,
    women,
    written,
)


async def test_a_draft_is_shown_as_it_was_written(town: Town, clock: FixedClock) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    asked = POLL | {
        "predicted": {"question": "need", "option": "yes", "share": 0.95},
        "tag_if": {"question": "need", "option": "yes", "tag": "volunteer"},
    }
    answer = await officer.post("/v1/surveys", json=asked)
    assert answer.status_code == 201, answer.text
    survey = answer.json()
    assert answer.headers["location"] == f"/v1/surveys/{survey['id']}"
    assert answer.headers["etag"] == '"1"'
    now = clock.now().isoformat().replace("+00:00", "Z")
    questions = [
        {"options": [], "minimum": None, "maximum": None, "required": True} | each
        for each in POLL["questions"]
    ]
    assert survey == {
        "id": survey["id"],
        "state": "draft",
        "name": POLL["name"],
        "topic": "pregnancy_class",
        "rule": WOMEN,
        "questions": questions,
        "predicted": {"question": "need", "option": "yes", "share": 0.95, "rule": None},
        "tag_if": asked["tag_if"],
        "sensitivity": "public",
        "population": None,
        "sample": None,
        "seed": None,
        "created_at": now,
        "updated_at": now,
        "drawn_at": None,
        "closed_at": None,
    }
    again = await officer.get(f"/v1/surveys/{survey['id']}")
    assert (again.json(), again.headers["etag"]) == (survey, '"1"')
    listed = await officer.get("/v1/surveys", params={"state": "draft"})
    assert listed.json() == {"items": [survey], "next_page_token": None}
    none = await officer.get("/v1/surveys", params={"state": "closed"})
    assert none.json()["items"] == []


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "/name", "string_too_short"),
    ({"name": "甲\n乙"}, "/name", "text.line_break"),
    ({"topic": "长" * 65}, "/topic", "too_long"),
    ({"rule": {"all": []}}, "/rule/all", "too_short"),
    ({"rule": {"tag": "no_such_tag"}}, "/rule/tag", "tag.unknown"),
    ({"rule": None}, "", "survey.one_audience"),
    ({"audience": str(uuid4())}, "", "survey.one_audience"),
    ({"questions": []}, "/questions", "too_short"),
    ({"questions": [NEED | {"key": f"q{n}"} for n in range(21)]}, "/questions", "too_long"),
    ({"questions": [NEED, NEED]}, "/questions", "survey.key_twice"),
    ({"questions": [NEED | {"key": "Need"}]}, "/questions/0/key", "string_pattern_mismatch"),
    ({"questions": [NEED | {"kind": "yes"}]}, "/questions/0/kind", "enum"),
    ({"questions": [NEED | {"options": []}]}, "/questions/0/options", "survey.options_missing"),
    (
        {"questions": [{"key": "a", "kind": "multiple", "text": "甲"}]},
        "/questions/0/options",
        "survey.options_missing",
    ),
    (
        {"questions": [NEED | {"options": NEED["options"][:1]}]},
        "/questions/0/options",
        "survey.options_missing",
    ),
    (
        {"questions": [NEED | {"options": NEED["options"] * 2}]},
        "/questions/0/options",
        "survey.code_twice",
    ),
    ({"questions": [NEED | {"kind": "text"}]}, "/questions/0/options", "survey.options_not_taken"),
    ({"questions": [NEED | {"minimum": 1}]}, "/questions/0/minimum", "survey.bounds_not_taken"),
    (
        {"questions": [{"key": "n", "kind": "number", "text": "几", "minimum": 2, "maximum": 1}]},
        "/questions/0/maximum",
        "survey.bounds_upside_down",
    ),
    (
        {"questions": [{"key": "n", "kind": "number", "text": "几", "maximum": 1e10}]},
        "/questions/0/maximum",
        "less_than_equal",
    ),
    (
        {"predicted": {"question": "need", "option": "yes"}},
        "/predicted",
        "survey.one_prediction",
    ),
    (
        {"predicted": {"question": "need", "option": "yes", "share": 1.5}},
        "/predicted/share",
        "less_than_equal",
    ),
    (
        {"predicted": {"question": "children", "option": "yes", "share": 0.5}},
        "/predicted/question",
        "survey.unknown_question",
    ),
    (
        {"predicted": {"question": "need", "option": "maybe", "share": 0.5}},
        "/predicted/option",
        "survey.unknown_option",
    ),
    (
        {"predicted": {"question": "need", "option": "yes", "rule": {"not": {"tag": "none"}}}},
        "/predicted/rule/not/tag",
        "tag.unknown",
    ),
    (
        {"tag_if": {"question": "what", "option": "yes", "tag": "volunteer"}},
        "/tag_if/question",
        "survey.unknown_question",
    ),
    (
        {"tag_if": {"question": "need", "option": "yes", "tag": "no_such_tag"}},
        "/tag_if/tag",
        "tag.unknown",
    ),
    ({"colour": "red"}, "/colour", "extra_forbidden"),
]


@pytest.mark.parametrize("role", [Role.COMMUNITY_WORKER])
async def test_what_is_no_survey_is_refused(town: Town, role: Role) -> None:
    worker = town.tagging.as_role(role)
    for change, pointer, code in FAULTS:
        answer = await worker.post("/v1/surveys", json=POLL | change)
        assert answer.status_code == 422, (change, answer.text)
        faults = answer.json()["errors"]
        assert [(e["pointer"], e["code"]) for e in faults] == [(pointer, code)], change
    assert (await worker.get("/v1/surveys")).json()["items"] == []


async def test_a_draft_is_changed_by_who_has_read_it(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    survey = await written(worker, predicted={"question": "need", "option": "yes", "share": 0.95})
    path = f"/v1/surveys/{survey['id']}"
    blind = await worker.patch(path, json={"name": "新名"})
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition.required")
    one = {"If-Match": '"1"'}
    nothing = await worker.patch(path, json={}, headers=one)
    assert (nothing.json(), nothing.headers["etag"]) == (survey, '"1"')
    # What is left must still fit what is changed.
    broken = await worker.patch(path, json={"questions": [NEED | {"key": "wish"}]}, headers=one)
    assert [e["pointer"] for e in broken.json()["errors"]] == ["/predicted/question"]
    changed = await worker.patch(
        path,
        json={
            "name": "新名",
            "topic": None,
            "questions": [NEED],
            "predicted": None,
            "rule": {"area": JINSHA},
        },
        headers=one,
    )
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"'), changed.text
    body = changed.json()
    assert (body["name"], body["topic"], body["predicted"]) == ("新名", None, None)
    assert (body["rule"], len(body["questions"])) == ({"area": JINSHA}, 1)
    late = await worker.patch(path, json={"name": "更新"}, headers=one)
    assert (late.status_code, late.json()["code"]) == (412, "precondition.failed")
    for fault in ({"name": None}, {"questions": None}, {"questions": []}, {"rule": None}):
        answer = await worker.patch(path, json=fault, headers={"If-Match": '"2"'})
        assert answer.status_code == 422, fault


async def test_the_sample_is_stable_random_and_of_age(town: Town, clock: FixedClock) -> None:
    grown = women(60) + women(5, birth_date=None)
    young = women(20, birth_date="2012-11-24")
    men = [person(sex="male") for _ in range(20)]
    away = women(20, places=[place(OTHER)])
    gone = women(5, places=[place(JINSHA, end=clock.now().date())])
    await settle(town, grown + young + men + away + gone)
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)

    async def sample(n: int, seed: int) -> set[str]:
        survey = await drawn(worker, n, seed=seed)
        body = (await worker.get(f"/v1/surveys/{survey}")).json()
        assert (body["state"], body["population"]) == ("drawn", 65)
        assert (body["sample"], body["seed"]) == (min(n, 65), seed)
        found = await visits(worker, survey_id=survey)
        assert {each["division_code"] for each in found} == {JINSHA}
        ids = {each["resident_id"] for each in found}
        assert len(ids) == len(found) == min(n, 65)
        return ids

    first = await sample(20, 7)
    assert first == await sample(20, 7)
    assert first != await sample(20, 8)
    # A larger sample of the same seed has the smaller one.
    assert first < await sample(40, 7)
    everybody = {each["id"] for each in grown}
    assert first < everybody
    assert await sample(5000, 1) == everybody


async def test_it_is_drawn_once(town: Town) -> None:
    await settle(town, women(30))
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    survey = await written(worker)
    path = f"/v1/surveys/{survey['id']}"
    answers = await asyncio.gather(
        *(worker.post(f"{path}/draw", json={"n": 10, "seed": n}) for n in range(5))
    )
    assert sorted(each.status_code for each in answers) == [200, 409, 409, 409, 409]
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {"survey.drawn"}
    assert len(await visits(worker, survey_id=survey["id"])) == 10
    refused = await worker.patch(path, json={"name": "新名"}, headers={"If-Match": '"2"'})
    assert (refused.status_code, refused.json()["code"]) == (409, "survey.drawn")


async def test_a_repeated_draw_is_answered_again(town: Town) -> None:
    await settle(town, women(30))
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    path = f"/v1/surveys/{(await written(worker))['id']}/draw"
    key = {"Idempotency-Key": "draw-it"}
    first = await worker.post(path, json={"n": 10}, headers=key)
    again = await worker.post(path, json={"n": 10}, headers=key)
    assert first.json() == again.json() == {"assigned": [], "unassigned": 10}
    assert again.headers["idempotency-replayed"] == "true"


async def test_nobody_to_draw_from_leaves_a_draft(town: Town) -> None:
    await settle(town, women(3, birth_date="2020-01-01"))
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    survey = await written(worker)
    refused = await worker.post(f"/v1/surveys/{survey['id']}/draw", json={"n": 10})
    assert (refused.status_code, refused.json()["code"]) == (409, "survey.audience_empty")
    assert (await worker.get(f"/v1/surveys/{survey['id']}")).json() == survey


async def test_visits_are_spread_evenly_where_workers_are(town: Town) -> None:
    grids = [f"{JINSHA}{n:03}" for n in range(1, 5)]
    sizes = [30, 10, 10, 7]
    for grid, size in zip(grids, sizes, strict=True):
        await settle(town, women(size, places=[place(JINSHA, grid_code=grid)]))
    owner = Worker(town, Role.COMMUNITY_WORKER, JINSHA)
    one = Worker(town, Role.GRID_WORKER, grids[0])
    two = Worker(town, Role.GRID_WORKER, grids[0], grids[1])
    three = Worker(town, Role.GRID_WORKER, grids[1], grids[2])
    survey = await written(owner.client)
    asked = {"n": 5000, "assignees": [one.assignee, two.assignee, three.assignee]}
    answer = await owner.client.post(f"/v1/surveys/{survey['id']}/draw", json=asked)
    assert answer.status_code == 200, answer.text
    loads = {each["account"]: each["visits"] for each in answer.json()["assigned"]}
    # 50 visits in three grids; whoever lives in the fourth is nobody's.
    assert sorted(loads.values()) == [16, 17, 17]
    assert answer.json()["unassigned"] == 7
    for worker in (one, two, three):
        mine = await visits(worker.client, mine=True)
        assert len(mine) == loads[str(worker.account)]
        assert {each["grid_code"] for each in mine} <= set(worker.areas)
    # Later somebody comes for the rest, and who has some already is not given more.
    four = Worker(town, Role.GRID_WORKER, grids[3])
    wide = one.assignee | {"areas": [JINSHA]}
    rest = await owner.client.post(
        f"/v1/surveys/{survey['id']}/visits", json={"assignees": [wide, four.assignee]}
    )
    assert rest.status_code == 200, rest.text
    after = {each["account"]: each["visits"] for each in rest.json()["assigned"]}
    assert after == loads | {str(four.account): 7}
    assert rest.json()["unassigned"] == 0
    counted = Counter(each["assignee"] for each in await visits(owner.client))
    assert counted == after


async def test_what_cannot_be_spread(town: Town) -> None:
    await settle(town, women(3))
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    survey = (await written(worker))["id"]
    someone = {"account": str(uuid4()), "areas": [JINSHA]}
    faults: list[tuple[dict[str, Any], str]] = [
        ({"n": 0}, "/n"),
        ({"n": 5001}, "/n"),
        ({"n": 5, "seed": -1}, "/seed"),
        ({"n": 5, "seed": 2**31}, "/seed"),
        ({"n": 5, "assignees": [someone | {"areas": []}]}, "/assignees/0/areas"),
        ({"n": 5, "assignees": [someone | {"areas": ["x"]}]}, "/assignees/0/areas/0"),
        ({"n": 5, "assignees": [someone | {"account": "x"}]}, "/assignees/0/account"),
        ({"n": 5, "assignees": [someone] * 101}, "/assignees"),
    ]
    for asked, pointer in faults:
        answer = await worker.post(f"/v1/surveys/{survey}/draw", json=asked)
        assert answer.status_code == 422, asked
        assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    for step in ("visits", "close", "results"):
        body = {"assignees": [someone]} if step == "visits" else None
        method = "GET" if step == "results" else "POST"
        early = await worker.request(method, f"/v1/surveys/{survey}/{step}", json=body)
        assert (early.status_code, early.json()["code"]) == (409, "survey.not_drawn"), step


async def test_a_closed_survey_stays_so(town: Town) -> None:
    await settle(town, women(3))
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    survey = await drawn(worker, 3)
    first = await worker.post(f"/v1/surveys/{survey}/close")
    assert (first.status_code, first.json()["state"]) == (200, "closed")
    again = await worker.post(f"/v1/surveys/{survey}/close")
    assert (again.status_code, again.json()) == (200, first.json())
    someone = {"account": str(uuid4()), "areas": [JINSHA]}
    refused = await worker.post(f"/v1/surveys/{survey}/visits", json={"assignees": [someone]})
    assert (refused.status_code, refused.json()["code"]) == (409, "survey.closed")


async def test_it_is_seen_by_who_is_responsible_for_all_its_areas(town: Town) -> None:
    keys = [(TOWN,), (JINSHA,), (JINSHA, OTHER), (f"{JINSHA}001",)]
    ids = {
        areas: (await written(town.tagging.as_role(Role.COMMUNITY_WORKER, *areas)))["id"]
        for areas in keys
    }

    async def seen(*areas: str) -> list[tuple[str, ...]]:
        client = town.tagging.as_role(Role.COMMUNITY_WORKER, *areas)
        listed = [each["id"] for each in (await client.get("/v1/surveys")).json()["items"]]
        for survey in ids.values():
            expected = 200 if survey in listed else 404
            assert (await client.get(f"/v1/surveys/{survey}")).status_code == expected
            if expected == 404:
                for step in ("draw", "visits", "close"):
                    body = {"n": 1} if step == "draw" else {"assignees": []}
                    body = (
                        {"assignees": [{"account": str(uuid4()), "areas": [JINSHA]}]}
                        if (step == "visits")
                        else body
                    )
                    refused = await client.post(f"/v1/surveys/{survey}/{step}", json=body)
                    assert (refused.status_code, refused.json()["code"]) == (
                        404,
                        "survey.not_found",
                    )
        return [areas for areas in keys if ids[areas] in listed]

    assert await seen("510182") == keys
    assert await seen(JINSHA) == [(JINSHA,), (f"{JINSHA}001",)]
    assert await seen(JINSHA, OTHER) == keys[1:]
    assert await seen("510183") == []


async def test_the_list_is_newest_first_in_two_statements(town: Town) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    ids = [(await written(worker, rule={"tag": "volunteer"}))["id"] for _ in range(5)]
    with QueryLog() as queries:
        page = (await worker.get("/v1/surveys")).json()
    assert [each["id"] for each in page["items"]] == ids[::-1]
    assert len(queries) == 2  # the page, and how sensitive its tags are today


async def test_the_highest_sensitivity_needs_its_permission(town: Town) -> None:
    bearers = women(30, labels=["志愿者"])
    await settle(town, bearers)
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    worker = Worker(town, Role.COMMUNITY_WORKER, "510182")
    highest = {"not": {"tag": "community_correction"}}
    for change in (
        {"rule": highest},
        {"predicted": {"question": "need", "option": "yes", "rule": highest}},
    ):
        refused = await worker.client.post("/v1/surveys", json=POLL | change)
        assert (refused.status_code, refused.json()["code"]) == (422, "tag.unknown"), change
    tag_if = {"question": "need", "option": "yes", "tag": "community_correction"}
    unseen = await worker.client.post("/v1/surveys", json=POLL | {"tag_if": tag_if})
    assert (unseen.status_code, unseen.json()["code"]) == (422, "tag.unknown")
    assert (await officer.post("/v1/surveys", json=POLL | {"tag_if": tag_if})).status_code == 201
    mine = await drawn(officer, 5, rule=highest)
    for path in (f"/v1/surveys/{mine}", f"/v1/surveys/{mine}/results"):
        assert (await officer.get(path)).status_code == 200
        assert (await worker.client.get(path)).status_code == 404
    assert (await worker.client.get("/v1/surveys")).json()["items"] == []
    assert await visits(worker.client) == []
    [visit, *_] = await visits(officer)
    assert (await worker.client.get(f"/v1/visits/{visit['id']}")).status_code == 404

    # A tag that is raised takes what was drawn by it along.
    theirs = await drawn(worker.client, 5, rule={"tag": "volunteer"})
    assert len(await visits(worker.client)) == 5
    etag = (await officer.get("/v1/tags/volunteer")).headers["etag"]
    raised = await officer.patch(
        "/v1/tags/volunteer", json={"sensitivity": "highest"}, headers={"If-Match": etag}
    )
    assert raised.status_code == 200, raised.text
    assert (await worker.client.get(f"/v1/surveys/{theirs}")).status_code == 404
    assert await visits(worker.client) == []
    assert (await officer.get(f"/v1/surveys/{theirs}")).json()["sensitivity"] == "highest"


async def test_a_saved_audience_may_be_asked(town: Town) -> None:
    await settle(town, [*women(12), person(sex="male")])
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    saved = await worker.post(
        "/v1/audiences", json={"name": "妇女", "rule": WOMEN, "kind": "dynamic"}
    )
    assert saved.status_code == 201, saved.text
    audience = saved.json()["id"]
    unknown = await worker.post("/v1/surveys", json=POLL | {"rule": None, "audience": str(uuid4())})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "audience.unknown")
    assert [e["pointer"] for e in unknown.json()["errors"]] == ["/audience"]
    survey = await written(worker, rule={"area": JINSHA})
    path = f"/v1/surveys/{survey['id']}"
    changed = await worker.patch(path, json={"audience": audience}, headers={"If-Match": '"1"'})
    assert changed.json()["rule"] == {"audience": audience}
    # Whom it finds is found out when the sample is drawn.
    await settle(town, women(3))
    assert (await worker.post(f"{path}/draw", json={"n": 50})).json()["unassigned"] == 15
    assert (await worker.get(path)).json()["population"] == 15
    # Somebody else's audience is unknown to those who are not responsible for its areas.
    elsewhere = town.tagging.as_role(Role.COMMUNITY_WORKER, OTHER)
    foreign = await elsewhere.post("/v1/surveys", json=POLL | {"rule": {"audience": audience}})
    assert (foreign.status_code, foreign.json()["code"]) == (422, "audience.unknown")
    assert [e["pointer"] for e in foreign.json()["errors"]] == ["/rule/audience"]
