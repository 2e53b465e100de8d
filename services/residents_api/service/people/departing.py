"""People who die or move out of the city, and who come back into the register."""

from datetime import date, datetime

from services.common.database import WriteSession
from services.common.problems import RequestInvalid, Text
from services.residents_api.errors import ResidentNotActive, ResidentNotGone
from services.residents_api.models import Occupancy, Resident
from services.residents_api.repository import housing
from services.residents_api.schemas.people import ResidentState
from services.residents_api.service.people import updating

_GONE = (ResidentState.DECEASED, ResidentState.MOVED_OUT)


async def depart(
    session: WriteSession,
    row: Resident,
    state: ResidentState,
    *,
    day: date,
    destination: str | None,
    now: datetime,
    today: date,
) -> Resident:
    """Say that a resident, locked by the caller, died or moved out: they live nowhere from then on.

    Raises ResidentNotActive, RequestInvalid.
    """
    if row.state != ResidentState.ACTIVE:
        raise ResidentNotActive()
    if day > today:
        raise RequestInvalid.at("/date", "date.in_future", Text("日期晚于今天", "Still to come"))
    if row.birth_date is not None and day < row.birth_date:
        raise RequestInvalid.at(
            "/date", "date.before_birth", Text("日期早于出生日期", "That is before the birth date")
        )
    last: Occupancy | None = None
    for occupancy in await housing.lived_in(session, row.id, after=day):
        if occupancy.start_date is not None and occupancy.start_date > today:
            await session.delete(occupancy)  # they will not come
            continue
        if occupancy.start_date is not None and occupancy.start_date > day:
            raise RequestInvalid.at(
                "/date",
                "occupancy.ends_before_start",
                Text("日期早于入住日期", "They moved into a dwelling later than that"),
            )
        occupancy.end_date = day
        last = occupancy
    if last is not None:
        # Who saw them until now goes on keeping their record.
        row.area_code = last.grid_code or last.division_code
        row.keeper_compound_id = last.compound_id
    row.state = state.value
    row.state_since = day
    row.destination = destination
    await updating.moved_on(session, row, now=now, today=today)
    return row


async def reactivate(
    session: WriteSession, row: Resident, *, now: datetime, today: date
) -> Resident:
    """Undo a departure. Where they live has to be said anew. Raises ResidentNotGone."""
    if row.state not in _GONE:
        raise ResidentNotGone()
    row.state = ResidentState.ACTIVE.value
    row.state_since = None
    row.destination = None
    await updating.moved_on(session, row, now=now, today=today)
    return row
