"""A campaign into the inboxes of 100,000 residents, as a ratio to a plain INSERT … SELECT.

The baseline writes the same final rows, messages and deliveries, by one statement each in one
transaction, into tables with the same indexes on the same server. The campaign finds its audience
by a rule, asks of everybody twice why they are not to be told, and commits batch after batch, so
that it may be killed at any moment.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr

from bench import _city
from services.common import database
from services.common.clock import SystemClock
from services.common.database import Sessions
from services.common.identifiers import new_id
from services.common.settings import DatabaseSettings
from services.tagging_api.models import Campaign
from services.tagging_api.service.campaigns.sending import Sender
from services.tagging_api.settings import Settings

TARGET = 6.0
_RESIDENTS = 200_000
_AUDIENCE = 100_000
_ROUNDS = 3
_RULE = {
    "sample": {
        "rule": {"field": "age", "op": "gte", "value": 18},
        "n": _AUDIENCE,
    }
}
_BATCH: int = Settings.model_fields["campaign_batch_size"].default

_BASELINE = """
CREATE TABLE plain_message (LIKE message INCLUDING ALL);
CREATE TABLE plain_delivery (LIKE delivery INCLUDING ALL);
"""
_PLAIN = """
INSERT INTO plain_message SELECT * FROM message WHERE cause_id = '<campaign>';
INSERT INTO plain_delivery SELECT * FROM delivery WHERE campaign_id = '<campaign>';
"""
_CLEARED = "DROP TABLE plain_message; DROP TABLE plain_delivery;"


@dataclass(frozen=True, slots=True)
class Result:
    ratio: float
    target: float = TARGET


def run() -> Result:
    with _city.city(_RESIDENTS) as city:
        return asyncio.run(_measure(city.url))


async def _measure(url: str) -> Result:
    sent: list[float] = []
    plain: list[float] = []
    async with _opened(url) as sessions:
        before = 0.0
        for n in range(_ROUNDS):
            campaign_id = await _written(sessions)
            sent.append(await _send(sessions, campaign_id))
            # Only now is everything imported and every plan made.
            before = before or _megabytes()
            plain.append(await _write_plainly(sessions, campaign_id))
            print(
                f"round {n + 1}: campaign {sent[-1]:.2f} s ({_AUDIENCE / sent[-1]:,.0f}/s),"
                f" plain {plain[-1]:.2f} s ({_AUDIENCE / plain[-1]:,.0f}/s)"
            )
        print(
            f"memory: {before:.1f} MB after the first round, {_megabytes():.1f} MB after the last"
        )
    return Result(min(sent) / min(plain))


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[Sessions]:
    engine = database.engine(DatabaseSettings(url=SecretStr(url)), application="bench")
    try:
        yield database.sessions(engine)
    finally:
        await engine.dispose()


async def _written(sessions: Sessions) -> UUID:
    """A campaign that has just been sent off; its topic is its own, and so no cap is near."""
    campaign_id = new_id()
    now = SystemClock().now()
    async with sessions.write() as session:
        await session.execute(
            sa.insert(Campaign).values(
                id=campaign_id,
                state="sending",
                title="义诊通知",
                body="本周六上午九点，社区服务中心二楼，请携带身份证。",
                topic=str(campaign_id),
                rule=_RULE,
                areas=[_city.CITY],
                created_by="account:bench",
                approved_by="account:second",
                created_at=now,
            )
        )
    return campaign_id


async def _send(sessions: Sessions, campaign_id: UUID) -> float:
    sender = Sender(sessions, clock=SystemClock(), batch_size=_BATCH)
    started = time.perf_counter()
    while await sender.step():
        pass
    seconds = time.perf_counter() - started
    async with sessions.read() as session:
        row = (
            await session.execute(
                sa.select(Campaign.state, Campaign.recipients, Campaign.delivered).where(
                    Campaign.id == campaign_id
                )
            )
        ).one()
    assert tuple(row) == ("sent", _AUDIENCE, _AUDIENCE), row
    return seconds


async def _write_plainly(sessions: Sessions, campaign_id: UUID) -> float:
    await _run(sessions, _BASELINE)
    started = time.perf_counter()
    await _run(sessions, _PLAIN.replace("<campaign>", str(campaign_id)))
    seconds = time.perf_counter() - started
    await _run(sessions, _CLEARED)
    return seconds


async def _run(sessions: Sessions, statements: str) -> None:
    async with sessions.write() as session:
        for statement in filter(None, map(str.strip, statements.split(";"))):
            await session.execute(sa.text(statement))


def _megabytes() -> float:
    """The memory of this process, shared pages counted by their share."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024
