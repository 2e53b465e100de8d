"""Dwellings, and people moving."""

from datetime import date
from typing import Any

import httpx

from tests.residents_api.ledgers import all_items


async def home(client: httpx.AsyncClient, **wanted: str) -> dict[str, Any]:
    """The one dwelling with these values; `area` is where to look."""
    area = {"area": wanted.pop("area")} if "area" in wanted else {}
    (only,) = [
        item
        async for item in all_items(client, "/v1/dwellings", **area)
        if all(item[name] == value for name, value in wanted.items())
    ]
    return only


async def dwelling_of(client: httpx.AsyncClient, *, room: str = "101", area: str) -> str:
    return (await home(client, room=room, area=area))["id"]


async def asked_to_move_in(
    client: httpx.AsyncClient, resident_id: str, dwelling_id: str, **values: Any
) -> httpx.Response:
    body = {
        "resident_id": resident_id,
        "dwelling_id": dwelling_id,
        "tenure": "owner",
        "relation_to_head": "other_relative",
        "start_date": "2026-01-01",
        **values,
    }
    return await client.post("/v1/occupancies", json=body)


async def moved_in(
    client: httpx.AsyncClient, resident_id: str, dwelling_id: str, **values: Any
) -> dict[str, Any]:
    answer = await asked_to_move_in(client, resident_id, dwelling_id, **values)
    assert answer.status_code == 201, answer.text
    occupancy: dict[str, Any] = answer.json()
    return occupancy


async def moved_out(client: httpx.AsyncClient, occupancy_id: str, *, on: date) -> dict[str, Any]:
    answer = await client.post(
        f"/v1/occupancies/{occupancy_id}/end", json={"end_date": on.isoformat()}
    )
    assert answer.status_code == 200, answer.text
    occupancy: dict[str, Any] = answer.json()
    return occupancy


async def occupancies(client: httpx.AsyncClient, resident_id: str) -> list[dict[str, Any]]:
    return [item async for item in all_items(client, f"/v1/residents/{resident_id}/occupancies")]
