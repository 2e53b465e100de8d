"""The reports' composition root: `uvicorn --factory services.reports_api.main:create_app`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.common import application
from services.common.application import State, Transports
from services.common.clock import Clock
from services.reports_api.endpoints import routers
from services.reports_api.repository.areas import AreaProjection
from services.reports_api.repository.photos import PhotoStore
from services.reports_api.service.decoding import decoder
from services.reports_api.service.photos import PhotoIntake
from services.reports_api.service.reports import snapshot
from services.reports_api.settings import Settings

NAME = "reports_api"
_FORM_BYTES = 256 * 1024


class ReportsState(State):
    photos: PhotoIntake


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    transports: Transports | None = None,
) -> FastAPI:
    settings = settings or Settings.model_validate({})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[ReportsState]:
        async with application.opened(
            NAME,
            settings=settings.database,
            security=settings.security,
            clock=clock,
            snapshot=snapshot,
            transports=transports,
        ) as house:
            await application.follow(
                house, (AreaProjection(), settings.residents), transports=transports
            )
            photos = PhotoIntake(
                store=PhotoStore.at(settings.photo_store),
                decoder=await house.enter(
                    decoder(
                        processes=settings.photo_processes, max_pixels=settings.max_photo_pixels
                    )
                ),
                sessions=house.state["sessions"],
                clock=house.state["clock"],
                settings=settings,
                slots=asyncio.Semaphore(settings.photo_processes),
            )
            house.in_background(photos.sweep(), name="photo uploads")
            yield ReportsState(**house.state, photos=photos)

    photo_bytes = settings.max_photos * settings.max_photo_bytes
    return application.build_app(
        name=NAME,
        title="Reports",
        server=settings.server,
        routers=routers,
        lifespan=lifespan,
        body_limits={"/v1/reports": photo_bytes + _FORM_BYTES},
        tags={"reports": "Citizen reports (随手拍): what is wrong, with photos, and the answers."},
    )
