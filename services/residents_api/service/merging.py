"""Two records become one person's, and two again if that was a mistake.

The survivor takes over occupancies, documents, phones, labels, guardians and what ledgers said. The
other is left as a tombstone that says who survived. A `ResidentMerge` records all that was done.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.common.areas import Area
from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.problems import RequestInvalid, Text
from services.common.security import Caller
from services.residents_api.domain.identity_documents import DocumentStatus
from services.residents_api.errors import (
    DuplicateDecided,
    DuplicateNotFound,
    MergeNotFound,
    MergeNotUndoable,
    MergeWaits,
    SurvivorGone,
)
from services.residents_api.models import (
    DuplicateCandidate,
    IdentityDocument,
    Resident,
    ResidentMerge,
)
from services.residents_api.repository import duplicates, merging, people, states
from services.residents_api.schemas.duplicates import DuplicateState, MergeCreate, MergeField
from services.residents_api.schemas.people import ResidentState

_FOLLOW_THE_NUMBER = (MergeField.SEX, MergeField.BIRTH_DATE)
_COLUMNS = tuple(field.value for field in MergeField if field is not MergeField.ID_NUMBER)
_WITH_NAME = ("name_pinyin", "name_initials")


async def merge(
    session: WriteSession,
    candidate: DuplicateCandidate,
    wanted: MergeCreate,
    *,
    caller: Caller,
    now: datetime,
    today: date,
) -> ResidentMerge:
    """Merge a pair that the caller has locked and may see both of.

    Raises RequestInvalid, DuplicateDecided, DuplicateNotFound, MergeWaits, SurvivorGone.
    """
    if candidate.state == DuplicateState.MERGED:
        raise DuplicateDecided()
    pair = (candidate.resident_id, candidate.other_id)
    if wanted.survivor_id not in pair:
        raise RequestInvalid.at(
            "/survivor_id",
            "survivor.not_of_pair",
            Text("不是这两人之一", "Neither of the two"),
        )
    rows = await _locked(session, pair, within=caller.areas, today=today)
    survivor = rows[wanted.survivor_id]
    (merged,) = (row for row in rows.values() if row is not survivor)
    if merged.state == ResidentState.ACTIVE and survivor.state != ResidentState.ACTIVE:
        raise SurvivorGone()
    if await merging.waits_for_review(session, merged.id):
        raise MergeWaits()
    statuses = await _replace_documents(session, survivor, merged, take=wanted.take)
    fields = _take(survivor, merged, _wanted_fields(survivor, merged, wanted.take, statuses))
    moved = await merging.hand_over(session, merged=merged.id, survivor=survivor.id, today=today)
    moved |= {"fields": fields, "statuses": statuses["replaced"], "state": merged.state}
    merged.state = ResidentState.MERGED.value
    merged.merged_into = survivor.id
    row = ResidentMerge(
        resident_id=survivor.id,
        id=new_id(),
        merged_id=merged.id,
        candidate_id=candidate.id,
        moved=moved,
        merged_by=caller.sub,
        merged_at=now,
    )
    session.add(row)
    _decide(candidate, DuplicateState.MERGED, caller=caller, now=now)
    await _told(session, (survivor, merged), now=now, today=today)
    return row


async def undo(
    session: WriteSession, merge_id: UUID, *, caller: Caller, now: datetime, today: date
) -> ResidentMerge:
    """Make two of one again. What somebody has changed since stays as it is.

    Raises MergeNotFound, MergeNotUndoable.
    """
    row = await seen(session, merge_id, caller=caller, today=today, lock=True)
    if row.undone_at is not None:
        raise MergeNotUndoable()
    statement = (
        select(Resident)
        .where(Resident.id.in_((row.resident_id, row.merged_id)))
        .order_by(Resident.id)
        .with_for_update()
    )
    rows = {found.id: found for found in await session.scalars(statement)}
    survivor, merged = rows[row.resident_id], rows[row.merged_id]
    if (merged.state, merged.merged_into) != (ResidentState.MERGED, survivor.id):
        raise MergeNotUndoable()
    moved = row.moved
    await merging.hand_back(session, moved, merged=merged.id, survivor=survivor.id)
    await _restore_documents(session, moved["statuses"])
    for name, (before, after) in moved["fields"].items():
        if _json(getattr(survivor, name)) == after:
            setattr(survivor, name, _value(name, before))
    merged.state = moved["state"]
    merged.merged_into = None
    row.undone_by, row.undone_at = caller.sub, now
    candidate = await session.get(
        DuplicateCandidate, tuple(sorted((row.resident_id, row.merged_id))), with_for_update=True
    )
    if candidate is not None:
        candidate.state, candidate.decided_by, candidate.decided_at = "open", None, None
    await _told(session, (survivor, merged), now=now, today=today)
    return row


async def seen(
    session: ReadSession, merge_id: UUID, *, caller: Caller, today: date, lock: bool = False
) -> ResidentMerge:
    """A merge of two whom the caller's areas contain. Raises MergeNotFound."""
    row = await duplicates.merge(session, merge_id, lock=lock)
    if row is None:
        raise MergeNotFound()
    survivor = await people.resident(session, row.resident_id, within=caller.areas, on=today)
    if survivor is None or not await merging.merged_within(session, row, caller.areas):
        raise MergeNotFound()
    return row


