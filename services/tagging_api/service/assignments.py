"""Giving tags to residents and taking them off again."""

from collections.abc import Sequence
from uuid import UUID

from services.common import clock as common_clock
from services.common import outbox, security
from services.common.access import Permission
from services.common.clock import Clock
from services.common.database import Sessions, WriteSession
from services.common.problems import FieldError
from services.common.projection import Follower
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.repository import assignments as repository
from services.tagging_api.repository import residents, tags
from services.tagging_api.schemas.assignments import (
    TagAssignmentsEnded,
    TagAssignmentsMade,
    TagAssignmentsWrite,
)
from services.tagging_api.schemas.tags import AssignmentSource, Sensitivity
from services.tagging_api.service import events, residents_feed


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
    """Give a tag to residents. Two clicks at once: one assigns, the other finds it done."""
    visible, not_found = await _who(session, asked, caller, clock)
    made = await repository.assign(
        session,
        [(asked.tag, resident_id) for resident_id in visible],
        source=AssignmentSource.WORKER,
        assigned_by=caller.sub,
        at=clock.now(),
    )
    await outbox.emit(session, *events.assignment_changed(made, assigned=True))
    return TagAssignmentsMade(
        assigned=len(made), already_assigned=len(visible) - len(made), not_found=not_found
    )


async def remove(
    session: WriteSession, asked: TagAssignmentsWrite, *, caller: Caller, clock: Clock
) -> TagAssignmentsEnded:
    """Take a tag off residents, whoever gave it."""
    visible, not_found = await _who(session, asked, caller, clock)
    ended = await repository.remove(session, asked.tag, visible)
    await outbox.emit(session, *events.assignment_changed(ended, assigned=False))
    return TagAssignmentsEnded(
        removed=len(ended), not_assigned=len(visible) - len(ended), not_found=not_found
    )


async def _who(
    session: WriteSession, asked: TagAssignmentsWrite, caller: Caller, clock: Clock
) -> tuple[list[UUID], list[UUID]]:
    """Those of the residents whom the caller sees, and the others, each once.

    Raises TagUnknown, or RoleForbidden for a tag of the highest sensitivity.
    """
    tag = (await tags.by_codes(session, [asked.tag])).get(asked.tag)
    if tag is None:
        fault = FieldError("/tag", errors.TagUnknown.code, errors.TagUnknown.title)
        raise errors.TagUnknown(errors=(fault,))
    if tag.sensitivity == Sensitivity.HIGHEST:
        security.check(caller, Permission.TAGS_HIGHEST)
    today = common_clock.today(clock)
    ids = list(dict.fromkeys(asked.resident_ids))
    seen = await repository.visible(session, ids, areas=caller.areas, on=today)
    return [each for each in ids if each in seen], [each for each in ids if each not in seen]
