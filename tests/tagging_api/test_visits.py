"""Visits are seen by whom they are for, taken, handed over, answered and corrected."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.tagging_api.models import Visit
from tests.conftest import FixedClock
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import JINSHA, OTHER, place
from tests.tagging_api.polls import (
    NEED,
    POLL,
    Worker,
    answered,
    drawn,
    results,
    settle,
    visits,
    women,
)

ONE, TWO = f"{JINSHA}001", f"{JINSHA}002"


async def one_visit(town: Town, **change: Any) -> tuple[Worker, str]:
    """A grid worker, and a visit in the grid that nobody has."""
    await settle(town, women(1, places=[place(JINSHA, grid_code=ONE)]))
    await drawn(town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA), 1, **change)
    worker = Worker(town, Role.GRID_WORKER, ONE)
    [visit] = await visits(worker.client)
    return worker, visit["id"]


async def test_a_visit_brings_its_questions(town: Town) -> None:
    [someone] = women(1, places=[place(JINSHA, grid_code=ONE)])
    await settle(town, [someone])
    worker = Worker(town, Role.GRID_WORKER, ONE)
    owner = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    survey = await drawn(owner, 1, assignees=[worker.assignee])
    [listed] = await visits(worker.client, mine=True, state="open", survey_id=survey)
    assert listed == {
        "id": listed["id"],
        "survey_id": survey,
        "survey_name": POLL["name"],
        "resident_id": someone["id"],
        "division_code": JINSHA,
        "grid_code": ONE,
        "compound_id": None,
        "assignee": str(worker.account),
        "state": "open",
        "attempts": 0,
        "visited_at": None,
    }
    answer = await worker.client.get(f"/v1/visits/{listed['id']}")
    detail = answer.json()
    assert {key: detail.pop(key) for key in listed} == listed
    assert detail["questions"][0] == NEED | {"required": True, "minimum": None, "maximum": None}
    assert (detail["topic"], detail["survey_state"]) == ("pregnancy_class", "drawn")
    assert detail["answers"] is None
    # The survey itself is not for who is responsible for a part of it only.
    assert (await worker.client.get(f"/v1/surveys/{survey}")).status_code == 403


async def test_who_sees_which_visits(town: Town) -> None:
    for grid in (ONE, TWO):
        await settle(town, women(3, places=[place(JINSHA, grid_code=grid)]))
    owner = Worker(town, Role.COMMUNITY_WORKER, JINSHA)
    mine, other = Worker(town, Role.GRID_WORKER, ONE), Worker(town, Role.GRID_WORKER, TWO)
    colleague = Worker(town, Role.GRID_WORKER, ONE)
    await drawn(owner.client, 6, assignees=[mine.assignee])
    [theirs, *_] = taken = await visits(mine.client)
    assert len(taken) == 3
    # Those of the other grid are nobody's; those of a colleague are not for everybody.
    assert await visits(colleague.client) == []
    assert len(await visits(other.client)) == 3
    assert await visits(other.client, mine=True) == []
    assert len(await visits(owner.client)) == 6
    assert len(await visits(owner.client, area=ONE)) == 3
    elsewhere = town.tagging.as_role(Role.COMMUNITY_WORKER, OTHER)
    assert await visits(elsewhere) == []
    refused = await elsewhere.get("/v1/visits", params={"area": ONE})
    assert (refused.status_code, refused.json()["code"]) == (403, "area.forbidden")
    path = f"/v1/visits/{theirs['id']}"
    for client in (colleague.client, other.client, elsewhere):
        for answer in (
            await client.get(path),
            await client.post(f"{path}/take"),
            await client.post(f"{path}/hand-over", json={"account": None}),
            await answered(client, theirs["id"], need="yes"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "visit.not_found")
    assert (await owner.client.get(path)).status_code == 200


async def test_what_nobody_has_is_not_a_clients_own(town: Town) -> None:
    await one_visit(town)
    client = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA, sub="client:etl")
    assert len(await visits(client)) == 1
    assert await visits(client, mine=True) == []


async def test_a_visit_may_be_deleted_while_somebody_waits_for_it(town: Town) -> None:
    worker, visit = await one_visit(town)
    sessions: Sessions = town.tagging.state["sessions"]
    async with sessions.write() as erasing:
        await erasing.execute(sa.delete(Visit).where(Visit.id == UUID(visit)))
        waiting = asyncio.create_task(worker.client.post(f"/v1/visits/{visit}/take"))
        await has_to_wait(waiting, sessions)
    answer = await waiting
    assert (answer.status_code, answer.json()["code"]) == (404, "visit.not_found")


async def has_to_wait(task: asyncio.Task[Any], sessions: Sessions) -> None:
    """Until the task is done, or a statement waits for a lock."""
    waiting = sa.text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    while not task.done():
        async with sessions.read() as session:
            if await session.scalar(waiting):
                return
        await asyncio.sleep(0.01)


async def test_the_list_is_one_statement(town: Town) -> None:
    await settle(town, women(9))
    worker = Worker(town, Role.COMMUNITY_WORKER, JINSHA)
    await drawn(worker.client, 9)
    with QueryLog() as queries:
        found = await visits(worker.client)
    assert (len(found), len(queries)) == (9, 1)
    pages = [
        (await worker.client.get("/v1/visits", params={"page_size": 4})).json() for _ in range(1)
    ]
    while (token := pages[-1]["next_page_token"]) is not None:
        params = {"page_size": 4, "page_token": token}
        pages.append((await worker.client.get("/v1/visits", params=params)).json())
    assert [len(page["items"]) for page in pages] == [4, 4, 1]
    assert [each for page in pages for each in page["items"]] == found


async def test_a_visit_is_taken_by_one_and_handed_over(town: Town) -> None:
    worker, visit = await one_visit(town)
    others = [Worker(town, Role.GRID_WORKER, ONE) for _ in range(5)]
    path = f"/v1/visits/{visit}"
    answers = await asyncio.gather(
        *(each.client.post(f"{path}/take") for each in (worker, *others))
    )
    assert sorted(each.status_code for each in answers) == [200, 404, 404, 404, 404, 404]
    winner = next(
        who for who, a in zip((worker, *others), answers, strict=True) if a.status_code == 200
    )
    again = await winner.client.post(f"{path}/take")
    assert (again.status_code, again.headers["etag"]) == (200, '"2"')
    # Who sees everybody's is told that somebody has it.
    owner = Worker(town, Role.COMMUNITY_WORKER, JINSHA)
    refused = await owner.client.post(f"{path}/take")
    assert (refused.status_code, refused.json()["code"]) == (409, "visit.taken")
    loser = next(each for each in others if each is not winner)
    given = await winner.client.post(f"{path}/hand-over", json={"account": str(loser.account)})
    assert (given.status_code, given.json()["assignee"]) == (200, str(loser.account))
    assert await visits(winner.client) == []
    assert [each["id"] for each in await visits(loser.client, mine=True)] == [visit]
    back = await loser.client.post(f"{path}/hand-over", json={"account": None})
    assert back.json()["assignee"] is None
    assert len(await visits(winner.client)) == 1
    # Whoever writes surveys decides about everybody's.
    moved = await owner.client.post(f"{path}/hand-over", json={"account": str(worker.account)})
    assert moved.json()["assignee"] == str(worker.account)


async def test_answers_are_recorded_once_and_corrected_by_who_has_read_them(
    town: Town, clock: FixedClock
) -> None:
    worker, visit = await one_visit(town)
    given = {"need": "yes", "topics": ["baby", "food"], "children": 2, "remarks": " 周末开课 "}
    first = await answered(worker.client, visit, **given)
    assert first.status_code == 200, first.text
    body = first.json()
    kept = {"need": "yes", "topics": ["food", "baby"], "children": 2, "remarks": "周末开课"}
    assert (body["state"], body["answers"], body["attempts"]) == ("done", kept, 1)
    assert body["assignee"] == str(worker.account)
    assert body["visited_at"] == clock.now().isoformat().replace("+00:00", "Z")
    assert first.headers["etag"] == '"2"'
    # Sent again after a lost answer: nothing happens.
    again = await answered(worker.client, visit, **given)
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, body, '"2"')

    blind = await answered(worker.client, visit, need="no")
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition.required")
    path = f"/v1/visits/{visit}/answers"
    corrected = {"state": "done", "answers": {"need": "no"}}
    stale = await worker.client.post(path, json=corrected, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition.failed")
    right = await worker.client.post(path, json=corrected, headers={"If-Match": '"2"'})
    assert (right.status_code, right.headers["etag"]) == (200, '"3"')
    assert (right.json()["answers"], right.json()["attempts"]) == ({"need": "no"}, 1)
    undone = await worker.client.post(path, json={"state": "refused"}, headers={"If-Match": '"3"'})
    assert (undone.json()["state"], undone.json()["answers"]) == ("refused", None)


async def test_who_was_not_met_is_visited_again(town: Town) -> None:
    worker, visit = await one_visit(town)
    for attempts in (1, 2):
        answer = await answered(worker.client, visit, "not_met")
        assert (answer.json()["state"], answer.json()["attempts"]) == ("not_met", attempts)
    key = {"Idempotency-Key": "third"}
    path, body = f"/v1/visits/{visit}/answers", {"state": "not_met"}
    third = await worker.client.post(path, json=body, headers=key)
    replayed = await worker.client.post(path, json=body, headers=key)
    assert third.json() == replayed.json()
    done = await answered(worker.client, visit, need="yes")
    assert (done.json()["state"], done.json()["attempts"]) == ("done", 4)


async def test_two_at_the_same_door_count_once(town: Town) -> None:
    worker, visit = await one_visit(town)
    owner = Worker(town, Role.COMMUNITY_WORKER, JINSHA)
    answers = await asyncio.gather(
        answered(worker.client, visit, need="yes"),
        answered(owner.client, visit, need="no"),
        answered(owner.client, visit, need="no"),
    )
    # The same once more is no fault. Another answer must have read the first, and a visit that
    # has become a colleague's is none of the worker's.
    codes = sorted(each.status_code for each in answers)
    assert codes in ([200, 200, 404], [200, 428, 428]), codes
    final = (await owner.client.get(f"/v1/visits/{visit}")).json()
    assert (final["attempts"], final["state"]) == (1, "done")


FAULTS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"state": "open"}, [("/state", "enum")]),
    ({"state": "refused", "answers": {"need": "yes"}}, [("/answers", "answer.not_done")]),
    ({"state": "done"}, [("/answers/need", "answer.missing")]),
    ({"answers": {"need": "maybe"}}, [("/answers/need", "answer.no_option")]),
    (
        {"answers": {"topics": ["food", "food", "cars"], "children": 16, "a/b": "x"}},
        [
            ("/answers/need", "answer.missing"),
            ("/answers/topics/1", "answer.option_twice"),
            ("/answers/topics/2", "answer.no_option"),
            ("/answers/children", "answer.out_of_range"),
            ("/answers/a~1b", "answer.unknown_question"),
        ],
    ),
    ({"answers": {"need": "yes", "children": "2"}}, [("/answers/children", "answer.no_number")]),
    ({"answers": {"need": "yes", "remarks": ["a"]}}, [("/answers/remarks", "answer.no_text")]),
    (
        {"answers": {"need": "yes", "remarks": "a\x00b"}},
        [("/answers/remarks", "answer.text_malformed")],
    ),
    (
        {"answers": {"need": "yes", "remarks": "长" * 1001}},
        [("/answers/remarks", "answer.text_malformed")],
    ),
    ({"answers": {"need": "yes", "children": 1e300}}, [("/answers/children", "answer.malformed")]),
    ({"answers": {"need": None}}, [("/answers/need", "answer.malformed")]),
    ({"answers": {"need": {"a": 1}}}, [("/answers/need", "answer.malformed")]),
    ({"answers": {"need": ["x"] * 21}}, [("/answers/need", "answer.malformed")]),
    ({"answers": {f"q{n}": 1 for n in range(21)}}, [("/answers", "too_long")]),
    ({"answers": ["yes"]}, [("/answers", "dict_type")]),
]


async def test_what_is_no_answer_is_refused_with_every_fault(town: Town) -> None:
    worker, visit = await one_visit(town)
    for body, expected in FAULTS:
        asked = {"state": "done"} | body
        answer = await worker.client.post(f"/v1/visits/{visit}/answers", json=asked)
        assert answer.status_code == 422, (body, answer.text)
        assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == expected
    assert (await worker.client.get(f"/v1/visits/{visit}")).json()["attempts"] == 0


async def test_a_closed_survey_takes_no_answers(town: Town) -> None:
    worker, visit = await one_visit(town)
    owner = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    [survey] = (await owner.get("/v1/surveys")).json()["items"]
    assert (await owner.post(f"/v1/surveys/{survey['id']}/close")).status_code == 200
    for answer in (
        await answered(worker.client, visit, need="yes"),
        await worker.client.post(f"/v1/visits/{visit}/take"),
        await worker.client.post(f"/v1/visits/{visit}/hand-over", json={"account": None}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "survey.closed")


async def test_an_answer_becomes_a_tag_and_its_correction_takes_it_back(town: Town) -> None:
    tag_if = {"question": "need", "option": "yes", "tag": "volunteer"}
    worker, visit = await one_visit(town, tag_if=tag_if)
    resident = (await worker.client.get(f"/v1/visits/{visit}")).json()["resident_id"]
    path = f"/v1/visits/{visit}/answers"
    first = await answered(worker.client, visit, need="yes")
    assert first.status_code == 200
    assert "position" in first.headers
    [given] = (await worker.client.get("/v1/tag-assignments")).json()["items"]
    assert (given["resident_id"], given["tag"], given["source"]) == (
        resident,
        "volunteer",
        "survey",
    )
    await worker.client.post(
        path, json={"state": "done", "answers": {"need": "no"}}, headers={"If-Match": '"2"'}
    )
    assert await town.bearers("volunteer") == set()
    # One that a worker has given, or another survey, is not this one's to take back.
    owner = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    await owner.post("/v1/tag-assignments", json={"tag": "volunteer", "resident_ids": [resident]})
    twin = await drawn(owner, 1, tag_if=tag_if)
    [again] = await visits(owner, survey_id=twin)
    await answered(owner, again["id"], need="yes")

    async def corrected(version: int, need: str) -> set[str]:
        answer = await worker.client.post(
            path,
            json={"state": "done", "answers": {"need": need}},
            headers={"If-Match": f'"{version}"'},
        )
        assert answer.status_code == 200, answer.text
        listed = (await owner.get("/v1/tag-assignments")).json()["items"]
        assert {each["resident_id"] for each in listed} == {resident}
        return {each["source"] for each in listed}

    assert await corrected(3, "yes") == {"survey", "worker"}
    assert await corrected(4, "no") == {"survey", "worker"}
    await owner.post(
        f"/v1/visits/{again['id']}/answers",
        json={"state": "refused"},
        headers={"If-Match": '"2"'},
    )
    assert await corrected(5, "yes") == {"survey", "worker"}
    assert await corrected(6, "no") == {"worker"}


async def test_free_text_stays_where_it_is(town: Town, capfd: pytest.CaptureFixture[str]) -> None:
    worker, visit = await one_visit(
        town, tag_if={"question": "need", "option": "yes", "tag": "volunteer"}
    )
    secret = f"remark-{uuid4().hex}"
    await answered(worker.client, visit, need="yes", remarks=secret)
    refused = await answered(worker.client, visit, need=secret, remarks=secret)
    assert refused.status_code == 422
    assert secret not in refused.text
    feed = await town.tagging.as_service().get(
        "/internal/feed", params={"after": "0000000000000000.0"}
    )
    snapshot = await town.tagging.as_service().get("/internal/snapshot")
    assert secret not in feed.text + snapshot.text
    owner = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    [survey] = (await owner.get("/v1/surveys")).json()["items"]
    assert (await results(owner, survey["id"]))["questions"][3]["texts"] == [secret]
    platform = town.tagging.as_role(Role.CLIENT, JINSHA)
    assert (await results(platform, survey["id"]))["questions"][3]["texts"] is None
    out, err = capfd.readouterr()
    assert secret not in out + err


async def test_who_is_merged_is_visited_as_the_survivor(town: Town) -> None:
    [double, survivor] = women(2, places=[place(JINSHA, grid_code=ONE)])
    await settle(town, [double])
    owner = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    await drawn(owner, 1)
    await settle(town, [survivor])
    gone = {"version": 2, "places": [], "state": "merged", "merged_into": survivor["id"]}
    await settle(town, [double | gone])
    [visit] = await visits(owner)
    assert visit["resident_id"] == survivor["id"]


async def test_who_is_erased_leaves_figures_only(town: Town) -> None:
    people = women(3, places=[place(JINSHA, grid_code=ONE)])
    await settle(town, people)
    owner = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    survey = await drawn(owner, 3)
    [done, tried, stays] = await visits(owner)
    await answered(owner, done["id"], need="yes", remarks="三楼左边")
    await answered(owner, tried["id"], "not_met")
    await answered(owner, stays["id"], need="no", remarks="好")
    erased = {done["resident_id"], tried["resident_id"]}
    await settle(
        town,
        [
            each | {"version": 2, "places": [], "state": "erased"}
            for each in people
            if each["id"] in erased
        ],
    )
    left = await visits(owner)
    assert [(each["id"], each["grid_code"]) for each in left] == [
        (done["id"], None),
        (stays["id"], ONE),
    ]
    body = (await owner.get(f"/v1/visits/{done['id']}")).json()
    assert body["answers"] == {"need": "yes"}
    found = await results(owner, survey)
    assert [option["count"] for option in found["questions"][0]["options"]] == [1, 1]
    assert found["questions"][3]["texts"] == ["好"]
