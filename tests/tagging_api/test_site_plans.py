"""Site plans through the door: what the register says of compounds, and what is made of it."""

import math
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.common.access import Role
from services.common.identifiers import new_id
from services.common.outbox import Event
from tests.conftest import FixedClock
from tests.queries import QueryLog
from tests.tagging_api.conftest import Town
from tests.tagging_api.neighbours import (
    AREA_CHANGED,
    JINSHA,
    OTHER,
    TOWN,
    compounds,
    person,
    place,
)

METRE = 180 / (math.pi * 6_371_008.8)  # of latitude, in degrees
WEIGHTS = {"population": 1}
ASKED: dict[str, Any] = {
    "name": "流动菜摊选址",
    "area": TOWN,
    "places": 2,
    "max_distance_metres": 400,
    "weights": WEIGHTS,
}


def compound(
    metres: float | None = None, *, village: str = JINSHA, code: UUID | None = None, **said: Any
) -> dict[str, Any]:
    """A compound so far north of a point, as the register states it."""
    where = {"longitude": 103.9, "latitude": 30.9 + metres * METRE} if metres is not None else {}
    return {
        "kind": "compound",
        "code": str(code or new_id()),
        "name": f"小区{metres}",
        "village_code": village,
        **where,
        **said,
    }


async def stated(town: Town, *areas: dict[str, Any]) -> list[str]:
    await town.arrived(town.register, Event(AREA_CHANGED, {"areas": list(areas)}))
    return [area["code"] for area in areas]


async def planned(client: httpx.AsyncClient, **change: Any) -> dict[str, Any]:
    answer = await client.post("/v1/site-plans", json=ASKED | change)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/site-plans/{body['id']}"
    return body


def chosen(plan: dict[str, Any]) -> list[str]:
    return [choice["compound_id"] for choice in plan["found"]["choices"]]


@pytest.fixture
async def street(town: Town) -> list[str]:
    """Five compounds along a street, and one that nobody knows where it is."""
    return await stated(
        town,
        compound(0, population=1000, households=300, risk_level="low"),
        compound(300, population=100, households=100, risk_level="high"),
        compound(600, population=1000, households=200, risk_level="low"),
        compound(5000, population=1500, households=700, village=OTHER, risk_level="medium"),
        compound(9000, population=400, households=200, village=OTHER),
        compound(population=50, households=10),
    )


async def test_a_plan_says_why(town: Town, street: list[str], clock: FixedClock) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    plan = await planned(officer)
    assert {key: plan[key] for key in ("name", "area", "sensitivity", "created_at", "asked")} == {
        "name": "流动菜摊选址",
        "area": TOWN,
        "sensitivity": "public",
        "created_at": clock.now().isoformat().replace("+00:00", "Z"),
        "asked": {
            "places": 2,
            "max_distance_metres": 400,
            "at_most_one_within_metres": None,
            "weights": {"households": 0, "population": 1, "audience": 0, "risk_level": 0},
            "rule": None,
            "required": [],
            "excluded": [],
        },
    }
    found = plan["found"]
    assert chosen(plan) == [street[1], street[3]]
    first = dict(found["choices"][0])
    assert {each["compound_id"]: each["distance_metres"] for each in first.pop("covers")} == {
        street[1]: 0,
        street[0]: 300,
        street[2]: 300,
    }
    assert first == {
        "compound_id": street[1],
        "name": "小区300",
        "longitude": 103.9,
        "latitude": pytest.approx(30.9 + 300 * METRE),
        "required": False,
        "gain": 0.525,
        "gain_by_weight": {
            "households": 0,
            "population": 0.525,
            "audience": 0,
            "risk_level": 0,
        },
        "newly_covered": {"households": 600, "population": 2100, "audience": None},
    }
    assert found["ended"] == "all_chosen"
    assert found["covered_share"] == 0.9
    assert found["bound"] == {"guarantee": 0.632121, "upper_bound": 0.9, "achieved_share": 1}
    assert found["total"] == {"households": 1500, "population": 4000, "audience": None}
    assert found["uncovered"] == {
        "share": 0.1,
        "demand": {"households": 200, "population": 400, "audience": None},
        "compound_count": 1,
        "compounds": [{"compound_id": street[4], "name": "小区9000", "weight": 0.1}],
    }
    assert found["unplaced"] == [{"compound_id": street[5], "name": "小区None"}]
    # It is kept as it was made, whatever is built later.
    await stated(town, compound(7000, population=9000))
    again = await officer.get(f"/v1/site-plans/{plan['id']}")
    assert (again.status_code, again.json()) == (200, plan)
    other = await planned(officer)
    assert other["found"]["total"]["population"] == 13_000
    listed = (await officer.get("/v1/site-plans")).json()["items"]
    assert [each["id"] for each in listed] == [other["id"], plan["id"]]


