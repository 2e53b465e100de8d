"""What the gateway asks of a service: its part of the contract, and whether it is ready."""

from http import HTTPStatus
from typing import Any, cast

import httpx
import structlog

log = structlog.get_logger(__name__)

_SECONDS = 2.0


class Service:
    """One service. Out of reach, it answers None or False rather than raise."""

    def __init__(self, name: str, http: httpx.AsyncClient) -> None:
        self.name = name
        self._http = http

    async def contract(self) -> dict[str, Any] | None:
        """Its OpenAPI document."""
        try:
            answer = await self._http.get("/internal/openapi.json", timeout=_SECONDS)
            answer.raise_for_status()
            document: Any = answer.json()
        except (httpx.HTTPError, ValueError) as failed:
            status = (
                failed.response.status_code if isinstance(failed, httpx.HTTPStatusError) else None
            )
            error = type(failed).__name__
            log.warning("contract.unavailable", upstream=self.name, error=error, status=status)
            return None
        if not isinstance(document, dict) or "paths" not in document:
            log.error("contract.malformed", upstream=self.name)
            return None
        return cast("dict[str, Any]", document)

    async def is_ready(self) -> bool:
        try:
            answer = await self._http.get("/readyz", timeout=_SECONDS)
        except httpx.HTTPError:
            return False
        return answer.status_code == HTTPStatus.OK
