"""The least that answers a resident by id: one FastAPI route over asyncpg, no gateway and no token."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request


class Resident(BaseModel):
    id: UUID
    name: str
    sex: str | None
    birth_date: date | None
    population_type: str | None
    ethnicity: str | None
    education: str | None
    marital_status: str | None
    political_status: str | None
    version: int


def create_app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, "asyncpg.Pool[asyncpg.Record]"]]:
        async with asyncpg.create_pool(os.environ["BENCH_DSN"], max_size=10) as pool:
            yield {"pool": pool}

    app = FastAPI(lifespan=lifespan)

    @app.get("/residents/{resident_id}")
    async def read_resident(resident_id: UUID, request: Request) -> Resident:
        pool: asyncpg.Pool[asyncpg.Record] = request.state.pool
        row = await pool.fetchrow(
            "SELECT id, name, sex, birth_date, population_type, ethnicity, education,"
            " marital_status, political_status, version FROM resident WHERE id = $1",
            resident_id,
        )
        assert row is not None
        return Resident.model_validate(dict(row))

    return app
