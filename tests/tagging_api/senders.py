"""A sender as a process of its own, which is killed at any moment."""

import asyncio
import signal

from pydantic import SecretStr

from services.common import database
from services.common.clock import SystemClock
from services.common.database import Notifications
from services.common.settings import DatabaseSettings
from services.tagging_api.service.campaigns import steps
from services.tagging_api.service.campaigns.sending import Sender


def live(url: str, batch_size: int) -> None:
    """Send until killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = DatabaseSettings(url=SecretStr(url), pool_size=2)

    async def send() -> None:
        engine = database.engine(settings, application="tagging_api")
        sender = Sender(database.sessions(engine), clock=SystemClock(), batch_size=batch_size)
        await sender.run(Notifications(settings, channel=steps.CHANNEL))

    asyncio.run(send())
