"""Registering where webhooks go."""

from collections.abc import Collection

from services.common.clock import Clock
from services.common.database import WriteSession
from services.common.identifiers import new_id
from services.common.problems import AreaForbidden
from services.common.security import Caller
from services.tagging_api import errors
from services.tagging_api.domain import seals
from services.tagging_api.models import WebhookEndpoint, WebhookEndpointArea
from services.tagging_api.repository import ownership
from services.tagging_api.repository import webhooks as repository
from services.tagging_api.schemas.webhooks import WebhookEndpointCreate
from services.tagging_api.service.channels.webhook import may_be_called


async def register(
    session: WriteSession,
    asked: WebhookEndpointCreate,
    *,
    caller: Caller,
    clock: Clock,
    sealing_key: bytes,
    hosts: Collection[str],
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint, and its secret, which is kept sealed. Raises AreaForbidden or
    WebhookUrlRefused.
    """
    if not caller.areas:
        raise AreaForbidden()
    if not may_be_called(asked.url, hosts=hosts):
        problem = errors.WebhookUrlRefused
        raise problem.at("/url", problem.code, problem.title)
    endpoint_id, secret = new_id(), seals.new_secret()
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        name=asked.name,
        url=asked.url,
        secret=seals.seal(sealing_key, secret, of=endpoint_id),
        created_by=caller.sub,
        created_at=clock.now(),
        disabled_at=None,
    )
    session.add(endpoint)
    session.add_all(
        WebhookEndpointArea(
            endpoint_id=endpoint_id,
            n=n,
            division_code=place.division_code,
            grid_code=place.grid_code,
            compound_id=place.compound_id,
        )
        for n, place in enumerate(await ownership.places(session, caller.areas))
    )
    await session.flush()
    return endpoint, secret


async def remove(session: WriteSession, endpoint: WebhookEndpoint) -> None:
    """Raises WebhookEndpointInUse while a campaign that has not ended names it."""
    if await repository.in_use(session, endpoint.id):
        raise errors.WebhookEndpointInUse()
    await repository.delete(session, endpoint.id)
