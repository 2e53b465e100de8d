"""A city of 870,000 invented people in the tables of labels and targeting, made in the server.

15 towns, 202 communities, 60 tags and 7.7 million assignments. People are numbered as ledgers
bring them, community after community; one in twenty has moved somewhere else since, and one in
thirty has a second place.
"""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from services.cli import database
from services.cli.postgres import EmbeddedPostgres
from services.common import database as service_database
from services.common.areas import Area
from services.common.database import Sessions
from services.common.settings import DatabaseSettings
from services.tagging_api.domain.rules import (
    AllOf,
    AnyOf,
    Compare,
    FieldName,
    HasTag,
    InArea,
    Not,
    Operator,
    Rule,
)

SERVICE = "tagging_api"
CITY = "510182"
RESIDENTS = 870_000
TOWNS = 15
COMMUNITIES = 202
TAGS = 60
_PASSWORD = "bench"  # noqa: S105 - of a server that lives as long as the benchmark

# The tables are empty and nobody else is here: keys and indexes come after the rows.
_BARE = """
CREATE TEMP TABLE large (name text) ON COMMIT DROP;
INSERT INTO large VALUES ('resident'), ('resident_place'), ('tag_assignment');
CREATE TEMP TABLE kept ON COMMIT DROP AS
SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', l.name, c.conname, pg_get_constraintdef(c.oid))
    AS again, format('ALTER TABLE %I DROP CONSTRAINT %I', l.name, c.conname) AS off
FROM large l JOIN pg_constraint c ON c.conrelid = l.name::regclass AND c.contype = 'p'
UNION ALL
SELECT pg_get_indexdef(i.indexrelid), format('DROP INDEX %s', i.indexrelid::regclass)
FROM large l JOIN pg_index i ON i.indrelid = l.name::regclass AND NOT i.indisprimary;
DO $$
DECLARE it record;
BEGIN FOR it IN SELECT off FROM kept LOOP EXECUTE it.off; END LOOP; END $$;
SELECT setseed(0.518);
"""

_COMMUNITY = """
CREATE TEMP TABLE community ON COMMIT DROP AS
SELECT i, '510182' || lpad((100 + i % :towns)::text, 3, '0') || lpad((i / :towns + 1)::text, 3, '0')
    AS code
FROM generate_series(0, :communities - 1) i;
CREATE UNIQUE INDEX ON community (i);
INSERT INTO compound (id, village_code, generation)
SELECT md5(code || 'compound' || c)::uuid, code, 1 FROM community, generate_series(0, 9) c;
"""

_PEOPLE = """
INSERT INTO resident (id, version, generation, sex, birth_date, population_type, ethnicity,
    education, marital_status, political_status)
SELECT uuidv7(), 1, 1,
    CASE WHEN random() < 0.497 THEN 'female' ELSE 'male' END,
    -- Fewer and fewer, and nobody over 100.
    CASE WHEN random() < 0.995 THEN date '2026-11-23'
        - (36524 * (1 - sqrt(random())))::int END,
    (ARRAY['household_registered', 'floating', 'separated'])[1 + floor(3 * random() ^ 2)],
    CASE WHEN random() < 0.97 THEN '01' ELSE lpad((2 + floor(55 * random()))::text, 2, '0') END,
    (ARRAY['primary', 'junior_secondary', 'senior_secondary', 'undergraduate', 'junior_college',
        'postgraduate', NULL])[1 + floor(7 * random())],
    (ARRAY['married', 'never_married', 'widowed', 'divorced', NULL])[1 + floor(5 * random() ^ 2)],
    (ARRAY['masses', 'cpc_member', 'youth_league_member', NULL])[1 + floor(4 * random() ^ 3)]
FROM generate_series(1, :residents);
"""

_PLACES = """
INSERT INTO resident_place (resident_id, n, division_code, grid_code, compound_id, tenure,
    dwelling_id, lease_end_date)
SELECT p.id, p.n, c.code, c.code || lpad((1 + p.home % 5)::text, 3, '0'),
    md5(c.code || 'compound' || p.home % 10)::uuid,
    CASE WHEN p.rents THEN 'tenant' ELSE 'owner' END,
    md5('dwelling' || p.home)::uuid,
    CASE WHEN p.rents THEN date '2026-11-23' + (p.home % 700)::int END
FROM (
    SELECT r.id, n, random() < 0.25 AS rents,
        CASE WHEN n = 0 AND random() < 0.95 THEN r.number - 1
            ELSE floor(random() * :residents)::int END::bigint / 3 AS home
    FROM resident r, generate_series(0, 1) n WHERE n = 0 OR random() + 0 * r.number < 1 / 30.0
) p JOIN community c ON c.i = p.home * 3 * :communities / :residents;
"""

