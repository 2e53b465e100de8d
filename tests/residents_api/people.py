"""Invented people, and what the register is asked about them."""

from datetime import date
from typing import Any

import httpx

from services.residents_api.domain import identity_numbers

VILLAGE = "510182104006"
NEXT_VILLAGE = "510182104005"
TOWN = "510182104"
OTHER_TOWN = "510182001"
OTHER_TOWNS_VILLAGE = "510182001009"


def number(born: str = "1990-05-01", sequence: int = 1, *, area: str = "519900") -> str:
    """An invented identity number; an odd sequence is a man's."""
    return identity_numbers.make(area, date.fromisoformat(born), sequence)


async def registered(
    client: httpx.AsyncClient, name: str = "张三", **values: Any
) -> dict[str, Any]:
    """Somebody registered through the door, as the answer shows them."""
    body = {"name": name, "population_type": "household_registered", **values}
    if "id_number" not in values:
        body.setdefault("birth_date", "1990-05-01")
    answer = await client.post("/v1/residents", json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def revealed(client: httpx.AsyncClient, resident_id: str, *fields: str) -> dict[str, Any]:
    """Plain values."""
    answer = await client.post(
        f"/v1/residents/{resident_id}/reveal",
        json={"purpose": "入户走访核实", "fields": list(fields or ("name", "id_number", "phones"))},
    )
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def changed(client: httpx.AsyncClient, resident_id: str, **values: Any) -> dict[str, Any]:
    """An update on top of whatever the resident's version is."""
    tag = (await client.get(f"/v1/residents/{resident_id}")).headers["etag"]
    answer = await client.patch(
        f"/v1/residents/{resident_id}", json=values, headers={"If-Match": tag}
    )
    assert answer.status_code == 200, answer.text
    updated: dict[str, Any] = answer.json()
    return updated


async def found(client: httpx.AsyncClient, **terms: Any) -> list[dict[str, Any]]:
    """Everybody whom a search finds on its first page."""
    answer = await client.post("/v1/residents/search", json=terms)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def fault(answer: httpx.Response) -> tuple[str, str]:
    """Pointer and code of the one faulty field."""
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "request.invalid"
    (error,) = answer.json()["errors"]
    return error["pointer"], error["code"]
