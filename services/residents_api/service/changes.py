"""Change requests: applied at once where the policy says so, else kept sealed until somebody
decides. What has changed since it was read is shown, and never overwritten.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from services.common.database import ReadSession, WriteSession
from services.common.identifiers import new_id
from services.common.problems import PreconditionFailed, RequestInvalid, Text
from services.common.security import Caller
from services.residents_api.domain import change_policy, identity_documents, names, phones
from services.residents_api.domain.change_policy import Handling
from services.residents_api.domain.identity_documents import DocumentKind
from services.residents_api.domain.sealing import NUMBER, PHONE, WANTED_CHANGE, Sealer
from services.residents_api.errors import (
    ChangeConflict,
    ChangeDecided,
    ChangeOfOwn,
    ChangePending,
    FieldNeedsReview,
    ResidentNotActive,
)
from services.residents_api.models import ChangeRequest, Resident
from services.residents_api.repository import changes as repository
from services.residents_api.repository import people
from services.residents_api.repository.changes import Since
from services.residents_api.schemas.changes import (
    ChangeRequestCreate,
    ChangeRequestRead,
    ChangeState,
    FieldChange,
    FieldConflict,
    Masked,
)
from services.residents_api.schemas.people import ResidentRead, ResidentState, ResidentUpdate
from services.residents_api.service.people import checking, updating

# Of a value that a resident's record does not show either, that there is one.
HIDDEN = "***"
_SHOWN = frozenset(ResidentRead.model_fields)

Values = Mapping[str, Any]


def refuse_direct(caller: Caller, fields: Collection[str]) -> None:
    """Raises FieldNeedsReview for fields that the caller may ask to change, and not change."""
    for name in change_policy.FIELDS.intersection(fields):
        if change_policy.handling(name, caller.roles, is_own=False) is not Handling.AT_ONCE:
            raise FieldNeedsReview()


async def create(
    session: WriteSession,
    sealer: Sealer,
    row: Resident,
    wanted: ChangeRequestCreate,
    *,
    caller: Caller,
    is_own: bool,
    now: datetime,
    today: date,
) -> ChangeRequest:
    """Write a request about a resident whom the caller has locked, and apply of it what may be.

    Raises ResidentNotActive, RequestInvalid, PreconditionFailed, ChangeConflict, ChangePending.
    """
    if row.state != ResidentState.ACTIVE:
        raise ResidentNotActive()
    fields = sorted(wanted.changes.model_fields_set)
    at_once, waiting = _sorted_out(fields, caller, is_own=is_own)
    await _check(session, sealer, row, wanted.changes, today=today)
    request = ChangeRequest(
        resident_id=row.id,
        id=new_id(),
        requested_by=caller.sub,
        is_own=is_own,
        resident_version=wanted.version,
        fields=fields,
        applied=at_once,
        wanted=None,
        state=ChangeState.PENDING.value if waiting else ChangeState.APPLIED.value,
        remark=wanted.remark,
        reason=None,
        decided_by=None,
        created_at=now,
        decided_at=None if waiting else now,
    )
    since = await _since(session, [(request, row)])
    if wanted.version > row.version or _lost_track(request, row, since.get(request.id)):
        raise PreconditionFailed()
    known = await _known(session, sealer, [row])
    values = _values(_part(wanted.changes, fields), today=today)
    _refuse_conflicts(known[row.id], values, since.get(request.id))
    earlier = await repository.pending_fields(session, row.id, requested_by=caller.sub)
    if not earlier.isdisjoint(waiting):
        raise ChangePending()
    if at_once:
        part = _part(wanted.changes, at_once)
        await updating.update(session, sealer, row, part, version=row.version, now=now, today=today)
    if waiting:
        text = _part(wanted.changes, waiting).model_dump_json(exclude_unset=True)
        request.wanted = sealer.seal(WANTED_CHANGE, text, blind_index=request.id.bytes)
    session.add(request)
    await session.flush()
    return request


def _sorted_out(
    fields: Sequence[str], caller: Caller, *, is_own: bool
) -> tuple[list[str], list[str]]:
    """What is applied at once, and what waits. Raises RequestInvalid for what does neither."""
    sorted_out: dict[Handling, list[str]] = {handling: [] for handling in Handling}
    for name in fields:
        sorted_out[change_policy.handling(name, caller.roles, is_own=is_own)].append(name)
    if never := sorted_out[Handling.NEVER]:
        raise RequestInvalid.at(
            f"/changes/{never[0]}",
            "field.not_changeable",
            Text("您不能修改此项", "You cannot ask for this to be changed"),
        )
    return sorted_out[Handling.AT_ONCE], sorted_out[Handling.REVIEW]


async def _check(
    session: ReadSession, sealer: Sealer, row: Resident, wanted: ResidentUpdate, *, today: date
) -> None:
    """Raises RequestInvalid."""
    try:
        await updating.check(session, sealer, row, wanted, today=today)
    except RequestInvalid as refused:
        raise RequestInvalid(
            errors=tuple(
                replace(error, pointer=f"/changes{error.pointer}") for error in refused.errors
            )
        ) from None


def _part(wanted: ResidentUpdate, fields: Collection[str]) -> ResidentUpdate:
    said = wanted.model_dump(mode="json", include=set(fields), exclude_unset=True)
    return ResidentUpdate.model_validate(said)


async def approve(
    session: WriteSession,
    sealer: Sealer,
    request: ChangeRequest,
    row: Resident,
    *,
    reason: str | None,
    caller: Caller,
    now: datetime,
    today: date,
) -> ChangeRequest:
    """Apply what waits to a resident whom the caller has locked.

    Raises ChangeDecided, ChangeOfOwn, ResidentNotActive, ChangeConflict, RequestInvalid,
    NumberTaken (by constraint).
    """
    _check_reviewer(request, caller)
    if row.state != ResidentState.ACTIVE:
        raise ResidentNotActive()
    wanted = ResidentUpdate.model_validate(opened(sealer, request))
    since = (await _since(session, [(request, row)])).get(request.id)
    known = (await _known(session, sealer, [row]))[row.id]
    values = _values(wanted, today=today)
    if _lost_track(request, row, since):
        since = Since(fields=set(values))
    _refuse_conflicts(known, values, since)
    await _check(session, sealer, row, wanted, today=today)
    await updating.update(session, sealer, row, wanted, version=row.version, now=now, today=today)
    request.applied = list(request.fields)
    _decide(request, ChangeState.APPROVED, reason=reason, caller=caller, now=now)
    await session.flush()
    return request


async def reject(
    session: WriteSession, request: ChangeRequest, *, reason: str, caller: Caller, now: datetime
) -> ChangeRequest:
    """Raises ChangeDecided, ChangeOfOwn."""
    _check_reviewer(request, caller)
    _decide(request, ChangeState.REJECTED, reason=reason, caller=caller, now=now)
    await session.flush()
    return request


def _check_reviewer(request: ChangeRequest, caller: Caller) -> None:
    if request.state != ChangeState.PENDING:
        raise ChangeDecided()
    if caller.sub == request.requested_by or caller.resident_id == request.resident_id:
        raise ChangeOfOwn()


def _decide(
    request: ChangeRequest,
    state: ChangeState,
    *,
    reason: str | None,
    caller: Caller,
    now: datetime,
) -> None:
    request.state = state.value
    request.reason = reason
    request.decided_by = caller.sub
    request.decided_at = now
    request.wanted = None


def opened(sealer: Sealer, request: ChangeRequest) -> dict[str, Any]:
    """The plain values of what waits, by field; none of what is decided."""
    if request.wanted is None:
        return {}
    text = sealer.open(WANTED_CHANGE, request.wanted, blind_index=request.id.bytes)
    values: dict[str, Any] = json.loads(text)
    return values


# What is known now beside what is wanted


@dataclass(frozen=True, slots=True)
class _Known:
    """A resident's record as it is, in the form in which requests speak of it."""

    values: Values = field(repr=False)
    card_key: str | None


