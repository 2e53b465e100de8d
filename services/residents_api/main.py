"""The register's composition root: `uvicorn --factory services.residents_api.main:create_app`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.common import application
from services.common.application import State, Transports
from services.common.clock import Clock
from services.residents_api.endpoints import routers
from services.residents_api.settings import Settings

NAME = "residents_api"


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
            transports=transports,
        ) as house:
            yield house.state

    return application.build_app(
        name=NAME,
        title="Residents",
        server=settings.server,
        routers=routers,
        lifespan=lifespan,
        body_limits={"/v1/imports": settings.max_ledger_bytes + 64 * 1024},
    )
