"""Carrying parcels to the channels outside, each at most once to everybody in it.

An attempt is written down before it is made, and its end after. A process that dies in between
leaves it in doubt: a receiver that knows a repetition by the parcel's id is sent it once more; for
all others it is `unknown`, and never sent again. A definite failure is tried again after a while,
longer each time, until it is dead; a person may have what is dead tried once more.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from services.common import outbox
from services.common.clock import Clock
from services.common.database import UNREACHABLE, Notifications, Sessions, WriteSession
from services.common.problems import Problem
from services.tagging_api.domain import seals
from services.tagging_api.domain.campaigns import SENDING, CampaignState, Channel, DeliveryState
from services.tagging_api.domain.timing import backoff
from services.tagging_api.models import Campaign, Parcel
from services.tagging_api.repository import campaigns, webhooks
from services.tagging_api.repository import parcels as repository
from services.tagging_api.service import rules
from services.tagging_api.service.campaigns import steps
from services.tagging_api.service.campaigns.sending import moment, quiet_channels
from services.tagging_api.service.channels.base import Carrier, Load, NotTaken, Receiver
from services.tagging_api.settings import CampaignSettings

log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 1.0
_LOST = "courier.lost"


@dataclass(frozen=True, slots=True)
class _Attempt:
    load: Load
    number: int


class Courier:
    """Takes one parcel after another to its channel."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        clock: Clock,
        carriers: Mapping[Channel, Carrier],
        sealing_key: bytes,
        settings: CampaignSettings | None = None,
        publisher: outbox.Publisher | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._carriers = carriers
        self._sealing_key = sealing_key
        self._settings = settings or CampaignSettings()
        self._publisher = publisher
        self._chance = chance

    async def run(self, notifications: Notifications) -> None:
        """For ever."""
        while True:
            notified = notifications.next
            try:
                worked = await self.step()
            except UNREACHABLE as failed:
                log.warning("parcels.interrupted", error=type(failed).__name__)
                worked = False
            if not worked:
                await notifications.wait(notified, timeout=_LOOK_AGAIN_SECONDS)

    async def step(self) -> bool:
        """Deal with one parcel that is due. False if there is none."""
        now = self._clock.now()
        stopped: UUID | None = None
        attempt: _Attempt | None = None
        settled: tuple[UUID, int] | None = None
        async with self._sessions.write() as session:
            found = await repository.claim(
                session, now=now, quiet=quiet_channels(self._settings, now)
            )
            if found is None:
                return False
            parcel, campaign = found
            carrier = self._carriers.get(Channel(parcel.channel))
            if parcel.state == SENDING and not self._may_repeat(carrier, campaign):
                # Its courier is gone, and what it did nobody knows.
                settled = parcel.id, parcel.attempts
            elif not await self._still_sendable(session, campaign):
                stopped = campaign.id
            else:
                attempt = await self._begin(session, parcel, campaign, carrier)
        if stopped is not None:
            # After the parcel's lock is gone: whoever cancels takes the campaign's first.
            async with self._sessions.write() as session:
                await steps.stop(session, stopped, at=now)
        elif settled is not None:
            await self._settle(*settled, DeliveryState.UNKNOWN, failure=_LOST)
        elif attempt is not None:
            await self._carry(attempt, self._carriers.get(attempt.load.channel))
        return True

    @staticmethod
    def _may_repeat(carrier: Carrier | None, campaign: Campaign) -> bool:
        return (
            carrier is not None
            and carrier.knows_repetition
            and campaign.state == CampaignState.SENDING
        )

    async def _still_sendable(self, session: WriteSession, campaign: Campaign) -> bool:
        try:
            await rules.check_sendable(session, steps.meaning(campaign))
        except Problem as refused:
            log.warning("campaign.stopped", campaign=str(campaign.id), reason=refused.code)
            return False
        return True

    async def _begin(
        self, session: WriteSession, parcel: Parcel, campaign: Campaign, carrier: Carrier | None
    ) -> _Attempt | None:
        """Write the attempt down, before it is made. None if nobody is left in the parcel."""
        sending = await moment(session, campaign, clock=self._clock, settings=self._settings)
        if parcel.attempts == 0 and parcel.area is None:
            parcel.size = await repository.skip_some(session, parcel, sending)
        number = repository.lease(parcel, now=sending.now, seconds=self._settings.lease_seconds)
        letters = (
            await repository.contents(session, parcel, sending, with_text=carrier.needs_text)
            if carrier is not None
            else []
        )
        load = Load(
            id=parcel.id,
            campaign_id=campaign.id,
            channel=Channel(parcel.channel),
            topic=campaign.topic,
            emergency=campaign.emergency,
            area=parcel.area,
            letters=letters,
            at=sending.now,
            receiver=await self._receiver(session, campaign),
        )
        return _Attempt(load, number)

    async def _receiver(self, session: WriteSession, campaign: Campaign) -> Receiver | None:
        if campaign.webhook_endpoint_id is None:
            return None
        endpoint = await webhooks.by_id(session, campaign.webhook_endpoint_id)
        if endpoint is None or endpoint.disabled_at is not None:
            return None
        try:
            secret = seals.unseal(self._sealing_key, endpoint.secret, of=endpoint.id)
        except seals.SealBroken:
            log.error("webhook.seal_broken", endpoint=str(endpoint.id))
            return None
        return Receiver(endpoint.url, secret)

    async def _carry(self, attempt: _Attempt, carrier: Carrier | None) -> None:
        load = attempt.load
        state, failure = DeliveryState.DELIVERED, None
        try:
            if carrier is None:
                raise NotTaken("channel.unavailable", final=True)
            if load.letters:
                await carrier.carry(load)
        except NotTaken as refused:
            state = DeliveryState.DEAD if refused.final else DeliveryState.FAILED
            failure = refused.code
            if refused.gone:
                await self._disable(load)
        except Exception as failed:  # noqa: BLE001 - a provider's own, whatever it is
            state, failure = DeliveryState.UNKNOWN, f"courier.{type(failed).__name__}"
            log.warning("parcel.in_doubt", parcel=str(load.id), error=type(failed).__name__)
        await self._settle(load.id, attempt.number, state, failure=failure)

    async def _disable(self, load: Load) -> None:
        async with self._sessions.write() as session:
            await webhooks.disable_of(session, load.campaign_id, at=self._clock.now())

    async def _settle(
        self, parcel_id: UUID, number: int, state: DeliveryState, *, failure: str | None
    ) -> None:
        """Write down how an attempt ended, unless a later one has begun."""
        now = self._clock.now()
        async with self._sessions.write() as session:
            campaign_id = await repository.campaign_of(session, parcel_id)
            # The campaign first, as everybody who holds both.
            campaign = await campaigns.locked(session, campaign_id)
            parcel = await repository.locked(session, parcel_id)
            late = parcel.state == DeliveryState.UNKNOWN and state is DeliveryState.DELIVERED
            if parcel.attempts != number or not (parcel.state == SENDING or late):
                return
            if state is DeliveryState.FAILED and number >= self._settings.attempts:
                state = DeliveryState.DEAD
            await self._write_end(session, campaign, parcel, state, failure)
            await steps.finish_if_done(session, campaign, at=now)
        if self._publisher is not None and outbox.has_events(session):
            await self._publisher.publish_if_reachable()

    async def _write_end(
        self,
        session: WriteSession,
        campaign: Campaign,
        parcel: Parcel,
        state: DeliveryState,
        failure: str | None,
    ) -> None:
        now = self._clock.now()
        parcel.state, parcel.failure, parcel.due_at = state.value, failure, now
        if state is DeliveryState.FAILED:
            if campaign.state not in {CampaignState.SENDING, CampaignState.PAUSED}:
                # Cancelled while it was on its way.
                parcel.state = state = DeliveryState.DEAD
            parcel.due_at = now + backoff(
                parcel.attempts,
                first=timedelta(seconds=self._settings.first_retry_seconds),
                longest=timedelta(seconds=self._settings.longest_retry_seconds),
                chance=self._chance(),
            )
        if state is DeliveryState.DELIVERED:
            parcel.delivered_at = now
            if parcel.area is None:
                campaign.delivered += await repository.reached_first(session, parcel.id)
        if parcel.area is None:
            delivered_at = now if state is DeliveryState.DELIVERED else None
            await repository.mark(session, parcel.id, state, at=delivered_at)
