"""Import a ledger through the door and wait for its end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

VILLAGE = "510182104006"
_ENDED = {"succeeded", "failed", "cancelled"}


async def imported(
    client: httpx.AsyncClient,
    file: Path | bytes,
    *,
    village: str = VILLAGE,
    dry_run: bool = False,
    name: str = "ledger.xlsx",
) -> dict[str, Any]:
    content = file if isinstance(file, bytes) else await asyncio.to_thread(file.read_bytes)
    answer = await client.post(
        "/v1/imports",
        files={"file": (name, content)},
        data={"village_code": village, "dry_run": str(dry_run).lower()},
    )
    assert answer.status_code == 202, answer.text
    return await ended(client, answer.headers["location"])


async def ended(client: httpx.AsyncClient, location: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            job: dict[str, Any] = (await client.get(location)).json()
            if job["state"] in _ENDED:
                return job
            await asyncio.sleep(0.05)


async def all_items(
    client: httpx.AsyncClient, path: str, **params: Any
) -> AsyncIterator[dict[str, Any]]:
    """Every item of a list, page by page."""
    token: str | None = None
    while True:
        page = (
            await client.get(path, params={**params, **({"page_token": token} if token else {})})
        ).json()
        for item in page["items"]:
            yield item
        if (token := page["next_page_token"]) is None:
            return
