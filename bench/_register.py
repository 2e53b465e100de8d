"""A register of any size, made in the server: rows as imports leave them, of people who do not exist.

A few hundred of them can be looked for: their numbers and phones are sealed and indexed with the
town's own keys. Those of all others are random bytes of the same length.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from services.cli import loading, premises
from services.cli.synth.numbers import OTHER_BLOCK, IdentityNumbers, phone
from services.residents_api.domain.sealing import NUMBER, PHONE, Sealer
from services.residents_api.service.sealing import sealer

PEOPLE_PER_VILLAGE = 4_350
COUNTY_PEOPLE = 870_000
FIRST_COUNTY = 510182
_VILLAGES_OF_COUNTY = COUNTY_PEOPLE // PEOPLE_PER_VILLAGE
_TOWNS_OF_COUNTY = 15
_AT_A_TIME = 3
_LOOKED_FOR = 400

_SURNAMES = (
    "王wang 李li 张zhang 刘liu 陈chen 杨yang 赵zhao 黄huang 周zhou 吴wu 徐xu 孙sun 胡hu 朱zhu"
)
_GIVEN = "伟wei 芳fang 娜na 敏min 静jing 丽li 强qiang 磊lei 军jun 洋yang 勇yong 艳yan 杰jie 涛tao"
_TABLES = ("resident", "identity_document", "phone", "dwelling", "occupancy")

# One village: its dwellings, people, numbers, phones and occupancies.
_FILL = """
WITH home AS (
    INSERT INTO dwelling (id, division_code, building, unit, room)
    SELECT uuidv7(), $1, (i / 96 + 1)::text, (i / 24 % 4 + 1)::text, (i % 24 + 1)::text
      FROM generate_series(0, $2::int / 3) i RETURNING id
), numbered AS (
    SELECT id, row_number() OVER () - 1 AS n FROM home
), drawn AS MATERIALIZED (
    SELECT i, uuidv7() AS id, 1 + floor(random() * cardinality($3::text[]))::int AS s,
           1 + floor(random() * cardinality($4::text[]))::int AS g,
           1 + floor(random() * cardinality($4::text[]))::int AS h
      FROM generate_series(0, $2::int - 1) i
), person AS MATERIALIZED (
    SELECT i, id, left(($3::text[])[s], 1) || left(($4::text[])[g], 1) || left(($4::text[])[h], 1)
               AS name,
           substr(($3::text[])[s], 2) AS a, substr(($4::text[])[g], 2) AS b,
           substr(($4::text[])[h], 2) AS c
      FROM drawn
), written AS (
    INSERT INTO resident (id, area_code, name, name_pinyin, name_initials, sex, birth_date,
        population_type, ethnicity, education, marital_status, political_status)
    SELECT id, $1, name, a || b || c, left(a, 1) || left(b, 1) || left(c, 1),
           CASE i % 2 WHEN 0 THEN 'female' ELSE 'male' END,
           date '1940-01-01' + (random() * 30000)::int, 'registered', 'han', 'junior_secondary',
           'married', 'masses'
      FROM person
), proved AS (
    INSERT INTO identity_document (blind_index, resident_id, number)
    SELECT substring(sha256(uuid_send(id)) FOR 16), id, decode(repeat('01', 47), 'hex') FROM person
), called AS (
    INSERT INTO phone (resident_id, blind_index, ordinal, number)
    SELECT id, substring(sha256(uuid_send(id)) FROM 17), 1, decode(repeat('01', 40), 'hex')
      FROM person
)
INSERT INTO occupancy (resident_id, id, dwelling_id, division_code, tenure, start_date)
SELECT p.id, uuidv7(), d.id, $1, 'owner', date '2015-06-01' FROM person p
  JOIN numbered d ON d.n = p.i / 3
"""


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who can be looked for."""

    resident_id: UUID
    village: str
    pinyin: str
    id_number: str
    phone: str


class Register:
    """The register of the town in a data directory, growing."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._villages = 0

    def grow(self, people: int) -> list[Known]:
        """Fill it up to so many people; at first, some who can be looked for."""
        return asyncio.run(self._grow(people))

    async def _grow(self, people: int) -> list[Known]:
        async with premises.opened(self._data_dir, None) as town:
            seals = sealer(loading.register_settings(town.deployment()))
            async with asyncpg.create_pool(
                town.admin_url, min_size=_AT_A_TIME, max_size=_AT_A_TIME,
                server_settings={"search_path": "residents_api"},
            ) as pool:  # fmt: skip
                first = self._villages == 0
                await self._fill(pool, people // PEOPLE_PER_VILLAGE)
                known = await _made_known(pool, seals) if first else []
                await pool.execute(f"VACUUM ANALYZE {', '.join(_TABLES)}")
        return known

    async def _fill(self, pool: "asyncpg.Pool[asyncpg.Record]", villages: int) -> None:
        waiting = iter([_code(n) for n in range(self._villages, villages)])

        async def work() -> None:
            async with pool.acquire() as connection:
                # What was never registered has no history.
                await connection.execute("SET session_replication_role = replica")
                for code in waiting:
                    await connection.execute(
                        _FILL, code, PEOPLE_PER_VILLAGE, _SURNAMES.split(), _GIVEN.split()
                    )

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_A_TIME):
                group.create_task(work())
        self._villages = villages


def _code(n: int) -> str:
    county, village = divmod(n, _VILLAGES_OF_COUNTY)
    serial, town = divmod(village, _TOWNS_OF_COUNTY)
    return f"{FIRST_COUNTY + county}{100 + town:03}{serial + 1:03}"


async def _made_known(pool: "asyncpg.Pool[asyncpg.Record]", seals: Sealer) -> list[Known]:
    """Give some people numbers and phones that are sealed as the register seals them."""
    rows = await pool.fetch(
        "SELECT id, area_code, name_pinyin FROM resident ORDER BY name, id LIMIT $1", _LOOKED_FOR
    )
    numbers = IdentityNumbers(OTHER_BLOCK)
    draw = random.Random(1).random  # noqa: S311 - nothing here is secret
    today = datetime.now(UTC).date().toordinal()
    known: list[Known] = []
    for row in rows:
        somebody = Known(
            row["id"],
            row["area_code"],
            row["name_pinyin"],
            numbers.next(today - 12_000 - len(known), male=False),
            phone(draw),
        )
        known.append(somebody)
        for table, column, value in (
            ("identity_document", NUMBER, somebody.id_number),
            ("phone", PHONE, somebody.phone),
        ):
            index = seals.blind_index(column, value)
            await pool.execute(
                f"UPDATE {table} SET blind_index = $2, number = $3 WHERE resident_id = $1",  # noqa: S608 - our own names
                somebody.resident_id,
                index,
                seals.seal(column, value, blind_index=index),
            )
    return known
