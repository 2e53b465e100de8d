"""Writing a campaign, sending it off, and delivering it.

Delivery is background work of every process. A batch is one transaction, which holds the campaign's
row from beginning to end: others skip it meanwhile, and a process that is killed lets go of it with
its connection. So the row's lock is the lease, and there is none to run out. The audience is
written down once, in the first of these transactions; each of the others turns some waiting
deliveries into messages. Nobody is missed and nobody told twice, whenever a process dies.

A campaign at which the database fails, one whose audience takes too long to find, rests a while
and holds nobody up: those after it go on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog
from pydantic import ValidationError

from services.common import clock as common_clock
from services.common.areas import Area, AreaKind, place_of
from services.common.clock import Clock
from services.common.database import UNREACHABLE, Notifications, Sessions, WriteSession
from services.common.identifiers import new_id
from services.common.problems import AreaForbidden, Problem
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain.rules import Rule as Meaning
from services.tagging_api.models import Campaign, CampaignArea
from services.tagging_api.repository import campaigns as repository
from services.tagging_api.repository import residents
from services.tagging_api.schemas.campaigns import CampaignCreate, CampaignState
from services.tagging_api.schemas.rules import Rule, parsed
from services.tagging_api.service import rules

log = structlog.get_logger(__name__)

CHANNEL = "tagging_api_campaigns"
# For a lost connection, and for a campaign that a request still held when its notification came.
_LOOK_AGAIN_SECONDS = 1.0
# How long a campaign rests after a failure; twice as long after each one more.
FIRST_REST = timedelta(seconds=1)
LONGEST_REST = timedelta(minutes=5)


def meaning(campaign: Campaign) -> Meaning:
    """What a campaign's stored rule means."""
    return parsed(Rule.model_validate(campaign.rule))


async def create(
    session: WriteSession, asked: CampaignCreate, *, caller: Caller, clock: Clock
) -> Campaign:
    """File a draft. Raises AreaForbidden, TagUnknown, TagUnclassified or SensitiveRule."""
    if not caller.areas:
        raise AreaForbidden()
    await rules.check_sendable(session, parsed(asked.rule))
    campaign = Campaign(
        id=new_id(),
        state=CampaignState.DRAFT,
        title=asked.title,
        body=asked.body,
        topic=asked.topic,
        rule=asked.rule.model_dump(mode="json", by_alias=True),
        areas=[area.code for area in caller.areas],
        created_by=caller.sub,
        created_at=clock.now(),
        recipients=None,
        delivered=0,
        sent_at=None,
    )
    session.add(campaign)
    session.add_all(await _areas(session, campaign.id, caller.areas))
    await session.flush()
    return campaign


async def _areas(
    session: WriteSession, campaign_id: UUID, areas: Sequence[Area]
) -> list[CampaignArea]:
    compounds = [UUID(area.code) for area in areas if area.kind is AreaKind.COMPOUND]
    villages = await residents.villages_of_compounds(session, compounds)
    rows: list[CampaignArea] = []
    for n, area in enumerate(areas):
        village = villages.get(UUID(area.code)) if area.kind is AreaKind.COMPOUND else None
        place = place_of(area, village_code=village)
        rows.append(
            CampaignArea(
                campaign_id=campaign_id,
                n=n,
                division_code=place.division_code,
                grid_code=place.grid_code,
                compound_id=place.compound_id,
            )
        )
    return rows


async def send(session: WriteSession, campaign_id: UUID) -> Campaign:
    """Send a draft off. Raises CampaignAlreadySent or SensitiveRuleNow."""
    campaign = await repository.locked(session, campaign_id)
    if campaign.state != CampaignState.DRAFT:
        raise errors.CampaignAlreadySent()
    await rules.check_sendable(session, meaning(campaign), sensitive=errors.SensitiveRuleNow)
    campaign.state = CampaignState.SENDING
    # Told to those who listen once this transaction is committed.
    await session.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))
    return campaign


class Sender:
    """Delivers what was sent off."""

    def __init__(self, sessions: Sessions, *, clock: Clock, batch_size: int) -> None:
        self._sessions = sessions
        self._clock = clock
        self._batch_size = batch_size
        # Which campaigns failed last: until when they rest, and for how long that was.
        self._resting: dict[UUID, tuple[datetime, timedelta]] = {}

    async def run(self, notifications: Notifications) -> None:
        """For ever."""
        while True:
            notified = notifications.next
            try:
                worked = await self.step()
            except UNREACHABLE as failed:
                log.warning("campaigns.interrupted", error=type(failed).__name__)
                worked = False
            if not worked:
                await notifications.wait(notified, timeout=_LOOK_AGAIN_SECONDS)

    async def step(self) -> bool:
        """Take the audience of a campaign, or deliver its next batch. False if there is none."""
        now = self._clock.now()
        resting = [each for each, (until, _) in self._resting.items() if until > now]
        async with self._sessions.write() as session:
            campaign = await repository.claim(session, but=resting)
            if campaign is None:
                return False
            campaign_id = campaign.id
            try:
                await self._move_on(session, campaign)
            except UNREACHABLE:
                self._rest(campaign_id)
                raise
        self._resting.pop(campaign_id, None)
        return True

    def _rest(self, campaign_id: UUID) -> None:
        _, last = self._resting.get(campaign_id, (None, FIRST_REST / 2))
        rest = min(last * 2, LONGEST_REST)
        log.warning("campaign.rests", campaign=str(campaign_id), seconds=rest.total_seconds())
        self._resting[campaign_id] = self._clock.now() + rest, rest

    async def _move_on(self, session: WriteSession, campaign: Campaign) -> None:
        try:
            rule = meaning(campaign)
            await rules.check_sendable(session, rule)
        except (Problem, ValidationError) as refused:
            # Or a rule that was stored by another version, and says nothing to this one.
            reason = refused.code if isinstance(refused, Problem) else "rule.unreadable"
            log.warning("campaign.stopped", campaign=str(campaign.id), reason=reason)
            campaign.state = CampaignState.STOPPED
            return
        if campaign.recipients is None:
            campaign.recipients = await repository.take_audience(
                session,
                campaign.id,
                rule,
                areas=[Area.parse(area) for area in campaign.areas],
                on=common_clock.today(self._clock),
            )
        else:
            await self._deliver(session, campaign)

    async def _deliver(self, session: WriteSession, campaign: Campaign) -> None:
        now = self._clock.now()
        delivered = await repository.deliver(session, campaign.id, at_most=self._batch_size, at=now)
        campaign.delivered += delivered
        if delivered < self._batch_size:
            campaign.state, campaign.sent_at = CampaignState.SENT, now
