"""What a channel is to whoever hands it parcels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.tagging_api.domain.campaigns import Channel
from services.tagging_api.repository.parcels import Letter


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where a webhook goes, and by what it signs."""

    url: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Load:
    """A parcel, ready to go. Its id is the same whenever it is tried again."""

    id: UUID
    campaign_id: UUID
    channel: Channel
    topic: str | None
    emergency: bool
    area: str | None
    letters: Sequence[Letter] = field(repr=False)
    at: datetime
    receiver: Receiver | None = None


class NotTaken(Exception):
    """Nobody in the parcel got anything. `final`: nor will they; `gone`: nor will anybody else."""

    def __init__(self, code: str, *, final: bool = False, gone: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.final = final or gone
        self.gone = gone


class Carrier(Protocol):
    """One channel. A provider of SMS or push implements this.

    `knows_repetition`: whoever is behind it tells by the parcel's id what they have had already, so
    what is in doubt may be sent again. `needs_text`: else only ids leave this service.
    """

    knows_repetition: bool
    needs_text: bool

    async def carry(self, load: Load) -> None:
        """Hand it over. Raises NotTaken if nobody got anything; after any other exception it is in
        doubt whether they did.
        """
        ...
