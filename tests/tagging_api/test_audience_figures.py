"""Counts by the index over HTTP: fresh, broken down, beside one another, within reach."""

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.common.outbox import Event
from services.tagging_api.models import Account, OptOut
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import AREA_CHANGED, JINSHA, OTHER, compounds, person, place

WOMEN = {"field": "sex", "op": "eq", "value": "female"}
EVERYBODY = {"area": "510182"}


async def ask(
    town: Town, what: str, body: dict[str, Any], *areas: str, role: Role = Role.CITY_OFFICER
) -> dict[str, Any]:
    await town.tagging.state["targeting"].caught_up()
    answer = await town.tagging.as_role(role, *areas).post(f"/v1/audiences/{what}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def assign(town: Town, tag: str, *people: dict[str, Any]) -> str:
    answer = await town.tagging.as_role(Role.CITY_OFFICER).post(
        "/v1/tag-assignments", json={"tag": tag, "resident_ids": [each["id"] for each in people]}
    )
    assert answer.status_code in {200, 201}, answer.text
    return answer.headers["Position"]


async def test_who_just_wrote_is_counted(town: Town) -> None:
    """Each count is told the position of the write before, and never shows an older number."""
    people = [person() for _ in range(20)]
    await town.live_here(*people)
    client = town.tagging.as_role(Role.CITY_OFFICER)
    for n, each in enumerate(people, start=1):
        position = await assign(town, "volunteer", each)
        answer = await client.post(
            "/v1/audiences/count",
            json={"rule": {"tag": "volunteer"}, "min_position": position},
        )
        assert answer.json()["count"] == n
        # What is counted once stays counted for whoever says so.
        again = await client.post(
            "/v1/audiences/count",
            json={"rule": {"tag": "volunteer"}, "min_position": answer.json()["position"]},
        )
        assert again.json()["count"] == n


async def test_a_register_s_change_is_counted_at_its_position(town: Town) -> None:
    for n in range(1, 6):
        position = await town.register.say(
            Event("cn.shequ.residents.resident.changed", {"residents": [person(sex="female")]})
        )
        for _ in range(30):  # a second each, on a machine that may be busy
            answer = await town.tagging.as_role(Role.CITY_OFFICER).post(
                "/v1/audiences/count", json={"rule": WOMEN, "min_position": position}
            )
            if answer.status_code == 200:
                break
            assert answer.json()["code"] == "position.not_reached"
        assert answer.json()["count"] == n


async def test_a_count_says_few_statements(town: Town) -> None:
    await town.live_here(person(sex="female"))
    client = town.tagging.as_role(Role.CITY_OFFICER)
    await client.post("/v1/audiences/count", json={"rule": WOMEN})
    for rule, statements in ((WOMEN, 0), ({"all": [WOMEN, {"tag": "volunteer"}]}, 1)):
        with QueryLog() as queries:
            answer = await client.post("/v1/audiences/count", json={"rule": rule})
        assert answer.status_code == 200
        assert len(queries) <= statements, queries.statements


async def test_readiness_waits_for_the_index(town: Town) -> None:
    await town.tagging.state["targeting"].caught_up()
    answer = await town.tagging.client().get("/readyz")
    assert answer.json()["checks"]["index"] is True


async def test_a_breakdown_by_areas_has_names_and_only_the_caller_s(town: Town) -> None:
    compound = new_id()
    names = [
        {"kind": "division", "code": JINSHA, "name": "金沙社区", "village_code": JINSHA},
        {"kind": "division", "code": "510182104", "name": "濛阳街道", "village_code": None},
        {"kind": "grid", "code": f"{JINSHA}001", "name": "第一网格", "village_code": JINSHA},
    ]
    await town.arrived(town.register, Event(AREA_CHANGED, {"areas": names}))
    await town.arrived(town.register, compounds(**{str(compound): JINSHA}))
    home = place(JINSHA, grid_code=f"{JINSHA}001", compound_id=compound)
    twice = person(sex="female", places=[home, place(OTHER)])
    await town.live_here(
        twice, person(sex="female", places=[home]), person(sex="male", places=[place(OTHER)])
    )
    await assign(town, "volunteer", twice)

    found = await ask(town, "breakdown", {"rule": WOMEN, "by": "village", "tags": ["volunteer"]})
    assert found["items"] == [
        {
            "key": OTHER,
            "name": None,
            "count": 1,
            "suppressed": False,
            "tags": [{"tag": "volunteer", "count": 1, "suppressed": False}],
        },
        {
            "key": JINSHA,
            "name": "金沙社区",
            "count": 2,
            "suppressed": False,
            "tags": [{"tag": "volunteer", "count": 1, "suppressed": False}],
        },
    ]
    found = await ask(town, "breakdown", {"rule": EVERYBODY, "by": "village"}, JINSHA)
    assert [(item["key"], item["count"]) for item in found["items"]] == [(JINSHA, 2)]
    found = await ask(town, "breakdown", {"rule": EVERYBODY, "by": "town"})
    assert [(i["key"], i["name"], i["count"]) for i in found["items"]] == [
        ("510182104", "濛阳街道", 3)
    ]
    found = await ask(town, "breakdown", {"rule": EVERYBODY, "by": "grid"})
    assert [(i["name"], i["count"]) for i in found["items"]] == [("第一网格", 2)]
    found = await ask(town, "breakdown", {"rule": EVERYBODY, "by": "compound"})
    assert [(i["key"], i["name"], i["count"]) for i in found["items"]] == [
        (str(compound), "小区", 2)
    ]


async def test_a_breakdown_by_sex_age_and_tag(town: Town) -> None:
    old, young = person(sex="female", birth_date="1940-01-01"), person(birth_date="2020-01-01")
    await town.live_here(old, young, person(sex="male", birth_date=None))
    await assign(town, "elderly", old)
    found = await ask(town, "breakdown", {"rule": EVERYBODY, "by": "sex"})
    assert {i["key"]: i["count"] for i in found["items"]} == {"female": 1, "male": 1, None: 1}
    found = await ask(town, "breakdown", {"rule": EVERYBODY, "by": "age_band"})
    counts = {i["key"]: i["count"] for i in found["items"] if i["count"]}
    assert counts == {"0-6": 1, "80+": 1, None: 1}
    body = {"rule": EVERYBODY, "by": "tag", "tags": ["elderly", "volunteer"]}
    found = await ask(town, "breakdown", body)
    assert [(i["key"], i["name"], i["count"]) for i in found["items"]] == [
        ("elderly", "高龄老人", 1),
        ("volunteer", "志愿者", 0),
    ]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"rule": WOMEN, "by": "tag"}, "", "breakdown.no_tags"),
        ({"rule": WOMEN, "by": "tag", "tags": ["nonsense"]}, "/tags/0", "tag.unknown"),
        ({"rule": {"tag": "nonsense"}, "by": "sex"}, "/rule/tag", "tag.unknown"),
        ({"rule": WOMEN, "by": "planet"}, "/by", "enum"),
    ],
)
async def test_a_breakdown_that_cannot_be_is_refused(
    town: Town, body: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await town.tagging.as_role(Role.CITY_OFFICER).post(
        "/v1/audiences/breakdown", json=body
    )
    assert answer.status_code == 422, answer.text
    assert (pointer, code) in [(e["pointer"], e["code"]) for e in answer.json()["errors"]]


async def test_few_people_of_a_sensitive_audience_are_not_told_to_everybody(town: Town) -> None:
    alone = [person(sex="female") for _ in range(3)]
    many = [person(sex="male", places=[place(OTHER)]) for _ in range(6)]
    fewer = [person(sex="unknown") for _ in range(5)]
    await town.live_here(*alone, *many, *fewer)
    await assign(town, "elderly_alone", *alone, *many, *fewer)
    rule = {"tag": "elderly_alone"}
    for role, hidden in ((Role.CITY_OFFICER, False), (Role.GRID_WORKER, True)):
        found = await ask(town, "count", {"rule": {"all": [rule, WOMEN]}}, role=role)
        assert (found["count"], found["suppressed"]) == ((None, True) if hidden else (3, False))
        found = await ask(town, "count", {"rule": rule}, role=role)
        assert (found["count"], found["suppressed"]) == (14, False)
        found = await ask(town, "breakdown", {"rule": rule, "by": "sex"}, role=role)
        counts = {item["key"]: item["count"] for item in found["items"]}
        # Of three parts, one that is hidden alone is what the other two leave of the whole.
        assert counts == (
            {"female": None, "male": 6, "unknown": None}
            if hidden
            else {"female": 3, "male": 6, "unknown": 5}
        )
        body = {"rule": WOMEN, "by": "village", "tags": ["elderly_alone"]}
        found = await ask(town, "breakdown", body, role=role)
        here = next(item for item in found["items"] if item["key"] == JINSHA)
        assert here["count"] == 3
        assert here["tags"][0]["count"] == (None if hidden else 3)
        body = {"audiences": [{"rule": rule}, {"rule": WOMEN}]}
        found = await ask(town, "overlap", body, role=role)
        both = None if hidden else 3
        assert found["counts"] == [[14, both], [both, 3]]


async def test_an_overlap_of_rules_and_saved_audiences(town: Town) -> None:
    both, one = person(sex="female"), person(sex="female")
    await town.live_here(both, one, person(sex="male"))
    await assign(town, "volunteer", both)
    saved = await town.tagging.as_role(Role.CITY_OFFICER).post(
        "/v1/audiences", json={"name": "女性", "rule": WOMEN}
    )
    assert saved.status_code == 201, saved.text
    body = {"audiences": [{"rule": {"tag": "volunteer"}}, {"audience": saved.json()["id"]}]}
    found = await ask(town, "overlap", body)
    assert found["counts"] == [[1, 1], [1, 2]]
    client = town.tagging.as_role(Role.CITY_OFFICER)
    for wrong, pointer in (
        ({"audience": str(uuid4())}, "/audiences/1/audience"),
        ({"rule": {"tag": "nonsense"}}, "/audiences/1/rule/tag"),
        ({}, "/audiences/1"),
    ):
        answer = await client.post(
            "/v1/audiences/overlap", json={"audiences": [{"rule": WOMEN}, wrong]}
        )
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer
    answer = await client.post("/v1/audiences/overlap", json={"audiences": [{"rule": WOMEN}] * 21})
    assert answer.status_code == 422


async def test_reach_tells_why_not(town: Town) -> None:
    reached, out, child, stranger, gone = (
        person(sex="female"),
        person(sex="female"),
        person(sex="female", birth_date="2020-01-01"),
        person(sex="female"),
        person(sex="female"),
    )
    await town.live_here(reached, out, child, stranger, gone)
    sessions: Sessions = town.tagging.state["sessions"]
    async with sessions.write() as session:
        for each in (reached, out, child, gone):
            await session.execute(
                sa.insert(Account).values(
                    id=new_id(), version=1, generation=1, resident_id=each["id"], active=True
                )
            )
        await session.execute(
            sa.insert(OptOut).values(
                resident_id=out["id"], topic="health", created_at=sa.func.now()
            )
        )
    client = town.tagging.as_role(Role.CITY_OFFICER)
    frozen = await client.post(
        "/v1/audiences", json={"name": "女性", "rule": WOMEN, "kind": "frozen"}
    )
    assert frozen.status_code == 201, frozen.text
    await town.live_here({**gone, "version": 2, "state": "deceased", "places": []})

    rule = {"audience": frozen.json()["id"]}
    found = await ask(town, "reach", {"rule": rule, "topic": "health"})
    assert (found["total"], found["reachable"], found["suppressed"]) == (5, 1, False)
    assert {each["reason"]: each["count"] for each in found["unreachable"]} == {
        "deceased": 1,
        "moved_out": 0,
        "under_14": 1,
        "no_account": 1,
        "opted_out": 1,
        "frequency_cap": 0,
    }
    found = await ask(town, "reach", {"rule": WOMEN, "topic": "health", "channel": "sms"})
    assert (found["total"], found["reachable"]) == (4, 2)
    found = await ask(town, "reach", {"rule": WOMEN, "topic": "emergency"})
    assert (found["total"], found["reachable"]) == (4, 2)