async def test_the_same_data_gives_the_same_plan(town: Town, street: list[str]) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    weights = {"population": 1.5, "households": 0.7, "risk_level": 2}
    one, two = [await planned(officer, weights=weights, places=3) for _ in range(2)]
    assert one["found"] == two["found"]
    for choice in one["found"]["choices"]:
        parts = choice["gain_by_weight"].values()
        assert sum(parts) == pytest.approx(choice["gain"], abs=1e-5)


async def test_what_counts_decides(town: Town, street: list[str]) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    near = {"places": 1, "max_distance_metres": 100}
    for weights, best in (
        ({"population": 1}, 3),
        ({"risk_level": 1}, 1),
        ({"risk_level": 1, "households": 1}, 3),
    ):
        assert chosen(await planned(officer, **near, weights=weights)) == [street[best]]


async def test_an_audience_counts_where_it_lives(town: Town, street: list[str]) -> None:
    def living(at: int, n: int, **more: Any) -> list[dict[str, Any]]:
        village = OTHER if at in {3, 4} else JINSHA
        spot = place(village, compound_id=UUID(street[at]))
        return [person(places=[spot], **more) for _ in range(n)]

    old = {"birth_date": "1940-01-01"}
    two_homes = person(
        places=[place(compound_id=UUID(street[0])), place(OTHER, compound_id=UUID(street[4]))],
        **old,
    )
    await town.live_here(
        *living(0, 2, **old), *living(3, 9), *living(4, 7, **old), two_homes, person(**old)
    )
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    rule = {"field": "age", "op": "gte", "value": 80}
    near = {"places": 1, "max_distance_metres": 100, "weights": {"audience": 1}, "rule": rule}
    with QueryLog() as queries:
        plan = await planned(officer, **near)
    counting = [each for each in queries.statements if "resident_place" in each]
    assert len(counting) == 1
    assert chosen(plan) == [street[4]]
    assert plan["asked"]["rule"] == rule
    assert plan["found"]["total"]["audience"] == 3 + 8
    assert plan["found"]["choices"][0]["newly_covered"]["audience"] == 8
    # In one village only those who live there are seen.
    jinsha = await planned(officer, **near, area=JINSHA)
    assert chosen(jinsha) == [street[0]]
    assert jinsha["found"]["total"]["audience"] == 3


async def test_a_sample_is_drawn_from_all_whom_the_caller_sees(
    town: Town, street: list[str]
) -> None:
    def living(at: int, village: str) -> list[dict[str, Any]]:
        spot = place(village, compound_id=UUID(street[at]))
        return [person(places=[spot]) for _ in range(10)]

    await town.live_here(*living(0, JINSHA), *living(3, OTHER))
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    drawn = {"sample": {"rule": {"area": TOWN}, "n": 10, "seed": 3}}
    saved = await officer.post("/v1/audiences", json={"name": "抽样", "rule": drawn})
    named = {"audience": saved.json()["id"]}
    for rule in (drawn, named):
        weighed = {"places": 1, "weights": {"audience": 1}, "rule": rule}
        everywhere, jinsha, other = [
            (await planned(officer, **weighed, area=area))["found"]["total"]["audience"]
            for area in (TOWN, JINSHA, OTHER)
        ]
        assert everywhere == jinsha + other == 10
        assert jinsha == await town.count({"all": [{"area": JINSHA}, rule]}, TOWN) < 10


