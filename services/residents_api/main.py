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
from services.residents_api.service import (
    compounds,
    duplicates,
    exports,
    imports,
    statistics,
    succession,
)
from services.residents_api.service.audit import Chain, Heads
from services.residents_api.service.exports import Exporter
from services.residents_api.service.ledger.keeping import LedgerStore
from services.residents_api.service.sealing import sealer
from services.residents_api.service.snapshot import snapshot
from services.residents_api.settings import Settings

NAME = "residents_api"


class RegisterState(State):
    sealer: Sealer
    store: LedgerStore
    exporter: Exporter
    export_approval_over: int


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
            keeps_history=True,
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
            state = house.state
            own = sealer(settings)
            chain = Chain(
                state["sessions"], own, Heads(settings.audit_directory, own.audit_key), clock
            )
            house.in_background(chain.keep_up(), name="audit")
            shared = (state["sessions"], state["publisher"], clock)
            house.in_background(succession.work(*shared), name="successions")
            house.in_background(compounds.keep_counted(*shared), name="counting")
            house.in_background(
                statistics.keep_counted(state["sessions"], clock), name="statistics"
            )
            house.in_background(
                duplicates.keep_scanning(state["sessions"], clock), name="duplicates"
            )
            exporter = Exporter(
                sessions=state["sessions"],
                clock=clock,
                sealer=own,
                store=LedgerStore(settings.ledger_directory / exports.DIRECTORY, own),
            )
            house.in_background(exports.work(exporter), name="exports")
            yield {
                **house.state,
                "sealer": own,
                "store": engine.store,
                "exporter": exporter,
                "export_approval_over": settings.export_approval_over,
            }

    return application.build_app(
        name=NAME,
        title="Residents",
        server=settings.server,
        routers=routers,
        lifespan=lifespan,
        refusals=REFUSALS,
        tags={
            "areas": "Divisions, grids (网格) and residential compounds (小区).",
            "code-lists": "What the coded fields of a resident may say.",
            "residents": "People: registered, found and shown masked, or plain for a purpose.",
            "buildings": "Buildings and their units (单元).",
            "dwellings": "Where people can live.",
            "occupancies": "Who lives where (人房关系): moving in and moving out.",
            "change-requests": "Corrections that are applied at once, or after somebody's review.",
            "duplicates": "People who may be registered twice, merged and taken apart again.",
            "statistics": "How many people, households and dwellings an area has.",
            "accesses": "Who read plain values of whom.",
            "history": "Who changed what, and from what to what.",
            "imports": "Ledgers (台账) into the register.",
            "exports": "Ledgers out of the register.",
        },
        body_limits={"/v1/imports": settings.max_ledger_bytes + 64 * 1024},
    )
