"""People, their tags and the rules of tags, in memory and in the database, changed in step."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st
from pydantic import ValidationError

from services.common import clock as common_clock
from services.common import outbox
from services.common.areas import Area
from services.common.database import Sessions, WriteSession
from services.common.outbox import OUTBOX
from services.tagging_api.domain import evaluation
from services.tagging_api.domain.evaluation import Assignment, Person
from services.tagging_api.domain.rules import (
    AllOf,
    AnyOf,
    Compare,
    Days,
    FieldName,
    HasTag,
    InArea,
    Not,
    Operator,
    RelativeDay,
    Rule,
    Value,
)
from services.tagging_api.models import (
    Resident,
    ResidentPlace,
    Tag,
    TagAssignment,
    TagKeeper,
    TagMembershipEvent,
)
from services.tagging_api.repository import assignments, index
from services.tagging_api.repository.assignments import Terms
from services.tagging_api.schemas import rules as schema
from services.tagging_api.schemas.tags import AssignmentSource
from services.tagging_api.service import events
from services.tagging_api.service.tag_keeping import Keeper
from services.tagging_api.service.tags import meaning
from tests.conftest import FixedClock
from tests.tagging_api import rule_strategies
from tests.tagging_api.rule_strategies import CODED, SOURCES, TAGS, Population, resident_id, settle

EVERYWHERE = (Area.parse("51"),)
# In this order: each may ask for those before it.
DEFINED = ("made_0", "made_1", "made_2")


def document(rule: Rule) -> dict[str, Any]:
    """A rule as it is sent."""
    match rule:
        case AllOf(rules):
            return {"all": [document(each) for each in rules]}
        case AnyOf(rules):
            return {"any": [document(each) for each in rules]}
        case Not(inner):
            return {"not": document(inner)}
        case InArea(area):
            return {"area": area.code}
        case HasTag(code, source, days):
            asked = {"tag": code} | ({"source": source} if source else {})
            if days is None:
                return dict(asked)
            return asked | {"assigned_days": {"op": days.op, "value": _value(days.op, days.values)}}
        case Compare(name, op, values):
            return {"field": name, "op": op, "value": _value(op, values)}
        case _:
            raise AssertionError("no tag has such a rule")


def _value(op: Operator, values: Sequence[Value]) -> Any:
    def plain(value: Value) -> Any:
        match value:
            case RelativeDay(days):
                return {"days_from_today": days}
            case date():
                return value.isoformat()
            case _:
                return value

    found = [plain(value) for value in values]
    return found if op in {Operator.BETWEEN, Operator.IN} else found[0]


def _is_sendable(rule: Rule) -> bool:
    try:
        schema.Rule.model_validate(document(rule))
    except ValidationError:
        return False  # a range upside down
    return True


def _days(op: Operator) -> st.SearchStrategy[Days]:
    return st.integers(0, 40).map(lambda number: Days(op, (number,)))


_DAYS = st.sampled_from(
    (Operator.EQ, Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)
).flatmap(_days)


def rules_for(town: Population, below: Sequence[str]) -> st.SearchStrategy[Rule]:
    """Rules that a tag may have, which may ask for the tags `below`."""
    # Ages, households and leases more often than codes: they change by themselves.
    fields = [FieldName.AGE, FieldName.LEASE_END_DATE, FieldName.LIVES_ALONE, *FieldName]
    compared = st.sampled_from(fields).flatmap(lambda name: rule_strategies.comparisons(name, town))
    leaves = st.one_of(
        compared.filter(_is_sendable),
        compared.filter(_is_sendable),
        st.sampled_from(TAGS).map(HasTag),
        st.builds(
            HasTag,
            st.sampled_from(TAGS),
            st.none() | st.sampled_from(SOURCES),
            st.none() | _DAYS,
        ),
        st.sampled_from((*TAGS, *below)).map(HasTag),
        st.sampled_from(rule_strategies.AREAS).map(InArea),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, min_size=1, max_size=3).map(lambda found: AllOf(tuple(found))),
            st.lists(inner, min_size=1, max_size=3).map(lambda found: AnyOf(tuple(found))),
        ),
        max_leaves=6,
    )


class World:
    """`people` is what the database is made to say; `expected` what rules then find, by plain means."""

    def __init__(self, sessions: Sessions, clock: FixedClock, town: Population, seed: int) -> None:
        self.sessions = sessions
        self.clock = clock
        self.people: dict[int, Person] = {person.number: person for person in town.people}
        self.spare = rule_strategies.population(1000 + seed, size=len(town.people)).people
        self.draw = random.Random(seed)  # noqa: S311 - a town, not a secret
        self.publisher = outbox.Publisher(sessions, service="tagging_api", clock=clock)
        self.rules: dict[str, Rule] = {}

    @property
    def today(self) -> date:
        return common_clock.today(self.clock)

    async def begin(self, town: Population) -> None:
        """Empty the tables of an example before, and write everybody."""
        await outbox.open_feed(self.sessions)
        await self.publisher.publish()
        async with self.sessions.write() as session:
            for table in (Resident, ResidentPlace, TagAssignment, TagMembershipEvent):
                await session.execute(sa.delete(table))
            await session.execute(sa.delete(OUTBOX))
            await session.execute(sa.delete(Tag).where(Tag.code.in_(DEFINED)))
            position = await _head(session)
            await session.execute(sa.update(TagKeeper).values(day=None, position=position))
            await self.evaluate_anew(session)
            await settle(session, dataclasses.replace(town, frozen={}))
            seeded = await session.scalars(sa.select(Tag).where(Tag.rule.is_not(None)))
            self.rules = {tag.code: rule for tag in seeded if (rule := meaning(tag)) is not None}

    async def evaluate_anew(self, session: WriteSession) -> None:
        await session.execute(
            sa.update(Tag)
            .where(Tag.rule.is_not(None))
            .values(rule_state="computing", rule_day=None, rule_after=None, rule_total=None)
        )

    async def define(self, code: str, rule: Rule) -> None:
        """Give a tag a rule, or another rule, as the service does."""
        values = {
            "rule": document(rule),
            "rule_state": "computing",
            "rule_day": self.today,
            "rule_after": None,
            "rule_done": 0,
            "rule_total": None,
        }
        async with self.sessions.write() as session:
            if code in self.rules:
                await session.execute(sa.update(Tag).where(Tag.code == code).values(**values))
            else:
                names = {"name_zh": code, "sensitivity": "internal"}
                await session.execute(sa.insert(Tag).values(code=code, **names, **values))
        self.rules[code] = rule

    async def somebody_changes(self) -> None:
        """Moves, is born on another day, or is corrected; who lives with them is told of, too."""
        number = self.draw.choice(sorted(self.people))
        other = self.draw.choice(self.spare)
        change = self.draw.choice(("residences", "birth_date", "codes", "residences"))
        values: dict[str, Any] = {change: getattr(other, change)}
        if self.draw.random() < 0.15:
            values = {"residences": ()}
        person = self.people[number] = dataclasses.replace(self.people[number], **values)
        one = resident_id(number)
        async with self.sessions.write() as session:
            left = await index.households(session, [one])
            await session.execute(sa.delete(ResidentPlace).where(ResidentPlace.resident_id == one))
            places = [
                {
                    "resident_id": one,
                    "n": n,
                    "division_code": each.place.division_code,
                    "grid_code": each.place.grid_code,
                    "compound_id": each.place.compound_id,
                    "tenure": each.tenure,
                    "start_date": each.start,
                    "end_date": each.end,
                    "dwelling_id": each.dwelling_id,
                    "lease_end_date": each.lease_end,
                }
                for n, each in enumerate(person.residences)
            ]
            if places:
                await session.execute(sa.insert(ResidentPlace), places)
            codes = {name.value: person.codes[name] for name in CODED}
            await session.execute(
                sa.update(Resident)
                .where(Resident.id == one)
                .values(birth_date=person.birth_date, **codes)
            )
            joined = await index.households(session, [one])
            await outbox.emit(session, *events.resident_changed({one, *left, *joined}))
        await self.publisher.publish()

    async def somebody_gets_a_tag(self) -> None:
        number, tag = self.draw.choice(sorted(self.people)), self.draw.choice(TAGS)
        source = self.draw.choice((AssignmentSource.WORKER, AssignmentSource.LEDGER))
        start, end = (
            self.draw.choice((None, self.today + timedelta(days=self.draw.randint(1, 5))))
            for _ in range(2)
        )
        terms = Terms(start, end if start is None or end is None or end > start else None)
        async with self.sessions.write() as session:
            made = await assignments.assign(
                session,
                [(tag, resident_id(number))],
                source=source,
                assigned_by=None,
                at=self.clock.now(),
                terms=terms,
            )
            await events.tell(session, made, on=self.today)
        await self.publisher.publish()
        person = self.people[number]
        given = {each.source: each for each in person.tags.get(tag, ())}
        before = given.get(source)
        over = before is not None and before.valid_until and before.valid_until <= self.today
        day = self.today if before is None or over else before.day
        given[source] = Assignment(source, day, terms.valid_from, terms.valid_until)
        self._tagged(person, {tag: tuple(given.values())})

    async def somebody_loses_a_tag(self) -> None:
        bearers = [n for n, person in self.people.items() if any(person.tags.values())]
        if not bearers:
            return
        number = self.draw.choice(sorted(bearers))
        person = self.people[number]
        tag = self.draw.choice(sorted(tag for tag, given in person.tags.items() if given))
        async with self.sessions.write() as session:
            ended = await assignments.remove(session, tag, [resident_id(number)])
            await events.tell(session, ended, on=self.today)
        await self.publisher.publish()
        kept = tuple(each for each in person.tags[tag] if each.source == AssignmentSource.RULE)
        self._tagged(person, {tag: kept})

    def _tagged(self, person: Person, given: Mapping[str, tuple[Assignment, ...]]) -> None:
        self.people[person.number] = dataclasses.replace(person, tags={**person.tags, **given})

    def days_pass(self) -> None:
        """A night mostly; now and then the service was away for days, or for longer than a month."""
        many = self.draw.choice((1, 1, 1, 2, 5, 30, 100))
        self.clock.advance(timedelta(days=many, hours=self.draw.choice((0, 5, 11))))

    def keeper(self, *, batch: int = 50) -> Keeper:
        return Keeper(self.sessions, clock=self.clock, publisher=self.publisher, batch=batch)

    def expected(self) -> dict[str, frozenset[int]]:
        """Whom each rule finds today."""
        people = list(self.people.values())
        found: dict[str, frozenset[int]] = {}
        order = sorted(self.rules, key=lambda code: (code in DEFINED, code))
        for code in order:
            on = self.today
            found[code] = evaluation.members(self.rules[code], people, areas=EVERYWHERE, on=on)
            by_rule = (Assignment("rule", on),)
            people = [
                dataclasses.replace(each, tags={**each.tags, code: by_rule})
                if each.number in found[code]
                else each
                for each in people
            ]
        return found

    async def borne(self) -> dict[str, frozenset[int]]:
        """Who bears each of the tags by its rule, as it is stored."""
        async with self.sessions.read() as session:
            rows = await session.execute(
                sa.select(TagAssignment.tag_code, Resident.number)
                .join(Resident, Resident.id == TagAssignment.resident_id)
                .where(TagAssignment.source == "rule", TagAssignment.tag_code.in_(list(self.rules)))
            )
            found: dict[str, set[int]] = {code: set() for code in self.rules}
            for row in rows:
                found[row.tag_code].add(row.number)
        return {code: frozenset(numbers) for code, numbers in found.items()}

    async def log(self) -> list[tuple[str, UUID, int, str, date, UUID]]:
        event = TagMembershipEvent
        async with self.sessions.read() as session:
            rows = await session.execute(
                sa.select(
                    event.tag_code, event.resident_id, event.n, event.kind, event.day, event.id
                ).order_by(event.tag_code, event.resident_id, event.n)
            )
            return [tuple(row) for row in rows]  # pyright: ignore[reportReturnType] - as selected

    async def event_ids(self) -> set[UUID]:
        """The ids of what neighbours were told of tags with rules."""
        async with self.sessions.read() as session:
            return set(
                await session.scalars(
                    sa.select(OUTBOX.c.event_id).where(
                        OUTBOX.c.type == events.ASSIGNMENT_CHANGED,
                        OUTBOX.c.data["tag"].astext.in_(list(self.rules)),
                    )
                )
            )

    async def told(self) -> dict[tuple[str, str], bool]:
        """What was last said of each tag and resident."""
        async with self.sessions.read() as session:
            rows = await session.scalars(
                sa.select(OUTBOX.c.data)
                .where(OUTBOX.c.type == events.ASSIGNMENT_CHANGED)
                .order_by(OUTBOX.c.position)
            )
            return {
                (said["tag"], each): said["assigned"]
                for said in rows
                for each in said["resident_ids"]
            }


async def _head(session: WriteSession) -> int:
    return (await outbox.head(session))[0].position