# Tags from common to rare; 8.85 a person. A condition that names no resident would be drawn once a
# tag and not once a pair.
_LABELS = """
INSERT INTO tag (code, name_zh, sensitivity)
SELECT 'bench_' || lpad(t::text, 2, '0'), '标签' || t, 'internal' FROM generate_series(1, :tags) t;
INSERT INTO tag_assignment (resident_id, tag_code, source, created_at)
SELECT r.id, 'bench_' || lpad(t::text, 2, '0'),
    CASE WHEN random() < 0.7 THEN 'ledger' ELSE 'worker' END,
    timestamptz '2026-11-23 12:00+08' - interval '1 day' * floor(700 * random())
FROM resident r, generate_series(1, :tags) t
WHERE random() + 0 * r.number < 8.85 / :tags * (0.25 + 1.5 * (:tags - t) / (:tags - 1.0));
"""

_DRESSED = """
DO $$
DECLARE it record;
BEGIN FOR it IN SELECT again FROM kept LOOP EXECUTE it.again; END LOOP; END $$;
"""

_SETTINGS = {"shared_buffers": "1GB", "maintenance_work_mem": "512MB", "work_mem": "16MB"}


@dataclass(frozen=True, slots=True)
class City:
    """The database's URL for the service."""

    url: str = field(repr=False)
    residents: int


def communities() -> list[str]:
    """Their codes, in the order in which their people are numbered."""
    return [f"{CITY}{100 + i % TOWNS:03}{i // TOWNS + 1:03}" for i in range(COMMUNITIES)]


def tag(n: int) -> str:
    """The code of a tag; 1 is the most common, 60 the rarest."""
    return f"bench_{n:02}"


def question(places: int = 100) -> Rule:
    """(A or B) and not C, women from 25 to 35, in so many communities."""
    return AllOf(
        (
            AnyOf((HasTag(tag(1)), HasTag(tag(2)))),
            Not(HasTag(tag(3))),
            Compare(FieldName.SEX, Operator.EQ, ("female",)),
            Compare(FieldName.AGE, Operator.BETWEEN, (25, 35)),
            AnyOf(tuple(InArea(Area.parse(code)) for code in communities()[:places])),
        )
    )


@asynccontextmanager
async def sessions(url: str) -> AsyncGenerator[Sessions]:
    """As the service opens them."""
    settings = DatabaseSettings(url=SecretStr(url), pool_size=16)
    engine = service_database.engine(settings, application="bench")
    yield service_database.sessions(engine)
    await engine.dispose()


def load() -> str:
    """How busy the machine is: figures of a busy one are no figures."""
    return f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"


def spent(call: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each round, in order of size."""
    found: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        found.append((time.perf_counter() - started) * 1000)
    return sorted(found)


@contextmanager
def city(residents: int = RESIDENTS) -> Generator[City]:
    """A server with the city in it, for as long as the context is open."""
    with tempfile.TemporaryDirectory(prefix="shequ-bench-") as directory:
        server = EmbeddedPostgres.at(
            Path(directory) / "postgres", password=secrets.token_hex(8), settings=_SETTINGS
        )
        server.start()
        try:
            yield made(server, residents)
        finally:
            server.stop()


def made(server: EmbeddedPostgres, residents: int = RESIDENTS) -> City:
    """The city in a database of its own on a server that runs."""
    started = time.perf_counter()
    name = "city"
    asyncio.run(database.create_database(server.url(database="postgres"), name=name))
    admin = server.url(database=name)
    url = database.set_up(admin, dict.fromkeys(database.SERVICES, _PASSWORD))[SERVICE]
    assignments = asyncio.run(_fill(url, residents))
    print(
        f"city: {residents:,} residents, {COMMUNITIES} communities, {TAGS} tags,"
        f" {assignments:,} assignments in {time.perf_counter() - started:.1f} s"
    )
    return City(url, residents)


async def _fill(url: str, residents: int) -> int:
    values = {
        ":residents": residents,
        ":communities": COMMUNITIES,
        ":towns": TOWNS,
        ":tags": TAGS,
    }
    connection = await database.connect(url)
    try:
        async with connection.transaction():
            for statement in (_BARE, _COMMUNITY, _PEOPLE, _PLACES, _LABELS, _DRESSED):
                for name, value in values.items():
                    statement = statement.replace(name, str(value))
                await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
        return await connection.fetchval("SELECT count(*) FROM tag_assignment")
    finally:
        await connection.close()


async def export(made: City, query: str, path: Path) -> None:
    """The rows of a query as CSV, with a header."""
    connection = await database.connect(made.url)
    try:
        await connection.copy_from_query(query, output=path, format="csv", header=True)
    finally:
        await connection.close()
