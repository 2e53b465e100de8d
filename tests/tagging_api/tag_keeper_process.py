"""A keeper of tags as a process of its own, to be killed."""

import asyncio
import os

from pydantic import SecretStr

from services.common import database, outbox
from services.common.clock import SystemClock
from services.common.settings import DatabaseSettings
from services.tagging_api.service.tag_keeping import Keeper


async def main() -> None:
    settings = DatabaseSettings(url=SecretStr(os.environ["KEEPER_DATABASE"]), pool_size=2)
    engine = database.engine(settings, application="keeper")
    sessions, clock = database.sessions(engine), SystemClock()
    publisher = outbox.Publisher(sessions, service="tagging_api", clock=clock)
    keeper = Keeper(sessions, clock=clock, publisher=publisher, batch=60)
    while True:
        if not await keeper.step():
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main())