async def _known(
    session: ReadSession, sealer: Sealer, rows: Sequence[Resident]
) -> dict[Any, _Known]:
    ids = {row.id for row in rows}
    cards = await people.identity_cards(session, ids)
    held = await people.phones(session, ids)
    found: dict[Any, _Known] = {}
    for row in rows:
        card = cards.get(row.id)
        values: dict[str, Any] = {
            name: getattr(row, name) for name in change_policy.FIELDS - {"id_number", "phones"}
        }
        if row.birth_date is not None:
            values["birth_date"] = row.birth_date.isoformat()
        values["id_number"] = card and sealer.open(
            NUMBER, card.number, blind_index=card.blind_index
        )
        values["phones"] = [
            sealer.open(PHONE, one.number, blind_index=one.blind_index)
            for one in held.get(row.id, [])
        ]
        found[row.id] = _Known(values, card.blind_index.hex() if card else None)
    return found


def _values(wanted: ResidentUpdate, *, today: date) -> dict[str, Any]:
    """What is wanted, as it would be kept."""
    values: dict[str, Any] = wanted.model_dump(mode="json", exclude_unset=True)
    if values.get("name"):
        values["name"] = checking.real_name(values["name"])
    if values.get("id_number"):
        values["id_number"] = checking.parsed(values["id_number"], today).number
    if "phones" in values:
        texts: list[str] = values["phones"] or []
        said = [checking.phone_of(one, pointer="/phones") for one in texts]
        values["phones"] = list(dict.fromkeys(said))
    return values


