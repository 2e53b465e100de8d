"""The register's composition root: `uvicorn --factory services.residents_api.main:create_app`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.common import application
from services.common.application import State, Transports
from services.common.clock import Clock, SystemClock
from services.residents_api.domain.sealing import Sealer
from services.residents_api.endpoints import routers
from services.residents_api.errors import REFUSALS
from services.residents_api.service import imports
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.sealing import sealer
from services.residents_api.service.snapshot import snapshot
from services.residents_api.settings import Settings

NAME = "residents_api"


class RegisterState(State):
    sealer: Sealer
    store: LedgerStore


def create_app(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    transports: Transports | None = None,
) -> FastAPI:
    settings = settings or Settings.model_validate({})
    clock = clock or SystemClock()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[RegisterState]:
        async with application.opened(
            NAME,
            settings=settings.database,
            security=settings.security,
            clock=clock,
            snapshot=snapshot(clock),
            transports=transports,
        ) as house:
            engine = await house.enter(
                imports.engine(
                    settings,
                    sessions=house.state["sessions"],
                    publisher=house.state["publisher"],
                    clock=clock,
                )
            )
            house.in_background(imports.work(engine), name="imports")
            yield {**house.state, "sealer": sealer(settings), "store": engine.store}

    return application.build_app(
        name=NAME,
        title="Residents",
        server=settings.server,
        routers=routers,
        lifespan=lifespan,
        refusals=REFUSALS,
        body_limits={"/v1/imports": settings.max_ledger_bytes + 64 * 1024},
    )