def dismiss(candidate: DuplicateCandidate, *, caller: Caller, now: datetime) -> None:
    """They are two. Raises DuplicateDecided."""
    if candidate.state == DuplicateState.MERGED:
        raise DuplicateDecided()
    _decide(candidate, DuplicateState.DISMISSED, caller=caller, now=now)


def _decide(
    candidate: DuplicateCandidate, state: DuplicateState, *, caller: Caller, now: datetime
) -> None:
    candidate.state, candidate.decided_by, candidate.decided_at = state.value, caller.sub, now


async def _locked(
    session: WriteSession, pair: tuple[UUID, UUID], *, within: Collection[Area], today: date
) -> dict[UUID, Resident]:
    """Both, the smaller id first: two who merge wait for each other in one order."""
    rows: dict[UUID, Resident] = {}
    for each in sorted(pair):
        row = await people.resident(session, each, within=tuple(within), on=today, lock=True)
        if row is None:
            raise DuplicateNotFound()
        rows[each] = row
    return rows


async def _replace_documents(
    session: WriteSession, survivor: Resident, merged: Resident, *, take: Collection[MergeField]
) -> dict[str, Any]:
    """Of a kind, one stays in use. What was changed of which document, and whose card it is."""
    documents = await people.documents(session, (survivor.id, merged.id))
    theirs, others = documents.get(survivor.id, []), documents.get(merged.id, [])
    replaced: dict[str, str] = {}
    for document in others:
        if document.status == DocumentStatus.REPLACED:
            continue
        alike = [
            held
            for held in theirs
            if held.status != DocumentStatus.REPLACED
            and (held.kind, held.issuing_country) == (document.kind, document.issuing_country)
        ]
        losers = alike if _taken(document, take) else [document] if alike else []
        for loser in losers:
            replaced[loser.blind_index.hex()] = loser.status
            loser.status = DocumentStatus.REPLACED.value
    await session.flush()
    cards = {
        owner: next((held for held in rows if people.is_card(held)), None)
        for owner, rows in (("survivor", theirs), ("merged", others))
    }
    return {
        "replaced": replaced,
        "survivor_has_card": cards["survivor"] is not None,
        "merged_has_card": cards["merged"] is not None,
    }


def _taken(document: IdentityDocument, take: Collection[MergeField]) -> bool:
    return people.is_card(document) and MergeField.ID_NUMBER in take


def _wanted_fields(
    survivor: Resident, merged: Resident, take: Collection[MergeField], cards: dict[str, Any]
) -> list[str]:
    """What to take over: what was asked for, and what the survivor's record does not say."""
    names = {field.value for field in take if field is not MergeField.ID_NUMBER}
    names |= {name for name in _COLUMNS if getattr(survivor, name) is None}
    follow = {field.value for field in _FOLLOW_THE_NUMBER}
    if cards["merged_has_card"]:
        names |= follow
    elif cards["survivor_has_card"]:
        names -= follow
    names = {name for name in names if getattr(merged, name) is not None}
    return sorted(names)


def _take(survivor: Resident, merged: Resident, names: Collection[str]) -> dict[str, list[Any]]:
    """What was changed: by column, what it said before and says now."""
    columns = [*names, *(_WITH_NAME if "name" in names else ())]
    fields: dict[str, list[Any]] = {}
    for name in columns:
        before, after = getattr(survivor, name), getattr(merged, name)
        if before != after:
            setattr(survivor, name, after)
            fields[name] = [_json(before), _json(after)]
    return fields


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _value(name: str, said: Any) -> Any:
    return date.fromisoformat(said) if name == "birth_date" and said is not None else said


async def _restore_documents(session: WriteSession, statuses: dict[str, str]) -> None:
    indexes = [bytes.fromhex(index) for index in statuses]
    statement = select(IdentityDocument).where(IdentityDocument.blind_index.in_(indexes))
    found = await session.scalars(statement.execution_options(populate_existing=True))
    for document in found:
        if document.status == DocumentStatus.REPLACED:
            document.status = statuses[document.blind_index.hex()]


async def _told(
    session: WriteSession, rows: tuple[Resident, Resident], *, now: datetime, today: date
) -> None:
    for row in rows:
        row.version += 1
        row.updated_at = now
    await session.flush()
    await states.emit_residents(session, [row.id for row in rows], today=today)