async def _since(
    session: ReadSession, pairs: Sequence[tuple[ChangeRequest, Resident]]
) -> Mapping[Any, Since]:
    read = [
        {"id": str(one.id), "resident_id": str(row.id), "version": one.resident_version}
        for one, row in pairs
        if one.resident_version < row.version
    ]
    return await repository.changed_since(session, json.dumps(read)) if read else {}


def _lost_track(request: ChangeRequest, row: Resident, since: Since | None) -> bool:
    """Whether the history does not reach back to what was read."""
    if request.resident_version >= row.version:
        return False
    return since is None or request.resident_version not in since.versions


def _conflicts(known: _Known, wanted: Values, since: Since | None) -> list[FieldConflict]:
    if since is None:
        return []
    changed = set(since.fields)
    if known.card_key in since.cards:
        changed.add("id_number")
    return [
        FieldConflict(
            field=name, current=_masked(name, known.values[name]), wanted=_masked(name, value)
        )
        for name, value in wanted.items()
        if name in changed and known.values[name] != value
    ]


def _refuse_conflicts(known: _Known, wanted: Values, since: Since | None) -> None:
    if found := _conflicts(known, wanted, since):
        raise ChangeConflict(members={"conflicts": [one.model_dump() for one in found]})


def _masked(name: str, value: Any) -> Masked:
    match name:
        case _ if value is None:
            return None
        case "name":
            return names.mask(value)
        case "id_number":
            return identity_documents.mask(DocumentKind.RESIDENT_ID_CARD, value)
        case "phones":
            return [phones.mask(one) for one in value]
        case _:
            return value if name in _SHOWN else HIDDEN


async def shown(
    session: ReadSession,
    sealer: Sealer,
    pairs: Sequence[tuple[ChangeRequest, Resident]],
    *,
    today: date,
) -> list[ChangeRequestRead]:
    """Requests, masked, with what they conflict with: three queries more, however many."""
    pending = [pair for pair in pairs if pair[0].state == ChangeState.PENDING]
    known = await _known(session, sealer, [row for _, row in pending]) if pending else {}
    since = await _since(session, pending)
    return [
        _shown(sealer, request, row, known.get(row.id), since.get(request.id), today=today)
        for request, row in pairs
    ]


def _shown(
    sealer: Sealer,
    request: ChangeRequest,
    row: Resident,
    known: _Known | None,
    since: Since | None,
    *,
    today: date,
) -> ChangeRequestRead:
    waits = _values(ResidentUpdate.model_validate(opened(sealer, request)), today=today)
    if _lost_track(request, row, since):
        since = Since(fields=set(waits))
    values: dict[str, Any] = {
        name: getattr(request, name)
        for name in ChangeRequestRead.model_fields
        if name not in ("version", "changes", "conflicts")
    }
    changes = [
        FieldChange.model_validate(
            {
                "field": name,
                "from": _masked(name, known.values[name]) if known and name in waits else None,
                "to": _masked(name, waits.get(name)),
                "waits": name in waits,
                "applied": name in request.applied,
            }
        )
        for name in request.fields
    ]
    return ChangeRequestRead.model_validate(
        {
            **values,
            "version": request.resident_version,
            "changes": changes,
            "conflicts": _conflicts(known, waits, since) if known else [],
        }
    )
