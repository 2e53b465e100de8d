"""Statistics: as a plain count over the rows would have them, whatever was written."""

import asyncio
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.cli.synth.housing import Village
from services.cli.synth.ledger import write_csv
from services.cli.synth.population import people
from services.common.access import Role
from services.common.database import Sessions
from services.residents_api.repository import statistics
from services.residents_api.service.statistics import count_some
from tests.conftest import FixedClock
from tests.houses import App
from tests.queries import QueryLog
from tests.residents_api.homes import asked_to_move_in, moved_out
from tests.residents_api.ledgers import imported, person, succeeded
from tests.residents_api.people import (
    NEXT_VILLAGE,
    OTHER_TOWN,
    TOWN,
    VILLAGE,
    changed,
    fault,
    number,
    refusal,
    registered,
)

TODAY = date(2026, 11, 23)
CITY = "510182"


@pytest.fixture
def town(register: App) -> httpx.AsyncClient:
    return register.as_role(Role.TOWN_OFFICER, TOWN)


async def settled(sessions: Sessions, clock: FixedClock) -> None:
    """Until everything that was committed is counted."""
    while True:
        await count_some(sessions, clock)
        async with sessions.read() as session:
            if not await statistics.anything_to_count(session, today=TODAY):
                return
        await asyncio.sleep(0.02)


