"""What the services offer: learned from them, and learned again, so that a service can gain an
endpoint without the gateway being touched.

Two services that contradict each other stop the start. Once the gateway has been complete, it keeps
what it knows and says so in its log: one faulty deployment must not take the others down.
"""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from services.gateway.clients.services import Service
from services.gateway.domain import contract
from services.gateway.domain.routes import RouteTable
from services.gateway.errors import RoutesConflict

log = structlog.get_logger(__name__)

OWN = "gateway"
_RETRY_SECONDS = 0.5
# How often an unknown path may make the gateway ask the services again.
_LOOK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Contract:
    """The merged document as it is sent."""

    body: bytes
    etag: str


class Directory:
    """`table` says who answers what, and changes as a whole; `contract` is of the same moment."""

    def __init__(
        self, own: dict[str, Any], services: Sequence[Service], *, refresh_seconds: float
    ) -> None:
        self._services = {service.name: service for service in services}
        self._refresh_seconds = refresh_seconds
        self._documents: dict[str, Any] = {}
        self._refreshing = asyncio.Lock()
        self._refreshed = float("-inf")
        self.was_complete = False
        self.table, self.contract = _built({OWN: own})
        self._documents = {OWN: own}

    @property
    def complete(self) -> bool:
        """Whether every service's routes are known."""
        return self._documents.keys() >= self._services.keys()

    def knows(self, service: str) -> bool:
        return service in self._documents

    async def refresh(self) -> None:
        """Ask every service. Raises RoutesConflict as long as the directory was never complete."""
        async with self._refreshing:
            await self._ask()

    async def _ask(self) -> None:
        found = await asyncio.gather(*(s.contract() for s in self._services.values()))
        for name, document in zip(self._services, found, strict=True):
            if document is not None and document != self._documents.get(name):
                self._adopt(name, document)
        self.was_complete = self.was_complete or self.complete
        self._refreshed = time.monotonic()

    def _adopt(self, name: str, document: dict[str, Any]) -> None:
        documents = {**self._documents, name: document}
        try:
            self.table, self.contract = _built(documents)
        except RoutesConflict as conflict:
            log.error("routes.conflict", upstream=name, sentence=str(conflict))
            if not self.was_complete:
                raise
        except (KeyError, IndexError, TypeError, AttributeError) as malformed:
            log.error("contract.malformed", upstream=name, error=type(malformed).__name__)
        else:
            self._documents = documents
            log.info("routes.learned", upstream=name)

    async def look_again(self) -> None:
        """Refresh because something unknown was asked for; at most every two seconds."""
        if not self._may_look_again:
            return
        async with self._refreshing:
            # Whoever waited for another's refresh shares it.
            if self._may_look_again:
                with contextlib.suppress(
                    RoutesConflict
                ):  # `run` meets it too, and ends the process
                    await self._ask()

    @property
    def _may_look_again(self) -> bool:
        return time.monotonic() - self._refreshed >= _LOOK_AGAIN_SECONDS

    async def run(self) -> None:
        """Learn for ever; quickly as long as something is missing. Raises RoutesConflict."""
        while True:
            await asyncio.sleep(self._refresh_seconds if self.complete else _RETRY_SECONDS)
            await self.refresh()


def _built(documents: dict[str, Any]) -> tuple[RouteTable, Contract]:
    table = RouteTable.of(documents)
    body = json.dumps(contract.merged(documents), ensure_ascii=False).encode()
    return table, Contract(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
