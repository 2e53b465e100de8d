"""The composition root of labels and targeting.

`uvicorn --factory services.tagging_api.main:create_app`
"""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.common import application, http
from services.common.application import House, State, Transports
from services.common.clock import Clock, SystemClock
from services.common.database import Notifications
from services.tagging_api import errors
from services.tagging_api.clients.register import Register
from services.tagging_api.domain.campaigns import Channel
from services.tagging_api.endpoints import routers
from services.tagging_api.service import events, residents_feed
from services.tagging_api.service.accounts_feed import AccountsProjection
from services.tagging_api.service.campaigns import steps
from services.tagging_api.service.campaigns.carrying import Courier
from services.tagging_api.service.campaigns.sending import Sender
from services.tagging_api.service.channels import webhook
from services.tagging_api.service.channels.base import Carrier
from services.tagging_api.service.channels.files import FileDriver
from services.tagging_api.service.index import FollowingIndex
from services.tagging_api.service.reports_feed import ReportsProjection
from services.tagging_api.service.residents_feed import ResidentsProjection
from services.tagging_api.service.tag_keeping import Keeper
from services.tagging_api.service.targeting import Targeting
from services.tagging_api.settings import Settings

NAME = "tagging_api"


class TaggingState(State):
    """What requests find beside the parts of every service."""

    targeting: Targeting
    register: Register
    settings: Settings
    channels: Collection[Channel]


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    transports: Transports | None = None,
) -> FastAPI:
    settings = settings or Settings.model_validate({})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[TaggingState]:
        async with application.opened(
            NAME,
            settings=settings.database,
            security=settings.security,
            clock=clock,
            snapshot=events.snapshot(clock or SystemClock()),
            transports=transports,
        ) as house:
            now = house.state["clock"]
            await application.follow(
                house,
                (ResidentsProjection(now), settings.residents),
                (ReportsProjection(now), settings.reports),
                (AccountsProjection(), settings.gateway),
                transports=transports,
            )
            carriers = await _send_campaigns(house, settings)
            index = FollowingIndex(house.state["sessions"], service=NAME, clock=now)
            feed = house.state["feed"]
            assert feed is not None
            house.in_background(index.run(feed.notifications), name="index")
            house.state["checks"]["index"] = index.loaded
            keeper = Keeper(house.state["sessions"], clock=now, publisher=house.state["publisher"])
            house.in_background(keeper.run(feed.notifications), name="tags")
            targeting = Targeting(index, service=NAME)
            # Without a token of its own: whoever asks shows theirs.
            register = await house.enter(
                http.client(
                    base_url=settings.residents.url,
                    transport=(transports or {}).get(residents_feed.SOURCE),
                )
            )
            yield {
                **house.state,
                "targeting": targeting,
                "register": Register(register),
                "settings": settings,
                "channels": frozenset({Channel.IN_APP, *carriers}),
            }

    return application.build_app(
        name=NAME,
        title="Tagging",
        server=settings.server,
        routers=routers,
        lifespan=lifespan,
        refusals={
            "tag_pkey": errors.TagCodeTaken,
            "tag_category_pkey": errors.TagCategoryCodeTaken,
        },
        tags={
            "tags": "Labels, and who bears them.",
            "audiences": "How many people a rule finds.",
            "campaigns": "One message to everyone a rule finds.",
            "webhook endpoints": "Other platforms that are told of campaigns.",
            "surveys": "A few questions to a random sample of an audience, and the visits.",
            "site plans": "Where to put a service.",
            "messages": "The inbox of a resident.",
        },
    )


async def _send_campaigns(house: House, settings: Settings) -> Mapping[Channel, Carrier]:
    """Start what sends them; the channels outside of this service that are set up."""
    carriers: dict[Channel, Carrier] = {
        Channel.WEBHOOK: await house.enter(webhook.opened(settings.webhook_hosts))
    }
    if settings.outbox_directory is not None:
        driver = FileDriver(settings.outbox_directory)
        carriers |= dict.fromkeys((Channel.SMS, Channel.PUSH, Channel.BROADCAST), driver)
    sessions, clock = house.state["sessions"], house.state["clock"]
    notifications = Notifications(settings.database, channel=steps.CHANNEL)
    house.in_background(notifications.run(), name="campaign notifications")
    sender = Sender(
        sessions,
        clock=clock,
        batch_size=settings.campaign_batch_size,
        settings=settings.campaigns,
        publisher=house.state["publisher"],
    )
    house.in_background(sender.run(notifications), name="campaigns")
    courier = Courier(
        sessions,
        clock=clock,
        carriers=carriers,
        sealing_key=settings.sealing_key_bytes,
        settings=settings.campaigns,
        publisher=house.state["publisher"],
    )
    for n in range(settings.campaigns.couriers):
        house.in_background(courier.run(notifications), name=f"courier {n}")
    return carriers
