"""A small neighbour that states areas, in the register's place: a real app with a real feed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from pydantic import SecretStr

from services.common import application, outbox
from services.common.database import ReadSession
from services.common.outbox import Event
from services.common.settings import DatabaseSettings, ServerSettings
from tests.conftest import Database
from tests.houses import Identity

AREA_CHANGED = "cn.shequ.residents.area.changed"

TOWN = "510182104"
JINSHA = "510182104006"
OTHER_VILLAGE = "510182104001"
GRID = "510182104006001"
COMPOUND = UUID("0197a000-0000-7000-8000-000000000001")
OTHER_COMPOUND = UUID("0197a000-0000-7000-8000-000000000002")


def area(kind: str, code: str, village_code: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "code": code, "name": "某处", "village_code": village_code}


AREAS = (
    area("division", "51"),
    area("division", "510182"),
    area("division", TOWN),
    area("division", OTHER_VILLAGE, OTHER_VILLAGE),
    area("division", JINSHA, JINSHA),
    area("grid", GRID, JINSHA),
    area("compound", str(COMPOUND), JINSHA),
    area("compound", str(OTHER_COMPOUND), OTHER_VILLAGE),
)


class Register:
    """What the register says: `areas` in its snapshot, three to a page, and what it states anew."""

    def __init__(self, areas: Sequence[dict[str, Any]] = AREAS) -> None:
        self.areas = list(areas)
        self._house: application.House | None = None

    async def snapshot(
        self, _: ReadSession, after: str | None
    ) -> tuple[Sequence[Event], str | None]:
        start = int(after or 0)
        page = self.areas[start : start + 3]
        more = start + 3 < len(self.areas)
        return [Event(AREA_CHANGED, {"areas": page})], str(start + 3) if more else None

    async def state(self, *areas: dict[str, Any]) -> str:
        """Write an event, and say its position."""
        assert self._house is not None
        async with self._house.state["sessions"].write() as session:
            await outbox.emit(session, Event(AREA_CHANGED, {"areas": list(areas)}))
        return str(await self._house.state["publisher"].publish())

    def app(self, db: Database, identity: Identity) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncGenerator[application.State]:
            async with application.opened(
                "residents_api",
                settings=DatabaseSettings(url=SecretStr(db.urls["residents_api"]), pool_size=2),
                security=identity.security,
                snapshot=self.snapshot,
                transports={"gateway": identity.transport},
            ) as house:
                self._house = house
                yield house.state

        return application.build_app(
            name="residents_api",
            title="Register",
            server=ServerSettings(),
            routers=(),
            lifespan=lifespan,
        )
