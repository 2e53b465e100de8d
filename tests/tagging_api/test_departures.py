"""Residents who are merged, erased or forgotten leave a tombstone, and nothing that finds them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from pyroaring import BitMap

from services.common.database import Sessions
from services.common.identifiers import new_id
from services.common.outbox import OUTBOX
from services.common.projection import Fact
from services.tagging_api.models import (
    Audience,
    AudienceMember,
    LedgerLabel,
    Message,
    OptOut,
    Resident,
    ResidentPlace,
    TagAssignment,
)
from services.tagging_api.repository import saved_audiences
from services.tagging_api.service.residents_feed import RESIDENT_CHANGED, ResidentsProjection
from tests.conftest import FixedClock
from tests.tagging_api.neighbours import person, place

JINSHA = "510182104006"
NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)


class Feed:
    """The projection alone, told by hand."""

    def __init__(self, sessions: Sessions, clock: FixedClock) -> None:
        self.sessions = sessions
        self.projection = ResidentsProjection(clock)

    async def said(self, *states: dict[str, Any], generation: int = 1) -> None:
        async with self.sessions.write() as session:
            fact = Fact(RESIDENT_CHANGED, {"residents": list(states)}, "event")
            await self.projection.apply(session, [fact], generation)

    async def resident(self, resident_id: str) -> Resident:
        async with self.sessions.read() as session:
            found = await session.get(Resident, UUID(resident_id))
            assert found is not None
            return found

    async def rows(self, column: Any, owner: Any, resident_id: str) -> list[Any]:
        async with self.sessions.read() as session:
            rows = await session.scalars(sa.select(column).where(owner == UUID(resident_id)))
            return sorted(rows)

    async def bears(self, resident_id: str) -> list[str]:
        return await self.rows(TagAssignment.tag_code, TagAssignment.resident_id, resident_id)

    async def told(self) -> list[tuple[str, Any]]:
        async with self.sessions.read() as session:
            rows = await session.execute(
                sa.select(OUTBOX.c.type, OUTBOX.c.data).order_by(OUTBOX.c.id)
            )
            return [(row.type.rpartition(".")[0].rpartition(".")[2], row.data) for row in rows]

    async def add(self, *rows: Any) -> None:
        async with self.sessions.write() as session:
            session.add_all(rows)


@pytest.fixture
def feed(alone: Sessions, clock: FixedClock) -> Feed:
    return Feed(alone, clock)


def merged(state: dict[str, Any], into: dict[str, Any], *, version: int = 2) -> dict[str, Any]:
    gone: dict[str, Any] = {
        "state": "merged",
        "merged_into": into["id"],
        "places": [],
        "labels": [],
    }
    return {**state, "version": version, **gone}


def erased(state: dict[str, Any], *, version: int = 2) -> dict[str, Any]:
    return {**state, "version": version, "state": "erased", "places": [], "labels": []}


def assignment(
    resident_id: str, tag: str, start: date | None = None, end: date | None = None
) -> TagAssignment:
    return TagAssignment(
        resident_id=UUID(resident_id),
        tag_code=tag,
        source="worker",
        assigned_by="account:1",
        created_at=NOW,
        valid_from=start,
        valid_until=end,
    )


async def frozen(feed: Feed, *ids: str) -> UUID:
    """A frozen audience of these."""
    numbers = BitMap([(await feed.resident(each)).number for each in ids])
    audience = Audience(
        id=new_id(),
        name="固定",
        kind="frozen",
        rule={"tag": "volunteer"},
        areas=["51"],
        created_by="account:1",
        sensitivity="public",
        tags=[],
        uses=[],
        frozen_at=NOW,
        members=numbers.serialize(),
        created_at=NOW,
        updated_at=NOW,
    )
    audience_id = audience.id
    await feed.add(
        audience,
        *(AudienceMember(resident_id=UUID(each), audience_id=audience_id) for each in ids),
    )
    return audience_id


async def members(feed: Feed, audience_id: UUID) -> list[int]:
    async with feed.sessions.read() as session:
        return list(await saved_audiences.frozen(session, audience_id))


async def test_the_merged_hand_over_what_they_bore_and_keep_their_number(feed: Feed) -> None:
    gone, stays = person(labels=["志愿者", "书法"]), person(labels=["志愿者"])
    await feed.said(gone, stays)
    number = (await feed.resident(gone["id"])).number
    other = person()
    await feed.said(other)
    both, only = await frozen(feed, gone["id"], stays["id"]), await frozen(feed, gone["id"])
    message = Message(
        resident_id=UUID(gone["id"]),
        id=new_id(),
        cause_id=new_id(),
        title="通知",
        body="内容",
        topic=None,
        subject_type="campaign",
        subject_id=new_id(),
        created_at=NOW,
        read_at=None,
    )
    await feed.add(message)

    await feed.said(merged(gone, stays))
    tombstone = await feed.resident(gone["id"])
    assert (tombstone.state, tombstone.number) == ("merged", number)
    assert tombstone.merged_into == UUID(stays["id"])
    assert (tombstone.birth_date, tombstone.keeper_division_code) == (None, None)
    assert await feed.bears(gone["id"]) == []
    assert await feed.bears(stays["id"]) == ["hobby_calligraphy", "volunteer"]
    for owner, column in (
        (ResidentPlace.resident_id, ResidentPlace.n),
        (LedgerLabel.resident_id, LedgerLabel.label),
        (AudienceMember.resident_id, AudienceMember.audience_id),
    ):
        assert await feed.rows(column, owner, gone["id"]) == []
    # A word that an officer took off does not come back by the next ledger.
    assert await feed.rows(LedgerLabel.label, LedgerLabel.resident_id, stays["id"]) == [
        "书法",
        "志愿者",
    ]
    survivor = (await feed.resident(stays["id"])).number
    assert await members(feed, both) == await members(feed, only) == [survivor]
    assert len(await feed.rows(Message.id, Message.resident_id, gone["id"])) == 1

    told = await feed.told()
    assert ("assignment", _changed("hobby_calligraphy", [stays["id"]], assigned=True)) in told
    assert ("assignment", _changed("volunteer", [gone["id"]], assigned=False)) in told
    assert ("assignment", _changed("hobby_calligraphy", [gone["id"]], assigned=False)) in told
    assert ("resident", {"resident_ids": [stays["id"]]}) in told

    # Said once more, and said by an old event: nothing happens.
    await feed.said(merged(gone, stays))
    await feed.said(gone)
    assert await feed.bears(stays["id"]) == ["hobby_calligraphy", "volunteer"]
    assert (await feed.resident(gone["id"])).state == "merged"


def _changed(tag: str, ids: Sequence[str], *, assigned: bool) -> dict[str, Any]:
    return {"tag": tag, "resident_ids": list(ids), "assigned": assigned}


async def test_of_two_validities_the_union_counts(feed: Feed) -> None:
    first, last = date(2026, 1, 1), date(2026, 6, 30)
    early, late = date(2025, 1, 1), date(2027, 1, 1)
    cases: Sequence[tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]] = (
        ((first, last), (early, late), (early, late)),
        ((early, late), (first, last), (early, late)),
        ((first, None), (early, last), (early, None)),
        ((None, last), (first, late), (None, late)),
        ((first, last), (None, None), (None, None)),
    )
    for theirs, own, union in cases:
        gone, stays = person(), person()
        await feed.said(gone, stays)
        await feed.add(
            assignment(gone["id"], "veteran", *theirs), assignment(stays["id"], "veteran", *own)
        )
        await feed.said(merged(gone, stays))
        async with feed.sessions.read() as session:
            kept = await session.get(TagAssignment, (UUID(stays["id"]), "veteran", "worker"))
            assert kept is not None
            assert (kept.valid_from, kept.valid_until) == union


async def test_chains_end_at_the_last_and_two_may_go_into_one(feed: Feed) -> None:
    a, b, c, d = (person() for _ in range(4))
    await feed.said(a, b, c, d)
    await feed.add(*(assignment(each["id"], "veteran") for each in (a, b, d)))
    # In one page, in any order; and one whose survivor has been merged long ago.
    await feed.said(merged(b, c), merged(a, b))
    assert await feed.bears(c["id"]) == ["veteran"]
    await feed.said(merged(d, a))
    assert await feed.bears(a["id"]) == await feed.bears(b["id"]) == await feed.bears(d["id"]) == []
    assert await feed.bears(c["id"]) == ["veteran"]


async def test_a_survivor_may_arrive_later_or_be_erased(feed: Feed) -> None:
    gone, late = person(), person()
    await feed.said(gone)
    await feed.add(assignment(gone["id"], "veteran"))
    audience = await frozen(feed, gone["id"])
    await feed.said(merged(gone, late))
    assert await members(feed, audience) == []
    await feed.said(late)
    assert await feed.bears(late["id"]) == ["veteran"]
    assert await members(feed, audience) == [(await feed.resident(late["id"])).number]

    another = person()
    await feed.said(another)
    await feed.add(assignment(another["id"], "elderly"))
    await feed.said(erased(late))
    await feed.said(merged(another, late))
    assert await feed.bears(late["id"]) == await feed.bears(another["id"]) == []


def message_to(someone: dict[str, Any]) -> Message:
    return Message(
        resident_id=UUID(someone["id"]),
        id=new_id(),
        cause_id=new_id(),
        title="通知",
        body="内容",
        topic=None,
        subject_type="campaign",
        subject_id=new_id(),
        created_at=NOW,
        read_at=None,
    )


async def test_what_somebody_does_not_want_to_hear_of_the_survivor_does_not(feed: Feed) -> None:
    gone, also, stays = person(), person(), person()
    await feed.said(gone, also, stays)
    for who, topics in ((gone, ("health", "culture")), (also, ("culture",)), (stays, ("health",))):
        await feed.add(
            *(OptOut(resident_id=UUID(who["id"]), topic=each, created_at=NOW) for each in topics)
        )
    await feed.said(merged(gone, stays), merged(also, stays))
    assert await feed.rows(OptOut.topic, OptOut.resident_id, stays["id"]) == ["culture", "health"]


async def test_with_a_survivor_those_are_erased_who_were_merged_into_them(feed: Feed) -> None:
    first, second, late, stays, other = (person() for _ in range(5))
    everyone = (first, second, late, stays, other)
    await feed.said(*everyone)
    for each in everyone:
        await feed.add(
            message_to(each),
            OptOut(resident_id=UUID(each["id"]), topic="health", created_at=NOW),
        )
    await feed.said(merged(first, second), merged(second, stays))

    async def left() -> list[bool]:
        """Of whom there is a message, an opt-out; both or neither."""
        found: list[bool] = []
        for each in everyone:
            told = await feed.rows(Message.id, Message.resident_id, each["id"])
            chosen = await feed.rows(OptOut.topic, OptOut.resident_id, each["id"])
            assert bool(told) == bool(chosen)
            found.append(bool(told))
        return found

    assert await left() == [True] * 5
    await feed.said(erased(stays))
    assert await left() == [False, False, True, False, True]
    # And who is merged into them only now.
    await feed.said(merged(late, stays))
    assert await left() == [False] * 4 + [True]


async def test_of_the_erased_only_the_number_stays(feed: Feed) -> None:
    someone = person(labels=["志愿者"], sex="female", ethnicity="01")
    await feed.said({**someone, "keeper": {"division_code": JINSHA}})
    before = await feed.resident(someone["id"])
    assert (before.state, before.keeper_division_code) == ("active", JINSHA)
    audience = await frozen(feed, someone["id"])
    message = Message(
        resident_id=UUID(someone["id"]),
        id=new_id(),
        cause_id=new_id(),
        title="通知",
        body="内容",
        topic=None,
        subject_type="campaign",
        subject_id=new_id(),
        created_at=NOW,
        read_at=None,
    )
    await feed.add(message)
    # Whatever else the event still says of them.
    await feed.said({**someone, "version": 2, "state": "erased", "keeper": {"grid_code": "1"}})
    kept = await feed.resident(someone["id"])
    said = {column.name: getattr(kept, column.name) for column in Resident.__table__.columns}
    assert {name for name, value in said.items() if value is not None} == {
        "id",
        "number",
        "version",
        "generation",
        "state",
    }
    assert (kept.state, kept.number) == ("erased", before.number)
    for owner, column in (
        (TagAssignment.resident_id, TagAssignment.tag_code),
        (ResidentPlace.resident_id, ResidentPlace.n),
        (LedgerLabel.resident_id, LedgerLabel.label),
        (AudienceMember.resident_id, AudienceMember.audience_id),
        (Message.resident_id, Message.id),
    ):
        assert await feed.rows(column, owner, someone["id"]) == []
    assert await members(feed, audience) == []
    assert (await feed.told())[-1] == (
        "assignment",
        _changed("volunteer", [someone["id"]], assigned=False),
    )


async def test_the_deceased_and_those_who_moved_out_live_nowhere(feed: Feed) -> None:
    for state in ("deceased", "moved_out"):
        someone = person(labels=["志愿者"])
        await feed.said(someone)
        await feed.said({**someone, "version": 2, "state": state, "labels": ["志愿者"]})
        assert await feed.rows(ResidentPlace.n, ResidentPlace.resident_id, someone["id"]) == []
        assert (await feed.resident(someone["id"])).state == state
        assert (await feed.resident(someone["id"])).birth_date is not None
        assert await feed.bears(someone["id"]) == ["volunteer"]
        # An error that the register corrected.
        await feed.said({**someone, "version": 3})
        assert await feed.rows(ResidentPlace.n, ResidentPlace.resident_id, someone["id"]) == [0]


async def test_whom_a_snapshot_does_not_name_is_buried_and_may_come_back(feed: Feed) -> None:
    dwelling = new_id()
    goes, stays = (
        person(labels=["志愿者"], places=[{**place(), "dwelling_id": str(dwelling)}])
        for _ in range(2)
    )
    was_merged = person()
    await feed.said(goes, stays, was_merged, merged(was_merged, stays))
    number = (await feed.resident(goes["id"])).number
    before = len(await feed.told())
    await feed.said(stays, generation=2)
    async with feed.sessions.write() as session:
        await feed.projection.forget_before(session, 2)
    buried = await feed.resident(goes["id"])
    assert (buried.state, buried.number, buried.birth_date) == ("erased", number, None)
    assert await feed.bears(goes["id"]) == []
    assert (await feed.resident(was_merged["id"])).state == "merged"
    # Whoever shared a home with them lives in a smaller household now.
    told = (await feed.told())[before:]
    assert told[-2:] == [
        ("assignment", _changed("volunteer", [goes["id"]], assigned=False)),
        ("resident", {"resident_ids": sorted([goes["id"], stays["id"]])}),
    ]
    # A second time there is nobody to bury.
    async with feed.sessions.write() as session:
        await feed.projection.forget_before(session, 2)
    assert len(await feed.told()) == before + len(told)

    await feed.said(goes, generation=2)
    back = await feed.resident(goes["id"])
    assert (back.state, back.number) == ("active", number)
    assert back.birth_date is not None


async def test_what_the_register_adds_is_kept(feed: Feed) -> None:
    dwelling, compound = new_id(), new_id()
    someone = person(
        places=[
            {**place(), "dwelling_id": str(dwelling), "lease_end_date": "2027-01-31"},
            place(),
        ]
    )
    keeper = {"division_code": JINSHA, "grid_code": f"{JINSHA}001", "compound_id": str(compound)}
    await feed.said({**someone, "keeper": keeper, "state": "active", "merged_into": None})
    kept = await feed.resident(someone["id"])
    assert kept.keeper_division_code == JINSHA
    assert kept.keeper_grid_code == f"{JINSHA}001"
    assert kept.keeper_compound_id == compound
    async with feed.sessions.read() as session:
        homes = await session.execute(
            sa.select(ResidentPlace.dwelling_id, ResidentPlace.lease_end_date).order_by(
                ResidentPlace.n
            )
        )
        assert [tuple(row) for row in homes] == [(dwelling, date(2027, 1, 31)), (None, None)]
