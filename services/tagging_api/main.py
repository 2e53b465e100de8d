"""The composition root of labels and targeting.

`uvicorn --factory services.tagging_api.main:create_app`
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.common import application
from services.common.application import State, Transports
from services.common.clock import Clock
from services.common.database import Notifications
from services.tagging_api import errors
from services.tagging_api.endpoints import routers
from services.tagging_api.service import campaigns, events
from services.tagging_api.service.reports_feed import ReportsProjection
from services.tagging_api.service.residents_feed import ResidentsProjection
from services.tagging_api.settings import Settings

NAME = "tagging_api"


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    transports: Transports | None = None,
) -> FastAPI:
    settings = settings or Settings.model_validate({})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
        async with application.opened(
            NAME,
            settings=settings.database,
            security=settings.security,
            clock=clock,
            snapshot=events.snapshot,
            transports=transports,
        ) as house:
            now = house.state["clock"]
            await application.follow(
                house,
                (ResidentsProjection(now), settings.residents),
                (ReportsProjection(now), settings.reports),
                transports=transports,
            )
            notifications = Notifications(settings.database, channel=campaigns.CHANNEL)
            sender = campaigns.Sender(
                house.state["sessions"], clock=now, batch_size=settings.campaign_batch_size
            )
            house.in_background(notifications.run(), name="campaign notifications")
            house.in_background(sender.run(notifications), name="campaigns")
            yield house.state

    return application.build_app(
        name=NAME,
        title="Tagging",
        server=settings.server,
        routers=routers,
        lifespan=lifespan,
        refusals={"tag_pkey": errors.TagCodeTaken},
        tags={
            "tags": "Labels, and who bears them.",
            "audiences": "How many people a rule finds.",
            "campaigns": "One message to everyone a rule finds.",
            "messages": "The inbox of a resident.",
        },
    )
