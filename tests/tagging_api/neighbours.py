"""Neighbours with a real feed, an outbox in their own schema, and a state that the test decides."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from pydantic import SecretStr

from services.common import application, outbox
from services.common.application import State
from services.common.database import ReadSession
from services.common.identifiers import new_id
from services.common.outbox import Event
from services.common.settings import DatabaseSettings, ServerSettings
from tests.conftest import Database, FixedClock
from tests.houses import App, Identity, opened

RESIDENT_CHANGED = "cn.shequ.residents.resident.changed"
AREA_CHANGED = "cn.shequ.residents.area.changed"
REPORT_CHANGED = "cn.shequ.reports.report.changed"

TOWN = "510182104"
JINSHA = "510182104006"
OTHER = "510182104001"


class Neighbour:
    """A producer. What it `says` goes into its feed; `now` is what its snapshot says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.now: list[Event] = []
        self.page_size = 2
        self.open: App

    async def say(self, *events: Event) -> str:
        """Commit events; the position that includes them."""
        async with self.open.state["sessions"].write() as session:
            await outbox.emit(session, *events)
        return str(await self.open.state["publisher"].publish())

    async def snapshot(
        self, _: ReadSession, token: str | None
    ) -> tuple[Sequence[Event], str | None]:
        start = int(token or 0)
        end = start + self.page_size
        return self.now[start:end], str(end) if end < len(self.now) else None


@asynccontextmanager
async def neighbour(
    name: str, db: Database, identity: Identity, clock: FixedClock
) -> AsyncGenerator[Neighbour]:
    made = Neighbour(name)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
        settings = DatabaseSettings(url=SecretStr(db.urls[name]), pool_size=2)
        async with application.opened(
            name,
            settings=settings,
            security=identity.security,
            clock=clock,
            snapshot=made.snapshot,
            transports={"gateway": identity.transport},
        ) as house:
            yield house.state

    app = application.build_app(
        name=name, title=name, server=ServerSettings(), routers=(), lifespan=lifespan
    )
    async with opened(app, identity) as made.open:
        yield made


def place(
    division_code: str = JINSHA,
    *,
    grid_code: str | None = None,
    compound_id: UUID | None = None,
    tenure: str | None = "owner",
    start: date | None = None,
    end: date | None = None,
) -> dict[str, Any]:
    return {
        "division_code": division_code,
        "grid_code": grid_code,
        "compound_id": str(compound_id) if compound_id else None,
        "tenure": tenure,
        "start_date": start.isoformat() if start else None,
        "end_date": end.isoformat() if end else None,
    }


def person(
    resident_id: UUID | None = None,
    *,
    version: int = 1,
    labels: Sequence[str] = (),
    places: Sequence[Mapping[str, Any]] | None = None,
    birth_date: str | None = "1990-06-15",
    **codes: str | None,
) -> dict[str, Any]:
    """A resident as the register states them; by default one who lives in 金沙社区."""
    return {
        "id": str(resident_id or new_id()),
        "version": version,
        "sex": None,
        "birth_date": birth_date,
        "population_type": None,
        "ethnicity": None,
        "education": None,
        "marital_status": None,
        "political_status": None,
        "labels": list(labels),
        "places": [place()] if places is None else list(places),
        **codes,
    }


def residents(*states: Mapping[str, Any]) -> Event:
    return Event(RESIDENT_CHANGED, {"residents": list(states)})


def compounds(**villages: str) -> Event:
    """Compounds by id."""
    return Event(
        AREA_CHANGED,
        {
            "areas": [
                {"kind": "compound", "code": code, "name": "小区", "village_code": village}
                for code, village in villages.items()
            ]
        },
    )


def report(
    resident_id: UUID | None, *answers: tuple[UUID, str], report_id: UUID, version: int = 1
) -> Event:
    """A report with its answers: id and kind."""
    return Event(
        REPORT_CHANGED,
        {
            "reports": [
                {
                    "id": str(report_id),
                    "version": version,
                    "resident_id": str(resident_id) if resident_id else None,
                    "status": "received",
                    "answers": [
                        {"id": str(each), "kind": kind, "at": "2026-11-23T04:00:00Z"}
                        for each, kind in answers
                    ],
                }
            ]
        },
    )
