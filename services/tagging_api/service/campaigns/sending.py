"""Sending: taking the audience of a campaign, and handing it over batch after batch.

It is background work of every process. A batch is one transaction, which holds the campaign's row
from beginning to end: others skip it meanwhile, and a process that is killed lets go of it with its
connection. So the row's lock is the lease, and there is none to run out. The audience is written
down once, in the first of these transactions, as a bitmap of numbers; each of the others turns the
next of them into messages and parcels and moves the cursor. Nobody is missed and nobody told twice,
whenever a process dies. Parcels are the couriers' (`carrying`).

The rule is checked before each of them, and so is everybody in it: a tag may have become more
sensitive meanwhile, and a resident may have opted out.

A campaign at which the database fails, one whose audience takes too long to find, rests a while
and holds nobody up: those after it go on.
"""

from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import structlog
from pyroaring import BitMap

from services.common import clock as common_clock
from services.common import outbox
from services.common.clock import Clock
from services.common.database import (
    UNREACHABLE,
    Notifications,
    ReadSession,
    Sessions,
    WriteSession,
)
from services.common.identifiers import new_id
from services.common.problems import Problem
from services.tagging_api.domain.campaigns import CARRIED, CampaignState, Channel, Step
from services.tagging_api.domain.rules import Rule
from services.tagging_api.domain.timing import QuietHours
from services.tagging_api.models import Campaign
from services.tagging_api.repository import campaigns as repository
from services.tagging_api.repository import deliveries, reach
from services.tagging_api.repository.deliveries import Parcels, Sending
from services.tagging_api.repository.reach import Caps
from services.tagging_api.service import rules
from services.tagging_api.service.campaigns import steps
from services.tagging_api.settings import CampaignSettings

log = structlog.get_logger(__name__)

# For a lost connection, and for a campaign that a request still held when its notification came.
_LOOK_AGAIN_SECONDS = 1.0
# How long a campaign rests after a failure; twice as long after each one more.
FIRST_REST = timedelta(seconds=1)
LONGEST_REST = timedelta(minutes=5)


def quiet_hours(settings: CampaignSettings) -> QuietHours:
    return QuietHours(settings.quiet_from, settings.quiet_until)


def quiet_channels(settings: CampaignSettings, now: datetime) -> list[str]:
    """The channels that wait at this moment."""
    return sorted(settings.quiet_channels) if quiet_hours(settings).ends(now) else []


async def moment(
    session: ReadSession, campaign: Campaign, *, clock: Clock, settings: CampaignSettings
) -> Sending:
    """What a campaign is sent by now."""
    now = clock.now()
    caps = Caps(settings.cap_days, settings.cap_all_topics, settings.cap_one_topic)
    capped = not campaign.emergency and await reach.caps_in_reach(
        session, campaign.topic, caps=caps, now=now, but=campaign.id
    )
    return Sending(
        campaign=campaign,
        areas=steps.areas(campaign),
        on=common_clock.today(clock),
        now=now,
        caps=caps if capped else None,
    )


class _TooMany(Exception):
    pass


class Sender:
    """Hands over what was sent off."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        clock: Clock,
        batch_size: int,
        settings: CampaignSettings | None = None,
        publisher: outbox.Publisher | None = None,
    ) -> None:
        """`publisher` numbers the events; without it they wait for the sweep."""
        self._sessions = sessions
        self._clock = clock
        self._batch_size = batch_size
        self._settings = settings or CampaignSettings()
        self._publisher = publisher
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
        """Take the audience of a campaign, or hand over its next batch. False if there is none."""
        now = self._clock.now()
        resting = [each for each, (until, _) in self._resting.items() if until > now]
        # Only the inbox is filled here; what else has to be quiet is the couriers'.
        quiet = [each for each in quiet_channels(self._settings, now) if each == Channel.IN_APP]
        async with self._sessions.write() as session:
            campaign = await repository.claim(session, now=now, quiet=quiet, but=resting)
            if campaign is None:
                return False
            campaign_id = campaign.id
            try:
                await self._move_on(session, campaign)
                # Here, for what it brings to light is this campaign's, too.
                await session.flush()
            except UNREACHABLE:
                self._rest(campaign_id)
                raise
        self._resting.pop(campaign_id, None)
        if self._publisher is not None and outbox.has_events(session):
            await self._publisher.publish_if_reachable()
        return True

    def _rest(self, campaign_id: UUID) -> None:
        _, last = self._resting.get(campaign_id, (None, FIRST_REST / 2))
        rest = min(last * 2, LONGEST_REST)
        log.warning("campaign.rests", campaign=str(campaign_id), seconds=rest.total_seconds())
        self._resting[campaign_id] = self._clock.now() + rest, rest

    async def _move_on(self, session: WriteSession, campaign: Campaign) -> None:
        try:
            rule = steps.meaning(campaign)
            await rules.check_sendable(session, rule)
            rule = await rules.resolved(session, rule, areas=steps.areas(campaign))
        except Problem as refused:
            log.warning("campaign.stopped", campaign=str(campaign.id), reason=refused.code)
            await steps.stop(session, campaign.id, at=self._clock.now())
            return
        sending = await moment(session, campaign, clock=self._clock, settings=self._settings)
        if campaign.recipients is None:
            await self._take_audience(session, sending, rule)
        else:
            await self._hand_over(session, sending)
        if campaign.handed_over:
            campaign.audience = None
        await steps.finish_if_done(session, campaign, at=sending.now)

    async def _take_audience(self, session: WriteSession, sending: Sending, rule: Rule) -> None:
        campaign = sending.campaign
        try:
            async with session.begin_nested():
                numbers = await deliveries.take_audience(session, sending, rule)
                if len(numbers) > self._settings.approval_above and campaign.approved_by is None:
                    raise _TooMany
                if Channel.BROADCAST in campaign.channels:
                    await deliveries.pack_broadcasts(session, sending, rule)
        except _TooMany:
            # It has grown since it was sent off.
            await steps.take(session, campaign, Step.SUBMIT, at=sending.now)
            return
        if campaign.state == CampaignState.SCHEDULED:
            await steps.take(session, campaign, Step.BEGIN, at=sending.now)
        if not sending.channels:
            numbers = BitMap()
        campaign.recipients, campaign.cursor = len(numbers), 0
        campaign.audience = numbers.serialize()
        campaign.handed_over = not numbers
        if Channel.BROADCAST in campaign.channels:
            await steps.wake(session)

    async def _hand_over(self, session: WriteSession, sending: Sending) -> None:
        campaign = sending.campaign
        audience = BitMap.deserialize(campaign.audience) if campaign.audience else BitMap()
        after = audience.iter_equal_or_larger(campaign.cursor + 1)
        numbers = list(islice(after, self._batch_size))
        if numbers:
            parcels = _new_parcels(sending, len(numbers), size=self._settings.parcel_size)
            skipped, delivered = await deliveries.hand_over(session, sending, numbers, parcels)
            campaign.recipients = (campaign.recipients or 0) - skipped
            campaign.delivered += delivered
            campaign.cursor = numbers[-1]
            if parcels.ids:
                await steps.wake(session)
        campaign.handed_over = not numbers or numbers[-1] == audience.max()


def _new_parcels(sending: Sending, recipients: int, *, size: int) -> Parcels:
    carried = [c for c in CARRIED if c.value in sending.channels]
    many = -(-recipients // size)
    return Parcels(
        ids={channel: [new_id() for _ in range(many)] for channel in carried},
        size=size,
    )