async def test_few_of_a_sensitive_audience_count_as_none(town: Town, street: list[str]) -> None:
    def living(at: int, n: int) -> list[dict[str, Any]]:
        spot = place(compound_id=UUID(street[at]))
        return [person(places=[spot], labels=["志愿者"]) for _ in range(n)]

    await town.live_here(*living(0, 4), *living(2, 5))
    officer = town.tagging.as_role(Role.CITY_OFFICER)
    asked = {
        "max_distance_metres": 100,
        "weights": {"audience": 1},
        "rule": {"tag": "volunteer"},
    }
    open_plan = await planned(officer, **asked)
    assert open_plan["found"]["total"]["audience"] == 9
    for sensitivity in ("sensitive", "highest"):
        tag = await officer.get("/v1/tags/volunteer")
        changed = await officer.patch(
            "/v1/tags/volunteer",
            json={"sensitivity": sensitivity},
            headers={"If-Match": tag.headers["etag"]},
        )
        assert changed.status_code == 200, changed.text
        plan = await planned(officer, **asked)
        assert plan["sensitivity"] == sensitivity
        assert plan["found"]["total"]["audience"] == 5
        assert chosen(plan) == [street[2]]
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER)
    refused = await worker.post("/v1/site-plans", json=ASKED | asked)
    assert (refused.status_code, refused.json()["code"]) == (422, "tag.unknown")
    # And the plans made before the tag was raised are not for everybody any more, either.
    for each in (plan, open_plan):
        path = f"/v1/site-plans/{each['id']}"
        assert (await officer.get(path)).status_code == 200
        assert (await worker.get(path)).status_code == 404
    assert (await worker.get("/v1/site-plans")).json()["items"] == []


async def test_places_that_must_and_must_not_be_chosen(town: Town, street: list[str]) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    plan = await planned(officer, required=[street[4]], excluded=[street[1], street[3]])
    assert chosen(plan) == [street[4], street[0]]
    assert [each["required"] for each in plan["found"]["choices"]] == [True, False]
    # People of an excluded compound still count.
    assert plan["found"]["choices"][1]["newly_covered"]["population"] == 1100
    apart = await planned(officer, places=5, at_most_one_within_metres=1000)
    assert chosen(apart) == [street[1], street[3], street[4]]
    assert (apart["found"]["ended"], apart["found"]["bound"]["guarantee"]) == (
        "no_place_left",
        0.166667,
    )


async def test_what_cannot_be_planned(town: Town, street: list[str]) -> None:
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    nobody = str(uuid4())
    faults: list[tuple[dict[str, Any], str, str]] = [
        ({"places": 0}, "/places", "greater_than_equal"),
        ({"places": 51}, "/places", "less_than_equal"),
        ({"max_distance_metres": 9}, "/max_distance_metres", "greater_than_equal"),
        ({"max_distance_metres": 5001}, "/max_distance_metres", "less_than_equal"),
        ({"at_most_one_within_metres": 0}, "/at_most_one_within_metres", "greater_than_equal"),
        ({"weights": {}}, "/weights", "site_plan.no_weight"),
        ({"weights": {"population": -1}}, "/weights/population", "greater_than_equal"),
        ({"weights": {"beauty": 1}}, "/weights/beauty", "extra_forbidden"),
        ({"weights": {"audience": 1}}, "", "site_plan.rule_and_weight"),
        ({"rule": {"area": TOWN}}, "", "site_plan.rule_and_weight"),
        (
            {"rule": {"tag": "none"}, "weights": {"audience": 1}},
            "/rule/tag",
            "tag.unknown",
        ),
        ({"area": f"{JINSHA}001"}, "/area", "site_plan.grid"),
        ({"required": [nobody]}, "/required/0", "site_plan.unknown_compound"),
        ({"required": [street[5]]}, "/required/0", "site_plan.unknown_compound"),
        ({"required": [street[0]] * 2}, "/required/1", "site_plan.twice"),
        ({"required": street[:1], "excluded": street[:1]}, "/required/0", "site_plan.excluded"),
        ({"required": street[:3]}, "/required/2", "site_plan.too_many_required"),
        (
            {"required": street[:2], "at_most_one_within_metres": 500},
            "/required/1",
            "site_plan.too_near",
        ),
    ]
    for change, pointer, code in faults:
        answer = await officer.post("/v1/site-plans", json=ASKED | change)
        assert answer.status_code == 422, (change, answer.text)
        found = [(e["pointer"], e["code"]) for e in answer.json()["errors"]]
        assert found == [(pointer, code)], change
    assert (await officer.get("/v1/site-plans")).json()["items"] == []


