"""Giving tags to residents and taking them off again."""

from collections.abc import Sequence
from uuid import UUID

from services.common import clock as common_clock
from services.common.access import Permission
from services.common.clock import Clock
from services.common.database import Sessions, WriteSession
from services.common.problems import FieldError, Problem, RequestInvalid, RoleForbidden, Text
from services.common.projection import Follower
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.models import Tag, TagAssignment
from services.tagging_api.repository import assignments as repository
from services.tagging_api.repository import residents, tags
from services.tagging_api.repository.assignments import Terms
from services.tagging_api.schemas.assignments import (
    TagAssignmentRead,
    TagAssignmentsEnd,
    TagAssignmentsEnded,
    TagAssignmentsMade,
    TagAssignmentsWrite,
)
from services.tagging_api.schemas.tags import AssignmentSource
from services.tagging_api.service import events, residents_feed, tag_access

_SHOWN_OF_ACCOUNT = 8


async def await_residents(
    sessions: Sessions, followers: Sequence[Follower], resident_ids: Sequence[UUID]
) -> None:
    """Give a resident who was just registered up to a second to arrive.

    Outside of the request's transaction, which must not stay open over a call.
    """
    async with sessions.read() as session:
        waits = await residents.unknown(session, resident_ids)
    if waits:
        for follower in followers:
            if follower.source == residents_feed.SOURCE:
                await follower.catch_up()


async def assign(
    session: WriteSession, asked: TagAssignmentsWrite, *, caller: Caller, clock: Clock
) -> TagAssignmentsMade:
    """Give a tag to residents. Two clicks at once: one assigns, the other finds it done.

    Raises TagUnknown, TagArchived, RoleForbidden, or RequestInvalid for a period that is none.
    """
    tag = await _tag(session, asked.tag, caller)
    if tag.archived:
        raise _at_tag(errors.TagArchived)
    today = common_clock.today(clock)
    if asked.valid_until is not None:
        if asked.valid_from is not None and asked.valid_until <= asked.valid_from:
            raise RequestInvalid.at("/valid_until", "tag_assignment.no_period", _NO_PERIOD)
        if asked.valid_until <= today:
            raise RequestInvalid.at("/valid_until", "tag_assignment.over", _OVER)
    visible, not_found = await _who(session, asked.resident_ids, caller, clock)
    terms = Terms(asked.valid_from, asked.valid_until, asked.note)
    made = await repository.assign(
        session,
        [(tag.code, resident_id) for resident_id in visible],
        source=AssignmentSource.WORKER,
        assigned_by=caller.sub,
        at=clock.now(),
        terms=terms if asked.terms_are_given else None,
    )
    await events.tell(session, made, on=today)
    return TagAssignmentsMade(
        assigned=len(made), already_assigned=len(visible) - len(made), not_found=not_found
    )


async def remove(
    session: WriteSession, asked: TagAssignmentsEnd, *, caller: Caller, clock: Clock
) -> TagAssignmentsEnded:
    """Take a tag off residents, whoever gave it: but what a rule says, it goes on saying.

    Raises TagUnknown or RoleForbidden.
    """
    tag = await _tag(session, asked.tag, caller)
    visible, not_found = await _who(session, asked.resident_ids, caller, clock)
    ended = await repository.remove(session, tag.code, visible)
    await events.tell(session, ended, on=common_clock.today(clock))
    return TagAssignmentsEnded(
        removed=len(ended), not_assigned=len(visible) - len(ended), not_found=not_found
    )


def shown(assignment: TagAssignment, caller: Caller) -> TagAssignmentRead:
    """What the caller is told of it: the note is for those who look after people themselves."""
    by = assignment.assigned_by
    if by is not None and by != caller.sub and not caller.may(Permission.TAGS_WRITE):
        by = "…" + by[-_SHOWN_OF_ACCOUNT:]
    looks_after = caller.may(Permission.TAG_ASSIGNMENTS_WRITE)
    return TagAssignmentRead(
        resident_id=assignment.resident_id,
        tag=assignment.tag_code,
        source=AssignmentSource(assignment.source),
        assigned_by=by,
        valid_from=assignment.valid_from,
        valid_until=assignment.valid_until,
        note=assignment.note if looks_after else None,
        created_at=assignment.created_at,
    )


async def _tag(session: WriteSession, code: str, caller: Caller) -> Tag:
    """The tag, if the caller may give it. One that they may not see is unknown."""
    tag = (await tags.by_codes(session, [code])).get(code)
    if tag is None or not tag_access.sees(caller, tag):
        raise _at_tag(errors.TagUnknown)
    if not tag_access.assigns(caller, tag):
        raise RoleForbidden()
    return tag


async def _who(
    session: WriteSession, resident_ids: Sequence[UUID], caller: Caller, clock: Clock
) -> tuple[list[UUID], list[UUID]]:
    """Those of the residents whom the caller sees, and the others, each once."""
    ids = list(dict.fromkeys(resident_ids))
    today = common_clock.today(clock)
    seen = await repository.visible(session, ids, areas=caller.areas, on=today)
    return [each for each in ids if each in seen], [each for each in ids if each not in seen]


def _at_tag(problem: type[Problem]) -> Problem:
    return problem(errors=(FieldError("/tag", problem.code, problem.title),))


_NO_PERIOD = Text("结束日应晚于开始日", "It would end before it begins")
_OVER = Text("结束日已过", "It would be over already")
