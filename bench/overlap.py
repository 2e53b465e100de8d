"""Ten audiences with one another, and one broken down, as ratios to PostgreSQL.

The matrix of ten audiences counts 55 intersections; the breakdown counts 202 communities and in each
of them 20 tags. Both are to take a twentieth of PostgreSQL's time or less, which for the matrix is
ten counts of the diagonal only: the ratio is the worse of the two.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import date
from statistics import median

import sqlalchemy as sa

from bench import _city
from bench._city import City
from services.common import outbox
from services.common.areas import VILLAGE_LENGTH, Area, AreaKind
from services.common.clock import SystemClock
from services.common.database import ReadSession
from services.tagging_api.domain.bitmaps import View
from services.tagging_api.domain.figures import by_area, overlap
from services.tagging_api.domain.rules import AllOf, Compare, FieldName, HasTag, Operator, Rule
from services.tagging_api.repository import audiences
from services.tagging_api.service.index import FollowingIndex

TARGET = 1 / 20
_AREAS = (Area.parse(_city.CITY),)
_TAGS = [_city.tag(n) for n in range(1, 21)]
_BROKEN_DOWN = sa.text("""
SELECT p.division_code, a.tag_code, count(DISTINCT p.resident_id)
FROM resident r
JOIN resident_place p ON p.resident_id = r.id
LEFT JOIN tag_assignment a ON a.resident_id = r.id AND a.tag_code = ANY (:tags)
WHERE r.sex = 'female'
GROUP BY GROUPING SETS ((p.division_code), (p.division_code, a.tag_code))
""").bindparams(sa.bindparam("tags", type_=sa.ARRAY(sa.Text)))


@dataclass(frozen=True, slots=True)
class Result:
    ratio: float
    target: float = TARGET


def run() -> Result:
    with _city.city() as made:
        return asyncio.run(measured(made))


def _rules() -> list[Rule]:
    """Ten audiences of every kind: a tag, an age, both, and the question of the other benchmark."""
    women = Compare(FieldName.SEX, Operator.EQ, ("female",))
    ages = [Compare(FieldName.AGE, Operator.BETWEEN, (low, low + 20)) for low in (0, 20, 40, 60)]
    tags = [HasTag(_city.tag(n)) for n in (1, 20, 60)]
    return [women, *ages, *tags, AllOf((women, ages[1], tags[0])), _city.question()]


async def measured(made: City) -> Result:
    async with _city.sessions(made.url) as sessions:
        await outbox.open_feed(sessions)
        follower = FollowingIndex(sessions, service=_city.SERVICE, clock=SystemClock())
        await follower.refresh()
        index = follower.bitmaps
        assert index is not None
        view = View(index, areas=_AREAS, on=index.day)
        rules, women = _rules(), view.found(_rules()[0])

        def matrix() -> None:
            seen = View(index, areas=_AREAS, on=index.day)
            assert len(overlap([seen.found(rule) for rule in rules])) == len(rules)

        def broken_down() -> None:
            seen = View(index, areas=_AREAS, on=index.day)
            found = by_area(seen, women, AreaKind.DIVISION, length=VILLAGE_LENGTH, tags=_TAGS)
            assert len(found) == _city.COMMUNITIES

        ours = median(_city.spent(matrix, 100)), median(_city.spent(broken_down, 100))
        async with sessions.read() as session:
            theirs = [await _diagonal(session, rules, index.day), await _villages(session)]
    print(f"{made.residents:,} residents; {_city.load()}")
    for name, mine, other in zip(("matrix", "breakdown"), ours, theirs, strict=True):
        print(f"{name}: bitmaps {mine:.2f} ms, PostgreSQL {other:.0f} ms")
    return Result(max(mine / other for mine, other in zip(ours, theirs, strict=True)))


async def _diagonal(session: ReadSession, rules: list[Rule], on: date) -> float:
    started = time.perf_counter()
    for rule in rules:
        await audiences.count(session, rule, areas=_AREAS, on=on)
    return (time.perf_counter() - started) * 1000


async def _villages(session: ReadSession) -> float:
    started = time.perf_counter()
    await session.execute(_BROKEN_DOWN, {"tags": _TAGS})
    return (time.perf_counter() - started) * 1000
