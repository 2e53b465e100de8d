"""Residents of an area: who is in the list, once each, page by page."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from services.common.access import Role
from services.common.pagination import token_for
from tests.conftest import FixedClock
from tests.houses import App, Identity
from tests.queries import QueryLog
from tests.residents_api.homes import dwelling_of, home, moved_in, moved_out
from tests.residents_api.ledgers import everybody, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    OTHER_TOWNS_VILLAGE,
    TOWN,
    VILLAGE,
    fault,
    found,
    number,
    refusal,
    registered,
)

pytestmark = pytest.mark.usefixtures("divisions")

TODAY = date(2026, 11, 23)


@pytest.fixture
def city(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.CITY_OFFICER, "510182")


@pytest.fixture
async def town(divisions: None, city: httpx.AsyncClient) -> None:
    """Two villages of a town and one of another, with grids and compounds."""
    await succeeded(
        city,
        person("甲一", number(sequence=1), grid="1"),
        person("甲二", number(sequence=2), grid="1"),
        person("甲三", number(sequence=3), grid="2", compound="清泉花园"),
        person("甲四", number(sequence=4), compound="清泉花园", room="102"),
    )
    await succeeded(city, person("乙一", number(sequence=5), grid="1"), village=NEXT_VILLAGE)
    await succeeded(city, person("丙一", number(sequence=6)), village=OTHER_TOWNS_VILLAGE)


async def _listed(client: httpx.AsyncClient, **params: Any) -> list[str]:
    """The ids of those whom a list shows."""
    return sorted([item["id"] for item in await everybody(client, **params)])


async def _ids(client: httpx.AsyncClient, *names: str) -> list[str]:
    return sorted([(await found(client, name=name))[0]["id"] for name in names])


@pytest.mark.usefixtures("town")
async def test_every_kind_of_area_lists_its_own(city: httpx.AsyncClient) -> None:
    compounds = (await city.get("/v1/compounds", params={"area": VILLAGE})).json()["items"]
    compound_ids = {item["name"]: item["id"] for item in compounds}
    for area, names in (
        ("51", ()),
        ("510182", ("甲一", "甲二", "甲三", "甲四", "乙一", "丙一")),
        (TOWN, ("甲一", "甲二", "甲三", "甲四", "乙一")),
        (VILLAGE, ("甲一", "甲二", "甲三", "甲四")),
        (NEXT_VILLAGE, ("乙一",)),
        (f"{VILLAGE}001", ("甲一", "甲二")),
        (f"{NEXT_VILLAGE}001", ("乙一",)),
        (f"{VILLAGE}002", ("甲三",)),
        (f"{VILLAGE}003", ()),
        (compound_ids["清泉花园"], ("甲三", "甲四")),
        (compound_ids["金沙小区"], ("甲一", "甲二")),
    ):
        if area == "51":
            refused = await city.get("/v1/residents", params={"area": area})
            assert refusal(refused) == (403, "area.forbidden")
        else:
            assert await _listed(city, area=area) == await _ids(city, *names), area
            assert await _listed(city, area=area, page_size=1) == await _ids(city, *names), area


@pytest.mark.usefixtures("town")
async def test_everyone_sees_their_own_areas_and_nothing_beyond(
    register: App, identity: Identity, city: httpx.AsyncClient
) -> None:
    compounds = (await city.get("/v1/compounds", params={"area": VILLAGE})).json()["items"]
    garden = next(item["id"] for item in compounds if item["name"] == "清泉花园")
    cases: Sequence[tuple[Sequence[str], Sequence[str]]] = (
        ([VILLAGE], ("甲一", "甲二", "甲三", "甲四")),
        ([f"{VILLAGE}001"], ("甲一", "甲二")),
        ([garden], ("甲三", "甲四")),
        ([f"{VILLAGE}002", NEXT_VILLAGE], ("甲三", "乙一")),
        ([f"{VILLAGE}002", garden, VILLAGE], ("甲一", "甲二", "甲三", "甲四")),
        (["510105"], ()),
        ([], ()),
    )
    for areas, names in cases:
        client = register.client(identity.token(Role.GRID_WORKER, areas=areas))
        assert await _listed(client) == await _ids(city, *names), areas
        assert sorted(i["id"] for i in await found(client, phone="13800000000")) == []
        visible = {i["id"] for s in "甲乙丙" for i in await found(client, name=s)}
        assert sorted(visible) == await _ids(city, *names), areas
        for who in await _ids(city, "甲一", "甲二", "甲三", "甲四", "乙一", "丙一"):
            status = (await client.get(f"/v1/residents/{who}")).status_code
            assert status == (200 if who in await _ids(city, *names) else 404)
    grid = register.client(identity.token(Role.GRID_WORKER, areas=[f"{VILLAGE}001"]))
    for outside in (VILLAGE, f"{VILLAGE}002", f"{NEXT_VILLAGE}001", garden, "510182", TOWN):
        for path in ("residents", "dwellings", "compounds"):
            answer = await grid.get(f"/v1/{path}", params={"area": outside})
            assert refusal(answer) == (403, "area.forbidden"), outside
        answer = await grid.post("/v1/residents/search", json={"name": "甲", "area": outside})
        assert refusal(answer) == (403, "area.forbidden"), outside


async def test_somebody_with_two_dwellings_stands_there_once(city: httpx.AsyncClient) -> None:
    await succeeded(city, person("张三", number()), person("李四", number(sequence=3), room="102"))
    await succeeded(city, person("王五", number(sequence=5)), village=NEXT_VILLAGE)
    (who,) = await found(city, name="张三")
    for village, room in ((VILLAGE, "102"), (NEXT_VILLAGE, "101")):
        await moved_in(city, who["id"], await dwelling_of(city, room=room, area=village))
    for area, count in (("510182", 3), (VILLAGE, 2), (NEXT_VILLAGE, 2)):
        for size in (1, 2, 50):
            items = [item["id"] for item in await everybody(city, area=area, page_size=size)]
            assert len(items) == len(set(items)) == count
            assert who["id"] in items
    assert len(await found(city, name="张三")) == 1


async def test_nobody_is_skipped_or_repeated_while_people_move_in(
    city: httpx.AsyncClient, register: App
) -> None:
    rows = [person(f"张{n}", number(sequence=n), room=str(100 + n)) for n in range(1, 13)]
    for village, own in ((NEXT_VILLAGE, rows[:6]), (VILLAGE, rows[6:])):
        await succeeded(city, *own, village=village)
    worker = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    waiting = [await registered(worker, f"李{n}") for n in range(4)]
    everyone = {item["id"] for item in await everybody(city)}
    assert len(everyone) == 16
    first = await dwelling_of(city, room="101", area=NEXT_VILLAGE)
    last = await dwelling_of(city, room="107", area=VILLAGE)
    seen: list[str] = []
    moved: set[str] = set()
    token: str | None = None
    page: dict[str, Any] = {}
    while token is not None or not page:
        params: dict[str, Any] = {"page_size": 3} | ({"page_token": token} if token else {})
        page = (await city.get("/v1/residents", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        token = page["next_page_token"]
        # Somebody already shown, somebody still to come, and somebody who lived nowhere yet.
        ahead = sorted(everyone - set(seen) - moved - {who["id"] for who in waiting})
        if waiting:
            await moved_in(worker, waiting.pop()["id"], last)
        if ahead:
            moved.add(ahead[-1])
            await moved_in(city, ahead[-1], first)
        if len(seen) == 3:
            await moved_in(city, seen[0], last)
        newcomer = await registered(city, "新人")
        everyone_now = {item["id"] for item in await everybody(city)}
        assert newcomer["id"] in everyone_now
    assert len(seen) == len(set(seen))
    assert everyone <= set(seen)


async def test_who_lives_nowhere_is_seen_by_whoever_keeps_the_record(
    register: App, identity: Identity
) -> None:
    grid = f"{VILLAGE}003"
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    village = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    grid_worker = register.as_role(Role.GRID_WORKER, grid)
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    next_grid = register.as_role(Role.GRID_WORKER, f"{VILLAGE}004")
    of_town, of_village, of_grid = [
        (await registered(client, name))["id"]
        for client, name in ((town, "镇上人"), (village, "村里人"), (grid_worker, "格里人"))
    ]
    for client, ids in (
        (town, {of_town, of_village, of_grid}),
        (village, {of_village, of_grid}),
        (grid_worker, {of_grid}),
        (stranger, set[str]()),
        (next_grid, set[str]()),
    ):
        assert {item["id"] for item in await everybody(client, page_size=1)} == ids
        assert {item["id"] for item in await found(client, pinyin="zhen")} == ids & {of_town}
        for who in (of_town, of_village, of_grid):
            answer = await client.get(f"/v1/residents/{who}")
            assert answer.status_code == (200 if who in ids else 404)
            answer = await client.get(f"/v1/residents/{who}/occupancies")
            assert answer.status_code == (200 if who in ids else 404)


async def test_who_moves_out_goes_back_to_whoever_keeps_the_record(
    register: App, city: httpx.AsyncClient, clock: FixedClock
) -> None:
    await succeeded(city, person("王五", number(sequence=5)), village=NEXT_VILLAGE)
    village = register.as_role(Role.COMMUNITY_WORKER, VILLAGE)
    stranger = register.as_role(Role.COMMUNITY_WORKER, NEXT_VILLAGE)
    who = (await registered(village, "张三"))["id"]
    occupancy = await moved_in(city, who, await dwelling_of(city, area=NEXT_VILLAGE))

    async def seen_by(client: httpx.AsyncClient) -> bool:
        shown = (await client.get(f"/v1/residents/{who}")).status_code == 200
        listed = who in {item["id"] for item in await everybody(client)}
        searched = [item["id"] for item in await found(client, name="张三")] == [who]
        assert shown is listed is searched
        return shown

    assert (await seen_by(village), await seen_by(stranger)) == (False, True)
    # They still live there until the day comes, and from that day on no more.
    await moved_out(stranger, occupancy["id"], on=TODAY + timedelta(days=1))
    assert (await seen_by(village), await seen_by(stranger)) == (False, True)
    clock.advance(timedelta(hours=12))
    village, stranger, city = [
        register.as_role(role, area)
        for role, area in (
            (Role.COMMUNITY_WORKER, VILLAGE),
            (Role.COMMUNITY_WORKER, NEXT_VILLAGE),
            (Role.CITY_OFFICER, "510182"),
        )
    ]
    assert (await seen_by(village), await seen_by(stranger)) == (True, False)
    assert await seen_by(city)
    past = (await village.get(f"/v1/residents/{who}/occupancies")).json()["items"]
    assert [(item["id"], item["state"]) for item in past] == [(occupancy["id"], "ended")]


async def test_pages_of_nonsense(city: httpx.AsyncClient) -> None:
    def token(*keys: Any) -> str:
        return token_for("/v1/residents?", *keys)

    for given in (
        "x",
        "é",
        "====",
        token(),
        token("510182104006"),
        token("510182104006", "no id"),
        token(1, 2, 3),
        token(None, None),
        token("510182104006", "0" * 32, "more"),
        "AA" * 500,
    ):
        answer = await city.get("/v1/residents", params={"page_token": given})
        assert fault(answer)[0] == "/query/page_token", given
    nul = await city.get("/v1/residents", params={"page_token": token("\0", "0" * 32)})
    assert refusal(nul) == (422, "request.invalid")
    for size in ("0", "-1", "x", "1e3", "99999999999999999999", ""):
        answer = await city.get("/v1/residents", params={"page_size": size})
        assert fault(answer)[0] == "/query/page_size", size
    for area in ("", "5", "x", "５１０１８２", "510182\x00", "0198c1a4", "5" * 37, "null"):
        answer = await city.get("/v1/residents", params={"area": area})
        assert fault(answer)[0] == "/query/area", area
    large = await city.get("/v1/residents", params={"page_size": 2**31 - 1})
    assert large.json() == {"items": [], "next_page_token": None}
    unknown = await city.get(
        "/v1/residents", params={"area": "0198c1a4-0000-7000-8000-000000000000"}
    )
    assert refusal(unknown) == (403, "area.forbidden")


async def test_an_over_large_page_is_lowered(city: httpx.AsyncClient) -> None:
    rows = [person(f"张{n}", number(sequence=n), room=str(n)) for n in range(1, 206)]
    await succeeded(city, *rows)
    page = (await city.get("/v1/residents", params={"page_size": 5000})).json()
    assert len(page["items"]) == 200
    assert len((await city.get("/v1/residents")).json()["items"]) == 50
    assert len(await everybody(city)) == 205


async def test_a_list_is_as_many_queries_however_long(city: httpx.AsyncClient) -> None:
    numbers = {}
    for rows in (1, 60):
        people = [
            person(f"张{n}", number(sequence=n), room=str(n), phones="13800000000、13900000000")
            for n in range(1, rows + 1)
        ]
        await succeeded(city, *people)
        await registered(city, f"住处不明{rows}")
        with QueryLog() as queries:
            items = (await city.get("/v1/residents", params={"page_size": 100})).json()["items"]
        assert len(items) >= rows
        numbers[rows] = len(queries)
    # Who lives there and who is kept there; their numbers; their phones.
    assert numbers == {1: 4, 60: 4}
    compound = await home(city, room="1")
    with QueryLog() as queries:
        await city.get("/v1/residents", params={"area": compound["compound_id"]})
    assert len(queries) == 5