async def population(client: httpx.AsyncClient, area: str) -> dict[str, Any]:
    answer = await client.get("/v1/statistics/population", params={"area": area})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def trend(client: httpx.AsyncClient, area: str, **asked: int) -> list[dict[str, Any]]:
    answer = await client.get("/v1/statistics/trend", params={"area": area, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["months"]


async def rows_of(sessions: Sessions, table: str) -> list[dict[str, Any]]:
    async with sessions.read() as session:
        found = await session.execute(sa.text(f"SELECT * FROM {table}"))  # noqa: S608
        return [dict(row) for row in found.mappings()]


class Plain:
    """The rows themselves, and counts as one would by hand."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        self.residents = {row["id"]: row for row in tables["resident"]}
        self.dwellings = tables["dwelling"]
        self.occupancies = sorted(tables["occupancy"], key=lambda row: row["id"])

    @classmethod
    async def read(cls, sessions: Sessions) -> "Plain":
        return cls(
            {name: await rows_of(sessions, name) for name in ("resident", "dwelling", "occupancy")}
        )

    def homes(self, on: date) -> dict[Any, dict[str, Any]]:
        found: dict[Any, dict[str, Any]] = {}
        for row in self.occupancies:
            began = row["start_date"] is None or row["start_date"] <= on
            stays = row["end_date"] is None or row["end_date"] > on
            if row["state"] == "approved" and began and stays:
                found.setdefault(row["resident_id"], row)
        return found

    def people(self, area: str) -> list[tuple[dict[str, Any], str | None]]:
        homes = self.homes(TODAY)
        found: list[tuple[dict[str, Any], str | None]] = []
        for row in self.residents.values():
            if row["state"] != "active":
                continue
            home = homes.get(row["id"])
            if home is None:
                kept = str(row["keeper_compound_id"]) == area or row["area_code"].startswith(area)
                if kept:
                    found.append((row, None))
            elif _in(home, area):
                found.append((row, home["tenure"]))
        return found


def _in(row: dict[str, Any], area: str) -> bool:
    if len(area) == 36:
        return str(row["compound_id"]) == area
    return row["grid_code"] == area if len(area) == 15 else row["division_code"].startswith(area)


def check(said: dict[str, Any], plain: Plain, area: str) -> None:
    people = plain.people(area)
    assert said["population"] == len(people)
    ages = Counter[tuple[int | None, str]]()
    for row, _ in people:
        born = row["birth_date"]
        age = None
        if born is not None:
            years = TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day))
            age = min(max(years, 0) // 5 * 5, 85)
        ages[age, row["sex"] if row["sex"] in ("male", "female") else "other"] += 1
    shown = {
        (band["age_from"], sex): band[sex]
        for band in said["by_age_and_sex"]
        for sex in ("male", "female", "other")
        if band[sex]
    }
    assert shown == dict(ages)
    assert {one["code"]: one["count"] for one in said["by_tenure"]} == dict(
        Counter(tenure for _, tenure in people)
    )
    for group in ("population_type", "ethnicity", "political_status"):
        counts = Counter(row[group] for row, _ in people)
        items = said[f"by_{group}"]
        for one in items:
            if one["suppressed"]:
                assert one["count"] is None
            else:
                assert one["count"] == counts[one["code"]] >= 5
        assert counts.keys() <= {one["code"] for one in items}
        assert sum(one["suppressed"] for one in items) != 1
    inhabited = {
        row["dwelling_id"]
        for row in plain.occupancies
        if (row["start_date"] is None or row["start_date"] <= TODAY)
        and (row["end_date"] is None or row["end_date"] > TODAY)
        and row["state"] == "approved"
        and plain.residents[row["resident_id"]]["state"] == "active"
    }
    dwellings = [row for row in plain.dwellings if _in(row, area)]
    lived_in = [row for row in dwellings if row["id"] in inhabited]
    vacant = [row for row in dwellings if row["id"] not in inhabited or row["use"] == "vacant"]
    assert said["dwellings"] == len(dwellings)
    assert said["households"] == len(lived_in)
    assert said["vacant_dwellings"] == len(vacant)


def check_trend(said: list[dict[str, Any]], plain: Plain, area: str) -> None:
    for month in said:
        first = date.fromisoformat(month["month"] + "-01")
        following = (first + timedelta(days=32)).replace(day=1)
        last = min(following - timedelta(days=1), TODAY)
        homes = plain.homes(last)
        assert month["residents"] == sum(_in(row, area) for row in homes.values())
        rows = [row for row in plain.occupancies if row["state"] == "approved" and _in(row, area)]
        for name, day in (("moved_in", "start_date"), ("moved_out", "end_date")):
            assert month[name] == sum(
                row[day] is not None and first <= row[day] <= last for row in rows
            )


async def test_equal_a_plain_count_after_random_changes(
    divisions: None,
    town: httpx.AsyncClient,
    register: App,
    sessions: Sessions,
    clock: FixedClock,
    tmp_path: Any,
) -> None:
    for code in (VILLAGE, NEXT_VILLAGE):
        path = tmp_path / f"{code}.csv"
        village = Village(code, "金沙社区居委会")
        write_csv(path, people(count=350, village=village, today=TODAY))
        job = await imported(town, path.read_bytes(), village=code)
        assert job["state"] == "succeeded"
    rng = random.Random(11)  # noqa: S311 - the same every time
    plain = await Plain.read(sessions)
    dwellings = [row["id"] for row in plain.dwellings]
    for n, occupancy in enumerate(rng.sample(plain.occupancies, 24)):
        who = str(occupancy["resident_id"])
        match n % 6:
            case 0:
                began = occupancy["start_date"] or date(2026, 1, 1)
                ended = max(began, TODAY - timedelta(days=rng.randint(0, 200)))
                await moved_out(town, str(occupancy["id"]), on=ended)
            case 1:
                where = rng.choice([one for one in dwellings if one != occupancy["dwelling_id"]])
                start = TODAY + timedelta(days=rng.randint(-300, 20))
                answer = await asked_to_move_in(town, who, str(where), start_date=start.isoformat())
                assert answer.status_code in (201, 409), answer.text
            case 2:
                await changed(town, who, ethnicity="03", political_status="cpc_member")
            case 3:
                await registered(
                    town, area_code=VILLAGE if n % 4 else TOWN, birth_date="2000-02-29"
                )
            case 4:
                answer = await town.post(
                    f"/v1/residents/{who}/erase", json={"reason": "本人申请删除"}
                )
                assert answer.status_code == 204, answer.text
            case _:
                async with sessions.write() as session:
                    await session.execute(
                        sa.text("UPDATE dwelling SET use = 'vacant' WHERE id = :id"),
                        {"id": occupancy["dwelling_id"]},
                    )
                    await session.execute(
                        sa.text(
                            "UPDATE resident SET state = 'deceased', sex = NULL WHERE id = :id"
                        ),
                        {"id": occupancy["resident_id"]},
                    )
    await settled(sessions, clock)
    plain = await Plain.read(sessions)
    compounds = {str(row["compound_id"]) for row in plain.dwellings if row["compound_id"]}
    grids = {row["grid_code"] for row in plain.dwellings if row["grid_code"]}
    officer = register.as_role(Role.CITY_OFFICER)
    for area in (CITY, TOWN, OTHER_TOWN, VILLAGE, NEXT_VILLAGE, *sorted(compounds | grids)):
        check(await population(officer, area), plain, area)
        check_trend(await trend(officer, area, months=24), plain, area)


async def test_a_write_shows_by_itself(divisions: None, town: httpx.AsyncClient) -> None:
    await registered(town, area_code=VILLAGE)
    async with asyncio.timeout(10):
        while (await population(town, TOWN))["population"] != 1:
            await asyncio.sleep(0.05)


async def girls(client: httpx.AsyncClient) -> list[int]:
    """Of less than five years, and of five to nine."""
    bands = (await population(client, VILLAGE))["by_age_and_sex"]
    return [band["female"] for band in bands[:2]]


async def test_people_grow_older_over_night(
    divisions: None, town: httpx.AsyncClient, register: App, sessions: Sessions, clock: FixedClock
) -> None:
    await registered(town, area_code=VILLAGE, birth_date="2021-11-24", sex="female")
    await settled(sessions, clock)
    assert await girls(town) == [1, 0]
    # 00:00 in Shanghai.
    clock.at = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    town = register.as_role(Role.TOWN_OFFICER, TOWN)
    async with asyncio.timeout(10):
        while await girls(town) != [0, 1]:
            await asyncio.sleep(0.05)


async def test_a_few_of_a_sensitive_group_are_not_counted_aloud(
    divisions: None, town: httpx.AsyncClient, sessions: Sessions, clock: FixedClock
) -> None:
    def some(many: int, start: int, **values: str) -> list[dict[str, str]]:
        return [
            person("居民", number(sequence=start + 2 * n), room=str(start + n), **values)
            for n in range(many)
        ]

    await succeeded(
        town,
        *some(3, 1, population_type="境外人员"),
        *some(8, 101, population_type="流动人口"),
        *some(20, 201, population_type="户籍人口"),
    )
    await succeeded(
        town,
        *some(20, 301, population_type="境外人员"),
        *some(30, 401, population_type="流动人口"),
        *some(30, 501, population_type="户籍人口"),
        village=NEXT_VILLAGE,
    )
    await settled(sessions, clock)

    async def types(area: str) -> dict[str, int | None]:
        said = await population(town, area)
        return {one["code"]: one["count"] for one in said["by_population_type"]}

    here, there, both = await types(VILLAGE), await types(NEXT_VILLAGE), await types(TOWN)
    assert here == {"household_registered": 20, "floating": None, "overseas": None}
    # Else the town's counts without the next village's would say it.
    assert there["overseas"] is None
    assert there["floating"] is None
    assert both == {"household_registered": 50, "floating": 38, "overseas": 23}


async def test_how_many_statements_there_are(
    divisions: None, register: App, town: httpx.AsyncClient
) -> None:
    officer = register.as_role(Role.CITY_OFFICER)
    with QueryLog() as queries:
        await population(officer, CITY)
    assert len(queries) == 2, queries.statements
    with QueryLog() as queries:
        await trend(officer, CITY)
    assert len(queries) == 1, queries.statements
    # A town may have been succeeded by others: one statement looks.
    with QueryLog() as queries:
        await population(town, TOWN)
    assert len(queries) == 3, queries.statements


async def test_what_is_refused(divisions: None, town: httpx.AsyncClient, register: App) -> None:
    async def ask(client: httpx.AsyncClient, which: str, **query: Any) -> httpx.Response:
        return await client.get(f"/v1/statistics/{which}", params=query)

    for which in ("population", "trend"):
        assert refusal(await ask(town, which, area=OTHER_TOWN)) == (403, "area.forbidden")
        auditor = register.as_role(Role.AUDITOR)
        assert refusal(await ask(auditor, which, area=TOWN)) == (403, "role.forbidden")
        assert fault(await ask(town, which))[0] == "/query/area"
        assert fault(await ask(town, which, area="51018"))[0] == "/query/area"
    for months in ("0", "25", "x", "99999999999999999999"):
        assert fault(await ask(town, "trend", area=TOWN, months=months))[0] == "/query/months"
    assert len(await trend(town, TOWN)) == 12
