"""The register, asked with the token of whoever asks us: it shows them what it would show them."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx
import structlog

from services.common.problems import Unavailable

log = structlog.get_logger(__name__)

# How many the register shows at once.
AT_MOST = 100


class Register:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def masked(
        self, resident_ids: Sequence[UUID], *, token: str
    ) -> Sequence[Mapping[str, Any]]:
        """Up to `AT_MOST` residents, masked, in that order, without those it does not show.

        Raises Unavailable.
        """
        try:
            answer = await self._http.post(
                "/v1/residents/batch",
                json={"resident_ids": [str(each) for each in resident_ids]},
                headers={"Authorization": f"Bearer {token}"},
            )
        except httpx.HTTPError as failed:
            log.warning("register.unreachable", error=type(failed).__name__)
            raise Unavailable() from None
        if answer.status_code != HTTPStatus.OK:
            log.warning("register.refused", status=answer.status_code)
            raise Unavailable()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items