async def test_a_plan_is_for_an_area_of_ones_own(town: Town, street: list[str]) -> None:
    worker = town.tagging.as_role(Role.COMMUNITY_WORKER, JINSHA)
    for area in (TOWN, OTHER, street[3], str(uuid4())):
        refused = await worker.post("/v1/site-plans", json=ASKED | {"area": area})
        assert (refused.status_code, refused.json()["code"]) == (403, "area.forbidden"), area
    mine = await planned(worker, area=JINSHA)
    assert mine["found"]["total"]["population"] == 2100
    one = await planned(worker, area=street[0])
    assert chosen(one) == [street[0]]
    town_wide = await planned(town.tagging.as_role(Role.TOWN_OFFICER, TOWN))

    async def seen(*areas: str) -> set[str]:
        client = town.tagging.as_role(Role.COMMUNITY_WORKER, *areas)
        listed = {each["id"] for each in (await client.get("/v1/site-plans")).json()["items"]}
        for plan in (mine, one, town_wide):
            answer = await client.get(f"/v1/site-plans/{plan['id']}")
            assert (answer.status_code == 200) is (plan["id"] in listed)
            if answer.status_code != 200:
                assert (answer.status_code, answer.json()["code"]) == (404, "site_plan.not_found")
        return listed

    assert await seen("510182") == {mine["id"], one["id"], town_wide["id"]}
    assert await seen(JINSHA) == {mine["id"], one["id"]}
    assert await seen(street[0]) == {one["id"]}
    assert await seen(OTHER) == set()
    narrowed = await worker.get("/v1/site-plans", params={"area": street[0]})
    assert [each["id"] for each in narrowed.json()["items"]] == [one["id"]]


async def test_a_register_that_says_less_is_no_fault(town: Town) -> None:
    """One that states no coordinates yet, and one that no longer knows them."""
    plain, moved = new_id(), new_id()
    await town.arrived(town.register, compounds(**{str(plain): JINSHA}))
    await stated(town, compound(0, code=moved, population=10))
    officer = town.tagging.as_role(Role.TOWN_OFFICER, TOWN)
    plan = await planned(officer)
    assert chosen(plan) == [str(moved)]
    assert plan["found"]["unplaced"] == [{"compound_id": str(plain), "name": "小区"}]
    await stated(
        town,
        compound(code=moved),
        compound(0, code=plain, households=None, risk_level="unheard_of"),
    )
    later = await planned(officer, weights={"population": 1, "risk_level": 1})
    assert [each["compound_id"] for each in later["found"]["unplaced"]] == [str(moved)]
    # Somebody may live there, but nothing is known: nothing is gained.
    assert (chosen(later), later["found"]["ended"]) == ([], "nothing_to_gain")
    assert later["found"]["bound"]["achieved_share"] == 1
    nowhere = await planned(officer, area=OTHER)
    assert nowhere["found"]["ended"] == "no_place_left"
