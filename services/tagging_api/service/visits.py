"""Who goes where: visits seen, taken, handed over and spread."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from services.common.access import Permission
from services.common.areas import Area, Place
from services.common.database import ReadSession, WriteSession
from services.common.problems import RoleForbidden
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain.visits import Worker, spread
from services.tagging_api.models import Survey, Visit
from services.tagging_api.repository import surveys as survey_repository
from services.tagging_api.repository import visits as repository
from services.tagging_api.schemas.surveys import (
    Assignee,
    AssigneeLoad,
    SurveyState,
    SurveyVisits,
)

_ACCOUNT = "account:"


def account(caller: Caller) -> UUID | None:
    """The caller's account; None for an API client."""
    try:
        return UUID(caller.sub.removeprefix(_ACCOUNT))
    except ValueError:
        return None


def sees_everybodys(caller: Caller) -> bool:
    """Whether visits that others have are shown, too: to whoever may write surveys."""
    return caller.may(Permission.SURVEYS_WRITE)


async def seen(session: ReadSession, visit_id: UUID, *, caller: Caller) -> tuple[Visit, Survey]:
    """A visit and its survey. Raises VisitNotFound for one that is not for the caller."""
    found = await repository.visible(
        session,
        visit_id,
        account=account(caller),
        everybodys=sees_everybodys(caller),
        highest_too=caller.may(Permission.TAGS_HIGHEST),
        within=caller.areas,
    )
    if found is None:
        raise errors.VisitNotFound()
    return found


async def locked(session: WriteSession, visit_id: UUID, *, caller: Caller) -> tuple[Visit, Survey]:
    """The same for a change: until the end of the transaction it is nobody else's to change.

    Raises SurveyClosed, too.
    """
    _, survey = await seen(session, visit_id, caller=caller)
    survey = await survey_repository.held(session, survey.id)
    visit = await repository.locked(session, visit_id)
    # Somebody may have taken it while we waited for the lock, or its resident was erased.
    if visit is None:
        raise errors.VisitNotFound()
    if not sees_everybodys(caller) and visit.assignee not in {None, account(caller)}:
        raise errors.VisitNotFound()
    if survey.state == SurveyState.CLOSED:
        raise errors.SurveyClosed()
    return visit, survey


async def take(session: WriteSession, visit_id: UUID, *, caller: Caller) -> tuple[Visit, Survey]:
    """Make a visit that nobody has the caller's. Raises VisitTaken."""
    visit, survey = await locked(session, visit_id, caller=caller)
    own = account(caller)
    if own is None:
        raise RoleForbidden()
    if visit.assignee not in {None, own}:
        raise errors.VisitTaken()
    _give(visit, own)
    return visit, survey


async def hand_over(
    session: WriteSession, visit_id: UUID, to: UUID | None, *, caller: Caller
) -> tuple[Visit, Survey]:
    """Give a visit to another account, or back to all workers there."""
    visit, survey = await locked(session, visit_id, caller=caller)
    _give(visit, to)
    return visit, survey


def _give(visit: Visit, to: UUID | None) -> None:
    if visit.assignee != to:
        visit.assignee = to
        visit.version += 1


async def spread_over(
    session: WriteSession, survey_id: UUID, assignees: Sequence[Assignee]
) -> SurveyVisits:
    """Spread open visits that nobody has evenly over workers, each within the areas named.

    Counts the visits of the survey that a worker has already.
    """
    loads = dict(await repository.loads(session, survey_id))
    areas: dict[UUID, list[Area]] = {}
    for each in assignees:
        areas.setdefault(each.account, []).extend(Area.parse(code) for code in each.areas)
    workers = [
        Worker(who, tuple(dict.fromkeys(where)), loads.get(who, 0)) for who, where in areas.items()
    ]
    if workers:
        waiting = await repository.unassigned(session, survey_id)
        places = [Place(v.division_code, v.grid_code, v.compound_id) for v in waiting]
        # Beside the event loop: many places and many workers take a while.
        chosen = await asyncio.to_thread(spread, places, workers)
        given = {
            visit.id: who for visit, who in zip(waiting, chosen, strict=True) if who is not None
        }
        if given:
            await repository.assign(session, given)
            loads = dict(await repository.loads(session, survey_id))
    unassigned = loads.pop(None, 0)
    return SurveyVisits(
        assigned=[
            AssigneeLoad(account=who, visits=visits)
            for who, visits in sorted(loads.items(), key=str)
            if who is not None
        ],
        unassigned=unassigned,
    )
