"""Who can sign in: what the gateway says of it, and what labels and targeting make of that."""

import asyncio

import pytest
import sqlalchemy as sa

from services.common.access import Role
from services.common.identifiers import new_id
from services.gateway.service import accounts
from services.tagging_api.models import Account
from tests.contracts.conftest import Town


async def test_a_new_account_is_known_where_people_are_reached(town: Town) -> None:
    resident_id = new_id()
    async with town.gateway.state["sessions"].write() as session:
        made = await accounts.create_account(
            session,
            name="wang.li",
            password="correct horse",
            roles=[Role.RESIDENT],
            areas=["510182104006"],
            resident_id=resident_id,
        )
    await town.gateway.state["publisher"].publish()
    async with asyncio.timeout(20):
        while True:
            async with town.tagging.state["sessions"].read() as session:
                found = (await session.scalars(sa.select(Account))).one_or_none()
            if found is not None:
                break
            await asyncio.sleep(0.02)
    assert (found.id, found.resident_id, found.active, found.version) == (
        made.id,
        resident_id,
        True,
        1,
    )


@pytest.mark.parametrize("path", ["/internal/feed?after=0000000000000000.0", "/internal/snapshot"])
async def test_the_gateways_feed_is_there_for_neighbours_alone(town: Town, path: str) -> None:
    strangers = [
        town.gateway.client(),
        town.gateway.client("a-guess"),
        town.gateway.as_role(Role.ADMIN),
    ]
    for stranger in strangers:
        answer = await stranger.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "route.not_found")
    answer = await town.gateway.as_service().get(path)
    assert answer.status_code in {200, 410}
    assert "wang" not in answer.text
